//! Reductions of all elements or along one axis: sums, products, extremes, variances, norms.

use crate::arena::Arena;
use ndarray::{Array, Axis, Dimension, Ix0, RemoveAxis};
use num_traits::{Float, Zero};

use super::flat::{Exponentials, Flat, SquaredDistance, exponentials};
use super::handle::Tensor;
use crate::kernels;
use crate::kernels::{Fibers, Fold, Moments, Sum, UnaryLoops, folds, updates};
use crate::number::{BaseFloat, Length, Real, Scalar, is_accurate, place_of_greatest, rules};
use crate::scalar::Var;
use crate::tape::{Cotangents, OperationKind};

/// The two public methods of each reduction: over all elements, and along an axis.
macro_rules! reductions {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident, $along:ident($($p:ident)?)
        $(#[doc = $axis_doc:literal])*;
    )+) => {
        /// Reductions, of tensors in any layout. A method named `*_axis` removes an axis, and panics if that axis is
        /// out of range. The others reduce all elements to a [`Var`].
        impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
            $(
                $( #[doc = $doc] )+
                #[track_caller]
                pub fn $name(self $(, $p: F::Base)?) -> Var<'t, F> {
                    self.whole(stringify!($name)).$name($($p)?).into_var()
                }

                #[doc = concat!("The result of [`", stringify!($name), "`](Self::", stringify!($name), ") for the elements along one axis, which is removed.")]
                $( #[doc = $axis_doc] )*
                #[track_caller]
                pub fn $along(self, axis: Axis $(, $p: F::Base)?) -> Tensor<'t, F, D::Smaller>
                where
                    D: RemoveAxis,
                {
                    self.along(axis, stringify!($along)).$name($($p)?)
                }
            )+
        }
    };
}

