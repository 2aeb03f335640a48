//! `wengert`: the tape, the pool of adjoints and the arena keep their memory.

use crate::suite::burgers::{A, B, STEPS, stencil};
use crate::suite::{Inputs, bs as black_scholes, matmul::N, mlp as net, normal::HALF_LN_TAU};
use std::array::from_fn;
use std::f64::consts::FRAC_1_SQRT_2;
use wengert::{LeftOf, Real64, Tape, Var};

pub type State = Tape;

fn read(loss: Var<'_, f64>, vars: &[Var<'_, f64>], g: &mut [f64]) -> f64 {
    loss.backward().wrt_into(vars, g);
    loss.value()
}

/// The functions as they are written by who tunes nothing: operators, methods and `sum` of an iterator, on any number.
mod idiom {
    use super::*;

    pub fn seed<R: Real64>(x: &[R], inputs: &Inputs) -> R {
        let ([w1, b1, w2, b2], [x, y]) = ([x[0], x[1], x[2], x[3]], [inputs.data[0], inputs.data[1]]);
        (w2 * (w1 * x + b1) + b2 - y).square()
    }

    pub fn rosenbrock<R: Real64>(x: &[R], _: &Inputs) -> R
    where
        f64: LeftOf<R>,
    {
        x.windows(2).map(|p| 100.0 * (p[1] - p[0].square()).square() + (1.0 - p[0]).square()).sum()
    }

    pub fn mlp<R: Real64>(x: &[R], inputs: &Inputs) -> R {
        let p = net::Layers::new(x);
        let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
            let h1 = from_fn(|i| (p.w1[i][0] * x0 + p.w1[i][1] * x1 + p.b1[i]).tanh());
            let h2 = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
            (dot(p.w3, &h2) + p.b3 - y).square()
        });
        errors.sum::<R>() / net::BATCH as f64
    }

    fn dot<R: Real64, const LEN: usize>(a: &[R; LEN], b: &[R; LEN]) -> R {
        a.iter().zip(b).map(|(&a, &b)| a * b).sum()
    }

    pub fn normal<R: Real64>(x: &[R], inputs: &Inputs) -> R
    where
        f64: LeftOf<R>,
    {
        let [mu, sigma] = [x[0], x[1]];
        let terms = inputs.data.iter().map(|&y| {
            let z = (y - mu) / sigma;
            -0.5 * z.square() - sigma.ln() - HALF_LN_TAU
        });
        terms.sum()
    }

    pub fn matmul<R: Real64>(x: &[R], _: &Inputs) -> R {
        let (a, b) = x.split_at(N * N);
        let entry = |i, j| (0..N).map(|k| a[N * i + k] * b[N * k + j]).sum::<R>();
        let entries = (0..N).flat_map(|i| (0..N).map(move |j| entry(i, j)));
        entries.sum()
    }

    pub fn burgers<R: Real64>(x: &[R], _: &Inputs) -> R
    where
        f64: LeftOf<R>,
    {
        let (mut u, mut next) = (x.to_vec(), vec![]);
        for _ in 0..STEPS {
            next.clear();
            next.extend(
                stencil(&u)
                    .map(|[left, here, right]| here - A * here * (right - left) + B * (right - 2.0 * here + left)),
            );
            std::mem::swap(&mut u, &mut next);
        }
        u.iter().map(|u| u.square()).sum()
    }

    pub fn bs<R: Real64>(x: &[R], _: &Inputs) -> R
    where
        f64: LeftOf<R>,
    {
        fn cdf<R: Real64>(x: R) -> R
        where
            f64: LeftOf<R>,
        {
            0.5 * (x * -FRAC_1_SQRT_2).erfc()
        }
        let prices = black_scholes::options(x).iter().map(|&[s, k, t, r, sigma]| {
            let sd = sigma * t.sqrt();
            let d1 = ((s / k).ln() + (r + 0.5 * sigma.square()) * t) / sd;
            s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
        });
        prices.sum()
    }
}

macro_rules! on_handles {
    ($($function:ident)+) => {
        /// The idiom on `Var`s.
        pub mod plain {
            use super::*;
            $( pub fn $function(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
                tape.clear();
                let x = tape.vars_from(&inputs.x);
                read(idiom::$function(x, inputs), x, g)
            } )+
        }

        /// The idiom on `StaticVar`s, whose tape belongs to the thread.
        pub mod statics {
            use super::*;
            $( pub fn $function(_: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
                let (value, gradient) = wengert::statics::value_and_grad(|x| idiom::$function(x, inputs), &inputs.x);
                g.copy_from_slice(&gradient);
                value
            } )+
        }
    };
}
on_handles! { seed rosenbrock mlp normal matmul burgers bs }

/// With `fuse`, `sum` and `dot`, each of which records one node, and tensors where one formula takes
/// many rows of numbers.
pub mod best {
    use super::*;
    use wengert::ndarray::{ArrayView2, Axis, Ix2};
    use wengert::{Tensor, dot, fuse};

