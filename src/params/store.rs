//! [`Params`]: the parameters of a model as one flat vector.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use ndarray::{ArrayBase, ArrayView, ArrayViewD, ArrayViewMut, Data, Dimension, Ix2};

use super::entry::{Param, ParamEntry, ParamInfo, Place, TrainedRange, WeightTraining};
use super::identity::{self, Identity, Owner};
use crate::arena::refuse;
use crate::number::{Dual, Scalar};
use crate::tape::Tape;
use crate::text::Table;

/// The parameters of a model: one flat vector; every weight is a named view of a part.
///
/// A gradient is therefore one flat slice too, an optimiser is one loop over both, and saving a model is saving one
/// vector. The weights follow one another in the order in which they were added, each in row-major order.
///
/// ```
/// use ndarray::{Array1, array};
/// use wengert::{Params, Tape};
///
/// let mut params = Params::new();
/// let w = params.add("w", array![[1.0, 2.0], [3.0, 4.0]]);
/// let b = params.add("b", Array1::zeros(2));
/// assert_eq!(params.values(), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
///
/// let mut tape = Tape::new();
/// let (loss, grad) = tape.value_and_grad(&params, |p| (p.get(w) * 10.0 + p.get(b)).sum());
/// assert_eq!(loss, 100.0);
/// assert_eq!(grad, [10.0, 10.0, 10.0, 10.0, 2.0, 2.0]);
///
/// for (x, g) in params.values_mut().iter_mut().zip(grad) {
///     *x -= 0.1 * g;
/// }
/// assert_eq!(params.view(w), array![[0.0, 1.0], [2.0, 3.0]]);
/// ```
///
/// A printed `Params` is a summary:
///
/// ```
/// # let mut params = wengert::Params::<f32>::new();
/// # params.add("hidden.w", ndarray::Array2::zeros((64, 32)));
/// # params.add("hidden.b", ndarray::Array1::zeros(32));
/// assert_eq!(params.to_string(), "\
/// parameter  shape    numbers
/// hidden.w   64 x 32     2048
/// hidden.b   32            32
/// total                  2080");
/// ```
///
/// A [group](Self::group) of weights can be frozen, or trained at a rate of its own.
#[derive(Clone)]
pub struct Params<F: Scalar = f64> {
    /// The numbers of all weights, then those of all [buffers](Params::add_buffer): the whole state of the model.
    pub(super) state: Vec<F>,
    /// The number of numbers of all weights.
    pub(super) weights: usize,
    pub(super) entries: Vec<ParamEntry>,
    /// A hash of the names, shapes and kinds of all entries, in their order.
    pub(super) signature: u64,
    identity: Identity,
    /// The number of mutable borrows of `values` so far.
    pub(super) version: u64,
    /// The trained ranges of `values`, for optimisers; neighbours that are trained alike are joined.
    pub(super) spans: Vec<TrainedRange>,
}

impl<F: Scalar> Default for Params<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Scalar> Params<F> {
    /// A model without parameters.
    pub fn new() -> Self {
        Self {
            state: Vec::new(),
            weights: 0,
            entries: Vec::new(),
            signature: 0,
            identity: Identity::default(),
            version: 0,
            spans: Vec::new(),
        }
    }

    /// Adds a weight with the values of an array of any memory layout, and returns its id.
    ///
    /// # Panics
    ///
    /// If there is a weight or a buffer of this name.
    #[track_caller]
    pub fn add<S, D>(&mut self, name: impl Into<String>, array: ArrayBase<S, D>) -> Param<D>
    where
        S: Data<Elem = F>,
        D: Dimension,
    {
        self.push(name.into(), array.view().into_dyn(), false)
    }

