//! A whole graph for many points, or many directions, at once: each is a lane.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};
use pulp::{Arch, Simd, WithSimd};

use super::body::{Body, Facts, Pass};
use super::bundle::Shape;
use super::code::{Code, lanes_of};
use super::graph::Graph;
use super::kernels;
use super::lanes::{Group, Pattern, PerTurn};
use super::memory::Memory;
use super::ops::Ops;
use super::tiles::{self, Scratch, Slots};
use crate::number::BaseFloat;
use crate::slices::simd::CopyTransposed;
use crate::sparse::Coloring;

/// A graph whose inputs are lanes, or numbers for all lanes.
#[derive(Clone, Debug)]
pub(super) struct Batch<F> {
    arch: Arch,
    ops: Ops<F>,
    group: Group<F>,
    code: Code<F>,
    /// The inputs, then the outputs, then the adjoints of the active inputs: each a row of lanes.
    values: Memory<F>,
    scratch: Scratch<F>,
    /// The place of the first adjoint.
    adjoints: usize,
    /// False if a comparison of the last run came out otherwise than recorded.
    same_branches: bool,
    /// The lanes whose results are not written.
    bad: Vec<usize>,
}

impl<F: BaseFloat> Batch<F> {
    /// The function at many points: a value and a gradient with respect to the first `n` inputs for each. The inputs from
    /// there on, the data, are those of all points, or `own` ones of each point.
    pub(super) fn points(graph: &Graph<F>, n: usize, own: bool) -> Self {
        let uniform: Vec<bool> = (0..graph.inputs).map(|k| k >= n).collect();
        Self::new(graph, &uniform, own, n)
    }

    /// A derivative at one point for many directions, which are inputs of the graph, too. The first `active` inputs have
    /// an adjoint for each direction.
    pub(super) fn directions(graph: &Graph<F>, directions: Range<usize>, active: usize) -> Self {
        let uniform: Vec<bool> = (0..graph.inputs).map(|k| !directions.contains(&k)).collect();
        Self::new(graph, &uniform, false, active)
    }

    /// The graph with `uniform` inputs, and the gradient of its first output with respect to the inputs below `active`.
    /// With `spread`, uniform inputs are lanes, too, with the same roundings.
    fn new(graph: &Graph<F>, uniform: &[bool], spread: bool, active: usize) -> Self {
        let (shape, constants) = Shape::whole(graph);
        let wanted: Vec<bool> = (0..graph.inputs).map(|k| k < active).collect();
        let facts = Facts {
            uniform,
            wanted: &wanted,
            constants: &constants,
            cotangents: &[Some(F::one())],
            uniform_cotangents: false,
            compared: false,
        };
        let mut ops = graph.ops.clone();
        let pass = if active > 0 { Pass::Both } else { Pass::Forward };
        let mut body = Body::new(&mut ops, &shape, &facts, pass);
        // There is nothing else that adds to an adjoint. One that no operation takes part in stays 0.
        let outputs = graph.outputs.len();
        body.store_pulls(outputs as u32);
        body.contract();
        let uniform = if spread {
            body.spread();
            vec![false; graph.inputs]
        } else {
            uniform.to_vec()
        };
        // Adjoints are those of each lane, also where a value is that of all lanes.
        let code = Code::new(&body, &vec![false; graph.inputs], false, 2048 / size_of::<F>());
        drop(body);
        let lanes = code.width;
        // One slot more for numbers that are no lanes keeps all places alike.
        let stride = lanes + lanes_of::<F>();
        let first = graph.inputs * stride;
        let slots = (0..graph.inputs).map(|k| (k * stride) as u32).collect();
        let pattern = |&uniform: &bool| if uniform { Pattern::Uniform } else { Pattern::Run };
        let group = Group {
            lanes,
            first,
            stride,
            into: None,
            operands: uniform.iter().map(pattern).collect(),
            constants: vec![Vec::new(); constants.len()],
            bounds: vec![0, lanes as u32],
            slots,
            codes: [Some(0), None],
            level: 0,
            per_turn: PerTurn::default(),
        };
        let mut scratch = Scratch::default();
        scratch.fit(&code);
        let adjoints = first + outputs * stride;
        Self {
            arch: Arch::new(),
            ops,
            group,
            code,
            values: Memory::zeros(adjoints + active * stride),
            scratch,
            adjoints,
            same_branches: true,
            bad: Vec::with_capacity(lanes),
        }
    }

    /// The number of lanes of a run.
    pub(super) fn width(&self) -> usize {
        self.code.width
    }

    /// The numbers of an input, lane by lane; the first one if the input is uniform.
    pub(super) fn input(&mut self, k: usize) -> &mut [F] {
        let width = self.width();
        &mut self.values[k * self.group.stride..][..width]
    }

