//! [`State`]: an optimiser's state, in a form that can be saved.

use super::{StateArray, UpdateRule};
use crate::number::Scalar;
use crate::params::{Owner, Params};

/// An optimiser's state: the number of steps it took, and named vectors of one number for each weight.
///
/// A vector is empty before the first step that uses it. Vectors that are not empty belong to the parameters of the last
/// step, see [`Optimizer`](super::Optimizer).
#[derive(Clone, Debug, Default)]
pub struct State<F> {
    steps: u64,
    vectors: Vec<(&'static str, Vec<F>)>,
    owner: Option<Owner>,
    /// True from the first change of a step until it is counted: a rule may panic in between.
    torn: bool,
}

/// Compares steps and vectors, not the parameters to which they belong.
impl<F: PartialEq> PartialEq for State<F> {
    fn eq(&self, other: &Self) -> bool {
        (self.steps, &self.vectors) == (other.steps, &other.vectors)
    }
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
        let vectors = names.iter().map(|&name| (name, Vec::new())).collect();
        Self { steps: 0, vectors, owner: None, torn: false }
    }

    /// The number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The vectors with their names.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = (&'static str, &[F])> {
        self.vectors.iter().map(|(name, vector)| (*name, vector.as_slice()))
    }

    /// Sets the number of steps and the vectors, in the order of [`vectors`](Self::vectors). They belong to the
    /// parameters of the next step.
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
        (self.steps, self.owner, self.torn) = (steps, None, false);
        for ((_, own), vector) in self.vectors.iter_mut().zip(vectors) {
            *own = vector;
        }
    }

    /// Gives the vectors to other parameters, with as many weights that mean the same in the same order: to a model that
    /// was built again, or to one of two clones that go on side by side.
    ///
    /// ```
    /// use wengert::{Adam, Optimizer, Params};
    ///
    /// let build = || {
    ///     let mut params = Params::new();
    ///     params.add("w", ndarray::array![1.0, 2.0]);
    ///     params
    /// };
    /// let (mut params, mut adam) = (build(), Adam::new(0.1));
    /// adam.step(&mut params, &[0.5, 0.5]);
    /// let mut again = build(); // and, say, loads the weights of an earlier epoch
    /// adam.state_mut().adopt(&again);
    /// adam.step(&mut again, &[0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the vectors are not as long as [`Params::values`].
    #[track_caller]
    pub fn adopt(&mut self, params: &Params<F>) {
        self.assert_len(params.len());
        self.owner = Some(params.owner());
    }

    /// Counts a step of these parameters.
    pub(super) fn advance(&mut self, owner: Owner) {
        (self.steps, self.owner, self.torn) = (self.steps + 1, Some(owner), false);
    }

    /// Panics unless the vectors belong to these parameters.
    #[track_caller]
    pub(super) fn assert_of(&self, params: &Params<F>) {
        self.assert_len(params.len());
        let used = self.vectors.iter().any(|(_, vector)| !vector.is_empty());
        assert!(
            !used || self.owner.as_ref().is_none_or(|owner| params.is_owner(owner)),
            "step: the optimizer has the state of other parameters than these ({}); make an optimizer for each model, or \
             give it the new parameters by `optimizer.state_mut().adopt(&params)`",
            params.names().collect::<Vec<_>>().join(", ")
        );
    }

    #[track_caller]
    fn assert_len(&self, len: usize) {
        if let Some((_, vector)) = self.vectors.iter().find(|(_, vector)| !vector.is_empty() && vector.len() != len) {
            panic!(
                "step: the optimizer has state for {} numbers, the parameters have {len}; \
                 add every parameter before the first step, or make a new optimizer",
                vector.len()
            );
        }
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
        let mut vectors = self.vectors.iter();
        for name in R::STATE.as_ref() {
            assert!(
                vectors.any(|(own, _)| own == name),
                "step: the optimizer has no state vector {name:?} for the rule {}, or not in this order",
                R::NAME
            );
        }
        // All are computed before the first is kept, because a rule may panic and memory may run out.
        let mut vectors = self.vectors_of(rule);
        let mut initial = R::State::from_fn(|k| {
            let unused = vectors.as_mut()[k].is_empty();
            let begin = || theta.iter().map(|&weight| rule.initial(weight).as_ref()[k]).collect::<Vec<_>>();
            if unused { begin() } else { Vec::new() }
        });
        for (vector, initial) in vectors.as_mut().iter_mut().zip(initial.as_mut()) {
            if vector.is_empty() {
                **vector = std::mem::take(initial);
            }
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
