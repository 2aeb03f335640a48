//! Dense layers: a product, a bias and an activation as one operation.

use ndarray::{Ix1, Ix2};

use super::elementwise::pull_term;
use super::handle::Tensor;
use super::products::{Matrix, Small, multiply, pull_product};
use crate::kernels;
use crate::kernels::{Fibers, Sum, UnaryLoops};
use crate::number::precompiled::precompiled;
use crate::number::{Scalar, rules};
use crate::slices::gemm::Store;
use crate::tape::{Cotangents, OperationKind, Tape};

/// An activation function of [`Tensor::dense`], applied to each element: functions of the [table](crate::rules).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// f(z) = z.
    #[default]
    Identity,
    /// [`Tensor::relu`].
    Relu,
    /// [`Tensor::sigmoid`].
    Sigmoid,
    /// [`Tensor::tanh`].
    Tanh,
}

/// Fills rows with copies of one.
fn repeat<F: Copy>(row: &[F], rows: &mut [F]) {
    rows[..row.len()].copy_from_slice(row);
    let mut done = row.len();
    while done < rows.len() {
        let (from, to) = rows.split_at_mut(done);
        let more = done.min(to.len());
        to[..more].copy_from_slice(&from[..more]);
        done += more;
    }
}

precompiled! {
    fn all_zero<F>(x: &[F]) -> bool {
        x.iter().all(|x| x.is_exact_zero())
    }

    fn relu_in_place<F>(z: &mut [F]) {
        kernels::map_in_place(rules::relu::new(), z);
    }
}

impl Activation {
    /// (u, y) with y = f(z), and u from which the derivative follows. The identity and relu work in place, and their u is y:
    /// z > 0 exactly where y > 0. Of the sigmoid u is z, which the tail of the derivative needs, of tanh the derivative.
    fn apply<'t, F: Scalar>(self, tape: &'t Tape<F>, z: &'t mut [F]) -> (&'t [F], &'t [F]) {
        fn map<'t, F: Scalar>(rule: impl UnaryLoops<F>, tape: &'t Tape<F>, z: &'t mut [F]) -> (&'t [F], &'t [F]) {
            let y = tape.arena().alloc_slice_fill_copy(z.len(), F::zero());
            rule.map(z, y);
            (z, y)
        }
        match self {
            Self::Identity => {}
            Self::Relu => relu_in_place(z),
            Self::Sigmoid => return map(rules::sigmoid::new(), tape, z),
            Self::Tanh => {
                let y = tape.arena().alloc_slice_fill_copy(z.len(), F::zero());
                kernels::tanh_and_slope_in_place(z, y);
                return (z, y);
            }
        }
        (z, z)
    }

    /// dz = dy f'(z), computed from the pair of `apply`; `dz` must hold zeros. Returns true if it still does.
    fn pull<F: Scalar>(self, (u, y): (&[F], &[F]), dy: &[F], dz: &mut [F]) -> bool {
        match self {
            Self::Identity => dz.copy_from_slice(dy),
            Self::Relu => rules::relu::new().map_pullback(u, y, dy, dz),
            Self::Sigmoid => rules::sigmoid::new().map_pullback(u, y, dy, dz),
            Self::Tanh => kernels::pull_by(u, dy, dz),
        }
        all_zero(dz)
    }
}

