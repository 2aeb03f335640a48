//! A whole graph for many points, or many directions, at once: each is a lane.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};
use pulp::{Arch, Simd, WithSimd};

use super::body::{Body, Facts, Pass};
use super::code::{Code, lanes_of};
use super::cones::Shape;
use super::graph::Graph;
use super::memory::Memory;
use super::ops::Ops;
use super::tiles::{self, Group, Pattern, PerTurn, Scratch, Slots};
use crate::number::BaseFloat;
use crate::slices::simd::copy_transposed;
use crate::sparse::Coloring;

/// A graph whose inputs are lanes, or numbers for all lanes.
#[derive(Clone, Debug)]
pub(super) struct Batch<F> {
    arch: Arch,
    ops: Ops<F>,
    group: Group<F>,
    code: Code<F>,
    values: Memory<F>,
    adjoints: Memory<F>,
    scratch: Scratch<F>,
    active: usize,
    /// For each lane 0, or NaN where a result is not finite.
    checks: Vec<F>,
    good: Vec<bool>,
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
        let size = first + graph.outputs.len() * stride;
        Self {
            arch: Arch::new(),
            ops,
            group,
            code,
            values: Memory::zeros(size),
            adjoints: Memory::zeros(size),
            scratch,
            active,
            checks: Vec::with_capacity(lanes),
            good: Vec::with_capacity(lanes),
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
            copy_transposed(rows, x.ncols(), [x.nrows(), x.ncols()], to, stride);
        } else {
            for ((lane, k), &x) in x.indexed_iter() {
                to[k * stride + lane] = x;
            }
        }
    }

    /// Writes the value of the first output and the adjoints of the inputs for each lane that is good: no comparison came
    /// out otherwise than recorded, and all results are finite. Returns which ones are.
    pub(super) fn results(&mut self, mut values: ArrayViewMut1<'_, F>, mut gradients: ArrayViewMut2<'_, F>) -> &[bool] {
        let (lanes, n) = gradients.dim();
        let stride = self.group.stride;
        let output = &self.values[self.group.first..][..lanes];
        self.checks.clear();
        self.checks.resize(lanes, F::zero());
        let failed = &self.scratch.failed[..lanes];
        let all = self.arch.dispatch(Settle {
            output,
            adjoints: &mut self.adjoints[..n * stride],
            stride,
            checks: &mut self.checks,
            failed,
        });
        self.good.clear();
        if all {
            self.good.resize(lanes, true);
        } else {
            self.good.extend(self.checks.iter().zip(failed).map(|(&check, &failed)| !failed && check == F::zero()));
        }
        match gradients.as_slice_mut() {
            Some(rows) if all => copy_transposed(&self.adjoints, stride, [n, lanes], rows, n),
            _ => {
                for (lane, mut row) in gradients.outer_iter_mut().enumerate().filter(|&(lane, _)| self.good[lane]) {
                    row.iter_mut().zip(self.adjoints[lane..].iter().step_by(stride)).for_each(|(to, &d)| *to = d);
                }
            }
        }
        if all {
            values.assign(&ArrayView1::from(output));
        } else {
            let good = values.iter_mut().zip(output).zip(&self.good).filter(|(_, good)| **good);
            good.for_each(|((to, &value), _)| *to = value);
        }
        &self.good
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
            if self.failed()[..colors.len()].contains(&true) {
                return false;
            }
            f(self, colors);
        }
        true
    }

    /// Runs the first `lanes` lanes.
    pub(super) fn run(&mut self, lanes: usize) {
        self.group.bounds[1] = lanes as u32;
        let stride = self.group.stride;
        for adjoints in self.adjoints[..self.active * stride].chunks_exact_mut(stride) {
            adjoints[..lanes].fill(F::zero());
        }
        self.scratch.failed[..lanes].fill(false);
        let Self { arch, ops, group, code, values, adjoints, scratch, .. } = self;
        tiles::run(*arch, group, code, ops, Slots { values, adjoints, turn: 0 }, scratch);
    }

    /// For each lane, true if a comparison came out otherwise.
    pub(super) fn failed(&self) -> &[bool] {
        &self.scratch.failed
    }

    /// The values of output `k`, lane by lane.
    pub(super) fn output(&self, k: usize) -> &[F] {
        &self.values[self.group.first + k * self.group.stride..][..self.width()]
    }

    /// The adjoints of input `k`, lane by lane; their sum comes first if the input is uniform.
    pub(super) fn adjoint(&self, k: usize) -> &[F] {
        &self.adjoints[k * self.group.stride..][..self.width()]
    }
}

/// Makes 0 of each adjoint that is -0, as for a single point, and sets `checks` to 0 for the lanes whose results are finite,
/// to NaN for the others. Returns true if all lanes are good.
struct Settle<'a, F> {
    output: &'a [F],
    /// The adjoints of an input begin at each multiple of `stride`.
    adjoints: &'a mut [F],
    stride: usize,
    checks: &'a mut [F],
    failed: &'a [bool],
}

impl<F: BaseFloat> WithSimd for Settle<'_, F> {
    type Output = bool;

    #[inline(always)]
    #[allow(clippy::needless_bitwise_bool)] // `&&` is a branch
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { output, adjoints, stride, checks, failed } = self;
        // 0 · x is 0 only for a finite number.
        for (check, &x) in checks.iter_mut().zip(output) {
            *check = x * F::zero();
        }
        for adjoints in adjoints.chunks_exact_mut(stride) {
            for (check, d) in checks.iter_mut().zip(adjoints) {
                *d += F::zero();
                *check += *d * F::zero();
            }
        }
        // Without a branch, so that the loop is one of vectors.
        checks.iter().zip(failed).fold(true, |all, (&check, &failed)| all & (check == F::zero()) & !failed)
    }
}