    /// Sets the inputs from number `first` on, lane by lane: `x` has a row for each lane.
    pub(super) fn set_lanes(&mut self, first: usize, x: ArrayView2<'_, F>) {
        let stride = self.group.stride;
        let to = &mut self.values[first * stride..];
        if let Some(rows) = x.as_slice() {
            let (n, size) = (x.ncols(), [x.nrows(), x.ncols()]);
            self.arch.dispatch(CopyTransposed { from: rows, from_stride: n, size, to, to_stride: stride });
        } else {
            for ((lane, k), &x) in x.indexed_iter() {
                to[k * stride + lane] = x;
            }
        }
    }

    /// Writes the value of the first output and the adjoints of the inputs for each lane that is good: no comparison came
    /// out otherwise than recorded, and all results are finite. Returns the lanes that are not.
    pub(super) fn results(
        &mut self,
        mut values: ArrayViewMut1<'_, F>,
        mut gradients: ArrayViewMut2<'_, F>,
    ) -> &[usize] {
        let (lanes, n) = gradients.dim();
        let stride = self.group.stride;
        let (below, adjoints) = self.values.split_at_mut(self.adjoints);
        let adjoints = &mut adjoints[..n * stride];
        let output = &below[self.group.first..][..lanes];
        let failed = &self.scratch.failed[..lanes];
        self.bad.clear();
        let finite = self.arch.dispatch(Settle { output, adjoints: &mut *adjoints, stride });
        if !finite || !self.same_branches {
            let is_finite = |lane: usize| {
                let mut adjoints = adjoints[lane..].iter().step_by(stride);
                output[lane].is_finite_throughout() && adjoints.all(|d| d.is_finite_throughout())
            };
            self.bad.extend((0..lanes).filter(|&lane| failed[lane] || !is_finite(lane)));
        }
        match gradients.as_slice_mut() {
            Some(to) if self.bad.is_empty() => {
                let (from, size) = (&*adjoints, [n, lanes]);
                self.arch.dispatch(CopyTransposed { from, from_stride: stride, size, to, to_stride: n });
                values.assign(&ArrayView1::from(output));
            }
            _ => {
                let mut bad = self.bad.iter().peekable();
                for (lane, mut row) in gradients.outer_iter_mut().enumerate() {
                    if bad.next_if_eq(&&lane).is_none() {
                        row.iter_mut().zip(adjoints[lane..].iter().step_by(stride)).for_each(|(to, &d)| *to = d);
                        values[lane] = output[lane];
                    }
                }
            }
        }
        &self.bad
    }

    /// Sets inputs that are uniform, from number `first` on.
    pub(super) fn set(&mut self, first: usize, x: &[F]) {
        for (k, &x) in x.iter().enumerate() {
            self.values[(first + k) * self.group.stride] = x;
        }
    }

    /// Runs the directions of some colours, whose coordinates are the inputs from `first` on: 1 for those of one colour.
    /// Calls `f(self, colors)` for the colours that are the lanes of a run. Returns false if a comparison came out
    /// otherwise.
    pub(super) fn each_color(
        &mut self,
        first: usize,
        coloring: &Coloring,
        mut f: impl FnMut(&Self, Range<usize>),
    ) -> bool {
        let width = self.width();
        for from in (0..coloring.count).step_by(width) {
            let colors = from..coloring.count.min(from + width);
            for (k, color) in coloring.of.iter().enumerate() {
                let lanes = self.input(first + k);
                lanes.fill(F::zero());
                if colors.contains(color) {
                    lanes[color - from] = F::one();
                }
            }
            self.run(colors.len());
            if !self.same_branches {
                return false;
            }
            f(self, colors);
        }
        true
    }

    /// Runs the first `lanes` lanes.
    pub(super) fn run(&mut self, lanes: usize) {
        self.group.bounds[1] = lanes as u32;
        if !self.same_branches {
            self.scratch.failed.fill(false);
        }
        let Self { arch, ops, group, code, values, scratch, .. } = self;
        self.same_branches = false;
        let slots = Slots { values, adjoints: &mut [], turn: 0 };
        self.same_branches = tiles::run(*arch, group, code, ops, slots, scratch);
    }

    /// The values of output `k`, lane by lane.
    pub(super) fn output(&self, k: usize) -> &[F] {
        &self.values[self.group.first + k * self.group.stride..][..self.width()]
    }

    /// The adjoints of input `k`, lane by lane. A zero may have either sign.
    pub(super) fn adjoint(&self, k: usize) -> &[F] {
        &self.values[self.adjoints + k * self.group.stride..][..self.width()]
    }
}

/// Makes 0 of each adjoint that is -0. Returns true if all results are finite.
struct Settle<'a, F> {
    output: &'a [F],
    /// The adjoints of an input begin at each multiple of `stride`.
    adjoints: &'a mut [F],
    stride: usize,
}

impl<F: BaseFloat> WithSimd for Settle<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { output, adjoints, stride } = self;
        let mut good = kernels::are_finite(simd, output);
        for adjoints in adjoints.chunks_exact_mut(stride) {
            good &= kernels::settle(simd, &mut adjoints[..output.len()]);
        }
        good
    }
}
