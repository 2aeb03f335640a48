//! Reading, splitting, shuffling, batching and scaling of examples.
//!
//! ```
//! use ndarray::array;
//! use wengert::data::{self, Batches};
//!
//! let x = array![[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1], [4.0, 4.1]];
//! let mut batches = Batches::new(x.nrows(), 2, 42);
//! let mut buffer = Vec::new();
//! for _epoch in 0..3 {
//!     for rows in batches.shuffle() {
//!         let batch = data::gather_rows(&x, rows, &mut buffer);
//!         assert_eq!(batch.row(0), x.row(rows[0]));
//!     }
//! }
//! ```
//!
//! A seed gives the same order on every machine. The random numbers are those of the ChaCha cipher with 12 rounds, whose
//! stream is fixed ([`ChaCha12Rng`](rand::rngs::ChaCha12Rng)); `StdRng` may be another generator in a later version of
//! `rand`, and with it the initial weights drawn in the example below.
//!
//! | file | content |
//! |---|---|
//! | `batches.rs` | [`Batches`], [`part`], and [`gather`], [`gather_rows`] for copying the rows of a batch |
//! | `sampler.rs` | [`WeightedSampler`]: examples drawn by weight |
//! | `splits.rs` | [`train_test_split`], [`k_fold`], and both with labels spread evenly |
//! | `rows.rs` | [`select`]: the rows of a batch from several arrays at once |
//! | `scale.rs` | [`Scaling`] of columns, [`one_hot`] labels |
//! | `table/` | with the feature `io`: `Table`, read from text and files, plain or gzipped, and `Encoding`, which makes numbers of its columns |
//!
//! # One seed for a whole run
//!
//! All random numbers come from one [`StdRng`](rand::rngs::StdRng) that is passed on, or from a seed drawn from that
//! generator:
//!
//! ```
//! use rand::rngs::StdRng;
//! use rand::{RngExt, SeedableRng};
//! use wengert::{data::Batches, init, Params};
//!
//! let mut rng = StdRng::seed_from_u64(42);
//! let mut params = Params::<f32>::new();
//! params.add("w", init::he_normal((8, 4), &mut rng));
//! let batches = Batches::new(1000, 32, rng.random());
//! ```
//!
//! Nothing else is random: the tape, the optimisers and data-parallel training (`Parallel`, for one number of shards)
//! compute the same bits each time on one machine. A run that is resumed calls [`Batches::skip`] with the number of
//! finished epochs.
//!
//! For batches in the order of an array, ndarray's own [`axis_chunks_iter`](ndarray::ArrayRef::axis_chunks_iter)
//! borrows the rows; shuffled rows are gathered into a buffer that is reused.

mod batches;
mod rows;
mod sampler;
mod scale;
mod splits;
#[cfg(feature = "io")]
mod table;

pub use batches::{Batches, Epoch, gather, gather_rows, part};
pub use rows::{Examples, select};
pub use sampler::WeightedSampler;
pub use scale::{Scaling, one_hot};
pub use splits::{Folds, k_fold, stratified_k_fold, stratified_split, train_test_split};
#[cfg(feature = "io")]
pub use table::{Classes, Column, ColumnKind, Encoding, Fault, Feature, Fill, Table, TableError, TableOptions};
