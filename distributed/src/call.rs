//! [`Call`]: what ranks tell one another when they meet.

/// The operations of [`Ranks`](crate::Ranks) at which ranks meet, each with its words for messages.
macro_rules! operations {
    ($($Operation:ident $words:literal)+) => {
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[repr(u8)]
        pub(crate) enum Operation {
            $($Operation),+
        }

        impl Operation {
            const ALL: &'static [Self] = &[$(Self::$Operation),+];

            pub(crate) fn words(self) -> &'static str {
                match self {
                    $(Self::$Operation => $words),+
                }
            }
        }
    };
}
operations! {
    Mean "in a mean"
    Sum "in a sum"
    Broadcast "in a broadcast of numbers"
    Params "in a broadcast of parameters"
    Optimizer "in a broadcast of an optimizer"
    CheckSum "in a comparison of check sums"
    Once "before a task of rank 0"
    Outcome "in a task of rank 0"
    Ended "ended"
    Failed "ended by an error"
    Panicked "ended by a panic"
}

impl Operation {
    /// The operation of a number, which is that of this crate on another rank.
    pub(crate) fn of(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// A rank's part in a meeting. All ranks send theirs before any numbers, so that unequal calls are an error and not a
/// message of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The number of numbers or bytes that follow, and the bits of each number.
    pub(crate) len: u64,
    pub(crate) bits: u64,
    /// The number of examples, for a mean.
    pub(crate) rows: u64,
    /// A loss, a check sum or a flag.
    pub(crate) value: u64,
}

impl Call {
    /// The number of words on the wire.
    pub(crate) const WORDS: usize = 5;

    pub(crate) fn of(operation: Operation) -> Self {
        Self { operation, len: 0, bits: 0, rows: 0, value: 0 }
    }

    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        [self.operation as u64, self.len, self.bits, self.rows, self.value]
    }

    pub(crate) fn from_words([operation, len, bits, rows, value]: [u64; Self::WORDS]) -> Option<Self> {
        Some(Self { operation: Operation::of(operation)?, len, bits, rows, value })
    }
}
