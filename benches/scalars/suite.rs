//! The functions themselves: data, primal, hand-written adjoint.
//!
//! Each module has `inputs() -> Inputs`, `primal(&Inputs) -> f64` and
//! `adjoint(&mut Vec<f64>, &Inputs, &mut [f64]) -> f64`, which writes the gradient and returns the
//! value; its first argument is scratch memory that calls may share.

/// Where a function is differentiated, and the constants it reads.
pub struct Inputs {
    pub x: Vec<f64>,
    pub data: Vec<f64>,
}

/// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn new() -> Self {
        Self(42)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A draw from `[a, b)` with 53 random bits.
    fn uniform(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * ((self.next() >> 11) as f64 * 2f64.powi(-53))
    }

    fn uniforms(&mut self, n: usize, a: f64, b: f64) -> Vec<f64> {
        (0..n).map(|_| self.uniform(a, b)).collect()
    }
}

/// `(w2 (w1 x + b1) + b2 - y)^2`, the loss of the README.
pub mod seed {
    use super::Inputs;

    pub fn inputs() -> Inputs {
        Inputs { x: vec![0.5, -0.3, 1.2, 0.1], data: vec![0.7, 0.9] }
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let [w1, b1, w2, b2] = inputs.x[..] else { unreachable!() };
        let [x, y] = inputs.data[..] else { unreachable!() };
        let t = w2 * (w1 * x + b1) + b2 - y;
        t * t
    }

    pub fn adjoint(_: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let [w1, b1, w2, b2] = inputs.x[..] else { unreachable!() };
        let [x, y] = inputs.data[..] else { unreachable!() };
        let h = w1 * x + b1;
        let t = w2 * h + b2 - y;
        let dt = 2.0 * t;
        let dh = dt * w2;
        g.copy_from_slice(&[dh * x, dh, dt * h, dt]);
        t * t
    }
}

/// `sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2`, 1000 variables.
pub mod rosenbrock {
    use super::{Inputs, SplitMix64};

    pub fn inputs() -> Inputs {
        Inputs { x: SplitMix64::new().uniforms(1000, -1.0, 1.0), data: vec![] }
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let term = |p: &[f64]| {
            let (t, u) = (p[1] - p[0] * p[0], 1.0 - p[0]);
            100.0 * (t * t) + u * u
        };
        inputs.x.windows(2).map(term).sum()
    }

    pub fn adjoint(_: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        // Two passes: the compiler vectorises the second, not the sum.
        let value = primal(inputs);
        let t = |x, next| next - x * x;
        let x = &inputs.x[..];
        let n = x.len();
        for (p, g) in x.windows(3).zip(&mut g[1..]) {
            *g = 200.0 * t(p[0], p[1]) - 400.0 * t(p[1], p[2]) * p[1] - 2.0 * (1.0 - p[1]);
        }
        g[0] = -400.0 * t(x[0], x[1]) * x[0] - 2.0 * (1.0 - x[0]);
        g[n - 1] = 200.0 * t(x[n - 2], x[n - 1]);
        value
    }
}

/// Mean squared error of a 2-16-16-1 tanh network over 32 samples, in scalars.
pub mod mlp {
    use super::{Inputs, SplitMix64};
    use std::array::from_fn;

    pub const WIDTH: usize = 16;
    pub const BATCH: usize = 32;

