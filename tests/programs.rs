//! The tests of programs once more, in a binary small enough to be compiled with optimisation, which kernels in lanes
//! depend on: `cargo test --release --test programs`. (`cargo test` runs them in the binary `all`.)

#[path = "all/support"]
#[allow(dead_code)] // `all` uses the rest
mod support {
    pub(crate) mod close;
    pub(crate) mod differences;
    pub(crate) mod mgh;
    pub(crate) mod panics;
    pub(crate) mod program;
    pub(crate) mod programs;
    pub(crate) mod structures;
}

#[path = "all/program/mod.rs"]
mod program;
