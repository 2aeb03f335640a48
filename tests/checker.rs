//! The gradient checker on some thousands of right and wrong gradients, at random points:
//! `cargo test --release --test checker -- --nocapture`.
//!
//! The table shows, for each family, right gradients that were called wrong, wrong ones that passed, runs that
//! stayed inconclusive although the values of the function decide them, and the evaluations per coordinate. `SHOW=1`
//! prints each such run, `SEEDS=n` and `FAMILY=name` choose the runs, and `FROM=n` the first seed.

#![allow(missing_docs)]
#![allow(clippy::too_many_lines, reason = "tables")]

use std::rc::Rc;

use ndarray::{Array1, Array2};
use wengert::Params;
use wengert::gradcheck::{Coordinates, GradCheck, GradientMismatch, Report, Verdict};

type Outcome = Result<Report, GradientMismatch>;

/// The verdict that a case must get.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expected {
    Right,
    /// Right, with values that may hide it: only *disagrees* is an error.
    RightIfSeen,
    Wrong,
    /// Wrong, with values that may hide it: only *agrees* is an error.
    WrongIfSeen,
}
use Expected::{Right, RightIfSeen, Wrong, WrongIfSeen};

struct Case {
    name: String,
    expected: Expected,
    run: Box<dyn Fn(GradCheck) -> Outcome>,
}

/// Random numbers of a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        0.5 * (hash(self.0) + 1.0)
    }

    fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A positive number with a uniform exponent.
    fn power(&mut self, low: f64, high: f64) -> f64 {
        10f64.powf(self.range(low, high))
    }

    fn sign(&mut self) -> f64 {
        if self.unit() < 0.5 { -1.0 } else { 1.0 }
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |_| self.range(-1.0, 1.0))
    }

    fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.range(-1.0, 1.0)).collect()
    }
}

