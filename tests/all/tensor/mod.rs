//! Operations on tensors, a module for each family.

mod accuracy;
mod as_scalars;
mod constants_of_duals;
mod copy;
mod custom;
mod dense;
mod empty;
#[cfg(feature = "linalg")]
mod factors;
mod huge;
mod jet;
#[cfg(feature = "linalg")]
mod linalg;
mod loss;
mod operations;
mod order;
mod products;
mod reduce;
mod shape;
mod windows;