    /// The parameters in the order in which they are drawn; matrices are row-major.
    pub struct Layers<'a, T> {
        pub w1: &'a [[T; 2]; WIDTH],
        pub b1: &'a [T; WIDTH],
        pub w2: &'a [[T; WIDTH]; WIDTH],
        pub b2: &'a [T; WIDTH],
        pub w3: &'a [T; WIDTH],
        pub b3: T,
    }

    impl<'a, T: Copy> Layers<'a, T> {
        pub const LEN: usize = 2 * WIDTH + WIDTH + WIDTH * WIDTH + WIDTH + WIDTH + 1;

        pub fn new(p: &'a [T]) -> Self {
            let (w1, p) = p.split_at(2 * WIDTH);
            let (b1, p) = p.split_first_chunk().unwrap();
            let (w2, p) = p.split_at(WIDTH * WIDTH);
            let (b2, p) = p.split_first_chunk().unwrap();
            let (w3, p) = p.split_first_chunk().unwrap();
            let (w1, w2) = (w1.as_chunks().0, w2.as_chunks().0);
            Self { w1: w1.try_into().unwrap(), b1, w2: w2.try_into().unwrap(), b2, w3, b3: p[0] }
        }
    }

    /// `x0, x1, y` of each sample.
    pub fn samples(inputs: &Inputs) -> &[[f64; 3]] {
        inputs.data.as_chunks().0
    }

    pub fn inputs() -> Inputs {
        let mut rng = SplitMix64::new();
        let x = rng.uniforms(Layers::<f64>::LEN, -0.5, 0.5);
        Inputs { x, data: rng.uniforms(3 * BATCH, -1.0, 1.0) }
    }

    /// In four lanes, not one chain of sixteen dependent additions.
    fn dot(a: &[f64; WIDTH], b: &[f64; WIDTH]) -> f64 {
        let mut lanes = [0.0; 4];
        for i in 0..WIDTH {
            lanes[i % 4] += a[i] * b[i];
        }
        (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    }

    /// Activations of both hidden layers and the output.
    fn forward(p: &Layers<f64>, x: [f64; 2]) -> ([f64; WIDTH], [f64; WIDTH], f64) {
        let h1 = from_fn(|i| (p.w1[i][0] * x[0] + p.w1[i][1] * x[1] + p.b1[i]).tanh());
        let h2 = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
        (h1, h2, dot(p.w3, &h2) + p.b3)
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let p = Layers::new(&inputs.x);
        let error = |&[x0, x1, y]: &[f64; 3]| (forward(&p, [x0, x1]).2 - y).powi(2);
        samples(inputs).iter().map(error).sum::<f64>() / BATCH as f64
    }

    pub fn adjoint(_: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let p = Layers::new(&inputs.x);
        g.fill(0.0);
        let (gw1, g) = g.split_at_mut(2 * WIDTH);
        let (gb1, g) = g.split_at_mut(WIDTH);
        let (gw2, g) = g.split_at_mut(WIDTH * WIDTH);
        let (gb2, g) = g.split_at_mut(WIDTH);
        let (gw3, gb3) = g.split_at_mut(WIDTH);
        let mut value = 0.0;
        for &[x0, x1, y] in samples(inputs) {
            let (h1, h2, out) = forward(&p, [x0, x1]);
            value += (out - y) * (out - y) / BATCH as f64;
            let dout = 2.0 * (out - y) / BATCH as f64;
            let mut dh1 = [0.0; WIDTH];
            for i in 0..WIDTH {
                gw3[i] += dout * h2[i];
                let da = dout * p.w3[i] * (1.0 - h2[i] * h2[i]);
                gb2[i] += da;
                for j in 0..WIDTH {
                    gw2[WIDTH * i + j] += da * h1[j];
                    dh1[j] += da * p.w2[i][j];
                }
            }
            gb3[0] += dout;
            for i in 0..WIDTH {
                let da = dh1[i] * (1.0 - h1[i] * h1[i]);
                gw1[2 * i] += da * x0;
                gw1[2 * i + 1] += da * x1;
                gb1[i] += da;
            }
        }
        value
    }
}

/// Log-density of 10,000 observations of a normal variable, with respect to `mu` and `sigma`.
pub mod normal {
    use super::{Inputs, SplitMix64};

    /// `ln(2 pi) / 2`.
    pub const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;

    pub fn inputs() -> Inputs {
        Inputs { x: vec![0.3, 1.7], data: SplitMix64::new().uniforms(10_000, -3.0, 3.0) }
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let [mu, sigma] = inputs.x[..] else { unreachable!() };
        let term = |y: &f64| {
            let z = (y - mu) / sigma;
            -0.5 * (z * z) - sigma.ln() - HALF_LN_TAU
        };
        inputs.data.iter().map(term).sum()
    }