fn hash(k: u64) -> f64 {
    let mut z = k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// The cases of one family and one seed.
struct Cases {
    list: Vec<Case>,
    random: Random,
}

impl Cases {
    fn add(&mut self, name: impl Into<String>, expected: Expected, run: impl Fn(GradCheck) -> Outcome + 'static) {
        self.list.push(Case { name: name.into(), expected, run: Box::new(run) });
    }

    /// A function of one number with the derivatives `slopes`.
    fn one(&mut self, name: &str, x: f64, f: impl Fn(f64) -> f64 + 'static, slopes: &[(Expected, f64)]) {
        let f = Rc::new(f);
        for &(expected, g) in slopes {
            let f = f.clone();
            let name = format!("{name} at {x:e}, slope {g:e}");
            self.add(name, expected, move |c| c.check(|p: &[f64]| f(p[0]), |_| vec![g], &[x]));
        }
    }

    /// The same in f32.
    fn one_f32(&mut self, name: &str, x: f32, f: impl Fn(f32) -> f32 + 'static, slopes: &[(Expected, f64)]) {
        let f = Rc::new(f);
        for &(expected, g) in slopes {
            let f = f.clone();
            let name = format!("{name} at {x:e}, slope {g:e}");
            self.add(name, expected, move |c| c.check(|p: &[f32]| f(p[0]), |_| vec![g as f32], &[x]));
        }
    }

    /// A function of several numbers, with a gradient for each expectation.
    fn many(
        &mut self,
        name: &str,
        x: Vec<f64>,
        f: impl Fn(&[f64]) -> f64 + 'static,
        gradients: Vec<(Expected, &str, Vec<f64>)>,
    ) {
        let (f, x) = (Rc::new(f), Rc::new(x));
        for (expected, what, g) in gradients {
            let (f, x) = (f.clone(), x.clone());
            self.add(format!("{name}: {what}"), expected, move |c| c.check(|p: &[f64]| f(p), |_| g.clone(), &x));
        }
    }
}

type Plain = fn(f64) -> f64;

/// The right slope and the usual wrong ones.
fn usual(g: f64) -> Vec<(Expected, f64)> {
    vec![(Right, g), (Wrong, 2.0 * g), (Wrong, -g), (Wrong, 0.0), (Wrong, 1.01 * g), (Wrong, (1.0 + 1e-5) * g)]
}

fn smooth(c: &mut Cases) {
    let functions: [(&str, f64, f64, Plain, Plain); 14] = [
        ("sin", -3.0, 3.0, f64::sin, f64::cos),
        ("exp", -20.0, 20.0, f64::exp, f64::exp),
        ("tanh", -4.0, 4.0, f64::tanh, |x| 1.0 / x.cosh().powi(2)),
        ("atan", -5.0, 5.0, f64::atan, |x| 1.0 / (1.0 + x * x)),
        ("x^2", -5.0, 5.0, |x| x * x, |x| 2.0 * x),
        ("x^3 - x", -2.0, 2.0, |x| x * x * x - x, |x| 3.0 * x * x - 1.0),
        ("exp(-x^2)", -3.0, 3.0, |x| (-x * x).exp(), |x| -2.0 * x * (-x * x).exp()),
        ("sin(x^2)", -4.0, 4.0, |x| (x * x).sin(), |x| 2.0 * x * (x * x).cos()),
        ("softplus", -20.0, 20.0, |x| x.exp().ln_1p(), |x| 1.0 / (1.0 + (-x).exp())),
        ("sigmoid", -15.0, 15.0, |x| 1.0 / (1.0 + (-x).exp()), |x| 1.0 / (2.0 + x.exp() + (-x).exp())),
        ("ln", 0.01, 100.0, f64::ln, |x| 1.0 / x),
        ("sqrt", 0.01, 100.0, f64::sqrt, |x| 0.5 / x.sqrt()),
        ("sin(50 x)", -2.0, 2.0, |x| (50.0 * x).sin(), |x| 50.0 * (50.0 * x).cos()),
        ("1/(1+25x^2)", -1.0, 1.0, |x| 1.0 / (1.0 + 25.0 * x * x), |x| -50.0 * x / (1.0 + 25.0 * x * x).powi(2)),
    ];
    for (name, low, high, f, g) in functions {
        let x = c.random.range(low, high);
        c.one(name, x, f, &usual(g(x)));
    }
}

fn scales(c: &mut Cases) {
    for _ in 0..2 {
        let (x, a) = (c.random.power(-8.0, 8.0), c.random.power(-30.0, 30.0));
        c.one("a x^2", x, move |x| a * x * x, &usual(2.0 * a * x));
        c.one("a ln x", x, move |x| a * x.ln(), &usual(a / x));
        c.one("a sqrt x", x, move |x| a * x.sqrt(), &usual(0.5 * a / x.sqrt()));
        c.one("a / x", x, move |x| a / x, &usual(-a / (x * x)));
        let x = c.random.power(-150.0, -60.0);
        c.one("x^2, tiny", x, |x| x * x, &usual(2.0 * x));
        c.one("sin, tiny", x, f64::sin, &usual(1.0));
        c.one("ln, tiny", x, f64::ln, &usual(1.0 / x));
        c.one("1 + x, tiny", x, |x| 1.0 + x, &usual(1.0)[..4]);
        c.one("exp, tiny", x, f64::exp, &usual(1.0)[..4]);
        let x = c.random.power(5.0, 11.0);
        c.one("sin, huge", x, f64::sin, &usual(x.cos())[..5]);
        let x = c.random.power(11.0, 15.0);
        c.one("sin, more than huge", x, f64::sin, &[(RightIfSeen, x.cos()), (WrongIfSeen, -x.cos())]);
        // At this spacing of floats the values of a sine decide nothing.
        let x = c.random.power(17.0, 19.0);
        c.one("sin, beyond", x, f64::sin, &[(RightIfSeen, x.cos()), (RightIfSeen, x.sin())]);
        let offset = c.random.power(1.0, 11.0);
        let x = c.random.range(0.2, 1.2);
        let wrong = [(Right, x.cos()), (Wrong, 2.0 * x.cos()), (Wrong, 0.0), (Wrong, -x.cos())];
        c.one("offset + sin", x, move |x| offset + x.sin(), &wrong);
        let offset = c.random.power(13.0, 15.5);
        let hidden = [(RightIfSeen, x.cos()), (WrongIfSeen, 4.0 * x.cos()), (WrongIfSeen, -2.0 * x.cos())];
        c.one("huge offset + sin", x, move |x| offset + x.sin(), &hidden);
        c.one("huge offset + tanh", x, move |x| offset + x.tanh(), &[(RightIfSeen, x.cosh().powi(-2))]);
        c.one("huge offset + bell", x, move |x| offset + (-x * x).exp(), &[(RightIfSeen, -2.0 * x * (-x * x).exp())]);
    }
}

fn steep(c: &mut Cases) {
    for _ in 0..3 {
        let (k, a, u) = (c.random.power(2.0, 12.0), c.random.range(0.5, 2.0), c.random.range(-1.0, 1.0));
        let x = a + u / k;
        let t = (x - a) * k;
        c.one("tanh k(x-a)", x, move |x| ((x - a) * k).tanh(), &usual(k / t.cosh().powi(2))[..5]);
        c.one("bell k(x-a)", x, move |x| (-((x - a) * k).powi(2)).exp(), &usual(-2.0 * k * t * (-t * t).exp())[..4]);
        let x = c.random.range(0.3, 2.0);
        let k = c.random.power(2.0, 9.0);
        c.one("sin kx", x, move |x| (k * x).sin(), &usual(k * (k * x).cos())[..5]);
        // Structure on a smooth ground; its slope is forgotten.
        let both = 2.0 * x + k * (k * x).cos();
        let expected = if (k * x).cos().abs() > 0.01 { Wrong } else { WrongIfSeen };
        c.one("x^2 + sin kx", x, move |x| x * x + (k * x).sin(), &[(Right, both), (expected, 2.0 * x)]);
        let small = c.random.power(-6.0, -1.0);
        let both = 2.0 * x + small * k * (k * x).cos();
        let missing = small * k * (k * x).cos().abs() > 0.3 * both;
        c.one(
            "x^2 + a sin kx",
            x,
            move |x| x * x + small * (k * x).sin(),
            &[(Right, both), (if missing { Wrong } else { Right }, if missing { 2.0 * x } else { both })],
        );
        // Domains that end near.
        let d = c.random.power(-12.0, -2.0);
        let x = 1.0 - d;
        c.one("acos near 1", x, f64::acos, &usual(-1.0 / ((1.0 - x) * (1.0 + x)).sqrt())[..5]);
        c.one("sqrt(1-x)", x, |x| (1.0 - x).sqrt(), &usual(-0.5 / (1.0 - x).sqrt())[..5]);
        c.one("ln(1-x)", x, |x| (1.0 - x).ln(), &usual(-1.0 / (1.0 - x))[..5]);
        c.one("atanh near 1", x, |x| 0.5 * ((1.0 + x) / (1.0 - x)).ln(), &usual(1.0 / ((1.0 - x) * (1.0 + x)))[..5]);
    }
}

fn kinks(c: &mut Cases) {
    for _ in 0..3 {
        let (z, d, s) = (c.random.range(0.5, 2.0), c.random.power(-9.0, -2.0), c.random.sign());
        let x = z + s * d;
        let s = (x - z).signum();
        c.one("|x-z|", x, move |x| (x - z).abs(), &[(Right, s), (Wrong, -s), (Wrong, 0.0), (Wrong, 1.01 * s)]);
        let on = f64::from(u8::from(x > z));
        c.one(
            "relu(x-z) + sin",
            x,
            move |x| (x - z).max(0.0) + x.sin(),
            &[(Right, x.cos() + on), (Wrong, x.cos() + 1.0 - on), (Wrong, x.cos() + 0.5)],
        );
        let g = 50.0 * (50.0 * (x - z)).cos() * (50.0 * (x - z)).sin().signum();
        c.one("|sin 50(x-z)|", x, move |x| (50.0 * (x - z)).sin().abs(), &[(Right, g), (Wrong, -g), (Wrong, 0.0)]);
        let g = 1.5 * (x - z).abs().sqrt() * s;
        c.one("|x-z|^1.5", x, move |x| (x - z).abs().powf(1.5), &[(Right, g), (Wrong, -g), (Wrong, 0.0)]);
        let g = if x > z { 1.0 } else { 0.01 };
        c.one(
            "leaky + x^2",
            x,
            move |x| if x > z { x - z } else { 0.01 * (x - z) } + x * x,
            &[(Right, g + 2.0 * x), (Wrong, 1.01 - g + 2.0 * x)],
        );
        // A weak kink in a large function.
        let w = c.random.power(-4.0, 0.0);
        let far = c.random.power(-5.0, -2.0);
        let x = z + s * far;
        c.one(
            "exp + w|x-z|",
            x,
            move |x| x.exp() + w * (x - z).abs(),
            &[(Right, x.exp() + w * s), (Wrong, x.exp() - w * s), (Wrong, x.exp())],
        );
        // At the kink.
        let slope = c.random.range(-1.0, 1.0);
        c.one("|x-z| at z", z, move |x| (x - z).abs(), &[(Right, slope), (Wrong, 1.0 + slope.abs()), (Wrong, -1.02)]);
        c.one(
            "relu + x at z",
            z,
            move |x| (x - z).max(0.0) + x,
            &[(Right, 1.0), (Right, 2.0), (Wrong, 0.9), (Wrong, 2.1)],
        );
    }
}

fn noisy(c: &mut Cases) {
    let functions: [(&str, Plain, Plain); 5] = [
        ("sin", f64::sin, f64::cos),
        ("bell", |x| (-x * x).exp(), |x| -2.0 * x * (-x * x).exp()),
        ("tanh", f64::tanh, |x| x.cosh().powi(-2)),
        ("x^2", |x| x * x, |x| 2.0 * x),
        ("exp", f64::exp, f64::exp),
    ];
    for (name, f, g) in functions {
        let x = c.random.range(0.2, 1.2);
        let salt = (c.random.unit() * 1e9) as u64;
        for (amplitude, right, wrong) in [
            (c.random.power(-13.0, -8.0), Right, Wrong),
            (c.random.power(-8.0, -5.0), RightIfSeen, Wrong),
            (c.random.power(-5.0, -1.0), RightIfSeen, WrongIfSeen),
        ] {
            let noise = move |x: f64| amplitude * hash(x.to_bits() ^ salt);
            let slopes = [(right, g(x)), (wrong, 2.0 * g(x)), (wrong, -g(x)), (WrongIfSeen, 1.1 * g(x))];
            c.one(&format!("{name} + {amplitude:.0e} noise"), x, move |x| f(x) + noise(x), &slopes);
        }
    }
    let x = c.random.range(0.2, 1.2);
    // A mean over new samples at each point, and over the same samples.
    let mean = |seed: u64, x: f64| {
        let mut random = Random(seed);
        (0..1000).map(|_| (x + random.range(-1.7, 1.7)).sin()).sum::<f64>() / 1000.0
    };
    let slope = x.cos() * 1.7f64.sin() / 1.7;
    let salt = (c.random.unit() * 1e9) as u64;
    c.one(
        "mean of new samples",
        x,
        move |x| mean(x.to_bits() ^ salt, x),
        &[(RightIfSeen, slope), (WrongIfSeen, -slope), (WrongIfSeen, 3.0 * slope)],
    );
    let mut random = Random(salt);
    let exact = (0..1000).map(|_| (x + random.range(-1.7, 1.7)).cos()).sum::<f64>() / 1000.0;
    c.one("mean of fixed samples", x, move |x| mean(salt, x), &usual(exact)[..4]);
    // Inputs or values in f32, iterations.
    c.one(
        "sin in f32",
        x,
        |x| f64::from((x as f32).sin()),
        &[(RightIfSeen, x.cos()), (Wrong, 0.0), (Wrong, -x.cos()), (Wrong, 1.1 * x.cos())],
    );
    c.one("tanh of f32", x, |x| f64::from(x as f32).tanh(), &[(RightIfSeen, x.cosh().powi(-2)), (Wrong, 2.0)]);
    let tolerance = c.random.power(-10.0, -4.0);
    // The value and the derivative of the iteration; that of the limit is almost the same.
    let newton = move |a: f64| {
        let (mut x, mut d) = (a, 1.0);
        while (x * x - a).abs() > tolerance {
            (x, d) = (0.5 * (x + a / x), 0.5 * (d + 1.0 / x - a * d / (x * x)));
        }
        (x, d)
    };
    let x = x + 1.0;
    c.one("iterated root", x, move |x| newton(x).0, &[(RightIfSeen, newton(x).1), (WrongIfSeen, -0.5)]);
    // Staircases: 0 is the derivative, the slope across the treads is what a straight-through gradient has.
    let x = c.random.power(0.0, 6.4).floor() + c.random.range(0.2, 0.8);
    c.one("floor", x, f64::floor, &[(RightIfSeen, 0.0), (WrongIfSeen, 2.0)]);
    c.one("x - floor", x, |x| x - x.floor(), &[(Right, 1.0), (WrongIfSeen, 0.0)]);
    let x = c.random.range(1.0, 1e3);
    c.one("round to 0.001", x, |x| (1e3 * x).round() / 1e3, &[(RightIfSeen, 0.0), (WrongIfSeen, -1.0)]);
}

fn single(c: &mut Cases) {
    let functions: [(&str, f64, f64, fn(f32) -> f32, Plain); 9] = [
        ("sin", -1.3, 1.3, f32::sin, f64::cos),
        ("exp", -5.0, 5.0, f32::exp, f64::exp),
        ("tanh", -2.0, 2.0, f32::tanh, |x| x.cosh().powi(-2)),
        ("x^2", 0.1, 5.0, |x| x * x, |x| 2.0 * x),
        ("x^3", 0.1, 5.0, |x| x * x * x, |x| 3.0 * x * x),
        ("ln", 0.01, 0.9, f32::ln, |x| 1.0 / x),
        ("sqrt", 0.01, 100.0, f32::sqrt, |x| 0.5 / x.sqrt()),
        ("softplus", -3.0, 10.0, |x| x.exp().ln_1p(), |x| 1.0 / (1.0 + (-x).exp())),
        ("1/x", 0.01, 100.0, |x| 1.0 / x, |x| -1.0 / (x * x)),
    ];
    for (name, low, high, f, g) in functions {
        let x = c.random.range(low, high) as f32;
        c.one_f32(name, x, f, &usual(g(f64::from(x)))[..4]);
    }
    let x = c.random.range(0.2, 1.2) as f32;
    let wide = f64::from(x);
    let (big, part) = (c.random.power(2.0, 6.0) as f32, c.random.power(-2.0, 1.0) as f32);
    let g = f64::from(part);
    let bounded = |right: f64| [(RightIfSeen, right), (WrongIfSeen, -3.0 * right)];
    c.one_f32("big + part tanh", x, move |x| big + part * x.tanh(), &bounded(g * wide.cosh().powi(-2)));
    c.one_f32("big + part sin", x, move |x| big + part * x.sin(), &bounded(g * wide.cos()));
    c.one_f32(
        "big + part bell",
        x,
        move |x| big + part * (-x * x).exp(),
        &bounded(-2.0 * g * wide * (-wide * wide).exp()),
    );
    let (z, d, s) = (c.random.range(0.5, 2.0) as f32, c.random.power(-3.0, -1.0) as f32, c.random.sign() as f32);
    let x = z + s * d;
    let s = f64::from((x - z).signum());
    let (right, wrong) = if d > 3e-3 { (Right, Wrong) } else { (RightIfSeen, WrongIfSeen) };
    c.one_f32("|x-z|", x, move |x| (x - z).abs(), &[(right, s), (wrong, -s)]);
    c.one_f32("|x-z| at z", z, move |x| (x - z).abs(), &[(Right, 0.3), (Wrong, 1.5), (Wrong, -2.0)]);
    let near = z + 1e-4 * s as f32;
    c.one_f32("|x-z| near", near, move |x| (x - z).abs(), &[(RightIfSeen, s), (WrongIfSeen, -s)]);
    // Long sums.
    let n = 2000 + (c.random.unit() * 3000.0) as usize;
    let w: Vec<f32> = c.random.vector(n).into_iter().map(|w| w as f32).collect();
    let x: Vec<f32> = c.random.vector(4).into_iter().map(|x| x as f32 + 0.1).collect();
    let (w, x) = (Rc::new(w), Rc::new(x));
    let exact = |k: usize| -> f32 {
        let terms = w.iter().enumerate().filter(|(i, _)| i % 4 == k);
        terms.map(|(_, w)| f64::from(*w) * (f64::from(*w) * f64::from(x[k])).cos()).sum::<f64>() as f32
    };
    let right: Vec<f32> = (0..4).map(exact).collect();
    let variants: [(Expected, &str, fn(&mut [f32])); 4] = [
        (Right, "right", |_| ()),
        (Wrong, "sign", |g| g[2] = -g[2]),
        (Wrong, "doubled", |g| g[1] *= 2.0),
        (Wrong, "zero", |g| g[0] = 0.0),
    ];
    for (expected, what, change) in variants {
        let (w, x, mut g) = (w.clone(), x.clone(), right.clone());
        change(&mut g);
        c.add(format!("f32 sum of {n}: {what}"), expected, move |c| {
            let f = |p: &[f32]| w.iter().enumerate().map(|(i, w)| (w * p[i % 4]).sin()).sum::<f32>();
            c.check(f, |_| g.clone(), &x)
        });
    }
    // One coordinate for each term: each partial is a small share of the sum.
    let x: Vec<f32> = c.random.vector(n).into_iter().map(|x| x as f32).collect();
    for (expected, what, factor) in [(Right, "right", 1.0_f32), (Wrong, "doubled", 2.0), (Wrong, "off by 5%", 1.05)] {
        let x = x.clone();
        c.add(format!("f32 sum of {n} exponentials: {what}"), expected, move |c| {
            let g = |x: &[f32]| x.iter().map(|x| factor * x.exp()).collect();
            c.check(|x: &[f32]| x.iter().map(|x| x.exp()).sum::<f32>(), g, &x)
        });
    }
}

/// A faulty layer: the gradient of one kind of weight is wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    DetachedBias,
    DoubledWeight,
    FlippedBias,
    DetachedHidden,
}