    /// Adds the matrix of a linear map, of shape (inputs, outputs) and used as x w: a weight of which PyTorch has the
    /// transpose in its files. `save::Reader::pytorch` (feature `io`) transposes such a weight. The layers of
    /// [`nn`](crate::nn) add their matrices by this method.
    ///
    /// ```
    /// let mut params = wengert::Params::new();
    /// let w = params.add_linear("mix.weight", ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(params.view(w).dim(), (2, 3));
    /// ```
    ///
    /// # Panics
    ///
    /// If there is a weight or a buffer of this name.
    #[track_caller]
    pub fn add_linear<S: Data<Elem = F>>(&mut self, name: impl Into<String>, array: ArrayBase<S, Ix2>) -> Param<Ix2> {
        let id = self.add(name, array);
        self.entries[id.index()].transposed = true;
        id
    }

    /// Adds a buffer: an array that belongs to the model but is not trained, such as the running statistics of a
    /// [`BatchNorm`](crate::nn::BatchNorm).
    ///
    /// A buffer has a name, an id and a view, as a weight has; on a tape it is a constant. A buffer is no part of
    /// [`values`](Self::values), of a gradient or of [`iter`](Self::iter), so that no optimiser and no weight decay
    /// changes it. [`buffers`](Self::buffers) lists all buffers.
    ///
    /// ```
    /// let mut params = wengert::Params::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let scale = params.add_buffer("scale", ndarray::array![10.0, 20.0]);
    /// assert_eq!(params.values(), [1.0, 2.0]);
    ///
    /// let mut tape = wengert::Tape::new();
    /// let (_, grad) = tape.value_and_grad(&params, |p| (p.get(w) * p.get(scale)).sum());
    /// assert_eq!(grad, [10.0, 20.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is a weight or a buffer of this name.
    #[track_caller]
    pub fn add_buffer<S, D>(&mut self, name: impl Into<String>, array: ArrayBase<S, D>) -> Param<D>
    where
        S: Data<Elem = F>,
        D: Dimension,
    {
        self.push(name.into(), array.view().into_dyn(), true)
    }

    #[track_caller]
    fn push<D>(&mut self, name: String, array: ArrayViewD<'_, F>, buffer: bool) -> Param<D> {
        assert!(
            self.find(&name).is_none(),
            "Params::add: there is a parameter named {name:?} already; names are unique"
        );
        let len = self.state.len();
        if array.len() > self.state.capacity() - len {
            // An eighth of spare room, not the factor of two of `Vec`: the vector is as large as the model.
            let room = self.state.try_reserve_exact(array.len().saturating_add(len / 8));
            if room.is_err() {
                refuse(
                    format_args!("Params::add: an array of shape {:?} beside {len} numbers", array.shape()),
                    array.len(),
                    size_of::<F>(),
                );
            }
        }
        let mut hasher = DefaultHasher::new();
        (self.signature, &name, array.shape(), buffer).hash(&mut hasher);
        let entry = ParamEntry {
            name,
            shape: array.shape().into(),
            buffer,
            transposed: false,
            start: if buffer { len - self.weights } else { self.weights },
            len: array.len(),
            stamp: identity::fresh(),
            training: WeightTraining::default(),
        };
        self.reserve_entries(1);
        // Nothing fails from here on.
        match array.as_slice() {
            Some(values) => self.state.extend_from_slice(values),
            None => self.state.extend(array.iter()),
        }
        if !buffer {
            // Buffers stay behind the weights.
            self.state[self.weights..].rotate_right(array.len());
            self.weights += array.len();
        }
        self.signature = hasher.finish();
        self.entries.push(entry);
        self.join_spans();
        self.id(self.entries.len() - 1)
    }

