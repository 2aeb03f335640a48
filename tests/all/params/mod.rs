//! Parameters of a model.

mod store;
