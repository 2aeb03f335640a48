//! [`Tensor`]: arrays on the tape.
//!
//! A tensor is a view: an ndarray view of its values, and the slot of the first element of the
//! storage that the view looks into. Values and slots run in parallel, so whatever ndarray does to
//! the view (transpose, slice, broadcast, ...) it does to the adjoints too, and records nothing.
//!
//! Each operation computes its primal and, beside it in the same function, gives its pullback.

mod constant;
mod conv;
mod copy;
mod custom;
mod dense;
mod elementwise;
mod flat;
mod handle;
#[cfg(feature = "linalg")]
mod linalg;
mod loss;
mod normalize;
mod pool;
mod products;
mod reduce;
mod shape;
mod window_args;

pub use constant::{Embed, IntoConstant};
pub use conv::Conv;
pub use custom::CustomInputs;
pub use dense::Activation;
pub use elementwise::Operand;
pub use handle::Tensor;
#[cfg(feature = "linalg")]
pub use linalg::{Columns, Diag, LinalgError, Lu, Uplo};
pub use loss::Target;
pub use pool::Pool;
pub use products::Dot;
pub use window_args::Lengths;
