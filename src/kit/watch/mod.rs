//! Watching a training: progress bars, histories and charts; needs the feature `watch`.
//!
//! | file | content |
//! |---|---|
//! | `progress.rs` | [`Progress`]: a bar in the terminal |
//! | `history.rs` | [`History`]: named curves of numbers |
//! | `chart.rs` | [`Chart`]: lines and dots as PNG or SVG |
//!
//! ```no_run
//! use wengert::watch::{History, Progress};
//!
//! let mut history = History::new();
//! let progress = Progress::new("epoch", 40);
//! for epoch in 0..40 {
//!     let (loss, accuracy) = (0.1, 0.97); // ... of an epoch of training
//!     history.push("loss", loss);
//!     history.push("accuracy", accuracy);
//!     progress.step(loss, 1e-3);
//! }
//! progress.finish();
//! history.chart("Training", "epoch").save("training.svg")?;
//! # Ok::<(), wengert::watch::ChartError>(())
//! ```

mod chart;
mod history;
mod progress;

pub use chart::{COLOURS, Chart, ChartError};
pub use history::History;
pub use progress::Progress;