    pub fn adjoint(_: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let [mu, sigma] = inputs.x[..] else { unreachable!() };
        let (mut value, mut dmu, mut dsigma) = (0.0, 0.0, 0.0);
        for y in &inputs.data {
            let z = (y - mu) / sigma;
            value += -0.5 * (z * z) - sigma.ln() - HALF_LN_TAU;
            dmu += z;
            dsigma += z * z - 1.0;
        }
        g.copy_from_slice(&[dmu / sigma, dsigma / sigma]);
        value
    }
}

/// Sum of the entries of the product of two 64 by 64 matrices, scalar by scalar.
pub mod matmul {
    use super::{Inputs, SplitMix64};

    pub const N: usize = 64;

    pub fn inputs() -> Inputs {
        Inputs { x: SplitMix64::new().uniforms(2 * N * N, -1.0, 1.0), data: vec![] }
    }

    /// `c += a b`, all row-major.
    fn multiply(c: &mut [f64], a: &[f64], b: &[f64]) {
        for (c, a) in c.chunks_exact_mut(N).zip(a.chunks_exact(N)) {
            for (a, b) in a.iter().zip(b.chunks_exact(N)) {
                for (c, b) in c.iter_mut().zip(b) {
                    *c += a * b;
                }
            }
        }
    }

    fn transpose(t: &mut [f64], a: &[f64]) {
        for i in 0..N {
            for j in 0..N {
                t[N * j + i] = a[N * i + j];
            }
        }
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let (a, b) = inputs.x.split_at(N * N);
        let mut c = [0.0; N * N];
        multiply(&mut c, a, b);
        c.iter().sum()
    }

    pub fn adjoint(scratch: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let (a, b) = inputs.x.split_at(N * N);
        let (ga, gb) = g.split_at_mut(N * N);
        scratch.resize(3 * N * N, 0.0);
        let (c, rest) = scratch.split_at_mut(N * N);
        let (dc, transposed) = rest.split_at_mut(N * N);
        c.fill(0.0);
        multiply(c, a, b);
        // dA = dC B^T and dB = A^T dC.
        dc.fill(1.0);
        ga.fill(0.0);
        gb.fill(0.0);
        transpose(transposed, b);
        multiply(ga, dc, transposed);
        transpose(transposed, a);
        multiply(gb, transposed, dc);
        c.iter().sum()
    }
}

/// Sum of squares after 100 explicit Euler steps of the viscous Burgers equation on 200 periodic
/// points, `u' = u - A u (u[+1] - u[-1]) + B (u[+1] - 2 u + u[-1])`.
pub mod burgers {
    use super::{Inputs, SplitMix64};
    use std::f64::consts::TAU;

    pub const N: usize = 200;
    pub const STEPS: usize = 100;
    const DX: f64 = 1.0 / N as f64;
    const DT: f64 = 1e-4;
    const NU: f64 = 1e-2;
    /// Advection, `dt / 2 dx`.
    pub const A: f64 = DT / (2.0 * DX);
    /// Diffusion, `nu dt / dx^2`.
    pub const B: f64 = NU * DT / (DX * DX);

    pub fn inputs() -> Inputs {
        let mut rng = SplitMix64::new();
        let u = |i| (TAU * i as f64 / N as f64).sin() + rng.uniform(0.0, 0.1);
        Inputs { x: (0..N).map(u).collect(), data: vec![] }
    }

    /// Left neighbour, point, right neighbour of every point of a periodic grid.
    pub fn stencil<T: Copy>(u: &[T]) -> impl Iterator<Item = [T; 3]> {
        let n = u.len();
        let inner = u.windows(3).map(|w| [w[0], w[1], w[2]]);
        std::iter::once([u[n - 1], u[0], u[1]]).chain(inner).chain(std::iter::once([u[n - 2], u[n - 1], u[0]]))
    }

