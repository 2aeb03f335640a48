//! Tile code: a body as instructions on rows of lanes.

use smallvec::SmallVec;

use super::body::Signs;
use super::ops::{ADD, DIV, MUL, NEG, OpId, SQUARE, SUB};
use crate::number::BaseFloat;
use crate::recording::Test;
use crate::slices::rows::Source;

/// The bytes of the longest vector.
const VECTOR: usize = 64;

/// Lanes are computed in multiples of this number; what is behind the last lane is never used.
pub(super) const fn lanes_of<F>() -> usize {
    VECTOR / size_of::<F>()
}

/// The distance of rows of so many lanes. Rows at multiples of 4 kB would share the places of a cache.
pub(super) const fn pitch<F>(width: usize) -> usize {
    width + lanes_of::<F>()
}

/// Where the numbers of an operand are while a tile runs: in a row, or in one place for all lanes.
///
/// Rows count from the [`Slice`]s that a tile reads; then come the roots' values, then rows of the tile's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

impl At {
    const UNIFORM: u32 = 1 << 31;

    pub(super) fn row(k: u32) -> Self {
        debug_assert!(k < Self::UNIFORM, "row {k}");
        Self(k)
    }

    pub(super) fn uniform(place: u32) -> Self {
        Self(place | Self::UNIFORM)
    }

    #[inline(always)]
    pub(super) fn is_uniform(self) -> bool {
        self.0 >= Self::UNIFORM
    }

    /// The number of the row, or the place of the number.
    #[inline(always)]
    pub(super) fn index(self) -> u32 {
        self.0 & !Self::UNIFORM
    }

    /// The operand, given the numbers that all lanes share.
    #[inline(always)]
    pub(super) fn source<F: BaseFloat>(self, uniforms: &[F]) -> Source<F> {
        if !self.is_uniform() {
            Source::Row(self.0)
        } else if self == ABSENT {
            Source::Number(F::zero())
        } else {
            Source::Number(uniforms[self.index() as usize])
        }
    }
}

/// In place of an operand that is not there.
pub(super) const ABSENT: At = At(u32::MAX);

/// A slice of lanes that a tile reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slice {
    Operand(u32),
    Constant(u32),
    /// The adjoints of the roots.
    Cotangent,
}

/// The work of an instruction. All kinds stand side by side, so that an instruction takes one jump (see M37 in
/// docs/MEASUREMENTS.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    // Arithmetic. The letters stand for the operands: R for a row, N for one number of all lanes.
    CopyR,
    CopyN,
    NegR,
    SquareR,
    AddRR,
    AddRN,
    SubRR,
    SubRN,
    SubNR,
    MulRR,
    MulRN,
    DivRR,
    DivRN,
    DivNR,
    /// a b + c.
    PlusRRR,
    PlusRRN,
    PlusNRR,
    PlusNRN,
    /// a b - c.
    MinusRRR,
    MinusRRN,
    MinusNRR,
    MinusNRN,
    /// c - a b.
    ReverseRRR,
    ReverseRRN,
    ReverseNRR,
    ReverseNRN,
    /// A row of the table.
    Row(OpId),
    /// The sum of products with this number.
    Dot(u32),
    /// Into the sum with this number: a, or a b where b is given.
    Reduce(u32),
    /// Eight of these at once, from this place in the list of reductions' operands.
    Reduce8(u32),
    /// To the adjoints of an operand: a, or a b where b is given.
    Pull(u32),
    Guard(Test, bool),
}

impl Kind {
    /// An operation of the graph, and its operands in the order in which the kind has them.
    pub(super) fn apply(op: OpId, mut x: [At; 3]) -> (Self, [At; 3]) {
        use Kind::{AddRN, AddRR, DivNR, DivRN, DivRR, MulRN, MulRR, NegR, Row, SquareR, SubNR, SubRN, SubRR};
        if matches!(op, ADD | MUL) && x[0].is_uniform() {
            x.swap(0, 1);
        }
        let rows = x.map(|x| !x.is_uniform());
        let kind = match (op, rows) {
            (NEG, [true, ..]) => NegR,
            (SQUARE, [true, ..]) => SquareR,
            (ADD, [true, true, _]) => AddRR,
            (ADD, [true, false, _]) => AddRN,
            (SUB, [true, true, _]) => SubRR,
            (SUB, [true, false, _]) => SubRN,
            (SUB, [false, true, _]) => SubNR,
            (MUL, [true, true, _]) => MulRR,
            (MUL, [true, false, _]) => MulRN,
            (DIV, [true, true, _]) => DivRR,
            (DIV, [true, false, _]) => DivRN,
            (DIV, [false, true, _]) => DivNR,
            (NEG | SQUARE | ADD | SUB | MUL | DIV, _) => unreachable!("no operand differs from lane to lane"),
            _ => Row(op),
        };
        (kind, x)
    }

