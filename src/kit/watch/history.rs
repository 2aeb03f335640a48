//! [`History`]: named curves of numbers.

use super::Chart;

/// The record of a training: named curves of numbers. Needs the feature `watch`.
///
/// ```
/// let mut history = wengert::watch::History::new();
/// for epoch in 0..3 {
///     history.push("train loss", 1.0 / (1.0 + f64::from(epoch)));
///     history.push("test loss", 1.0);
/// }
/// assert_eq!(history.get("train loss").unwrap(), [1.0, 0.5, 1.0 / 3.0]);
/// assert_eq!(history.last("test loss"), Some(1.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    curves: Vec<(String, Vec<f64>)>,
}

impl History {
    /// A history without curves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a number to a curve; the first number creates the curve.
    pub fn push(&mut self, curve: &str, value: f64) {
        match self.curves.iter_mut().find(|(name, _)| name == curve) {
            Some((_, values)) => values.push(value),
            None => self.curves.push((curve.into(), vec![value])),
        }
    }

    /// The numbers of a curve; `None` if there is no such curve.
    pub fn get(&self, curve: &str) -> Option<&[f64]> {
        self.curves.iter().find(|(name, _)| name == curve).map(|(_, values)| values.as_slice())
    }

    /// The last number of a curve; `None` if there is no such curve.
    pub fn last(&self, curve: &str) -> Option<f64> {
        self.get(curve)?.last().copied()
    }

    /// A chart of all curves; the horizontal axis counts their numbers from 1.
    pub fn chart(&self, title: &str, x_label: &str) -> Chart {
        let chart = Chart::new(title).x_label(x_label);
        self.curves.iter().fold(chart, |chart, (name, values)| {
            chart.line(name, values.iter().enumerate().map(|(i, &y)| ((i + 1) as f64, y)))
        })
    }
}
