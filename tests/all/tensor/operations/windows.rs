//! Convolutions and pooling, in one direction and in two.

use super::*;
use ndarray::Array4;
use wengert::Interpolation::{self, AlignedCorners, Linear, Nearest};

/// Stride, padding, dilation in each direction and the number of groups.
type Moves = ([usize; 2], [usize; 2], [usize; 2], usize);

/// For each position of the window: its number, and the index of the element under each place of the window.
fn over(image: usize, size: usize, (stride, padding, dilation): (usize, usize, usize)) -> Vec<Vec<Option<usize>>> {
    let out = (image + 2 * padding - dilation * (size - 1) - 1) / stride + 1;
    let place = |i: usize, k: usize| (i * stride + k * dilation).checked_sub(padding).filter(|&at| at < image);
    (0..out).map(|i| (0..size).map(|k| place(i, k)).collect()).collect()
}

fn convolved(x: &Array4<f64>, w: &Array4<f64>, (stride, padding, dilation, groups): Moves) -> Array4<f64> {
    let [rows, columns] =
        [0, 1].map(|d| over(x.shape()[2 + d], w.shape()[2 + d], (stride[d], padding[d], dilation[d])));
    let (outputs, inputs) = (w.shape()[0], w.shape()[1]);
    Array4::from_shape_fn((x.shape()[0], outputs, rows.len(), columns.len()), |(n, o, i, j)| {
        let mut sum = 0.0;
        for c in 0..inputs {
            for (k, row) in rows[i].iter().enumerate() {
                for (l, column) in columns[j].iter().enumerate() {
                    if let (Some(row), Some(column)) = (*row, *column) {
                        sum += w[[o, c, k, l]] * x[[n, o / (outputs / groups) * inputs + c, row, column]];
                    }
                }
            }
        }
        sum
    })
}

/// A signal as an image of one row.
fn image(x: &ArrayD<f64>) -> Array4<f64> {
    let x = if x.ndim() == 3 { x.clone().insert_axis(Axis(2)) } else { x.clone() };
    dim::<Ix4>(&x)
}

fn signal(y: Array4<f64>) -> ndarray::Array3<f64> {
    y.remove_axis(Axis(2))
}

/// A number for each window, computed from the elements under it.
fn pooled(
    x: &Array4<f64>,
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    f: impl Fn(&[f64]) -> f64,
) -> Array4<f64> {
    let [rows, columns] = [0, 1].map(|d| over(x.shape()[2 + d], size[d], (stride[d], padding[d], 1)));
    Array4::from_shape_fn((x.shape()[0], x.shape()[1], rows.len(), columns.len()), |(n, c, i, j)| {
        let places =
            rows[i].iter().flatten().flat_map(|row| columns[j].iter().flatten().map(move |column| (row, column)));
        f(&places.map(|(&row, &column)| x[[n, c, row, column]]).collect::<Vec<_>>())
    })
}

fn largest(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::NAN, f64::max)
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// The transposed convolution by its definition: each element of x adds a kernel to the result.
fn transposed(
    x: &Array4<f64>,
    w: &Array4<f64>,
    (stride, padding, dilation, groups): Moves,
    extra: [usize; 2],
) -> Array4<f64> {
    let len = |d: usize| {
        stride[d] * (x.shape()[2 + d] - 1) + dilation[d] * (w.shape()[2 + d] - 1) + 1 + extra[d] - 2 * padding[d]
    };
    let (inputs, outputs) = (w.shape()[0] / groups, w.shape()[1]);
    let mut y = Array4::zeros((x.shape()[0], outputs * groups, len(0), len(1)));
    for ((n, c, i, j), x) in x.indexed_iter() {
        for ((_, o, k, l), w) in w.slice(ndarray::s![c..=c, .., .., ..]).indexed_iter() {
            let row = (stride[0] * i + dilation[0] * k).wrapping_sub(padding[0]);
            let column = (stride[1] * j + dilation[1] * l).wrapping_sub(padding[1]);
            if let Some(y) = y.get_mut((n, c / inputs * outputs + o, row, column)) {
                *y += w * x;
            }
        }
    }
    y
}

