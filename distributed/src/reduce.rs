//! Sums and means over ranks, in the order of the ranks.

use mpi::Count;
use mpi::datatype::{Partition, PartitionMut};
use mpi::traits::{CommunicatorCollectives, Equivalence};
use wengert::data::part;
use wengert::{BaseFloat, Params, ParamsGradient, ParamsOn, Tape, Var};

use crate::call::{Call, Operation};
use crate::error::RanksError;
use crate::ranks::Ranks;

/// A number type that ranks exchange: `f32` or `f64`.
pub trait Number: BaseFloat + Equivalence + sealed::Sealed {
    #[doc(hidden)]
    const BITS: u64;
    #[doc(hidden)]
    fn words(numbers: &[Self]) -> impl Iterator<Item = u64>;
    #[doc(hidden)]
    fn room(rooms: &mut Rooms) -> &mut Room<Self>;
}

macro_rules! numbers {
    ($($F:ident $bits:literal),+) => {
        /// Memory that is kept from one reduction to the next.
        #[doc(hidden)]
        #[derive(Debug, Default)]
        pub struct Rooms {
            $($F: Room<$F>),+
        }

        $(
            impl Number for $F {
                const BITS: u64 = $bits;
                fn words(numbers: &[Self]) -> impl Iterator<Item = u64> {
                    numbers.iter().map(|x| x.to_bits().into())
                }
                fn room(rooms: &mut Rooms) -> &mut Room<Self> {
                    &mut rooms.$F
                }
            }
            impl sealed::Sealed for $F {}
        )+
    };
}
numbers! { f32 32, f64 64 }

/// The blocks of one rank, as all ranks have them, and their sum.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Room<F> {
    blocks: Vec<F>,
    sum: Vec<F>,
}

mod sealed {
    pub trait Sealed {}
}

impl Ranks {
    /// The mean loss of the examples of all ranks and its gradient: same as [`Tape::value_and_grad`], with a closure that
    /// returns the mean loss of the `rows` examples of *this* rank.
    ///
    /// With nᵣ rows of n on rank r:
    ///
    /// ```text
    /// loss = Σᵣ nᵣ/n · lossᵣ       grad = Σᵣ nᵣ/n · gradᵣ
    /// ```
    ///
    /// Both sums are taken in the order of the ranks, as `wengert::Parallel` takes
    /// them in the order of its parts. If `rows` is 0, the closure is not called, and the rank's share is nothing.
    ///
    /// # Errors
    ///
    /// If the ranks' models differ in length or number type, no rank has an example, or the ranks have gone apart.
    ///
    /// # Panics
    ///
    /// Same as for [`Tape::value_and_grad`].
    #[track_caller]
    pub fn value_and_grad<'a, 'env, F: Number>(
        &mut self,
        tape: &'a mut Tape<F>,
        params: &Params<F>,
        rows: usize,
        f: impl for<'t> FnOnce(ParamsOn<'t, 'env, F>) -> Var<'t, F>,
    ) -> Result<(F, &'a mut ParamsGradient<'a, F>), RanksError> {
        let (loss, gradient) = match rows {
            0 => tape.value_and_grad_mut(params, |p| p.constant(F::zero())),
            _ => tape.value_and_grad_mut(params, f),
        };
        let loss = self.mean(loss, gradient, rows)?;
        Ok((loss, gradient))
    }

    /// Same as [`value_and_grad`](Self::value_and_grad), on several threads of each rank: the closure returns the mean loss
    /// of a range of this rank's `rows` examples, as for [`Parallel::value_and_grad`](wengert::Parallel::value_and_grad).
    /// Needs the feature `parallel`.
    ///
    /// # Errors
    ///
    /// Same as for [`value_and_grad`](Self::value_and_grad).
    ///
    /// # Panics
    ///
    /// Same as for [`Parallel::value_and_grad`](wengert::Parallel::value_and_grad), but `rows` may be 0.
    #[cfg(feature = "parallel")]
    #[track_caller]
    pub fn value_and_grad_on_threads<'a, 'env, F: Number>(
        &mut self,
        parallel: &'a mut wengert::Parallel<F>,
        params: &Params<F>,
        rows: usize,
        f: impl for<'t> Fn(ParamsOn<'t, 'env, F>, std::ops::Range<usize>) -> Var<'t, F> + Sync,
    ) -> Result<(F, &'a mut ParamsGradient<'static, F>), RanksError> {
        let (loss, gradient) = match rows {
            0 => parallel.value_and_grad_mut(params, 1, |p, _| p.constant(F::zero())),
            _ => parallel.value_and_grad_mut(params, rows, f),
        };
        let loss = self.mean(loss, gradient, rows)?;
        Ok((loss, gradient))
    }

