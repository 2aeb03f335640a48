//! Eight nets to train: shapes, data and initial weights, the same for every library.

/// A multilayer perceptron, and the batch size, loss and optimiser of its training.
pub struct Net {
    pub name: &'static str,
    pub about: &'static str,
    /// The widths, input first.
    pub sizes: &'static [usize],
    pub batch: usize,
    /// The activation of every layer but the last.
    pub activation: Activation,
    pub loss: Loss,
    pub optimizer: Optimizer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    Tanh,
    Relu,
}

/// A mean over the batch, for the squared errors also over the outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    Mse,
    CrossEntropy,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Optimizer {
    /// Plain descent at the rate [`SGD_RATE`].
    Sgd,
    /// Adam at the rate [`ADAM_RATE`], with [`BETAS`] and [`EPSILON`].
    Adam,
}

pub const SGD_RATE: f32 = 0.01;
pub const ADAM_RATE: f32 = 0.001;
pub const BETAS: (f32, f32) = (0.9, 0.999);
pub const EPSILON: f32 = 1e-8;

use Activation::{Relu, Tanh};
use Loss::{CrossEntropy, Mse};
use Optimizer::{Adam, Sgd};

#[rustfmt::skip]
pub const NETS: [Net; 8] = [
    Net { name: "T1", about: "2-8-1 tanh, MSE, batch 4", sizes: &[2, 8, 1], batch: 4, activation: Tanh, loss: Mse, optimizer: Sgd },
    Net { name: "T2", about: "2-16-16-1 tanh, MSE, batch 32", sizes: &[2, 16, 16, 1], batch: 32, activation: Tanh, loss: Mse, optimizer: Sgd },
    Net { name: "T3", about: "64-32-10 relu, softmax CE, batch 32", sizes: &[64, 32, 10], batch: 32, activation: Relu, loss: CrossEntropy, optimizer: Sgd },
    Net { name: "T4", about: "784-128-10 relu, softmax CE, batch 64", sizes: &[784, 128, 10], batch: 64, activation: Relu, loss: CrossEntropy, optimizer: Sgd },
    Net { name: "T5", about: "784-512-512-10 relu, softmax CE, batch 128", sizes: &[784, 512, 512, 10], batch: 128, activation: Relu, loss: CrossEntropy, optimizer: Sgd },
    Net { name: "T6", about: "20 layers 64-64 tanh, MSE, batch 16", sizes: &[64; 21], batch: 16, activation: Tanh, loss: Mse, optimizer: Sgd },
    Net { name: "T7", about: "softmax regression 784-10, batch 256", sizes: &[784, 10], batch: 256, activation: Relu, loss: CrossEntropy, optimizer: Sgd },
    Net { name: "T8", about: "T4 with Adam", sizes: &[784, 128, 10], batch: 64, activation: Relu, loss: CrossEntropy, optimizer: Adam },
];

impl Net {
    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }

    pub fn outputs(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// `(inputs, outputs)` of each layer.
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
        self.sizes.windows(2).map(|w| (w[0], w[1]))
    }

    /// The number of weights. Their order: for each layer the matrix (inputs by outputs, row-major), then the bias.
    pub fn weights(&self) -> usize {
        self.layers().map(|(n, m)| (n + 1) * m).sum()
    }

    pub fn problem(&'static self) -> Problem {
        let mut random = SplitMix64(42);
        let x = random.uniforms(self.batch * self.inputs(), 0.0, 1.0);
        let y = random.uniforms(self.batch * self.outputs(), -0.5, 0.5);
        let labels = (0..self.batch).map(|_| (random.uniform(0.0, 1.0) * self.outputs() as f32) as u32).collect();
        // Glorot and Bengio (AISTATS 2010); biases 0.
        let mut weights = vec![];
        for (n, m) in self.layers() {
            let bound = (6.0 / (n + m) as f32).sqrt();
            weights.extend(random.uniforms(n * m, -bound, bound));
            weights.resize(weights.len() + m, 0.0);
        }
        Problem { net: self, x, y, labels, weights }
    }
}

/// A net with its batch and its initial weights.
pub struct Problem {
    pub net: &'static Net,
    /// The inputs: row-major, one sample a row.
    pub x: Vec<f32>,
    /// The targets of the squared error.
    pub y: Vec<f32>,
    /// The classes of the cross-entropy.
    pub labels: Vec<u32>,
    /// The initial weights, in the order of [`Net::weights`].
    pub weights: Vec<f32>,
}

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A draw from `[a, b)` with 24 random bits.
    fn uniform(&mut self, a: f32, b: f32) -> f32 {
        a + (b - a) * ((self.next() >> 40) as f32 * 2f32.powi(-24))
    }

    fn uniforms(&mut self, n: usize, a: f32, b: f32) -> Vec<f32> {
        (0..n).map(|_| self.uniform(a, b)).collect()
    }
}

/// One library's training of one net.
pub trait Model {
    /// Goes back to the initial weights and a fresh optimiser.
    fn reset(&mut self);
    /// Takes one training step: forward, loss, backward, update.
    fn step(&mut self);
    /// Loss and gradient at the present weights, ordered as in [`Problem::weights`].
    fn gradient(&mut self) -> (f32, Vec<f32>);
}