impl Activation {
    /// The cotangent dz of z from that of y, the result; `None` if it is zero throughout: then x and w get no cotangent, even
    /// where they are infinite or NaN, because the sweep would skip the pullback of a separate product as well.
    fn cotangent<'a, F: Scalar>(self, pair: (&[F], &[F]), cotangents: &Cotangents<'a, F>) -> Option<&'a [F]> {
        let dy = cotangents.of_result;
        if self == Self::Identity {
            return Some(dy); // for which the pullback is not called if it is zero
        }
        let dz = cotangents.arena.alloc_slice_fill_copy(dy.len(), F::zero());
        (!self.pull(pair, dy, dz)).then_some(dz)
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix2> {
    /// The affine map x w + b of each row, as one operation: shapes (m, k), (k, n) and (n) give (m, n).
    ///
    /// Same as `x.dot(w) + b`, without a buffer for the product. Pullbacks: dx = dy wᵀ,
    /// dw = xᵀ dy, db = Σ dy over the rows.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (ndarray::array![[1.0, 2.0], [3.0, 4.0]], ndarray::array![10.0, 20.0]);
    /// let (w, b) = (tape.tensor(&a), tape.tensor(&b));
    /// let x = ndarray::array![[1.0, 1.0], [0.0, 2.0], [1.0, 0.0]];
    /// let y = tape.constant(&x).affine(w, b);
    /// assert_eq!(y.value(), ndarray::array![[14.0, 26.0], [16.0, 28.0], [11.0, 22.0]]);
    /// assert_eq!(y.sum().backward().wrt(b), ndarray::array![3.0, 3.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the lengths do not fit or the tapes differ.
    #[doc(alias("linear", "addmm"))]
    #[track_caller]
    pub fn affine(self, weight: Self, bias: Tensor<'t, F, Ix1>) -> Self {
        self.layer(weight, bias, Activation::Identity, "affine")
    }

    /// f(x w + b) as one operation: [`affine`](Self::affine) followed by an [`Activation`], with one buffer for
    /// adjoints, and one for values or, of sigmoid and tanh, two.
    ///
    /// ```
    /// use wengert::Activation;
    ///
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (ndarray::array![[1.0, -1.0], [3.0, 4.0]], ndarray::array![1.0, 0.5]);
    /// let (w, b) = (tape.tensor(&a), tape.tensor(&b));
    /// let x = ndarray::array![[1.0, 0.0], [2.0, 1.0]];
    /// let x = tape.constant(&x);
    /// let y = x.dense(w, b, Activation::Relu);
    /// assert_eq!(y.value(), (x.dot(w) + b).relu().value());
    /// assert_eq!(y.sum().backward().wrt(w), ndarray::array![[3.0, 2.0], [1.0, 1.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`affine`](Self::affine).
    #[track_caller]
    pub fn dense(self, weight: Self, bias: Tensor<'t, F, Ix1>, activation: Activation) -> Self {
        self.layer(weight, bias, activation, "dense")
    }

    #[track_caller]
    fn layer(self, weight: Self, bias: Tensor<'t, F, Ix1>, activation: Activation, operation: &'static str) -> Self {
        self.assert_same_tape(weight);
        self.assert_same_tape(bias);
        let (tape, x, w, b) = (self.tape, self.node, weight.node, bias.node);
        let ((m, k), (l, n)) = (x.values.dim(), w.values.dim());
        assert!(
            k == l && n == b.len(),
            "{operation}: x of shape {:?}, weight {:?} and bias {:?} do not fit: it takes (m, k), (k, n) and (n)",
            x.shape(),
            w.shape(),
            b.shape()
        );
        let values = tape.arena().values(operation, &[m, n], F::zero());
        let kind = OperationKind::binary(operation, x.source(), w.source());
        let constant = x.is_constant() && w.is_constant() && b.is_constant();
        if let Some(small) = Small::new(x, w, [m, k, n])
            && let Some(biases) = b.as_slice()
        {
            repeat(biases, values);
            small.add_to(values);
            let (u, y) = activation.apply(tape, values);
            let bias = b.first_slot();
            return Tensor::result(tape, kind, Ix2(m, n), y, constant, move |cotangents| {
                if let Some(dz) = activation.cotangent((u, y), cotangents) {
                    small.pull(cotangents, dz, bias);
                }
            });
        }
        let rows = [Some(0), Some(1)];
        let (x, w) = (Matrix::new(x, rows), Matrix::new(w, rows));
        if !values.is_empty() {
            repeat(b.to_slice(tape, operation), values);
            multiply(x, w, values, Store::Add);
        }
        let (u, y) = activation.apply(tape, values);
        Tensor::result(tape, kind, Ix2(m, n), y, constant, move |cotangents| {
            let Some(dz) = activation.cotangent((u, y), cotangents) else { return };
            match b.first_slot() {
                Some(first) if b.as_slice().is_some() => pull_term(cotangents, first..first + n, dz),
                Some(_) => {
                    let db = cotangents.arena.alloc_slice_fill_copy(n, F::zero());
                    kernels::fold(Sum, Fibers::along(0, &[m, n]), [dz], None, db);
                    b.accumulate(&mut cotangents.of_operands, db);
                }
                None => {}
            }
            pull_product(cotangents, (x, w), dz);
        })
    }
}
