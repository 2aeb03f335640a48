//! A hash table of numbers, and what hashes are made of.

use crate::number::BaseFloat;

/// No number.
pub(super) const NONE: u32 = u32::MAX;

/// The bits of a float, those of `f64` for `f32`, too.
pub(super) fn bits<F: BaseFloat>(x: F) -> u64 {
    x.to_f64().map_or(0, f64::to_bits)
}

/// The next state of a hash.
#[inline]
pub(super) fn mix(hash: u64, x: u64) -> u64 {
    (hash.rotate_left(23) ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A hash table of numbers, whose keys are known to the caller. (An entry of `HashMap` costs three times as much: its
/// hash function is slower, and keys would be stored twice.)
pub(super) struct Table {
    /// A number and the upper half of its hash.
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl Table {
    pub(super) fn new(expected: usize) -> Self {
        Self { slots: vec![(NONE, 0); (expected.max(8) * 3 / 2).next_power_of_two()], len: 0 }
    }

    /// The number of the equal entry, or the place for a new one.
    #[inline]
    pub(super) fn find(&self, hash: u64, equal: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let (tag, mask) = ((hash >> 32) as u32, self.slots.len() - 1);
        let mut place = tag as usize & mask;
        loop {
            let (i, other) = self.slots[place];
            if i == NONE {
                return Err(place);
            }
            if tag == other && equal(i) {
                return Ok(i);
            }
            place = (place + 1) & mask;
        }
    }

    pub(super) fn insert(&mut self, place: usize, hash: u64, i: u32) {
        self.slots[place] = (i, (hash >> 32) as u32);
        self.len += 1;
        if self.len * 4 > self.slots.len() * 3 {
            let mask = 2 * self.slots.len() - 1;
            let mut slots = vec![(NONE, 0); mask + 1];
            for &entry in self.slots.iter().filter(|entry| entry.0 != NONE) {
                let mut place = entry.1 as usize & mask;
                while slots[place].0 != NONE {
                    place = (place + 1) & mask;
                }
                slots[place] = entry;
            }
            self.slots = slots;
        }
    }
}
