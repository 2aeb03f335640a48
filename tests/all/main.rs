//! One binary for all tests, in rooms that mirror the source.

mod tensor;