macro_rules! net {
    ($name:ident, $float:ty) => {
        fn $name(c: &mut Cases, sizes: [usize; 3], relu: bool, classify: bool, faults: &[Fault]) {
            let [inputs, hidden, outputs] = sizes;
            let cast = |a: Array2<f64>| a.mapv(|v| v as $float);
            let rows = 16 + (c.random.unit() * 48.0) as usize;
            let data = cast(c.random.matrix(rows, inputs));
            let target = cast(c.random.matrix(rows, outputs));
            let labels: Vec<usize> = (0..rows).map(|_| (c.random.unit() * outputs as f64) as usize).collect();
            let bound = |n: usize| 1.0 / (n as f64).sqrt();
            let [w1, w2] = [(inputs, hidden), (hidden, outputs)].map(|(i, o)| cast(c.random.matrix(i, o) * bound(i)));
            let [b1, b2] = [(inputs, hidden), (hidden, outputs)].map(|(i, o)| cast(c.random.matrix(1, o) * bound(i)));
            let mut params = Params::<$float>::new();
            let w1 = params.add("w1", w1);
            let b1 = params.add("b1", b1.remove_axis(ndarray::Axis(0)));
            let w2 = params.add("w2", w2);
            let b2 = params.add("b2", b2.remove_axis(ndarray::Axis(0)));
            let shared = Rc::new((params, data, target, labels));
            for &fault in faults {
                let shared = shared.clone();
                let expected = if fault == Fault::None { Right } else { Wrong };
                let name = format!(
                    "{} {sizes:?} {} {} fault {}",
                    stringify!($float),
                    if relu { "relu" } else { "tanh" },
                    if classify { "entropy" } else { "squares" },
                    fault as u8
                );
                c.add(name, expected, move |check| {
                    let (params, data, target, labels) = &*shared;
                    check.check_params(params, |p| {
                        let (mut a, mut b, mut v) = (p.get(w1), p.get(b1), p.get(w2));
                        match fault {
                            Fault::None => {}
                            Fault::DetachedBias => b = b.detach(),
                            Fault::DoubledWeight => a = a * 2.0 - a.detach(),
                            Fault::FlippedBias => b = b.detach() * 2.0 - b,
                            Fault::DetachedHidden => v = v.detach(),
                        }
                        let h = p.constant(data).dot(a) + b;
                        let h = if relu { h.relu() } else { h.tanh() };
                        let out = h.dot(v) + p.get(b2);
                        if classify {
                            out.softmax_cross_entropy(labels)
                        } else {
                            (out - p.constant(target)).square().mean()
                        }
                    })
                });
            }
        }
    };
}
net!(net_f32, f32);
net!(net_f64, f64);

