//! The tests of rules and of long sums once more, in a binary small enough to be compiled with optimisation, under which a
//! rule may round otherwise and a sum may have a million terms: `cargo test --release --test rules`. (`cargo test` runs them in the binary `all`.)

#[path = "all/support"]
mod support {
    #[allow(dead_code)] // `all` uses the rest
    pub(crate) mod differences;
}

#[path = "all/number/rules.rs"]
mod rules;

#[path = "all/tensor/accuracy.rs"]
mod accuracy;
