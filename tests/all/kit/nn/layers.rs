//! Layers against PyTorch, and the gradients of their weights against differences.

use ndarray::{Array, Array2, Array3, Dimension, Ix2, Ix3, array, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::gradcheck::{GradCheck, Verdict};
use wengert::nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AttentionMask, BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d,
    Dropout, Embedding, Flatten, GroupNorm, KeyValueCache, Layer, LayerNorm, Linear, LstmCell, Map, MaxPool2d, Mode,
    MultiHeadAttention, Relu, RmsNorm, Tanh, Upsample1d, Upsample2d, attention,
};
use wengert::{Conv, Interpolation, Params, ParamsOn, Tape, Tensor};

use super::{assert_as_torch, check, fill, fill_params};
use crate::support::close::assert_close;
use crate::support::panics::message_of;

pub(super) fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Checks the gradient of Σ sin y by every weight. Some weights have no effect (a bias before a batch norm, the
/// bias of keys); their gradient is rounding, which the absolute tolerance admits.
#[track_caller]
pub(super) fn check_layer<D: Dimension>(
    params: &Params<f64>,
    layer: impl for<'t> Fn(ParamsOn<'t, '_, f64>) -> Tensor<'t, f64, D>,
) {
    let check = GradCheck::new().absolute_tolerance(1e-13);
    let report = check.check_params(params, |p| layer(p).sin().sum()).unwrap();
    assert_eq!((report.verdict(), report.entries.len()), (Verdict::Agrees, params.len()), "{report}");
}

#[test]
fn linear_and_convolution() {
    let mut params = Params::new();
    let linear = Linear::new(&mut params, "linear", 3, 2, &mut rng());
    let bare = Linear::without_bias(&mut params, "bare", 2, 2, &mut rng());
    let signal = Conv1d::new(&mut params, "signal", 2, 4, 3, Conv::new().padding(1).groups(2), &mut rng());
    let image = Conv2d::new(&mut params, "image", 1, 2, [2, 3], Conv::new().stride(2), &mut rng());
    let plain = Conv2d::without_bias(&mut params, "plain", 2, 1, 1, Conv::new(), &mut rng());
    let names: Vec<_> = params.iter().map(|weight| (weight.name.to_owned(), weight.shape.to_vec())).collect();
    let want: [(&str, &[usize]); 8] = [
        ("linear.weight", &[3, 2]),
        ("linear.bias", &[2]),
        ("bare.weight", &[2, 2]),
        ("signal.weight", &[4, 1, 3]),
        ("signal.bias", &[4]),
        ("image.weight", &[2, 1, 2, 3]),
        ("image.bias", &[2]),
        ("plain.weight", &[1, 2, 1, 1]),
    ];
    assert!(names.iter().map(|(name, shape)| (&name[..], &shape[..])).eq(want), "{names:?}");
    let (x, u, v) = (fill((2, 4, 3), 1), fill((2, 2, 5), 2), fill((2, 1, 4, 7), 3));
    check_layer(&params, |p| {
        let a = bare.forward(p, linear.forward(p, p.constant(x.clone()))).mean();
        let b = signal.forward(p, p.constant(u.clone())).tanh().mean();
        plain.forward(p, image.forward(p, p.constant(v.clone()))) * (a + b)
    });

    // Any number of leading axes.
    let tape = Tape::new();
    let p = params.on(&tape);
    let rows = linear.forward(p, p.constant(x.to_shape((8, 3)).unwrap().to_owned()));
    assert_eq!(linear.forward(p, p.constant(&x)).value().into_shape_with_order((8, 2)).unwrap(), rows.value());
    let row = array![1.0, 2.0, 3.0];
    assert_eq!(linear.forward(p, p.constant(&row)).shape(), [2]);
    let none = Array3::<f64>::zeros((0, 4, 3));
    assert_eq!(linear.forward(p, p.constant(&none)).shape(), [0, 4, 2]);
    let message = message_of(|| linear.forward(p, p.constant(Array2::<f64>::zeros((5, 4)))));
    assert!(["linear.weight", "length 3", "[5, 4]", "[3, 2]"].iter().all(|part| message.contains(part)), "{message}");
    let message = message_of(|| {
        Conv1d::new(&mut Params::<f64>::new(), "conv", 3, 4, 3, Conv::new().groups(2), &mut rng());
    });
    assert!(message.contains("conv: 3 inputs and 4 outputs do not split into 2 groups"), "{message}");
}

/// The bounds of PyTorch's documentation of `Linear`, `Conv2d`, `RNNCell` and `MultiheadAttention`.
#[test]
fn initial_values() {
    let mut params = Params::<f64>::new();
    let rng = &mut rng();
    Linear::new(&mut params, "linear", 16, 50, rng);
    Conv2d::new(&mut params, "conv", 8, 20, 3, Conv::new().groups(2), rng);
    LstmCell::new(&mut params, "lstm", 3, 25, rng);
    let attention = MultiHeadAttention::new(&mut params, "attention", 24, 4, rng);
    let embedding = Embedding::new(&mut params, "embedding", 100, 20, rng);
    let reaches = |name: &str, bound: f64| {
        for weight in params.iter().filter(|weight| weight.name.starts_with(name)) {
            let largest = params.values()[weight.range].iter().fold(0.0_f64, |a, x| a.max(x.abs()));
            assert!(largest <= bound && largest > 0.85 * bound, "{}: {largest}, not {bound}", weight.name);
        }
    };
    reaches("linear", 0.25);
    reaches("conv", 1.0 / 6.0);
    reaches("lstm", 0.2);
    reaches("attention.in_proj_weight", (6.0_f64 / 96.0).sqrt());
    reaches("attention.out_proj.weight", 24.0_f64.sqrt().recip());
    assert!(params.view(attention.in_bias).iter().all(|b| *b == 0.0));
    assert!(params.view(attention.out.bias.unwrap()).iter().all(|b| *b == 0.0));
    // 2000 standard normals: mean and variance within four standard errors.
    let table = params.view(embedding.weight);
    assert!(table.mean().unwrap().abs() < 4.0 / 2000.0_f64.sqrt());
    assert!((table.var(0.0) - 1.0).abs() < 4.0 * (2.0 / 2000.0_f64).sqrt());
}

#[test]
fn embedding() {
    let mut params = Params::<f64>::new();
    let table = Embedding::new(&mut params, "table", 4, 2, &mut rng());
    let tape = Tape::new();
    let p = params.on(&tape);
    let pairs = array![[3, 0, 3], [1, 1, 3]];
    let y = table.forward(p, &pairs);
    assert_eq!(y.shape(), [2, 3, 2]);
    let gradient = y.sum().backward().wrt(p.flat());
    assert_eq!(gradient, array![1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 3.0, 3.0]);
    // Slices, vectors, and arrays that are not contiguous.
    let turned = table.forward(p, &pairs.t());
    assert_eq!(turned.value(), y.swap_axes(0, 1).value());
    let row = y.index_axis(ndarray::Axis(0), 0);
    for same in [table.forward(p, &[3, 0, 3]), table.forward(p, &vec![3, 0, 3]), table.forward(p, &[3, 0, 3][..])] {
        assert_eq!(same.value(), row.value());
    }
    assert!(message_of(|| table.forward(p, &[4])).contains('4'));
}

/// The vector of a padding index keeps its value and gets no gradient.
#[test]
fn embedding_with_padding() {
    let mut params = Params::<f64>::new();
    let table = Embedding::new(&mut params, "table", 3, 2, &mut rng()).padding(&mut params, 1);
    assert_eq!(params.view(table.weight).row(1), array![0.0, 0.0]);
    params.view_mut(table.weight).row_mut(1).assign(&array![5.0, 7.0]);
    let sentences = array![[1, 2, 2], [0, 1, 1]];
    let dual = params.with_tangents(&[1.0; 6]);
    let mut tape = Tape::new();
    let (loss, gradient) = tape.value_and_grad(&dual, |p| table.forward(p, &sentences).square().sum());
    let numbers = params.values();
    let want: Vec<f64> = (0..6).map(|i| [2.0, 0.0, 4.0][i / 2] * numbers[i]).collect();
    let gradients: Vec<_> = gradient.iter().map(|g| g.primal()).collect();
    assert_close("gradient", &gradients, &want, 1e-15);
    // The vector of the padding is a constant to every order.
    let tangents: Vec<_> = gradient.iter().map(|g| g.tangents()[0]).collect();
    assert_eq!(tangents, [2.0, 2.0, 0.0, 0.0, 4.0, 4.0]);
    let squares = |row: usize| numbers[2 * row].powi(2) + numbers[2 * row + 1].powi(2);
    assert_close("loss", [&loss.primal()], &[squares(0) + 3.0 * squares(1) + 2.0 * squares(2)], 1e-14);
    let tape = Tape::new();
    let p = params.on(&tape);
    assert_eq!(table.forward(p, &[1]).value(), array![[5.0, 7.0]]);
    let message = message_of(|| {
        let mut params = Params::<f64>::new();
        let _ = Embedding::new(&mut params, "table", 3, 2, &mut rng()).padding(&mut params, 3);
    });
    assert!(message.contains("Embedding::padding: index 3 is not below the number of entries, 3"), "{message}");
}

#[test]
fn transposed_convolution() {
    let mut params = Params::new();
    let signal = ConvTranspose1d::new(&mut params, "signal", 4, 6, 3, Conv::new().stride(2).groups(2), &mut rng());
    let image = ConvTranspose2d::without_bias(
        &mut params,
        "image",
        2,
        3,
        [2, 3],
        Conv::new().stride([1, 2]).padding(1).output_padding([0, 1]),
        &mut rng(),
    );
    assert_eq!(params.view(signal.weight).shape(), [4, 3, 3]);
    assert_eq!(params.view(signal.bias.unwrap()).len(), 6);
    assert_eq!(params.view(image.weight).shape(), [2, 3, 2, 3]);
    // PyTorch's bound, 1/√(outputs / groups · size).
    let largest = params.view(signal.weight).iter().fold(0.0_f64, |a: f64, x: &f64| a.max(x.abs()));
    assert!(largest <= 1.0 / 3.0 && largest > 0.85 / 3.0, "{largest}");
    let (u, v) = (fill((2, 4, 3), 1), fill((2, 2, 3, 3), 2));
    check_layer(&params, |p| {
        let scale = signal.forward(p, p.constant(u.clone())).tanh().mean();
        image.forward(p, p.constant(v.clone())) * scale
    });
}

/// Pools and upsampling in a tuple.
#[test]
fn layers_of_windows() {
    let params = Params::<f64>::new();
    let tape = Tape::new();
    let p = params.on(&tape);
    let (signals, images) = (fill((2, 3, 7), 1), fill((2, 3, 4, 6), 1));
    let (x, z) = (tape.constant(&signals), tape.constant(&images));
    let net = (AdaptiveAvgPool1d::new(3), Upsample1d::new(2, Interpolation::Linear));
    let want = x.adaptive_avg_pool1d(3).upsample1d(6, Interpolation::Linear);
    assert_eq!(net.forward(p, x, &mut Mode::eval()).value(), want.value());
    let net = (AdaptiveAvgPool2d::new([2, 3]), Upsample2d::new([3, 1], Interpolation::Nearest));
    let want = z.adaptive_avg_pool2d([2, 3]).upsample2d([6, 3], Interpolation::Nearest);
    assert_eq!(net.forward(p, z, &mut Mode::eval()).value(), want.value());
    assert!(message_of(|| Upsample2d::new([1, 0], Interpolation::Nearest)).contains("Upsample2d: 1 x 0 is given"));
}

#[track_caller]
fn check_group_norm<D: Dimension + 'static>(
    name: &str,
    groups: usize,
    shape: impl ndarray::IntoDimension<Dim = D> + Copy,
) {
    let mut params = Params::new();
    let norm = GroupNorm::new(&mut params, "norm", groups, 4);
    assert!(params.values().iter().eq([1.0; 4].iter().chain(&[0.0; 4])));
    fill_params(&mut params);
    let (tape, x) = (Tape::new(), fill(shape, 1));
    let (p, x) = (params.on(&tape), tape.tensor(&x));
    check(name, norm.forward(p, x), [("x", x)]);
    let x = fill(shape, 1);
    check_layer(&params, |p| norm.forward(p, p.constant(x.clone())));
}

