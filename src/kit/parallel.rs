//! Data-parallel training on the cores of one machine; needs the feature `parallel`.

use std::ops::Range;

use crate::kit::data::part;
use crate::kit::optim::mix;
use crate::number::Scalar;
use crate::params::{Params, ParamsGradient, ParamsOn};
use crate::scalar::Var;
use crate::slices::team;
use crate::tape::Tape;

/// The length of a block of the parts' gradients in their sum: blocks fit a core's nearest caches (see M18 in
/// docs/MEASUREMENTS.md).
const BLOCK: usize = 4096;

/// A tape for each part of a batch; the parts run on several threads and share the parameters. Needs the feature
/// `parallel`.
///
/// The threads are as many as those of rayon's current pool, and are its threads if this is called on one of them.
///
/// A batch of n examples is cut into `shards` parts of ⌊n / shards⌋ examples or one more. The mean loss of the batch is
/// the mean of the parts' losses, weighted by their numbers of examples:
///
/// ```text
/// loss = Σₛ nₛ/n · lossₛ       grad = Σₛ nₛ/n · gradₛ
/// ```
///
/// Both sums are taken in the order of the parts. The number of shards therefore changes the rounding of the result;
/// the number of threads and their timing change nothing.
///
/// A training [`Mode`](crate::nn::Mode) cannot be shared by the parts. For dropout a part makes its own, with the step and
/// the part in the seed. What batch norms record in such a mode is lost with it: let a forward pass of one tape, outside of
/// `Parallel`, update the running statistics.
///
/// ```
/// use ndarray::{Array1, Array2, s};
/// use wengert::optim::{Optimizer, Sgd};
/// use wengert::{Parallel, Params};
///
/// let x = Array2::from_shape_fn((100, 2), |(i, j)| (i as f64 * 0.1 + j as f64).sin());
/// let y = x.dot(&ndarray::array![3.0, -1.0]);
/// let mut params = Params::<f64>::new();
/// let w = params.add("w", Array1::zeros(2));
/// let mut parallel = Parallel::new(2);
/// let mut sgd = Sgd::new(0.3);
/// for _ in 0..200 {
///     let (_, grad) = parallel.value_and_grad(&params, x.nrows(), |p, rows| {
///         let x = p.constant(x.slice(s![rows.clone(), ..]));
///         let y = p.constant(y.slice(s![rows]));
///         (x.dot(p.get(w)) - y).square().mean()
///     });
///     sgd.step(&mut params, grad);
/// }
/// assert!((params.values()[0] - 3.0).abs() < 1e-6 && (params.values()[1] + 1.0).abs() < 1e-6);
/// ```
///
/// The threads share what the closure captures, so that it must be `Sync`:
///
/// ```compile_fail,E0277
/// let params = wengert::Params::<f64>::new();
/// let calls = std::cell::Cell::new(0);
/// wengert::Parallel::new(2).value_and_grad(&params, 4, |p, rows| {
///     calls.set(rows.len());
///     p.flat().sum()
/// });
/// ```
#[derive(Debug)]
pub struct Parallel<F: Scalar = f64> {
    tapes: Vec<Tape<F>>,
    grad: ParamsGradient<'static, F>,
}

impl<F: Scalar> Parallel<F> {
    /// Tapes for `shards` parts of a batch; a good number is that of the cores or a multiple.
    ///
    /// # Panics
    ///
    /// If `shards` is 0.
    #[track_caller]
    pub fn new(shards: usize) -> Self {
        assert!(shards > 0, "Parallel: a batch has at least 1 shard");
        Self { tapes: (0..shards).map(|_| Tape::new()).collect(), grad: ParamsGradient::default() }
    }

    /// The number of parts of a batch.
    pub fn shards(&self) -> usize {
        self.tapes.len()
    }

    /// The mean loss of `len` examples and its gradient with respect to all parameters: same as
    /// [`Tape::value_and_grad`], but with a closure that returns the *mean* loss of a range of examples.
    ///
    /// The closure is called for each part, on any of the threads. Parts without examples are left out.
    ///
    /// # Panics
    ///
    /// If `len` is 0, the closure panics, or a loss belongs to another tape.
    #[track_caller]
    pub fn value_and_grad<'env>(
        &mut self,
        params: &Params<F>,
        len: usize,
        f: impl for<'t> Fn(ParamsOn<'t, 'env, F>, Range<usize>) -> Var<'t, F> + Sync,
    ) -> (F, &ParamsGradient<'static, F>) {
        let (loss, gradient) = self.value_and_grad_mut(params, len, f);
        (loss, gradient)
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), but with a gradient that can be changed in place, as for a mean
    /// over several machines.
    ///
    /// # Panics
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    #[track_caller]
    pub fn value_and_grad_mut<'env>(
        &mut self,
        params: &Params<F>,
        len: usize,
        f: impl for<'t> Fn(ParamsOn<'t, 'env, F>, Range<usize>) -> Var<'t, F> + Sync,
    ) -> (F, &mut ParamsGradient<'static, F>) {
        assert!(len > 0, "Parallel: the mean loss of 0 examples is not defined");
        // If there are fewer examples than shards, the last shards have none.
        let shards = self.tapes.len();
        let used = shards.min(len);
        let parts: Vec<(F, F, &ParamsGradient<'_, F>)> = team::map(&mut self.tapes[..used], &|shard, tape| {
            let rows = part(len, shards, shard);
            let share = F::lit(rows.len() as f64 / len as f64);
            let (loss, grad) = tape.value_and_grad(params, |p| f(p, rows));
            (share, loss, grad)
        });

        let sum = self.grad.reset(Some(parts[0].2), params.len());
        // A part for each thread, which starts at once; a part is summed in blocks that stay in the nearest cache.
        let part = sum.len().div_ceil(team::threads()).next_multiple_of(BLOCK);
        let mut sums: Vec<_> = sum.chunks_mut(part).collect();
        team::map(&mut sums, &|i, sum| {
            for (block, sum) in sum.chunks_mut(BLOCK).enumerate() {
                let first = i * part + block * BLOCK;
                for (i, (share, _, grad)) in parts.iter().enumerate() {
                    let keep = if i == 0 { F::zero() } else { F::one() };
                    mix(sum, keep, &grad[first..first + sum.len()], *share);
                }
            }
        });
        let loss = parts.iter().fold(F::zero(), |sum, &(share, loss, _)| sum + share * loss);
        (loss, &mut self.grad)
    }
}
