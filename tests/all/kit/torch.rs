//! Files of weights that PyTorch wrote, against the results of its layers; `tests/oracle/torch_files.py` wrote both.

use ndarray::{Array, Array2, IntoDimension, Ix1};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::nn::{
    BatchNorm, Conv1d, Conv2d, Embedding, Gru, Layer, LayerNorm, Linear, Lstm, Mode, MultiHeadAttention, RmsNorm, Rnn,
    RnnCell,
};
use wengert::save::{Reader, SaveError, Stored, Writer};
use wengert::{Conv, Params, Tape};

use crate::support::close::assert_close;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/torch");

fn open(name: &str) -> Reader {
    Reader::open(format!("{FOLDER}/{name}.safetensors")).unwrap()
}

fn expected<T: std::str::FromStr>(name: &str) -> Vec<T> {
    let lines = include_str!("../../oracle/torch/results.txt").lines();
    let found = lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name);
    let Some((_, numbers)) = found else { panic!("the oracle knows no {name:?}") };
    numbers.split(' ').map(|number| number.parse().ok().unwrap()).collect()
}

/// An array of sin(seed + 1.7 i), as the oracle fills its own.
fn fill<F: Stored, Sh: IntoDimension>(shape: Sh, seed: usize) -> Array<F, Sh::Dim> {
    let mut i = 0;
    Array::from_shape_simple_fn(shape.into_dimension(), || {
        i += 1;
        F::lit((seed as f64 + 1.7 * f64::from(i - 1)).sin())
    })
}

struct Model {
    linear: Linear,
    square: Linear,
    conv1: Conv1d,
    conv2: Conv2d,
    embedding: Embedding,
    layer_norm: LayerNorm,
    rms_norm: RmsNorm,
    batch_norm: BatchNorm,
    rnn_cell: RnnCell,
    rnn: Rnn,
    gru: Gru,
    lstm: Lstm,
    attention: MultiHeadAttention,
}

impl Model {
    fn new<F: Stored>(params: &mut Params<F>) -> Self {
        let rng = &mut StdRng::seed_from_u64(0);
        Self {
            linear: Linear::new(params, "linear", 5, 3, rng),
            square: Linear::without_bias(params, "square", 4, 4, rng),
            conv1: Conv1d::new(params, "conv1", 2, 4, 3, Conv::new().groups(2), rng),
            conv2: Conv2d::new(params, "conv2", 2, 3, [3, 2], Conv::new(), rng),
            embedding: Embedding::new(params, "embedding", 6, 4, rng),
            layer_norm: LayerNorm::new(params, "layer_norm", 4),
            rms_norm: RmsNorm { epsilon: 1e-5, ..RmsNorm::new(params, "rms_norm", 4) },
            batch_norm: BatchNorm::new(params, "batch_norm", 3),
            rnn_cell: RnnCell::new(params, "rnn_cell", 3, 4, rng),
            rnn: Rnn::new(params, "rnn", 3, 4, 1, rng),
            gru: Gru::new(params, "gru", 3, 4, 1, rng),
            lstm: Lstm::new(params, "lstm", 3, 4, 1, rng),
            attention: MultiHeadAttention::new(params, "attention", 4, 2, rng),
        }
    }
}

fn check<F: Stored>(file: &str, of: &str, tolerance: f64) {
    let mut params = Params::<F>::new();
    let model = Model::new(&mut params);
    let file = open(file).pytorch();
    file.load(&mut params).unwrap();
    let tape = Tape::new();
    let p = params.on(&tape);
    let assert = |name: &str, got: Vec<F>| {
        let got: Vec<f64> = got.iter().map(|x| x.to_f64().unwrap()).collect();
        assert_close(name, &got, &expected::<f64>(&format!("{of} {name}")), tolerance);
    };
    macro_rules! assert {
        ($name:ident $y:expr) => {
            assert(stringify!($name), $y.value().iter().copied().collect())
        };
    }
    let (image, sequence, tokens) =
        (fill::<F, _>((2, 2, 4, 5), 1), fill::<F, _>((3, 2, 3), 2), fill::<F, _>((2, 3, 4), 3));
    let (image, sequence, tokens) = (p.constant(&image), p.constant(&sequence), p.constant(&tokens));
    assert!(linear model.linear.forward(p, p.constant(fill::<F, _>((2, 5), 0))));
    assert!(square model.square.forward(p, p.constant(fill::<F, _>((2, 4), 0))));
    assert!(conv1 model.conv1.forward(p, p.constant(fill::<F, _>((2, 2, 5), 0))));
    assert!(conv2 model.conv2.forward(p, image));
    assert!(embedding model.embedding.forward(p, &[4, 0, 4, 5]));
    assert!(layer_norm model.layer_norm.forward(p, tokens));
    assert!(rms_norm model.rms_norm.forward(p, tokens));
    assert!(batch_norm Layer::forward(&model.batch_norm, p, model.conv2.forward(p, image), &mut Mode::eval()));
    assert!(rnn_cell model.rnn_cell.forward(p, p.constant(fill::<F, _>((2, 3), 0)), p.constant(fill::<F, _>((2, 4), 4))));
    assert!(rnn model.rnn.forward(p, sequence, None, None).0);
    assert!(gru model.gru.forward(p, sequence, None, None).0);
    assert!(lstm model.lstm.forward(p, sequence, None, None).0);
    assert!(attention model.attention.forward(p, tokens));
}

