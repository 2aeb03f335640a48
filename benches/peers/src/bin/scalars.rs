//! Times one gradient of each scalar function with every library, in one run, and prints a table.
//!
//! Every gradient is checked before anything is timed: the hand-written adjoint against central
//! differences of the primal, the libraries against the adjoint. A wrong one gets no time.
//!
//! `scalars [--with PROGRAM] [function ...]` restricts the rows. The program is one that `cpp/build` makes: libraries of
//! another language, which take turns with the others.

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;
use wengert_peers::process::Process;
use wengert_peers::report::{HAND, PRIMAL, Table, Timed, Times, interleaved, time};
use wengert_peers::{rows, suite, suite::Inputs};

/// Time spent on each row, all libraries together.
const BUDGET: Duration = Duration::from_secs(8);
/// The time that one sample should last; the number of its calls follows.
const SAMPLE: Duration = Duration::from_micros(500);

/// The column of the functions that are made of matrices.
const TENSORS: &str = "wengert tensors";

/// `(reps, gradient) -> (value, time of reps calls)`.
type Run = Box<dyn FnMut(u32, &mut [f64]) -> (f64, Duration)>;

struct Entry {
    library: &'static str,
    run: Run,
}

/// Generic, so that each library is inlined into a timing loop of its own.
fn entry<S: Default + 'static>(
    library: &'static str,
    inputs: &Rc<Inputs>,
    gradient: impl Fn(&mut S, &Inputs, &mut [f64]) -> f64 + 'static,
) -> Entry {
    let (inputs, mut state) = (Rc::clone(inputs), S::default());
    let run = move |reps, g: &mut [f64]| {
        let mut value = f64::NAN;
        let took = time(|| {
            for _ in 0..reps {
                value = black_box(gradient(&mut state, black_box(&inputs), black_box(g)));
            }
        });
        (value, took)
    };
    Entry { library, run: Box::new(run) }
}

struct Row {
    function: &'static str,
    inputs: fn() -> Inputs,
    primal: fn(&Inputs) -> f64,
    entries: fn(&Rc<Inputs>) -> Vec<Entry>,
}

macro_rules! row {
    ($function:ident $(, $tensors:ident)?) => {
        Row {
            function: stringify!($function),
            inputs: suite::$function::inputs,
            primal: suite::$function::primal,
            entries: |x| {
                vec![
                    entry(PRIMAL, x, |(): &mut (), x, _| suite::$function::primal(x)),
                    entry(HAND, x, suite::$function::adjoint),
                    entry("xad-rs", x, rows::xad_rs::plain::$function),
                    entry("xad-rs fused", x, rows::xad_rs::fused::$function),
                    entry("reverse", x, rows::reverse::$function),
                    entry("echidna", x, rows::echidna::record::$function),
                    entry("echidna replay", x, rows::echidna::replay::$function),
                    entry("RustQuant", x, rows::rust_quant::$function),
                    entry("wengert", x, rows::wengert::plain::$function),
                    entry("wengert best", x, rows::wengert::best::$function),
                    $(entry(TENSORS, x, rows::wengert::$tensors::$function),)?
                ]
            },
        }
    };
}

const ROWS: [Row; 7] =
    [row!(seed), row!(rosenbrock), row!(mlp, tensors), row!(normal), row!(matmul, tensors), row!(burgers), row!(bs)];

fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let with = wanted.first().is_some_and(|first| first == "--with");
    let other = with.then(|| Process::start(wanted.drain(..2).nth(1).expect("a program after --with")));
    if let Some(unknown) = wanted.iter().find(|w| ROWS.iter().all(|r| r.function != **w)) {
        eprintln!("no function `{unknown}`; there are {}", ROWS.map(|r| r.function).join(", "));
        std::process::exit(2);
    }
    println!("Nanoseconds for one gradient.\n");
    let mut libraries: Vec<_> = (ROWS[0].entries)(&Rc::new((ROWS[0].inputs)())).iter().map(|e| e.library).collect();
    libraries.push(TENSORS);
    libraries.extend(other.iter().flat_map(|other| other.libraries()));
    let mut table = Table::new("function", &libraries, 1.0);
    for row in ROWS.iter().filter(|r| wanted.is_empty() || wanted.iter().any(|w| w == r.function)) {
        table.push(row.function.into(), measure(row, other.as_ref()));
    }
    table.print_ratios();
}