const FAULTS: [Fault; 4] = [Fault::DetachedBias, Fault::DoubledWeight, Fault::FlippedBias, Fault::DetachedHidden];

fn nets_f32(c: &mut Cases) {
    let fault = FAULTS[(c.random.unit() * 4.0) as usize];
    for relu in [true, false] {
        for classify in [true, false] {
            net_f32(c, [10, 15, 2], relu, classify, &[Fault::None, fault]);
            net_f32(c, [4, 8, 3], relu, classify, &[Fault::None, fault]);
        }
        net_f32(c, [8, 30, 4], relu, true, &[Fault::None, fault]);
        net_f32(c, [16, 60, 10], relu, true, &[Fault::None, fault]);
    }
}

fn nets_f64(c: &mut Cases) {
    let fault = FAULTS[(c.random.unit() * 4.0) as usize];
    for relu in [true, false] {
        net_f64(c, [10, 15, 2], relu, true, &[Fault::None, fault]);
        net_f64(c, [4, 8, 3], relu, false, &[Fault::None, fault]);
        net_f64(c, [16, 60, 10], relu, true, &[Fault::None, fault]);
    }
}

fn several(c: &mut Cases) {
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let n = 2 + (c.random.unit() * 5.0) as usize;
    let signs: Vec<f64> = (0..n).map(|_| c.random.sign()).collect();
    // Outside of the unit ball no vector is a subgradient.
    let outside: Vec<f64> = signs.iter().map(|s| 0.99 * s).collect();
    let inside: Vec<f64> = signs.iter().map(|s| 0.9 * s / (n as f64).sqrt()).collect();
    c.many(
        "norm at 0",
        vec![0.0; n],
        norm,
        vec![(Right, "zeros", vec![0.0; n]), (Right, "inside", inside), (Wrong, "outside", outside)],
    );
    let x: Vec<f64> = (0..n).map(|_| c.random.sign() * c.random.power(-3.0, 3.0)).collect();
    let r = norm(&x);
    let right: Vec<f64> = x.iter().map(|x| x / r).collect();
    let largest = (0..n).max_by(|a, b| x[*a].abs().total_cmp(&x[*b].abs())).unwrap();
    let mut wrong = right.clone();
    wrong[largest] *= 1.001;
    c.many("norm", x, norm, vec![(Right, "right", right), (Wrong, "largest off by 0.1%", wrong)]);

    let x = vec![c.random.range(-2.0, 2.0), c.random.range(-2.0, 2.0)];
    let r = x[1] - x[0] * x[0];
    let g = vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * r, 200.0 * r];
    let swapped = vec![g[1], g[0]];
    let lost = vec![-400.0 * x[0] * r, 200.0 * r];
    c.many(
        "rosenbrock",
        x,
        |x| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2),
        vec![(Right, "right", g), (Wrong, "swapped", swapped), (Wrong, "a term lost", lost)],
    );
    let (a, b) = (c.random.power(0.0, 6.0), c.random.power(-7.0, 0.0));
    c.many(
        "a x + b sin y",
        vec![1.0, 0.5],
        move |x| a * x[0] + b * x[1].sin(),
        vec![(Right, "right", vec![a, b * 0.5f64.cos()]), (Wrong, "small sign", vec![a, -b * 0.5f64.cos()])],
    );
    // A minimum: the gradient is zero, the values are as small.
    let m = c.random.sign() * c.random.power(-3.0, 6.0);
    c.one("cosh at its minimum", m, move |x| (x - m).cosh(), &[(Right, 0.0), (Wrong, 1e-3)]);
    c.one("(x-m)^2 + (x-m)^3", m, move |x| (x - m).powi(2) + (x - m).powi(3), &[(Right, 0.0), (Wrong, 1e-3)]);
    c.one("constant", m, |_| 2.5, &[(Right, 0.0), (Wrong, 1.0)]);
    // Ties.
    let t = c.random.range(-2.0, 2.0);
    let share = c.random.unit();
    c.many(
        "max at a tie",
        vec![t, t, t - 1.0],
        |x| x[0].max(x[1]).max(x[2]),
        vec![
            (Right, "shared", vec![share, 1.0 - share, 0.0]),
            (Wrong, "both", vec![1.0, 1.0, 0.0]),
            (Wrong, "too little", vec![0.4, 0.4, 0.0]),
        ],
    );
    // Products, Jacobians, many inputs.
    let x = c.random.vector(3);
    let f = |x: &[f64]| vec![(x[0] * x[1]).sin(), x[1].exp() * x[2], x[0] + x[2] * x[2]];
    let jacobian = |x: &[f64]| {
        let c = (x[0] * x[1]).cos();
        let (e, z) = (x[1].exp(), x[2]);
        ndarray::array![[x[1] * c, x[0] * c, 0.0], [0.0, e * z, e], [1.0, 0.0, 2.0 * z]]
    };
    let points: [Rc<Vec<f64>>; 5] = std::array::from_fn(|_| Rc::new(x.clone()));
    let [p0, p1, p2, p3, p4] = points;
    c.add("Jacobian", Right, move |c| c.check_jacobian(f, jacobian, &p0));
    c.add("Jacobian transposed", Wrong, move |c| c.check_jacobian(f, |x: &[f64]| jacobian(x).reversed_axes(), &p1));
    let of = |v: &[f64]| Array1::from(v.to_vec());
    c.add("vjp", Right, move |c| c.check_vjp(f, move |x, v| jacobian(x).t().dot(&of(v)).to_vec(), &p2));
    c.add("vjp transposed", Wrong, move |c| c.check_vjp(f, move |x, v| jacobian(x).dot(&of(v)).to_vec(), &p3));
    c.add("jvp", Right, move |c| c.check_jvp(f, move |x, v| jacobian(x).dot(&of(v)).to_vec(), &p4));
    let x = Rc::new(c.random.vector(3000));
    let k = (c.random.unit() * 3000.0) as usize;
    for (expected, what, factor) in [(Right, "right", 1.0), (Wrong, "one zero", 0.0), (Wrong, "one off by 1%", 1.01)] {
        let x = x.clone();
        c.add(format!("3000 products: {what}"), expected, move |c| {
            let f = |x: &[f64]| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum::<f64>() + x.iter().sum::<f64>();
            let gradient = |x: &[f64]| {
                let mut g = vec![1.0; x.len()];
                for i in 1..x.len() {
                    let c = (x[i - 1] * x[i]).cos();
                    g[i - 1] += c * x[i];
                    g[i] += c * x[i - 1];
                }
                g[k] *= factor;
                g
            };
            c.coordinates(Coordinates::Auto).check(f, gradient, &x)
        });
    }
}

