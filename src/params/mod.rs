//! The parameters of a model: one flat vector of numbers; each weight is a named view of a part.
//!
//! | file | content |
//! |---|---|
//! | `store.rs` | [`Params`]: names, shapes and numbers of weights and buffers |
//! | `entry.rs` | one of these: [`Param`], its typed id; [`ParamInfo`] |
//! | `attempt.rs` | `Attempt`: weights and buffers that a layer adds together, or not at all |
//! | `group.rs` | [`Group`]: weights that are frozen, or trained with a rate and a decay of their own |
//! | `on.rs` | [`ParamsOn`]: parameters on a tape; `Tape::value_and_grad`, the gradient of a closure |
//! | `samples.rs` | `Tape::per_sample_grad`: the gradient of each row of a batch |
//! | `gradient.rs` | [`ParamsGradient`]: the gradient with respect to all weights |
//! | `identity.rs` | `Owner`: which model an optimiser's state belongs to |
//! | `checkpoint.rs` | `Tensor::checkpoint`, `ParamsOn::checkpoint`: parts of a network that the sweep computes again |

mod attempt;
mod checkpoint;
mod entry;
mod gradient;
mod group;
mod identity;
mod on;
#[cfg(test)]
mod refusals;
mod samples;
mod store;

pub(crate) use entry::TrainedRange;
pub use entry::{Param, ParamInfo};
pub use gradient::ParamsGradient;
pub use group::Group;
pub(crate) use identity::Owner;
pub use on::{ParamsOn, loss_fn};
pub use store::Params;
