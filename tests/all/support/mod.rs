//! Helpers of tests in more than one module.

pub(crate) mod differences;
pub(crate) mod layouts;
pub(crate) mod mgh;
