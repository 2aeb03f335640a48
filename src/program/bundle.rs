//! Bundles: cones of one shape, as the operations that all share and what each one reads.

use super::graph::Graph;
use super::ops::{CONSTANT, INPUT, OpId};
use super::table::NONE;
use crate::number::BaseFloat;
use crate::recording::Test;

/// The least number of lanes that a group should have.
pub(super) const FEW: usize = 16;

/// The same for cones of at least [`HEAVY`] operations: to begin an instruction costs as much as some lanes do.
pub(super) const FEW_HEAVY: usize = 8;
pub(super) const HEAVY: usize = 8;

/// An operand within a cone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ref {
    /// A node of the cone, by its place.
    Local(u32),
    /// A number from outside, by its place among the cone's operands.
    Operand(u32),
    /// A constant, by its place among the cone's constants.
    Constant(u32),
}

/// The operations of each lane of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Operations, each with the place and the number of its operands in `refs`.
    pub(super) nodes: Vec<(OpId, u32, u32)>,
    pub(super) refs: Vec<Ref>,
    pub(super) guards: Vec<(Test, [Ref; 2], bool)>,
    /// The values that are wanted outside: one for the cones of tiles, none for a guard that is alone.
    pub(super) roots: Vec<Ref>,
    pub(super) operands: usize,
    pub(super) constants: usize,
}

impl Shape {
    /// A whole graph as one cone, whose operands are the inputs and whose roots are the outputs.
    pub(super) fn whole<F: BaseFloat>(graph: &Graph<F>) -> (Self, Vec<Option<F>>) {
        let mut shape = Self { operands: graph.inputs, ..Self::default() };
        let mut constants = Vec::new();
        let mut place: Vec<Ref> = Vec::with_capacity(graph.nodes.len());
        for (i, node) in graph.nodes.iter().enumerate() {
            place.push(match node.op {
                INPUT => Ref::Operand(node.a),
                CONSTANT => {
                    constants.push(graph.constant(i as u32));
                    Ref::Constant(constants.len() as u32 - 1)
                }
                op => {
                    let first = shape.refs.len() as u32;
                    shape.refs.extend(graph.operands(i).map(|a| place[a as usize]));
                    shape.nodes.push((op, first, shape.refs.len() as u32 - first));
                    Ref::Local(shape.nodes.len() as u32 - 1)
                }
            });
        }
        shape.constants = constants.len();
        shape.roots = graph.outputs.iter().map(|&y| place[y as usize]).collect();
        shape.guards =
            graph.guards.iter().map(|g| (g.test, [g.a, g.b].map(|a| place[a as usize]), g.outcome)).collect();
        (shape, constants)
    }

    pub(super) fn refs(&self, i: usize) -> &[Ref] {
        let (_, first, len) = self.nodes[i];
        &self.refs[first as usize..][..len as usize]
    }
}

/// Cones of one shape: a group, before it is known how it is run.
pub(super) struct Bundle {
    pub(super) level: u32,
    /// The long sum that alone takes the results, or [`NONE`].
    pub(super) into: u32,
    /// The root of each lane; [`NONE`] for guards that are alone, and for the terms of a sum that are needed elsewhere,
    /// too.
    pub(super) roots: Vec<u32>,
    /// The operands, lane by lane.
    pub(super) operands: Vec<u32>,
    /// The constants, lane by lane.
    pub(super) constants: Vec<u32>,
    pub(super) shape: Shape,
    /// The shape in words.
    pub(super) key: Vec<u32>,
    /// The same for groups of one shape that go into sums, and of one shape that do not.
    pub(super) alike: u64,
    pub(super) hash: u64,
}

impl Bundle {
    /// The nodes as lanes, whose roots are numbered from `first` on.
    pub(super) fn copies(level: u32, first: u32, nodes: &[u32]) -> Self {
        let shape = Shape { operands: 1, roots: vec![Ref::Operand(0)], ..Shape::default() };
        Self {
            level,
            into: NONE,
            roots: (first..).take(nodes.len()).collect(),
            operands: nodes.to_vec(),
            constants: Vec::new(),
            shape,
            key: Vec::new(),
            alike: 0,
            hash: 0,
        }
    }

    pub(super) fn lanes(&self) -> usize {
        self.roots.len()
    }

    pub(super) fn has_few_lanes(&self) -> bool {
        self.lanes() < if self.shape.nodes.len() < HEAVY { FEW } else { FEW_HEAVY }
    }

    /// True if the group has too few lanes for tiles.
    pub(super) fn is_scalar(&self) -> bool {
        self.has_few_lanes() && self.into == NONE
    }

    /// Operand `i` of each lane.
    pub(super) fn operand(&self, i: usize) -> impl Iterator<Item = u32> + '_ {
        self.operands.iter().skip(i).step_by(self.shape.operands).copied()
    }

    /// Constant `i` of each lane.
    pub(super) fn constant(&self, i: usize) -> impl Iterator<Item = u32> + '_ {
        self.constants.iter().skip(i).step_by(self.shape.constants).copied()
    }

    /// The number of operations.
    pub(super) fn work(&self) -> usize {
        self.lanes() * self.shape.nodes.len().max(1)
    }
}