#[test]
fn group_norm_as_pytorch() {
    check_group_norm("group_norm 1 of 2 axes", 1, (2, 4));
    check_group_norm("group_norm 2 of 3 axes", 2, (2, 4, 3));
    check_group_norm("group_norm 2 of 4 axes", 2, (2, 4, 2, 3));
    check_group_norm("group_norm 4 of 3 axes", 4, (2, 4, 3));
    check_group_norm("instance_norm", 4, (2, 4, 3));

    let mut params = Params::<f64>::new();
    let norm = GroupNorm::new(&mut params, "norm", 2, 4);
    let tape = Tape::new();
    let p = params.on(&tape);
    assert!(norm.forward(p, p.zeros((0, 4, 3))).is_empty());
    assert!(norm.forward(p, p.zeros((2, 4, 0))).is_empty());
    assert!(norm.forward(p, p.ones((1, 4))).value().iter().all(|y| *y == 0.0));
    let message = message_of(|| norm.forward(p, p.zeros((2, 3, 4))));
    assert!(["norm.weight", "axis 1", "length 4", "[2, 3, 4]"].iter().all(|part| message.contains(part)), "{message}");
    let single = GroupNorm::new(&mut params, "single", 4, 4);
    let p = params.on(&tape);
    let message = message_of(|| single.forward(p, p.ones((3, 4))));
    assert!(
        ["single.weight", "more than one element", "[3, 4]"].iter().all(|part| message.contains(part)),
        "{message}"
    );
    assert!(single.forward(p, p.ones((0, 4))).is_empty());
    for groups in [0, 3] {
        let message = message_of(|| _ = GroupNorm::new(&mut Params::<f64>::new(), "norm", groups, 4));
        assert!(message.contains(&format!("norm: 4 channels do not split into {groups} groups")), "{message}");
    }
}

