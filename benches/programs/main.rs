//! Programs: functions recorded once, against the plain primal in one run.
//!
//! `cargo bench --bench programs -- [NAME]` prints tables:
//! - for each function of benches/scalars the time of the primal in nanoseconds, and as ratios to it those of the
//!   hand-written adjoint, of a program's value and gradient, of the same for each of 64 points at once, of the program in
//!   `f32`, and of gradient and Hessian-vector product; then what recording and planning cost for each step;
//! - Hessians of functions of 100 inputs, in gradients of the program;
//! - an irregular graph and 10,000 comparisons;
//! - sums of 10³ to 10⁷ steps.
//!
//! All gradients are checked first. With `PLAN=1` the plans are printed, too.

#![allow(missing_docs)]

#[allow(unreachable_pub, elided_lifetimes_in_paths)]
mod functions;
mod hessians;
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::large_stack_arrays)]
#[path = "../scalars/suite.rs"]
mod suite;
#[path = "../timer/mod.rs"]
mod timer;

use std::hint::black_box;
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2};
use suite::Inputs;
use timer::{keep, race};
use wengert::Program;

fn check(name: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{name}: component {i} is {got}, should be {expected}");
    }
}

/// Runs a closure until it takes some milliseconds, and gives the time of a run.
fn time<T>(mut f: impl FnMut() -> T) -> (f64, T) {
    let start = Instant::now();
    let mut result = f();
    let mut n = 1;
    while start.elapsed() < Duration::from_millis(20) {
        result = f();
        n += 1;
    }
    (start.elapsed().as_nanos() as f64 / f64::from(n), result)
}