reductions! {
    /// The sum Σxᵢ; 0 if there is no element.
    ///
    /// Partials: 1.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.tensor(&a);
    /// let y = (x * x).sum();
    /// assert_eq!(y.value(), 30.0);
    /// assert_eq!(y.backward().wrt(x), 2.0 * a.clone());
    /// ```
    sum, sum_axis()
    ///
    /// ```
    /// use ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 2.0], [3.0, 4.0]];
    /// assert_eq!(tape.tensor(&a).sum_axis(Axis(0)).value(), array![4.0, 6.0]);
    /// assert_eq!(tape.tensor(&a).sum_axis(Axis(1)).value(), array![3.0, 7.0]);
    /// ```
    ;
    /// The mean Σxᵢ / n; NaN, as 0/0, if there is no element.
    ///
    /// Partials: 1/n.
    mean, mean_axis();
    /// The product Πxᵢ; 1 if there is no element.
    ///
    /// Partials: Πⱼ≠ᵢ xⱼ, exact even if factors are 0.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![2.0, 0.0, 3.0];
    /// let x = tape.tensor(&a);
    /// assert_eq!(x.product().backward().wrt(x), ndarray::array![0.0, 6.0, 0.0]);
    /// ```
    product, product_axis();
    /// The largest element; NaN, with partials NaN, if an element is NaN, as in numpy, PyTorch and JAX.
    ///
    /// Partials: 1/k for each of the k elements that equal the result, else 0.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![1.0, 3.0, 3.0];
    /// let x = tape.tensor(&a);
    /// assert_eq!(x.max().backward().wrt(x), ndarray::array![0.0, 0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no element.
    max, max_axis()
    ///
    /// # Panics
    ///
    /// If the axis is out of range or has length 0.
    ;
    /// The smallest element, with NaN elements and ties treated as in [`max`](Self::max).
    ///
    /// # Panics
    ///
    /// If there is no element.
    min, min_axis()
    ///
    /// # Panics
    ///
    /// If the axis is out of range or has length 0.
    ;
    /// The variance Σ(xᵢ - x̄)² / (n - ddof), where x̄ is the mean. A `ddof` of 0 gives the variance of a
    /// population, a `ddof` of 1 the unbiased estimate from a sample.
    ///
    /// The variance is computed in two passes, x̄ first (Chan, Golub and `LeVeque`, The American Statistician 37,
    /// 1983).
    ///
    /// Partials: 2(xᵢ - x̄) / (n - ddof). Value and partials are NaN, as 0/0, where n = `ddof`.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![1.0, 2.0, 6.0];
    /// let x = tape.tensor(&a);
    /// assert_eq!(x.var(1.0).value(), 7.0);
    /// assert_eq!(x.var(1.0).backward().wrt(x), ndarray::array![-2.0, -1.0, 3.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `ddof` is negative, NaN or greater than n.
    var, var_axis(ddof)
    ///
    /// # Panics
    ///
    /// If the axis is out of range, or `ddof` negative, NaN or greater than its length.
    ;
    /// The standard deviation, the root of [`var`](Self::var). The result is accurate even if squares overflow or
    /// underflow.
    ///
    /// Partials: (xᵢ - x̄) / ((n - ddof) std), and 0 where all elements are equal.
    ///
    /// # Panics
    ///
    /// If `ddof` is negative, NaN or greater than n.
    std, std_axis(ddof)
    ///
    /// # Panics
    ///
    /// If the axis is out of range, or `ddof` negative, NaN or greater than its length.
    ;
    /// The Euclidean norm √Σxᵢ². The result is accurate even if squares overflow or underflow.
    ///
    /// Partials: xᵢ / ‖x‖, and 0 at the origin.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let a = ndarray::array![3e200, 4e200];
    /// let x = tape.tensor(&a);
    /// assert!((x.norm().value() / 5e200 - 1.0).abs() < 1e-15);
    /// let gradient = x.norm().backward().wrt(x);
    /// assert!((gradient - ndarray::array![0.6, 0.8]).iter().all(|d| d.abs() < 1e-15));
    /// ```
    norm, norm_axis();
    /// The logarithm of the sum of exponentials, ln Σe^xᵢ; -∞ if there is no element. The elements are shifted by the
    /// largest one, so that nothing overflows.
    ///
    /// Partials: [`softmax`](Self::softmax).
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let a = ndarray::array![1000.0, 0.0];
    /// let x = tape.tensor(&a);
    /// assert_eq!(x.log_sum_exp().value(), 1000.0);
    /// ```
    log_sum_exp, log_sum_exp_axis();
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The index of the largest element along an axis, the first one if several elements are equal; that of the first
    /// NaN if there is one, as in numpy and PyTorch. An index has no derivative.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    ///
    /// let tape = wengert::Tape::new();
    /// let a = array![[1.0, 7.0], [3.0, 2.0]];
    /// assert_eq!(tape.tensor(&a).argmax_axis(Axis(1)), array![1, 0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the axis is out of range or has length 0.
    #[doc(alias("argmax"))]
    #[track_caller]
    pub fn argmax_axis(self, axis: Axis) -> Array<usize, D::Smaller>
    where
        D: RemoveAxis,
    {
        self.check_axis(axis, "argmax_axis");
        assert_elements("argmax_axis", self.shape(), self.shape()[axis.index()]);
        self.value().map_axis(axis, |lane| place_of_greatest(lane.iter().copied()))
    }
}

#[track_caller]
fn assert_elements(operation: &str, shape: &[usize], n: usize) {
    assert!(n > 0, "{operation}: no element to choose from, the shape is {shape:?}");
}

