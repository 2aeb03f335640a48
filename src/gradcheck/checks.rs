//! The entry points of the checker, and the choice between one by one and blocks.

use ndarray::Array2;
use num_traits::Float;

use super::options::{Coordinates, GradCheck};
use super::report::{Entry, GradientMismatch, Place, Report};
use super::run::{CheckRun, Functional};
use super::slope::{dot, narrow, wide};
use super::{blocks, kinks};

/// The largest number of coordinates that are checked one by one unless [`Coordinates`] says otherwise.
const MAX_ONE_BY_ONE: usize = 256;

/// A cotangent and the function that sweeps a gradient from that cotangent.
pub(super) type SeededGradient<'s, F> = (F, &'s dyn Fn(&[F]) -> Vec<F>);

impl GradCheck {
    /// Checks a gradient against the values of its function.
    ///
    /// # Errors
    /// [`GradientMismatch::Disagrees`] if an entry disagrees; the other variants if the check is impossible.
    /// A report without disagreement may still hold inconclusive entries: see [`Report::verdict`].
    pub fn check<F: Float>(
        &self,
        value: impl Fn(&[F]) -> F,
        gradient: impl Fn(&[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let value = |p: &[F]| vec![value(p)];
        self.scalar_check(&value, &gradient, None, x)
    }

    /// The check behind [`check`](Self::check) and behind the checks of the tape.
    ///
    /// `seeded` holds a cotangent other than 1 and the gradient swept from that cotangent.
    pub(super) fn scalar_check<F: Float>(
        &self,
        value: &dyn Fn(&[F]) -> Vec<F>,
        gradient: &dyn Fn(&[F]) -> Vec<F>,
        seeded: Option<SeededGradient<'_, F>>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = CheckRun::new(self, x, value)?;
        let mut analytic = run.call_gradient(2, "the gradient", || gradient(x))?;
        if let Some((cotangent, seeded)) = seeded {
            let swept = run.call_gradient(1, "the gradient", || seeded(x))?;
            analytic.unseeded = Some(swept.first.into_iter().map(|g| g / wide(cotangent)).collect());
        }
        run.check_scalar(&|v| v[0], &analytic.first, None);
        run.measure_taylor_order(&|v| v[0], &analytic.first);
        run.finish(Some(&analytic))
    }

    /// Checks the Jacobian `J[i, j] = ∂f_i/∂x_j` of a vector function, an array `(outputs, inputs)`.
    ///
    /// Up to 256 inputs every entry is checked. Beyond 256, gradients of `vᵀf` for random cotangents `v` are
    /// checked in blocks; where a gradient disagrees, the wrong entries of the column are located.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_jacobian<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        jacobian: impl Fn(&[F]) -> Array2<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = CheckRun::new(self, x, &f)?;
        let (m, n) = (run.origin.len(), x.len());
        let mut shape = Ok(());
        let analytic = run.call_gradient(2, "the Jacobian", || {
            let j = jacobian(x);
            if j.dim() != (m, n) {
                let found = vec![j.nrows(), j.ncols()];
                shape = Err(GradientMismatch::Length { what: "the Jacobian", found, expected: vec![m, n] });
            }
            j.iter().copied().collect()
        });
        shape?;
        let analytic = analytic?;
        let jacobian = &analytic.first;
        if let Some(list) = run.one_by_one() {
            let entries = run.check_columns(&list, jacobian);
            run.entries.borrow_mut().extend(entries);
            run.check_joint_kinks(jacobian);
        } else {
            for v in run.cotangents(2) {
                let gradient: Vec<f64> = (0..n).map(|j| (0..m).map(|i| v[i] * jacobian[i * n + j]).sum()).collect();
                run.check_scalar(&|values| dot(values, &v), &gradient, Some(jacobian));
            }
        }
        run.finish(Some(&analytic))
    }

    /// Checks a vector-Jacobian product `vjp(x, v) = Jᵀv`, also called a pullback.
    ///
    /// The cotangent `v` has one component for each output. It is first all ones, the seed of most callers, then
    /// two random vectors.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_vjp<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        vjp: impl Fn(&[F], &[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = CheckRun::new(self, x, &f)?;
        let mut cotangents = vec![vec![1.0; run.origin.len()]];
        cotangents.extend(run.cotangents(2));
        let mut last = None;
        for v in cotangents {
            let seed: Vec<F> = v.iter().map(|v| narrow(*v)).collect();
            // The cotangent as the pullback sees it, rounded.
            let v: Vec<f64> = seed.iter().map(|v| wide(*v)).collect();
            run.seed.replace(in_words("v", &v));
            let analytic = run.call_gradient(2, "the pullback", || vjp(x, &seed))?;
            run.check_scalar(&|values| dot(values, &v), &analytic.first, None);
            last = Some(analytic);
        }
        run.finish(last.as_ref())
    }

