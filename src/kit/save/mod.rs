//! Saving and loading of parameters and training state; needs the feature `io`.
//!
//! A file is in the [safetensors](https://github.com/huggingface/safetensors) format, which Python's
//! `safetensors` opens as well: each weight under its name, in its shape, as `F32` or `F64`.
//!
//! ```no_run
//! use wengert::save::{Reader, Writer};
//! use wengert::{Adam, Optimizer, Params};
//!
//! # fn build() -> Params<f32> { Params::new() }
//! let mut params = build();
//! let mut adam = Adam::new(1e-3);
//! let mut first = 0;
//! if std::fs::exists("run.safetensors")? {
//!     let file = Reader::open("run.safetensors")?;
//!     file.load(&mut params)?;
//!     file.load_optimizer(&mut adam, &params)?;
//!     first = file.note("epoch")?;
//! }
//! for epoch in first..100 {
//!     // ... train, then:
//!     Writer::of(&params).optimizer(&adam).note("epoch", epoch + 1).save("run.safetensors")?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An interrupted run that is resumed in this way takes the steps of an uninterrupted one, bit for bit,
//! if its batches and other random numbers depend only on the seed and the number of the epoch or step, and if all that
//! has a state of its own is saved with it:
//!
//! | state | saved by | resumed by |
//! |---|---|---|
//! | weights, buffers, optimiser | [`Writer::of`], [`optimizer`](Writer::optimizer) | [`Reader::load`], [`load_optimizer`](Reader::load_optimizer) |
//! | [`Ema`](crate::optim::Ema), [`EarlyStopping`](crate::optim::EarlyStopping) | [`vector`](Writer::vector) of `values`, of `weights`; notes | `restore`, `resume` |
//! | [`Schedule`](crate::optim::Schedule) | a note of the step or epoch | `at` |
//! | [`Plateau`](crate::optim::Plateau) | notes of `lr`, `best`, `waited` | its public fields |
//! | [`Batches`](crate::data::Batches) | a note of the epoch | [`skip`](crate::data::Batches::skip) |
//! | [`Mode`](crate::nn::Mode) | a note of [`draws`](crate::nn::Mode::draws), after `update_buffers` | [`train_from`](crate::nn::Mode::train_from) |
//! | [`Accumulator`](crate::optim::Accumulator) | save after a mean, when it is empty | |
//!
//! Files hold seeds and counts, never the state of a generator. The numbers that [`Batches`](crate::data::Batches) and
//! [`Mode`](crate::nn::Mode) draw for them are those of [`ChaCha12Rng`](rand::rngs::ChaCha12Rng), whose stream is fixed.
//!
//! The state of an
//! [update rule](crate::optim::UpdateRule) of your own is saved and resumed like that of a built-in one.
//! Hyper-parameters are not saved: the program that resumes sets them again.
//!
//! A file is replaced as a whole or not at all: the new file is written beside the old one, flushed to the
//! disk and renamed. A program that is killed while it saves leaves the old file, and perhaps a file
//! `.run.safetensors.<process>-<number>.tmp` that nothing reads. The new file has the permissions of the old one and, where
//! the system lets it, the owner. A symbolic link stays, and the file that the link leads to is replaced. A file that
//! nobody may write is not replaced. Pipes and devices are written to as they are. (A second hard link to the old file
//! keeps the old contents.)
//!
//! # The contents of a file
//!
//! | name | |
//! |---|---|
//! | `hidden.w` | a weight, by its name in [`Params`] |
//! | `state/optimizer/first_moment/hidden.w` | a part of the optimiser's state: the first moments of that weight |
//! | `state/ema/hidden.w` | a part of a [vector](Writer::vector) called `ema`: its numbers for that weight or buffer |
//! | metadata `producer` | this crate and its version |
//! | metadata `optimizer`, `optimizer_steps` | the optimiser's name and the number of steps it took |
//! | metadata `crc32` | the check sum of the header, then one for each tensor, in the order of names |
//! | other metadata | [notes](Writer::note) |
//!
//! The same contents give the same bytes.
//!
//! Weights of other programs may also be `F16` or `BF16`, and a model of `f64` also takes `F32`: each such number is one of
//! the model's type, exactly. A type with more digits than the model's is an error.
//!
//! # Files of PyTorch
//!
//! [`Reader::pytorch`] reads what PyTorch wrote by `safetensors.torch.save_file(model.state_dict(), file)`, and
//! [`rename`](Reader::rename) translates names. Without [`pytorch`](Reader::pytorch) a square matrix is loaded untransposed,
//! with wrong results and no error, because its shape cannot show the difference.
//!
//! | layer | PyTorch | here | in the file |
//! |---|---|---|---|
//! | [`Linear`](crate::nn::Linear) | `weight`, `bias` | the same | matrix transposed |
//! | [`RnnCell`](crate::nn::RnnCell), [`Rnn`](crate::nn::Rnn) and the other recurrent ones | `weight_ih`, ..; `weight_ih_l0`, .. | the same | matrices transposed |
//! | [`MultiHeadAttention`](crate::nn::MultiHeadAttention) | `in_proj_weight`, `out_proj.weight`, .. | the same | matrices transposed |
//! | convolutions, [`Embedding`](crate::nn::Embedding), norms | `weight`, `bias`, `running_mean`, `running_var` | the same | the same |
//! | [`BatchNorm`](crate::nn::BatchNorm) | `num_batches_tracked` | | left out |
//! | matrices of your own | | | transposed if added by [`Params::add_linear`] |
//!
//! ```
//! use ndarray::array;
//! use rand::{SeedableRng, rngs::StdRng};
//! use wengert::nn::Linear;
//! use wengert::save::Reader;
//! use wengert::{Params, Tape};
//!
//! let mut params = Params::<f32>::new();
//! let layer = Linear::new(&mut params, "out", 3, 2, &mut StdRng::seed_from_u64(0));
//! // torch.nn.Sequential(torch.nn.Linear(3, 2)) with the weights 1 to 6 and the biases 7 and 8.
//! let file = Reader::open("tests/oracle/torch/linear.safetensors")?;
//! let name = |name: &str| name.strip_prefix("0.").map_or(name.into(), |rest| format!("out.{rest}"));
//! file.pytorch().rename(name)?.load(&mut params)?;
//!
//! let (tape, x) = (Tape::new(), array![[1.0, 0.0, 10.0]]);
//! let p = params.on(&tape);
//! assert_eq!(layer.forward(p, p.constant(&x)).value(), array![[38.0, 72.0]]);
//! # Ok::<(), wengert::save::SaveError>(())
//! ```
//!
//! # Damaged files
//!
//! A file of this crate that is damaged anywhere is refused: each bit stands under a check sum, and a file that names this
//! crate as its producer must have check sums. The sum of the header is that of its bytes and of the eight bytes of its
//! length, with eight zeros (`00000000`) in place of the sum itself. Version 0.1.0 wrote files without a sum of the header
//! before it was published; they are read, their header unchecked. Files of other programs need no check sums.
//!
//! A file that was made to do harm is an error too: no size in it is trusted. Reading takes the memory of the file and, for a
//! moment, up to 64 times that of its header, which the format limits to 100 MB; of ordinary files the header is small. A file
//! holds numbers and text alone: nothing in it can be run, as PyTorch's own files can.

