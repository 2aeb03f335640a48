//! One weight or buffer: [`Param`], its typed id; [`ParamInfo`], its description; its place in a gradient.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use ndarray::Dimension;
use smallvec::SmallVec;

/// A weight or a buffer.
#[derive(Clone)]
pub(super) struct ParamEntry {
    pub(super) name: String,
    pub(super) shape: SmallVec<[usize; 4]>,
    pub(super) buffer: bool,
    /// True for the matrix of a [linear map](crate::Params::add_linear).
    pub(super) transposed: bool,
    /// The first number's place, counted from the first weight or the first buffer.
    pub(super) start: usize,
    pub(super) len: usize,
    /// A number that no other entry has and that its ids carry; clones of the parameters keep it.
    pub(super) stamp: u64,
    pub(super) training: WeightTraining,
}

impl ParamEntry {
    pub(super) fn info(&self) -> ParamInfo<'_> {
        let WeightTraining { frozen, rate, decay } = self.training;
        ParamInfo { name: &self.name, shape: &self.shape, range: self.range(), frozen, rate, decay }
    }

    /// The range of the numbers, counted from the first weight or the first buffer.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// The range of the numbers in the state of a model with this number of weights.
    pub(super) fn place(&self, weights: usize) -> Range<usize> {
        let start = self.start + if self.buffer { weights } else { 0 };
        start..start + self.len
    }

    /// The shape as a dimension of ndarray. Its number of axes fits, because the type of the id carries it.
    pub(super) fn dim<D: Dimension>(&self) -> D {
        let mut dim = D::zeros(self.shape.len());
        dim.slice_mut().copy_from_slice(&self.shape);
        dim
    }
}

/// The id of a weight or a buffer of a [`Params`](crate::Params); its type carries the number of axes.
///
/// An id is valid for the `Params` that returned it and for clones of those; the methods of any other `Params` panic.
pub struct Param<D> {
    index: u32,
    stamp: u64,
    dimension: PhantomData<fn() -> D>,
}

impl<D> Param<D> {
    pub(super) fn new(index: usize, stamp: u64) -> Self {
        Self { index: index as u32, stamp, dimension: PhantomData }
    }

    pub(super) fn index(self) -> usize {
        self.index as usize
    }

    pub(super) fn stamp(self) -> u64 {
        self.stamp
    }
}

impl<D> Clone for Param<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Param<D> {}

impl<D> PartialEq for Param<D> {
    fn eq(&self, other: &Self) -> bool {
        self.stamp == other.stamp
    }
}

impl<D> Eq for Param<D> {}

impl<D> fmt::Debug for Param<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Param").field(&self.index).finish()
    }
}

/// The description of a weight, from [`Params::iter`](crate::Params::iter).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParamInfo<'a> {
    /// The name.
    pub name: &'a str,
    /// The length of each axis.
    pub shape: &'a [usize],
    /// The range of the weight's numbers in [`Params::values`](crate::Params::values) and in a gradient.
    pub range: Range<usize>,
    /// True if training leaves the weight unchanged; see [`Group::freeze`](crate::Group::freeze).
    pub frozen: bool,
    /// The factor of the learning rate; see [`Group::rate`](crate::Group::rate).
    pub rate: f64,
    /// The factor of the weight decay; see [`Group::decay`](crate::Group::decay).
    pub decay: f64,
}

/// The part of a weight in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WeightTraining {
    pub(super) frozen: bool,
    pub(super) rate: f64,
    pub(super) decay: f64,
}

impl Default for WeightTraining {
    fn default() -> Self {
        Self { frozen: false, rate: 1.0, decay: 1.0 }
    }
}

impl fmt::Display for WeightTraining {
    /// The differences from the default, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frozen {
            return f.write_str("frozen");
        }
        let mut notes = Vec::new();
        if self.rate != 1.0 {
            notes.push(format!("rate × {}", self.rate));
        }
        if self.decay == 0.0 {
            notes.push("no decay".into());
        } else if self.decay != 1.0 {
            notes.push(format!("decay × {}", self.decay));
        }
        f.write_str(&notes.join(", "))
    }
}

/// A range of numbers that are trained alike, with the factors of their learning rate and weight decay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrainedRange {
    pub(crate) range: Range<usize>,
    pub(crate) rate: f64,
    pub(crate) decay: f64,
}

/// A weight's numbers in a gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) stamp: u64,
    pub(super) start: usize,
    pub(super) len: usize,
}
