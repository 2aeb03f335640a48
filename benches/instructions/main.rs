//! Instructions of one gradient, training step, recording or sweep, counted by valgrind's callgrind.
//!
//! ```sh
//! benches/instructions/run                       # every row
//! benches/instructions/run seed T2/plain         # the rows that begin with these names
//! benches/instructions/run --save target/before    # then change the source, and
//! benches/instructions/run --against target/before
//! ```
//!
//! Counts do not depend on the load of the machine, and two runs of one binary agree, so a count shows
//! a change of one percent, which a time does not. A count is no time:
//! cache misses, branch misses, the latency of a chain and slow subnormal numbers are not in it.
//! Valgrind shows programs a processor with AVX2 and FMA and without AVX-512, so the AVX2 kernels are
//! counted, on a machine with AVX-512 too. Another compiler gives other counts.
//!
//! Each row warms up, so that tapes have their memory, and then runs [`REPETITIONS`] times inside
//! [`measured`]; callgrind collects nothing outside of it, and `run` divides by that number. One thread.
//! The functions and nets are those of `benches/scalars` and `benches/nets`, which also check their
//! gradients. `docs/MEASUREMENTS.md` has the counts, and says which comments of the source they support.

#[allow(dead_code, unreachable_pub, elided_lifetimes_in_paths, clippy::large_stack_arrays)]
#[path = "../scalars/suite.rs"]
mod suite;

#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::wildcard_imports)]
#[path = "../scalars/rows.rs"]
mod rows;

mod nets;
mod parts;

use std::hint::black_box;

use suite::Inputs;

const WARM_UPS: u32 = 3;
const REPETITIONS: u32 = 4;

/// The work that is counted; the closure owns everything that the work needs.
type Work = Box<dyn FnMut()>;

struct Row {
    name: String,
    make: Box<dyn FnOnce() -> Work>,
}

impl Row {
    fn new(name: impl Into<String>, make: impl FnOnce() -> Work + 'static) -> Self {
        Self { name: name.into(), make: Box::new(make) }
    }
}

/// The function inside which alone callgrind collects.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    for _ in 0..REPETITIONS {
        work();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut rows = rows();
    match &arguments[..] {
        [name] if !name.starts_with('-') => {
            let Some(place) = rows.iter().position(|row| row.name == *name) else {
                eprintln!("no row `{name}`; without an argument the rows are listed");
                std::process::exit(2);
            };
            let mut work = (rows.swap_remove(place).make)();
            for _ in 0..WARM_UPS {
                work();
            }
            measured(&mut *work);
            println!("{REPETITIONS}");
        }
        // `cargo bench` gives the argument `--bench`.
        _ => rows.iter().for_each(|row| println!("{}", row.name)),
    }
}

fn rows() -> Vec<Row> {
    let mut rows = scalars();
    rows.extend(parts::generic());
    rows.extend(nets::training());
    rows.extend(parts::second_order());
    rows.extend(parts::recordings());
    rows.extend(parts::tensors());
    rows
}

macro_rules! functions {
    ($($function:ident: $($idiom:ident)+;)+) => {
        /// The rows of `cargo bench --bench scalars`, under the same names.
        fn scalars() -> Vec<Row> {
            vec![$($({
                let name = concat!(stringify!($function), "/", stringify!($idiom));
                Row::new(name, || scalar(suite::$function::inputs(), rows::$idiom::$function))
            }),+),+]
        }
    };
}
functions! {
    seed: plain statics best;
    rosenbrock: plain statics best;
    mlp: plain statics best tensors;
    normal: plain statics best;
    matmul: plain statics best tensors;
    burgers: plain statics best;
    bs: plain statics best;
}

type Gradient = fn(&mut rows::State, &Inputs, &mut [f64]) -> f64;

fn scalar(inputs: Inputs, gradient: Gradient) -> Work {
    let (mut tape, mut g) = (rows::State::default(), vec![0.0; inputs.x.len()]);
    Box::new(move || {
        black_box(gradient(&mut tape, black_box(&inputs), black_box(&mut g)));
    })
}
