//! Code written by hand for these nets: every buffer allocated once, products by the `gemm` crate or, for
//! the small ones, in registers, one pass for bias and activation, one for its derivative, and no
//! gradient for the input. This code is the limit that a library is measured against.

use std::iter::zip;
use std::rc::Rc;

use super::suite::{ADAM_RATE, Activation, BETAS, EPSILON, Loss, Model, Optimizer, Problem, SGD_RATE};
use gemm::Parallelism;
use pulp::Arch;

/// A call compiled for the widest vectors of this machine. Its first argument, a mutable reference,
/// is moved out of the closure: the closure is then no `FnMut`, whose call would not be inlined.
macro_rules! vectorised {
    ($arch:expr, $f:ident $(::<$n:literal>)? ($first:expr $(, $rest:expr)* $(,)?)) => {{
        let (arch, first) = ($arch, $first);
        arch.dispatch(#[inline(always)] move || {
            let first = first;
            $f$(::<$n>)?(first $(, $rest)*)
        })
    }};
}

struct Hand {
    problem: Rc<Problem>,
    arch: Arch,
    theta: Vec<f32>,
    grad: Vec<f32>,
    moments: [Vec<f32>; 2],
    /// Steps taken.
    steps: i32,
    layers: Vec<Layer>,
    /// A transposed matrix.
    scratch: Vec<f32>,
}

struct Layer {
    inputs: usize,
    outputs: usize,
    /// The place of the matrix among the weights; the bias follows.
    start: usize,
    /// The outputs, after the activation.
    out: Vec<f32>,
    /// The cotangent of the outputs before the activation.
    d: Vec<f32>,
}

pub fn model(problem: &Rc<Problem>) -> Box<dyn Model> {
    let mut start = 0;
    let layers = problem.net.layers().map(|(inputs, outputs)| {
        let buffer = || vec![0.0; problem.net.batch * outputs];
        let layer = Layer { inputs, outputs, start, out: buffer(), d: buffer() };
        start += (inputs + 1) * outputs;
        layer
    });
    let zeros = || vec![0.0; problem.weights.len()];
    Box::new(Hand {
        problem: Rc::clone(problem),
        arch: Arch::new(),
        theta: problem.weights.clone(),
        grad: zeros(),
        moments: [zeros(), zeros()],
        steps: 0,
        layers: layers.collect(),
        scratch: vec![],
    })
}

impl Model for Hand {
    fn reset(&mut self) {
        self.theta.copy_from_slice(&self.problem.weights);
        self.moments.iter_mut().for_each(|m| m.fill(0.0));
        self.steps = 0;
    }

    fn step(&mut self) {
        self.evaluate();
        self.update();
    }

    fn gradient(&mut self) -> (f32, Vec<f32>) {
        (self.evaluate(), self.grad.clone())
    }
}

impl Hand {
    /// The loss; the gradient is left in `grad`.
    fn evaluate(&mut self) -> f32 {
        let Self { problem, arch, theta, grad, layers, scratch, .. } = self;
        let (problem, net, arch) = (&**problem, problem.net, *arch);
        let (rows, last) = (net.batch, layers.len() - 1);

        for l in 0..=last {
            let (before, rest) = layers.split_at_mut(l);
            let x = before.last().map_or(&problem.x, |layer| &layer.out);
            let Layer { inputs, outputs, start, ref mut out, .. } = rest[0];
            let (w, b) = theta[start..][..(inputs + 1) * outputs].split_at(inputs * outputs);
            product(arch, out, outputs, (x, [inputs, 1]), (w, [outputs, 1]), inputs, scratch);
            let activation = (l < last).then_some(net.activation);
            vectorised!(arch, finish(&mut out[..], b, activation));
        }

        let &mut Layer { outputs, ref out, ref mut d, .. } = &mut layers[last];
        let loss = match net.loss {
            Loss::Mse => vectorised!(arch, squared_error(&mut d[..], out, &problem.y)),
            Loss::CrossEntropy => vectorised!(arch, cross_entropy(&mut d[..], out, &problem.labels, outputs)),
        };

        for l in (0..=last).rev() {
            let (before, rest) = layers.split_at_mut(l);
            let Layer { inputs, outputs, start, ref d, .. } = rest[0];
            let w = &theta[start..][..inputs * outputs];
            let (dw, db) = grad[start..][..(inputs + 1) * outputs].split_at_mut(inputs * outputs);
            vectorised!(arch, columns(db, d));
            let x = before.last().map_or(&problem.x, |layer| &layer.out);
            product(arch, dw, outputs, (x, [1, inputs]), (d, [outputs, 1]), rows, scratch);
            if let Some(Layer { out, d: dx, .. }) = before.last_mut() {
                product(arch, dx, inputs, (d, [outputs, 1]), (w, [1, outputs]), outputs, scratch);
                vectorised!(arch, derivative(&mut dx[..], out, net.activation));
            }
        }
        loss
    }