#[test]
fn layers_compute_as_torch_does() {
    for (file, of) in [("layers", "f32"), ("layers_f16", "f16"), ("layers_bf16", "bf16")] {
        check::<f64>(file, of, 1e-14);
        check::<f32>(file, of, 1e-6);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut params = Params::<f32>::new();
    let model = Model::new(&mut params);
    let before = params.values().to_vec();
    // Without `pytorch` the first matrix has another shape.
    match open("layers").load_partial(&mut params).unwrap_err() {
        SaveError::Shape { tensor, expected, found, .. } => {
            assert_eq!((tensor.as_str(), expected, found), ("linear.weight", vec![5, 3], vec![3, 5]));
        }
        other => panic!("{other}"),
    }
    // Names of another program.
    match open("layers").pytorch().rename(|name| format!("model.{name}")).unwrap().load(&mut params).unwrap_err() {
        SaveError::Names { missing, unexpected, .. } => {
            assert_eq!(missing.len(), unexpected.len());
            assert_eq!(unexpected[0], "model.attention.in_proj_bias");
        }
        other => panic!("{other}"),
    }
    assert_eq!(params.values(), before);
    let error = open("layers").rename(|_| "w".into()).unwrap_err();
    assert_eq!(error.to_string(), "not a valid safetensors file: two of its tensors are renamed to \"w\"");

    // A file of this crate is none of PyTorch: a square matrix would be transposed in silence.
    let own = Reader::from_bytes(Writer::of(&params).to_bytes()).unwrap();
    own.load(&mut params).unwrap();
    let own = own.pytorch();
    for error in [own.load(&mut params).unwrap_err(), own.load_partial(&mut params).unwrap_err()] {
        assert!(matches!(error, SaveError::NotPyTorch { .. }));
        let text = error.to_string();
        assert!(text.starts_with("the file was written by wengert ") && text.contains("`Reader::pytorch`"), "{text}");
    }
    assert_eq!(params.values(), before);

    let file = open("layers").pytorch();
    assert!(file.names().all(|name| name != "batch_norm.num_batches_tracked"));
    let partial = file.load_partial(&mut params).unwrap();
    assert_eq!((partial.loaded.len(), partial.missing.len(), partial.unexpected.len()), (35, 0, 0));
    // A matrix of one's own, and one that is no linear map.
    let numbers = params.view(model.square.weight).to_owned();
    let mut own = Params::<f32>::new();
    let linear = own.add_linear("square.weight", Array2::zeros((4, 4)));
    file.load_partial(&mut own).unwrap();
    assert_eq!(own.view(linear), numbers);
    let mut own = Params::<f32>::new();
    let matrix = own.add("square.weight", Array2::zeros((4, 4)));
    file.load_partial(&mut own).unwrap();
    assert_eq!(own.view(matrix), numbers.t());
}

/// A file with one tensor of some type.
fn file_of(dtype: &str, count: usize, bytes: &[u8]) -> Reader {
    let header = format!(r#"{{"x":{{"dtype":"{dtype}","shape":[{count}],"data_offsets":[0,{}]}}}}"#, bytes.len());
    Reader::from_bytes([&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat()).unwrap()
}

fn numbers<F: Stored>(file: &Reader, name: &str, count: usize) -> Result<Vec<F>, SaveError> {
    let mut params = Params::<F>::new();
    let x = params.add(name, Array::from_elem(Ix1(count), F::zero()));
    file.load_partial(&mut params)?;
    Ok(params.view(x).to_vec())
}

/// Every number of 16 bits: the same `f32` as in PyTorch (the check sum has one NaN for all), and that number as `f64`.
#[test]
fn numbers_of_16_bits_are_read_exactly() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (dtype, of) in [("F16", "f16"), ("BF16", "bf16")] {
        let file = file_of(dtype, 1 << 16, &bytes);
        let (narrow, wide) =
            (numbers::<f32>(&file, "x", 1 << 16).unwrap(), numbers::<f64>(&file, "x", 1 << 16).unwrap());
        let mut sum = flate2::Crc::new();
        for (&x, &wide) in narrow.iter().zip(&wide) {
            assert!(f64::from(x).to_bits() == wide.to_bits() || x.is_nan() && wide.is_nan());
            sum.update(&if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() }.to_le_bytes());
        }
        let nans = narrow.iter().filter(|x| x.is_nan()).count();
        assert_eq!([sum.sum() as usize, nans], expected::<usize>(&format!("all {of}"))[..]);

        let special = numbers::<f32>(&open("special"), of, 9).unwrap();
        let bits = special.iter().map(|x| x.to_bits());
        assert!(bits.eq(expected::<u32>(&format!("special {of}"))), "{special:?}");
    }
    let file = file_of("F64", 1, &1.5_f64.to_le_bytes());
    assert_eq!(numbers::<f64>(&file, "x", 1).unwrap(), [1.5]);
    let error = numbers::<f32>(&file, "x", 1).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"x\" has type F64, the parameter has F32");
    let file = file_of("I64", 1, &1_i64.to_le_bytes());
    assert!(matches!(numbers::<f64>(&file, "x", 1).unwrap_err(), SaveError::Dtype { .. }));
}
