//! Programs: the functions of benches/scalars recorded once, value and gradient against the plain primal in one run.
//!
//! `cargo bench --bench programs -- [NAME]` prints, for each function, the median time of the primal, of the hand-written
//! adjoint and of the program, their ratios, and what planning costs.

#![allow(missing_docs)]

#[allow(unreachable_pub, elided_lifetimes_in_paths)]
mod functions;
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::large_stack_arrays)]
#[path = "../scalars/suite.rs"]
mod suite;

use std::hint::black_box;
use std::time::Instant;

use suite::Inputs;
use wengert::Program;

/// The median times in nanoseconds of some closures, called in turn.
fn race(rounds: usize, functions: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let count = |f: &mut dyn FnMut()| {
        let mut n = 1;
        loop {
            let start = Instant::now();
            (0..n).for_each(|_| f());
            let ns = start.elapsed().as_nanos() as usize;
            if ns > 2_000_000 {
                return n;
            }
            n = (n * 4_000_000 / ns.max(1)).clamp(n + 1, 8 * n);
        }
    };
    let counts: Vec<usize> = functions.iter_mut().map(|f| count(*f)).collect();
    let mut times = vec![Vec::new(); functions.len()];
    for _ in 0..rounds {
        for ((f, &n), times) in functions.iter_mut().zip(&counts).zip(&mut times) {
            let start = Instant::now();
            (0..n).for_each(|_| f());
            times.push(start.elapsed().as_nanos() as f64 / n as f64);
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect()
}

fn check(name: &str, got: &[f64], expected: &[f64]) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs();
        assert!(error <= 1e-9 * expected.abs().max(1.0), "{name}: component {i} is {got}, should be {expected}");
    }
}

macro_rules! rows {
    ($filter:expr; $($function:ident)+) => { $(
        if $filter.is_empty() || stringify!($function).contains(&$filter) {
            let inputs = suite::$function::inputs();
            let Inputs { x, data } = &inputs;
            let mut expected = vec![0.0; x.len()];
            let value = suite::$function::adjoint(&mut Vec::new(), &inputs, &mut expected);
            let start = Instant::now();
            let mut program = Program::new(|x| functions::$function(x, data), x).expect("a program");
            let planning = start.elapsed();
            let mut gradient = vec![0.0; x.len()];
            let got = program.value_and_grad(x, &mut gradient).expect("the recorded branch");
            check(stringify!($function), &[got], &[value]);
            check(stringify!($function), &gradient, &expected);
            if let Some(n) = std::env::var("LOOP").ok().and_then(|n| n.parse::<usize>().ok()) {
                for _ in 0..n {
                    black_box(program.value_and_grad(black_box(x), &mut gradient)).expect("the recorded branch");
                }
                return;
            }
            let mut scratch = Vec::new();
            let mut hand = vec![0.0; x.len()];
            let times = race(21, &mut [
                &mut || { black_box(suite::$function::primal(black_box(&inputs))); },
                &mut || { black_box(suite::$function::adjoint(&mut scratch, black_box(&inputs), &mut hand)); },
                &mut || { black_box(program.value_and_grad(black_box(x), &mut gradient)).expect("the recorded branch"); },
            ]);
            println!(
                "{:12} primal {:10.1}  hand-written {:5.2}  program {:6.2} ({:.1} ns); planned in {:.2} ms",
                stringify!($function), times[0], times[1] / times[0], times[2] / times[0], times[2], planning.as_secs_f64() * 1e3
            );
            if std::env::var_os("PLAN").is_some() {
                println!("{program}");
            }
        }
    )+ };
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    rows! { filter; seed rosenbrock mlp normal matmul burgers bs }
}