    /// The id of the weight or buffer of this name.
    ///
    /// ```
    /// use ndarray::Ix2;
    ///
    /// let mut params = wengert::Params::<f32>::new();
    /// let w = params.add("w", ndarray::Array2::zeros((3, 2)));
    /// assert_eq!(params.by_name::<Ix2>("w"), Some(w));
    /// assert_eq!(params.by_name::<Ix2>("b"), None);
    /// ```
    ///
    /// # Panics
    ///
    /// If its number of axes is not that of `D`.
    #[track_caller]
    pub fn by_name<D: Dimension>(&self, name: &str) -> Option<Param<D>> {
        let index = self.find(name)?;
        let shape = &self.entries[index].shape;
        assert!(
            D::NDIM.is_none_or(|ndim| ndim == shape.len()),
            "Params::by_name: parameter {name:?} has shape {shape:?}, {} axes; it was asked for with {}",
            shape.len(),
            D::NDIM.unwrap_or_default()
        );
        Some(self.id(index))
    }

    /// The name of a weight or a buffer.
    ///
    /// # Panics
    ///
    /// If the id belongs to another `Params`.
    #[track_caller]
    pub fn name<D>(&self, id: Param<D>) -> &str {
        &self.entry(id).name
    }

    /// The names of weights and buffers, in the order in which they were added.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The description of every weight, in the order in which they were added.
    ///
    /// ```
    /// let mut params = wengert::Params::<f64>::new();
    /// params.add("w", ndarray::Array2::ones((3, 2)));
    /// params.add("b", ndarray::Array1::zeros(2));
    /// for weight in params.iter().filter(|weight| weight.name.starts_with('b')) {
    ///     assert_eq!((weight.shape, weight.range), (&[2][..], 6..8));
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = ParamInfo<'_>> {
        self.entries.iter().filter(|entry| !entry.buffer).map(ParamEntry::info)
    }

    /// The name and values of every [buffer](Self::add_buffer), in the order in which they were added.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, F>)> {
        self.entries.iter().filter(|entry| entry.buffer).map(|entry| {
            let array = ArrayView::from_shape(&entry.shape[..], self.store(entry));
            (entry.name.as_str(), array.expect("as many numbers as the shape has"))
        })
    }

    /// The number of elements of all weights together: the length of [`values`](Self::values).
    pub fn len(&self) -> usize {
        self.weights
    }

    /// True if [`values`](Self::values) is empty.
    pub fn is_empty(&self) -> bool {
        self.weights == 0
    }

    /// The numbers of all weights.
    pub fn values(&self) -> &[F] {
        &self.state[..self.weights]
    }

    /// The numbers of all weights, mutably.
    pub fn values_mut(&mut self) -> &mut [F] {
        self.version += 1;
        &mut self.state[..self.weights]
    }

    /// The whole state of the model: the numbers of all weights, as in [`values`](Self::values), then those of all
    /// [buffers](Self::add_buffer).
    ///
    /// All that keeps, averages, copies or saves a model takes its numbers from here.
    pub fn state(&self) -> &[F] {
        &self.state
    }

    /// The whole [state](Self::state), mutably.
    pub fn state_mut(&mut self) -> &mut [F] {
        self.version += 1;
        &mut self.state
    }

    /// Sets all weights and buffers to those of another model with the same names and shapes in the same order, as for
    /// a target network. How weights are trained ([`Group`](crate::Group)) stays as it is.
    ///
    /// ```
    /// let build = || {
    ///     let mut params = wengert::Params::new();
    ///     params.add("w", ndarray::array![0.0, 0.0]);
    ///     params.add_buffer("mean", ndarray::array![0.0]);
    ///     params
    /// };
    /// let (mut online, mut target) = (build(), build());
    /// online.state_mut().copy_from_slice(&[1.0, 2.0, 3.0]);
    /// target.copy_from(&online);
    /// assert_eq!(target.state(), [1.0, 2.0, 3.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If a name or a shape differs.
    #[track_caller]
    pub fn copy_from(&mut self, other: &Self) {
        self.assert_state("Params::copy_from", &other.state, Some(other.signature));
        self.state_mut().copy_from_slice(&other.state);
    }

    /// A number that two models share if the names, shapes and kinds of their entries are the same.
    pub(crate) fn signature(&self) -> u64 {
        self.signature
    }

    /// Panics unless numbers can be the state of these parameters: of a model with this signature, if it is known.
    #[track_caller]
    pub(crate) fn assert_state(&self, name: &str, state: &[F], model: Option<u64>) {
        let buffers = self.state.len() - self.weights;
        assert!(
            self.state.len() == state.len(),
            "{name}: the state has {} numbers, the parameters have {}{}",
            state.len(),
            self.state.len(),
            if buffers > 0 { format!(" ({} of weights, {buffers} of buffers)", self.weights) } else { String::new() }
        );
        assert!(
            model.is_none_or(|model| model == self.signature),
            "{name}: the state is that of a model with other names or shapes than these parameters ({})",
            self.names().collect::<Vec<_>>().join(", ")
        );
    }

    /// The model to which an optimiser's state belongs.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.weights_stamp(), &self.identity)
    }

    /// True if the state of an optimiser that belongs to `owner` fits these parameters: see [`Owner`].
    pub(crate) fn is_owner(&self, owner: &Owner) -> bool {
        owner.is(self.weights_stamp(), &self.identity)
    }

    /// Notes that an optimiser has moved the weights, and returns their owner from now on.
    pub(crate) fn moved(&mut self) -> Owner {
        self.identity.advance();
        self.owner()
    }

    /// A number that parameters share with their clones, and with none to which a weight was added: nothing is ever
    /// removed, so the stamp of the last weight is one.
    pub(crate) fn weights_stamp(&self) -> u64 {
        self.entries.iter().rfind(|entry| !entry.buffer).map_or(0, |entry| entry.stamp)
    }

    /// The number of mutable borrows of the weights so far: while it stays the same, so do the weights.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The name, shape and place in the [state](Self::state) of every weight and buffer: the contents of a model's file.
    #[cfg(feature = "io")]
    pub(crate) fn stored(&self) -> impl Iterator<Item = (&str, &[usize], std::ops::Range<usize>)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.shape[..], entry.place(self.weights)))
    }

    /// True for each entry of [`stored`](Self::stored) that is the matrix of a [linear map](Self::add_linear).
    #[cfg(feature = "io")]
    pub(crate) fn transposed(&self) -> impl Iterator<Item = bool> {
        self.entries.iter().map(|entry| entry.transposed)
    }

    /// Same as [`stored`](Self::stored), for a vector of `len` numbers: one for each weight, or for the whole state.
    #[cfg(feature = "io")]
    pub(crate) fn stored_in(&self, len: usize) -> impl Iterator<Item = (&str, &[usize], std::ops::Range<usize>)> {
        let whole = len == self.state.len();
        self.stored().zip(&self.entries).filter(move |(_, entry)| whole || !entry.buffer).map(|(stored, _)| stored)
    }

    /// Sets weights and buffers, in the order of [`stored`](Self::stored); `None` leaves an entry unchanged.
    #[cfg(feature = "io")]
    pub(crate) fn restore(&mut self, numbers: Vec<Option<Vec<F>>>) {
        self.version += 1;
        for (entry, numbers) in self.entries.iter().zip(numbers) {
            if let Some(numbers) = numbers {
                self.state[entry.place(self.weights)].copy_from_slice(&numbers);
            }
        }
    }

    /// The numbers of an entry.
    pub(super) fn store(&self, entry: &ParamEntry) -> &[F] {
        &self.state[entry.place(self.weights)]
    }

    /// A view of a weight or a buffer.
    ///
    /// # Panics
    ///
    /// If the id belongs to another `Params`.
    #[track_caller]
    pub fn view<D: Dimension>(&self, id: Param<D>) -> ArrayView<'_, F, D> {
        let entry = self.entry(id);
        ArrayView::from_shape(entry.dim::<D>(), self.store(entry)).expect("as many numbers as the shape has")
    }

    /// The part of a weight in numbers in the order of [`values`](Self::values), such as those of a gradient.
    ///
    /// # Panics
    ///
    /// If the id belongs to another `Params`, or is that of a buffer; or if `numbers` and [`values`](Self::values)
    /// differ in length.
    #[track_caller]
    pub fn view_of<'a, D: Dimension>(&self, id: Param<D>, numbers: &'a [F]) -> ArrayView<'a, F, D> {
        let entry = self.entry(id);
        assert!(!entry.buffer, "Params::view_of: {:?} is a buffer, which a gradient has no part for", entry.name);
        assert!(
            numbers.len() == self.len(),
            "Params::view_of: {} numbers do not fit {} parameters",
            numbers.len(),
            self.len()
        );
        ArrayView::from_shape(entry.dim::<D>(), &numbers[entry.range()]).expect("as many numbers as the shape has")
    }

    /// A mutable view of a weight or a buffer.
    ///
    /// # Panics
    ///
    /// If the id belongs to another `Params`.
    #[track_caller]
    pub fn view_mut<D: Dimension>(&mut self, id: Param<D>) -> ArrayViewMut<'_, F, D> {
        let entry = self.entry(id);
        let (dim, place, buffer) = (entry.dim::<D>(), entry.place(self.weights), entry.buffer);
        self.version += u64::from(!buffer);
        let values = &mut self.state[place];
        ArrayViewMut::from_shape(dim, values).expect("as many numbers as the shape has")
    }

    /// The same parameters as dual numbers, each with its tangent.
    ///
    /// The tangents are a direction: [`Tape::value_and_grad`] on a tape of dual numbers returns a gradient with the
    /// product of the Hessian and that direction as its tangents. [Frozen](crate::Group::freeze) weights get the
    /// tangent 0. Ids stay valid.
    ///
    /// ```
    /// use wengert::{Dual, Params, Tape};
    ///
    /// let mut params = Params::<f64>::new();
    /// let w = params.add("w", ndarray::array![1.0, 2.0]);
    /// let params = params.with_tangents(&[1.0, 10.0]);
    /// let mut tape = Tape::new();
    /// let (_, gradient) = tape.value_and_grad(&params, |p| p.get(w).powi(3).sum());
    /// assert_eq!(gradient.iter().map(|g| g.tangents()[0]).collect::<Vec<_>>(), [6.0, 120.0]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `tangents` and [`values`](Self::values) differ in length.
    #[track_caller]
    pub fn with_tangents(&self, tangents: &[F]) -> Params<Dual<F>> {
        assert!(
            tangents.len() == self.len(),
            "Params::with_tangents: {} tangents for {} parameters; give one for each",
            tangents.len(),
            self.len()
        );
        let mut state: Vec<_> = self.state.iter().map(|&x| Dual::constant(x)).collect();
        for range in self.spans.iter().map(|span| span.range.clone()) {
            for (value, tangent) in state[range.clone()].iter_mut().zip(&tangents[range]) {
                *value = Dual::new(value.primal(), [*tangent]);
            }
        }
        Params {
            state,
            weights: self.weights,
            entries: self.entries.clone(),
            signature: self.signature,
            identity: self.identity.clone(),
            version: self.version,
            spans: self.spans.clone(),
        }
    }

    /// Makes the weights the next inputs of a tape and returns the slot of the first number. Each weight is an input of
    /// its own, so that a large one gets a section of its own (see [`Tape::input_slots`]).
    #[track_caller]
    pub(super) fn input_slots(&self, tape: &Tape<F>) -> u32 {
        const FEW: usize = 64;
        if self.weights < FEW {
            return tape.input_slots(self.weights); // which the sink's operation owns, as each of its parts
        }
        let weights = self.entries.iter().filter(|entry| !entry.buffer);
        tape.input_runs(self.entries.len(), self.len(), weights.map(|entry| entry.len))
    }

    /// The places of all weights in [`values`](Self::values).
    pub(super) fn places(&self) -> impl ExactSizeIterator<Item = Place> {
        let count = self.entries.iter().filter(|entry| !entry.buffer).count();
        let mut entries = self.entries.iter();
        (0..count).map(move |_| {
            let weight = entries.find(|entry| !entry.buffer).expect("counted above");
            Place { stamp: weight.stamp, start: weight.start, len: weight.len }
        })
    }

    /// The number of trained elements: all but the [frozen](crate::Group::freeze) ones.
    pub fn trained_len(&self) -> usize {
        self.spans.iter().map(|span| span.range.len()).sum()
    }

    /// The trained ranges of [`values`](Self::values), in ascending order.
    pub(crate) fn spans(&self) -> &[TrainedRange] {
        &self.spans
    }

    /// The numbers of all weights, mutably, and the trained ranges; only numbers in these may be changed.
    pub(crate) fn values_and_spans(&mut self) -> (&mut [F], &[TrainedRange]) {
        self.version += 1;
        (&mut self.state[..self.weights], &self.spans)
    }

    /// Makes room for more entries, and for a trained range of each, so that memory does not run out between two changes.
    pub(super) fn reserve_entries(&mut self, more: usize) {
        self.entries.reserve(more);
        self.spans.reserve(self.entries.len() + more - self.spans.len());
    }

    /// Derives the trained ranges from the entries: as few as possible, so that an optimiser's loops are long.
    ///
    /// There is [room](Self::reserve_entries) for them.
    pub(super) fn join_spans(&mut self) {
        self.spans.clear();
        for entry in self.entries.iter().filter(|entry| !entry.buffer && !entry.training.frozen && entry.len > 0) {
            let WeightTraining { rate, decay, .. } = entry.training;
            match self.spans.last_mut() {
                Some(last) if last.range.end == entry.start && (last.rate, last.decay) == (rate, decay) => {
                    last.range.end += entry.len;
                }
                _ => self.spans.push(TrainedRange { range: entry.range(), rate, decay }),
            }
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    fn id<D>(&self, index: usize) -> Param<D> {
        Param::new(index, self.entries[index].stamp)
    }

    #[track_caller]
    pub(super) fn entry<D>(&self, id: Param<D>) -> &ParamEntry {
        match self.entries.get(id.index()) {
            Some(entry) if entry.stamp == id.stamp() => entry,
            _ => panic!(
                "Params: the id {id:?} is not of these parameters ({}), nor of what they were cloned from",
                self.names().collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl<F: Scalar> fmt::Display for Params<F> {
    /// A table of the names, shapes and sizes. A column `training` follows if an entry is a buffer, is frozen or has
    /// its own rate or decay. The total counts weights, not buffers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["parameter", "shape", "numbers", "training"].map(str::to_owned)];
        rows.extend(self.entries.iter().map(|entry| {
            let training = if entry.buffer { "buffer".into() } else { entry.training.to_string() };
            [entry.name.clone(), shape(&entry.shape), entry.len.to_string(), training]
        }));
        let total = format!("{} trained", self.trained_len());
        rows.push(["total".into(), String::new(), self.len().to_string(), total]);
        let special = self.entries.iter().any(|e| e.buffer || e.training != WeightTraining::default());
        let columns = if special { 4 } else { 3 };
        let rows: Vec<&[String]> = rows.iter().map(|row| &row[..columns]).collect();
        f.write_str(&Table { right: 2..3, ..Table::default() }.print(&rows))
    }
}

fn shape(axes: &[usize]) -> String {
    if axes.is_empty() {
        return "scalar".into();
    }
    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
    axes.join(" x ")
}

impl<F: Scalar> fmt::Debug for Params<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entries.iter().map(|entry| {
                let array = ArrayView::from_shape(&entry.shape[..], self.store(entry));
                (&entry.name, array.expect("as many numbers as the shape has"))
            }))
            .finish()
    }
}
