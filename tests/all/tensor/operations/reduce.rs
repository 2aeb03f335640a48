//! Reductions and normalisations, of all elements and along an axis.

use super::*;

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn var(x: &[f64], ddof: f64) -> f64 {
    x.iter().map(|y| (y - mean(x)).powi(2)).sum::<f64>() / (x.len() as f64 - ddof)
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn log_sum_exp(x: &[f64]) -> f64 {
    x.iter().map(|x| x.exp()).sum::<f64>().ln()
}

fn product(x: &[f64]) -> f64 {
    x.iter().product()
}

const SPREAD: Cases = &[&[&[3]], &[&[2, 3, 2]], &[&[3, 4]], &[&[4, 19]]];
const SHORT: Cases = &[&[&[]], &[&[1]], &[&[0]], &[&[3]], &[&[2, 0, 3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 3, 2]]];
/// Without broadcast operands: all elements along an axis would be equal.
const CONES: &[(Way, &str)] = &[(Way::Repeated, "the distance of equal elements is a kink")];

operations! {
    sum: ONE; |x| x.sum(), value |x| x.sum();
    sum_axis: WITH_AXES; |x| along(x, |axis| x.sum_axis(axis)), value |x| folds(x, |x| x.iter().sum());
    mean_all: FILLED; |x| x.mean(), value |x| mean(&flat(x));
    /// Without the empty fibres, whose mean is NaN.
    mean_axis: FIBERS;
        |x| along(x, |axis| x.mean_axis(axis)).split_off(usize::from(x.is_empty())),
        value |x| folds(x, mean).split_off(usize::from(x.is_empty()));
    product_all: SHORT; |x| x.product(), value |x| x.product();
    product_axis: SHORT; |x| along(x, |axis| x.product_axis(axis)), value |x| folds(x, product);
    /// Factors of 0: the partial of a factor is the product of the others.
    product_with_zeros: &[&[&[3, 4]], &[&[5]]];
        |x| {
            let mask = ArrayD::from_shape_fn(x.dim(), |i| i[i.ndim() - 1] % 3 != 1);
            let x = x.keep_where(&mask, F::zero()) + x * F::lit(0.0);
            (x.product_axis(Axis(0)), x.slice_axis(Axis(x.ndim() - 1), Slice::from(..3)).product())
        };
    max: FILLED, operands: APART; |x| x.max(), value |x| x.iter().copied().fold(f64::NAN, f64::max);
    max_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]], operands: APART;
        |x| along(x, |axis| x.max_axis(axis)), value |x| folds(x, |x| x.iter().copied().fold(f64::NAN, f64::max));
    min: FILLED, operands: APART; |x| x.min(), value |x| x.iter().copied().fold(f64::NAN, f64::min);
    min_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]], operands: APART;
        |x| along(x, |axis| x.min_axis(axis)), value |x| folds(x, |x| x.iter().copied().fold(f64::NAN, f64::min));
    var_all: FILLED; |x| x.var(base::<F>(0.0)), value |x| var(&flat(x), 0.0);
    var_of_a_sample: SPREAD; |x| x.var(base::<F>(1.0)), value |x| var(&flat(x), 1.0);
    var_axis: SPREAD; |x| along(x, |axis| x.var_axis(axis, base::<F>(0.5))), value |x| folds(x, |x| var(x, 0.5));
    std_all: SPREAD, not: CONES; |x| x.std(base::<F>(1.0)), value |x| var(&flat(x), 1.0).sqrt();
    /// Operands whose elements may be too near to each other for differences along the longest axis.
    std_axis: SPREAD, operands: APART, first: 1e-8, second: 1e-7, single: 1e-4;
        |x| {
            let axis = (0..x.ndim()).max_by_key(|&axis| x.shape()[axis]).expect("an axis");
            x.std_axis(Axis(axis), base::<F>(0.5))
        },
        value |x| {
            let axis = (0..x.ndim()).max_by_key(|&axis| x.shape()[axis]).expect("an axis");
            x.map_axis(Axis(axis), |x| var(&x.to_vec(), 0.5).sqrt())
        };
    norm_all: FILLED, operands: POSITIVE; |x| x.norm(), value |x| norm(&flat(x));
    norm_axis: FIBERS, operands: POSITIVE; |x| along(x, |axis| x.norm_axis(axis)), value |x| folds(x, norm);
    log_sum_exp_all: FILLED; |x| x.log_sum_exp(), value |x| log_sum_exp(&flat(x));
    log_sum_exp_axis: &[&[&[1]], &[&[3]], &[&[3, 1, 2]], &[&[3, 4]], &[&[2, 19]]];
        |x| along(x, |axis| x.log_sum_exp_axis(axis)), value |x| folds(x, log_sum_exp);
    softmax: WITH_AXES; |x| along(x, |axis| x.softmax(axis)),
        value |x| each_axis(x, |x| x.iter().map(|y| (y - log_sum_exp(x)).exp()).collect());
    log_softmax: WITH_AXES; |x| along(x, |axis| x.log_softmax(axis)),
        value |x| each_axis(x, |x| x.iter().map(|y| y - log_sum_exp(x)).collect());
    layer_norm: WITH_AXES, first: 1e-8, second: 1e-7, single: 1e-4; |x| x.layer_norm(base::<F>(0.125)),
        value |x| lanes(x, x.ndim() - 1, |x| {
            let r = 1.0 / (var(x, 0.0) + 0.125).sqrt();
            x.iter().map(|y| (y - mean(x)) * r).collect()
        });
    rms_norm: WITH_AXES, first: 1e-8, second: 1e-7; |x| x.rms_norm(base::<F>(0.125)),
        value |x| lanes(x, x.ndim() - 1, |x| {
            let r = 1.0 / (norm(x).powi(2) / x.len() as f64 + 0.125).sqrt();
            x.iter().map(|x| x * r).collect()
        });
}
