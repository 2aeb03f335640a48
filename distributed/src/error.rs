//! [`RanksError`].

use std::error::Error;
use std::fmt;

/// The reason why ranks could not compute together. Except for [`Start`](Self::Start), every rank gets the same error.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RanksError {
    /// MPI could not be started.
    #[non_exhaustive]
    Start {
        /// The reason.
        reason: &'static str,
    },
    /// The ranks do different things: one has ended, or has taken another number of steps. They cannot compute together
    /// any more.
    #[non_exhaustive]
    Apart {
        /// The place of each rank, in the order of the ranks, such as `in a mean` or `ended by a panic`.
        ranks: Vec<&'static str>,
    },
    /// The ranks' numbers differ in length or type.
    #[non_exhaustive]
    Lengths {
        /// The numbers of each rank, in the order of the ranks, such as `10 numbers of f64`.
        ranks: Vec<String>,
    },
    /// A rank's parameters or optimiser are not those of rank 0.
    #[non_exhaustive]
    Model {
        /// The first rank that differs.
        rank: usize,
        /// The first weight, buffer or state vector of that rank that differs; `None` if it has fewer.
        found: Option<String>,
        /// The one of rank 0 in its place; `None` if rank 0 has fewer.
        expected: Option<String>,
    },
    /// The ranks' weights or buffers differ.
    #[non_exhaustive]
    Weights {
        /// The check sum of each rank, in the order of the ranks.
        sums: Vec<u64>,
    },
    /// No rank has an example, so that there is no mean.
    NoRows,
    /// A task of rank 0 failed.
    #[non_exhaustive]
    Once {
        /// The text of its error.
        text: String,
    },
}

impl fmt::Display for RanksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { reason } => write!(f, "MPI could not be started: {reason}"),
            Self::Apart { ranks } => write!(f, "the ranks have gone apart: {}", grouped(ranks, "")),
            Self::Lengths { ranks } => {
                write!(f, "the ranks differ in the length or type of numbers: {}", grouped(ranks, "with "))
            }
            Self::Model { rank, found, expected } => {
                let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing more".into());
                write!(
                    f,
                    "rank {rank} has {} where rank 0 has {}; build the same parameters and optimizer on every rank",
                    text(found),
                    text(expected)
                )
            }
            Self::Weights { sums } => {
                let sums: Vec<String> = sums.iter().map(|sum| format!("{sum:016x}")).collect();
                write!(f, "the ranks' weights or buffers differ, by their check sums: {}", grouped(&sums, "with "))
            }
            Self::NoRows => write!(f, "no rank has an example, and the mean of 0 examples is not defined"),
            Self::Once { text } => write!(f, "on rank 0: {text}"),
        }
    }
}

impl Error for RanksError {}

/// The ranks with equal texts together, such as `2 of 3 ranks (0, 2) in a mean; rank 1 ended`.
fn grouped<S: AsRef<str>>(texts: &[S], before: &str) -> String {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (rank, text) in texts.iter().enumerate() {
        match groups.iter_mut().find(|(other, _)| *other == text.as_ref()) {
            Some((_, ranks)) => ranks.push(rank.to_string()),
            None => groups.push((text.as_ref(), vec![rank.to_string()])),
        }
    }
    let group = |(text, ranks): (&str, Vec<String>)| match ranks.len() {
        1 => format!("rank {} {before}{text}", ranks[0]),
        n @ 2..=6 => format!("{} of {} ranks ({}) {before}{text}", n, texts.len(), ranks.join(", ")),
        n => format!("{n} of {} ranks ({}, ..) {before}{text}", texts.len(), ranks[..4].join(", ")),
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join("; ")
}