    pub fn seed(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let vars = tape.vars([inputs.x[0], inputs.x[1], inputs.x[2], inputs.x[3]]);
        let [x, y] = [inputs.data[0], inputs.data[1]];
        let loss = fuse(vars, |[w1, b1, w2, b2]| (w2 * (w1 * x + b1) + b2 - y).square());
        let grad = loss.backward();
        g.copy_from_slice(&vars.map(|v| grad[v]));
        loss.value()
    }

    pub fn rosenbrock(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let x = tape.vars_from(&inputs.x);
        let terms = x
            .windows(2)
            .map(|p| fuse([p[0], p[1]], |[x, next]| 100.0 * (next - x.square()).square() + (1.0 - x).square()));
        read(terms.sum(), x, g)
    }

    pub fn mlp(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let x = tape.vars_from(&inputs.x);
        let p = net::Layers::new(x);
        let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
            let h1: [_; net::WIDTH] =
                from_fn(|i| fuse([p.w1[i][0], p.w1[i][1], p.b1[i]], |[w0, w1, b]| (w0 * x0 + w1 * x1 + b).tanh()));
            let h2: [_; net::WIDTH] = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
            (dot(p.w3, &h2) + p.b3 - y).square()
        });
        read(errors.sum::<Var<'_, f64>>() / net::BATCH as f64, x, g)
    }

    pub fn normal(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let vars = tape.vars([inputs.x[0], inputs.x[1]]);
        let terms = inputs.data.iter().map(|&y| {
            fuse(vars, |[mu, sigma]| {
                let z = (y - mu) / sigma;
                -0.5 * z.square() - sigma.ln() - HALF_LN_TAU
            })
        });
        read(terms.sum(), &vars, g)
    }

    pub fn matmul(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let x = tape.vars_from(&inputs.x);
        let (a, b) = x.split_at(N * N);
        let columns: Vec<_> = (0..N * N).map(|i| b[N * (i % N) + i / N]).collect();
        let entries = a.chunks_exact(N).flat_map(|row| columns.chunks_exact(N).map(|column| dot(row, column)));
        read(entries.sum(), x, g)
    }

    pub fn burgers(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let x = tape.vars_from(&inputs.x);
        let (mut u, mut next) = (x.to_vec(), vec![]);
        for _ in 0..STEPS {
            next.clear();
            next.extend(stencil(&u).map(|point| {
                fuse(point, |[left, here, right]| here - A * here * (right - left) + B * (right - 2.0 * here + left))
            }));
            std::mem::swap(&mut u, &mut next);
        }
        read(dot(&u, &u), x, g)
    }

    fn cdf<'t>(x: Tensor<'t, f64, Ix2>) -> Tensor<'t, f64, Ix2> {
        0.5 * (x * -FRAC_1_SQRT_2).erfc()
    }

    pub fn bs(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        tape.clear();
        let table = ArrayView2::from_shape((inputs.x.len() / 5, 5), &inputs.x).unwrap();
        let options = tape.tensor(&table);
        let [s, k, t, r, sigma] = options.split(Axis(1));
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + 0.5 * sigma.square()) * t) / sd;
        let price = (s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)).sum();
        g.copy_from_slice(price.backward().wrt(options).as_slice().unwrap());
        price.value()
    }
}

/// The matrices in these functions as tensors.
pub mod tensors {
    use super::*;
    use wengert::Tensor;
    use wengert::ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, Axis, Ix1, s};

    pub fn mlp(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        use net::{BATCH, WIDTH};
        let samples = ArrayView2::from_shape((BATCH, 3), &inputs.data).expect("three numbers a sample");
        let [x, y] = [samples.slice(s![.., ..2]), samples.slice(s![.., 2..])];
        let weights = ArrayView1::from(&inputs.x);
        tape.clear();
        let weights = tape.tensor(&weights);
        let (w1, rest) = weights.split_at(Axis(0), 2 * WIDTH);
        let (b1, rest) = rest.split_at(Axis(0), WIDTH);
        let (w2, rest) = rest.split_at(Axis(0), WIDTH * WIDTH);
        let (b2, rest) = rest.split_at(Axis(0), WIDTH);
        let (w3, b3) = rest.split_at(Axis(0), WIDTH);
        let h1 = (tape.constant(x).dot(w1.reshape((WIDTH, 2)).t()) + b1).tanh();
        let h2 = (h1.dot(w2.reshape((WIDTH, WIDTH)).t()) + b2).tanh();
        read_array((h2.dot(w3.reshape((WIDTH, 1))) + b3).mse(y), weights, g)
    }

    pub fn matmul(tape: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        let x = ArrayView1::from(&inputs.x);
        tape.clear();
        let x = tape.tensor(&x);
        let (a, b) = x.split_at(Axis(0), N * N);
        read_array(a.reshape((N, N)).dot(b.reshape((N, N))).sum(), x, g)
    }

    fn read_array<'t>(loss: Var<'t, f64>, x: Tensor<'t, f64, Ix1>, g: &mut [f64]) -> f64 {
        ArrayViewMut1::from(g).assign(&loss.backward().wrt(x));
        loss.value()
    }
}
