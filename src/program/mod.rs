//! Programs: functions that are recorded once and run many times, with their derivatives.
//!
//! A [`Program`] takes the operations of a function from a recording, finds the parts that are alike, and runs these side
//! by side in vector registers. The gradient of a function with many equal terms then costs about as much as the
//! function, or less.
//!
//! | file | holds |
//! |---|---|
//! | `program`, `error` | [`Program`] and its errors |
//! | `inputs` | the argument trait [`Inputs`], and the closures that are recorded |
//! | `auto` | [`AutoProgram`], which records again when a branch changes |
//! | `graph`, `table` | a recording without repetitions; the hash table that finds them |
//! | `tangents` | the graphs of directional derivatives |
//! | `ops` | the operations of graphs and bodies, and the chain rule for each |
//! | `cones`, `bundle` | the parts of a graph that are alike, as lanes of groups; those of one shape |
//! | `sums` | the sums that are taken over lanes |
//! | `periods`, `loops` | groups that come again and again; where the operands of their turns stand |
//! | `body` | what one lane computes, values and adjoints, in static single assignment form |
//! | `code`, `emitter` | instructions on tiles of lanes; the way from a body to them |
//! | `kernels` | the loops over lanes |
//! | `memory` | memory that begins at a cache line |
//! | `lanes` | a group as it is run |
//! | `tiles`, `steps` | the run of a group, tile by tile; the instructions of a tile |
//! | `scalars` | operations without lanes |
//! | `planner`, `groups`, `lists`, `places` | the way from a graph to a plan; where lanes find their operands |
//! | `plan` | groups and single operations with their memory: what a program runs |
//! | `batch` | a whole graph with points or directions as lanes |
//! | `matrices`, `pattern` | Jacobians and Hessians: the way to the entries; which entries there are |
//! | `terms` | the entries by the terms of a function, which are lanes |
//! | `points` | many points at once ([`Program::batch`]), on threads |
//! | `runner` | a plan with its graph, which is replayed where the plan cannot be trusted |
//! | `replay` | the reference: operation by operation, with the conventions of the tape |

mod auto;
mod batch;
mod body;
mod bundle;
mod code;
mod cones;
mod emitter;
mod error;
mod graph;
mod groups;
mod inputs;
mod kernels;
mod lanes;
mod lists;
mod loops;
mod matrices;
mod memory;
mod ops;
mod pattern;
mod periods;
mod places;
mod plan;
mod planner;
mod points;
#[allow(clippy::module_inception)]
mod program;
mod replay;
mod runner;
mod scalars;
mod steps;
mod sums;
mod table;
mod tangents;
mod terms;
#[cfg(test)]
mod tests;
mod tiles;

pub use auto::AutoProgram;
pub use error::{PointsFailed, ProgramError};
pub use inputs::Inputs;
pub use program::Program;
