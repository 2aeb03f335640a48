//! The tests of rules once more, in a binary small enough to be compiled with optimisation, under which a rule
//! may round otherwise: `cargo test --release --test rules`. (`cargo test` runs them in the binary `all`.)

#[path = "all/support"]
mod support {
    #[allow(dead_code)] // `all` uses the rest
    pub(crate) mod differences;
}

#[path = "all/number/rules.rs"]
mod rules;