    /// Checks a Jacobian-vector product `jvp(x, d) = J d`, output by output along two random directions `d`.
    ///
    /// With a gradient for `f` and a Hessian-vector product for `jvp`, this method checks second derivatives.
    ///
    /// # Errors
    /// Same as for [`check`](Self::check).
    pub fn check_jvp<F: Float>(
        &self,
        f: impl Fn(&[F]) -> Vec<F>,
        jvp: impl Fn(&[F], &[F]) -> Vec<F>,
        x: &[F],
    ) -> Result<Report, GradientMismatch> {
        let run = CheckRun::new(self, x, &f)?;
        let mut last = None;
        let all: Vec<usize> = (0..x.len()).collect();
        for round in 0..2 {
            let direction: Vec<F> = run.direction(&all, round).iter().map(|(_, d)| narrow(*d)).collect();
            let analytic = run.call_gradient(2, "the tangent", || jvp(x, &direction))?;
            let direction: Vec<_> = all.iter().map(|i| (*i, wide(direction[*i]))).collect();
            run.seed.replace(in_words("d", &direction.iter().map(|(_, d)| *d).collect::<Vec<_>>()));
            let entries = run.check_tangents(&direction, &analytic.first)?;
            run.entries.borrow_mut().extend(entries);
            last = Some(analytic);
        }
        run.finish(last.as_ref())
    }
}

/// A cotangent or a direction as a short text.
fn in_words(name: &str, v: &[f64]) -> String {
    if v.iter().all(|v| *v == 1.0) {
        return format!("{name} = ones");
    }
    let number = |v: &f64| if (1e-2..1e4).contains(&v.abs()) { format!("{v:.3}") } else { format!("{v:.2e}") };
    let mut numbers: Vec<String> = v.iter().take(3).map(number).collect();
    if v.len() > 3 {
        numbers.push("..".to_owned());
    }
    format!("{name} = [{}]", numbers.join(", "))
}

impl CheckRun<'_> {
    /// The coordinates to be checked one by one; `None` if the check goes in blocks.
    fn one_by_one(&self) -> Option<Vec<usize>> {
        let n = self.x.len();
        match &self.options.coordinates {
            Coordinates::Auto if n > MAX_ONE_BY_ONE => None,
            Coordinates::Blocks => None,
            Coordinates::Only(list) => Some(list.clone()),
            _ => Some((0..n).collect()),
        }
    }

    /// Checks the gradient of a scalar output; a `jacobian` serves to locate the rows of a wrong column.
    fn check_scalar(&self, output: &Functional<'_>, gradient: &[f64], jacobian: Option<&[f64]>) {
        let entries = match self.one_by_one() {
            Some(list) => {
                self.plan_lines(list.len());
                let entries: Vec<Entry> = list.iter().map(|i| self.check_coordinate(output, gradient, *i)).collect();
                let joint = kinks::joint(self, output, gradient, &entries);
                entries.into_iter().chain(joint).collect()
            }
            None => blocks::check(self, output, gradient, jacobian),
        };
        self.entries.borrow_mut().extend(entries);
    }

    /// Checks kinks shared by several coordinates, row by row of a Jacobian.
    fn check_joint_kinks(&self, jacobian: &[f64]) {
        let n = self.x.len();
        for j in 0..self.origin.len() {
            let of_row = |e: &&Entry| matches!(&e.place, Place::Entry(index) if index[0] == j);
            let row: Vec<Entry> = self.entries.borrow().iter().filter(of_row).cloned().collect();
            let joint = kinks::joint(self, &|v| v[j], &jacobian[j * n..][..n], &row);
            self.entries.borrow_mut().extend(joint);
        }
    }
}

/// Checks a hand-written gradient with the default options: see [`GradCheck::check`].
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check<F: Float>(
    value: impl Fn(&[F]) -> F,
    gradient: impl Fn(&[F]) -> Vec<F>,
    x: &[F],
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check(value, gradient, x)
}

/// Checks a Jacobian with the default options: see [`GradCheck::check_jacobian`].
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check_jacobian<F: Float>(
    f: impl Fn(&[F]) -> Vec<F>,
    jacobian: impl Fn(&[F]) -> ndarray::Array2<F>,
    x: &[F],
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check_jacobian(f, jacobian, x)
}

/// Checks a vector-Jacobian product with the default options: see [`GradCheck::check_vjp`].
///
/// # Errors
/// Same as for [`GradCheck::check`].
pub fn check_vjp<F: Float>(
    f: impl Fn(&[F]) -> Vec<F>,
    vjp: impl Fn(&[F], &[F]) -> Vec<F>,
    x: &[F],
) -> Result<Report, GradientMismatch> {
    GradCheck::new().check_vjp(f, vjp, x)
}