mod atomic;
mod error;
mod read;

pub use error::SaveError;
pub use read::{Partial, Reader};

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::kit::optim::{Optimizer, State};
use crate::number::BaseFloat;
use crate::params::Params;

/// A number type that a file can hold: `f32` or `f64`. Needs the feature `io`.
pub trait Stored: BaseFloat {
    #[doc(hidden)]
    const DTYPE: Dtype;
    #[doc(hidden)]
    fn put(self, bytes: &mut Vec<u8>);
    /// The numbers of a tensor of some type; `None` if they do not fit exactly.
    #[doc(hidden)]
    fn get(bytes: &[u8], dtype: Dtype) -> Option<Vec<Self>>;
}

macro_rules! stored {
    ($($F:ident $dtype:ident [$($From:ident $read:expr),+])+) => { $(
        impl Stored for $F {
            const DTYPE: Dtype = Dtype::$dtype;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
            fn get(bytes: &[u8], dtype: Dtype) -> Option<Vec<Self>> {
                match dtype {
                    $( Dtype::$From => Some(bytes.as_chunks().0.iter().map(|&bytes| $read(bytes).into()).collect()), )+
                    _ => None,
                }
            }
        }
    )+ };
}
stored! {
    f32 F32 [F32 f32::from_le_bytes, F16 from_f16, BF16 from_bf16]
    f64 F64 [F64 f64::from_le_bytes, F32 f32::from_le_bytes, F16 from_f16, BF16 from_bf16]
}

