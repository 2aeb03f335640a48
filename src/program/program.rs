//! [`Program`]: a function that is recorded once and run many times.

use std::fmt;
use std::sync::Arc;

use super::graph::Graph;
use super::plan::{Goal, Plan};
use super::replay::Replay;
use crate::number::BaseFloat;
use crate::recording::{Recorded, Recorder};

/// A function that is recorded once and run many times, with its derivatives.
#[derive(Clone, Debug)]
pub struct Program<F = f64> {
    graph: Arc<Graph<F>>,
    inputs: usize,
    gradient: Plan<F>,
    replay: Replay<F>,
}

/// The error of a function that cannot become a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// The function read the value of a number.
    ValueRead,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueRead => f.write_str("the function read the value of a number"),
        }
    }
}

impl std::error::Error for ProgramError {}

impl<F: BaseFloat> Program<F> {
    /// Records.
    pub fn new(f: impl for<'r> FnOnce(&[Recorded<'r, F>]) -> Recorded<'r, F>, x: &[F]) -> Result<Self, ProgramError> {
        let recorder = Recorder::<F>::steps_only();
        let inputs = recorder.unnamed_inputs(x);
        recorder.output(f(&inputs));
        drop(inputs);
        if recorder.values_read().is_some() {
            return Err(ProgramError::ValueRead);
        }
        let graph = Graph::new(&recorder.finish());
        let gradient = Plan::new(&graph, Goal::Gradient(x.len()));
        Ok(Self { graph: Arc::new(graph), inputs: x.len(), gradient, replay: Replay::default() })
    }

    /// Value and gradient.
    pub fn value_and_grad(&mut self, x: &[F], gradient: &mut [F]) -> Result<F, String> {
        assert!(x.len() == self.inputs && gradient.len() == self.inputs, "lengths");
        if self.gradient.run([x, &[]]) {
            for (to, &d) in gradient.iter_mut().zip(self.gradient.gradient()) {
                *to = d;
            }
            return Ok(self.gradient.output(0));
        }
        match self.replay.forward(&self.graph, [x, &[]]) {
            Err(guard) => Err(format!("guard {guard}")),
            Ok(()) => {
                self.replay.reverse(&self.graph, gradient);
                Ok(self.replay.output(&self.graph, 0))
            }
        }
    }
}

impl<F: BaseFloat> fmt::Display for Program<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gradient.fmt(f)
    }
}