#[test]
fn battery() {
    let number = |name: &str| std::env::var(name).ok().map(|s| s.parse::<u64>().expect("a number"));
    let (from, seeds) = (number("FROM").unwrap_or(0), number("SEEDS").unwrap_or(20));
    let only = std::env::var("FAMILY").ok();
    let families: [(&str, fn(&mut Cases)); 9] = [
        ("smooth", smooth),
        ("scales", scales),
        ("steep", steep),
        ("kinks", kinks),
        ("noisy", noisy),
        ("f32", single),
        ("nets in f32", nets_f32),
        ("nets in f64", nets_f64),
        ("several inputs", several),
    ];
    if std::env::var_os("LOUD").is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
    println!(
        "{:16}{:>8}{:>8}{:>14}{:>8}{:>14}{:>22}",
        "family", "right", "wrong", "false alarms", "misses", "inconclusive", "evaluations (mean)"
    );
    let mut total = [0_usize; 5];
    for (name, family) in families.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| *name == only)) {
        let mut counts = [0_usize; 5];
        let mut evaluations = 0.0;
        for seed in from..from + seeds {
            let mut cases = Cases { list: Vec::new(), random: Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d)) };
            family(&mut cases);
            for case in cases.list {
                let outcome = (case.run)(GradCheck::new().seed(seed));
                let report = match &outcome {
                    Ok(report) => report,
                    Err(e) => e.report().unwrap_or_else(|| panic!("{}: {e}", case.name)),
                };
                evaluations += report.evaluations as f64 / report.covered as f64;
                counts[usize::from(matches!(case.expected, Wrong | WrongIfSeen))] += 1;
                let error = match (case.expected, report.verdict()) {
                    (Right | RightIfSeen, Verdict::Disagrees) => 2,
                    (Wrong | WrongIfSeen, Verdict::Agrees) => 3,
                    (Right | Wrong, Verdict::Inconclusive) => 4,
                    _ => continue,
                };
                counts[error] += 1;
                if std::env::var_os("SHOW").is_some() {
                    let kind = ["", "", "FALSE ALARM", "MISS", "OPEN"][error];
                    println!("{kind}: {name}, seed {seed}: {}\n{report}", case.name);
                }
            }
        }
        let [right, wrong, alarms, misses, open] = counts;
        let mean = evaluations / (right + wrong) as f64;
        println!("{name:16}{right:>8}{wrong:>8}{alarms:>14}{misses:>8}{open:>14}{mean:>22.1}");
        total.iter_mut().zip(counts).for_each(|(t, c)| *t += c);
    }
    let [right, wrong, alarms, misses, open] = total;
    println!("{:16}{right:>8}{wrong:>8}{alarms:>14}{misses:>8}{open:>14}", "all");
    assert!(
        alarms + misses <= 20 && open <= 40,
        "{alarms} false alarms, {misses} misses, {open} inconclusive without need"
    );
}
