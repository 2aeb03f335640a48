//! [`Ranks`]: the processes that train one model together.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use crate::call::{Call, Operation};
use crate::error::RanksError;
use crate::reduce::Rooms;

/// The number of no operation.
const OWN_WORK: u8 = u8::MAX;

/// The processes that train one model together, seen from one of them.
///
/// Most methods are meetings: every rank calls the same ones in the same order and waits there for the others. Ranks that
/// call different ones all get [`RanksError::Apart`].
///
/// When a `Ranks` is dropped, also by a panic, it tells the others at their next meeting, and ends MPI if it
/// [started](Self::start) it.
pub struct Ranks {
    // Dropped before `universe`, which ends MPI.
    pub(crate) comm: SimpleCommunicator,
    /// Ends MPI when it is dropped.
    universe: Option<Universe>,
    pub(crate) rooms: Rooms,
    words: Vec<u64>,
    /// The error after which the ranks do not meet any more.
    apart: Option<RanksError>,
    last: Operation,
    /// The operation in which this rank waits for others, or is at its end; [`OWN_WORK`] between two of them.
    waits: Arc<AtomicU8>,
    /// MPI is called on one thread.
    one_thread: PhantomData<*const ()>,
}

impl Ranks {
    /// Starts MPI, with all processes that were started together. [`run`](crate::run) calls it.
    ///
    /// # Errors
    ///
    /// If MPI was started before by this process, or does not allow a process to have several threads.
    pub fn start() -> Result<Self, RanksError> {
        // Threads may exist, such as rayon's; this one alone calls MPI.
        let started = mpi::initialize_with_threading(Threading::Funneled);
        let (universe, threading) = started.ok_or(RanksError::Start { reason: "it was started before" })?;
        if threading < Threading::Funneled {
            return Err(RanksError::Start { reason: "this library allows only one thread in a process" });
        }
        let world = universe.world();
        let mut ranks = Self::over(&world);
        ranks.universe = Some(universe);
        Ok(ranks)
    }

    /// The processes of a communicator, such as a part of all. It is duplicated, so that messages of the program's own
    /// cannot meet those of this crate. Every process of the communicator calls it, and drops the result before MPI ends.
    ///
    /// ```
    /// let universe = wengert_mpi::mpi::initialize().expect("it is started once");
    /// let ranks = wengert_mpi::Ranks::over(&universe.world());
    /// assert_eq!((ranks.rank(), ranks.size()), (0, 1));
    /// ```
    pub fn over(communicator: &impl Communicator) -> Self {
        Self {
            comm: communicator.duplicate(),
            universe: None,
            rooms: Rooms::default(),
            words: Vec::new(),
            apart: None,
            last: Operation::Ended,
            waits: Arc::new(AtomicU8::new(OWN_WORK)),
            one_thread: PhantomData,
        }
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.comm.rank() as usize
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.comm.size() as usize
    }

    /// A seed for this rank alone, made from one that all ranks share, as for the masks of dropout:
    /// `Mode::train(ranks.seed(7))`. Seeds of different ranks differ; rank 0 keeps the shared one.
    ///
    /// Numbers that must be the same on all ranks take the shared seed itself: initial weights, the order of batches.
    pub fn seed(&self, shared: u64) -> u64 {
        // An odd factor, so that no two ranks get the same seed: 2⁶⁴ divided by the golden ratio.
        shared.wrapping_add((self.rank() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Waits for all ranks, and returns what each is about to do.
    pub(crate) fn meet(&mut self, call: Call) -> Result<Vec<Call>, RanksError> {
        if let Some(error) = &self.apart {
            return Err(error.clone());
        }
        self.waits.store(call.operation as u8, Ordering::Relaxed);
        self.words.resize(Call::WORDS * self.size(), 0);
        self.comm.all_gather_into(&call.to_words()[..], &mut self.words[..]);
        self.waits.store(OWN_WORK, Ordering::Relaxed);
        let (words, _) = self.words.as_chunks();
        let calls: Option<Vec<Call>> = words.iter().map(|&words| Call::from_words(words)).collect();
        let calls = calls.expect("all ranks run this version of the crate");
        if calls.iter().any(|other| other.operation != call.operation) {
            let error = RanksError::Apart { ranks: calls.iter().map(|call| call.operation.words()).collect() };
            self.apart = Some(error.clone());
            return Err(error);
        }
        Ok(calls)
    }

    /// Same as [`meet`](Self::meet), for numbers that are equally many and of one type on all ranks.
    pub(crate) fn meet_alike(&mut self, call: Call) -> Result<Vec<Call>, RanksError> {
        let calls = self.meet(call)?;
        if calls.iter().any(|other| (other.len, other.bits) != (call.len, call.bits)) {
            let text = |call: &Call| format!("{} numbers of f{}", call.len, call.bits);
            return Err(RanksError::Lengths { ranks: calls.iter().map(text).collect() });
        }
        Ok(calls)
    }

    /// Lets rank 0 alone do something that can fail, such as writing a file, while the others wait.
    ///
    /// ```
    /// # std::process::exit(if wengert_mpi::run(|ranks| {
    /// let refused = ranks.once(|| Err("the disk is full")).unwrap_err();
    /// assert_eq!(refused.to_string(), "on rank 0: the disk is full");
    /// # Ok(())
    /// # }) == std::process::ExitCode::SUCCESS { 0 } else { 1 });
    /// ```
    ///
    /// A value that the task finds on rank 0 goes to the others by [`broadcast`](Self::broadcast) or
    /// [`broadcast_numbers`](Self::broadcast_numbers).
    ///
    /// # Errors
    ///
    /// The text of the task's error, on every rank; or if the ranks have gone apart.
    pub fn once<E: std::fmt::Display>(&mut self, task: impl FnOnce() -> Result<(), E>) -> Result<(), RanksError> {
        self.meet(Call::of(Operation::Once))?;
        let failed = if self.rank() == 0 { task().err().map(|error| error.to_string()) } else { None };
        let len = failed.as_ref().map_or(0, String::len) as u64;
        let call = Call { value: failed.is_some().into(), len, ..Call::of(Operation::Outcome) };
        let first = self.meet(call)?[0];
        if first.value == 0 {
            return Ok(());
        }
        let mut text = failed.unwrap_or_default().into_bytes();
        text.resize(first.len as usize, 0);
        self.receive(&mut text[..]);
        Err(RanksError::Once { text: String::from_utf8_lossy(&text).into_owned() })
    }

    /// Sets how this rank ended, for the others.
    pub(crate) fn failed(&mut self) {
        self.last = Operation::Failed;
    }

    pub(crate) fn waits(&self) -> Arc<AtomicU8> {
        self.waits.clone()
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        let last = if std::thread::panicking() { Operation::Panicked } else { self.last };
        let _ = self.meet(Call::of(last));
        self.waits.store(Operation::Ended as u8, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ranks").field("rank", &self.rank()).field("size", &self.size()).finish_non_exhaustive()
    }
}
