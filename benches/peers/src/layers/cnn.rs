//! The convolutional net of the example `digits_cnn`, on 64 images.

use wengert::ndarray::{Array4, Ix2, Ix4};
use wengert::nn::{BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Mode, Relu};
use wengert::rand::{SeedableRng, rngs::StdRng};
use wengert::{Conv, Params, ParamsOn, Var};

use super::{Array, Net};

const BATCH: usize = 64;
/// A line has 64 pixels in 0..=16 and a label.
const DIGITS: &str = include_str!("../../../../examples/data/digits.csv");

struct Cnn {
    layers: Box<dyn Layer<f32, Ix4, Out = Ix2>>,
    images: Array4<f32>,
    labels: Vec<usize>,
}

pub(super) fn net(params: &mut Params<f32>, dropout: f64) -> Box<dyn Net> {
    let (rng, same) = (&mut StdRng::seed_from_u64(0), Conv::new().padding(1));
    let layers = (
        Conv2d::without_bias(params, "conv1", 1, 16, 3, same, rng),
        BatchNorm::new(params, "norm1", 16),
        Relu,
        Conv2d::without_bias(params, "conv2", 16, 32, 3, same, rng),
        BatchNorm::new(params, "norm2", 32),
        Relu,
        MaxPool2d::new(2),
        (
            Conv2d::without_bias(params, "conv3", 32, 64, 3, same, rng),
            BatchNorm::new(params, "norm3", 64),
            Relu,
            MaxPool2d::new(2),
        ),
        Flatten,
        Dropout::new(dropout),
        Linear::new(params, "out", 64 * 2 * 2, 10, rng),
    );
    let (mut images, mut labels) = (vec![], vec![]);
    for line in DIGITS.lines().take(BATCH) {
        let numbers: Vec<f32> = line.split(',').map(|number| number.parse().expect("a number")).collect();
        let (label, pixels) = numbers.split_last().expect("a label");
        images.extend(pixels.iter().map(|pixel| pixel / 16.0));
        labels.push(*label as usize);
    }
    let images = Array4::from_shape_vec((BATCH, 1, 8, 8), images).expect("64 pixels a line");
    Box::new(Cnn { layers: Box::new(layers), images, labels })
}

impl Net for Cnn {
    fn loss<'t>(&'t self, p: ParamsOn<'t, '_, f32>, mode: &mut Mode<f32>) -> Var<'t, f32> {
        self.layers.forward(p, p.constant(&self.images), mode).softmax_cross_entropy(&self.labels)
    }

    fn batch(&self) -> Vec<Array> {
        let labels = self.labels.iter().map(|&label| label as f32).collect();
        vec![
            ("images".into(), self.images.shape().to_vec(), self.images.iter().copied().collect()),
            ("labels".into(), vec![BATCH], labels),
        ]
    }
}
