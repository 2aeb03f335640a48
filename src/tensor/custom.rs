//! Operations with a derivative that the caller gives: rules and pullbacks of your own, and operations that change
//! only the values or only the cotangents.

use ndarray::{Array, ArrayView, Dimension};
use num_traits::{Float, One, Zero};

use super::handle::Tensor;
use crate::kernels::UnaryLoops;
use crate::number::rules::UnaryRule;
use crate::number::{BaseFloat, Real, Rule, Scalar, binade};
use crate::scalar::Var;
use crate::sealed::Sealed;
use crate::slices::LongSum;
use crate::tape::{Adjoints, OperationKind, Tape};

/// A user's rule of one operand, as a row of the table for the elementwise kernels.
#[derive(Clone, Copy)]
struct Elementwise<U>(U);

impl<B: BaseFloat, U: Rule<B, 1>> UnaryRule<B> for Elementwise<U> {
    const NAME: &'static str = "apply_rule";
    #[inline(always)]
    fn eval<R: Real<Base = B>>(self, x: R) -> R {
        R::apply_rule(self.0, [x])
    }
    #[inline(always)]
    fn partial<R: Real<Base = B>>(self, x: R, y: R) -> R {
        let [partial] = self.0.partials([x], y);
        partial
    }
}

impl<F: Scalar, U: Rule<F::Base, 1>> UnaryLoops<F> for Elementwise<U> {}

// The seal is needed for soundness too: code that adds to adjoints must add to those of its own operands alone.
// Otherwise a sweep would call pullbacks with captures that are gone (see `Tape::push_op`).
impl<F: Scalar> Sealed for Var<'_, F> {}
impl<F: Scalar, D> Sealed for Tensor<'_, F, D> {}
impl<F: Scalar, D> Sealed for &[Tensor<'_, F, D>] {}

/// Operands that can be passed to [`Tape::custom`]: a tensor, a [`Var`], a slice of tensors, or a tuple of up to four
/// of these.
///
/// Other crates cannot implement the trait:
///
/// ```compile_fail,E0277
/// use wengert::{Tape, args::CustomInputs};
///
/// struct Own;
/// impl<'t> CustomInputs<'t, f64> for Own {
///     type Values = ();
///     type Cotangents = ();
///     type Kept = ();
///     fn keep(self, _: &'t Tape<f64>, _: &str) {}
///     fn values(_: ()) {}
///     fn is_constant(_: ()) -> bool {
///         false
///     }
/// }
/// ```
pub trait CustomInputs<'t, F: Scalar>: Sealed {
    /// The values of the operands in the same arrangement: an array view for a tensor, a number for a variable.
    type Values;
    /// The cotangents of the operands in the same arrangement: an array of the tensor's shape, a number for a variable.
    type Cotangents;
    #[doc(hidden)]
    type Kept: Copy + 't;
    /// The operands as the pullback keeps them.
    #[doc(hidden)]
    fn keep(self, tape: &'t Tape<F>, operation: &str) -> Self::Kept;
    #[doc(hidden)]
    fn values(kept: Self::Kept) -> Self::Values;
    #[doc(hidden)]
    fn is_constant(kept: Self::Kept) -> bool;
    /// Adds the cotangents to the adjoints of the operands.
    #[doc(hidden)]
    fn add(kept: Self::Kept, adjoints: &mut Adjoints<'_, F>, cotangents: Self::Cotangents, operation: &str);
}

impl<'t, F: Scalar> CustomInputs<'t, F> for Var<'t, F> {
    type Values = F;
    type Cotangents = F;
    type Kept = Self;
    #[track_caller]
    fn keep(self, tape: &'t Tape<F>, operation: &str) -> Self {
        if let Some(own) = self.tape() {
            assert_one_tape(tape, own, operation);
        }
        self.retain()
    }
    fn values(kept: Self) -> F {
        kept.value()
    }
    fn is_constant(kept: Self) -> bool {
        Var::is_constant(kept)
    }
    fn add(kept: Self, adjoints: &mut Adjoints<'_, F>, cotangent: F, _: &str) {
        if !Var::is_constant(kept) {
            *adjoints.at(kept.slot() as usize) += cotangent;
        }
    }
}

impl<'t, F: Scalar, D: Dimension + 't> CustomInputs<'t, F> for Tensor<'t, F, D> {
    type Values = ArrayView<'t, F, D>;
    type Cotangents = Array<F, D>;
    type Kept = Self;
    #[track_caller]
    fn keep(self, tape: &'t Tape<F>, operation: &str) -> Self {
        assert_one_tape(tape, self.tape(), operation);
        self
    }
    fn values(kept: Self) -> ArrayView<'t, F, D> {
        kept.value()
    }
    fn is_constant(kept: Self) -> bool {
        Tensor::is_constant(kept)
    }
    fn add(kept: Self, adjoints: &mut Adjoints<'_, F>, cotangent: Array<F, D>, operation: &str) {
        assert!(
            cotangent.shape() == kept.shape(),
            "{operation}: its pullback gave a cotangent of shape {:?} for an operand of shape {:?}",
            cotangent.shape(),
            kept.shape()
        );
        let cotangent = cotangent.as_standard_layout();
        kept.node().accumulate(adjoints, cotangent.as_slice().expect("standard layout is contiguous"));
    }
}

