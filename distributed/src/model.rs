//! Weights and optimisers from rank 0, and check sums.

use std::fmt::Write;

use mpi::datatype::PartitionMut;
use mpi::traits::{Buffer, BufferMut, Communicator, CommunicatorCollectives, Root};
use wengert::{Optimizer, Params};

use crate::call::{Call, Operation};
use crate::error::RanksError;
use crate::ranks::Ranks;
use crate::reduce::{Number, about};

impl Ranks {
    /// Gives the weights and buffers of rank 0 to all ranks: at the start, and when rank 0 has loaded a file.
    ///
    /// # Errors
    ///
    /// If a rank's names, shapes, number type or [groups](Params::group) are not those of rank 0, or the ranks have gone
    /// apart. Nothing changes then.
    pub fn broadcast<F: Number>(&mut self, params: &mut Params<F>) -> Result<(), RanksError> {
        self.compare(Operation::Params, &described(params))?;
        self.receive(params.state_mut());
        Ok(())
    }

    /// Gives the state and the learning rate of rank 0's optimiser to all ranks. On the others the state belongs to `params`
    /// from then on. Hyper-parameters of the rule are not sent: every rank sets the same.
    ///
    /// # Errors
    ///
    /// If a rank has another kind of optimiser or another number of weights than rank 0, or the ranks have gone apart.
    /// Nothing changes then.
    ///
    /// # Panics
    ///
    /// If rank 0's state is not that of as many weights as `params` has.
    #[track_caller]
    pub fn broadcast_optimizer<F: Number, O: Optimizer<F> + ?Sized>(
        &mut self,
        optimizer: &mut O,
        params: &Params<F>,
    ) -> Result<(), RanksError> {
        let mut text = format!("optimizer {}\n{} weights of f{}\n", optimizer.name(), params.len(), F::BITS);
        for (name, _) in optimizer.state().vectors() {
            _ = writeln!(text, "state vector {name:?}");
        }
        self.compare(Operation::Optimizer, &text)?;
        let state = optimizer.state();
        let mut head = vec![optimizer.lr().to_bits(), state.steps()];
        head.extend(state.vectors().map(|(_, vector)| vector.len() as u64));
        self.receive(&mut head[..]);
        let (lr, steps) = (f64::from_bits(head[0]), head[1]);
        let mut vectors: Vec<Vec<F>> = state.vectors().map(|(_, vector)| vector.to_vec()).collect();
        for (vector, &len) in vectors.iter_mut().zip(&head[2..]) {
            vector.resize(len as usize, F::zero());
            self.receive(&mut vector[..]);
        }
        if self.rank() > 0 {
            optimizer.set_lr(lr);
            optimizer.state_mut().restore(steps, vectors);
        }
        optimizer.state_mut().adopt(params);
        Ok(())
    }

    /// Gives numbers of rank 0 to all ranks.
    ///
    /// # Errors
    ///
    /// If the ranks' numbers differ in length or type, or the ranks have gone apart. The numbers do not change then.
    pub fn broadcast_numbers<F: Number>(&mut self, numbers: &mut [F]) -> Result<(), RanksError> {
        self.meet_alike(about(Operation::Broadcast, numbers))?;
        self.receive(numbers);
        Ok(())
    }

    /// The check sum of the weights and buffers, which all ranks have in common.
    ///
    /// Ranks take the same steps by the same numbers, so their weights stay the same bit for bit, if their processors compute
    /// alike. Where a cluster has several kinds, call it once an epoch.
    ///
    /// The sum is the 64-bit FNV-1a of the numbers' bits (Fowler, Noll and Vo).
    ///
    /// # Errors
    ///
    /// If the ranks' sums differ, or the ranks have gone apart.
    pub fn check_sum<F: Number>(&mut self, params: &Params<F>) -> Result<u64, RanksError> {
        let value = fnv(F::words(params.state()).flat_map(u64::to_le_bytes));
        let calls = self.meet(Call { value, ..about(Operation::CheckSum, params.state()) })?;
        if calls.iter().any(|call| call.value != value) {
            return Err(RanksError::Weights { sums: calls.iter().map(|call| call.value).collect() });
        }
        Ok(value)
    }

    /// Overwrites a buffer by that of rank 0, which is as long.
    pub(crate) fn receive<B: Buffer + BufferMut + ?Sized>(&self, buffer: &mut B) {
        self.comm.process_at_rank(0).broadcast_into(buffer);
    }

    /// Compares descriptions, an entry a line. They are exchanged only if they differ.
    fn compare(&mut self, operation: Operation, text: &str) -> Result<(), RanksError> {
        let (len, value) = (text.len() as u64, fnv(text.bytes()));
        let calls = self.meet(Call { len, value, ..Call::of(operation) })?;
        if calls.iter().all(|call| (call.len, call.value) == (len, value)) {
            return Ok(());
        }
        let lengths: Vec<i32> = calls.iter().map(|call| call.len as i32).collect();
        let ends = lengths.iter().scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        let starts: Vec<i32> = std::iter::once(0).chain(ends).take(lengths.len()).collect();
        let mut all = vec![0_u8; lengths.iter().sum::<i32>() as usize];
        self.comm
            .all_gather_varcount_into(text.as_bytes(), &mut PartitionMut::new(&mut all[..], &lengths[..], &starts[..]));
        let texts = lengths.iter().zip(&starts).map(|(&len, &start)| &all[start as usize..][..len as usize]);
        let texts: Vec<_> = texts.map(String::from_utf8_lossy).collect();
        let different = texts.iter().position(|text| *text != texts[0]);
        let Some(rank) = different else { return Ok(()) };
        let (mut own, mut first) = (texts[rank].lines(), texts[0].lines());
        loop {
            let (found, expected) = (own.next(), first.next());
            if found != expected {
                let [found, expected] = [found, expected].map(|line| line.map(str::to_owned));
                return Err(RanksError::Model { rank, found, expected });
            }
        }
    }
}

/// The weights and buffers of a model, one a line.
fn described<F: Number>(params: &Params<F>) -> String {
    let mut text = String::new();
    for weight in params.iter() {
        _ = write!(text, "weight {:?} of shape {:?}, f{}", weight.name, weight.shape, F::BITS);
        _ = match weight.frozen {
            true => writeln!(text, ", frozen"),
            false if (weight.rate, weight.decay) == (1.0, 1.0) => writeln!(text),
            false => writeln!(text, ", rate × {}, decay × {}", weight.rate, weight.decay),
        };
    }
    for (name, values) in params.buffers() {
        _ = writeln!(text, "buffer {name:?} of shape {:?}, f{}", values.shape(), F::BITS);
    }
    text
}

/// The 64-bit FNV-1a of bytes.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
