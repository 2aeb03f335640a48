//! Convolutions and pooling.

use ndarray::{Array, Array3, Array4, Axis, Dimension, Ix3, array, s};
use wengert::gradcheck::GradCheck;
use wengert::{Conv, Dual, Interpolation, Pool, Tape, Tensor};

use super::{check, fill};
use crate::support::panics::message_of;

/// The name of the options and the shape of the kernel.
const SIGNALS: [(&str, [usize; 3]); 8] = [
    ("plain", [6, 4, 3]),
    ("stride 2", [6, 4, 3]),
    ("padding 2", [6, 4, 3]),
    ("dilation 2", [6, 4, 3]),
    ("stride 4 padding 1", [6, 4, 3]),
    ("groups 2", [6, 2, 3]),
    ("depthwise", [4, 1, 2]),
    ("size 1", [2, 4, 1]),
];

fn signal_options(name: &str) -> Conv<1> {
    match name {
        "stride 2" => Conv::new().stride(2),
        "padding 2" => Conv::new().padding(2),
        "dilation 2" => Conv::new().dilation(2),
        "stride 4 padding 1" => Conv::new().stride(4).padding(1),
        "groups 2" => Conv::new().groups(2).padding(1),
        "depthwise" => Conv::new().groups(4),
        _ => Conv::new(),
    }
}

const IMAGES: [(&str, [usize; 4]); 8] = [
    ("plain", [3, 2, 3, 2]),
    ("stride 2 padding 1", [3, 2, 3, 2]),
    ("uneven", [3, 2, 3, 2]),
    ("stride 3 size 2", [3, 2, 2, 2]),
    ("groups 2", [4, 1, 3, 3]),
    ("size 1", [3, 2, 1, 1]),
    ("size 1 stride 2", [3, 2, 1, 1]),
    ("whole image", [3, 2, 5, 6]),
];

fn image_options(name: &str) -> Conv<2> {
    match name {
        "stride 2 padding 1" => Conv::new().stride(2).padding(1),
        "uneven" => Conv::new().stride([1, 3]).padding([2, 0]).dilation([2, 1]),
        "stride 3 size 2" => Conv::new().stride(3),
        "groups 2" => Conv::new().groups(2).padding(1),
        "size 1 stride 2" => Conv::new().stride(2),
        _ => Conv::new(),
    }
}

#[test]
fn convolutions_as_pytorch() {
    for (name, shape) in SIGNALS {
        let (tape, x, w) = (Tape::new(), fill((2, 4, 7), 1), fill(shape, 2));
        let (x, w) = (tape.tensor(&x), tape.tensor(&w));
        check(&format!("conv1d {name}"), x.conv1d(w, signal_options(name)), [("x", x), ("w", w)]);
    }
    for (name, shape) in IMAGES {
        let (tape, x, w) = (Tape::new(), fill((2, 2, 5, 6), 1), fill(shape, 2));
        let (x, w) = (tape.tensor(&x), tape.tensor(&w));
        check(&format!("conv2d {name}"), x.conv2d(w, image_options(name)), [("x", x), ("w", w)]);
    }
}

#[test]
fn pooling_as_pytorch() {
    let signals = fill((2, 3, 7), 1);
    for (name, pool) in [
        ("side by side", Pool::new(2)),
        ("overlapping", Pool::new(3).stride(2).padding(1)),
        ("apart", Pool::new(2).stride(3)),
        ("whole", Pool::new(7)),
    ] {
        let tape = Tape::new();
        let x = tape.tensor(&signals);
        check(&format!("max_pool1d {name}"), x.max_pool1d(pool), [("x", x)]);
        check(&format!("avg_pool1d {name}"), x.avg_pool1d(pool), [("x", x)]);
    }
    let images = fill((2, 2, 5, 6), 1);
    for (name, pool) in [
        ("side by side", Pool::new(2)),
        ("overlapping", Pool::new(3).stride(2).padding(1)),
        ("uneven", Pool::new([2, 3]).stride([1, 2]).padding([1, 0])),
    ] {
        let tape = Tape::new();
        let x = tape.tensor(&images);
        check(&format!("max_pool2d {name}"), x.max_pool2d(pool), [("x", x)]);
        check(&format!("avg_pool2d {name}"), x.avg_pool2d(pool), [("x", x)]);
        let real = x.avg_pool2d(pool.without_padding_in_mean());
        check(&format!("avg_pool2d without padding {name}"), real, [("x", x)]);
    }
}

