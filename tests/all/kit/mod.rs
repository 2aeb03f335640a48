//! Layers, optimisers, data and what else a training needs.

mod data;
mod nn;
mod optim;
mod parallel;
mod watch;