macro_rules! rows {
    ($filter:expr; $($function:ident)+) => { $(
        if stringify!($function).contains(&$filter) {
            const POINTS: usize = 64;
            let name = stringify!($function);
            let inputs = suite::$function::inputs();
            let Inputs { x, data } = &inputs;
            let mut expected = vec![0.0; x.len()];
            let value = suite::$function::adjoint(&mut Vec::new(), &inputs, &mut expected);
            let (planning, program) = time(|| Program::new(|x| functions::$function(x, data), x));
            let mut program = program.expect("a program");
            let steps = program.steps();
            let mut gradient = vec![0.0; x.len()];
            let got = program.value_and_grad(x, &mut gradient).expect("the recorded branch");
            check(name, &[got], &[value], 1e-12);
            check(name, &gradient, &expected, 1e-9);
            if let Some(n) = std::env::var("LOOP").ok().and_then(|n| n.parse::<usize>().ok()) {
                for _ in 0..n {
                    black_box(program.value_and_grad(black_box(x), &mut gradient)).expect("the recorded branch");
                }
                return;
            }
            let points = Array2::from_shape_fn((POINTS, x.len()), |(_, i)| x[i]);
            let (mut values, mut gradients) = (Array1::zeros(POINTS), Array2::zeros(points.dim()));
            let mut batched = program.clone();
            batched.batch(points.view(), values.view_mut(), gradients.view_mut()).expect("the recorded branch");
            assert!(values.iter().all(|&value| value == got) && gradients.rows().into_iter().all(|g| g.iter().eq(&gradient)));
            let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let mut f32_program = Program::over(|x| functions::$function(x, data), &single).expect("a program");
            let mut f32_gradient = vec![0.0; x.len()];
            f32_program.value_and_grad(&single, &mut f32_gradient).expect("the recorded branch");
            let size = expected.iter().fold(1.0, |size: f64, d| size.max(d.abs()));
            let wide: Vec<f64> = f32_gradient.iter().map(|&d| f64::from(d) / size).collect();
            check(name, &wide, &expected.iter().map(|d| d / size).collect::<Vec<_>>(), 1e-3);
            let mut second = program.clone();
            let (v, mut first, mut product) = (vec![1.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
            second.grad_and_hvp(x, &v, &mut first, &mut product).expect("the recorded branch");
            check(name, &first, &expected, 1e-9);
            let (mut scratch, mut hand) = (Vec::new(), vec![0.0; x.len()]);
            let times = race(&mut [
                &mut || keep(suite::$function::primal(black_box(&inputs))),
                &mut || keep(suite::$function::adjoint(&mut scratch, black_box(&inputs), &mut hand)),
                &mut || keep(program.value_and_grad(black_box(x), &mut gradient)),
                &mut || keep(batched.batch(points.view(), values.view_mut(), gradients.view_mut())),
                &mut || keep(f32_program.value_and_grad(black_box(&single), &mut f32_gradient)),
                &mut || keep(second.grad_and_hvp(black_box(x), &v, &mut first, &mut product)),
            ]);
            let ratio = |k: usize| times[k] / times[0];
            println!(
                "{name:>10} {:>10.1} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>10} {:>10.0} {:>8.1}",
                times[0], ratio(1), ratio(2), ratio(3) / POINTS as f64, ratio(4), ratio(5), steps,
                planning / steps as f64, program.bytes() as f64 / steps as f64
            );
            if std::env::var_os("PLAN").is_some() {
                println!("{second}");
            }
        }
    )+ };
}

/// A row for a function without a hand-written adjoint, whose gradient is checked by differences along directions.
macro_rules! other {
    ($name:expr, $x:expr, |$p:ident| $f:expr) => {{
        let x: &[f64] = &$x;
        let f = |$p: &[f64]| -> f64 { $f };
        let (planning, program) = time(|| Program::new(|$p| $f, x));
        let mut program = program.expect("a program");
        let steps = program.steps();
        let mut gradient = vec![0.0; x.len()];
        let value = program.value_and_grad(x, &mut gradient).expect("the recorded branch");
        check($name, &[value], &[f(x)], 1e-10);
        if let Some(n) = std::env::var("LOOP").ok().and_then(|n| n.parse::<usize>().ok()) {
            for _ in 0..n {
                keep(program.value_and_grad(black_box(x), &mut gradient));
            }
            return;
        }
        for phase in 0..3 {
            let v: Vec<f64> = (0..x.len()).map(|i| ((7 * i + phase) % 11) as f64 / 5.0 - 1.0).collect();
            let at = |h: f64| f(&x.iter().zip(&v).map(|(x, v)| x + h * v).collect::<Vec<_>>());
            let slope = (8.0 * (at(1e-4) - at(-1e-4)) - (at(2e-4) - at(-2e-4))) / 12e-4;
            let ours = gradient.iter().zip(&v).map(|(g, v)| g * v).sum::<f64>();
            let size = gradient.iter().fold(1.0, |size: f64, g| size.max(g.abs())) * (x.len() as f64).sqrt();
            check($name, &[ours / size], &[slope / size], 1e-5);
        }
        let times = race(&mut [&mut || keep(f(black_box(x))), &mut || {
            keep(program.value_and_grad(black_box(x), &mut gradient))
        }]);
        println!(
            "{:>24} {:>12} {:>14.0} {:>8.2} {:>8.2} {:>10.0} {:>8.1}",
            $name,
            steps,
            times[0],
            times[1] / times[0],
            times[1] / steps as f64,
            planning / steps as f64,
            program.bytes() as f64 / steps as f64
        );
        if std::env::var_os("PLAN").is_some() {
            println!("{program}");
        }
    }};
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    // A path for profilers: LOOP=1000 runs one function alone.
    println!("           primal ns     hand  program  batched      f32      hvp      steps  plan/step bytes/step");
    rows! { filter; seed rosenbrock mlp normal matmul burgers bs }
    hessians::print(&filter);
    println!("\n                                steps      primal ns  program  ns/step     plan/step  bytes/step");
    let x: Vec<f64> = (0..1000).map(|i| f64::from(i).sin()).collect();
    if "irregular".contains(&filter) {
        other!("irregular", x, |p| functions::irregular(p, 100_000, usize::MAX));
    }
    if "narrow".contains(&filter) {
        other!("narrow", x, |p| functions::irregular(p, 100_000, 1000));
    }
    if "hinge".contains(&filter) {
        let d: Vec<f64> = (0..30_000).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let d: Vec<f64> = d.chunks(3).flat_map(|d| [d[0], d[1], (d[0] - d[1] + 0.3 * d[2]).signum()]).collect();
        other!("hinge", [0.7, -0.4, 0.1], |p| functions::hinge(p, &d));
    }
    if "gmm".contains(&filter) {
        let p: Vec<f64> = (0..660).map(|i| 0.3 * (1.3 * f64::from(i)).sin()).collect();
        let d: Vec<f64> = (0..10_000).map(|i| (1.7 * f64::from(i)).sin()).collect();
        other!("gmm", p, |p| functions::gmm(p, &d));
    }
    if "lstm".contains(&filter) {
        let p: Vec<f64> = (0..104).map(|i| 0.7 * (1.3 * f64::from(i)).sin()).collect();
        let d: Vec<f64> = (0..1000).map(|i| (0.1 * f64::from(i)).sin()).collect();
        other!("lstm", p, |p| functions::lstm(p, &d));
    }
    if "bundle".contains(&filter) {
        let camera = |i: i32| if i % 8 == 5 { 5.0 } else { 0.1 + 0.3 * (1.3 * f64::from(i)).sin() };
        let cameras = (0..160).map(camera);
        let p: Vec<f64> = cameras.chain((0..1500).map(|i| 0.5 * (1.7 * f64::from(i)).sin())).collect();
        let seen =
            |i: i32| [f64::from(i % 20), f64::from((7 * i) % 500), 0.01 * f64::from(i % 13), 0.02 * f64::from(i % 7)];
        let d: Vec<f64> = (0..5000).flat_map(seen).collect();
        other!("bundle", p, |p| functions::bundle(p, &d));
    }
    if "scale".contains(&filter) {
        for n in [113, 1_112, 11_112, 111_112, 1_111_112] {
            let x: Vec<f64> = (0..n).map(|i| f64::from(i).sin()).collect();
            other!("scale", x, |p| functions::rosenbrock(p, &[]));
        }
    }
}
