//! The gradient of each row of a batch.

use ndarray::{Array1, Array2};

use super::on::ParamsOn;
use super::store::Params;
use crate::number::Scalar;
use crate::scalar::Var;
use crate::tape::Tape;

impl<F: Scalar> Tape<F> {
    /// The loss of each row of a batch and its gradient with respect to all parameters: losses of shape (rows), gradients
    /// of shape (rows, parameters), the columns in the order of [`Params::values`].
    ///
    /// The closure returns the loss of the row whose number it gets, and is called for the rows in their order. Row i has
    /// the bits that [`value_and_grad`](Self::value_and_grad) gives for the loss of this row alone. Each row is recorded
    /// in the memory of the row before, so that only the two results are allocated.
    ///
    /// A step of DP-SGD bounds the gradient of each sample and adds noise to the sum (Abadi et al. 2016, "Deep learning
    /// with differential privacy", algorithm 1):
    ///
    /// ```
    /// use ndarray::{Array1, Axis, array};
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::optim::{Optimizer, Sgd, clip_norm};
    /// use wengert::{Params, Tape, init};
    ///
    /// let x = array![[0.0, 1.0], [1.0, 0.0], [50.0, -20.0]];
    /// let y = [1.0, -1.0, 3.0];
    /// let mut params = Params::<f64>::new();
    /// let w = params.add("w", Array1::zeros(2));
    /// let (mut tape, mut sgd, mut rng) = (Tape::new(), Sgd::new(0.1), StdRng::seed_from_u64(0));
    ///
    /// let (bound, noise) = (1.0, 0.5);
    /// let (losses, mut gradients) = tape.per_sample_grad(&params, x.nrows(), |p, row| {
    ///     (p.constant(x.row(row)).dot(p.get(w)) - y[row]).square()
    /// });
    /// assert_eq!(losses, array![1.0, 1.0, 9.0]);
    /// for mut gradient in gradients.rows_mut() {
    ///     clip_norm(gradient.as_slice_mut().unwrap(), bound);
    /// }
    /// let noise: Array1<f64> = init::normal(params.len(), 0.0, noise * bound, &mut rng);
    /// let mean = (gradients.sum_axis(Axis(0)) + noise) / x.nrows() as f64;
    /// sgd.step(&mut params, mean.as_slice().unwrap());
    /// ```
    ///
    /// For a model whose gradients do not fit into memory together, a loop over the rows calls
    /// [`value_and_grad_mut`](Self::value_and_grad_mut) and `clip_norm`, and adds to one sum.
    ///
    /// A loss of one row must not depend on the others. [`Dropout`](crate::nn::Dropout) draws a mask for each row.
    /// [`BatchNorm`](crate::nn::BatchNorm) in training takes its statistics over the row alone, and panics if the row has one
    /// element for a channel. [`GroupNorm`](crate::nn::GroupNorm) and [`LayerNorm`](crate::nn::LayerNorm) compute the same for a
    /// row as for a batch.
    ///
    /// # Panics
    ///
    /// If a loss belongs to another tape.
    #[doc(alias("vmap", "clip"))]
    #[track_caller]
    pub fn per_sample_grad<'env>(
        &mut self,
        params: &Params<F>,
        rows: usize,
        mut f: impl for<'t> FnMut(ParamsOn<'t, 'env, F>, usize) -> Var<'t, F>,
    ) -> (Array1<F>, Array2<F>) {
        let mut losses = Array1::from_elem(rows, F::zero());
        let mut gradients = Array2::from_elem((rows, params.len()), F::zero());
        for (row, mut into) in gradients.outer_iter_mut().enumerate() {
            let (loss, gradient) = self.value_and_grad(params, |p| f(p, row));
            losses[row] = loss;
            into.as_slice_mut().expect("a row is contiguous").copy_from_slice(gradient);
        }
        (losses, gradients)
    }
}