#[test]
fn norms_as_pytorch() {
    let mut params = Params::new();
    let layer = LayerNorm::new(&mut params, "layer", 5);
    let rms = RmsNorm::new(&mut params, "rms", 5);
    assert!(params.values().iter().eq([1.0; 5].iter().chain(&[0.0; 5]).chain(&[1.0; 5])));
    fill_params(&mut params);
    params.view_mut(rms.weight).assign(&fill(5, 0));
    let (x, tape) = (fill((3, 2, 5), 1), Tape::new());
    let (p, x) = (params.on(&tape), tape.tensor(&x));
    check("layer_norm", layer.forward(p, x), [("x", x)]);
    check("rms_norm", rms.forward(p, x), [("x", x)]);
    let x = fill((3, 2, 5), 1);
    check_layer(&params, |p| rms.forward(p, layer.forward(p, p.constant(x.clone()))));
    let message = message_of(|| layer.forward(p, p.constant(Array2::<f64>::zeros((5, 4)))));
    assert!(["layer.weight", "length 5", "[5, 4]"].iter().all(|part| message.contains(part)), "{message}");
    let empty = Array2::<f64>::zeros((0, 5));
    assert!(layer.forward(p, p.constant(&empty)).is_empty());
}

#[test]
fn norms_of_views() {
    let x = fill((4, 3, 5), 1);
    for axes in [[0, 2, 1], [2, 1, 0], [1, 2, 0]] {
        let loss = |x: Tensor<'_, f64, Ix3>| -> f64 {
            let y = x.layer_norm(1e-3) * x.rms_norm(0.1);
            (y.sin().sum()).value()
        };
        let (tape, view) = (Tape::new(), x.view().permuted_axes(axes));
        let (copy, x) = (view.as_standard_layout().into_owned(), tape.tensor(&x));
        let y = loss(x.permuted_axes(axes));
        assert!((y - loss(tape.tensor(&copy))).abs() < 1e-12);
    }
    let report = GradCheck::new()
        .check_tensor(|x| (x.t().layer_norm(1e-3) * x.t().rms_norm(0.1)).sin().sum(), &fill((4, 3), 1))
        .unwrap();
    assert_eq!(report.verdict(), Verdict::Agrees, "{report}");
    let message = message_of(|| {
        let tape = Tape::<f64>::new();
        let zero = ndarray::arr0(0.0);
        tape.tensor(&zero).layer_norm(0.0).value().sum();
    });
    assert!(message.contains("layer_norm"));
}