/// A number of half precision (IEEE 754, binary16).
fn from_f16(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let (sign, exponent, fraction) = ((bits & 0x8000) << 16, (bits >> 10) & 0x1f, bits & 0x3ff);
    let size = match exponent {
        0 => (fraction as f32 * 2_f32.powi(-24)).to_bits(),
        0x1f => f32::INFINITY.to_bits() | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | size)
}

/// A number of the type bfloat16: the upper half of an `f32`.
fn from_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// The prefix of the names of tensors that are no weights.
const STATE: &str = "state/";
const OPTIMIZER: &str = "optimizer";
const STEPS: &str = "optimizer_steps";
const PRODUCER: &str = "producer";
const CHECK_SUMS: &str = "crc32";

fn state_name(vector: &str, weight: &str) -> String {
    format!("{STATE}{vector}/{weight}")
}

/// Writes a file of parameters and, if added, of the state that a run needs to be resumed. Needs the feature `io`.
#[derive(Debug)]
pub struct Writer<'a, F: Stored> {
    params: &'a Params<F>,
    /// Vectors of one number for each weight, with their names.
    vectors: Vec<(String, &'a [F])>,
    metadata: BTreeMap<String, String>,
}

impl<'a, F: Stored> Writer<'a, F> {
    /// A writer of the parameters alone.
    ///
    /// # Panics
    ///
    /// If a parameter's name begins with `state/` or is `__metadata__`, which mean something else in a file.
    #[track_caller]
    pub fn of(params: &'a Params<F>) -> Self {
        if let Some(name) = params.names().find(|name| name.starts_with(STATE) || *name == "__metadata__") {
            panic!("Writer: the parameter name {name:?} has another meaning in a file; rename it");
        }
        let producer = concat!("wengert ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { params, vectors: Vec::new(), metadata: BTreeMap::from([(PRODUCER.into(), producer)]) }
    }

    /// Adds an optimiser's name, steps and state.
    ///
    /// # Panics
    ///
    /// If the state and the parameters differ in length.
    #[track_caller]
    #[must_use]
    pub fn optimizer<O: Optimizer<F>>(mut self, optimizer: &'a O) -> Self {
        let state: &State<F> = optimizer.state();
        self.metadata.insert(OPTIMIZER.into(), optimizer.name().into());
        self.metadata.insert(STEPS.into(), state.steps().to_string());
        for (name, vector) in state.vectors().filter(|(_, vector)| !vector.is_empty()) {
            self.push(format!("{OPTIMIZER}/{name}"), vector);
        }
        self
    }

    /// Adds a vector of one number for each weight, or for each number of the [state](Params::state), such as the averages
    /// of an [`Ema`](crate::optim::Ema).
    ///
    /// # Panics
    ///
    /// If the vector is as long as neither, the name has a slash, or another vector has this
    /// name.
    #[track_caller]
    #[must_use]
    pub fn vector(mut self, name: &str, values: &'a [F]) -> Self {
        assert!(!name.contains('/'), "Writer::vector: {name:?} has a slash, which separates parts of names in a file");
        assert!(
            name != OPTIMIZER && !self.vectors.iter().any(|(other, _)| other == name),
            "Writer::vector: there is a vector named {name:?} already"
        );
        self.push(name.into(), values);
        self
    }

    /// Adds a number or text, such as the epoch or the seed, as its `Display` text.
    ///
    /// # Panics
    ///
    /// If another note has this name, or the name is `producer`, `optimizer`, `optimizer_steps` or `crc32`.
    #[track_caller]
    #[must_use]
    pub fn note(mut self, name: &str, value: impl fmt::Display) -> Self {
        let taken = [OPTIMIZER, STEPS, CHECK_SUMS].contains(&name) || self.metadata.contains_key(name);
        assert!(!taken, "Writer::note: there is a note named {name:?} already");
        self.metadata.insert(name.into(), value.to_string());
        self
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; an old file is then intact.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        let path = path.as_ref();
        let bytes = self.to_bytes();
        atomic::write(path, |file| std::io::Write::write_all(file, &bytes))
            .map_err(|source| SaveError::Io { file: path.into(), source })
    }

    /// The bytes that [`save`](Self::save) writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors = BTreeMap::new();
        let mut insert = |name: String, shape: &[usize], numbers: &[F]| {
            let mut bytes = Vec::with_capacity(size_of_val(numbers));
            for x in numbers {
                x.put(&mut bytes);
            }
            let before = tensors.insert(name.clone(), (shape.to_vec(), bytes));
            assert!(before.is_none(), "Writer: two tensors would be named {name:?}");
        };
        for (name, shape, place) in self.params.stored() {
            insert(name.into(), shape, &self.params.state()[place]);
        }
        for (vector, values) in &self.vectors {
            for (name, shape, place) in self.params.stored_in(values.len()) {
                insert(state_name(vector, name), shape, &values[place]);
            }
        }
        let sums = tensors.values().map(|(_, bytes)| sum_text(&[bytes]));
        let sums: Vec<String> = std::iter::once(NO_SUM.to_owned()).chain(sums).collect();
        let mut metadata = self.metadata.clone();
        metadata.insert(CHECK_SUMS.into(), sums.join(" "));
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            let view = TensorView::new(F::DTYPE, shape.clone(), bytes);
            (name, view.expect("as many bytes as the shape has"))
        });
        let bytes = safetensors::serialize(views, None::<HashMap<_, _>>).expect("views of whole tensors");
        with_metadata(&bytes, metadata)
    }

    #[track_caller]
    fn push(&mut self, name: String, values: &'a [F]) {
        let (weights, all) = (self.params.len(), self.params.state().len());
        assert!(
            values.len() == weights || values.len() == all,
            "Writer: {name:?} has {} numbers, the parameters have {weights}{}",
            values.len(),
            if all > weights { format!(", {all} with their buffers") } else { String::new() }
        );
        self.vectors.push((name, values));
    }
}

