//! Products and dense layers.

use super::*;

fn times(x: &ArrayD<f64>, y: &ArrayD<f64>) -> Array2<f64> {
    let (x, y) = (dim::<Ix2>(x), dim::<Ix2>(y));
    Array2::from_shape_fn((x.nrows(), y.ncols()), |(i, j)| (0..x.ncols()).map(|p| x[[i, p]] * y[[p, j]]).sum())
}

const SIGNS: [f64; 2] = [1.0, -1.0];

fn dense<'t, F: Scalar>(x: Dyn<'t, F>, w: Dyn<'t, F>, b: Dyn<'t, F>, f: Activation) -> Tensor<'t, F, Ix2> {
    of::<F, Ix2>(x).dense(of::<F, Ix2>(w), of::<F, Ix1>(b), f)
}

const LAYERS: Cases = &[
    &[&[2, 3], &[3, 4], &[4]],
    &[&[1, 1], &[1, 1], &[1]],
    &[&[0, 3], &[3, 2], &[2]],
    &[&[2, 0], &[0, 2], &[2]],
    &[&[2, 3], &[3, 0], &[0]],
    &[&[3, 3], &[3, 3], &[3]],
    &[&[2, 3], &[3, 17], &[17]],
];

operations! {
    dot: &[&[&[3], &[3]], &[&[1], &[1]], &[&[0], &[0]], &[&[37], &[37]]];
        |x, y| of::<F, Ix1>(x).dot(of::<F, Ix1>(y)), value |x, y| (x * y).sum();
    vector_times_matrix: &[&[&[3], &[3, 4]], &[&[1], &[1, 1]], &[&[0], &[0, 2]], &[&[3], &[3, 0]]];
        |x, y| of::<F, Ix1>(x).dot(of::<F, Ix2>(y)),
        value |x, y| times(&x.clone().insert_axis(Axis(0)), y).row(0).to_owned();
    matrix_times_vector: &[&[&[3, 4], &[4]], &[&[1, 1], &[1]], &[&[2, 0], &[0]], &[&[0, 3], &[3]]];
        |x, y| of::<F, Ix2>(x).dot(of::<F, Ix1>(y)),
        value |x, y| times(x, &y.clone().insert_axis(Axis(1))).column(0).to_owned();
    matrix_times_matrix: &[
            &[&[2, 3], &[3, 4]],
            &[&[3, 3], &[3, 3]],
            &[&[1, 1], &[1, 1]],
            &[&[2, 0], &[0, 3]],
            &[&[0, 2], &[2, 3]],
        ];
        |x, y| of::<F, Ix2>(x).dot(of::<F, Ix2>(y)), value |x, y| times(x, y);
    matmul: &[
            &[&[2, 3, 2], &[2, 2, 4]],
            &[&[1, 3, 2], &[2, 2, 1]],
            &[&[2, 2, 2], &[1, 2, 2]],
            &[&[2, 2, 2], &[2, 2, 2]],
            &[&[0, 2, 2], &[1, 2, 3]],
            &[&[1, 2, 0], &[1, 0, 3]],
            &[&[2, 2, 0], &[2, 0, 3]],
        ];
        |x, y| of::<F, Ix3>(x).matmul(of::<F, Ix3>(y)),
        value |x, y| {
            let batches = if x.shape()[0] == 1 { y.shape()[0] } else { x.shape()[0] };
            let mut z = ndarray::Array3::zeros((batches, x.shape()[1], y.shape()[2]));
            for (i, mut z) in z.outer_iter_mut().enumerate() {
                let part = |x: &ArrayD<f64>| x.index_axis(Axis(0), i % x.shape()[0]).to_owned();
                z.assign(&times(&part(x), &part(y)));
            }
            z
        };
    affine: LAYERS; |x, w, b| of::<F, Ix2>(x).affine(of::<F, Ix2>(w), of::<F, Ix1>(b)),
        value |x, w, b| times(x, w) + b;
    dense_identity: LAYERS; |x, w, b| dense(x, w, b, Activation::Identity),
        value |x, w, b| times(x, w) + b;
    /// The bias keeps units away from the kink, half of them on either side.
    dense_relu: LAYERS,
        operands: &[Sample::Between(-0.3, 0.3), Sample::Between(-0.3, 0.3), Sample::Between(0.7, 1.0)];
        |x, w, b| {
            let signs = Array1::from_shape_fn(b.len(), |j| F::lit(SIGNS[j % 2])).into_dyn();
            dense(x, w, b * signs, Activation::Relu)
        },
        value |x, w, b| {
            let signs = Array1::from_shape_fn(b.len(), |j| SIGNS[j % 2]);
            (times(x, w) + b * &signs).mapv(|z| z.max(0.0))
        };
    dense_sigmoid: LAYERS; |x, w, b| dense(x, w, b, Activation::Sigmoid),
        value |x, w, b| (times(x, w) + b).mapv(|z| 1.0 / (1.0 + (-z).exp()));
    dense_tanh: LAYERS; |x, w, b| dense(x, w, b, Activation::Tanh),
        value |x, w, b| (times(x, w) + b).mapv(f64::tanh);
}
