//! Derivatives of a network with respect to its input, inside of the loss: [`Jet`].

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};

use ndarray::{Axis, Dimension, Ix1, Ix2, Slice};

use super::elementwise::Operand;
use super::handle::{Node, Tensor};
use super::products::Dot;
use crate::kernels;
use crate::number::Scalar;
use crate::number::rules::{self, UnaryRule};
use crate::number::table::{for_each_rule, parameter};
use crate::tape::{OperationKind, Tape};

/// A tensor that depends on a number t, with its first and second derivatives with respect to t at t = 0.
///
/// All three are tensors of one tape, so that a loss of derivatives is differentiated with respect to the weights like
/// any other: the residual of a differential equation, or the penalty on the slope of a network. One pass through the
/// network gives the value and both derivatives; PyTorch's `create_graph` sweeps once for each.
///
/// [`Tensor::jet`] begins: t moves one column of the input. Functions of the table, operators, [`affine`](Self::affine)
/// and [`nn::Linear`](crate::nn::Linear) compute with jets as they do with tensors, and [`linear`](Self::linear) lifts
/// any other linear operation.
///
/// ```
/// use ndarray::{Array1, Array2, array};
/// use wengert::{Params, Tape};
///
/// let mut params = Params::new();
/// let (w1, b1) = (params.add("w1", array![[0.5, -0.7]]), params.add("b1", array![0.1, 0.2]));
/// let w2 = params.add("w2", array![[1.0], [2.0]]);
/// let x = array![[0.0], [0.5], [1.0]];
///
/// // The residual of u'' + u = 0.
/// let mut tape = Tape::new();
/// let (loss, grad) = tape.value_and_grad(&params, |p| {
///     let u = p.constant(&x).jet(0).affine(p.get(w1), p.get(b1)).tanh().dot(p.get(w2));
///     (u.derivative(2) + u.primal()).square().mean()
/// });
/// assert!(loss > 0.0 && grad.iter().all(|g| *g != 0.0));
/// ```
///
/// Several directions take a jet each: `p.constant(&x).jet(0)` and `.jet(1)`. A penalty on the slope alone needs no
/// second derivative: `x.jet(0).first_order()`.
#[must_use = "operations change no jet in place; use the jet that they return"]
pub struct Jet<'t, F: Scalar, D> {
    primal: Tensor<'t, F, D>,
    first: Tensor<'t, F, D>,
    /// `None` for zero.
    second: Option<Tensor<'t, F, D>>,
    /// 1 or 2: the highest derivative that operations compute.
    order: usize,
}

impl<F: Scalar, D> Clone for Jet<'_, F, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Scalar, D> Copy for Jet<'_, F, D> {}

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// The jet of the input x + t e, where e is 1 in one column (an index of the last axis) and 0 elsewhere.
    ///
    /// # Panics
    ///
    /// If the tensor has no axes, or the column is out of range.
    #[doc(alias("create_graph", "grad_outputs"))]
    #[track_caller]
    pub fn jet(self, column: usize) -> Jet<'t, F, D> {
        let columns = self.shape().last().copied().unwrap_or(0);
        assert!(column < columns, "jet: column {column} is out of range for shape {:?}", self.shape());
        let ones = (0..self.len()).map(|i| if i % columns == column { F::one() } else { F::zero() });
        let ones = ndarray::Array::from_shape_vec(self.dim(), ones.collect()).expect("as many elements");
        self.jet_along(self.tape.copied("jet", &ones.view()))
    }

    /// The jet of the input x + t · `direction`.
    ///
    /// # Panics
    ///
    /// If the shapes or the tapes differ, or the tensors have no axes.
    #[track_caller]
    pub fn jet_along(self, direction: Self) -> Jet<'t, F, D> {
        self.assert_same_tape(direction);
        assert!(
            self.shape() == direction.shape() && self.ndim() > 0,
            "jet_along: the input has shape {:?}, the direction {:?}; both have the same, of at least one axis",
            self.shape(),
            direction.shape()
        );
        Jet { primal: self, first: direction, second: None, order: 2 }
    }
}

impl<'t, F: Scalar, D: Dimension> Jet<'t, F, D> {
    /// The jet without its second derivative, which operations no longer compute.
    pub fn first_order(self) -> Self {
        Self { second: None, order: 1, ..self }
    }

