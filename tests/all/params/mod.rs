//! Parameters of a model.

mod checkpoint;
mod group;
mod on;
mod samples;
mod store;
mod words;

use ndarray::{Ix1, Ix2, array};
use wengert::{Param, Params};

/// Parameters `w`, a matrix, and `b`, a vector.
fn model() -> (Params<f64>, Param<Ix2>, Param<Ix1>) {
    let mut params = Params::new();
    let w = params.add("w", array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let b = params.add("b", array![0.5, -0.5, 0.25]);
    (params, w, b)
}
