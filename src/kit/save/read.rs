//! [`Saved`]: a file that was read and found whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use safetensors::tensor::{Metadata, SafeTensorError, SafeTensors, TensorInfo};

use super::{CHECK_SUMS, OPTIMIZER, STATE, STEPS, SaveError, Stored, check_sum, state_name};
use crate::kit::optim::Optimizer;
use crate::params::Params;

/// A safetensors file in memory, checked as a whole.
#[derive(Clone, Debug)]
pub struct Saved {
    data: Vec<u8>,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

/// What [`Saved::load_partial`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// The parameters that were loaded.
    pub loaded: Vec<String>,
    /// Parameters that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that are no parameters.
    pub unexpected: Vec<String>,
}

impl Saved {
    /// Reads a file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is truncated, is no safetensors file, or a tensor's check sum is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SaveError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| SaveError::Io { file: path.into(), source })?;
        Self::from_bytes(bytes).map_err(|error| error.in_file(path))
    }

    /// Checks the bytes of a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, SaveError> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| explain(&error, &bytes))?;
        let tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = metadata.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let saved = Self { data: bytes.split_off(8 + header), tensors, metadata };
        saved.check_sums()?;
        Ok(saved)
    }

    /// The names of the weights and buffers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str).filter(|name| !name.starts_with(STATE))
    }

    /// All metadata, as text.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// A [note](super::Checkpoint::note).
    ///
    /// # Errors
    ///
    /// If there is none of this name, or it is no `T`.
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
    /// If the file's names are not those of the parameters, or a shape or type differs; the weights
    /// are then as they were.
    pub fn load<F: Stored>(&self, params: &mut Params<F>) -> Result<(), SaveError> {
        let Partial { missing, unexpected, .. } = self.compare(params);
        if !(missing.is_empty() && unexpected.is_empty()) {
            return Err(SaveError::Names { missing, unexpected });
        }
        self.load_partial(params).map(drop)
    }

    /// Loads the weights whose names are in both, as into a model with a new head, and tells which.
    ///
    /// # Errors
    ///
    /// If a shape or type differs; the weights are then as they were.
    pub fn load_partial<F: Stored>(&self, params: &mut Params<F>) -> Result<Partial, SaveError> {
        let partial = self.compare(params);
        let numbers = params.stored().map(|(name, shape, _)| {
            let found = self.tensors.contains_key(name).then(|| self.numbers(name, shape));
            found.transpose()
        });
        let numbers = numbers.collect::<Result<_, _>>()?;
        params.restore(numbers);
        Ok(partial)
    }

    /// Restores an optimiser's steps and state for parameters whose weights may be ordered anew.
    ///
    /// # Errors
    ///
    /// If the file has the state of another optimiser or none, or not of these parameters; the
    /// state is then as it was.
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
        let vectors = optimizer.state().vectors().map(|(name, _)| {
            let vector = format!("{OPTIMIZER}/{name}");
            // It was not used yet.
            let prefix = state_name(&vector, "");
            if !self.tensors.keys().any(|name| name.starts_with(&prefix)) {
                return Ok(Vec::new());
            }
            self.vector(&vector, params)
        });
        let vectors = vectors.collect::<Result<_, _>>()?;
        optimizer.state_mut().restore(steps, vectors);
        Ok(())
    }

    /// A [vector](super::Checkpoint::vector) of one number a parameter.
    ///
    /// # Errors
    ///
    /// If there is none of this name for these parameters.
    pub fn vector<F: Stored>(&self, name: &str, params: &Params<F>) -> Result<Vec<F>, SaveError> {
        let mut values = vec![F::zero(); params.len()];
        for weight in params.iter() {
            values[weight.range].copy_from_slice(&self.numbers(&state_name(name, weight.name), weight.shape)?);
        }
        Ok(values)
    }

    fn compare<F: Stored>(&self, params: &Params<F>) -> Partial {
        let (loaded, missing) =
            params.names().map(Into::into).partition(|name: &String| self.tensors.contains_key(name));
        let is_param = |name: &str| params.names().any(|own| own == name);
        let unexpected = self.names().filter(|name| !is_param(name)).map(Into::into).collect();
        Partial { loaded, missing, unexpected }
    }

    /// A tensor's numbers, if it is what is expected.
    fn numbers<F: Stored>(&self, tensor: &str, expected: &[usize]) -> Result<Vec<F>, SaveError> {
        let Some(info) = self.tensors.get(tensor) else {
            return Err(SaveError::Names { missing: vec![tensor.into()], unexpected: Vec::new() });
        };
        if info.dtype != F::DTYPE {
            let [expected, found] = [F::DTYPE, info.dtype].map(|dtype| dtype.to_string());
            return Err(SaveError::Dtype { tensor: tensor.into(), expected, found });
        }
        if info.shape != expected {
            let (expected, found) = (expected.to_vec(), info.shape.clone());
            return Err(SaveError::Shape { tensor: tensor.into(), expected, found });
        }
        Ok(F::get(self.bytes(info)))
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        &self.data[info.data_offsets.0..info.data_offsets.1]
    }

    /// Compares the check sums, if the file has some.
    fn check_sums(&self) -> Result<(), SaveError> {
        let Some(sums) = self.metadata.get(CHECK_SUMS) else {
            return Ok(());
        };
        let mut sums = sums.split(' ');
        for (name, info) in &self.tensors {
            let sum = format!("{:08x}", check_sum(self.bytes(info)));
            if sums.next() != Some(&sum) {
                return Err(SaveError::Corrupt { file: None, tensor: name.clone() });
            }
        }
        Ok(())
    }
}

/// Why the bytes are no file: where they end, if too early, else what the format's reader says.
fn explain(error: &SafeTensorError, bytes: &[u8]) -> SaveError {
    let found = bytes.len() as u64;
    let truncated = |tensor, expected| SaveError::Truncated { file: None, tensor, expected, found };
    let format = || SaveError::Format { file: None, reason: error.to_string() };
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return truncated(None, 8);
    };
    let length = u64::from_le_bytes(*length);
    match error {
        SafeTensorError::InvalidHeaderLength => truncated(None, length.saturating_add(8)),
        SafeTensorError::MetadataIncompleteBuffer => {
            let (header, data) = rest.split_at(length as usize);
            let Ok(metadata) = serde_json::from_slice::<Metadata>(header) else {
                return format();
            };
            // In the order of their data.
            let names = metadata.offset_keys();
            let end = |name: &String| metadata.info(name).map_or(0, |info| info.data_offsets.1);
            match names.iter().find(|name| end(name) > data.len()) {
                Some(cut) => {
                    let whole = names.last().map_or(0, end) as u64;
                    truncated(Some(cut.clone()), 8 + length + whole)
                }
                None => SaveError::Format {
                    file: None,
                    reason: format!("{} bytes follow the last tensor", data.len() - names.last().map_or(0, end)),
                },
            }
        }
        _ => format(),
    }
}
