//! [`SaveError`].

use std::error::Error;
use std::path::PathBuf;
use std::{fmt, io};

/// Why something could not be saved or loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveError {
    /// The file could not be written or read.
    #[non_exhaustive]
    Io {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The file ends too early.
    #[non_exhaustive]
    Truncated {
        /// The file, if it was one.
        file: Option<PathBuf>,
        /// The first tensor that is not there as a whole; none if it ends in the header.
        tensor: Option<String>,
        /// How many bytes there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The file is no safetensors file, or its header contradicts itself.
    #[non_exhaustive]
    Format {
        /// The file, if it was one.
        file: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor's numbers are not those that were written.
    #[non_exhaustive]
    Corrupt {
        /// The file, if it was one.
        file: Option<PathBuf>,
        /// The tensor.
        tensor: String,
    },
    /// The file's names are not those of the parameters.
    #[non_exhaustive]
    Names {
        /// Parameters that the file does not have.
        missing: Vec<String>,
        /// Tensors of the file that are no parameters.
        unexpected: Vec<String>,
    },
    /// A tensor has another shape than the parameter.
    #[non_exhaustive]
    Shape {
        /// The tensor.
        tensor: String,
        /// The parameter's shape.
        expected: Vec<usize>,
        /// The tensor's.
        found: Vec<usize>,
    },
    /// A tensor has another type than the parameters.
    #[non_exhaustive]
    Dtype {
        /// The tensor.
        tensor: String,
        /// The parameters' type.
        expected: String,
        /// The tensor's.
        found: String,
    },
    /// The state is of another optimiser, or there is none.
    #[non_exhaustive]
    Optimizer {
        /// The one to be restored.
        expected: &'static str,
        /// The one in the file.
        found: Option<String>,
    },
    /// There is no such note, or it is no value of the type it is wanted in.
    #[non_exhaustive]
    Note {
        /// The note.
        name: String,
        /// The type.
        wanted: &'static str,
        /// The note's text, if there is one.
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
