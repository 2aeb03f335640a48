//! Layers, optimisers, data and the other needs of a training.

mod data;
mod init;
mod metrics;
mod nn;
mod optim;
mod parallel;
mod watch;
