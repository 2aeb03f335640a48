//! [`Progress`]: a bar in the terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar with loss, learning rate, speed and time left, on the standard error stream. Nothing is drawn if that
/// stream is not a terminal. Needs the feature `watch`.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `len` steps; `unit` names a step, such as `"epoch"`.
    pub fn new(unit: &str, len: u64) -> Self {
        let unit = unit.replace(['{', '}'], "");
        let template = format!("{{bar:30}} {unit} {{pos}} of {{len}}  {{msg}}  {{per_sec}}  {{eta}} left");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::new(len).with_style(style) }
    }

    /// Advances the bar by one step and shows the step's loss and learning rate.
    pub fn step(&self, loss: f64, lr: f64) {
        self.bar.set_message(format!("loss {loss:.4}  lr {lr:.1e}"));
        self.bar.inc(1);
    }

    /// Prints a line on the standard output, above the bar.
    pub fn println(&self, line: impl AsRef<str>) {
        self.bar.suspend(|| println!("{}", line.as_ref()));
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
