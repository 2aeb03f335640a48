//! Unmodified generic code of other crates on the numbers of wengert: gradients of static handles and of dual numbers
//! against differences of the same code on `f64`.
//!
//! A crate of its own, so that `cargo test` in the main crate does not build these dependencies.
//! `cargo test --release --manifest-path tests/ecosystem/Cargo.toml table -- --ignored --nocapture` prints errors and times.

#![cfg(test)]

mod differential_equations;
mod geo;
mod harness;
mod nalgebra;
mod ndarray;
mod rustfft;

#[path = "../all/support"]
#[allow(dead_code)] // the main crate's tests use the rest
mod support {
    pub(crate) mod differences;
}

/// Prints the largest errors, relative to the largest entry of each gradient, and the times of a gradient by handles and of
/// one tangent by dual numbers, as multiples of the plain function's.
#[test]
#[ignore = "it takes times, which mean something in release and alone"]
fn table() {
    println!("| crate | code | inputs | error: handle | dual | f32 | f64, ns | gradient | tangent |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    let crates = [
        ("nalgebra", nalgebra::matrices()),
        ("nalgebra", nalgebra::motions()),
        ("rustfft", rustfft::transforms()),
        ("differential-equations", differential_equations::pendulums()),
        ("ndarray", ndarray::dots()),
        ("geo", geo::shapes()),
    ];
    for (name, comparisons) in crates {
        for comparison in comparisons {
            println!("| {name} | {} |", comparison.row());
        }
    }
}
