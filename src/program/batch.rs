//! A whole graph for many points, or many directions, at once: each is a lane.

use std::ops::Range;

use pulp::Arch;

use super::body::{Body, Facts, Pass};
use super::code::{Code, lanes_of};
use super::cones::Shape;
use super::graph::Graph;
use super::memory::Memory;
use super::ops::Ops;
use super::tiles::{self, Group, Pattern, PerTurn, Scratch, Slots};
use crate::number::BaseFloat;
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
        let size = self.active * self.group.stride;
        self.adjoints[..size].fill(F::zero());
        self.scratch.failed.fill(false);
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