/// Adds metadata to the header of a file, sorts the header by name (the writer of the crate `safetensors` leaves metadata
/// in the order of a hash map, which differs from run to run) and sets its check sum.
fn with_metadata(bytes: &[u8], metadata: BTreeMap<String, String>) -> Vec<u8> {
    use serde_json::{Value, from_slice, to_vec};

    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    let (header, data) = rest.split_at(length as usize);
    let mut header: BTreeMap<String, Value> = from_slice(header).expect("the header just written");
    header.insert("__metadata__".into(), metadata.into_iter().collect());
    let mut header = to_vec(&header).expect("a map with text as keys");
    // The data begins at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = [&(header.len() as u64).to_le_bytes(), header.as_slice()].concat();
    let place = place_of_sum(&bytes).expect("the header has check sums");
    let sum = sum_text(&[&bytes]);
    bytes[place].copy_from_slice(sum.as_bytes());
    bytes.extend(data);
    bytes
}

/// Stands for the check sum of the header while that is computed.
const NO_SUM: &str = "00000000";

/// The place of the header's check sum in the header. (In a name or a note the quotes would be escaped.)
fn place_of_sum(header: &[u8]) -> Option<std::ops::Range<usize>> {
    let key = format!("\"{CHECK_SUMS}\":\"");
    let place = header.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    (place + NO_SUM.len() <= header.len()).then_some(place..place + NO_SUM.len())
}

/// The CRC-32 of some bytes, as text.
fn sum_text(parts: &[&[u8]]) -> String {
    let mut crc = flate2::Crc::new();
    for part in parts {
        crc.update(part);
    }
    format!("{:08x}", crc.sum())
}

impl<F: Stored> Params<F> {
    /// Saves the weights and buffers in a safetensors file, atomically; needs the feature `io`.
    ///
    /// A [`Writer`](crate::save::Writer) saves an optimiser's state and more with them.
    ///
    /// ```
    /// let mut params = wengert::Params::new();
    /// params.add("w", ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    /// # let folder = std::env::temp_dir().join(format!("wengert-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let file = folder.join("model.safetensors");
    /// params.save(&file)?;
    ///
    /// params.values_mut().fill(0.0);
    /// params.load(&file)?;
    /// assert_eq!(params.values(), [1.0, 2.0, 3.0, 4.0]);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file cannot be written; an old one is then intact.
    ///
    /// # Panics
    ///
    /// Same as for [`Writer::of`](crate::save::Writer::of).
    #[track_caller]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        Writer::of(self).save(path)
    }

    /// Loads all weights and buffers from a safetensors file; needs the feature `io`.
    ///
    /// # Errors
    ///
    /// Same as for [`Reader::open`](crate::save::Reader::open) and
    /// [`Reader::load`](crate::save::Reader::load); the weights do not change then.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        Reader::open(path)?.load(self)
    }
}