    /// The value at t = 0.
    pub fn primal(self) -> Tensor<'t, F, D> {
        self.primal
    }

    /// The derivative of this order, 0 to 2, at t = 0.
    ///
    /// # Panics
    ///
    /// If the jet has no derivative of this order.
    #[track_caller]
    pub fn derivative(self, order: usize) -> Tensor<'t, F, D> {
        assert!(order <= self.order, "derivative: the jet has derivatives up to order {}, not {order}", self.order);
        match order {
            0 => self.primal,
            1 => self.first,
            _ => self.second.unwrap_or_else(|| self.primal.zeros_like()),
        }
    }

    /// The tape.
    pub fn tape(self) -> &'t Tape<F> {
        self.primal.tape
    }

    /// The length of each axis.
    pub fn shape(self) -> &'t [usize] {
        self.primal.shape()
    }

    /// The result of a linear operation, such as a product with a matrix, a sum along an axis or a view, which is
    /// applied to the value and to each derivative.
    ///
    /// ```
    /// let tape = wengert::Tape::<f64>::new();
    /// let data = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
    /// let x = tape.constant(&data).jet(0);
    /// let y = x.square().linear(|x| x.sum_axis(ndarray::Axis(1)));
    /// assert_eq!(y.derivative(1).value(), ndarray::array![2.0, 6.0]);
    /// assert_eq!(y.derivative(2).value(), ndarray::array![2.0, 2.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the results differ in shape or tape.
    #[track_caller]
    pub fn linear<E: Dimension>(self, f: impl Fn(Tensor<'t, F, D>) -> Tensor<'t, F, E>) -> Jet<'t, F, E> {
        self.with(f(self.primal), f)
    }

    /// The jet with this value, whose derivatives are linear in those of `self`.
    #[track_caller]
    fn with<E: Dimension>(
        self,
        primal: Tensor<'t, F, E>,
        f: impl Fn(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
    ) -> Jet<'t, F, E> {
        let (first, second) = (f(self.first), self.second.map(f));
        // A pullback may add to the adjoints of its own tape alone.
        for derivative in [Some(first), second].into_iter().flatten() {
            primal.assert_same_tape(derivative);
            assert!(
                primal.shape() == derivative.shape(),
                "Jet: the operation gives a value of shape {:?} and a derivative of shape {:?}; jets are not broadcast",
                primal.shape(),
                derivative.shape()
            );
        }
        Jet { primal, first, second, order: self.order }
    }

    /// x w + b, where the bias joins the value alone: the jet of a layer that computes `primal` from a value and
    /// `linear` from derivatives.
    #[track_caller]
    pub(crate) fn layer<E: Dimension>(
        self,
        primal: impl Fn(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
        linear: impl Fn(Tensor<'t, F, D>) -> Tensor<'t, F, E>,
    ) -> Jet<'t, F, E> {
        self.with(primal(self.primal), linear)
    }

    /// y = rule(x), with y' = σ'(x) x' and y'' = σ'(x) x'' + σ''(x) x'².
    #[track_caller]
    fn apply<R: UnaryRule<F::Base> + 't>(self, rule: R) -> Self {
        let (tape, x, first, second) =
            (self.primal.tape, self.primal.node, self.first.node, self.second.map(|s| s.node));
        let (len, blocks) = (x.len(), self.order + 1);
        let mut shape = self.primal.dim();
        shape[0] *= blocks;
        let arena = tape.arena();
        let of = kernels::Jet {
            x: x.to_slice(tape, R::NAME),
            first: first.to_slice(tape, R::NAME),
            second: second.map(|second| second.to_slice(tape, R::NAME)),
        };
        let y = arena.filled(R::NAME, shape.slice(), blocks * len, F::zero());
        let slopes = [0, 1].map(|_| arena.filled(R::NAME, self.shape(), len, F::zero()));
        let [s, c] = slopes;
        kernels::jet(rule, &of, y, [&mut *s, &mut *c]);
        let (y, s, c) = (&*y, &*s, &*c);
        let constant = x.is_constant() && first.is_constant() && second.is_none_or(Node::is_constant);
        let kind = OperationKind::binary(R::NAME, x.source(), first.source());
        let result = Tensor::result(tape, kind, shape, y, constant, move |cotangents| {
            let of = kernels::Jet { ..of };
            x.accumulate_with(cotangents, |dy, dx| kernels::jet_pullback(rule, &of, y, [s, c], dy, dx));
            first.accumulate_with(cotangents, |dy, dx| kernels::jet_pullback_first(&of, [s, c], dy, dx));
            if let Some(second) = second {
                second.accumulate_with(cotangents, |dy, dx| kernels::jet_pullback_second(s, dy, dx));
            }
        });
        let rows = self.shape()[0];
        let block = |k: usize| result.slice_axis(Axis(0), Slice::from(k * rows..(k + 1) * rows));
        Self { primal: block(0), first: block(1), second: (self.order > 1).then(|| block(2)), order: self.order }
    }

    /// The lower order of both.
    #[track_caller]
    fn common_order(self, other: Self) -> usize {
        self.primal.assert_same_tape(other.primal);
        assert!(
            self.shape() == other.shape(),
            "Jet: the operands have shapes {:?} and {:?}; jets are not broadcast",
            self.shape(),
            other.shape()
        );
        self.order.min(other.order)
    }
}

