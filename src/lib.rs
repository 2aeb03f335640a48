//! Reverse-mode automatic differentiation on a tape.

#[macro_use]
mod ops;
mod dual;
mod fuse;
mod kernels;
mod real;
pub mod rules;
mod special;
mod sweep;
mod tape;
mod tensor;
mod var;

pub use dual::Dual;
pub use fuse::{dot, fuse, log_sum_exp, mean, norm, softmax, sum};
pub use real::{BaseFloat, Real, Scalar};
pub use sweep::{Gradient, Wrt};
pub use tape::Tape;
pub use tensor::{Dot, IntoConstant, Operand, Tensor};
pub use var::Var;

pub use ndarray;