#[test]
fn transposed_convolutions_as_pytorch() {
    for (name, shape, conv) in [
        ("plain", [4, 3, 3], Conv::new()),
        ("stride 2", [4, 3, 3], Conv::new().stride(2).padding(1).output_padding(1)),
        ("dilation 2", [4, 3, 3], Conv::new().dilation(2).padding(3).output_padding(1)),
        ("stride 3 size 2", [4, 3, 2], Conv::new().stride(3)),
        ("groups 2", [4, 2, 3], Conv::new().groups(2).stride(2)),
        ("size 1", [4, 2, 1], Conv::new()),
    ] {
        let (tape, x, w) = (Tape::new(), fill((2, 4, 5), 1), fill(shape, 2));
        let (x, w) = (tape.tensor(&x), tape.tensor(&w));
        check(&format!("conv_transpose1d {name}"), x.conv_transpose1d(w, conv), [("x", x), ("w", w)]);
    }
    let uneven = Conv::new().stride([1, 3]).padding([2, 0]).dilation([2, 1]).output_padding([1, 2]);
    for (name, shape, conv) in [
        ("plain", [2, 3, 3, 2], Conv::new()),
        ("uneven", [2, 3, 3, 2], uneven),
        ("groups 2", [2, 2, 3, 3], Conv::new().groups(2).stride(2).padding(1)),
        ("size 1", [2, 3, 1, 1], Conv::new()),
    ] {
        let (tape, x, w) = (Tape::new(), fill((2, 2, 4, 3), 1), fill(shape, 2));
        let (x, w) = (tape.tensor(&x), tape.tensor(&w));
        check(&format!("conv_transpose2d {name}"), x.conv_transpose2d(w, conv), [("x", x), ("w", w)]);
    }
}

#[test]
fn adaptive_pooling_as_pytorch() {
    let (signals, images) = (fill((2, 3, 7), 1), fill((2, 2, 5, 6), 1));
    for len in [1, 3, 7, 9] {
        let tape = Tape::new();
        let x = tape.tensor(&signals);
        check(&format!("adaptive_max_pool1d {len}"), x.adaptive_max_pool1d(len), [("x", x)]);
        check(&format!("adaptive_avg_pool1d {len}"), x.adaptive_avg_pool1d(len), [("x", x)]);
    }
    for [rows, columns] in [[1, 1], [3, 4], [5, 2], [7, 6]] {
        let tape = Tape::new();
        let x = tape.tensor(&images);
        let (largest, mean) = (x.adaptive_max_pool2d([rows, columns]), x.adaptive_avg_pool2d([rows, columns]));
        check(&format!("adaptive_max_pool2d {rows} {columns}"), largest, [("x", x)]);
        check(&format!("adaptive_avg_pool2d {rows} {columns}"), mean, [("x", x)]);
    }
}

#[test]
fn upsampling_as_pytorch() {
    let (signals, images) = (fill((2, 3, 5), 1), fill((2, 2, 4, 3), 1));
    for interpolation in [Interpolation::Nearest, Interpolation::Linear, Interpolation::AlignedCorners] {
        for len in [1, 3, 8] {
            let tape = Tape::new();
            let x = tape.tensor(&signals);
            check(&format!("upsample1d {interpolation:?} {len}"), x.upsample1d(len, interpolation), [("x", x)]);
        }
        for [rows, columns] in [[8, 3], [4, 9], [1, 7]] {
            let tape = Tape::new();
            let x = tape.tensor(&images);
            let y = x.upsample2d([rows, columns], interpolation);
            check(&format!("upsample2d {interpolation:?} {rows} {columns}"), y, [("x", x)]);
        }
    }
}

