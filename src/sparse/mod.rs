//! Sparse matrices of derivatives: their patterns, colourings and entries, wherever the function stands.
//!
//! | file | open it for |
//! |---|---|
//! | `matrix.rs` | [`SparseMatrix`] and its pattern |
//! | `coloring.rs` | the colours, which tell the columns or rows that can share a seed |
//! | `sets.rs` | sets of inputs and the pairs that interact: the way to a pattern |

mod coloring;
mod matrix;
mod sets;

pub(crate) use coloring::{Coloring, Seeding};
pub(crate) use matrix::Pattern;
pub use matrix::SparseMatrix;
pub(crate) use sets::{Pairs, Set, join, join_all};