    fn update(&mut self) {
        let Self { arch, theta, grad, moments: [first, second], .. } = self;
        match self.problem.net.optimizer {
            Optimizer::Sgd => vectorised!(*arch, descend(&mut theta[..], grad)),
            Optimizer::Adam => {
                self.steps += 1;
                let rate = ADAM_RATE / (1.0 - BETAS.0.powi(self.steps));
                let scale = (1.0 - BETAS.1.powi(self.steps)).sqrt().recip();
                vectorised!(*arch, adam(&mut theta[..], grad, first, second, rate, scale));
            }
        }
    }
}

#[inline(always)]
fn descend(theta: &mut [f32], grad: &[f32]) {
    for (x, g) in zip(theta, grad) {
        *x -= SGD_RATE * g;
    }
}

#[inline(always)]
fn adam(theta: &mut [f32], grad: &[f32], first: &mut [f32], second: &mut [f32], rate: f32, scale: f32) {
    let (beta1, beta2) = BETAS;
    for ((x, &g), (m, v)) in zip(zip(theta, grad), zip(first, second)) {
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        *x -= rate * *m / (v.sqrt() * scale + EPSILON);
    }
}

/// The elements of a matrix, and the steps to the next row and the next column.
type Matrix<'a> = (&'a [f32], [usize; 2]);

/// Writes c = a·b, c row-major in rows of `n`, with `k` terms in each sum.
fn product(arch: Arch, c: &mut [f32], n: usize, a: Matrix<'_>, b: Matrix<'_>, k: usize, scratch: &mut Vec<f32>) {
    /// The number of multiplications beyond which `gemm` is faster.
    const SMALL: usize = 1 << 16;
    let m = c.len() / n;
    if m * n * k > SMALL || ![1, 2, 8, 10, 16, 32].contains(&n) {
        return large(c, [m, n, k], a, b);
    }
    let (b, [row, col]) = b;
    if n == 1 {
        return vectorised!(arch, column(c, a, b, k));
    }
    let b = if col == 1 {
        b
    } else {
        scratch.resize(k * n, 0.0);
        for (j, b) in b.chunks(col).take(n).enumerate() {
            for p in 0..k {
                scratch[p * n + j] = b[p * row];
            }
        }
        scratch
    };
    match n {
        2 => vectorised!(arch, narrow::<2>(c, a, b, k)),
        8 => vectorised!(arch, narrow::<8>(c, a, b, k)),
        10 => vectorised!(arch, narrow::<10>(c, a, b, k)),
        16 => vectorised!(arch, narrow::<16>(c, a, b, k)),
        _ => vectorised!(arch, narrow::<32>(c, a, b, k)),
    }
}