/// An element without weight is not read, so that no NaN comes of an infinite one; the same size is the input itself.
#[test]
fn upsampling_at_special_points() {
    let signal = array![[[1.0, f64::INFINITY, f64::NAN, 2.0]]];
    let tape = Tape::new();
    let x = tape.tensor(&signal);
    let y = x.upsample1d(7, Interpolation::AlignedCorners);
    let want = [1.0, f64::INFINITY, f64::INFINITY, f64::NAN, f64::NAN, f64::NAN, 2.0];
    assert!(y.value().iter().zip(want).all(|(y, want)| *y == want || y.is_nan() && want.is_nan()), "{:?}", y.value());
    let corner = y.at([0, 0, 6]) + y.at([0, 0, 0]) * f64::INFINITY;
    let gradient = corner.backward().wrt(x);
    assert_eq!(gradient, array![[[f64::INFINITY, 0.0, 0.0, 1.0]]]);
    assert_eq!(x.upsample1d(4, Interpolation::Linear).at([0, 0, 3]).value(), 2.0);
    let one = x.slice(s![.., .., ..1]);
    assert_eq!(one.upsample1d(3, Interpolation::Linear).value(), array![[[1.0, 1.0, 1.0]]]);
    assert!(x.upsample1d(0, Interpolation::Nearest).is_empty());
    let none = tape.zeros((2, 0, 0, 3));
    assert_eq!(none.upsample2d([0, 5], Interpolation::Nearest).shape(), [2, 0, 0, 5]);
    let message = message_of(|| none.upsample2d(2, Interpolation::Nearest));
    assert!(message.contains("upsample2d: axis 2 of shape [2, 0, 0, 3] has no elements for 2 results"), "{message}");
}

/// The convolution by its definition, element by element.
fn by_definition(x: &Array4<f64>, w: &Array4<f64>, stride: usize, padding: usize) -> Array4<f64> {
    let (samples, _, height, width) = x.dim();
    let (outputs, channels, rows, columns) = w.dim();
    let places = |len: usize, size: usize| (len + 2 * padding - size) / stride + 1;
    Array4::from_shape_fn((samples, outputs, places(height, rows), places(width, columns)), |(n, o, i, j)| {
        let mut sum = 0.0;
        for ((c, k, l), &weight) in w.index_axis(Axis(0), o).indexed_iter() {
            assert!(c < channels);
            let (y, x_) = ((i * stride + k).wrapping_sub(padding), (j * stride + l).wrapping_sub(padding));
            sum += weight * x.get((n, c, y, x_)).copied().unwrap_or(0.0);
        }
        sum
    })
}

/// Sizes that are computed in blocks of many samples, or of some rows of one sample, which small cases do not
/// reach. The operation is linear in each operand, so the value by definition and ⟨dy, y⟩ = ⟨dx, x⟩ = ⟨dw, w⟩ are
/// enough.
#[test]
fn convolutions_in_blocks() {
    for (samples, channels, size, outputs, stride) in
        [(70, 3, 8, 5, 1), (9, 8, 13, 4, 2), (2, 12, 40, 3, 1), (1, 40, 31, 2, 2)]
    {
        let x = fill((samples, channels, size, size), 1);
        let w = fill((outputs, channels, 3, 3), 2);
        let tape = Tape::new();
        let (a, b) = (tape.tensor(&x), tape.tensor(&w));
        let y = a.conv2d(b, Conv::new().padding(1).stride(stride));
        let want = by_definition(&x, &w, stride, 1);
        assert!((&y.value() - &want).iter().all(|d| d.abs() < 1e-11));
        let dy = fill(y.dim(), 5);
        let loss = (y * tape.constant(dy)).sum();
        let gradient = loss.backward();
        for linear in [(&gradient.wrt(a) * &x).sum(), (&gradient.wrt(b) * &w).sum()] {
            assert!((linear - loss.value()).abs() < 1e-9 * samples as f64, "{linear} {}", loss.value());
        }
    }
}

/// Operands that are views of other layouts give the results of copies.
#[test]
fn operands_that_are_views() {
    let (x, w) = (fill((6, 7, 5, 3), 1), fill((2, 3, 6, 8), 2));
    let run = |tape: &Tape<f64>, copied: bool| -> Vec<f64> {
        let (a, b) = (tape.tensor(&x), tape.tensor(&w));
        let (mut u, mut v) =
            (a.slice(s![..;-2, 1..6, .., ..]).permuted_axes([0, 3, 2, 1]), b.t().slice(s![..4, 1..4, .., ..]));
        if copied {
            (u, v) = (u.as_standard_layout(), v.as_standard_layout());
        }
        let y = u.conv2d(v.slice(s![.., .., .., ..2]), Conv::new().padding([3, 0]));
        let z = u.max_pool2d(2).sum() + u.avg_pool2d(3).square().sum();
        let gradient = (y.square().sum() + z).backward();
        gradient.wrt(a).into_iter().chain(gradient.wrt(b)).collect()
    };
    let (got, want) = (run(&Tape::new(), false), run(&Tape::new(), true));
    assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-10));
    assert!(want.iter().any(|d| *d != 0.0));
}

