//! The kit for training: everything around the tape and the parameters.
//!
//! | file or folder | content |
//! |---|---|
//! | `nn/` | layers: structs of parameter ids |
//! | `optim/` | optimisers, schedules, clipping, averages, the bridge to the crate argmin |
//! | `fit/` | least squares with standard errors |
//! | `data/` | batches, splits, folds, scaling, tables from CSV files |
//! | `init.rs` | initial values of weights |
//! | `metrics.rs` | accuracy, confusion matrices, scores of probabilities, errors of regressions |
//! | `save/` | parameters and training state in safetensors files |
//! | `watch/` | progress bars, learning curves, charts |
//! | `parallel.rs` | `Parallel`: the gradients of a batch's parts on several threads |

pub mod data;
#[cfg(feature = "linalg")]
pub mod fit;
pub mod init;
pub mod metrics;
pub mod nn;
pub mod optim;
#[cfg(feature = "parallel")]
pub(crate) mod parallel;
#[cfg(feature = "io")]
pub mod save;
#[cfg(feature = "watch")]
pub mod watch;
