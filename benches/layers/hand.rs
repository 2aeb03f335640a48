//! The layers as one would write them by hand: plain loops, buffers that are kept. Each `forward` writes the result,
//! each `backward` the gradients of operands, from the cotangent of the result.

/// A convolution of images (count, channels, height, width) with kernels (out, channels, k, k), stride 1, padded by `pad`.
#[derive(Clone, Copy)]
pub struct Conv {
    pub count: usize,
    pub channels: usize,
    pub out: usize,
    pub height: usize,
    pub width: usize,
    pub rows: usize,
    pub columns: usize,
    pub pad: [usize; 2],
}

impl Conv {
    pub fn result(&self) -> [usize; 2] {
        [self.height + 2 * self.pad[0] + 1 - self.rows, self.width + 2 * self.pad[1] + 1 - self.columns]
    }

    /// Calls `f` with the starts of a row of the result, of a row of the image, and of a weight, and with the length.
    fn rows_of(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let [h, w] = self.result();
        for n in 0..self.count {
            for o in 0..self.out {
                for c in 0..self.channels {
                    for k in 0..self.rows {
                        for l in 0..self.columns {
                            let weight = ((o * self.channels + c) * self.rows + k) * self.columns + l;
                            let first = self.pad[1].saturating_sub(l);
                            let last = w.min(self.width + self.pad[1] - l);
                            for i in self.pad[0].saturating_sub(k)..h.min(self.height + self.pad[0] - k) {
                                let y = ((n * self.out + o) * h + i) * w + first;
                                let row = (n * self.channels + c) * self.height + i + k - self.pad[0];
                                f(y, row * self.width + first + l - self.pad[1], weight, last - first);
                            }
                        }
                    }
                }
            }
        }
    }

    pub fn forward(&self, x: &[f32], weights: &[f32], y: &mut [f32]) {
        y.fill(0.0);
        self.rows_of(|to, from, weight, len| {
            let w = weights[weight];
            for (y, x) in y[to..][..len].iter_mut().zip(&x[from..][..len]) {
                *y += w * x;
            }
        });
    }

    pub fn backward(&self, x: &[f32], weights: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32]) {
        dx.fill(0.0);
        dw.fill(0.0);
        self.rows_of(|to, from, weight, len| {
            let w = weights[weight];
            let dy = &dy[to..][..len];
            for (dx, dy) in dx[from..][..len].iter_mut().zip(dy) {
                *dx += w * dy;
            }
            let mut sum = 0.0;
            for (x, dy) in x[from..][..len].iter().zip(dy) {
                sum += x * dy;
            }
            dw[weight] += sum;
        });
    }
}

/// The maximum of windows of `size`² elements at steps of `stride`, in `planes` planes of side `side`.
#[derive(Clone, Copy)]
pub struct Pool {
    pub planes: usize,
    pub side: usize,
    pub size: usize,
    pub stride: usize,
}

impl Pool {
    pub fn result(&self) -> usize {
        (self.side - self.size) / self.stride + 1
    }

    fn windows(&self, mut f: impl FnMut(usize, usize)) {
        let out = self.result();
        for p in 0..self.planes {
            for i in 0..out {
                for j in 0..out {
                    f((p * out + i) * out + j, (p * self.side + i * self.stride) * self.side + j * self.stride);
                }
            }
        }
    }

    pub fn max_forward(&self, x: &[f32], y: &mut [f32], at: &mut [u32]) {
        self.windows(|to, from| {
            let (mut best, mut place) = (f32::NEG_INFINITY, from);
            for k in 0..self.size {
                let row = from + k * self.side;
                for (l, &x) in x[row..][..self.size].iter().enumerate() {
                    if x > best {
                        (best, place) = (x, row + l);
                    }
                }
            }
            (y[to], at[to]) = (best, place as u32);
        });
    }

    pub fn max_backward(at: &[u32], dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        for (&at, dy) in at.iter().zip(dy) {
            dx[at as usize] += dy;
        }
    }

    pub fn mean_forward(&self, x: &[f32], y: &mut [f32]) {
        let scale = 1.0 / (self.size * self.size) as f32;
        self.windows(|to, from| {
            let mut sum = 0.0;
            for k in 0..self.size {
                sum += x[from + k * self.side..][..self.size].iter().sum::<f32>();
            }
            y[to] = scale * sum;
        });
    }

    pub fn mean_backward(&self, dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        let scale = 1.0 / (self.size * self.size) as f32;
        self.windows(|to, from| {
            let share = scale * dy[to];
            for k in 0..self.size {
                for dx in &mut dx[from + k * self.side..][..self.size] {
                    *dx += share;
                }
            }
        });
    }
}

pub fn gelu_forward(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = 0.5 * x * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2);
    }
}

pub fn gelu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
        let phi = 0.5 * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2);
        *dx = dy * (phi + x * (-0.5 * x * x).exp() * 0.398_942_3);
    }
}

/// Normalises rows of `width`; keeps 1/deviation of each row.
pub fn layer_norm_forward(width: usize, x: &[f32], y: &mut [f32], scales: &mut [f32]) {
    for ((x, y), s) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(scales) {
        let mean = x.iter().sum::<f32>() / width as f32;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
        *s = 1.0 / (variance + 1e-5).sqrt();
        for (y, x) in y.iter_mut().zip(x) {
            *y = (x - mean) * *s;
        }
    }
}

pub fn layer_norm_backward(width: usize, y: &[f32], scales: &[f32], dy: &[f32], dx: &mut [f32]) {
    let rows = y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)).zip(scales);
    for (((y, dy), dx), s) in rows {
        let a = dy.iter().sum::<f32>() / width as f32;
        let b = dy.iter().zip(y).map(|(dy, y)| dy * y).sum::<f32>() / width as f32;
        for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = s * (dy - a - y * b);
        }
    }
}

pub fn softmax_forward(width: usize, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (y, x) in y.iter_mut().zip(x) {
            *y = (x - max).exp();
            sum += *y;
        }
        let scale = 1.0 / sum;
        for y in y {
            *y *= scale;
        }
    }
}

pub fn softmax_backward(width: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
        let dot = y.iter().zip(dy).map(|(y, dy)| y * dy).sum::<f32>();
        for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = y * (dy - dot);
        }
    }
}

/// Rows of a table; the backward pass adds.
pub fn embedding_forward(width: usize, table: &[f32], indices: &[usize], y: &mut [f32]) {
    for (y, &i) in y.chunks_exact_mut(width).zip(indices) {
        y.copy_from_slice(&table[i * width..][..width]);
    }
}

pub fn embedding_backward(width: usize, indices: &[usize], dy: &[f32], dtable: &mut [f32]) {
    dtable.fill(0.0);
    for (dy, &i) in dy.chunks_exact(width).zip(indices) {
        for (d, dy) in dtable[i * width..][..width].iter_mut().zip(dy) {
            *d += dy;
        }
    }
}

pub fn dropout_forward(random: &mut impl rand::Rng, probability: f64, x: &[f32], y: &mut [f32], mask: &mut [f32]) {
    let (limit, scale) = ((probability * 2f64.powi(32)) as u64, (1.0 / (1.0 - probability)) as f32);
    for ((y, x), m) in y.iter_mut().zip(x).zip(mask) {
        *m = if u64::from(random.next_u32()) < limit { 0.0 } else { scale };
        *y = *m * x;
    }
}

pub fn dropout_backward(mask: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((dx, m), dy) in dx.iter_mut().zip(mask).zip(dy) {
        *dx = m * dy;
    }
}