/// Input and kernel share slots, so the gradient adds both parts.
#[test]
fn an_input_that_is_its_own_kernel() {
    let x = fill((2, 2, 3, 3), 1);
    let report = GradCheck::new().check_tensor(|x| x.conv2d(x, Conv::new().padding(1)).sin().sum(), &x).unwrap();
    assert_eq!(report.entries.len(), 36);
}

#[test]
fn ties_share_the_cotangent() {
    let tape = Tape::new();
    let data = array![[[[1.0, 1.0, 0.0], [1.0, 1.0, 2.0], [0.0, 0.0, 2.0]]]];
    let x = tape.tensor(&data);
    let y = x.max_pool2d(Pool::new(2).stride(1));
    assert_eq!(y.value(), array![[[[1.0, 2.0], [1.0, 2.0]]]]);
    let gradient = y.sum().backward().wrt(x);
    // Window by window: four share, one wins alone, two share, two share.
    assert_eq!(gradient, array![[[[0.25, 0.25, 0.0], [0.75, 0.75, 1.5], [0.0, 0.0, 0.5]]]]);
    assert_eq!(gradient.sum(), 4.0);
    // A NaN wins; a window that has none is not touched by it.
    let nan = array![[[f64::NAN, 3.0, 1.0, 2.0]]];
    let x = tape.tensor(&nan);
    let y = x.max_pool1d(2);
    assert!(y.value()[[0, 0, 0]].is_nan() && y.value()[[0, 0, 1]] == 2.0);
    let gradient = y.sum().backward().wrt(x);
    assert!(gradient.iter().take(2).all(|g| g.is_nan()) && gradient.iter().skip(2).eq(&[0.0, 1.0]));
    assert_eq!(y.at([0, 0, 1]).backward().wrt(x), array![[[0.0, 0.0, 0.0, 1.0]]]);
}

#[test]
fn empty_batches_and_constants() {
    let (images, kernel) = (Array4::<f64>::zeros((0, 2, 5, 5)), fill((3, 2, 3, 3), 1));
    let tape = Tape::new();
    let (x, w) = (tape.tensor(&images), tape.tensor(&kernel));
    let y = x.conv2d(w, Conv::new());
    assert_eq!(y.shape(), [0, 3, 3, 3]);
    assert_eq!(y.max_pool2d(2).shape(), [0, 3, 1, 1]);
    assert_eq!(y.avg_pool2d(2).shape(), [0, 3, 1, 1]);

    let images = fill((2, 2, 5, 5), 1);
    let (x, before) = (tape.constant(&images), tape.len());
    let y = x.conv2d(tape.constant(&kernel), Conv::new());
    assert!(y.is_constant() && y.max_pool2d(2).is_constant() && y.avg_pool2d(2).is_constant());
    assert_eq!(tape.len(), before);
    // A constant input changes nothing in the gradient of the kernel.
    let [constant, input] =
        [x, tape.tensor(&images)].map(|x| x.conv2d(w, Conv::new()).square().sum().backward().wrt(w));
    assert_eq!(constant, input);
}

/// The tangent through convolution and pooling against a central difference.
#[test]
fn dual_numbers() {
    type Number = Dual<f64>;
    let (x, dx, w) = (fill((2, 4, 7), 1), fill((2, 4, 7), 3), fill((6, 4, 3), 2));
    let loss = |tape: &Tape<f64>, x: &Array3<f64>| {
        let y = tape.tensor(x).conv1d(tape.constant(&w), Conv::new().padding(1));
        (y.max_pool1d(2).sum() + y.avg_pool1d(2).square().sum()).value()
    };
    let h = 1e-6;
    let difference = (loss(&Tape::new(), &(&x + &(h * &dx))) - loss(&Tape::new(), &(&x - &(h * &dx)))) / (2.0 * h);
    let tape = Tape::<Number>::new();
    let duals = Array::from_shape_fn(x.dim(), |i| Number::new(x[i], [dx[i]]));
    let y = tape.tensor(&duals).conv1d(tape.constant(&w), Conv::new().padding(1));
    let tangent = (y.max_pool1d(2).sum() + y.avg_pool1d(2).square().sum()).value().tangents()[0];
    assert!((tangent - difference).abs() < 1e-7, "{tangent} {difference}");
}