impl<'t, F: Scalar> Jet<'t, F, Ix2> {
    /// x w + b for the rows of a matrix; the bias joins the value alone.
    ///
    /// # Panics
    ///
    /// If the lengths do not fit or the tapes differ.
    #[track_caller]
    pub fn affine(self, weight: Tensor<'t, F, Ix2>, bias: Tensor<'t, F, Ix1>) -> Self {
        self.layer(|x| x.affine(weight, bias), |x| x.dot(weight))
    }

    /// The product with a matrix or a vector.
    ///
    /// # Panics
    ///
    /// If the inner lengths or the tapes differ.
    #[track_caller]
    pub fn dot<E: Dimension, G: Dimension>(self, rhs: Tensor<'t, F, E>) -> Jet<'t, F, G>
    where
        Tensor<'t, F, Ix2>: Dot<Tensor<'t, F, E>, Output = Tensor<'t, F, G>>,
    {
        self.linear(|x| x.dot(rhs))
    }
}

/// The functions of one operand as methods.
macro_rules! jet_methods {
    (
        unary std { $( [$($sdoc:literal)+] [$sformula:literal] $sname:ident($($sp:ident : $sty:ident),*) )+ }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        $($_binary:tt)*
    ) => {
        /// The functions of one operand in the [table](crate::rules), element by element.
        impl<'t, F: Scalar, D: Dimension> Jet<'t, F, D> {
            $( jet_methods! { @unary [$($sdoc)+] [$sformula] $sname($($sp: $sty),*) } )+
            $( jet_methods! { @unary [$($doc)+] [$formula] $name($($p: $ty),*) } )+
        }
    };
    (@unary [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*)) => {
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nDerivative: ", $formula, ".")]
        #[track_caller]
        pub fn $name(self $(, $p: parameter!($ty, F::Base))*) -> Self {
            self.apply(rules::$name::new($($p),*))
        }
    };
}
for_each_rule!(jet_methods);

/// Both second derivatives combined, where `None` is zero.
fn combined<'t, F: Scalar, D: Dimension>(
    a: Option<Tensor<'t, F, D>>,
    b: Option<Tensor<'t, F, D>>,
    both: impl Fn(Tensor<'t, F, D>, Tensor<'t, F, D>) -> Tensor<'t, F, D>,
    right: impl Fn(Tensor<'t, F, D>) -> Tensor<'t, F, D>,
) -> Option<Tensor<'t, F, D>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (None, Some(b)) => Some(right(b)),
        (a, None) => a,
    }
}

impl<F: Scalar, D: Dimension> Neg for Jet<'_, F, D> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.linear(|x| -x)
    }
}

/// Sums and differences of jets.
macro_rules! sums {
    ($($Trait:ident $method:ident $op:tt $right:expr);+) => { $(
        impl<'t, F: Scalar, D: Dimension> $Trait for Jet<'t, F, D>
        where
            Tensor<'t, F, D>: Operand<'t, F, D, Dim = D>,
        {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                let order = self.common_order(other);
                let second = combined(self.second, other.second, |a, b| a $op b, $right).filter(|_| order > 1);
                Self { primal: self.primal $op other.primal, first: self.first $op other.first, second, order }
            }
        }
    )+ };
}
sums! { Add add + |b| b; Sub sub - |b| -b }