impl<'t, F: Scalar, D: Dimension + 't> CustomInputs<'t, F> for &[Tensor<'t, F, D>] {
    type Values = Vec<ArrayView<'t, F, D>>;
    type Cotangents = Vec<Array<F, D>>;
    type Kept = &'t [Tensor<'t, F, D>];
    #[track_caller]
    fn keep(self, tape: &'t Tape<F>, operation: &str) -> Self::Kept {
        for tensor in self {
            assert_one_tape(tape, tensor.tape(), operation);
        }
        tape.arena().alloc_slice_copy(self)
    }
    fn values(kept: Self::Kept) -> Vec<ArrayView<'t, F, D>> {
        kept.iter().map(|tensor| tensor.value()).collect()
    }
    fn is_constant(kept: Self::Kept) -> bool {
        kept.iter().all(|tensor| Tensor::is_constant(*tensor))
    }
    fn add(kept: Self::Kept, adjoints: &mut Adjoints<'_, F>, cotangents: Vec<Array<F, D>>, operation: &str) {
        assert!(
            cotangents.len() == kept.len(),
            "{operation}: its pullback gave {} cotangents for {} operands",
            cotangents.len(),
            kept.len()
        );
        for (tensor, cotangent) in kept.iter().zip(cotangents) {
            <Tensor<'t, F, D> as CustomInputs<'t, F>>::add(*tensor, adjoints, cotangent, operation);
        }
    }
}

macro_rules! tuple_operands {
    ($($T:ident $t:ident $c:ident),+) => {
        impl<$($T: Sealed),+> Sealed for ($($T,)+) {}
        impl<'t, F: Scalar, $($T: CustomInputs<'t, F>),+> CustomInputs<'t, F> for ($($T,)+) {
            type Values = ($($T::Values,)+);
            type Cotangents = ($($T::Cotangents,)+);
            type Kept = ($($T::Kept,)+);
            #[track_caller]
            fn keep(self, tape: &'t Tape<F>, operation: &str) -> Self::Kept {
                let ($($t,)+) = self;
                ($($t.keep(tape, operation),)+)
            }
            fn values(($($t,)+): Self::Kept) -> Self::Values {
                ($($T::values($t),)+)
            }
            fn is_constant(($($t,)+): Self::Kept) -> bool {
                $($T::is_constant($t))&&+
            }
            // One operand after the other: operands may share slots.
            fn add(($($t,)+): Self::Kept, adjoints: &mut Adjoints<'_, F>, ($($c,)+): Self::Cotangents, operation: &str) {
                $($T::add($t, adjoints, $c, operation);)+
            }
        }
    };
}
tuple_operands! { A a x }
tuple_operands! { A a x, B b y }
tuple_operands! { A a x, B b y, C c z }
tuple_operands! { A a x, B b y, C c z, D d w }

fn shaped<'a, F, E: Dimension>(shape: &E, values: &'a [F]) -> ArrayView<'a, F, E> {
    ArrayView::from_shape(shape.clone(), values).expect("as many elements as the shape has")
}

