//! Elementwise functions and operators, with broadcasting as ndarray's.

use std::ops::Range;

use ndarray::{Array, ArrayBase, ArrayView, Data, DimMax, Dimension};

use super::constant::Embed;
use super::handle::{Node, Tensor};
use crate::arena::count;
use crate::kernels;
use crate::kernels::{BinaryLoops, Fibers, Sum, UnaryLoops, Zipped};
use crate::number::macros::{for_each_dual, operators};
use crate::number::rules::BinaryRule;
use crate::number::table::{for_each_rule, parameter};
use crate::number::{Dual, Real, Scalar, leave_origin, pull_length, rules};
use crate::scalar::Var;
use crate::sealed::Seal;
use crate::slices::gemm::Store;
use crate::tape::{Cotangents, OperationKind, SINK, Tape};

impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
    /// yᵢ = rule(xᵢ).
    #[track_caller]
    pub(crate) fn apply<R: UnaryLoops<F> + 't>(self, rule: R) -> Self {
        let (tape, node) = (self.tape, self.node);
        let x = node.to_slice(tape, R::NAME);
        let y = tape.arena().filled(R::NAME, node.shape(), x.len(), F::zero());
        // A function that gives its slope at little cost keeps it for the pullback.
        let slope = (R::SLOPE && !node.is_constant()).then(|| {
            let slope = tape.arena().filled(R::NAME, node.shape(), x.len(), F::zero());
            rule.map_and_slope(x, y, slope);
            &*slope
        });
        if slope.is_none() {
            rule.map(x, y);
        }
        let mut at_origin = false;
        if R::LENGTH && F::CARRIES_DERIVATIVES {
            for (y, &x) in y.iter_mut().zip(x) {
                at_origin |= leave_origin(y, std::iter::once(x));
            }
        }
        let y = &*y;
        let kind = OperationKind::unary(R::NAME, node.source());
        if let Some(slope) = slope {
            return Self::result(tape, kind, self.dim(), y, false, move |cotangents| {
                node.accumulate_with(cotangents, |dy, dx| kernels::pull_by(slope, dy, dx));
            });
        }
        Self::result(tape, kind, self.dim(), y, node.is_constant(), move |cotangents| {
            node.accumulate_with(cotangents, |dy, dx| {
                if !at_origin {
                    return rule.map_pullback(x, y, dy, dx);
                }
                for (((dx, &dy), &x), &y) in dx.iter_mut().zip(dy).zip(x).zip(y) {
                    *dx += pull_length(dy, x, y, rule.partial(x, y));
                }
            });
        })
    }

    /// zᵢ = rule(aᵢ, bᵢ), with both operands broadcast to their common shape.
    #[track_caller]
    pub(crate) fn apply2<R: Operand<'t, F, D>>(
        self,
        rule: impl BinaryLoops<F> + 't,
        other: R,
    ) -> Tensor<'t, F, R::Dim> {
        // A variable among the operands may take a record of its own.
        let attempt = self.tape.records().attempt();
        let (a, b) = other.pair(self, name(&rule), Seal);
        let result = zip(self.tape, rule, a, b);
        attempt.keep();
        result
    }

    /// The node broadcast to a shape that the node must fit: repeated along new axes and axes of length 1. Panics if
    /// there is no array of this shape.
    #[track_caller]
    pub(super) fn stretched<E: Dimension>(self, shape: E, operation: &str) -> &'t Node<'t, F, E> {
        let node = self.node;
        let Some(values) = node.values.broadcast(shape.clone()) else {
            count(operation, shape.slice());
            unreachable!("the common shape of two operands fits both");
        };
        self.tape.alloc(Node { values, storage: node.storage, slot: node.slot })
    }
}

fn name<B, R: BinaryRule<B>>(_: &R) -> &'static str {
    R::NAME
}

