//! Helpers of tests in more than one module. Test targets of their own take single files by `#[path]`, and only they
//! take `allocator.rs`.

pub(crate) mod close;
pub(crate) mod differences;
pub(crate) mod functions;
pub(crate) mod here;
pub(crate) mod layouts;
pub(crate) mod linearity;
pub(crate) mod mgh;
pub(crate) mod panics;
pub(crate) mod program;
#[allow(dead_code)] // tests/properties uses the rest
pub(crate) mod programs;
pub(crate) mod structures;
pub(crate) mod ticks;
