//! Shared by several test files.
#![allow(dead_code, reason = "not every test file uses everything")]

pub(crate) mod mgh;
