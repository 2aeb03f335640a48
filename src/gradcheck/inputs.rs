//! Checks of functions of arrays, tuples and structs: [`Inputs`].

use std::cell::RefCell;

use ndarray::{Array, ArrayViewMut1, ArrayViewMutD, Dimension};
use num_traits::Float;

use super::options::GradCheck;
use super::report::{GradientMismatch, Report};

/// Arrays of numbers that a function takes together: an array, a vector, a tuple of such, or a struct.
///
/// [`visit`](Self::visit) is all that a struct needs:
///
/// ```
/// use ndarray::{Array1, Array2, ArrayViewMutD, array};
/// use wengert::gradcheck::{Inputs, check_inputs};
///
/// #[derive(Clone)]
/// struct Layer {
///     w: Array2<f64>,
///     b: Array1<f64>,
/// }
///
/// impl Inputs<f64> for Layer {
///     fn visit(&mut self, visit: &mut dyn FnMut(&str, ArrayViewMutD<'_, f64>)) {
///         visit("w", self.w.view_mut().into_dyn());
///         visit("b", self.b.view_mut().into_dyn());
///     }
/// }
///
/// let x = array![0.3, -1.2];
/// let layer = Layer { w: array![[0.5, 1.0], [-0.4, 0.2]], b: array![0.1, 0.7] };
/// let report = check_inputs(
///     |l: &Layer| (l.w.dot(&x) + &l.b).mapv(|v| v * v).sum(),
///     |l| {
///         let b = 2.0 * (l.w.dot(&x) + &l.b);
///         Layer { w: Array2::from_shape_fn((2, 2), |(i, j)| b[i] * x[j]), b }
///     },
///     &layer,
/// )?;
/// println!("{report}"); // rows are named `w [0, 1]`
/// # Ok::<(), wengert::gradcheck::GradientMismatch>(())
/// ```
pub trait Inputs<F>: Clone {
    /// Calls `visit` with the name and the elements of each array, always in the same order.
    fn visit(&mut self, visit: &mut dyn FnMut(&str, ArrayViewMutD<'_, F>));
}

impl<F: Clone, D: Dimension> Inputs<F> for Array<F, D> {
    fn visit(&mut self, visit: &mut dyn FnMut(&str, ArrayViewMutD<'_, F>)) {
        visit("x", self.view_mut().into_dyn());
    }
}

impl<F: Clone> Inputs<F> for Vec<F> {
    fn visit(&mut self, visit: &mut dyn FnMut(&str, ArrayViewMutD<'_, F>)) {
        visit("x", ArrayViewMut1::from(self.as_mut_slice()).into_dyn());
    }
}

macro_rules! tuples {
    ($(($($part:ident $index:tt),+))+) => { $(
        impl<F, $($part: Inputs<F>),+> Inputs<F> for ($($part,)+) {
            fn visit(&mut self, visit: &mut dyn FnMut(&str, ArrayViewMutD<'_, F>)) {
                $(self.$index.visit(&mut |name, part| visit(&format!("{}.{name}", $index), part));)+
            }
        }
    )+ };
}
tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

/// The name and the shape of each array.
fn shapes<F: Float>(inputs: &impl Inputs<F>) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    inputs.clone().visit(&mut |name, part| shapes.push((name.to_owned(), part.shape().to_vec())));
    shapes
}

/// All numbers, in the order of the visit.
fn flat<F: Float>(inputs: &impl Inputs<F>) -> Vec<F> {
    let mut numbers = Vec::new();
    inputs.clone().visit(&mut |_, part| numbers.extend(part.iter().copied()));
    numbers
}

impl GradCheck {
    /// Checks a gradient with respect to arrays, a tuple or a struct: see [`Inputs`].
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_inputs<F: Float, T: Inputs<F>>(
        &self,
        value: impl Fn(&T) -> F,
        gradient: impl Fn(&T) -> T,
        x: &T,
    ) -> Result<Report, GradientMismatch> {
        let at = |numbers: &[F]| {
            let (mut moved, mut numbers) = (x.clone(), numbers.iter());
            moved.visit(&mut |_, mut part| part.iter_mut().zip(&mut numbers).for_each(|(to, from)| *to = *from));
            moved
        };
        let expected = shapes(x);
        let misfit = RefCell::new(None);
        let gradient = |p: &[F]| {
            let g = gradient(&at(p));
            let other = shapes(&g).into_iter().zip(&expected).find(|(found, expected)| found.1 != expected.1);
            misfit.replace(other.map(|(found, expected)| GradientMismatch::Length {
                what: "a part of the gradient",
                found: found.1,
                expected: expected.1.clone(),
            }));
            flat(&g)
        };
        let mut check = self.clone();
        if check.inputs.is_empty() {
            check = check.inputs(expected.clone());
        }
        let outcome = check.check(|p: &[F]| value(&at(p)), gradient, &flat(x));
        misfit.into_inner().map_or(outcome, Err)
    }
}

/// Checks a gradient with respect to arrays, a tuple or a struct with the default options: see [`Inputs`].
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check_inputs<F: Float, T: Inputs<F>>(
    value: impl Fn(&T) -> F,
    gradient: impl Fn(&T) -> T,
    x: &T,
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check_inputs(value, gradient, x)
}
