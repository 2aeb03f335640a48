//! The list of a recording's steps, in 16 bytes a step: the memory that a long recording fills takes most of its time.

use super::step::{Source, Step, printed};
use crate::number::BaseFloat;
use crate::number::rules::{self, BinaryOp, UnaryOp};
use crate::number::table::for_each_rule;

/// A list of steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps<F = f64> {
    packed: Vec<Packed>,
    /// The rows of one operand, which may have long parameters; `Packed::Unary` has the index.
    rows: Vec<UnaryOp<F>>,
}

/// A [`Step`] in 16 bytes.
#[derive(Clone, Copy, Debug)]
enum Packed {
    Input(u32),
    Unary(u32, Operand),
    Binary(BinaryOp, [Operand; 2]),
    MulAdd([Operand; 3]),
}

const _: () = assert!(size_of::<Packed>() == 16);

/// A [`Source`] in 4 bytes: the highest bit is set for a constant.
#[derive(Clone, Copy, Debug)]
struct Operand(u32);

/// The number of steps, and of constants, that operands can tell apart.
pub(super) const MAX_SOURCES: usize = 1 << 31;

impl Operand {
    #[inline]
    fn of(source: Source) -> Self {
        match source {
            Source::Step(i) => Self(i),
            Source::Constant(i) => Self(i | 1 << 31),
        }
    }

    #[inline]
    fn source(self) -> Source {
        let i = self.0 & !(1 << 31);
        if i == self.0 { Source::Step(i) } else { Source::Constant(i) }
    }
}

/// For each row of one operand, the parameters of its last step and the place of the two in the list of rows.
#[derive(Debug)]
pub(super) struct LastRows([Option<([u64; 2], u32)>; UNARY_ROWS]);

impl Default for LastRows {
    fn default() -> Self {
        Self([None; UNARY_ROWS])
    }
}

impl<F: BaseFloat> Steps<F> {
    pub(crate) fn len(&self) -> usize {
        self.packed.len()
    }

    /// The step number `i`.
    ///
    /// # Panics
    ///
    /// If there is no such step.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> Step<F> {
        self.unpack(self.packed[i])
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Step<F>> + ExactSizeIterator {
        self.packed.iter().map(|&packed| self.unpack(packed))
    }

    #[inline]
    fn unpack(&self, packed: Packed) -> Step<F> {
        match packed {
            Packed::Input(i) => Step::Input(i),
            Packed::Unary(row, x) => Step::Unary(self.rows[row as usize], x.source()),
            Packed::Binary(op, ab) => Step::Binary(op, ab.map(Operand::source)),
            Packed::MulAdd(abc) => Step::MulAdd(abc.map(Operand::source)),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, step: Step<F>, last: &mut LastRows) {
        let packed = match step {
            Step::Input(i) => Packed::Input(i),
            Step::Unary(op, x) => Packed::Unary(self.row(op, last), Operand::of(x)),
            Step::Binary(op, ab) => Packed::Binary(op, ab.map(Operand::of)),
            Step::MulAdd(abc) => Packed::MulAdd(abc.map(Operand::of)),
        };
        self.packed.push(packed);
    }

    /// The place of the row in the list of rows, a new one if its parameters differ from those of its last step.
    #[inline]
    fn row(&mut self, op: UnaryOp<F>, last: &mut LastRows) -> u32 {
        let (row, parameters) = identity(op);
        match last.0[row] {
            Some((same, place)) if same == parameters => place,
            _ => {
                let place = self.rows.len() as u32;
                self.rows.push(op);
                last.0[row] = Some((parameters, place));
                place
            }
        }
    }

    /// The steps for texts: their parameters [print alike](printed).
    pub(super) fn printed(&self) -> Steps {
        Steps { packed: self.packed.clone(), rows: self.rows.iter().map(|&op| printed_op(op)).collect() }
    }
}

/// The bits of a parameter, which tell 0 and -0 apart.
macro_rules! parameter_bits {
    (B, $p:expr) => {
        bits($p)
    };
    ($other:ident, $p:expr) => {
        i64::from($p) as u64
    };
}

/// The parameter in numbers that print alike; integers stay.
macro_rules! printed_parameter {
    (B, $p:expr) => {
        printed($p)
    };
    ($other:ident, $p:expr) => {
        $p
    };
}

macro_rules! unary_rows {
    (
        unary std { $( [$($_sdoc:literal)+] [$_sformula:literal] $sname:ident($($sp:ident : $sty:ident),*) )+ }
        unary own { $( [$($_doc:literal)+] [$_formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary_std:tt)* }
        binary own { $($_binary_own:tt)* }
    ) => {
        unary_rows! { @ neg() $($sname($($sp: $sty),*))+ $($name($($p: $ty),*))+ }
    };
    (@ $($name:ident($($p:ident : $ty:ident),*))+) => {
        const UNARY_ROWS: usize = [$( stringify!($name) ),+].len();

        /// The number of the row, and its parameters as bits.
        #[inline]
        fn identity<F: BaseFloat>(op: UnaryOp<F>) -> (usize, [u64; 2]) {
            #[allow(non_camel_case_types)]
            enum Row { $( $name ),+ }
            match op {
                $( UnaryOp::$name(_rule) => (Row::$name as usize, padded([$( parameter_bits!($ty, _rule.$p) ),*])), )+
            }
        }

        /// The row with parameters that [print alike](printed).
        fn printed_op<F: BaseFloat>(op: UnaryOp<F>) -> UnaryOp<f64> {
            match op {
                $( UnaryOp::$name(_rule) => rules::$name::new($( printed_parameter!($ty, _rule.$p) ),*).into(), )+
            }
        }
    };
}
for_each_rule!(unary_rows);

#[inline]
fn padded<const N: usize>(parameters: [u64; N]) -> [u64; 2] {
    std::array::from_fn(|i| parameters.get(i).copied().unwrap_or(0))
}

/// The bits of a base float as `f64`: different for different numbers, 0 and -0 included.
#[inline]
pub(super) fn bits<F: BaseFloat>(x: F) -> u64 {
    x.to_f64().expect("a base float converts").to_bits()
}