impl<'t, F: Scalar, D: Dimension> Mul for Jet<'t, F, D>
where
    Tensor<'t, F, D>: Operand<'t, F, D, Dim = D>,
{
    type Output = Self;
    /// The product rule: (ab)'' = a'' b + 2 a' b' + a b''.
    #[track_caller]
    fn mul(self, other: Self) -> Self {
        let (a, b, order) = (self, other, self.common_order(other));
        let second = (order > 1).then(|| {
            let cross = a.first * b.first;
            let bent = [a.second.map(|second| second * b.primal), b.second.map(|second| a.primal * second)];
            bent.into_iter().flatten().fold(cross + cross, |sum, term| sum + term)
        });
        Self { primal: a.primal * b.primal, first: a.first * b.primal + a.primal * b.first, second, order }
    }
}

impl<'t, F: Scalar, D: Dimension> Div for Jet<'t, F, D>
where
    Tensor<'t, F, D>: Operand<'t, F, D, Dim = D>,
{
    type Output = Self;
    #[track_caller]
    #[allow(clippy::suspicious_arithmetic_impl)] // a/b = a · 1/b
    fn div(self, other: Self) -> Self {
        self * other.recip()
    }
}

/// Operators whose right operand does not depend on t: terms join the value alone, factors all three.
macro_rules! constant_operands {
    ($([$($bounds:tt)*] $R:ty),+) => { $(
        constant_operands! { @ [$($bounds)*] $R, Add add, |jet, c| jet.with(jet.primal + c, |x| x) }
        constant_operands! { @ [$($bounds)*] $R, Sub sub, |jet, c| jet.with(jet.primal - c, |x| x) }
        constant_operands! { @ [$($bounds)*] $R, Mul mul, |jet, c| jet.linear(|x| x * c) }
        constant_operands! { @ [$($bounds)*] $R, Div div, |jet, c| jet.linear(|x| x / c) }
    )+ };
    (@ [$($bounds:tt)*] $R:ty, $Trait:ident $method:ident, |$jet:ident, $c:ident| $result:expr) => {
        impl<'t, F: Scalar, D: Dimension> $Trait<$R> for Jet<'t, F, D>
        where
            $($bounds)*
        {
            type Output = Self;
            #[track_caller]
            fn $method(self, $c: $R) -> Self {
                let $jet = self;
                $result
            }
        }
    };
}
constant_operands! { [] F, [Tensor<'t, F, D>: Operand<'t, F, D, Dim = D>] Tensor<'t, F, D> }

/// Plain numbers on the left.
macro_rules! numbers_on_the_left {
    ($($base:ty),+) => { $(
        impl<'t, D: Dimension> Mul<Jet<'t, $base, D>> for $base {
            type Output = Jet<'t, $base, D>;
            #[track_caller]
            fn mul(self, jet: Jet<'t, $base, D>) -> Self::Output {
                jet * self
            }
        }
        impl<'t, D: Dimension> Add<Jet<'t, $base, D>> for $base {
            type Output = Jet<'t, $base, D>;
            #[track_caller]
            fn add(self, jet: Jet<'t, $base, D>) -> Self::Output {
                jet + self
            }
        }
        impl<'t, D: Dimension> Sub<Jet<'t, $base, D>> for $base {
            type Output = Jet<'t, $base, D>;
            #[track_caller]
            fn sub(self, jet: Jet<'t, $base, D>) -> Self::Output {
                -jet + self
            }
        }
        impl<'t, D: Dimension> Div<Jet<'t, $base, D>> for $base {
            type Output = Jet<'t, $base, D>;
            #[track_caller]
            #[allow(clippy::suspicious_arithmetic_impl)] // as above
            fn div(self, jet: Jet<'t, $base, D>) -> Self::Output {
                jet.recip() * self
            }
        }
    )+ };
}
numbers_on_the_left! { f32, f64 }

impl<F: Scalar, D: Dimension> fmt::Debug for Jet<'_, F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut jet = f.debug_struct("Jet");
        jet.field("primal", &self.primal).field("first", &self.first);
        if self.order > 1 {
            jet.field("second", &self.second);
        }
        jet.finish()
    }
}
