//! Shapes that no memory holds: the message names the operation, the shapes and a way out, at the caller's line.

use ndarray::{Array2, ArrayView2, Axis, arr0, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::one_hot;
use wengert::metrics::Confusion;
use wengert::nn::{Layer, Mode, Upsample1d, Upsample2d};
use wengert::{Activation, Conv, Interpolation, Params, Pool, Tape, init};

use crate::support::panics::panic_of;

/// A number of elements for which no machine has memory, so that the system refuses it at once.
const HUGE: usize = 1 << 46;
/// A length of which two have more elements than there are addresses.
const LONG: usize = 1 << 33;

/// Asserts that the work panics at a line of this file, with a message that has all these parts.
#[track_caller]
fn refused<T>(parts: &[&str], work: impl FnOnce() -> T) {
    let panic = panic_of(work);
    assert_eq!(panic.file, file!(), "{panic}");
    for part in parts {
        assert!(panic.message.contains(part), "{part:?} is not in: {panic}");
    }
}

#[test]
fn results_that_do_not_fit() {
    let tape = Tape::<f64>::new();
    let (one, row, matrix) = (arr0(1.0), array![1.0, 2.0], array![[1.0, 2.0], [3.0, 4.0]]);
    let huge = tape.tensor(&one).broadcast(HUGE);
    let (v, m) = (tape.tensor(&row), tape.tensor(&matrix));
    let column = tape.tensor(&one).broadcast((HUGE, 1));
    let parts = "parts";
    let size = "70368744177664";
    refused(&["exp: an array of shape [70368744177664]", "GB", parts], || huge.exp());
    refused(&["add: an array of shape", size], || huge + 1.0);
    refused(&["mul: an array of shape", "[70368744177664, 2]"], || column * v);
    refused(&["sum: an array of shape", size], || huge.sum());
    refused(&["softmax: an array of shape", size], || huge.softmax(Axis(0)));
    refused(&["mse: an array of shape", size], || huge.mse(0.0));
    refused(&["dot: an array of shape [70368744177664, 1]"], || column.dot(tape.tensor(&one).broadcast((1, 1))));
    refused(&["dot: an array of shape [70368744177664]"], || column.dot(tape.tensor(&one).broadcast(1)));
    refused(&["affine: an array of shape [70368744177664, 2]"], || tape.tensor(&one).broadcast((HUGE, 2)).affine(m, v));
    refused(&["dense: an array of shape [70368744177664, 2]"], || {
        tape.tensor(&one).broadcast((HUGE, 2)).dense(m, v, Activation::Tanh)
    });
    refused(&["matmul: an array of shape [70368744177664, 2, 2]"], || {
        m.broadcast((HUGE, 2, 2)).matmul(m.broadcast((1, 2, 2)))
    });
    refused(&["conv1d", size], || {
        let x = m.insert_axis(Axis(0));
        x.conv1d(m.broadcast((HUGE, 2, 2)), Conv::new())
    });
    refused(&["conv1d: an array of shape", parts], || {
        let x = m.insert_axis(Axis(0));
        x.conv1d(x, Conv::new().padding(HUGE))
    });
    refused(&["max_pool1d: an array of shape", size], || m.broadcast((HUGE, 2, 2)).max_pool1d(Pool::new(2)));
    refused(&["avg_pool1d: an array of shape", size], || m.broadcast((HUGE, 2, 2)).avg_pool1d(Pool::new(2)));
    refused(&["upsample1d: an array of shape [1, 1, 70368744177664]", parts], || {
        tape.ones((1, 1, 1)).upsample1d(HUGE, Interpolation::Nearest)
    });
    refused(&["pad: an array of shape [70368744177666]", parts], || v.pad(&[(0, HUGE)], 0.0));
    refused(&["stack: an array of shape", size], || tape.stack(Axis(0), &[huge, huge]));
    refused(&["concatenate: an array of shape [140737488355328]"], || tape.concatenate(Axis(0), &[huge, huge]));
    refused(&["select: an array of shape"], || column.t().select(Axis(0), &[0, 0]));
    refused(&["as_standard_layout: an array of shape", size], || huge.as_standard_layout());
    refused(&["as_standard_layout: an array of shape"], || column.reshape(HUGE));
    refused(&["keep_where: an array of shape", size], || huge.keep_where(&arr0(true), 0.0));
    refused(&["straight_through: an array of shape", size], || huge.straight_through(f64::round));
    refused(&["clip_cotangent: an array of shape", size], || huge.clip_cotangent(1.0));
    refused(&["to_vars: an array of shape", size], || huge.to_vars());
    let view = one.broadcast(HUGE).unwrap();
    refused(&["tensor: an array of shape", size], || tape.tensor(&view));
    refused(&["constant: an array of shape", size], || tape.constant(&view));
    refused(&["Params::add: an array of shape", size], || Params::<f64>::new().add("w", view));
    refused(&["init: an array of shape", "[70368744177664, 2]"], || {
        init::he_uniform::<f64, _>((HUGE, 2), &mut StdRng::seed_from_u64(0))
    });
    refused(&["one_hot: an array of shape", size], || one_hot::<f64>(&[0, 1], HUGE));
    refused(&["Confusion::new: an array of shape"], || Confusion::new(1 << 23, &[], &[]));
    refused(&["a tape with this capacity does not fit"], || Tape::<f64>::with_capacity(HUGE));
    // The tape goes on.
    assert_eq!(v.dot(v).backward().wrt(v), array![2.0, 4.0]);
}

#[test]
fn shapes_without_an_address() {
    let tape = Tape::<f64>::new();
    let one = arr0(1.0);
    let (tall, wide) = (Array2::<f64>::zeros((LONG, 0)), Array2::<f64>::zeros((0, LONG)));
    let (x, y) = (tape.tensor(&tall), tape.tensor(&wide));
    let too_large = "is too large";
    refused(&["dot", "[8589934592, 8589934592]", too_large], || x.dot(y));
    let (a, b) = (tape.tensor(&one).broadcast((LONG, 1)), tape.tensor(&one).broadcast((1, LONG)));
    refused(&["add", "[8589934592, 8589934592]", too_large], || a + b);
    refused(&["sub", too_large], || a.insert_axis(Axis(2)) - x);
    refused(&["broadcast", too_large], || a.broadcast((LONG, LONG)));
    let long = tape.tensor(&one).broadcast(isize::MAX as usize);
    refused(&["concatenate", "[18446744073709551615]", too_large], || tape.concatenate(Axis(0), &[long, long, long]));
    refused(&["stack", "[3, 9223372036854775807]", too_large], || tape.stack(Axis(0), &[long, long, long]));
    refused(&["select", too_large], || long.insert_axis(Axis(0)).select(Axis(0), &[0, 0]));
    refused(&["pad", too_large], || tape.tensor(&one).broadcast(1).pad(&[(usize::MAX, 1)], 0.0));
    refused(&["pad", too_large], || x.pad(&[(0, 0), (0, LONG)], 0.0));
    refused(&["pad", too_large], || x.insert_axis(Axis(2)).pad(&[(0, 0), (0, 0), (0, LONG)], 0.0));
    refused(&["init", too_large], || init::uniform::<f64, _>((LONG, LONG), 0.0, 1.0, &mut StdRng::seed_from_u64(0)));
    refused(&["init", too_large], || init::he_normal::<f64, _>((2, LONG, LONG), &mut StdRng::seed_from_u64(0)));
    refused(&["one_hot", too_large], || one_hot::<f64>(&[0, 1], usize::MAX));
    refused(&["Confusion::new", too_large], || Confusion::new(LONG, &[], &[]));
    let params = Params::<f64>::new();
    let p = params.on(&tape);
    refused(&["upsample1d", "[1, 1, 18446744073709551615]", too_large], || {
        Upsample1d::new(usize::MAX, Interpolation::Linear).forward(p, p.ones((1, 1, 2)), &mut Mode::eval())
    });
    refused(&["upsample2d", too_large], || {
        Upsample2d::new(usize::MAX, Interpolation::Linear).forward(p, p.ones((1, 1, 2, 2)), &mut Mode::eval())
    });
    let images = tape.ones((1, 1, 4, 4));
    refused(&["avg_pool2d: a window of 8589934592 x 8589934592"], || images.avg_pool2d(LONG));
    let mean = images.avg_pool2d(Pool::new(LONG).padding(LONG / 2));
    assert_eq!(mean.value().as_slice(), Some(&[2.0_f64.powi(4 - 66)][..]));
    // Long axes without elements, or with few, are right.
    let view: ArrayView2<'_, f64> = tall.view();
    assert_eq!(tape.constant(view).t().dot(x).shape(), [0, 0]);
}
