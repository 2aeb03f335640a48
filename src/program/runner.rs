//! A plan with its graph, which is replayed where the plan cannot be trusted.

use std::sync::Arc;

use super::graph::Graph;
use super::plan::{Goal, Plan, copy};
use super::replay::Replay;
use crate::number::BaseFloat;

/// A plan with its graph.
#[derive(Clone, Debug)]
pub(super) struct Runner<F> {
    pub(super) graph: Arc<Graph<F>>,
    pub(super) plan: Plan<F>,
    replay: Replay<F>,
    replayed: Vec<F>,
    active: usize,
    /// True if every run is a replay.
    pub(super) exact: bool,
    /// True if the last run was one.
    was_replay: bool,
}

impl<F: BaseFloat> Runner<F> {
    pub(super) fn new(graph: Arc<Graph<F>>, goal: Goal, exact: bool) -> Self {
        let plan = Plan::new(&graph, goal);
        let active = if let Goal::Gradient(n) = goal { n } else { 0 };
        Self { graph, plan, replay: Replay::default(), replayed: Vec::new(), active, exact, was_replay: false }
    }

    /// Runs the plan. Where a comparison comes out otherwise or a number is not finite, the graph is replayed: it decides
    /// by the roundings of the recording, and has the conventions of the tape, such as that a zero cotangent stays zero
    /// beside an infinite partial. An error is the number of the guard that fails there.
    #[inline]
    pub(super) fn run(&mut self, inputs: &[&[F]]) -> Result<(), usize> {
        self.was_replay = self.exact || !self.plan.run(inputs);
        if self.was_replay { self.replay(inputs) } else { Ok(()) }
    }

    /// [`run`](Self::run), with the gradient of the first output in a slice. Where that is an error, the slice stays as it
    /// was.
    #[inline]
    pub(super) fn run_into(&mut self, inputs: &[&[F]], gradient: &mut [F]) -> Result<(), usize> {
        // Without comparisons nothing can fail: the numbers need not wait for the end of the run.
        let at_once = !self.exact && self.graph.guards.is_empty();
        if at_once && self.plan.run_into(inputs, Some(&mut *gradient)) {
            self.was_replay = false;
            return Ok(());
        }
        self.was_replay = at_once || self.exact || !self.plan.run(inputs);
        if self.was_replay {
            self.replay(inputs)?;
        }
        copy(gradient, self.gradient());
        Ok(())
    }

    #[cold]
    fn replay(&mut self, inputs: &[&[F]]) -> Result<(), usize> {
        self.replay.forward(&self.graph, inputs)?;
        if self.active > 0 {
            self.replayed.resize(self.active, F::zero());
            self.replay.reverse(&self.graph, &mut self.replayed);
            self.replayed.iter_mut().for_each(|d| *d += F::zero());
        }
        Ok(())
    }

    /// The value of an output after a run.
    #[inline]
    pub(super) fn output(&self, k: usize) -> F {
        if self.was_replay { self.replay.output(&self.graph, k) } else { self.plan.output(k) }
    }

    /// The gradient of the first output after a run, without -0.
    #[inline]
    pub(super) fn gradient(&self) -> &[F] {
        if self.was_replay { &self.replayed } else { self.plan.gradient() }
    }
}
