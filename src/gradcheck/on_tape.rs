//! Checks of functions that are written for the tape: of variables, of a tensor, of a model's parameters.

use ndarray::{Array, ArrayBase, Data, Dimension};

use super::options::GradCheck;
use super::report::{GradientMismatch, Report};
use crate::number::{BaseFloat, Dual, Scalar};
use crate::params::{Params, ParamsOn};
use crate::scalar::Var;
use crate::tape::Tape;
use crate::tensor::Tensor;

/// A seed other than 1, so that a pullback that ignores its cotangent is caught.
const COTANGENT: f64 = -1.375;

impl GradCheck {
    /// Checks the tape's gradient of a function of variables against the values of the function.
    ///
    /// The gradient is swept twice from the seed 1 and once from another seed. Each value and each gradient comes from
    /// a fresh tape, as in a training step.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_gradient<F: BaseFloat>(
        &self,
        f: impl for<'t> Fn(&[Var<'t, F>]) -> Var<'t, F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let cotangent = F::round_from(COTANGENT);
        let value = |x: &[F]| vec![f(Tape::new().vars_from(x)).value()];
        let sweep = |x: &[F], cotangent: F| {
            let tape = Tape::new();
            let x = tape.vars_from(x);
            let y = f(x) * cotangent;
            if y.is_constant() { vec![F::zero(); x.len()] } else { y.backward().wrt(x) }
        };
        let seeded = |x: &[F]| sweep(x, cotangent);
        self.scalar_check(&value, &|x| sweep(x, F::one()), Some((cotangent, &seeded)), x)
    }

    /// Checks the tape's gradient of a function of one tensor, of any shape.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_tensor<F: BaseFloat, S: Data<Elem = F>, D: Dimension>(
        &self,
        f: impl for<'t> Fn(Tensor<'t, F, D>) -> Var<'t, F>,
        x: &ArrayBase<S, D>,
    ) -> Result<Report, GradientMismatch> {
        let dim = x.raw_dim();
        let array = |flat: &[F]| Array::from_shape_vec(dim.clone(), flat.to_vec()).expect("as many elements");
        let cotangent = F::round_from(COTANGENT);
        let value = |flat: &[F]| vec![f(Tape::new().tensor(&array(flat))).value()];
        let sweep = |flat: &[F], cotangent: F| {
            let (array, tape) = (array(flat), Tape::new());
            let x = tape.tensor(&array);
            let y = f(x) * cotangent;
            let gradient: Array<F, D> = if y.is_constant() { Array::zeros(dim.clone()) } else { y.backward().wrt(x) };
            gradient.iter().copied().collect()
        };
        let flat: Vec<F> = x.iter().copied().collect();
        let seeded = |x: &[F]| sweep(x, cotangent);
        let mut check = self.clone();
        if check.inputs.is_empty() {
            check = check.inputs([("x", x.shape().to_vec())]);
        }
        check.scalar_check(&value, &|x| sweep(x, F::one()), Some((cotangent, &seeded)), &flat)
    }

    /// Checks the gradient of a whole model with respect to every parameter, frozen or not.
    ///
    /// `loss` is a closure as for [`Tape::value_and_grad`]. The report names entries by parameter and index.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_params<'env, F: BaseFloat>(
        &self,
        params: &Params<F>,
        loss: impl for<'t> Fn(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
    ) -> Result<Report, GradientMismatch> {
        let at = |x: &[F]| {
            let mut moved = params.clone();
            moved.group_where(|_| true).unfreeze();
            moved.values_mut().copy_from_slice(x);
            moved
        };
        let cotangent = F::round_from(COTANGENT);
        let value = |x: &[F]| {
            let (params, tape) = (at(x), Tape::new());
            vec![loss(ParamsOn::new(&tape, &params)).value()]
        };
        let sweep = |x: &[F], cotangent: F| {
            let (params, tape) = (at(x), Tape::new());
            let p = ParamsOn::new(&tape, &params);
            let y = loss(p) * cotangent;
            if y.is_constant() { vec![F::zero(); x.len()] } else { y.backward().wrt(p.flat()).to_vec() }
        };
        let seeded = |x: &[F]| sweep(x, cotangent);
        let mut check = self.clone();
        if check.inputs.is_empty() {
            check = check.inputs(params.iter().map(|entry| (entry.name, entry.shape.to_vec())));
        }
        check.scalar_check(&value, &|x| sweep(x, F::one()), Some((cotangent, &seeded)), params.values())
    }

    /// Checks second derivatives: products of the Hessian with random vectors, forward over reverse, against
    /// differences of the gradient.
    ///
    /// The function takes variables over dual numbers; the primal of the result is the value of the function.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_second_order<F: BaseFloat>(
        &self,
        f: impl for<'t> Fn(&[Var<'t, Dual<F>>]) -> Var<'t, Dual<F>>,
        x: &[F],
    ) -> Result<Report, GradientMismatch>
    where
        Dual<F>: Scalar,
    {
        let sweep = |x: &[F], d: &[F]| -> Vec<Dual<F>> {
            let tape = Tape::new();
            let point: Vec<Dual<F>> = x.iter().zip(d).map(|(x, d)| Dual::new(*x, [*d])).collect();
            let x = tape.vars_from(&point);
            let y = f(x);
            if y.is_constant() { vec![Dual::constant(F::zero()); x.len()] } else { y.backward().wrt(x) }
        };
        let gradient = |x: &[F]| sweep(x, &vec![F::zero(); x.len()]).into_iter().map(Dual::primal).collect();
        let product = |x: &[F], d: &[F]| sweep(x, d).into_iter().map(|g| g.tangents()[0]).collect();
        self.check_jvp(gradient, product, x)
    }
}

/// Checks the tape's gradient with the default options: see [`GradCheck::check_gradient`].
///
/// ```
/// use wengert::gradcheck::check_gradient;
///
/// let report = check_gradient(|x| (x[0] * x[1]).sin(), &[1.0, 2.0])?;
/// println!("{report}");
/// # Ok::<(), wengert::gradcheck::GradientMismatch>(())
/// ```
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check_gradient<F: BaseFloat>(
    f: impl for<'t> Fn(&[Var<'t, F>]) -> Var<'t, F>,
    x: &[F],
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check_gradient(f, x)
}

/// Checks the gradient of a whole model with the default options: see [`GradCheck::check_params`].
///
/// ```
/// use ndarray::array;
/// use wengert::{Params, gradcheck::check_params};
///
/// let mut params = Params::<f64>::new();
/// let w = params.add("w", array![[0.1, -0.2], [0.3, 0.4]]);
/// let b = params.add("b", array![0.0, 0.5]);
/// let x = array![[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]];
/// let report = check_params(&params, |p| {
///     let out = (p.tape().constant(&x).dot(p.get(w)) + p.get(b)).tanh();
///     out.softmax_cross_entropy(&[0, 1, 1])
/// })?;
/// println!("{report}");
/// # Ok::<(), wengert::gradcheck::GradientMismatch>(())
/// ```
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check_params<'env, F: BaseFloat>(
    params: &Params<F>,
    loss: impl for<'t> Fn(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check_params(params, loss)
}
