//! The errors of fits.

use std::error::Error;
use std::fmt;

use crate::program::ProgramError;

/// The reason why there is no fit, or no covariance. Needs the feature `linalg`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FitError {
    /// There are no parameters.
    NoParameters,
    /// There are fewer residuals than parameters, so that parameters are not determined.
    #[non_exhaustive]
    TooFewResiduals {
        /// The number of residuals.
        residuals: usize,
        /// The number of parameters.
        parameters: usize,
    },
    /// There are as many residuals as parameters, so that nothing is left to estimate the errors of the residuals from.
    NothingLeft,
    /// A parameter of the start is not finite, or not inside of its bounds.
    #[non_exhaustive]
    Start {
        /// The index of the parameter.
        parameter: usize,
        /// Its start.
        start: f64,
        /// Its bounds.
        bounds: (f64, f64),
    },
    /// A residual at the start is infinite or NaN.
    #[non_exhaustive]
    ResidualNotFinite {
        /// The index of the residual.
        residual: usize,
        /// Its value.
        value: f64,
    },
    /// The squares of the residuals at the start overflow or underflow, in the units of the loss's scale if it has one.
    #[non_exhaustive]
    Units {
        /// The largest magnitude of a residual.
        largest: f64,
    },
    /// A derivative is infinite or NaN where the residuals are finite.
    #[non_exhaustive]
    DerivativeNotFinite {
        /// The index of the residual.
        residual: usize,
        /// The index of the parameter.
        parameter: usize,
        /// The parameters.
        parameters: Vec<f64>,
    },
    /// The iterations ran out, or no step made the cost less although the gradient is not 0.
    #[non_exhaustive]
    NotConverged {
        /// The best parameters.
        parameters: Vec<f64>,
        /// The cost there.
        cost: f64,
        /// The largest cosine of the angle between the residuals and a column of the Jacobian; 0 at a minimum.
        cosine: f64,
        /// The number of iterations.
        iterations: usize,
    },
    /// The columns of the Jacobian are linearly dependent up to rounding, so that some parameters have no standard
    /// errors: others can make up for them.
    #[non_exhaustive]
    Singular {
        /// The number of independent columns.
        rank: usize,
        /// The parameters that take part in the dependence.
        parameters: Vec<usize>,
    },
    /// Most residuals are beyond the scale of the loss, where it bends downwards or is straight, so that the covariance
    /// has no estimate.
    #[non_exhaustive]
    LossTooNarrow {
        /// The mean of the second derivative of the loss over the residuals, which is not positive.
        curvature: f64,
    },
    /// The function cannot become a program.
    Program(ProgramError),
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fit: ")?;
        match self {
            Self::NoParameters => f.write_str("no parameters"),
            Self::TooFewResiduals { residuals, parameters } => {
                write!(f, "{residuals} residuals for {parameters} parameters; at least as many are needed")
            }
            Self::NothingLeft => f.write_str(
                "as many residuals as parameters leave nothing to estimate errors from; with residuals in units of \
                 known errors see `covariance_of_unit_errors`",
            ),
            Self::Start { parameter, start, bounds: (lo, hi) } => {
                write!(f, "parameter {parameter} starts at {start}, which is not a number between {lo} and {hi}")
            }
            Self::ResidualNotFinite { residual, value } => write!(f, "residual {residual} is {value} at the start"),
            Self::Units { largest } => write!(
                f,
                "the squares of the residuals at the start, of which the largest is {largest:e}, overflow or underflow; \
                 take units in which residuals, and the scale of the loss, are nearer to 1"
            ),
            Self::DerivativeNotFinite { residual, parameter, parameters } => write!(
                f,
                "the derivative of residual {residual} with respect to parameter {parameter} is not finite at \
                 {parameters:?}"
            ),
            Self::NotConverged { parameters, cost, cosine, iterations } => write!(
                f,
                "not converged after {iterations} iterations: cost {cost:e}, cosine {cosine:.1e} of the residuals and \
                 the Jacobian, at {parameters:?}"
            ),
            Self::Singular { rank, parameters } => write!(
                f,
                "the Jacobian has rank {rank}: the residuals do not tell the parameters {parameters:?} apart, which \
                 have no standard errors"
            ),
            Self::LossTooNarrow { curvature } => write!(
                f,
                "most residuals are beyond the scale of the loss, whose mean second derivative is {curvature:.1e}: no \
                 standard errors; give the loss a larger scale"
            ),
            Self::Program(error) => error.fmt(f),
        }
    }
}

impl Error for FitError {}

impl From<ProgramError> for FitError {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}
