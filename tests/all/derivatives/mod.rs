//! Derivatives of whole functions.

mod argmin_functions;
mod jacobian;
mod sparse;
