//! Training of one model by several processes, on one machine or on many: [`wengert`] over MPI.
//!
//! Every process, called a *rank*, builds the same model and makes the same batches. Of each batch it computes the gradient
//! of its own part; [`Ranks::value_and_grad`] replaces it by the mean over all ranks, and every rank takes the same step:
//!
//! ```
//! use std::process::ExitCode;
//!
//! use wengert::data::{Batches, gather_rows};
//! use wengert::ndarray::{Array1, Array2, array};
//! use wengert::{Optimizer, Params, Sgd, Tape};
//!
//! fn main() -> ExitCode {
//!     wengert_mpi::run(|ranks| {
//!         let x = Array2::from_shape_fn((100, 2), |(i, j)| (i as f64 * 0.1 + j as f64).sin());
//!         let y = x.dot(&array![3.0, -1.0]);
//!
//!         let mut params = Params::<f64>::new();
//!         let w = params.add("w", Array1::zeros(2));
//!         ranks.broadcast(&mut params)?; // an error on every rank if one has built another model
//!
//!         let mut batches = Batches::new(100, 20, 0).shard(ranks.rank(), ranks.size());
//!         let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.3));
//!         let (mut rows_of_x, mut rows_of_y) = (Vec::new(), Vec::new());
//!         for _ in 0..40 {
//!             for rows in batches.shuffle() {
//!                 let x = gather_rows(&x, rows, &mut rows_of_x);
//!                 let y = gather_rows(&y, rows, &mut rows_of_y);
//!                 let (_, grad) = ranks.value_and_grad(&mut tape, &params, rows.len(), |p| {
//!                     (p.constant(x).dot(p.get(w)) - p.constant(y)).square().mean()
//!                 })?;
//!                 sgd.step(&mut params, grad);
//!             }
//!         }
//!         ranks.check_sum(&params)?; // an error unless all ranks have the same weights
//!         ranks.once(|| params.save("/dev/null"))?; // by rank 0; its error is an error on every rank
//!         assert!((params.values()[0] - 3.0).abs() < 1e-6);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! `mpirun -n 4 PROGRAM` starts four ranks; without `mpirun` the program is its own only rank. All of MPI that a program
//! needs is [`run`] and the methods of [`Ranks`]. The README says how to build, and how it grows to many machines.
//!
//! # The same numbers
//!
//! Sums over ranks are taken in the order of the ranks, whatever the sizes of messages, the placement of ranks and the
//! version of MPI: a run gives the same bits each time, and all ranks get the same bits. Another number of ranks changes the
//! rounding alone, if the loss of an example depends on no other example and on nothing random.
//!
//! | state | on several ranks |
//! |---|---|
//! | weights, buffers | [`broadcast`](Ranks::broadcast) from rank 0 at the start or after loading |
//! | optimiser | [`broadcast_optimizer`](Ranks::broadcast_optimizer); each rank takes the same steps |
//! | batches | [`Batches::shard`](wengert::data::Batches::shard) |
//! | running statistics of batch norms | each rank's own part of the batch; [`mean_buffers`](Ranks::mean_buffers) before they are used or saved |
//! | dropout | [`seed`](Ranks::seed) makes another seed of each rank |
//! | metrics of a test | [`part`](wengert::data::part) of the test examples, [`sum`](Ranks::sum) of the counts |
//! | files | [`once`](Ranks::once) |
//!
//! # Ranks that go apart
//!
//! Before ranks exchange numbers they tell one another what they are about to do. If a rank has ended, failed, panicked or
//! taken another number of steps, or has numbers of another length or type, every rank gets a [`RanksError`] that says so;
//! none waits for ever. (A rank in an endless loop of its own is waited for.) A process that is killed cannot tell: `mpirun`
//! ends the other ranks, and [`run`] prints on each what it was doing.
//!
//! | file | content |
//! |---|---|
//! | `ranks.rs` | [`Ranks`]: start, meeting, end |
//! | `call.rs` | what ranks tell one another when they meet |
//! | `reduce.rs` | sums and means in the order of the ranks; gradients |
//! | `model.rs` | weights and optimisers from rank 0, check sums |
//! | `run.rs` | [`run`]: a program's job, its errors and its end |
//! | `error.rs` | [`RanksError`] |

mod call;
mod error;
mod model;
mod ranks;
mod reduce;
mod run;

pub use error::RanksError;
pub use mpi;
pub use ranks::Ranks;
pub use reduce::Number;
pub use run::run;
