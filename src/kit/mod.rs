//! The kit around the tape: layers, optimisers, data, initial values, metrics, files, charts, threads.

pub mod data;
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
