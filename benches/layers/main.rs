//! Layers forward and backward, f32, one thread, as multiples of a loop written by hand.
//!
//! Each row records the layer on a cleared tape and sweeps from a cotangent of its result; the loop keeps its buffers. Both
//! agree before anything is timed. The times are the least of many turns, one beside the other.
//!
//! The last rows are gradient and Hessian-vector product of a net, as multiples of the gradient.

#[allow(unreachable_pub)]
mod hand;
#[path = "../timer/mod.rs"]
mod timer;

use std::hint::black_box;

use hand::{Conv, Pool};
use ndarray::{Array, Array2, Axis, Dimension, IntoDimension};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use wengert::nn::{Dropout, Mode};
use wengert::{Activation, Dual, Params, Tape, Tensor};

/// Numbers between -1 and 1.
fn numbers<D: Dimension>(shape: impl IntoDimension<Dim = D>) -> Array<f32, D> {
    let shape = shape.into_dimension();
    let mut state = 42_u64;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 * 2f32.powi(-23) - 1.0
    })
}

fn agree(name: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let size = theirs.iter().fold(1.0_f32, |size, x| size.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-4 * size, "{name}: element {i} is {a}, by hand {b}");
    }
}

/// A row: a layer of one operand against a loop, which writes result and gradient. Neither is compared where `random`.
fn row<D: Dimension, E: Dimension>(
    name: &str,
    random: bool,
    x: &Array<f32, D>,
    layer: impl for<'t> Fn(Tensor<'t, f32, D>) -> Tensor<'t, f32, E>,
    mut by_hand: impl FnMut(&[f32], &[f32], &mut [f32], &mut [f32]),
) {
    if !timer::is_wanted(name) {
        return;
    }
    let mut tape = Tape::new();
    let (y, dy, dx) = {
        let input = tape.tensor(x);
        let y = layer(input);
        let dy = numbers(y.dim());
        let gradient = tape.backward_with([y.seed(&dy)]);
        (y.value().to_owned(), dy, gradient.wrt(input))
    };
    let [x_flat, dy_flat] = [x.as_slice().unwrap(), dy.as_slice().unwrap()];
    let (mut y_hand, mut dx_hand) = (vec![0.0; y.len()], vec![0.0; x.len()]);
    by_hand(x_flat, dy_flat, &mut y_hand, &mut dx_hand);
    if !random {
        agree(name, y.as_slice().unwrap(), &y_hand);
        agree(name, dx.as_slice().unwrap(), &dx_hand);
    }
    let times = timer::race_for_the_least(&mut [
        &mut || {
            tape.clear();
            let input = tape.tensor(black_box(x));
            let _ = black_box(tape.backward_with([layer(input).seed(&dy)]));
        },
        &mut || by_hand(black_box(x_flat), black_box(dy_flat), black_box(&mut y_hand), black_box(&mut dx_hand)),
    ]);
    print_row(name, &times);
}

fn print_row(name: &str, times: &[f64]) {
    println!("{name:44} {:9.1} us   by hand {:9.1} us   {:5.2}", times[0] / 1e3, times[1] / 1e3, times[0] / times[1]);
}

fn convolution(name: &str, conv: Conv) {
    if !timer::is_wanted(name) {
        return;
    }
    let x = numbers([conv.count, conv.channels, conv.height, conv.width]);
    let w = numbers([conv.out, conv.channels, conv.rows, conv.columns]);
    let [h, wide] = conv.result();
    let dy = numbers([conv.count, conv.out, h, wide]);
    let options = wengert::Conv::<2>::new().padding(conv.pad);
    let (mut y_hand, mut dx_hand, mut dw_hand) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let [xs, ws, dys] = [x.as_slice().unwrap(), w.as_slice().unwrap(), dy.as_slice().unwrap()];
    let by_hand = |y: &mut [f32], dx: &mut [f32], dw: &mut [f32]| {
        conv.forward(black_box(xs), ws, y);
        conv.backward(xs, ws, black_box(dys), dx, dw);
    };
    by_hand(&mut y_hand, &mut dx_hand, &mut dw_hand);
    let mut tape = Tape::new();
    {
        let [a, b] = [tape.tensor(&x), tape.tensor(&w)];
        let y = a.conv2d(b, options);
        let gradient = tape.backward_with([y.seed(&dy)]);
        agree(name, y.value().as_standard_layout().as_slice().unwrap(), &y_hand);
        agree(name, gradient.wrt(a).as_slice().unwrap(), &dx_hand);
        agree(name, gradient.wrt(b).as_slice().unwrap(), &dw_hand);
    }
    let times = timer::race_for_the_least(&mut [
        &mut || {
            tape.clear();
            let [a, b] = [tape.tensor(black_box(&x)), tape.tensor(&w)];
            let _ = black_box(tape.backward_with([a.conv2d(b, options).seed(&dy)]));
        },
        &mut || by_hand(&mut y_hand, &mut dx_hand, &mut dw_hand),
    ]);
    print_row(name, &times);
}

