//! The errors of programs.

use std::fmt;
use std::panic::Location;

use crate::recording::BranchChanged;

/// The error of a function that cannot become a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// The function read the value of a number. A program would repeat what it did with the value of the recording.
    ValueRead {
        /// The line that read the value.
        line: &'static Location<'static>,
    },
    /// The function has more operations than a program can number.
    TooLarge {
        /// The number of operations.
        operations: usize,
    },
    /// A branch changed: see [`Program`](super::Program).
    BranchChanged(BranchChanged),
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueRead { line } => write!(
                f,
                "the function reads the value of a recorded number at {line}; a program would keep the value of the \
                 recording for ever; stay with recorded numbers, or differentiate the function on a tape"
            ),
            Self::TooLarge { operations } => {
                write!(f, "the function has {operations} operations, more than a program can number")
            }
            Self::BranchChanged(branch) => branch.fmt(f),
        }
    }
}

impl std::error::Error for ProgramError {}

impl From<BranchChanged> for ProgramError {
    fn from(branch: BranchChanged) -> Self {
        Self::BranchChanged(branch)
    }
}

/// The error of a batch: points at which the function takes another branch than the one recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PointsFailed {
    /// For each point, true if it failed. The results of these points are not written.
    pub failed: Vec<bool>,
    /// The error of the first of them.
    pub first: BranchChanged,
}

impl fmt::Display for PointsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.failed.iter().filter(|&&failed| failed).count();
        let place = self.failed.iter().position(|&failed| failed).unwrap_or(0);
        write!(f, "{count} of {} points take another branch; point {place}: {}", self.failed.len(), self.first)
    }
}

impl std::error::Error for PointsFailed {}
