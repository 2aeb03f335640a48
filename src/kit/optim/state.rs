//! [`State`]: an optimiser's state, in a form that can be saved.

use super::{StateArray, UpdateRule};
use crate::number::Scalar;

/// An optimiser's state: the number of steps it took, and named vectors of one number for each weight.
///
/// A vector is empty before the first step that uses it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State<F> {
    steps: u64,
    vectors: Vec<(&'static str, Vec<F>)>,
    /// True from the first change of a step until it is counted: a rule may panic in between.
    torn: bool,
}

impl<F: Scalar> State<F> {
    /// The state before the first step, with vectors of these names.
    ///
    /// # Panics
    ///
    /// If a name is empty, has a slash (which separates parts of names in a file) or occurs twice.
    #[track_caller]
    pub fn new(names: &[&'static str]) -> Self {
        for (k, name) in names.iter().enumerate() {
            assert!(
                !name.is_empty() && !name.contains('/') && !names[..k].contains(name),
                "State: {name:?} cannot name a state vector; a name is unique, not empty and has no slash"
            );
        }
        Self { steps: 0, vectors: names.iter().map(|&name| (name, Vec::new())).collect(), torn: false }
    }

    /// The number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The vectors with their names.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = (&'static str, &[F])> {
        self.vectors.iter().map(|(name, vector)| (*name, vector.as_slice()))
    }

    /// Sets the number of steps and the vectors, in the order of [`vectors`](Self::vectors).
    ///
    /// # Panics
    ///
    /// If the number of vectors is another, or vectors that are not empty differ in length.
    #[track_caller]
    pub fn restore(&mut self, steps: u64, vectors: Vec<Vec<F>>) {
        assert!(
            vectors.len() == self.vectors.len(),
            "State::restore: {} vectors were given, the optimizer has {}",
            vectors.len(),
            self.vectors.len()
        );
        assert!(
            vectors.iter().filter(|v| !v.is_empty()).is_sorted_by(|a, b| a.len() == b.len()),
            "State::restore: the vectors differ in length: {:?}",
            vectors.iter().map(Vec::len).collect::<Vec<_>>()
        );
        self.steps = steps;
        self.torn = false;
        for ((_, own), vector) in self.vectors.iter_mut().zip(vectors) {
            *own = vector;
        }
    }

    /// Counts a step.
    pub(super) fn advance(&mut self) {
        self.steps += 1;
        self.torn = false;
    }

    /// Notes that weights and state change from here on, until the step is counted.
    pub(super) fn begin(&mut self) {
        self.torn = true;
    }

    /// Panics if an earlier step panicked when it had moved some of the weights.
    #[track_caller]
    pub(super) fn assert_whole(&self, rule: &str) {
        assert!(
            !self.torn,
            "step: an earlier step of {rule} was broken off by a panic, with some of the weights moved; restore the weights \
             and the state of a step before (`State::restore`), or make a new optimizer"
        );
    }

    /// Looks for the vectors of a rule by their names; those not used before begin at the rule's initial state.
    #[track_caller]
    pub(super) fn check_vectors<R: UpdateRule>(&mut self, rule: &R, theta: &[F]) {
        let mut vectors = self.vectors.iter_mut();
        for (k, name) in R::STATE.as_ref().iter().enumerate() {
            let Some((_, vector)) = vectors.find(|(own, _)| own == name) else {
                panic!(
                    "step: the optimizer has no state vector {name:?} for the rule {}, or not in this order",
                    R::NAME
                );
            };
            if vector.is_empty() {
                // Collected first, because a rule may panic.
                *vector = theta.iter().map(|&weight| rule.initial(weight).as_ref()[k]).collect();
            }
            assert!(
                vector.len() == theta.len(),
                "step: the optimizer has state for {} numbers, the parameters have {}; \
                 add every parameter before the first step, or make a new optimizer",
                vector.len(),
                theta.len()
            );
        }
    }

    /// The vectors of a rule, for which [`check_vectors`](Self::check_vectors) has looked.
    pub(super) fn vectors_of<R: UpdateRule>(&mut self, _: &R) -> R::State<&mut Vec<F>> {
        let mut vectors = self.vectors.iter_mut();
        R::State::from_fn(|k| {
            let found = vectors.find(|(own, _)| *own == R::STATE.as_ref()[k]);
            found.map(|(_, vector)| vector).expect("`check_vectors` found it")
        })
    }
}