#[track_caller]
fn assert_limit<B: BaseFloat>(operation: &str, limit: B) {
    assert!(limit >= B::zero(), "{operation}: the limit is {limit}, but it must not be negative");
}

#[track_caller]
fn assert_one_tape<F: Scalar>(tape: &Tape<F>, operand: &Tape<F>, operation: &str) {
    assert!(
        std::ptr::eq(tape, operand),
        "{operation}: an operand belongs to tape {operand:p}, the operation is recorded on tape {tape:p}"
    );
}

impl<F: Scalar> Tape<F> {
    /// Records an operation on tensors by its value and its pullback.
    ///
    /// The caller has computed the value from the values of the operands, by any means. In a sweep,
    /// `pullback(cotangent, operands, value)` is called and returns the cotangents of the operands: for
    /// y = f(x) the pullback is ȳ ↦ J(x)ᵀȳ. The closure may own results of the computation, such as a
    /// factorisation. Messages and tables show the name `operation`.
    ///
    /// On a tape of dual numbers the value carries its tangent (the operation's jvp), and the
    /// pullback works on dual arrays, which gives second derivatives: see `examples/science/implicit.rs`.
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::Tape;
    ///
    /// // The cumulative sum: its pullback is the cumulative sum from the end.
    /// let tape = Tape::new();
    /// let data = array![1.0, 2.0, 3.0];
    /// let x = tape.tensor(&data);
    /// let mut sums = x.value().to_owned();
    /// sums.accumulate_axis_inplace(ndarray::Axis(0), |&before, sum| *sum += before);
    /// let y = tape.custom("cumsum", x, sums, |cotangent, _x, _y| {
    ///     let mut out = cotangent.to_owned();
    ///     out.invert_axis(ndarray::Axis(0));
    ///     out.accumulate_axis_inplace(ndarray::Axis(0), |&before, sum| *sum += before);
    ///     out.invert_axis(ndarray::Axis(0));
    ///     out
    /// });
    /// assert_eq!(y.value(), array![1.0, 3.0, 6.0]);
    /// assert_eq!(y.sum().backward().wrt(x), array![3.0, 2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If an operand is of another tape. In a sweep: if the pullback returns a cotangent of another shape than its
    /// operand's, returns another number of cotangents than a slice has operands, or records on this tape.
    #[track_caller]
    pub fn custom<'t, I: CustomInputs<'t, F>, E: Dimension + 't>(
        &'t self,
        operation: &'static str,
        operands: I,
        value: Array<F, E>,
        pullback: impl Fn(ArrayView<'_, F, E>, I::Values, ArrayView<'t, F, E>) -> I::Cotangents + Send + 'static,
    ) -> Tensor<'t, F, E> {
        let attempt = self.records().attempt();
        let kept = operands.keep(self, operation);
        let dim = value.raw_dim();
        let value =
            self.alloc(if value.is_standard_layout() { value } else { value.as_standard_layout().into_owned() });
        let values = value.as_slice().expect("standard layout is contiguous");
        let shape = self.alloc(dim.clone());
        let result = Tensor::result(
            self,
            OperationKind::new(operation, [None; 2]),
            dim,
            values,
            I::is_constant(kept),
            move |cotangents| {
                let result = pullback(shaped(shape, cotangents.of_result), I::values(kept), shaped(shape, values));
                I::add(kept, &mut cotangents.of_operands, result, operation);
            },
        );
        attempt.keep();
        result
    }
}