    /// A product with a third operand, and the operands in the order in which the kind has them.
    pub(super) fn fused(signs: Signs, mut x: [At; 3]) -> (Self, [At; 3]) {
        use Kind::{
            MinusNRN, MinusNRR, MinusRRN, MinusRRR, PlusNRN, PlusNRR, PlusRRN, PlusRRR, ReverseNRN, ReverseNRR,
            ReverseRRN, ReverseRRR,
        };
        if x[1].is_uniform() {
            x.swap(0, 1);
        }
        debug_assert!(!x[1].is_uniform(), "products of uniform numbers are uniform");
        let kinds = match signs {
            Signs::Plus => [PlusRRR, PlusRRN, PlusNRR, PlusNRN],
            Signs::Minus => [MinusRRR, MinusRRN, MinusNRR, MinusNRN],
            Signs::Reverse => [ReverseRRR, ReverseRRN, ReverseNRR, ReverseNRN],
        };
        (kinds[2 * usize::from(x[0].is_uniform()) + usize::from(x[2].is_uniform())], x)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Inst {
    pub(super) kind: Kind,
    pub(super) out: At,
    pub(super) x: [At; 3],
}

/// An instruction on numbers that all lanes share.
#[derive(Clone, Copy, Debug)]
pub(super) struct UniformInst {
    pub(super) op: OpId,
    pub(super) out: u32,
    pub(super) x: [u32; 3],
}

/// A sum over lanes.
#[derive(Clone, Debug)]
pub(super) struct Reduction {
    /// The operand whose adjoint takes the sum; [`NONE`] for the value of the roots, which go into a sum.
    pub(super) operand: u32,
    /// Operations on the sum, from the first: factors of every term.
    pub(super) factors: SmallVec<[Factor; 2]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Factor {
    Minus,
    Times(u32),
    Over(u32),
}

/// start + Σ aₖ bₖ.
#[derive(Clone, Debug)]
pub(super) struct TileDot {
    pub(super) start: At,
    /// Pairs of rows, or of a uniform place and a row.
    pub(super) products: Vec<(u32, u32)>,
    /// True if the first factor of every product is one number for all lanes.
    pub(super) by_uniform: bool,
}

/// The instructions of a body.
#[derive(Clone, Debug)]
pub(super) struct Code<F> {
    pub(super) prologue: Vec<UniformInst>,
    pub(super) main: Vec<Inst>,
    pub(super) dots: Vec<TileDot>,
    pub(super) eights: Vec<Eight>,
    pub(super) reductions: Vec<Reduction>,
    /// The constants among the uniform numbers, which come first.
    pub(super) numbers: Vec<F>,
    /// The operands that are uniform, with their places among the uniform numbers.
    pub(super) uniform_operands: Vec<(u32, u32)>,
    /// The place of a cotangent that is uniform.
    pub(super) uniform_cotangent: Option<u32>,
    pub(super) uniforms: usize,
    pub(super) slices: Vec<Slice>,
    /// The roots whose values the tile computes or copies, from the first.
    pub(super) roots: usize,
    /// The rows of the tile's own.
    pub(super) rows: usize,
    pub(super) width: usize,
}

/// Eight reductions: their numbers, and their factors. Plain sums have no second factors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eight {
    pub(super) sums: [u32; 8],
    pub(super) a: [u32; 8],
    pub(super) b: Option<[u32; 8]>,
    /// True if all second factors are one row.
    pub(super) shared: bool,
}

impl<F> Code<F> {
    /// The number of instructions of each kind, as text.
    pub(super) fn count(&self) -> String {
        let mut counts = [
            ("arithmetic", 0),
            ("rows", 0),
            ("sums of products", 0),
            ("sums over lanes", 0),
            ("added", 0),
            ("guards", 0),
        ];
        for inst in &self.main {
            counts[match inst.kind {
                Kind::Row(_) => 1,
                Kind::Dot(_) => 2,
                Kind::Reduce(_) | Kind::Reduce8(_) => 3,
                Kind::Pull(_) => 4,
                Kind::Guard(..) => 5,
                _ => 0,
            }]
            .1 += 1;
        }
        let texts: Vec<String> = counts.iter().filter(|c| c.1 > 0).map(|(name, n)| format!("{n} {name}")).collect();
        texts.join(", ")
    }
}