fn measure(row: &Row, other: Option<&Process>) -> Times {
    let inputs = Rc::new((row.inputs)());
    let mut entries = (row.entries)(&inputs);
    let others = other.into_iter().flat_map(|other| other.open(row.function, &inputs.x, &inputs.data));
    entries.extend(others.map(|(library, run)| Entry { library, run: Box::new(run) }));
    let reference = hand_written(row, &inputs, &mut entries);
    let right: Vec<bool> = entries.iter_mut().map(|e| is_right(row, e, &reference)).collect();

    let mut times: Times = entries.iter().map(|entry| (entry.library, None)).collect();
    let timed = entries.into_iter().zip(right).filter(|(_, right)| *right);
    let timed = timed.map(|(Entry { library, mut run }, _)| -> Timed {
        let mut g = vec![0.0; inputs.x.len()];
        let run = move |reps| {
            run(1, &mut g); // brings the memory that the library keeps between calls back into the cache
            run(reps, &mut g).1
        };
        (library, Box::new(run))
    });
    for (library, median) in interleaved(timed.collect(), BUDGET, SAMPLE) {
        let place = times.iter_mut().find(|(name, _)| *name == library);
        place.expect("one of the entries").1 = Some(median);
    }
    times
}

/// Value and gradient of the hand-written adjoint, checked against the primal and its fourth-order
/// central differences along single coordinates (at most 512) and along a direction through all.
fn hand_written(row: &Row, inputs: &Inputs, entries: &mut [Entry]) -> (f64, Vec<f64>) {
    let n = inputs.x.len();
    let mut g = vec![f64::NAN; n];
    let hand = entries.iter_mut().find(|e| e.library == HAND).expect("every row has one");
    let (value, _) = (hand.run)(1, &mut g);
    let primal = (row.primal)(inputs);
    assert!((value - primal).abs() <= 1e-12 * primal.abs(), "{}: value {value}, not {primal}", row.function);

    let mut moved = Inputs { x: inputs.x.clone(), data: inputs.data.clone() };
    let mut agree = |direction: &[(usize, f64)]| {
        let mut at = |h: f64| {
            direction.iter().for_each(|&(i, d)| moved.x[i] = inputs.x[i] + h * d);
            (row.primal)(&moved)
        };
        let h = 1e-3;
        let difference = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        direction.iter().for_each(|&(i, _)| moved.x[i] = inputs.x[i]);
        let slope: f64 = direction.iter().map(|&(i, d)| g[i] * d).sum();
        let scale: f64 = direction.iter().map(|&(i, d)| (g[i] * d).abs()).sum();
        let tolerance = 1e-8 * scale + 1e-10 * value.abs();
        let what = direction.len();
        assert!(
            (difference - slope).abs() <= tolerance,
            "{}: adjoint {slope}, differences {difference} along {what} coordinate(s)",
            row.function
        );
    };
    (0..n).step_by(n.div_ceil(512)).for_each(|i| agree(&[(i, 1.0)]));
    // Weights without a pattern that an error could cancel.
    agree(&(0..n).map(|i| (i, (1.0 + i as f64).sin())).collect::<Vec<_>>());
    (value, g)
}

/// True if two successive calls both give the reference; a wrong result is named on stderr.
fn is_right(row: &Row, entry: &mut Entry, (value, reference): &(f64, Vec<f64>)) -> bool {
    let close = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-10 * b.abs() + 1e-12 * scale;
    let largest = reference.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
    (0..2).all(|_| {
        let mut g = vec![f64::NAN; reference.len()];
        let (v, _) = (entry.run)(1, &mut g);
        let wrong = g.iter().zip(reference).position(|(&g, &r)| !close(g, r, largest));
        if !close(v, *value, 0.0) {
            eprintln!("{} {}: value {v}, not {value}", entry.library, row.function);
        } else if let Some(i) = wrong.filter(|_| entry.library != PRIMAL) {
            eprintln!("{} {}: g[{i}] = {}, not {}", entry.library, row.function, g[i], reference[i]);
        } else {
            return true;
        }
        false
    })
}