#[track_caller]
fn zip<'t, F: Scalar, D: Dimension, R: BinaryLoops<F> + 't>(
    tape: &'t Tape<F>,
    rule: R,
    a: &'t Node<'t, F, D>,
    b: &'t Node<'t, F, D>,
) -> Tensor<'t, F, D> {
    if R::SUM
        && let Some(terms) = terms(a, b)
    {
        return sum(tape, R::NAME, [a, b], terms);
    }
    let z = tape.arena().filled(R::NAME, a.shape(), a.len(), F::zero());
    rule.zip(a.shape(), a.operand(), b.operand(), z);
    let mut at_origin = None;
    if R::LENGTH && F::CARRIES_DERIVATIVES {
        let mut careful = false;
        let (x, y) = (a.to_slice(tape, R::NAME), b.to_slice(tape, R::NAME));
        for (z, (&x, &y)) in z.iter_mut().zip(x.iter().zip(y)) {
            careful |= leave_origin(z, [x, y].into_iter());
        }
        at_origin = careful.then_some((x, y));
    }
    let z = &*z;
    let constant = a.is_constant() && b.is_constant();
    let kind = OperationKind::binary(R::NAME, a.source(), b.source());
    Tensor::result(tape, kind, a.values.raw_dim(), z, constant, move |cotangents| {
        if let Some((x, y)) = at_origin {
            for first in [true, false] {
                let node = if first { a } else { b };
                node.accumulate_with(cotangents, |dz, dx| {
                    for (i, (dx, &dz)) in dx.iter_mut().zip(dz).enumerate() {
                        let (x, y, z) = (x[i], y[i], z[i]);
                        *dx += if first {
                            pull_length(dz, x, z, rule.partial_a(x, y, z))
                        } else {
                            pull_length(dz, y, z, rule.partial_b(x, y, z))
                        };
                    }
                });
            }
            return;
        }
        let zipped = Zipped { shape: a.shape(), a: a.operand(), b: b.operand(), z, dz: cotangents.of_result };
        let shifts = [a, b].map(|node| {
            (!node.is_constant()).then(|| {
                cotangents.of_operands.of(node.reach());
                node.slot()
            })
        });
        rule.zip_pullback(zipped, cotangents.of_operands.slots(), shifts, cotangents.arena);
    })
}

/// The elements of two operands of a sum, if the first stands in row-major order, as does the second, or the row of which the
/// second consists, such as a bias.
fn terms<'t, F: Scalar, D: Dimension>(a: &Node<'t, F, D>, b: &Node<'t, F, D>) -> Option<[&'t [F]; 2]> {
    let x = a.as_slice().filter(|x| !x.is_empty())?;
    if let Some(y) = b.as_slice() {
        return Some([x, y]);
    }
    let (&n, _) = b.shape().split_last()?;
    let (&last, outer) = b.values.strides().split_last()?;
    // Runs of a few elements are better taken together.
    let row = last == 1 && n >= 8 || n == 1;
    (row && outer.iter().zip(b.shape()).all(|(&step, &len)| step == 0 || len == 1))
        .then(|| [x, &b.storage[b.offset()..b.offset() + n]])
}

/// z = a + b, of terms in row-major order: the cotangent passes through as it is.
#[track_caller]
fn sum<'t, F: Scalar, D: Dimension>(
    tape: &'t Tape<F>,
    name: &'static str,
    [a, b]: [&'t Node<'t, F, D>; 2],
    [x, y]: [&'t [F]; 2],
) -> Tensor<'t, F, D> {
    let z = tape.arena().filled(name, a.shape(), x.len(), F::zero());
    kernels::add_rows(x, y, z);
    let constant = a.is_constant() && b.is_constant();
    let kind = OperationKind::binary(name, a.source(), b.source());
    let operands = [(a.first_slot(), x.len()), (b.first_slot(), y.len())];
    Tensor::result(tape, kind, a.values.raw_dim(), z, constant, move |cotangents| {
        let dz = cotangents.of_result;
        for (first, len) in operands {
            if let Some(first) = first {
                pull_term(cotangents, first..first + len, dz);
            }
        }
    })
}

