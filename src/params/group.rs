//! [`Group`]: weights that are frozen, or trained with a rate and a decay of their own.

use super::entry::{ParamEntry, ParamInfo, WeightTraining};
use super::store::Params;
use crate::number::Scalar;

/// A selection of weights, for changing how they are trained; see [`Params::group`].
///
/// The settings are stored in the parameters, so that every [optimiser](crate::optim) follows them.
#[derive(Debug)]
pub struct Group<'a, F: Scalar> {
    params: &'a mut Params<F>,
    members: Vec<usize>,
}

impl<F: Scalar> Group<'_, F> {
    /// Excludes the weights from training: on a tape frozen weights are constants, so that their gradient costs
    /// nothing, and optimisers skip them.
    pub fn freeze(self) -> Self {
        self.set(|training| training.frozen = true)
    }

    /// Trains the weights again. An optimiser resumes with the state that it had for these weights.
    pub fn unfreeze(self) -> Self {
        self.set(|training| training.frozen = false)
    }

    /// Multiplies the optimiser's learning rate for these weights by a factor.
    ///
    /// # Panics
    ///
    /// If the factor is negative or not finite.
    #[track_caller]
    pub fn rate(self, factor: f64) -> Self {
        assert!(factor >= 0.0 && factor.is_finite(), "Group::rate: the factor must be at least 0, it is {factor}");
        self.set(|training| training.rate = factor)
    }

    /// Multiplies the optimiser's weight decay for these weights by a factor; 0 exempts them from decay.
    ///
    /// # Panics
    ///
    /// If the factor is negative or not finite.
    #[track_caller]
    pub fn decay(self, factor: f64) -> Self {
        assert!(factor >= 0.0 && factor.is_finite(), "Group::decay: the factor must be at least 0, it is {factor}");
        self.set(|training| training.decay = factor)
    }

    /// The descriptions of the weights.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ParamInfo<'_>> {
        self.members.iter().map(|&index| self.params.entries[index].info())
    }

    fn set(self, change: impl Fn(&mut WeightTraining)) -> Self {
        self.params.reserve_entries(0);
        for &index in &self.members {
            change(&mut self.params.entries[index].training);
        }
        self.params.join_spans();
        self
    }
}

impl<F: Scalar> Params<F> {
    /// The descriptions of the weights with a name that begins with a prefix.
    ///
    /// ```
    /// let mut params = wengert::Params::<f32>::new();
    /// params.add("encoder.w", ndarray::Array2::zeros((8, 4)));
    /// params.add("encoder.b", ndarray::Array1::zeros(4));
    /// params.add("head.w", ndarray::Array2::zeros((4, 2)));
    /// assert_eq!(params.weights_named("encoder.").map(|w| w.range.len()).sum::<usize>(), 36);
    /// ```
    pub fn weights_named(&self, prefix: &str) -> impl Iterator<Item = ParamInfo<'_>> {
        self.iter().filter(move |weight| weight.name.starts_with(prefix))
    }

    /// The group of the weights with a name that begins with a prefix, for changing how they are trained.
    ///
    /// ```
    /// let mut params = wengert::Params::<f32>::new();
    /// params.add("encoder.w", ndarray::Array2::zeros((8, 4)));
    /// params.add("encoder.b", ndarray::Array1::zeros(4));
    /// params.add("head.w", ndarray::Array2::zeros((4, 2)));
    /// params.add("head.b", ndarray::Array1::zeros(2));
    /// params.group("encoder.").freeze();
    /// params.group("head.").rate(0.1);
    /// params.group_where(|weight| weight.shape.len() < 2).decay(0.0);
    /// assert_eq!(params.to_string(), "\
    /// parameter  shape  numbers  training
    /// encoder.w  8 x 4       32  frozen
    /// encoder.b  4            4  frozen
    /// head.w     4 x 2        8  rate × 0.1
    /// head.b     2            2  rate × 0.1, no decay
    /// total                  46  10 trained");
    /// ```
    ///
    /// # Panics
    ///
    /// If no weight's name begins with the prefix.
    #[track_caller]
    pub fn group(&mut self, prefix: &str) -> Group<'_, F> {
        assert!(
            self.weights_named(prefix).next().is_some(),
            "Params::group: no parameter's name begins with {prefix:?}; the names are {}",
            self.names().collect::<Vec<_>>().join(", ")
        );
        self.group_where(|weight| weight.name.starts_with(prefix))
    }

    /// The group of the weights that fulfil a condition, for changing how they are trained; the group may be empty.
    pub fn group_where(&mut self, is_member: impl Fn(&ParamInfo<'_>) -> bool) -> Group<'_, F> {
        let is_member = |entry: &ParamEntry| !entry.buffer && is_member(&entry.info());
        let members = (0..self.entries.len()).filter(|&index| is_member(&self.entries[index])).collect();
        Group { params: self, members }
    }
}