/// A reduction to be computed: the operand as fibres, and the shape of the result.
pub(super) struct Reduction<'t, F: Scalar, D, E> {
    operation: &'static str,
    pub(super) operand: Flat<'t, F, D>,
    pub(super) fibers: Fibers,
    shape: E,
}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The reduction of all elements, as one fibre in the order of memory.
    #[track_caller]
    fn whole(self, operation: &'static str) -> Reduction<'t, F, D, Ix0> {
        Reduction {
            operation,
            operand: Flat::unordered(self, operation),
            fibers: Fibers::whole(self.len()),
            shape: Ix0(),
        }
    }

    /// The reduction of each fibre along an axis, which is removed from the shape.
    #[track_caller]
    fn along(self, axis: Axis, operation: &'static str) -> Reduction<'t, F, D, D::Smaller>
    where
        D: RemoveAxis,
    {
        let map = self.mapped_along(axis, operation);
        Reduction { operation, operand: map.operand, fibers: map.fibers, shape: map.shape.remove_axis(axis) }
    }

    /// The operation on each fibre along an axis that keeps the shape.
    #[track_caller]
    pub(super) fn mapped_along(self, axis: Axis, operation: &'static str) -> Reduction<'t, F, D, D> {
        self.check_axis(axis, operation);
        Reduction {
            operation,
            operand: Flat::new(self, operation),
            fibers: Fibers::along(axis.index(), self.shape()),
            shape: self.dim(),
        }
    }

    #[track_caller]
    pub(super) fn check_axis(self, axis: Axis, operation: &str) {
        assert!(
            axis.index() < self.ndim(),
            "{operation}: axis {} is out of range for shape {:?}, which has {} axes counted from 0",
            axis.index(),
            self.shape(),
            self.ndim()
        );
    }
}

/// n as a number.
fn count<B: BaseFloat>(n: usize) -> B {
    B::round_from(n as f64)
}

impl<'t, F: Scalar, D: Dimension + 't, E: Dimension> Reduction<'t, F, D, E> {
    /// Folds each fibre into one number, in the tape's arena.
    #[track_caller]
    fn fold(&self, fold: impl Fold<F, 1>, given: Option<&[F]>) -> &'t mut [F] {
        let out = self.operand.zeros(self.fibers.count());
        kernels::fold(fold, self.fibers, [self.operand.x], given, out);
        out
    }

    /// Records the result `y` with the pullback `pull(dy, dx, arena)`, which adds to `dx`.
    #[track_caller]
    pub(super) fn record(self, y: &'t [F], pull: impl Fn(&[F], &mut [F], &Arena) + 't) -> Tensor<'t, F, E> {
        let operand = self.operand;
        let pullback = move |cotangents: &mut Cotangents<'_, F>| {
            let arena = cotangents.arena;
            operand.accumulate_with(cotangents, |dy, dx| pull(dy, dx, arena));
        };
        let constant = operand.is_constant();
        let kind = OperationKind::unary(self.operation, operand.node.source());
        Tensor::result(operand.tape, kind, self.shape, y, constant, pullback)
    }

    #[track_caller]
    fn sum(self) -> Tensor<'t, F, E> {
        let y = self.fold(Sum, None);
        let fibers = self.fibers;
        self.record(y, move |dy, dx, _| {
            kernels::update(SumPullback(F::one()), fibers, dx, [], [dy]);
        })
    }

    #[track_caller]
    fn mean(self) -> Tensor<'t, F, E> {
        let (y, fibers) = (self.means(), self.fibers);
        for (i, y) in y.iter_mut().enumerate().filter(|(_, y)| !y.to_base().is_finite()) {
            // The sum may have overflowed. Of infinite numbers, it is the mean.
            let moments = self.moments_of(i);
            let mean = moments.mean * moments.unit;
            if !mean.is_nan() {
                *y = mean;
            }
        }
        let share = F::from_base(count::<F::Base>(fibers.n)).recip();
        self.record(y, move |dy, dx, _| {
            kernels::update(SumPullback(share), fibers, dx, [], [dy]);
        })
    }

    #[track_caller]
    fn means(&self) -> &'t mut [F] {
        let y = self.fold(Sum, None);
        let n = F::from_base(count(self.fibers.n));
        for y in &mut *y {
            *y /= n;
        }
        y
    }

    /// The mean of each fibre, and Σ(x - mean)² / divisor.
    fn moments(&self, divisor: F) -> (&'t [F], &'t mut [F]) {
        let mean = self.means();
        let square = self.fold(SquaredDistance, Some(mean));
        let n = F::from_base(count(self.fibers.n));
        for (i, (mean, square)) in mean.iter_mut().zip(&mut *square).enumerate() {
            if kernels::are_precise(*mean, *square / n, F::Base::zero()) {
                *square /= divisor;
            } else {
                let Moments { unit, mean: center, square: sum } = self.moments_of(i);
                (*mean, *square) = (center * unit, sum / divisor * unit * unit);
            }
        }
        (mean, square)
    }

    /// The careful moments of a fibre.
    fn moments_of(&self, fiber: usize) -> Moments<F> {
        let copy = self.operand.zeros(self.fibers.n);
        for (copy, place) in copy.iter_mut().zip(self.fibers.range(fiber)) {
            *copy = self.operand.x[place];
        }
        kernels::moments(copy, true)
    }

    #[track_caller]
    fn product(self) -> Tensor<'t, F, E> {
        let y = self.fold(Product, None);
        let (x, fibers) = (self.operand.x, self.fibers);
        self.record(y, move |dy, dx, arena| {
            let before = arena.alloc_slice_fill_copy(x.len(), F::one());
            let after = arena.alloc_slice_fill_copy(fibers.inner, F::one());
            product_pullback(fibers, x, dy, dx, before, after);
        })
    }

    #[track_caller]
    fn extreme(self, extreme: impl Fold<F, 1>) -> Tensor<'t, F, E> {
        assert_elements(self.operation, self.operand.node.shape(), self.fibers.n);
        let y = self.fold(extreme, None);
        let (operand, fibers) = (self.operand, self.fibers);
        if F::CARRIES_DERIVATIVES {
            // A fold in pairs would give three elements that tie the shares ½, ¼ and ¼ of the tangent.
            for (i, y) in y.iter_mut().enumerate().filter(|(_, y)| !y.is_nan()) {
                let tied = fibers.range(i).map(|k| operand.x[k]).filter(|x| x == y);
                let (sum, n) = tied.fold((F::zero(), 0), |(sum, n), x| (sum + x.with_base(F::Base::zero()), n + 1));
                *y = F::from_base(y.to_base()) + sum / F::lit(f64::from(n));
            }
        }
        let y = &*y;
        self.record(y, move |dy, dx, arena| {
            let ties = arena.alloc_slice_fill_copy(fibers.count(), F::zero());
            kernels::fold(Ties, fibers, [operand.x], Some(y), ties);
            kernels::update(ExtremePullback, fibers, dx, [operand.x], [dy, y, ties]);
        })
    }

    #[track_caller]
    fn max(self) -> Tensor<'t, F, E> {
        self.extreme(Maximum)
    }

    #[track_caller]
    fn min(self) -> Tensor<'t, F, E> {
        self.extreme(Minimum)
    }

    #[track_caller]
    fn var(self, ddof: F::Base) -> Tensor<'t, F, E> {
        let freedom = self.freedom(ddof);
        let (mean, y) = self.moments(freedom);
        let (x, fibers, scale) = (self.operand.x, self.fibers, F::lit(2.0) / freedom);
        self.record(y, move |dy, dx, _| {
            kernels::update(VariancePullback(scale), fibers, dx, [x], [dy, mean]);
        })
    }

    #[track_caller]
    fn std(self, ddof: F::Base) -> Tensor<'t, F, E> {
        let root = Float::sqrt(self.freedom(ddof));
        let (mean, square) = self.moments(F::one());
        self.distance(mean, square, root)
    }

    /// n - ddof.
    #[track_caller]
    fn freedom(&self, ddof: F::Base) -> F {
        let n = count::<F::Base>(self.fibers.n);
        assert!(
            ddof >= F::Base::zero() && ddof <= n,
            "{}: ddof = {ddof} is not between 0 and the number of elements, {n} of shape {:?}",
            self.operation,
            self.operand.node.shape()
        );
        F::from_base(n - ddof)
    }

    #[track_caller]
    fn norm(self) -> Tensor<'t, F, E> {
        let origin = self.operand.zeros(self.fibers.count());
        let square = self.fold(SquaredDistance, Some(origin));
        self.distance(origin, square, F::one())
    }

    /// The distance √Σ(x - centre)² / divisor, from the squares Σ(x - centre)². The pullback ignores that the centre may depend on x: the origin does
    /// not, and the terms of a mean cancel.
    #[track_caller]
    fn distance(self, center: &'t [F], distance: &'t mut [F], divisor: F) -> Tensor<'t, F, E> {
        let (x, fibers) = (self.operand.x, self.fibers);
        let length = move |i: usize| {
            let fiber = fibers.range(i).map(move |k| x[k] - center[i]);
            Length::of(fiber)
        };
        let mut careful = false;
        for (i, d) in distance.iter_mut().enumerate() {
            *d = if is_accurate(*d) { Float::sqrt(*d) } else { length(i).value };
            // A distance that is subnormal or infinite is no divisor.
            careful |= !(d.is_exact_zero() || d.to_base().is_normal());
        }
        let distance = &*distance;
        let y = self.operand.zeros(distance.len());
        for (i, (y, &d)) in y.iter_mut().zip(distance).enumerate() {
            *y = if d.to_base().is_infinite() { length(i).over(divisor) } else { d / divisor };
        }
        let scale = divisor.recip();
        self.record(y, move |dy, dx, _| {
            if !careful {
                return kernels::update(DistancePullback(scale), fibers, dx, [x], [dy, center, distance]);
            }
            for (i, &dy) in dy.iter().enumerate() {
                let length = length(i);
                for k in fibers.range(i) {
                    dx[k] += length.pull(dy * scale, x[k] - center[i]);
                }
            }
        })
    }

    #[track_caller]
    fn log_sum_exp(self) -> Tensor<'t, F, E> {
        let Exponentials { largest, e, total } = self.exponentials();
        let y = self.operand.zeros(total.len());
        rules::ln::new().map(total, y);
        for (y, &m) in y.iter_mut().zip(largest) {
            *y += m;
        }
        let fibers = self.fibers;
        self.record(y, move |dy, dx, _| {
            kernels::update(LogSumExpPullback, fibers, dx, [e], [dy, total]);
        })
    }

    #[track_caller]
    pub(super) fn exponentials(&self) -> Exponentials<'t, F> {
        exponentials(self.operand, self.fibers)
    }
}

