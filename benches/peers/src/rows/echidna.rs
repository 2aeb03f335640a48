//! `echidna`: a thread-local tape of statements, driven by hand so that tape and handles keep their
//! memory (the sweep allocates); and its bytecode tape, recorded once and replayed.

use crate::suite::burgers::{A, B, STEPS, stencil};
use crate::suite::{Inputs, bs as black_scholes, matmul::N, mlp as net, normal::HALF_LN_TAU};
use echidna::{BReverse64, Reverse64, Scalar};
use std::array::from_fn;
use std::ops::{Add, Div, Mul, Sub};

/// The scalar type of either tape.
trait Active:
    Scalar<Float = f64>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
}

impl Active for Reverse64 {}
impl Active for BReverse64 {}

fn sum<T: Active>(terms: impl Iterator<Item = T>) -> T {
    terms.reduce(|a, b| a + b).expect("at least one term")
}

fn dot<T: Active, const LEN: usize>(a: &[T; LEN], b: &[T; LEN]) -> T {
    sum(a.iter().zip(b).map(|(&a, &b)| a * b))
}

fn seed<T: Active>(v: &[T], inputs: &Inputs) -> T {
    let ([w1, b1, w2, b2], [x, y]) = ([v[0], v[1], v[2], v[3]], [inputs.data[0], inputs.data[1]]);
    let t = w2 * (w1 * x + b1) + b2 - y;
    t * t
}

fn rosenbrock<T: Active>(x: &[T], _: &Inputs) -> T {
    sum(x.windows(2).map(|p| {
        let (t, u) = (p[1] - p[0] * p[0], p[0] - 1.0);
        t * t * 100.0 + u * u
    }))
}

fn mlp<T: Active>(x: &[T], inputs: &Inputs) -> T {
    let p = net::Layers::new(x);
    let errors = net::samples(inputs).iter().map(|&[x0, x1, y]| {
        let h1 = from_fn(|i| (p.w1[i][0] * x0 + p.w1[i][1] * x1 + p.b1[i]).tanh());
        let h2 = from_fn(|i| (dot(&p.w2[i], &h1) + p.b2[i]).tanh());
        let t = dot(p.w3, &h2) + p.b3 - y;
        t * t
    });
    sum(errors) / net::BATCH as f64
}

fn normal<T: Active>(v: &[T], inputs: &Inputs) -> T {
    let [mu, sigma] = [v[0], v[1]];
    sum(inputs.data.iter().map(|&y| {
        let z = (mu - y) / sigma;
        z * z * -0.5 - sigma.ln() - HALF_LN_TAU
    }))
}

fn matmul<T: Active>(x: &[T], _: &Inputs) -> T {
    let (a, b) = x.split_at(N * N);
    let entry = |i, j| sum((0..N).map(|k| a[N * i + k] * b[N * k + j]));
    sum((0..N).flat_map(|i| (0..N).map(move |j| entry(i, j))))
}

fn burgers<T: Active>(x: &[T], _: &Inputs) -> T {
    let (mut u, mut next) = (x.to_vec(), vec![]);
    for _ in 0..STEPS {
        next.clear();
        next.extend(
            stencil(&u).map(|[left, here, right]| here - here * (right - left) * A + (right - here * 2.0 + left) * B),
        );
        std::mem::swap(&mut u, &mut next);
    }
    sum(u.iter().map(|&u| u * u))
}

fn bs<T: Active>(x: &[T], cdf: impl Fn(T) -> T) -> T {
    sum(black_scholes::options(x).iter().map(|&[s, k, t, r, sigma]| {
        let sd = sigma * t.sqrt();
        let d1 = ((s / k).ln() + (r + sigma * sigma * 0.5) * t) / sd;
        s * cdf(d1) - k * (-r * t).exp() * cdf(d1 - sd)
    }))
}

/// The seven functions of a mode from its `gradient`; the mode has a `bs` of its own, because the
/// crate has no `erf` and either tape takes a foreign operation in another way.
macro_rules! rows {
    ($($function:ident)*) => {$(
        pub fn $function(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
            gradient(state, inputs, g, |x| super::$function(x, inputs))
        }
    )*};
}

/// Record and sweep.
pub mod record {
    use super::{Inputs, Reverse64, Scalar, black_scholes};
    use echidna::tape::{Tape, TapeGuard, with_active_tape};

    #[derive(Default)]
    pub struct State {
        tape: Tape<f64>,
        vars: Vec<Reverse64>,
    }

    fn gradient(state: &mut State, inputs: &Inputs, g: &mut [f64], f: impl FnOnce(&[Reverse64]) -> Reverse64) -> f64 {
        let State { tape, vars } = state;
        tape.clear();
        vars.clear();
        vars.extend(inputs.x.iter().map(|&x| {
            let (index, value) = tape.new_variable(x);
            Reverse64::from_tape(value, index)
        }));
        let guard = TapeGuard::new(tape);
        let loss = f(vars);
        drop(guard);
        g.copy_from_slice(&tape.reverse(loss.index())[..g.len()]);
        loss.value()
    }

    rows!(seed rosenbrock mlp normal matmul burgers);

    pub fn bs(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        gradient(state, inputs, g, |x| super::bs(x, cdf))
    }

    fn cdf(x: Reverse64) -> Reverse64 {
        let partial = black_scholes::pdf(x.value());
        let index = with_active_tape(|tape| tape.push_unary(x.index(), partial));
        Reverse64::from_tape(black_scholes::cdf(x.value()), index)
    }
}

/// Replay the bytecode of the first call at the current point. Nothing is recorded, so it answers
/// only for functions whose control flow does not depend on their arguments.
pub mod replay {
    use super::{BReverse64, Inputs, Scalar, black_scholes};
    use echidna::bytecode_tape::{BtapeGuard, BytecodeTape, CustomOp};
    use std::sync::Arc;

    #[derive(Default)]
    pub struct State {
        tape: Option<BytecodeTape<f64>>,
        adjoints: Vec<f64>,
    }

    fn gradient(state: &mut State, inputs: &Inputs, g: &mut [f64], f: impl FnOnce(&[BReverse64]) -> BReverse64) -> f64 {
        let tape = state.tape.get_or_insert_with(|| echidna::record(f, &inputs.x).0);
        g.copy_from_slice(&tape.gradient_with_buf(&inputs.x, &mut state.adjoints));
        tape.output_value()
    }

    rows!(seed rosenbrock mlp normal matmul burgers);

    struct Cdf;

    impl CustomOp<f64> for Cdf {
        fn eval(&self, x: f64, _: f64) -> f64 {
            black_scholes::cdf(x)
        }

        fn partials(&self, x: f64, _: f64, _: f64) -> (f64, f64) {
            (black_scholes::pdf(x), 0.0)
        }
    }

    pub fn bs(state: &mut State, inputs: &Inputs, g: &mut [f64]) -> f64 {
        if state.tape.is_none() {
            let mut tape = BytecodeTape::new();
            let cdf = tape.register_custom(Arc::new(Cdf));
            let vars: Vec<_> = inputs.x.iter().map(|&x| BReverse64::from_tape(x, tape.new_input(x))).collect();
            let guard = BtapeGuard::new(&mut tape);
            let loss = super::bs(&vars, |x: BReverse64| x.custom_unary(cdf, black_scholes::cdf(x.value())));
            drop(guard);
            tape.set_output(loss.index());
            state.tape = Some(tape);
        }
        gradient(state, inputs, g, |_| unreachable!("recorded above"))
    }
}