/// Adds the cotangent of a sum to the adjoints of a term, whose elements may be repeated.
pub(super) fn pull_term<F: Scalar>(cotangents: &mut Cotangents<'_, F>, slots: Range<usize>, dz: &[F]) {
    /// Up to here a loop takes less than a kernel's set-up.
    const FEW: usize = 64;
    let n = slots.len();
    if n == dz.len() {
        let (adjoints, update) = cotangents.of_operands.write(slots.clone());
        match update {
            Store::Set => adjoints[slots].copy_from_slice(dz),
            Store::Add => kernels::add_to(dz, &mut adjoints[slots]),
        }
    } else if dz.len() <= FEW {
        let own = cotangents.of_operands.run(slots);
        for row in dz.chunks_exact(n) {
            for (sum, &dz) in own.iter_mut().zip(row) {
                *sum += dz;
            }
        }
    } else {
        let sums = cotangents.arena.alloc_slice_fill_copy(n, F::zero());
        kernels::fold(Sum, Fibers::along(0, &[dz.len() / n, n]), [dz], None, sums);
        kernels::add_to(sums, cotangents.of_operands.run(slots));
    }
}

/// Two operands of one shape.
type Pair<'t, F, D> = (&'t Node<'t, F, D>, &'t Node<'t, F, D>);

/// An operand that can be combined with a tensor of dimension `D`: a number, a [`Var`], a tensor, or an array or view,
/// which is a constant.
///
/// A borrowed array `&data` is copied, and may be gone when the tensor is used; a view `data.view()` is read in place,
/// as in [`Tape::constant`], and an owned array is kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be combined with a tensor of `{F}`",
    note = "an operand is a number, a variable, a tensor or an array of the tensor's own number type",
    note = "convert data with `array.mapv(|x| x as f32)`, and write integers as floats: `2.0 * x`"
)]
pub trait Operand<'t, F: Scalar, D: Dimension> {
    /// The dimension of the result.
    type Dim: Dimension + 't;
    /// Both operands, broadcast to their common shape.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, Self::Dim>;
}