impl<'t, F: Scalar> Var<'t, F> {
    /// The same value, with a pullback that clamps the cotangent to [-limit, limit].
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let x = tape.var(3.0);
    /// let y = x.clip_cotangent(1.0) * 100.0;
    /// assert_eq!(y.backward()[x], 1.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is negative or NaN.
    #[track_caller]
    pub fn clip_cotangent(self, limit: F::Base) -> Self {
        assert_limit("clip_cotangent", limit);
        match self.tape() {
            Some(tape) => {
                let attempt = tape.records().attempt();
                let clipped = self.to_tensor(tape).clip_cotangent(limit).into_var();
                attempt.keep();
                clipped
            }
            None => self,
        }
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The function of a [`Rule`] of your own, element by element: yᵢ = rule(xᵢ).
    #[track_caller]
    pub fn apply_rule(self, rule: impl Rule<F::Base, 1> + 't) -> Self {
        self.apply(Elementwise(rule))
    }

    /// The values `f(xᵢ)`, with the derivatives of the identity: see [`Var::straight_through`].
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![0.2_f64, 0.7];
    /// let x = tape.tensor(&data);
    /// let bits = x.straight_through(f64::round);
    /// assert_eq!(bits.value(), ndarray::array![0.0, 1.0]);
    /// assert_eq!(bits.square().sum().backward().wrt(x), ndarray::array![0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn straight_through(self, mut f: impl FnMut(F) -> F) -> Self {
        let values = self.tape().arena().values("straight_through", self.shape(), F::zero());
        for (y, x) in values.iter_mut().zip(self.value()) {
            *y = x.with_base(f(*x).to_base());
        }
        self.with_mapped_cotangent("straight_through", values, |_| |cotangent| cotangent)
    }

    /// The same values, with a pullback that clamps the cotangent of each element to [-limit, limit].
    ///
    /// # Panics
    ///
    /// If the limit is negative or NaN.
    #[track_caller]
    pub fn clip_cotangent(self, limit: F::Base) -> Self {
        assert_limit("clip_cotangent", limit);
        let limit = F::from_base(limit);
        self.with_mapped_cotangent("clip_cotangent", self.node().to_slice(self.tape(), "clip_cotangent"), move |_| {
            move |cotangent| match cotangent {
                c if c > limit => limit,
                c if c < -limit => -limit,
                c => c,
            }
        })
    }

    /// The same values, with a pullback that scales a cotangent of Euclidean norm greater than `limit` to that norm. A
    /// cotangent with a NaN, or with an infinite number, which has no direction, becomes NaN throughout.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![1.0, 1.0];
    /// let x = tape.tensor(&data);
    /// let loss = x.clip_cotangent_norm(1.0).dot(tape.constant(ndarray::array![3.0, 4.0]));
    /// assert_eq!(loss.backward().wrt(x), ndarray::array![0.6, 0.8]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is negative or NaN.
    #[track_caller]
    pub fn clip_cotangent_norm(self, limit: F::Base) -> Self {
        assert_limit("clip_cotangent_norm", limit);
        let limit = F::from_base(limit);
        self.with_mapped_cotangent(
            "clip_cotangent_norm",
            self.node().to_slice(self.tape(), "clip_cotangent_norm"),
            move |cotangent| {
                // Scaled by a power of two: cotangents that need clipping may overflow when squared.
                let size = cotangent.iter().fold(F::Base::zero(), |size, c| size.max(c.to_base().abs()));
                let unit = F::from_base(if size.is_finite() { binade(size) } else { F::Base::one() });
                let norm = LongSum::of(cotangent.iter().map(|&c| (c / unit).square())).sqrt() * unit;
                let excess = match norm {
                    norm if norm <= limit => F::one(),
                    // The squares of finite numbers cannot overflow in this unit.
                    norm if !size.is_finite() => norm * F::nan(),
                    norm => norm / limit,
                };
                move |c| c / excess
            },
        )
    }

    /// Records an operation with these values and the pullback dx += g(dy), element by element. In a sweep, `map` makes
    /// g from the whole cotangent.
    #[track_caller]
    fn with_mapped_cotangent<G: Fn(F) -> F>(
        self,
        name: &'static str,
        values: &'t [F],
        map: impl Fn(&[F]) -> G + 't,
    ) -> Self {
        let node = self.node();
        // The values may be the operand's own.
        let kind = OperationKind { borrowed: true, ..OperationKind::unary(name, node.source()) };
        Tensor::result(self.tape(), kind, self.dim(), values, node.is_constant(), move |cotangents| {
            let map = map(cotangents.of_result);
            node.accumulate_with(cotangents, |from, to| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to += map(*from);
                }
            });
        })
    }
}
