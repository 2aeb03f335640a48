//! Derivatives by differences, for tests of more than one topic.

/// The derivative of `f` at `x` and how far to trust it: central differences over a halving step,
/// extrapolated to step 0 (Richardson; Ridders 1982 chooses the best entry of the tableau).
pub(crate) fn difference(f: impl Fn(f64) -> f64, x: f64, step: f64) -> (f64, f64) {
    let (mut best, mut trust) = (f64::NAN, f64::INFINITY);
    let mut above: Vec<f64> = Vec::new();
    let mut h = step;
    for _ in 0..6 {
        let (right, left) = (x + h, x - h);
        let mut row = vec![(f(right) - f(left)) / (right - left)];
        let mut power = 1.0;
        for &coarser in &above {
            power *= 4.0;
            let finer = *row.last().expect("the row starts with one entry");
            let extrapolated = finer + (finer - coarser) / (power - 1.0);
            let error = (extrapolated - finer).abs().max((extrapolated - coarser).abs());
            if error <= trust {
                (best, trust) = (extrapolated, error);
            }
            row.push(extrapolated);
        }
        above = row;
        h /= 2.0;
    }
    (best, trust)
}

/// What the rounding of values near `y` does to their difference: the last step is `step`/32.
pub(crate) fn noise(y: f64, step: f64) -> f64 {
    128.0 * f64::EPSILON * (1.0 + y.abs()) / step
}
