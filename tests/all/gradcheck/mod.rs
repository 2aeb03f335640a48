//! The gradient checker.

mod battery;
mod differences;
mod functions;
mod minpack;
mod on_tape;
