//! [`SaveError`].

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

/// The reason why parameters or training state could not be saved or loaded. Needs the feature `io`.
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveError {
    /// The file could not be written or read.
    #[non_exhaustive]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is shorter than its header says.
    #[non_exhaustive]
    Truncated {
        /// The file; `None` for bytes in memory.
        file: Option<PathBuf>,
        /// The first incomplete tensor; `None` if the file ends in its header.
        tensor: Option<String>,
        /// The number of bytes that a whole file would have.
        expected: u64,
        /// The number of bytes found.
        found: u64,
    },
    /// The file is not a safetensors file, or its header contradicts itself.
    #[non_exhaustive]
    Format {
        /// The file; `None` for bytes in memory.
        file: Option<PathBuf>,
        /// The fault in the file's format.
        reason: String,
    },
    /// A tensor's bytes do not have the check sum in the file.
    #[non_exhaustive]
    Corrupt {
        /// The file; `None` for bytes in memory.
        file: Option<PathBuf>,
        /// The tensor.
        tensor: String,
    },
    /// The names in the file differ from those of the parameters.
    #[non_exhaustive]
    Names {
        /// The parameters that the file does not have.
        missing: Vec<String>,
        /// The tensors in the file that are no parameters.
        unexpected: Vec<String>,
    },
    /// A tensor and the parameter of its name differ in shape.
    #[non_exhaustive]
    Shape {
        /// The tensor.
        tensor: String,
        /// The parameter's shape.
        expected: Vec<usize>,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// The file was taken for one of PyTorch, by [`Reader::pytorch`](super::Reader::pytorch), and is none.
    #[non_exhaustive]
    NotPyTorch {
        /// The program that wrote the file.
        producer: String,
    },
    /// A tensor and the parameters differ in number type.
    #[non_exhaustive]
    Dtype {
        /// The tensor.
        tensor: String,
        /// The parameters' type.
        expected: String,
        /// The tensor's type.
        found: String,
    },
    /// The file has the state of another optimiser, or no optimiser's state.
    #[non_exhaustive]
    Optimizer {
        /// The name of the optimiser to be restored.
        expected: &'static str,
        /// The name in the file; `None` if there is no state.
        found: Option<String>,
    },
    /// A note is not in the file, or its text cannot be parsed as the type asked for.
    #[non_exhaustive]
    Note {
        /// The note's name.
        name: String,
        /// The type asked for.
        wanted: &'static str,
        /// The note's text; `None` if there is no such note.
        found: Option<String>,
    },
}

impl SaveError {
    pub(super) fn in_file(mut self, path: &std::path::Path) -> Self {
        if let Self::Truncated { file, .. } | Self::Format { file, .. } | Self::Corrupt { file, .. } = &mut self {
            *file = Some(path.into());
        }
        self
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Truncated { file: Some(file), .. }
        | Self::Format { file: Some(file), .. }
        | Self::Corrupt { file: Some(file), .. }
        | Self::Io { file, .. } = self
        {
            write!(f, "{}: ", file.display())?;
        }
        match self {
            Self::Io { source, .. } => write!(f, "{source}"),
            Self::Truncated { tensor, expected, found, .. } => {
                let place = tensor.as_ref().map_or("its header".into(), |name| format!("tensor {name:?}"));
                write!(f, "the file ends within {place}: expected {expected} bytes, found {found}")
            }
            Self::Format { reason, .. } => write!(f, "not a valid safetensors file: {reason}"),
            Self::Corrupt { tensor, .. } => write!(f, "tensor {tensor:?} is corrupt: its check sum is another"),
            Self::Names { missing, unexpected } => {
                let list = |names: &[String]| if names.is_empty() { "none".into() } else { names.join(", ") };
                write!(
                    f,
                    "the names in the file are not those of the parameters: missing {}; unexpected {}",
                    list(missing),
                    list(unexpected)
                )
            }
            Self::Shape { tensor, expected, found } => {
                write!(f, "tensor {tensor:?} has shape {found:?}, the parameter has {expected:?}")
            }
            Self::NotPyTorch { producer } => write!(
                f,
                "the file was written by {producer}, not by PyTorch, so its matrices are not transposed; load it without \
                 `Reader::pytorch`"
            ),
            Self::Dtype { tensor, expected, found } => {
                write!(f, "tensor {tensor:?} has type {found}, the parameter has {expected}")
            }
            Self::Optimizer { expected, found: Some(found) } => {
                write!(f, "the file has the state of {found}, not of {expected}")
            }
            Self::Optimizer { expected, found: None } => {
                write!(f, "the file has no optimizer's state, so none for {expected}")
            }
            Self::Note { name, wanted, found: Some(found) } => write!(f, "the note {name:?} is {found:?}, no {wanted}"),
            Self::Note { name, found: None, .. } => write!(f, "the file has no note {name:?}"),
        }
    }
}

impl Error for SaveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
