//! Numbers: the table of elementary functions and the number types that have these functions.
//!
//! | file | content |
//! |---|---|
//! | `table` | the rows, as tokens: primal, partial, formula and edge points of every elementary function |
//! | `rules` | a type for each row, which evaluates the function and its partials; the rows as data for recordings |
//! | `real` | the traits: [`Real`], [`Scalar`] (a number on a tape), [`Rule`] (a user's function), loops as kernels |
//! | `float` | `f32` and `f64` as numbers |
//! | `dual` | [`Dual`] numbers: forward mode |
//! | `taylor` | [`Taylor`] series: forward mode of any order along one direction |
//! | `length` | the Euclidean length of a vector, for the norms of scalars and of tensors |
//! | `lane` | `Lane`, a float inside a vectorised loop, and the choice of the instruction set at run time |
//! | `precompiled` | functions that this crate compiles for `f32` and `f64`, so that callers do not |
//! | `vector_math` | branch-free exp, ln, tanh and erf, the functions of a `Lane` |
//! | `field` | what nalgebra, simba and approx ask of a number (feature `nalgebra`) |
//! | `special` | erf, ln Γ and polygamma of `f32` and `f64` |
//! | `macros` | operators, table functions and the traits of `num_traits` for a number type |
//!
//! A new elementary function is one row in `table`; a new number type takes its methods from `macros`. The room
//! imports `slices` and nothing else of the crate.

pub(crate) mod dual;
pub(crate) mod field;
mod float;
mod lane;
mod length;
pub(crate) mod macros;
pub(crate) mod precompiled;
pub(crate) mod real;
pub(crate) mod rules;
mod special;
pub(crate) mod table;
mod taylor;
mod vector_math;

pub use dual::{Brand, Dual};
pub(crate) use dual::{Mark, Plain};
pub(crate) use length::{Length, is_accurate, leave_origin, leaves_origin, pull_length};
pub use real::{BaseFloat, LeftOf, Real, Real32, Real64, Rule, Scalar, apply};
pub(crate) use real::{Kernel, Wrap, binade, gap, largest, place_of_greatest};
pub use taylor::Taylor;
