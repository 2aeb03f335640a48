//! [`Reader`]: a file in memory, checked to be whole.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

use ndarray::ArrayD;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{CHECK_SUMS, NO_SUM, OPTIMIZER, PRODUCER, STATE, STEPS, SaveError, Stored};
use super::{place_of_sum, state_name, sum_text};
use crate::kit::optim::Optimizer;
use crate::params::Params;

/// A safetensors file, read into memory and checked to be whole. Needs the feature `io`.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    /// The place in `bytes` where the numbers of the tensors begin.
    data: usize,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
    /// True if the matrices of linear maps stand transposed.
    pytorch: bool,
}

/// The outcome of [`Reader::load_partial`]. Needs the feature `io`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// The parameters that were loaded.
    pub loaded: Vec<String>,
    /// The parameters that the file does not have.
    pub missing: Vec<String>,
    /// The tensors in the file that are no parameters.
    pub unexpected: Vec<String>,
}

impl Reader {
    /// Reads a file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is truncated or is not a safetensors file, a name occurs twice in its header, or a check
    /// sum is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SaveError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| SaveError::Io { file: path.into(), source })?;
        Self::from_bytes(bytes).map_err(|error| error.in_file(path))
    }

    /// Takes the bytes of a file and checks that they are whole.
    ///
    /// # Errors
    ///
    /// Same as for [`open`](Self::open), except that nothing is read.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SaveError> {
        let (data, metadata) = header(&bytes)?;
        let format = |reason| Err(SaveError::Format { file: None, reason });
        if let Some(name) = duplicate_name(&bytes[8..data]) {
            return format(format!("the name {name:?} occurs twice in its header"));
        }
        let tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = metadata.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let saved = Self { bytes, data, tensors, metadata, pytorch: false };
        if !saved.is_whole()? {
            return format("its header is damaged: its check sum is another".into());
        }
        Ok(saved)
    }

    /// Takes the file for one of PyTorch: the matrices of linear layers, recurrent cells and attention stand transposed in
    /// it, and `num_batches_tracked` of batch norms is left out. See [`save`](crate::save) for names and an example. Weights of
    /// a file that this crate wrote are then not loaded: their matrices stand as they are.
    #[must_use]
    pub fn pytorch(mut self) -> Self {
        self.tensors.retain(|name, _| name.rsplit('.').next() != Some("num_batches_tracked"));
        Self { pytorch: true, ..self }
    }

    /// Gives the weights and buffers new names, those of the parameters into which they are loaded.
    ///
    /// # Errors
    ///
    /// If two of them get the same name.
    pub fn rename(mut self, name: impl Fn(&str) -> String) -> Result<Self, SaveError> {
        let mut renamed = BTreeMap::new();
        for (old, info) in std::mem::take(&mut self.tensors) {
            let new = if old.starts_with(STATE) { old } else { name(&old) };
            if renamed.contains_key(&new) {
                let reason = format!("two of its tensors are renamed to {new:?}");
                return Err(SaveError::Format { file: None, reason });
            }
            renamed.insert(new, info);
        }
        Ok(Self { tensors: renamed, ..self })
    }

    /// The names of the weights and buffers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str).filter(|name| !name.starts_with(STATE))
    }

    /// All metadata, as text.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The [note](super::Writer::note) of this name.
    ///
    /// # Errors
    ///
    /// If there is no such note, or its text cannot be parsed as a `T`.
    pub fn note<T: FromStr>(&self, name: &str) -> Result<T, SaveError> {
        let found = self.metadata.get(name);
        found.and_then(|text| text.parse().ok()).ok_or_else(|| SaveError::Note {
            name: name.into(),
            wanted: std::any::type_name::<T>(),
            found: found.cloned(),
        })
    }

    /// Loads all weights and buffers.
    ///
    /// # Errors
    ///
    /// If the names in the file differ from those of the parameters, a shape or type differs, or the file was taken for one
    /// of [PyTorch](Self::pytorch) and this crate wrote it; the weights do not change then.
    pub fn load<F: Stored>(&self, params: &mut Params<F>) -> Result<(), SaveError> {
        let Partial { missing, unexpected, .. } = self.compare(params);
        if !(missing.is_empty() && unexpected.is_empty()) {
            return Err(SaveError::Names { missing, unexpected });
        }
        self.load_partial(params).map(drop)
    }

    /// Loads the weights that the file and the parameters have in common, as into a model with a new head, and
    /// lists them.
    ///
    /// # Errors
    ///
    /// If a shape or type differs, or the file was taken for one of [PyTorch](Self::pytorch) and this crate wrote it; the
    /// weights do not change then.
    pub fn load_partial<F: Stored>(&self, params: &mut Params<F>) -> Result<Partial, SaveError> {
        if let (true, Some(producer)) = (self.pytorch, self.own_producer()) {
            return Err(SaveError::NotPyTorch { producer: producer.into() });
        }
        let partial = self.compare(params);
        let numbers = params.stored().zip(params.transposed()).map(|((name, shape, _place), transposed)| {
            let load =
                || if self.pytorch && transposed { self.transposed(name, shape) } else { self.numbers(name, shape) };
            self.tensors.contains_key(name).then(load).transpose()
        });
        let numbers = numbers.collect::<Result<_, _>>()?;
        params.restore(numbers);
        Ok(partial)
    }

    /// Restores an optimiser's number of steps and state vectors. The weights may stand in another order in
    /// `params` than in the parameters that were saved.
    ///
    /// # Errors
    ///
    /// If the file has the state of another optimiser or none, or for more or fewer weights or state vectors; the
    /// optimiser's state does not change then.
    pub fn load_optimizer<F: Stored, O: Optimizer<F>>(
        &self,
        optimizer: &mut O,
        params: &Params<F>,
    ) -> Result<(), SaveError> {
        let found = self.metadata.get(OPTIMIZER);
        if found.is_none_or(|found| found != optimizer.name()) {
            return Err(SaveError::Optimizer { expected: optimizer.name(), found: found.cloned() });
        }
        let steps = self.note(STEPS)?;
        let names: Vec<String> =
            optimizer.state().vectors().map(|(name, _)| state_name(&format!("{OPTIMIZER}/{name}"), "")).collect();
        let unexpected = self.tensors.keys().filter(|name| name.starts_with(&state_name(OPTIMIZER, "")));
        let unexpected = unexpected.filter(|name| !names.iter().any(|prefix| name.starts_with(prefix)));
        let unexpected: Vec<String> = unexpected.cloned().collect();
        if !unexpected.is_empty() {
            return Err(SaveError::Names { missing: Vec::new(), unexpected });
        }
        let vectors = names.iter().map(|prefix| {
            // No step had used a vector without numbers when the file was saved.
            let used = self.tensors.keys().any(|name| name.starts_with(prefix));
            if used { self.numbers_of(prefix, params, params.len()) } else { Ok(Vec::new()) }
        });
        let vectors = vectors.collect::<Result<_, _>>()?;
        optimizer.state_mut().restore(steps, vectors);
        optimizer.state_mut().adopt(params);
        Ok(())
    }

    /// The [vector](super::Writer::vector) of this name: in the order of [`Params::state`] if it has numbers for buffers,
    /// else in that of [`Params::values`].
    ///
    /// # Errors
    ///
    /// If the file has no such vector, or one for more or fewer parameters.
    pub fn vector<F: Stored>(&self, name: &str, params: &Params<F>) -> Result<Vec<F>, SaveError> {
        let (prefix, all) = (state_name(name, ""), params.state().len());
        let is_weight: HashSet<&str> = params.iter().map(|weight| weight.name).collect();
        let mut buffers = params.names().filter(|name| !is_weight.contains(name));
        let whole = buffers.any(|buffer| self.tensors.contains_key(&format!("{prefix}{buffer}")));
        self.numbers_of(&prefix, params, if whole { all } else { params.len() })
    }

    /// A vector of `len` numbers, from the tensors whose names have a prefix.
    fn numbers_of<F: Stored>(&self, prefix: &str, params: &Params<F>, len: usize) -> Result<Vec<F>, SaveError> {
        let found: BTreeMap<&str, &TensorInfo> =
            self.tensors.iter().filter_map(|(name, info)| Some((name.strip_prefix(prefix)?, info))).collect();
        let wanted: HashSet<&str> = params.stored_in(len).map(|(name, ..)| name).collect();
        let full = |name: &str| format!("{prefix}{name}");
        let missing: Vec<_> = wanted.iter().filter(|name| !found.contains_key(**name)).map(|name| full(name)).collect();
        let unexpected: Vec<_> = found.keys().filter(|name| !wanted.contains(**name)).map(|name| full(name)).collect();
        if !(missing.is_empty() && unexpected.is_empty()) {
            return Err(SaveError::Names { missing, unexpected });
        }
        let mut values = vec![F::zero(); len];
        for (name, shape, place) in params.stored_in(len) {
            values[place].copy_from_slice(&self.numbers(&full(name), shape)?);
        }
        Ok(values)
    }

    fn compare<F: Stored>(&self, params: &Params<F>) -> Partial {
        let (loaded, missing) =
            params.names().map(Into::into).partition(|name: &String| self.tensors.contains_key(name));
        let own: HashSet<&str> = params.names().collect();
        let unexpected = self.names().filter(|name| !own.contains(name)).map(Into::into).collect();
        Partial { loaded, missing, unexpected }
    }

    /// A tensor's numbers, if its shape and type are the expected ones.
    fn numbers<F: Stored>(&self, tensor: &str, expected: &[usize]) -> Result<Vec<F>, SaveError> {
        let Some(info) = self.tensors.get(tensor) else {
            return Err(SaveError::Names { missing: vec![tensor.into()], unexpected: Vec::new() });
        };
        if info.shape != expected {
            let (expected, found) = (expected.to_vec(), info.shape.clone());
            return Err(SaveError::Shape { tensor: tensor.into(), expected, found });
        }
        F::get(self.bytes(info), info.dtype).ok_or_else(|| {
            let [expected, found] = [F::DTYPE, info.dtype].map(|dtype| dtype.to_string());
            SaveError::Dtype { tensor: tensor.into(), expected, found }
        })
    }

    /// Same as [`numbers`](Self::numbers), for a matrix that stands transposed.
    fn transposed<F: Stored>(&self, tensor: &str, expected: &[usize]) -> Result<Vec<F>, SaveError> {
        let shape: Vec<usize> = expected.iter().rev().copied().collect();
        let numbers = ArrayD::from_shape_vec(shape.clone(), self.numbers(tensor, &shape)?);
        Ok(numbers.expect("as many numbers as the shape has").t().iter().copied().collect())
    }

    /// The producer, if this crate wrote the file.
    fn own_producer(&self) -> Option<&str> {
        self.metadata.get(PRODUCER).map(String::as_str).filter(|producer| producer.starts_with("wengert "))
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        &self.bytes[self.data..][info.data_offsets.0..info.data_offsets.1]
    }

    /// Compares the check sums with the contents: fails for a tensor, returns false for the header. A file of another program
    /// may have no sums.
    fn is_whole(&self) -> Result<bool, SaveError> {
        let header = &self.bytes[..self.data];
        let Some(text) = self.metadata.get(CHECK_SUMS) else {
            // A damaged name of the sums leaves that of the producer.
            return Ok(self.own_producer().is_none());
        };
        let mut sums: Vec<&str> = text.split(' ').filter(|_| !text.is_empty()).collect();
        // Files of the first version have none of the header.
        if sums.len() != self.tensors.len() {
            let whole = place_of_sum(header).is_some_and(|place| {
                sum_text(&[&header[..place.start], NO_SUM.as_bytes(), &header[place.end..]]).as_bytes()
                    == &header[place]
            });
            if !whole {
                return Ok(false);
            }
            sums.remove(0);
        }
        for (sum, (name, info)) in sums.iter().zip(&self.tensors) {
            if *sum != sum_text(&[self.bytes(info)]) {
                return Err(SaveError::Corrupt { file: None, tensor: name.clone() });
            }
        }
        Ok(sums.len() == self.tensors.len())
    }
}

