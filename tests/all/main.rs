//! Every test that can share a process with the others. The modules are those of `src`;
//! `cargo test --test all tensor::loss` runs one of them.

mod density;
mod derivatives;
mod exploits;
mod floors;
mod gradcheck;
mod guide;
mod inspect;
mod kernels;
mod kit;
mod number;
mod params;
mod program;
mod recording;
mod scalar;
mod send_sync;
mod support;
mod symbolic;
mod tape;
mod tensor;
mod trace;