#[track_caller]
fn check_batch_norm<D: Dimension + 'static>(name: &str, shape: impl ndarray::IntoDimension<Dim = D> + Copy) {
    let mut params = Params::new();
    let norm = BatchNorm::new(&mut params, "norm", 3);
    assert!(params.values().iter().eq(&[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]));
    fill_params(&mut params);
    let mut train = Mode::train(0);
    let (tape, x) = (Tape::new(), fill(shape, 1));
    let (p, x) = (params.on(&tape), tape.tensor(&x));
    check(&format!("batch_norm {name}"), norm.forward(p, x, &mut train), [("x", x)]);
    let next = fill(shape, 2);
    let _ = norm.forward(p, tape.constant(&next), &mut train);
    train.update_buffers(&mut params);
    assert_as_torch(&format!("batch_norm {name} running_mean"), params.view(norm.running_mean));
    assert_as_torch(&format!("batch_norm {name} running_var"), params.view(norm.running_var));
    let (tape, x) = (Tape::new(), fill(shape, 3));
    let (p, x) = (params.on(&tape), tape.tensor(&x));
    check(&format!("batch_norm {name} eval"), norm.forward(p, x, &mut Mode::eval()), [("x", x)]);
    let x = fill(shape, 1);
    check_layer(&params, |p| norm.forward(p, p.constant(x.clone()), &mut Mode::train(0)));
    check_layer(&params, |p| norm.forward(p, p.constant(x.clone()), &mut Mode::eval()));
}