impl<'t, F: Scalar, D: Dimension, E: Dimension> Operand<'t, F, D> for Tensor<'t, F, E>
where
    D: DimMax<E, Output: 't>,
{
    type Dim = <D as DimMax<E>>::Output;
    #[track_caller]
    #[allow(private_interfaces)]
    fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, Self::Dim> {
        left.assert_same_tape(self);
        let shape: Self::Dim = common_shape(left.shape(), self.shape(), operation);
        (left.stretched(shape.clone(), operation), self.stretched(shape, operation))
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Operand<'t, F, D> for F {
    type Dim = D;
    #[allow(private_interfaces)]
    #[track_caller]
    fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, D> {
        (left.node, constant(left.tape, self).stretched(left.dim(), operation))
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Operand<'t, F, D> for Var<'t, F> {
    type Dim = D;
    #[track_caller]
    #[allow(private_interfaces)]
    fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, D> {
        (left.node, self.to_tensor(left.tape).stretched(left.dim(), operation))
    }
}

/// A borrowed array is copied, so that it need not live as long as the tensor.
impl<'t, F: Scalar, D: Dimension, E: Dimension + 't, A: Embed<F>, S: Data<Elem = A>> Operand<'t, F, D>
    for &ArrayBase<S, E>
where
    D: DimMax<E, Output: 't>,
{
    type Dim = <D as DimMax<E>>::Output;
    #[track_caller]
    #[allow(private_interfaces)]
    fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, Self::Dim> {
        left.tape.copied(operation, &self.view()).pair(left, operation, Seal)
    }
}

macro_rules! array_operand {
    ([$($generics:tt)*] $array:ty) => {
        impl<'t, F: Scalar, D: Dimension, E: Dimension + 't, A: Embed<F>, $($generics)*> Operand<'t, F, D> for $array
        where
            D: DimMax<E, Output: 't>,
        {
            type Dim = <D as DimMax<E>>::Output;
            #[track_caller]
            #[allow(private_interfaces)]
            fn pair(self, left: Tensor<'t, F, D>, operation: &str, _: Seal) -> Pair<'t, F, Self::Dim> {
                left.tape.constant(self).pair(left, operation, Seal)
            }
        }
    };
}
array_operand! { [] ArrayView<'t, A, E> }
array_operand! { [] Array<A, E> }

macro_rules! base_operand {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<'t, $($generics)*, D: Dimension + 't> Operand<'t, $number, D> for $base {
            type Dim = D;
            #[track_caller]
            #[allow(private_interfaces)]
            fn pair(self, left: Tensor<'t, $number, D>, operation: &str, _: Seal) -> Pair<'t, $number, D> {
                <$number>::from_base(self).pair(left, operation, Seal)
            }
        }
        operators! { ['t, $($generics)*, D: Dimension] $base, Tensor<'t, $number, D> => Tensor<'t, $number, D>, |rule, a, b| apply_right(rule, constant(b.tape, Real::from_base(a)), b) }
    };
}
for_each_dual! { base_operand }

/// A number as a constant tensor without axes.
#[track_caller]
fn constant<F: Scalar>(tape: &Tape<F>, x: F) -> Tensor<'_, F, ndarray::Ix0> {
    let storage = std::slice::from_ref(tape.alloc(x));
    Tensor::over(tape, ArrayView::from_shape((), storage).expect("one element"), storage, SINK)
}

/// The shape to which both shapes broadcast: axes are aligned at the last one, and lengths must be equal or 1.
#[track_caller]
pub(super) fn common_shape<E: Dimension>(a: &[usize], b: &[usize], operation: &str) -> E {
    let ndim = a.len().max(b.len());
    let mut shape = E::zeros(ndim);
    for (from_end, len) in shape.slice_mut().iter_mut().rev().enumerate() {
        let of = |shape: &[usize]| shape.len().checked_sub(from_end + 1).map_or(1, |axis| shape[axis]);
        *len = match (of(a), of(b)) {
            (m, n) if m == n => m,
            (1, n) => n,
            (m, 1) => m,
            _ => panic!(
                "{operation}: shapes {a:?} and {b:?} do not broadcast (axes are aligned at the last one; lengths must be equal or 1); \
                 see `reshape`, `insert_axis` and `t`"
            ),
        };
    }
    shape
}

/// The functions of the table as methods.
macro_rules! tensor_methods {
    (
        unary std { $( [$($sdoc:literal)+] [$sformula:literal] $sname:ident($($sp:ident : $sty:ident),*) )+ }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $( [$($bsdoc:literal)+] [$bsfa:literal] [$bsfb:literal] $bsname:ident )+ }
        binary own { $( [$($bdoc:literal)+] [$bfa:literal] [$bfb:literal] $bname:ident )+ }
    ) => {
        /// The functions of the [table](crate::rules), element by element. The result has the tensor's shape; with a
        /// second operand, the common shape of both.
        impl<'t, F: Scalar, D: Dimension> Tensor<'t, F, D> {
            $( tensor_methods! { @unary [$($sdoc)+] [$sformula] $sname($($sp: $sty),*) } )+
            $( tensor_methods! { @unary [$($doc)+] [$formula] $name($($p: $ty),*) } )+
            $( tensor_methods! { @binary [$($bsdoc)+] [$bsfa] [$bsfb] $bsname } )+
            $( tensor_methods! { @binary [$($bdoc)+] [$bfa] [$bfb] $bname } )+
        }
    };
    (@unary $doc:tt $formula:tt clamp $p:tt) => { tensor_methods! { @unary [doc(alias = "clip")] $doc $formula clamp $p } };
    (@unary $doc:tt $formula:tt $name:ident $p:tt) => { tensor_methods! { @unary [] $doc $formula $name $p } };
    (@unary [$($alias:meta)?] [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*)) => {
        $( #[$alias] )?
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nDerivative: ", $formula, ".")]
        #[track_caller]
        pub fn $name(self $(, $p: parameter!($ty, F::Base))*) -> Self {
            self.apply(rules::$name::new($($p),*))
        }
    };
    // `max` and `min` name reductions, as in ndarray and numpy; of two tensors there are `maximum` and `minimum`.
    (@binary [$($doc:literal)+] [$fa:literal] [$fb:literal] max) => {};
    (@binary [$($doc:literal)+] [$fa:literal] [$fb:literal] min) => {};
    (@binary [$($doc:literal)+] [$fa:literal] [$fb:literal] $name:ident) => {
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nPartials: ", $fa, " and ", $fb, ". The other operand is a tensor, a variable, an array or a number; see [`Operand`](crate::args::Operand).")]
        #[doc = "\n\n# Panics\n\nIf the shapes do not broadcast or the tapes differ."]
        #[track_caller]
        pub fn $name<R: Operand<'t, F, D>>(self, other: R) -> Tensor<'t, F, R::Dim> {
            self.apply2(rules::$name, other)
        }
    };
}
for_each_rule!(tensor_methods);

macro_rules! tensor_operators {
    ($($Trait:ident $method:ident $Assign:ident $assign:ident)+) => { $(
        impl<'t, F: Scalar, D: Dimension, R: Operand<'t, F, D>> std::ops::$Trait<R> for Tensor<'t, F, D> {
            type Output = Tensor<'t, F, R::Dim>;
            #[track_caller]
            fn $method(self, right: R) -> Self::Output {
                self.apply2(rules::$method, right)
            }
        }
        impl<'t, F: Scalar, D: Dimension, R: Operand<'t, F, D>> std::ops::$Trait<R> for &Tensor<'t, F, D> {
            type Output = Tensor<'t, F, R::Dim>;
            #[track_caller]
            fn $method(self, right: R) -> Self::Output {
                (*self).apply2(rules::$method, right)
            }
        }
        impl<'t, F: Scalar, D: Dimension, R: Operand<'t, F, D, Dim = D>> std::ops::$Assign<R> for Tensor<'t, F, D> {
            #[track_caller]
            fn $assign(&mut self, right: R) {
                *self = self.apply2(rules::$method, right);
            }
        }
    )+ };
}
tensor_operators! {
    Add add AddAssign add_assign
    Sub sub SubAssign sub_assign
    Mul mul MulAssign mul_assign
    Div div DivAssign div_assign
    Rem rem RemAssign rem_assign
}

/// zᵢ = rule(x, bᵢ), where the left operand x is a single number.
#[track_caller]
fn apply_right<'t, F: Scalar, D: Dimension>(
    rule: impl BinaryLoops<F> + 't,
    left: Tensor<'t, F, ndarray::Ix0>,
    right: Tensor<'t, F, D>,
) -> Tensor<'t, F, D> {
    let left = left.stretched(right.dim(), name(&rule));
    zip(right.tape, rule, left, right.node)
}

