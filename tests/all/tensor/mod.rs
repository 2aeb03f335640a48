//! Operations on tensors.

mod constants_of_duals;
mod custom;
mod dense;
mod linalg;
mod loss;
mod reduce;
mod shape;