/// dxᵢ += dy · Πⱼ≠ᵢ xⱼ, by products of the elements before and after xᵢ: no division, so exact even if factors are 0.
fn product_pullback<F: Scalar>(
    Fibers { n, inner, .. }: Fibers,
    x: &[F],
    dy: &[F],
    dx: &mut [F],
    before: &mut [F],
    after: &mut [F],
) {
    for (i, dy) in dy.chunks_exact(inner.max(1)).enumerate() {
        let fibers = i * n * inner..(i + 1) * n * inner;
        let (x, dx, before) = (&x[fibers.clone()], &mut dx[fibers.clone()], &mut before[fibers]);
        for k in inner..x.len() {
            before[k] = before[k - inner] * x[k - inner];
        }
        after.fill(F::one());
        for row in (0..n).rev() {
            for (j, after) in after.iter_mut().enumerate() {
                let k = row * inner + j;
                // Gated one by one, as the sweep over a chain of multiplications does.
                dx[k] += dy[j].gated_mul(*after).gated_mul(before[k]);
                *after = after.gated_mul(x[k]);
            }
        }
    }
}

/// `amount` if x equals the extreme, otherwise 0; NaN if the extreme is NaN.
#[inline(always)]
fn tied<R: Real>(x: R, extreme: R, amount: R) -> R {
    if x == extreme {
        amount
    } else if extreme.is_nan() {
        extreme
    } else {
        R::zero()
    }
}