/// zᵢ = rule(x, bᵢ), where the left operand x is a variable.
#[track_caller]
fn apply_var<'t, F: Scalar, D: Dimension>(
    rule: impl BinaryLoops<F> + 't,
    left: Var<'t, F>,
    right: Tensor<'t, F, D>,
) -> Tensor<'t, F, D> {
    let attempt = right.tape.records().attempt();
    let result = apply_right(rule, left.to_tensor(right.tape), right);
    attempt.keep();
    result
}

operators! { ['t, F: Scalar, D: Dimension] Var<'t, F>, Tensor<'t, F, D> => Tensor<'t, F, D>, |rule, a, b| apply_var(rule, a, b) }
operators! { ['t, D: Dimension] f64, Tensor<'t, f64, D> => Tensor<'t, f64, D>, |rule, a, b| apply_right(rule, constant(b.tape, a), b) }
operators! { ['t, D: Dimension] f32, Tensor<'t, f32, D> => Tensor<'t, f32, D>, |rule, a, b| apply_right(rule, constant(b.tape, a), b) }
operators! { ['t, F: Scalar, const N: usize, D: Dimension] Dual<F, N>, Tensor<'t, Dual<F, N>, D> => Tensor<'t, Dual<F, N>, D>, |rule, a, b| apply_right(rule, constant(b.tape, a), b) }

impl<F: Scalar, D: Dimension> std::ops::Neg for Tensor<'_, F, D> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        self.apply(rules::neg::new())
    }
}

impl<'t, F: Scalar, D: Dimension> std::ops::Neg for &Tensor<'t, F, D> {
    type Output = Tensor<'t, F, D>;
    #[track_caller]
    fn neg(self) -> Tensor<'t, F, D> {
        -*self
    }
}