/// Gradient and Hessian-vector product of a net of dense layers, relu and cross-entropy, beside the gradient.
fn second_order(sizes: &[usize], batch: usize) {
    let name = format!("gradient and Hv, {sizes:?}, batch {batch}");
    if !timer::is_wanted(&name) {
        return;
    }
    let mut params = Params::<f32>::new();
    let layers: Vec<_> = sizes
        .windows(2)
        .enumerate()
        .map(|(i, n)| {
            (
                params.add(format!("w{i}"), numbers([n[0], n[1]]) * 0.1),
                params.add(format!("b{i}"), numbers([n[1]]) * 0.1),
            )
        })
        .collect();
    let x = numbers([batch, sizes[0]]);
    let labels: Vec<usize> = (0..batch).map(|i| i % sizes[sizes.len() - 1]).collect();
    let direction = numbers([params.values().len()]);
    let dual = params.with_tangents(direction.as_slice().unwrap());
    let (mut tape, mut dual_tape) = (Tape::<f32>::new(), Tape::<Dual<f32>>::new());
    // On both kinds of numbers.
    macro_rules! loss {
        ($p:ident) => {{
            let mut h = $p.constant(&x);
            for (i, &(w, b)) in layers.iter().enumerate() {
                let activation = if i + 1 == layers.len() { Activation::Identity } else { Activation::Relu };
                h = h.dense($p.get(w), $p.get(b), activation);
            }
            h.softmax_cross_entropy(&labels)
        }};
    }
    let times = timer::race_for_the_least(&mut [
        &mut || _ = black_box(dual_tape.value_and_grad(&dual, |p| loss!(p))),
        &mut || _ = black_box(tape.value_and_grad(&params, |p| loss!(p))),
    ]);
    println!("{name:44} {:9.1} us   gradient {:8.1} us   {:5.2}", times[0] / 1e3, times[1] / 1e3, times[0] / times[1]);
}

fn main() {
    second_order(&[784, 128, 10], 64);
    second_order(&[64, 32, 10], 32);
    second_order(&[2, 16, 16, 10], 32);
    windows();
    others();
}

/// Convolutions and pools.
fn windows() {
    let conv = |count, channels, out, side, k, pad| Conv {
        count,
        channels,
        out,
        height: side,
        width: side,
        rows: k,
        columns: k,
        pad: [pad; 2],
    };
    convolution("conv2d 32x1x8x8, 8 of 3x3, padded", conv(32, 1, 8, 8, 3, 1));
    convolution("conv2d 32x8x8x8, 16 of 3x3, padded", conv(32, 8, 16, 8, 3, 1));
    convolution("conv2d 16x16x28x28, 16 of 3x3, padded", conv(16, 16, 16, 28, 3, 1));
    convolution("conv2d 16x3x32x32, 8 of 5x5", conv(16, 3, 8, 32, 5, 0));
    let signal = Conv { count: 16, channels: 32, out: 32, height: 1, width: 64, rows: 1, columns: 3, pad: [0, 1] };
    convolution("conv2d 16x32x1x64, 32 of 1x3 (a conv1d)", signal);

    for (size, stride) in [(2, 2), (3, 3), (3, 2), (3, 1)] {
        let pool = Pool { planes: 512, side: 16, size, stride };
        let (x, windows) = (numbers([32, 16, 16, 16]), wengert::Pool::<2>::new(size).stride(stride));
        let mut at = vec![0; 512 * pool.result() * pool.result()];
        row(
            &format!("max_pool2d {size}, stride {stride}, 32x16x16x16"),
            false,
            &x,
            |x| x.max_pool2d(windows),
            |x, dy, y, dx| {
                pool.max_forward(x, y, &mut at);
                Pool::max_backward(&at, dy, dx);
            },
        );
        row(
            &format!("avg_pool2d {size}, stride {stride}, 32x16x16x16"),
            false,
            &x,
            |x| x.avg_pool2d(windows),
            |x, dy, y, dx| {
                pool.mean_forward(x, y);
                pool.mean_backward(dy, dx);
            },
        );
    }
}

/// Activations, normalisation, rows of a table, dropout.
fn others() {
    for shape in [[64, 256], [8, 16]] {
        row(
            &format!("gelu {shape:?}"),
            false,
            &(numbers(shape) * 3.0),
            |x| x.gelu(),
            |x, dy, y, dx| {
                hand::gelu_forward(x, y);
                hand::gelu_backward(x, dy, dx);
            },
        );
    }
    for shape in [[64, 256], [256, 32], [1024, 8]] {
        let (x, mut scales) = (numbers(shape), vec![0.0; shape[0]]);
        row(
            &format!("layer_norm {shape:?}"),
            false,
            &x,
            |x| x.layer_norm(1e-5),
            |x, dy, y, dx| {
                hand::layer_norm_forward(shape[1], x, y, &mut scales);
                hand::layer_norm_backward(shape[1], y, &scales, dy, dx);
            },
        );
    }
    for shape in [[1024, 8], [256, 16], [256, 64], [64, 10]] {
        row(
            &format!("softmax {shape:?}"),
            false,
            &numbers(shape),
            |x| x.softmax(Axis(1)),
            |x, dy, y, dx| {
                hand::softmax_forward(shape[1], x, y);
                hand::softmax_backward(shape[1], y, dy, dx);
            },
        );
    }
    let table: Array2<f32> = numbers([1000, 64]);
    let indices: Vec<usize> = (0..256).map(|i| (i * i * 7 + 3) % 1000).collect();
    row(
        "embedding, 256 rows of 1000x64",
        false,
        &table,
        |x| x.select(Axis(0), &indices),
        |x, dy, y, dx| {
            hand::embedding_forward(64, x, &indices, y);
            hand::embedding_backward(64, &indices, dy, dx);
        },
    );
    let (dropout, mut random, mut mask) = (Dropout::new(0.1), ChaCha12Rng::seed_from_u64(1), vec![0.0; 64 * 256]);
    let mode = std::cell::RefCell::new(Mode::train(1));
    row(
        "dropout [64, 256]",
        true,
        &numbers([64, 256]),
        |x| dropout.forward(x, &mut mode.borrow_mut()),
        |x, dy, y, dx| {
            hand::dropout_forward(&mut random, 0.1, x, y, &mut mask);
            hand::dropout_backward(&mask, dy, dx);
        },
    );
}