/// A number for each of the windows that cover the input.
fn covered(x: &Array4<f64>, out: [usize; 2], f: impl Fn(&[f64]) -> f64) -> Array4<f64> {
    let range = |d: usize, i: usize| {
        let n = x.shape()[2 + d] as f64 / out[d] as f64;
        (i as f64 * n + 1e-9).floor() as usize..((i + 1) as f64 * n - 1e-9).ceil() as usize
    };
    Array4::from_shape_fn((x.shape()[0], x.shape()[1], out[0], out[1]), |(n, c, i, j)| {
        f(&x.slice(ndarray::s![n, c, range(0, i), range(1, j)]).iter().copied().collect::<Vec<_>>())
    })
}

/// Another size, by weights that fall off in a straight line with the distance from the place of a result.
fn stretched(x: &Array4<f64>, out: [usize; 2], interpolation: Interpolation) -> Array4<f64> {
    let weight = |d: usize, i: usize, at: usize| {
        let (n, m, i) = (x.shape()[2 + d] as f64, out[d] as f64, i as f64);
        let place = match interpolation {
            Nearest => return f64::from((i * n / m + 1e-9).floor() as usize == at),
            Linear => ((i + 0.5) * n / m - 0.5).clamp(0.0, n - 1.0),
            AlignedCorners => {
                if m > 1.0 {
                    i * (n - 1.0) / (m - 1.0)
                } else {
                    0.0
                }
            }
        };
        (1.0 - (place - at as f64).abs()).max(0.0)
    };
    Array4::from_shape_fn((x.shape()[0], x.shape()[1], out[0], out[1]), |(n, c, i, j)| {
        let own = x.slice(ndarray::s![n, c, .., ..]);
        own.indexed_iter().map(|((k, l), x)| weight(0, i, k) * weight(1, j, l) * x).sum()
    })
}

