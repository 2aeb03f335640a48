//! [`State`]: what an optimiser remembers, in a form that can be saved.

use crate::number::Scalar;

/// What an optimiser remembers: how many steps it took, and vectors of one number a parameter.
///
/// A vector is empty before the first step that uses it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State<F> {
    steps: u64,
    vectors: Vec<(&'static str, Vec<F>)>,
}

impl<F: Scalar> State<F> {
    /// The state before the first step, with vectors of these names.
    pub fn new(names: &[&'static str]) -> Self {
        Self { steps: 0, vectors: names.iter().map(|&name| (name, Vec::new())).collect() }
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
    /// If there are more or fewer vectors than it has, or those that are not empty differ in length.
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
        for ((_, own), vector) in self.vectors.iter_mut().zip(vectors) {
            *own = vector;
        }
    }

    /// Counts a step.
    pub(super) fn advance(&mut self) {
        self.steps += 1;
    }

    /// The first N vectors; zeros at the first step.
    #[track_caller]
    pub(super) fn vectors_for<const N: usize>(&mut self, len: usize) -> [&mut Vec<F>; N] {
        let mut vectors = self.vectors.iter_mut();
        std::array::from_fn(|_| {
            let (_, vector) = vectors.next().expect("a rule uses no more vectors than its optimizer has");
            if vector.is_empty() {
                vector.resize(len, F::zero());
            }
            assert!(
                vector.len() == len,
                "step: the optimizer has state for {} numbers, the parameters have {len}; \
                 add every parameter before the first step, or make a new optimizer",
                vector.len()
            );
            vector
        })
    }
}
