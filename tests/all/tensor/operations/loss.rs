//! Losses.

use super::*;

const LOGITS: Cases = &[&[&[3, 4]], &[&[3, 1]], &[&[3, 19]]];

fn mean_of(x: &ArrayD<f64>, t: &ArrayD<f64>, f: impl Fn(f64, f64) -> f64) -> f64 {
    x.iter().zip(t).map(|(&x, &t)| f(x, t)).sum::<f64>() / x.len() as f64
}

fn ln_p(x: &ArrayD<f64>, i: usize, j: usize) -> f64 {
    let row = x.index_axis(Axis(0), i);
    x[[i, j]] - row.iter().map(|x| x.exp()).sum::<f64>().ln()
}

operations! {
    mse: EQUAL; |x, t| x.mse(t), value |x, t| mean_of(x, t, |x, t| (x - t).powi(2));
    mae: EQUAL, operands: APART, not: TIES; |x, t| x.mae(t), value |x, t| mean_of(x, t, |x, t| (x - t).abs());
    /// Differences from 1.0 to 1.6 beside δ = 0.75 and 2: one side of the kink each.
    huber: EQUAL, operands: &[Sample::Between(1.0, 1.2), Sample::Between(-0.4, 0.0)];
        |x, t| [x.huber(t, base::<F>(0.75)), x.huber(t, base::<F>(2.0))],
        value |x, t| vec![
            mean_of(x, t, |x, t| 0.75 * ((x - t).abs() - 0.375)),
            mean_of(x, t, |x, t| 0.5 * (x - t) * (x - t)),
        ];
    huber_below: EQUAL, operands: &[Sample::Between(-0.4, 0.0), Sample::Between(1.0, 1.2)];
        |x, t| x.huber(t, base::<F>(0.75)), value |x, t| mean_of(x, t, |x, t| 0.75 * ((x - t).abs() - 0.375));
    bce_with_logits: EQUAL, operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.0, 1.0)];
        |x, t| x.bce_with_logits(t),
        value |x, t| mean_of(x, t, |x, t| x.exp().ln_1p() - t * x);
    /// Targets of other kinds.
    targets: &[&[&[2, 3], &[]], &[&[1], &[]]];
        |x, v| {
            let v = of(v).into_var();
            [x.mse(v), x.mse(F::lit(0.5)), x.mse(ArrayD::from_elem(x.dim(), F::one())), x.mse(v.square())]
        },
        value |x, v| {
            let v = v.sum();
            [v, 0.5, 1.0, v * v].map(|t| x.mapv(|x| (x - t).powi(2)).mean().expect("elements")).to_vec()
        };
    softmax_cross_entropy: LOGITS; |x| of::<F, Ix2>(x).softmax_cross_entropy(&[2, 0, 3].map(|j| j % x.shape()[1])),
        value |x| -[2, 0, 3].iter().enumerate().map(|(i, j)| ln_p(x, i, j % x.shape()[1])).sum::<f64>() / 3.0;
    cross_entropy_of_probabilities: &[&[&[3, 4], &[3, 4]], &[&[3, 1], &[3, 1]], &[&[2, 19], &[2, 19]]],
        operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.0, 1.0)];
        |x, q| of::<F, Ix2>(x).softmax_cross_entropy(of::<F, Ix2>(q)),
        value |x, q| {
            let terms = q.indexed_iter().map(|(i, q)| -q * ln_p(x, i[0], i[1]));
            terms.sum::<f64>() / x.shape()[0] as f64
        };
    /// Logits and probabilities that are one tensor.
    cross_entropy_of_itself: &[&[&[3, 4], &[3, 4]]], operands: POSITIVE;
        |x, q| of::<F, Ix2>(x).softmax_cross_entropy(of::<F, Ix2>(q));
}
