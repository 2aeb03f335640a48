//! The solution of linear systems as one operation, whatever the factors are.

use super::batch::{Columns, Matrices, Systems, part, part_mut};
use crate::arena::Arena;
use crate::number::Scalar;
use crate::slices::gemm::{Mat, MatMut, Store, matmul};
use crate::tape::OperationKind;
use crate::tensor::handle::Tensor;

/// Factors of a stack of matrices: a function that overwrites X, in row-major order and with this number of columns, with
/// A⁻¹X, or with A⁻ᵀX if the flag is true, for the matrix A of an index.
pub(super) trait Solver<F>: Fn(usize, &mut [F], usize, bool, &Arena) {}
impl<F, S: Fn(usize, &mut [F], usize, bool, &Arena)> Solver<F> for S {}

/// The solution X of AX = B, or of Aᵀ X = B if `transposed`. The cotangent of A is B' = A⁻ᵀX' times −Xᵀ on the elements that
/// `is_read` names, 0 on the others.
#[track_caller]
pub(super) fn solve_systems<'t, F: Scalar, D: Matrices, E: Columns<D>>(
    operation: &'static str,
    matrix: Tensor<'t, F, D>,
    Systems { b, columns, of_matrix }: Systems<'t, F, E>,
    transposed: bool,
    solver: impl Solver<F> + 't,
    is_read: impl Fn(usize, usize) -> bool + 't,
) -> Tensor<'t, F, E> {
    let (tape, a, right) = (matrix.tape, matrix.node, b.node);
    let [n, _] = matrix.matrix_shape();
    let len = n * columns;
    let x = tape.arena().alloc_slice_fill_iter(right.values.iter().copied());
    for (i, &of) in of_matrix.iter().enumerate() {
        solver(of, part_mut(x, i, len), columns, transposed, tape.arena());
    }
    let x = &*x;
    let constant = a.is_constant() && right.is_constant();
    let kind = OperationKind::binary(operation, a.source(), right.source());
    Tensor::result(tape, kind, b.dim(), x, constant, move |cotangents| {
        let arena = cotangents.arena;
        let db = arena.alloc_slice_copy(cotangents.of_result);
        for (i, &of) in of_matrix.iter().enumerate() {
            solver(of, part_mut(db, i, len), columns, !transposed, arena);
        }
        right.accumulate(&mut cotangents.of_operands, db);
        if a.is_constant() {
            return;
        }
        let da = arena.alloc_slice_fill_copy(a.len(), F::zero());
        let columns_of = |x, i| Mat::new(part(x, i, len), 0, [n, columns], [columns as isize, 1]);
        for (i, &of) in of_matrix.iter().enumerate() {
            let (db, x) = (columns_of(db, i), columns_of(x, i));
            let (left, right) = if transposed { (x, db) } else { (db, x) };
            let da = MatMut::new(part_mut(da, of, n * n), 0, [n, n], [n as isize, 1]);
            matmul(da, left, right.t(), Store::Add);
        }
        for (place, d) in da.iter_mut().enumerate() {
            *d = if is_read(place / n % n, place % n) { -*d } else { F::zero() };
        }
        a.accumulate(&mut cotangents.of_operands, da);
    })
}