#[test]
fn misuse_says_what_and_why() {
    let tape = Tape::<f64>::new();
    let (signals, images) = (Array3::<f64>::zeros((2, 3, 4)), Array4::<f64>::zeros((2, 3, 4, 4)));
    let (x, z) = (tape.tensor(&signals), tape.tensor(&images));
    let kernel = |channels, size| tape.constant(Array3::<f64>::zeros((6, channels, size)));
    let says = |message: String, parts: &[&str]| {
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    says(
        message_of(|| x.conv1d(kernel(3, 5), Conv::new())),
        &["conv1d", "window of 5", "into 4", "[2, 3, 4]", "padding 0", "see `padding`"],
    );
    says(message_of(|| x.conv1d(kernel(3, 3), Conv::new().dilation(3))), &["window of 3 with dilation 3"]);
    says(message_of(|| x.conv1d(kernel(2, 3), Conv::new())), &["conv1d", "[2, 3, 4]", "[6, 2, 3]", "3 channels"]);
    says(message_of(|| x.conv1d(kernel(3, 3), Conv::new().groups(4))), &["4 groups"]);
    says(message_of(|| z.max_pool2d(5)), &["max_pool2d", "5 x 5", "4 x 4"]);
    says(message_of(|| x.avg_pool1d(5)), &["avg_pool1d", "window of 5"]);
    says(message_of(|| z.conv2d(tape.constant(Array4::<f64>::zeros((1, 3, 0, 1))), Conv::new())), &["window of 0 x 1"]);
    let (transposed, wide) = (tape.constant(Array3::<f64>::zeros((3, 2, 3))), Conv::new().padding(3));
    says(message_of(|| x.conv1d(kernel(3, 3), Conv::new().output_padding(1))), &["conv1d", "output padding of 1"]);
    says(message_of(|| x.conv_transpose1d(kernel(3, 3), Conv::new())), &["conv_transpose1d", "[2, 3, 4]", "[6, 3, 3]"]);
    says(message_of(|| x.conv_transpose1d(transposed, Conv::new().groups(2))), &["split into 2 groups"]);
    says(message_of(|| x.conv_transpose1d(transposed, wide)), &["nothing is left", "padding 3"]);
    says(
        message_of(|| x.conv_transpose1d(transposed, Conv::new().stride(2).output_padding(2))),
        &["output padding 2 is not less than the stride 2 or the dilation 1"],
    );
    says(
        message_of(|| tape.zeros((1, 1, 0)).adaptive_max_pool1d(2)),
        &["adaptive_max_pool1d", "[1, 1, 0]", "2 windows"],
    );
    says(message_of(|| Conv::<2>::new().stride([1, 0])), &["Conv::stride", "1 x 0"]);
    says(message_of(|| Conv::<1>::new().dilation(0)), &["Conv::dilation"]);
    says(message_of(|| Conv::<1>::new().groups(0)), &["Conv::groups"]);
    says(message_of(|| Pool::<1>::new(0)), &["Pool::new"]);
    says(message_of(|| Pool::<2>::new(3).padding([1, 2])), &["Pool::padding", "1 x 2", "half", "3 x 3"]);
    let other = Tape::new();
    let foreign = Array3::<f64>::zeros((6, 3, 3));
    says(message_of(|| x.conv1d(other.tensor(&foreign), Conv::new())), &["tape"]);
}

/// A convolution with padding is the convolution of the padded tensor.
#[test]
fn padding_is_that_of_pad() {
    fn value<D: Dimension>(x: Tensor<'_, f64, D>) -> Array<f64, D> {
        x.value().to_owned()
    }
    let (x, w) = (fill((2, 4, 7), 1), fill((6, 4, 3), 2));
    let tape = Tape::new();
    let (x, w): (Tensor<'_, f64, Ix3>, _) = (tape.tensor(&x), tape.tensor(&w));
    let padded = x.pad(&[(0, 0), (0, 0), (2, 2)], 0.0);
    let difference = value(x.conv1d(w, Conv::new().padding(2))) - value(padded.conv1d(w, Conv::new()));
    assert!(difference.iter().all(|d| d.abs() < 1e-14));
}