    /// The points between two ghost cells that continue the period.
    type Grid = [f64; N + 2];

    fn wrap(u: &mut Grid) {
        u[0] = u[N];
        u[N + 1] = u[1];
    }

    fn start(inputs: &Inputs) -> Grid {
        let mut u = [0.0; N + 2];
        u[1..=N].copy_from_slice(&inputs.x);
        wrap(&mut u);
        u
    }

    fn step(u: &Grid) -> Grid {
        let mut next = [0.0; N + 2];
        for i in 1..N + 1 {
            next[i] = u[i] - A * u[i] * (u[i + 1] - u[i - 1]) + B * (u[i + 1] - 2.0 * u[i] + u[i - 1]);
        }
        wrap(&mut next);
        next
    }

    fn energy(u: &Grid) -> f64 {
        u[1..=N].iter().map(|u| u * u).sum()
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        energy(&(0..STEPS).fold(start(inputs), |u, _| step(&u)))
    }

    pub fn adjoint(scratch: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        scratch.resize((STEPS + 1) * (N + 2), 0.0);
        let states: &mut [Grid] = scratch.as_chunks_mut().0;
        states[0] = start(inputs);
        for s in 0..STEPS {
            states[s + 1] = step(&states[s]);
        }
        let last = &states[STEPS];
        let mut d = last.map(|u| 2.0 * u);
        for u in states[..STEPS].iter().rev() {
            let mut before = [0.0; N + 2];
            for i in 1..N + 1 {
                before[i] = d[i] * (1.0 - 2.0 * B - A * (u[i + 1] - u[i - 1]))
                    + d[i - 1] * (B - A * u[i - 1])
                    + d[i + 1] * (B + A * u[i + 1]);
            }
            wrap(&mut before);
            d = before;
        }
        g.copy_from_slice(&d[1..=N]);
        energy(last)
    }
}

/// Sum of 1000 Black-Scholes call prices.
pub mod bs {
    use super::{Inputs, SplitMix64};
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

    pub fn inputs() -> Inputs {
        let mut rng = SplitMix64::new();
        let ranges = [(80.0, 120.0), (80.0, 120.0), (0.2, 2.0), (0.01, 0.05), (0.1, 0.5)];
        let x = (0..1000).flat_map(|_| ranges.map(|(a, b)| rng.uniform(a, b))).collect();
        Inputs { x, data: vec![] }
    }

    /// The standard normal distribution.
    pub fn cdf(x: f64) -> f64 {
        0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
    }

    /// The standard normal density.
    pub fn pdf(x: f64) -> f64 {
        const SCALE: f64 = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2; // 1 / sqrt(2 pi)
        SCALE * (-0.5 * x * x).exp()
    }

    /// Spot, strike, maturity, rate, volatility of each option.
    pub fn options<T>(x: &[T]) -> &[[T; 5]] {
        x.as_chunks().0
    }

    pub fn primal(inputs: &Inputs) -> f64 {
        let price = |&[s, k, t, r, sigma]: &[f64; 5]| {
            let sd = sigma * t.sqrt();
            let d1 = ((s / k).ln() + (r + 0.5 * sigma * sigma) * t) / sd;
            s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
        };
        options(&inputs.x).iter().map(price).sum()
    }

    /// The textbook Greeks (Hull, "Options, Futures, and Other Derivatives", ch. 19).
    pub fn adjoint(_: &mut Vec<f64>, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (&[s, k, t, r, sigma], g) in options(&inputs.x).iter().zip(g.as_chunks_mut().0) {
            let root = t.sqrt();
            let sd = sigma * root;
            let d1 = ((s / k).ln() + (r + 0.5 * sigma * sigma) * t) / sd;
            let (n1, n2, discount) = (cdf(d1), cdf(d1 - sd), (-r * t).exp());
            let (paid, slope) = (k * discount * n2, s * pdf(d1));
            value += s * n1 - paid;
            *g = [n1, -discount * n2, slope * sigma / (2.0 * root) + r * paid, t * paid, slope * root];
        }
        value
    }
}
