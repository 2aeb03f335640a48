//! Layers, optimisers, data and the other needs of a training.

mod data;
#[cfg(feature = "linalg")]
mod fit;
mod init;
mod metrics;
mod nn;
mod optim;
#[cfg(feature = "parallel")]
mod parallel;
#[cfg(feature = "io")]
mod torch;
#[cfg(feature = "watch")]
mod watch;