folds! {
    /// Πx.
    struct Product<1>: plain, from L::one(), |a, b| a * b;
    /// The largest number; -∞ if there is none, NaN if one is NaN.
    struct Maximum<1>: plain, from L::neg_infinity(), |a, b| a.maximum(b);
    /// The smallest number; ∞ if there is none, NaN if one is NaN.
    struct Minimum<1>: plain, from L::infinity(), |a, b| a.minimum(b);
    /// The number of elements that equal the extreme; NaN if that is NaN.
    struct Ties<1>: term |[x], extreme| tied(x, extreme, L::one());
}

updates! {
    /// y = scale · Σx.
    struct SumPullback(scale)<0, 1> precompiled, |dx, [], [dy]| dx + dy.gated_mul(scale);
    /// y = max x or min x: the elements that tie for the extreme share its cotangent.
    struct ExtremePullback<1, 3>, |dx, [x], [dy, extreme, ties]| dx + dy.gated_mul(tied(x, extreme, ties.recip()));
    /// y = scale/2 · Σ(x - mean)².
    struct VariancePullback(scale)<1, 2>, |dx, [x], [dy, mean]| dx + dy.gated_mul(scale * (x - mean));
    /// y = scale · √Σ(x - centre)².
    struct DistancePullback(scale)<1, 3>, |dx, [x], [dy, center, distance]| {
        let direction = if distance == L::zero() { L::zero() } else { (x - center) / distance };
        dx + dy.gated_mul(direction * scale)
    };
    /// y = ln Σe^x: dxᵢ += dy · eᵢ / total, where eᵢ = e^(xᵢ - largest).
    struct LogSumExpPullback<1, 2>, |dx, [e], [dy, total]| dx + dy.gated_mul(e / total);
}