fn large(c: &mut [f32], [m, n, k]: [usize; 3], (a, s): Matrix<'_>, (b, t): Matrix<'_>) {
    let last = |[rows, columns]: [usize; 2], step: [usize; 2]| (rows - 1) * step[0] + (columns - 1) * step[1];
    assert!(c.len() == m * n && last([m, k], s) < a.len() && last([k, n], t) < b.len());
    let [s, t] = [s, t].map(|step| step.map(|step| step as isize));
    // SAFETY: the assertion says that every element of the three matrices lies in its slice.
    // The kernels of `gemm` prefer contiguous columns of the destination, so the call is for cᵀ = bᵀ·aᵀ.
    unsafe {
        gemm::gemm(
            n,
            m,
            k,
            c.as_mut_ptr(),
            n as isize,
            1,
            false,
            b.as_ptr(),
            t[0],
            t[1],
            a.as_ptr(),
            s[0],
            s[1],
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The product with rows of `N`, four at a time in registers.
#[inline(always)]
fn narrow<const N: usize>(c: &mut [f32], (a, [row, col]): Matrix<'_>, b: &[f32], k: usize) {
    let (c, b) = (c.as_chunks_mut::<N>().0, &b.as_chunks::<N>().0[..k]);
    let (fours, rest) = c.as_chunks_mut::<4>();
    let done = 4 * fours.len();
    for (i, c) in fours.iter_mut().enumerate() {
        *c = tile(a, 4 * i * row, [row, col], b);
    }
    for (i, c) in rest.iter_mut().enumerate() {
        [*c] = tile(a, (done + i) * row, [row, col], b);
    }
}

#[inline(always)]
fn tile<const R: usize, const N: usize>(
    a: &[f32],
    from: usize,
    [row, col]: [usize; 2],
    b: &[[f32; N]],
) -> [[f32; N]; R] {
    let mut sums = [[0.0; N]; R];
    if col == 1 {
        let mut rows: [&[f32]; R] = [&[]; R];
        for (r, slice) in rows.iter_mut().enumerate() {
            *slice = &a[from + r * row..][..b.len()];
        }
        for (p, b) in b.iter().enumerate() {
            for r in 0..R {
                for j in 0..N {
                    sums[r][j] = rows[r][p].mul_add(b[j], sums[r][j]);
                }
            }
        }
    } else {
        for (p, b) in b.iter().enumerate() {
            let a = &a[from + p * col..][..R];
            for r in 0..R {
                for j in 0..N {
                    sums[r][j] = a[r].mul_add(b[j], sums[r][j]);
                }
            }
        }
    }
    sums
}

/// a·b for a vector b.
#[inline(always)]
fn column(c: &mut [f32], (a, [row, col]): Matrix<'_>, b: &[f32], k: usize) {
    if col == 1 {
        for (c, a) in zip(c, a.chunks_exact(row)) {
            let mut lanes = [0.0; 8];
            let (a, b) = (a[..k].as_chunks::<8>(), b[..k].as_chunks::<8>());
            for (a, b) in zip(a.0, b.0) {
                for l in 0..8 {
                    lanes[l] = a[l].mul_add(b[l], lanes[l]);
                }
            }
            *c = lanes.iter().sum::<f32>() + zip(a.1, b.1).map(|(a, b)| a * b).sum::<f32>();
        }
    } else {
        c.fill(0.0);
        for (a, b) in zip(a.chunks_exact(col), &b[..k]) {
            for (c, a) in zip(&mut *c, a) {
                *c = a.mul_add(*b, *c);
            }
        }
    }
}

#[inline(always)]
fn finish(out: &mut [f32], bias: &[f32], activation: Option<Activation>) {
    #[inline(always)]
    fn map(out: &mut [f32], bias: &[f32], f: impl Fn(f32) -> f32) {
        for row in out.chunks_exact_mut(bias.len()) {
            for (x, b) in zip(row, bias) {
                *x = f(*x + b);
            }
        }
    }
    match activation {
        None => map(
            out,
            bias,
            #[inline(always)]
            |x| x,
        ),
        Some(Activation::Relu) => map(
            out,
            bias,
            #[inline(always)]
            |x| if x > 0.0 { x } else { 0.0 },
        ),
        Some(Activation::Tanh) => {
            // The bias is added in a pass of its own, since rows may be shorter than a vector.
            map(
                out,
                bias,
                #[inline(always)]
                |x| x,
            );
            for x in out {
                *x = tanh(*x);
            }
        }
    }
}

/// Turns the cotangent `d` after an activation into the cotangent before it; `out` is the result of the activation.
#[inline(always)]
fn derivative(d: &mut [f32], out: &[f32], activation: Activation) {
    match activation {
        Activation::Tanh => {
            for (d, y) in zip(d, out) {
                *d *= 1.0 - y * y;
            }
        }
        Activation::Relu => {
            for (d, y) in zip(d, out) {
                *d = if *y > 0.0 { *d } else { 0.0 };
            }
        }
    }
}

#[inline(always)]
fn columns(sums: &mut [f32], d: &[f32]) {
    sums.fill(0.0);
    for row in d.chunks_exact(sums.len()) {
        for (sum, d) in zip(&mut *sums, row) {
            *sum += d;
        }
    }
}

#[inline(always)]
fn squared_error(d: &mut [f32], out: &[f32], y: &[f32]) -> f32 {
    let scale = 2.0 / out.len() as f32;
    for (d, (x, y)) in zip(&mut *d, zip(out, y)) {
        *d = scale * (x - y);
    }
    // Σ(x - y)² / n = n/4 Σd².
    let mut lanes = [0.0; 16];
    let (whole, rest) = d.as_chunks::<16>();
    for d in whole {
        for l in 0..16 {
            lanes[l] = d[l].mul_add(d[l], lanes[l]);
        }
    }
    let sum = lanes.iter().sum::<f32>() + rest.iter().map(|d| d * d).sum::<f32>();
    0.25 * out.len() as f32 * sum
}

#[inline(always)]
fn cross_entropy(d: &mut [f32], out: &[f32], labels: &[u32], classes: usize) -> f32 {
    let mut loss = 0.0;
    for (d, x) in zip(d.chunks_exact_mut(classes), out.chunks_exact(classes)) {
        let mut max = f32::NEG_INFINITY;
        for &x in x {
            max = if x > max { x } else { max };
        }
        for (d, x) in zip(d, x) {
            *d = x - max;
        }
    }
    for (d, &label) in zip(d.chunks_exact(classes), labels) {
        loss -= d[label as usize];
    }
    for d in &mut *d {
        *d = exp(*d);
    }
    let scale = (labels.len() as f32).recip();
    let rows = zip(d.chunks_exact_mut(classes), labels);
    // Σ ln aᵢ = ln Π aᵢ, taken before the product of sums between 1 and the number of classes
    // overflows.
    let mut totals = 1.0_f64;
    for (i, (d, &label)) in rows.enumerate() {
        let total: f32 = d.iter().sum();
        totals *= f64::from(total);
        if i % 64 == 63 {
            loss += totals.ln() as f32;
            totals = 1.0;
        }
        let factor = scale / total;
        for d in &mut *d {
            *d *= factor;
        }
        d[label as usize] -= scale;
    }
    scale * (loss + totals.ln() as f32)
}

/// e^x for x ≤ 0, to 2 ulp: 2ⁿ times a Taylor polynomial on |r| ≤ ln(2)/2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.max(-87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2[1], n.mul_add(-LN2[0], x));
    horner(r, &[1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0])
        * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// The rational approximation of Eigen and XLA, to a few ulp.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let z = x * x;
    let p = horner(
        z,
        &[
            -2.760_768_5e-16,
            2.000_187_9e-13,
            -8.604_672e-11,
            5.122_297e-8,
            1.485_722_4e-5,
            6.372_619e-4,
            4.893_524_6e-3,
        ],
    );
    let q = horner(z, &[1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3]);
    x * p / q
}

#[inline(always)]
fn horner<const N: usize>(x: f32, coefficients: &[f32; N]) -> f32 {
    let mut sum = 0.0_f32;
    for c in coefficients {
        sum = sum.mul_add(x, *c);
    }
    sum
}

#[cfg(test)]
mod tests {
    #[test]
    fn elementary_functions() {
        for i in -8700..=0 {
            let x = i as f32 * 0.01;
            let (ours, exact) = (f64::from(super::exp(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 3e-7, "exp({x}) = {ours}, not {exact}");
            let (ours, exact) = (f64::from(super::tanh(-x)), f64::from(-x).tanh());
            assert!((ours - exact).abs() <= 4e-7 * exact, "tanh({}) = {ours}, not {exact}", -x);
        }
    }
}
