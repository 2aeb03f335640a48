//! Numbers: the table of elementary functions, the traits over them, floats, SIMD lanes and dual numbers.

pub(crate) mod dual;
mod float;
mod lane;
pub(crate) mod macros;
pub(crate) mod real;
pub(crate) mod rules;
mod special;
pub(crate) mod table;
mod vector_math;

pub use dual::{Brand, Dual};
pub use real::{BaseFloat, Real, Rule, Scalar, apply};
pub(crate) use real::{Kernel, Wrap, binade, gap};