/// The first name that occurs twice in one object of valid JSON. (The parser would take the last of them.)
fn duplicate_name(json: &[u8]) -> Option<String> {
    let mut objects: Vec<HashSet<String>> = Vec::new();
    let mut place = 0;
    while let Some(&byte) = json.get(place) {
        let start = place;
        place += 1;
        match byte {
            b'{' => objects.push(HashSet::new()),
            b'}' => drop(objects.pop()),
            b'"' => {
                while *json.get(place)? != b'"' {
                    place += if json[place] == b'\\' { 2 } else { 1 };
                }
                place += 1;
                let is_name = json[place..].trim_ascii_start().starts_with(b":");
                if let (true, Some(names)) = (is_name, objects.last_mut()) {
                    let name: String = serde_json::from_slice(&json[start..place]).ok()?;
                    if !names.insert(name.clone()) {
                        return Some(name);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// The header of a file, and the place where the data begin; they are as long as the header says.
///
/// The reader of the crate `safetensors` adds lengths up without a look at overflow.
fn header(bytes: &[u8]) -> Result<(usize, Metadata), SaveError> {
    /// The greatest length that the crate `safetensors` takes.
    const LIMIT: u64 = 100_000_000;

    let found = bytes.len() as u64;
    let truncated = |tensor, expected| SaveError::Truncated { file: None, tensor, expected, found };
    let format = |reason| SaveError::Format { file: None, reason };
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| truncated(None, 8))?;
    let length = u64::from_le_bytes(*length);
    if length > LIMIT {
        return Err(format(format!("its header would have {length} bytes, more than {LIMIT}")));
    }
    let start = 8 + length as usize;
    let Some((header, data)) = rest.split_at_checked(length as usize) else {
        return Err(truncated(None, start as u64));
    };
    let metadata: Metadata = serde_json::from_slice(header).map_err(|error| format(format!("its header: {error}")))?;
    let whole = metadata.data_len();
    if whole < data.len() {
        return Err(format(format!("{} bytes follow the last tensor", data.len() - whole)));
    }
    if whole > data.len() {
        let is_cut = |name: &String| metadata.info(name).is_some_and(|info| info.data_offsets.1 > data.len());
        // The names in the order of their data.
        let cut = metadata.offset_keys().into_iter().find(is_cut);
        return Err(truncated(cut, (start as u64).saturating_add(whole as u64)));
    }
    Ok((start, metadata))
}
