//! Random programs and points.

use proptest::prelude::*;
use wengert::rules::{BINARY, UNARY};

use crate::support::programs::{INPUTS, Program, Step};
use crate::support::structures::{ACCESSES, Structure, USES};

/// A straight-line program, in which a value may be used many times or never.
pub(crate) fn programs() -> impl Strategy<Value = Program> {
    let step = (0..UNARY.len() + BINARY.len(), any::<[usize; 2]>(), any::<bool>());
    let step = step.prop_map(|(row, operands, retain)| Step { row, operands, retain });
    prop::collection::vec(step, 1..16)
}

pub(crate) fn points() -> impl Strategy<Value = [f64; INPUTS]> {
    prop::array::uniform3(-2.0..2.0)
}

/// A program of a few functions that are generic over the number.
pub(crate) fn menus() -> impl Strategy<Value = Vec<(u8, [usize; 2])>> {
    prop::collection::vec((0_u8..12, any::<[usize; 2]>()), 1..20)
}

pub(crate) fn structures() -> impl Strategy<Value = Structure> {
    let of = (0..ACCESSES.len(), 0..USES.len(), menus(), 1..150_usize);
    of.prop_map(|(access, of, expression, terms)| Structure {
        access: ACCESSES[access],
        of: USES[of],
        expression,
        terms,
    })
}
