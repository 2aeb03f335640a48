//! The parameters of a model: one flat vector, its groups, and the closure form of the gradient.

mod checkpoint;
mod group;
mod on;
mod store;

pub use group::Group;
pub use on::ParamsOn;
pub(crate) use store::TrainedRange;
pub use store::{Param, ParamInfo, Params};
