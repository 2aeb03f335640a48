//! Optimisers and what goes with them.

mod objective;
mod updates;