operations! {
    conv1d: &[
            &[&[2, 2, 5], &[3, 2, 2]],
            &[&[1, 1, 1], &[1, 1, 1]],
            &[&[0, 1, 4], &[2, 1, 2]],
            &[&[2, 2, 3], &[2, 2, 3]],
            &[&[1, 2, 9], &[2, 2, 1]],
            &[&[2, 3, 4], &[0, 3, 2]],
        ];
        |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new()),
        value |x, w| signal(convolved(&image(x), &image(w), ([1, 1], [0, 0], [1, 1], 1)));
    conv1d_moved: &[&[&[1, 2, 7], &[2, 2, 3]], &[&[2, 1, 8], &[1, 1, 2]]];
        |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new().stride(2).padding(2).dilation(3)),
        value |x, w| signal(convolved(&image(x), &image(w), ([1, 2], [0, 2], [1, 3], 1)));
    conv1d_groups: &[&[&[2, 4, 4], &[6, 2, 2]], &[&[1, 2, 3], &[2, 1, 3]]];
        |x, w| of::<F, Ix3>(x).conv1d(of::<F, Ix3>(w), Conv::new().groups(2).padding(1)),
        value |x, w| signal(convolved(&image(x), &image(w), ([1, 1], [0, 1], [1, 1], 2)));
    conv2d: &[
            &[&[2, 2, 3, 4], &[2, 2, 2, 3]],
            &[&[1, 1, 1, 1], &[1, 1, 1, 1]],
            &[&[1, 1, 3, 3], &[1, 1, 3, 3]],
            &[&[2, 3, 2, 2], &[2, 3, 1, 1]],
        ];
        |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new()),
        value |x, w| convolved(&image(x), &image(w), ([1, 1], [0, 0], [1, 1], 1));
    conv2d_moved: &[&[&[1, 2, 5, 4], &[2, 2, 2, 3]], &[&[2, 1, 4, 6], &[1, 1, 3, 2]]];
        |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new().stride([2, 1]).padding([1, 2]).dilation([1, 2])),
        value |x, w| convolved(&image(x), &image(w), ([2, 1], [1, 2], [1, 2], 1));
    conv2d_groups: &[&[&[1, 4, 3, 3], &[2, 2, 2, 2]], &[&[2, 2, 2, 3], &[4, 1, 2, 1]]];
        |x, w| of::<F, Ix4>(x).conv2d(of::<F, Ix4>(w), Conv::new().groups(2).padding([0, 1])),
        value |x, w| convolved(&image(x), &image(w), ([1, 1], [0, 1], [1, 1], 2));
    max_pool1d: &[&[&[2, 2, 6]], &[&[1, 1, 2]], &[&[0, 1, 4]]], operands: APART;
        |x| [of::<F, Ix3>(x).max_pool1d(2), of::<F, Ix3>(x).max_pool1d(Pool::new(2).stride(1).padding(1))],
        value |x| vec![
            signal(pooled(&image(x), [1, 2], [1, 2], [0, 0], largest)),
            signal(pooled(&image(x), [1, 2], [1, 1], [0, 1], largest)),
        ];
    avg_pool1d: &[&[&[2, 2, 6]], &[&[1, 1, 3]], &[&[0, 1, 4]]];
        |x| {
            let overlapping = Pool::new(3).stride(2).padding(1);
            let x = of::<F, Ix3>(x);
            [x.avg_pool1d(3), x.avg_pool1d(overlapping), x.avg_pool1d(overlapping.without_padding_in_mean())]
        },
        value |x| vec![
            signal(pooled(&image(x), [1, 3], [1, 3], [0, 0], mean)),
            signal(pooled(&image(x), [1, 3], [1, 2], [0, 1], |x| x.iter().sum::<f64>() / 3.0)),
            signal(pooled(&image(x), [1, 3], [1, 2], [0, 1], mean)),
        ];
    max_pool2d: &[&[&[2, 1, 4, 5]], &[&[1, 2, 2, 3]]], operands: APART;
        |x| {
            let overlapping = Pool::new([2, 3]).stride([1, 2]).padding([1, 1]);
            [of::<F, Ix4>(x).max_pool2d(2), of::<F, Ix4>(x).max_pool2d(overlapping)]
        },
        value |x| vec![
            pooled(&image(x), [2, 2], [2, 2], [0, 0], largest),
            pooled(&image(x), [2, 3], [1, 2], [1, 1], largest),
        ];
    avg_pool2d: &[&[&[2, 1, 4, 5]], &[&[1, 2, 2, 3]]];
        |x| {
            let overlapping = Pool::new([2, 3]).stride([1, 2]).padding([1, 1]);
            let x = of::<F, Ix4>(x);
            [x.avg_pool2d(2), x.avg_pool2d(overlapping), x.avg_pool2d(overlapping.without_padding_in_mean())]
        },
        value |x| vec![
            pooled(&image(x), [2, 2], [2, 2], [0, 0], mean),
            pooled(&image(x), [2, 3], [1, 2], [1, 1], |x| x.iter().sum::<f64>() / 6.0),
            pooled(&image(x), [2, 3], [1, 2], [1, 1], mean),
        ];
    conv_transpose1d: &[
            &[&[2, 2, 4], &[2, 3, 2]],
            &[&[1, 1, 1], &[1, 1, 1]],
            &[&[0, 1, 4], &[1, 2, 2]],
            &[&[1, 2, 3], &[2, 0, 2]],
        ];
        |x, w| of::<F, Ix3>(x).conv_transpose1d(of::<F, Ix3>(w), Conv::new()),
        value |x, w| signal(transposed(&image(x), &image(w), ([1, 1], [0, 0], [1, 1], 1), [0, 0]));
    conv_transpose1d_moved: &[&[&[1, 2, 4], &[2, 2, 3]], &[&[2, 4, 3], &[4, 1, 2]]];
        |x, w| {
            let moved = Conv::new().stride(3).padding(1).dilation(2).output_padding(2).groups(2);
            of::<F, Ix3>(x).conv_transpose1d(of::<F, Ix3>(w), moved)
        },
        value |x, w| signal(transposed(&image(x), &image(w), ([1, 3], [0, 1], [1, 2], 2), [0, 2]));
    conv_transpose1d_of_one_tap: &[&[&[1, 1, 3], &[1, 2, 1]], &[&[2, 2, 4], &[2, 3, 1]]];
        |x, w| of::<F, Ix3>(x).conv_transpose1d(of::<F, Ix3>(w), Conv::new().dilation(3).output_padding(2)),
        value |x, w| signal(transposed(&image(x), &image(w), ([1, 1], [0, 0], [1, 3], 1), [0, 2]));
    conv_transpose2d_of_one_tap: &[&[&[1, 2, 3, 2], &[2, 2, 1, 1]], &[&[2, 1, 2, 4], &[1, 3, 1, 1]]];
        |x, w| {
            let longer = Conv::new().dilation(3).output_padding([2, 1]);
            of::<F, Ix4>(x).conv_transpose2d(of::<F, Ix4>(w), longer)
        },
        value |x, w| transposed(&image(x), &image(w), ([1, 1], [0, 0], [3, 3], 1), [2, 1]);
    conv_transpose2d: &[&[&[1, 2, 3, 2], &[2, 2, 2, 3]], &[&[2, 1, 2, 4], &[1, 3, 3, 1]]];
        |x, w| {
            let moved = Conv::new().stride([2, 1]).padding([1, 0]).dilation([1, 2]).output_padding([1, 1]);
            of::<F, Ix4>(x).conv_transpose2d(of::<F, Ix4>(w), moved)
        },
        value |x, w| transposed(&image(x), &image(w), ([2, 1], [1, 0], [1, 2], 1), [1, 1]);
    adaptive_pool1d: &[&[&[2, 2, 5]], &[&[1, 1, 1]], &[&[0, 1, 4]]], operands: APART;
        |x| [of::<F, Ix3>(x).adaptive_max_pool1d(3), of::<F, Ix3>(x).adaptive_avg_pool1d(3)],
        value |x| vec![
            signal(covered(&image(x), [1, 3], largest)),
            signal(covered(&image(x), [1, 3], mean)),
        ];
    adaptive_pool2d: &[&[&[2, 1, 5, 4]], &[&[1, 2, 2, 7]]], operands: APART;
        |x| [of::<F, Ix4>(x).adaptive_max_pool2d([2, 3]), of::<F, Ix4>(x).adaptive_avg_pool2d([3, 2])],
        value |x| vec![covered(&image(x), [2, 3], largest).into_dyn(), covered(&image(x), [3, 2], mean).into_dyn()];
    upsample1d: &[&[&[2, 2, 4]], &[&[1, 1, 1]], &[&[0, 1, 3]]];
        |x| {
            let x = of::<F, Ix3>(x);
            [Nearest, Linear, AlignedCorners].map(|interpolation| x.upsample1d(7, interpolation))
        },
        value |x| [Nearest, Linear, AlignedCorners]
            .map(|interpolation| signal(stretched(&image(x), [1, 7], interpolation)))
            .to_vec();
    upsample2d: &[&[&[1, 2, 3, 4]], &[&[2, 1, 2, 2]]];
        |x| {
            let x = of::<F, Ix4>(x);
            [Nearest, Linear, AlignedCorners].map(|interpolation| x.upsample2d([5, 3], interpolation))
        },
        value |x| [Nearest, Linear, AlignedCorners].map(|i| stretched(&image(x), [5, 3], i)).to_vec();
}