#[test]
fn batch_norm_as_pytorch() {
    check_batch_norm("rows", (4, 3));
    check_batch_norm("signals", (4, 3, 2));
    check_batch_norm("images", (2, 3, 2, 2));
    check_batch_norm("one sample", (1, 3, 4));
}

#[test]
fn attention_as_pytorch() {
    let mut params = Params::new();
    let all = MultiHeadAttention::new(&mut params, "attention", 4, 2, &mut rng());
    let causal = all.causal();
    fill_params(&mut params);
    let (tape, x, memory) = (Tape::new(), fill((2, 3, 4), 1), fill((2, 5, 4), 2));
    let (p, m) = (params.on(&tape), tape.tensor(&memory));
    let y = tape.tensor(&x);
    check("attention", all.forward(p, y), [("x", y)]);
    check("attention causal", causal.forward(p, y), [("x", y)]);
    check("attention to memory", all.forward_to(p, y, m, &AttentionMask::new()), [("x", y), ("m", m)]);

    // A token does not depend on later tokens.
    let loss = causal.forward(p, y).slice(s![.., ..2, ..]).square().sum();
    let gradient = loss.backward().wrt(y);
    assert!(gradient.slice(s![.., 2, ..]).iter().all(|d| *d == 0.0));
    assert!(gradient.slice(s![.., 1, ..]).iter().all(|d| *d != 0.0));

    check_layer(&params, |p| {
        let (x, memory) = (p.constant(x.clone()), p.constant(memory.clone()));
        all.forward_to(p, causal.forward(p, x), memory, &AttentionMask::new())
    });
    let message = message_of(|| MultiHeadAttention::new(&mut Params::<f64>::new(), "a", 4, 3, &mut rng()));
    assert!(message.contains("a: 3 heads do not divide"), "{message}");
    let message = message_of(|| attention(y, m.slice(s![.., .., ..3]), m, &AttentionMask::new()));
    assert!(["attention", "[2, 3, 4]", "[2, 5, 3]"].iter().all(|part| message.contains(part)), "{message}");
}