    /// The mean of the ranks' mean losses, weighted by their numbers of examples; the gradient becomes such a mean too, in
    /// place. [`value_and_grad`](Self::value_and_grad) calls it.
    ///
    /// The loss and the gradient of a rank with 0 rows are not read, so that a NaN there does not survive.
    ///
    /// # Errors
    ///
    /// If the gradients differ in length or number type, no rank has an example, or the ranks have gone apart. The gradient
    /// does not change then.
    pub fn mean<F: Number>(&mut self, loss: F, gradient: &mut [F], rows: usize) -> Result<F, RanksError> {
        // A float is exact as an `f64`.
        let value = loss.to_f64().unwrap_or(f64::NAN).to_bits();
        let call = Call { rows: rows as u64, value, ..about(Operation::Mean, gradient) };
        let calls = self.meet_alike(call)?;
        let all: u64 = calls.iter().map(|call| call.rows).sum();
        if all == 0 {
            return Err(RanksError::NoRows);
        }
        let share = |call: &Call| (call.rows > 0).then(|| F::lit(call.rows as f64 / all as f64));
        let shares: Vec<Option<F>> = calls.iter().map(share).collect();
        self.reduce(gradient, &shares);
        let terms =
            calls.iter().zip(&shares).filter_map(|(call, &share)| Some(share? * F::lit(f64::from_bits(call.value))));
        Ok(terms.fold(F::zero(), |sum, term| sum + term))
    }

    /// Sums numbers over all ranks in place, as the counts of a metric.
    ///
    /// # Errors
    ///
    /// If the ranks' numbers differ in length or type, or the ranks have gone apart. The numbers do not change then.
    pub fn sum<F: Number>(&mut self, numbers: &mut [F]) -> Result<(), RanksError> {
        self.meet_alike(about(Operation::Sum, numbers))?;
        let shares = vec![Some(F::one()); self.size()];
        self.reduce(numbers, &shares);
        Ok(())
    }

    /// Replaces every buffer by its mean over the ranks: before an evaluation, and before the model is saved.
    ///
    /// Each rank normalises its own part of a batch, and its running statistics are those of its parts. Means and unbiased
    /// variances of parts are estimates of those of all data, and so are their means over the ranks. Running statistics are
    /// linear in those of the batches, so once at the end of an epoch gives what once a step would.
    ///
    /// # Errors
    ///
    /// If the ranks' buffers differ in length or type, or the ranks have gone apart.
    pub fn mean_buffers<F: Number>(&mut self, params: &mut Params<F>) -> Result<(), RanksError> {
        let weights = params.len();
        self.mean(F::zero(), &mut params.state_mut()[weights..], 1)?;
        Ok(())
    }

    /// Σᵣ shareᵣ · numbersᵣ over the ranks with a share, in their order. Each rank sums one block of the numbers: it gets that
    /// block of every rank, and all ranks get the sums. Of b bytes each rank sends 2 (r - 1)/r · b, the least that a sum over
    /// r ranks needs; and unlike an `MPI_Allreduce` the order does not depend on the library.
    fn reduce<F: Number>(&mut self, numbers: &mut [F], shares: &[Option<F>]) {
        let (ranks, rank) = (shares.len(), self.rank());
        if ranks == 1 || numbers.is_empty() {
            return;
        }
        let blocks: Vec<_> = (0..ranks).map(|i| part(numbers.len(), ranks, i)).collect();
        let [counts, starts] =
            [0, 1].map(|i| -> Vec<Count> { blocks.iter().map(|block| count([block.len(), block.start][i])).collect() });
        let len = blocks[rank].len();
        let Room { blocks, sum } = F::room(&mut self.rooms);
        blocks.resize(len * ranks, F::zero());
        let (own_counts, own_starts) =
            (vec![count(len); ranks], (0..ranks).map(|i| count(i * len)).collect::<Vec<_>>());
        self.comm.all_to_all_varcount_into(
            &Partition::new(numbers, &counts[..], &starts[..]),
            &mut PartitionMut::new(&mut blocks[..], own_counts, own_starts),
        );
        sum.clear();
        for (i, share) in shares.iter().enumerate() {
            let Some(share) = *share else { continue };
            let block = &blocks[i * len..(i + 1) * len];
            if sum.is_empty() {
                sum.extend(block.iter().map(|&x| share * x));
            } else {
                for (sum, &x) in sum.iter_mut().zip(block) {
                    *sum += share * x;
                }
            }
        }
        self.comm.all_gather_varcount_into(&sum[..], &mut PartitionMut::new(numbers, &counts[..], &starts[..]));
    }
}

/// A call about some numbers.
pub(crate) fn about<F: Number>(operation: Operation, numbers: &[F]) -> Call {
    Call { len: numbers.len() as u64, bits: F::BITS, ..Call::of(operation) }
}

/// A number of numbers as MPI counts them.
#[track_caller]
fn count(len: usize) -> Count {
    len.try_into().expect("MPI exchanges at most 2³¹ - 1 numbers at once")
}
