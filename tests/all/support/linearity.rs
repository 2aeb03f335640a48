//! Checks of operations that only move elements.
//!
//! Values are compared with ndarray's on the same data. Gradients follow from linearity: with integers
//! (Jᵀw)ᵢ = ⟨g(x + eᵢ) - g(x), w⟩ holds exactly, where g is ndarray's version of the operation.

// The tensor's and ndarray's version of an operation stand side by side as closures.
#![allow(clippy::redundant_closure_for_method_calls)]

use ndarray::{Array, Array2, ArrayView, Axis, Dimension, Ix2, s};
use wengert::{Tape, Tensor, Var};

pub(crate) type Matrix<'t> = Tensor<'t, f64, Ix2>;

/// An array of pseudo-random integers in [-20, 20]: the multiplicative congruential generator of Park and Miller
/// 1988 with the multiplier of their reply of 1993.
pub(crate) fn integers<Sh: ndarray::ShapeBuilder>(shape: Sh, seed: u64) -> Array<f64, Sh::Dim> {
    let mut state = seed + 1;
    Array::from_shape_simple_fn(shape, || {
        state = state * 48_271 % 2_147_483_647;
        (state % 41) as f64 - 20.0
    })
}

/// The weighted sum Σ yᵢwᵢ.
pub(crate) fn weigh<'t, D: Dimension>(y: Tensor<'t, f64, D>, w: &Array<f64, D>) -> Var<'t> {
    y.iter().zip(w).map(|(y, &w)| y * w).sum()
}

/// Checks value and gradient of an operation on a view of an input against ndarray's version of both. Returns the
/// number of slots that the operation recorded.
#[track_caller]
pub(crate) fn check_on<D: Dimension, E: Dimension, G: Dimension>(
    input: &Array<f64, D>,
    view: impl for<'t> Fn(Tensor<'t, f64, D>) -> Tensor<'t, f64, E>,
    operation: impl for<'t> Fn(Tensor<'t, f64, E>) -> Tensor<'t, f64, G>,
    reference: impl Fn(&Array<f64, D>) -> Array<f64, G>,
) -> usize {
    let expected = reference(input);
    let tape = Tape::new();
    let x = tape.tensor(input);
    let operand = view(x);
    let before = tape.len();
    let y = operation(operand);
    let recorded = tape.len() - before;
    assert_eq!(y.value(), expected);

    if !y.is_empty() {
        let w = integers(expected.raw_dim(), 7);
        let gradient = weigh(y, &w).backward().wrt(x);
        for (i, &partial) in gradient.iter().enumerate() {
            let mut moved = input.clone();
            *moved.iter_mut().nth(i).unwrap() += 1.0;
            let change = ((reference(&moved) - &expected) * &w).sum();
            assert_eq!(partial, change, "element {i} of {gradient}");
        }
    }

    let tape = Tape::new();
    let constant = operation(view(tape.constant(input)));
    assert_eq!(constant.value(), expected);
    assert!(constant.is_constant() && tape.is_empty());
    recorded
}

#[track_caller]
pub(crate) fn check<D: Dimension, G: Dimension>(
    input: &Array<f64, D>,
    operation: impl for<'t> Fn(Tensor<'t, f64, D>) -> Tensor<'t, f64, G>,
    reference: impl Fn(&Array<f64, D>) -> Array<f64, G>,
) -> usize {
    check_on(input, |x| x, operation, reference)
}

/// An input, and the view or result of it that is a matrix of shape (3, 4).
pub(crate) struct Origin {
    pub(crate) input: Array2<f64>,
    pub(crate) tensor: for<'t> fn(Matrix<'t>) -> Matrix<'t>,
    pub(crate) array: for<'a> fn(ArrayView<'a, f64, Ix2>) -> Array2<f64>,
}

/// Every kind of operand: an input, its transpose, strided and reversed slices, a repeated row and column, the
/// result of an operation, and a view of a view of a result.
pub(crate) fn origins() -> [Origin; 8] {
    fn origin(
        shape: (usize, usize),
        tensor: for<'t> fn(Matrix<'t>) -> Matrix<'t>,
        array: for<'a> fn(ArrayView<'a, f64, Ix2>) -> Array2<f64>,
    ) -> Origin {
        Origin { input: integers(shape, 3), tensor, array }
    }
    [
        origin((3, 4), |x| x, |a| a.to_owned()),
        origin((4, 3), |x| x.t(), |a| a.t().to_owned()),
        origin((3, 9), |x| x.slice(s![..;-1, 1..;2]), |a| a.slice(s![..;-1, 1..;2]).to_owned()),
        origin((8, 3), |x| x.slice(s![..;-2, ..]).t(), |a| a.slice(s![..;-2, ..]).t().to_owned()),
        origin((2, 4), |x| x.row(1).broadcast((3, 4)), |a| a.row(1).broadcast((3, 4)).unwrap().to_owned()),
        origin(
            (3, 2),
            |x| x.column(1).insert_axis(Axis(1)).broadcast((3, 4)),
            |a| a.slice(s![.., 1..]).broadcast((3, 4)).unwrap().to_owned(),
        ),
        origin((3, 4), |x| x + x, |a| &a * 2.0),
        origin(
            (5, 6),
            |x| (x * 3.0).slice(s![1..4, 1..5]).flip(Axis(0)),
            |a| a.slice(s![1..4;-1, 1..5]).to_owned() * 3.0,
        ),
    ]
}

/// [`check_on`] with every origin; the number of recorded slots must be the same for all.
#[track_caller]
pub(crate) fn check_all<G: Dimension>(
    operation: impl for<'t> Fn(Matrix<'t>) -> Tensor<'t, f64, G>,
    reference: impl Fn(ArrayView<'_, f64, Ix2>) -> Array<f64, G>,
) -> usize {
    let recorded = origins().map(|origin| {
        check_on(&origin.input, origin.tensor, &operation, |input| reference((origin.array)(input.view()).view()))
    });
    assert!(recorded.iter().all(|&n| n == recorded[0]), "{recorded:?}");
    recorded[0]
}

/// [`check_all`] for a view, which records nothing.
#[track_caller]
pub(crate) fn check_view<G: Dimension>(
    operation: impl for<'t> Fn(Matrix<'t>) -> Tensor<'t, f64, G>,
    reference: impl Fn(ArrayView<'_, f64, Ix2>) -> Array<f64, G>,
) {
    assert_eq!(check_all(operation, reference), 0);
}