/// Masks of every kind together, against PyTorch; queries that see nothing; and the same with a cache.
#[test]
fn attention_with_masks() {
    let mut params = Params::new();
    let all = MultiHeadAttention::new(&mut params, "attention", 4, 2, &mut rng());
    fill_params(&mut params);
    let (tape, x, memory) = (Tape::new(), fill((2, 3, 4), 1), fill((2, 5, 4), 2));
    let (p, y, m) = (params.on(&tape), tape.tensor(&x), tape.tensor(&memory));
    let pairs = Array2::from_shape_fn((3, 5), |(i, j)| (5 * i + j) % 4 != 1);
    let mask = AttentionMask::new().causal().key_lengths(&[4, 2]).pairs(&pairs);
    check("attention masked", all.forward_to(p, y, m, &mask), [("x", y), ("m", m)]);
    check_layer(&params, |p| all.forward_to(p, p.constant(x.clone()), p.constant(memory.clone()), &mask));

    // The last sample is all padding, and holds numbers that are not finite; the first query of two sees no key.
    let mut data = fill((2, 3, 4), 1);
    data.slice_mut(s![1, .., ..]).fill(f64::NAN);
    let z = tape.tensor(&data);
    let values = fill((2, 3, 4), 3);
    let values = tape.tensor(&values);
    let result = attention(z, z, values, &AttentionMask::new().key_lengths(&[3, 0]));
    assert!(result.value().slice(s![1, .., ..]).iter().all(|&x| x == 0.0));
    let gradient = result.square().sum().backward();
    assert!(gradient.wrt(values).slice(s![1, .., ..]).iter().all(|&g| g == 0.0));
    let early = attention(m.slice(s![.., ..3, ..]), m.slice(s![.., ..2, ..]), m.slice(s![.., ..2, ..]), &mask_of_two());
    assert!(early.value().slice(s![.., 0, ..]).iter().all(|&x| x == 0.0));
    assert!(early.sum().backward().is_finite());

    let causal = all.causal();
    let whole = causal.forward(p, m);
    for pieces in [[1, 1, 3], [2, 2, 1], [4, 1, 0]] {
        let (mut cache, mut first) = (KeyValueCache::new(), 0);
        for n in pieces {
            let part = causal.forward_cached(p, m.slice(s![.., first..first + n, ..]), &mut cache);
            assert_close("cached", part.value(), whole.slice(s![.., first..first + n, ..]).value(), 1e-14);
            first += n;
        }
        assert_eq!(cache.len(), 5);
        cache.clear();
        let again = causal.forward_cached(p, m.slice(s![.., ..2, ..]), &mut cache);
        assert_close("cleared", again.value(), whole.slice(s![.., ..2, ..]).value(), 1e-14);
    }
    let mut cache = KeyValueCache::new();
    let message = message_of(|| all.forward_cached(p, m, &mut KeyValueCache::new()));
    assert!(message.contains("make it `causal`"), "{message}");
    let _ = causal.forward_cached(p, m, &mut cache);
    let message = message_of(|| causal.forward_cached(p, m.slice(s![..1, .., ..]), &mut cache.clone()));
    assert!(message.contains("do not continue a cache"), "{message}");
    let message = message_of(|| attention(m, m, m, &AttentionMask::new().key_lengths(&[6, 5])));
    assert!(message.contains("the lengths [6, 5]"), "{message}");
    let message = message_of(|| attention(m, m, m, &AttentionMask::new().pairs(&pairs)));
    assert!(message.contains("a mask of shape [3, 5] does not broadcast"), "{message}");
}

/// A causal mask; with fewer keys than queries the first queries come before every key.
fn mask_of_two() -> AttentionMask<'static> {
    AttentionMask::new().causal()
}

#[test]
fn a_chain_is_its_layers_one_by_one() {
    let mut params = Params::new();
    let conv = Conv2d::new(&mut params, "conv", 1, 2, 3, Conv::new().padding(1), &mut rng());
    let norm = BatchNorm::new(&mut params, "norm", 2);
    let out = Linear::new(&mut params, "out", 8, 3, &mut rng());
    let half = Map::new(|x| x * 0.5);
    let chain = (conv, norm, Relu, MaxPool2d::new(2), Flatten, (Dropout::new(0.5), out), Tanh, half);
    let images = fill((3, 1, 4, 4), 1);
    let by_hand = |p: ParamsOn<'_, '_, f64>, mode: &mut Mode<f64>| -> Array<f64, Ix2> {
        let x = norm.forward(p, conv.forward(p, p.constant(images.clone())), mode).relu();
        let x = Dropout::new(0.5).forward(x.max_pool2d(2).reshape((3, 8)), mode);
        (out.forward(p, x).tanh() * 0.5).value().to_owned()
    };
    let tape = Tape::new();
    let p = params.on(&tape);
    for mode in [|| Mode::train(3), Mode::eval] {
        let y = chain.forward(p, p.constant(&images), &mut mode());
        assert_eq!(y.value(), by_hand(p, &mut mode()));
    }
    check_layer(&params, |p| chain.forward(p, p.constant(images.clone()), &mut Mode::train(3)));
}
