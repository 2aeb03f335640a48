//! ndarray: products and sums of arrays of numbers.

use ndarray::{Array1, Array2, LinalgScalar, ScalarOperand, s};
use num_traits::FromPrimitive;

use crate::harness::{Comparison, case, numbers};

fn products<T: LinalgScalar + ScalarOperand + FromPrimitive>(x: &[T]) -> T {
    let a = Array2::from_shape_vec((4, 3), x[..12].to_vec()).unwrap();
    let b = Array2::from_shape_vec((3, 4), x[12..24].to_vec()).unwrap();
    let v = Array1::from(x[24..28].to_vec());
    let product = a.dot(&b);
    let vector = product.dot(&v) + v.dot(&product) * x[0];
    let slice = product.slice(s![1.., ..;2]).t().to_owned();
    vector.dot(&v) + slice.dot(&product.slice(s![..3, 1..])).sum() + a.mean().unwrap_or(x[1]) / b[[0, 1]]
}

pub(crate) fn dots() -> Vec<Comparison> {
    vec![case!(products).at(&numbers(28), 1e-9)]
}

#[test]
fn products_of_arrays() {
    dots().iter().for_each(|case| _ = case.check());
}
