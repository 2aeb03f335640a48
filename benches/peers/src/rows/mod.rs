//! One file per library: the seven functions of [`suite`](crate::suite), written as that library's
//! best users would write them.
//!
//! Every function has the type `fn(&mut State, &Inputs, &mut [f64]) -> f64`: record, sweep, write
//! the gradient with respect to `inputs.x`, return the value. `State` is whatever memory the
//! library can keep from one call to the next.

pub mod echidna;
pub mod reverse;
pub mod rust_quant;
#[path = "../../../scalars/rows.rs"]
pub mod wengert;
pub mod xad_rs;
