//! Derivatives by differences.

/// The derivative of `f` at `x`, and an estimate of its error: central differences over a step that halves,
/// extrapolated to step 0 (Richardson); the best entry of the tableau is chosen as in Ridders 1982.
pub(crate) fn difference(f: impl Fn(f64) -> f64, x: f64, step: f64) -> (f64, f64) {
    let (mut best, mut least) = (f64::NAN, f64::INFINITY);
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
            if error <= least {
                (best, least) = (extrapolated, error);
            }
            row.push(extrapolated);
        }
        above = row;
        h /= 2.0;
    }
    (best, least)
}

/// The error that rounding of values near `y` adds to [`difference`], whose last step is `step`/32.
pub(crate) fn noise(y: f64, step: f64) -> f64 {
    128.0 * f64::EPSILON * (1.0 + y.abs()) / step
}

/// The partial derivative of `f` by `x[i]`: one central difference, for functions of size about 1.
pub(crate) fn partial(x: &[f64], i: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    let h = 1e-5;
    let mut moved = x.to_vec();
    moved[i] = x[i] + h;
    let up = f(&moved);
    moved[i] = x[i] - h;
    (up - f(&moved)) / (2.0 * h)
}
