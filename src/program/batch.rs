//! A whole graph for many points, or many directions, at once: each is a lane.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::body::{Body, Facts, Pass};
use super::code::{Code, lanes_of};
use super::cones::Shape;
use super::graph::Graph;
use super::memory::Memory;
use super::ops::Ops;
use super::tiles::{self, Group, Pattern, PerTurn, Scratch, Slots};
use crate::number::BaseFloat;

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
}

impl<F: BaseFloat> Batch<F> {
    /// The function at many points: a value and a gradient with respect to the first `n` inputs for each. The inputs from
    /// there on, the data, are those of all points.
    pub(super) fn points(graph: &Graph<F>, n: usize) -> Self {
        let uniform: Vec<bool> = (0..graph.inputs).map(|k| k >= n).collect();
        Self::new(graph, &uniform, n)
    }

    /// A derivative at one point for many directions, which are inputs of the graph, too. The first `active` inputs have
    /// an adjoint for each direction.
    pub(super) fn directions(graph: &Graph<F>, directions: Range<usize>, active: usize) -> Self {
        let uniform: Vec<bool> = (0..graph.inputs).map(|k| !directions.contains(&k)).collect();
        Self::new(graph, &uniform, active)
    }

    /// The graph with `uniform` inputs, and the gradient of its first output with respect to the inputs below `active`.
    fn new(graph: &Graph<F>, uniform: &[bool], active: usize) -> Self {
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

    /// Sets inputs that are uniform, from number `first` on.
    pub(super) fn set(&mut self, first: usize, x: &[F]) {
        for (k, &x) in x.iter().enumerate() {
            self.values[(first + k) * self.group.stride] = x;
        }
    }

    /// Runs the unit vectors of a space of `n` dimensions, whose coordinates are the inputs from `first` on, and calls
    /// `f(self, lane, i)` for each. Returns false if a comparison came out otherwise.
    pub(super) fn each_direction(&mut self, first: usize, n: usize, mut f: impl FnMut(&Self, usize, usize)) -> bool {
        for k in 0..n {
            self.input(first + k).fill(F::zero());
        }
        let width = self.width();
        for from in (0..n).step_by(width) {
            let lanes = width.min(n - from);
            for lane in 0..lanes {
                self.input(first + from + lane)[lane] = F::one();
            }
            self.run(lanes);
            if self.failed()[..lanes].contains(&true) {
                return false;
            }
            for lane in 0..lanes {
                f(self, lane, from + lane);
                self.input(first + from + lane)[lane] = F::zero();
            }
        }
        true
    }

    /// Runs the first `lanes` lanes.
    pub(super) fn run(&mut self, lanes: usize) {
        struct Run<'a, F>(&'a mut Batch<F>);
        impl<F: BaseFloat> WithSimd for Run<'_, F> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                let Batch { arch, ops, group, code, values, adjoints, scratch, .. } = self.0;
                tiles::run(simd, *arch, group, code, ops, Slots { values, adjoints, turn: 0 }, scratch);
            }
        }
        self.group.bounds[1] = lanes as u32;
        let size = self.active * self.group.stride;
        self.adjoints[..size].fill(F::zero());
        self.scratch.failed.fill(false);
        self.arch.dispatch(Run(self));
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
