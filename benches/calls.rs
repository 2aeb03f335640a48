//! The cost of each call, in evaluations of the function: the tables of two pages of the guide, docs/guide/06-cost.md and
//! docs/guide/calls.md.
//!
//! `cargo bench --bench calls` prints them; with `-- --write` it also puts them into the pages.

#![allow(missing_docs)]

mod timer;

use std::fmt::Write;
use std::hint::black_box;
use std::process::Command;

use ndarray::{Array1, Array2};
use rand::{SeedableRng, rngs::StdRng};
use timer::{keep, race_for_the_least};
use wengert::gradcheck::{Differences, Scheme};
use wengert::nn::Linear;
use wengert::{
    Dual, Evaluator, LeftOf, Params, ParamsOn, Program, Real64, SparseHessian, SparseJacobian, Tape, gradcheck,
    hessian, hvp, jacobian, jvp, statics, value_and_grad,
};

fn main() {
    for (page, name, table) in [
        ("docs/guide/06-cost.md", "cost", cost()),
        ("docs/guide/calls.md", "calls", calls()),
        ("docs/guide/calls.md", "nets", nets()),
    ] {
        println!("{table}");
        if std::env::args().any(|argument| argument == "--write") {
            write(page, name, &table);
        }
    }
}

/// Puts a table between its marks in a page.
fn write(page: &str, name: &str, table: &str) {
    let text = std::fs::read_to_string(page).expect("run in the folder of the repository");
    let begin = format!("<!-- measured: {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("the mark of the table");
    let (_, after) = rest.split_once("<!-- end -->").expect("the mark of the table's end");
    std::fs::write(page, format!("{before}{begin}\n{table}\n<!-- end -->{after}")).expect("the page can be written");
}

/// Where and when the figures were taken.
fn stamp() -> String {
    let date =
        Command::new("date").arg("+%F").output().map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": a machine without a name");
    format!(
        "({}, {}; the least of a hundred turns.)\n",
        date.unwrap_or_default(),
        cpu.trim_start_matches(['\t', ' ', ':'])
    )
}

/// A ratio to two digits, with commas between thousands.
fn ratio(x: f64) -> String {
    if x < 9.95 {
        return format!("{x:.1}");
    }
    let unit = 10_f64.powi(x.log10().floor() as i32 - 1);
    let digits = ((x / unit).round() * unit).round().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The squared error of a net with one hidden layer on one example of eight numbers.
fn net<R: Real64>(w: &[R]) -> R
where
    f64: LeftOf<R>,
{
    let units = w.chunks_exact(10);
    let last = units.remainder()[0];
    let unit = |w: &[R]| w[9] * (0..8).map(|i| 0.1 * (i as f64 + 1.0) * w[i]).fold(w[8], |a, b| a + b).tanh();
    (units.map(unit).fold(last, |a, b| a + b) - 1.0).powi(2)
}

fn cost() -> String {
    let mut table = String::from(
        "| weights | forward differences | the tape: value and gradient | a `Program` |\n|---:|---:|---:|---:|\n",
    );
    for units in [1, 10, 100, 1_000] {
        let weights: Vec<f64> = (0..=10 * units).map(|i| f64::from(i).sin() / 3.0).collect();
        let (mut tape, mut program) =
            (Evaluator::new(weights.len(), |w| net(w)), Program::new(|w| net(w), &weights).unwrap());
        let (mut g, mut h) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let times = race_for_the_least(&mut [
            &mut || keep(net(black_box(&weights))),
            &mut || keep(Differences::new(Scheme::Forward).partials(net::<f64>, black_box(&weights))),
            &mut || keep(tape.value_and_grad(black_box(&weights), &mut g)),
            &mut || keep(program.value_and_grad(black_box(&weights), &mut h).unwrap()),
        ]);
        assert!(g.iter().zip(&h).all(|(g, h)| (g - h).abs() < 1e-12 * g.abs().max(1.0)));
        let cells: Vec<String> = times[1..].iter().map(|time| ratio(time / times[0])).collect();
        let _ = writeln!(table, "| {} | {} |", ratio(weights.len() as f64), cells.join(" | "));
    }
    table + "\n" + &stamp()
}

/// A wish, the call for it, and the work of the call.
type Row<'a> = (&'a str, &'a str, &'a mut dyn FnMut());

const N: usize = 100;

fn chain<R: Real64>(x: &[R]) -> R {
    x.windows(2).map(|w| (w[0] * w[1]).sin()).fold(R::lit(0.0), |a, b| a + b)
}

fn terms<R: Real64>(x: &[R]) -> Vec<R> {
    x.windows(2).map(|w| (w[0] * w[1]).sin()).collect()
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn calls() -> String {
    let x: Vec<f64> = (0..N).map(|i| (i as f64).cos() + 0.1).collect();
    let v = vec![1.0; N];
    let points = Array2::from_shape_fn((64, N), |(i, j)| x[(i + j) % N]);
    let (mut values, mut gradients) = (Array1::zeros(64), Array2::zeros((64, N)));
    let (mut g, mut p) = (vec![0.0; N], vec![0.0; N]);
    let (mut g2, mut g3, mut jv) = (vec![0.0; N], vec![0.0; N], vec![0.0; N - 1]);
    let mut evaluator = Evaluator::new(N, |x| chain(x));
    let program = || Program::new(|x| chain(x), &x).unwrap();
    let vector = || Program::vector(|x| terms(x), &x).unwrap();
    let (mut program1, mut program2, mut program3, mut program4) = (program(), program(), program(), program());
    let (mut vector1, mut vector2, mut vector3) = (vector(), vector(), vector());
    let mut sparse_jacobian = SparseJacobian::detect(|x| terms(x), &x);
    let mut sparse_hessian = SparseHessian::detect(|x| chain(x), &x);

    let rows: &mut [Row<'_>] = &mut [
        ("the value", "`f(&x)`", &mut || keep(chain(black_box(&x)))),
        ("**gradient**, once", "`value_and_grad`", &mut || keep(value_and_grad(|x| chain(x), black_box(&x)))),
        ("gradient, again and again", "`Evaluator`", &mut || keep(evaluator.value_and_grad(black_box(&x), &mut g))),
        ("gradient, a million times", "`Program::value_and_grad`", &mut || {
            keep(program1.value_and_grad(black_box(&x), &mut g2));
        }),
        ("gradients at **many points**, each", "`Program::batch`", &mut || {
            keep(program2.batch(points.view(), values.view_mut(), gradients.view_mut()));
        }),
        ("gradient of code for `'static` numbers", "`statics::value_and_grad`", &mut || {
            keep(statics::value_and_grad(chain, black_box(&x)));
        }),
        ("gradient by differences", "`gradcheck::partials`", &mut || {
            keep(gradcheck::partials(chain::<f64>, black_box(&x)));
        }),
        ("the slope in **one direction**", "`jvp`", &mut || keep(jvp(|x| terms(x), black_box(&x), &v))),
        ("", "`Program::jvp`", &mut || keep(vector1.jvp(black_box(&x), &v, &mut jv))),
        ("**Jacobian**, 99 × 100, dense", "`jacobian`", &mut || keep(jacobian(|x| terms(x), black_box(&x)))),
        ("", "`Program::jacobian`", &mut || keep(vector2.jacobian(black_box(&x)))),
        ("Jacobian, **sparse**", "`SparseJacobian::evaluate`", &mut || {
            keep(sparse_jacobian.evaluate(|x| terms(x), black_box(&x)));
        }),
        ("", "`Program::sparse_jacobian`", &mut || keep(vector3.sparse_jacobian(black_box(&x)).is_ok())),
        ("**Hessian times a vector**", "`hvp`", &mut || keep(hvp(|x| chain(x), black_box(&x), &v))),
        ("", "`Program::grad_and_hvp`", &mut || keep(program3.grad_and_hvp(black_box(&x), &v, &mut g3, &mut p))),
        ("**Hessian**, 100 × 100, dense", "`hessian`", &mut || keep(hessian(|x| chain(x), black_box(&x)))),
        ("Hessian, sparse", "`SparseHessian::evaluate`", &mut || {
            keep(sparse_hessian.evaluate(|x| chain(x), black_box(&x)));
        }),
        ("", "`Program::sparse_hessian`", &mut || keep(program4.sparse_hessian(black_box(&x)).is_ok())),
    ];
    let mut works: Vec<&mut dyn FnMut()> = Vec::new();
    let mut names = Vec::new();
    for (want, call, work) in rows {
        names.push((*want, *call));
        works.push(*work);
    }
    let times = race_for_the_least(&mut works);
    let mut table = String::from("| you want | call | evaluations of f |\n|---|---|---:|\n");
    for ((want, call), time) in names.iter().zip(&times) {
        let points = if call.contains("batch") { 64.0 } else { 1.0 };
        let _ = writeln!(table, "| {want} | {call} | {} |", ratio(time / points / times[0]));
    }
    table + "\n" + &stamp()
}

fn nets() -> String {
    let mut params = Params::<f64>::new();
    let rng = &mut StdRng::seed_from_u64(0);
    let hidden = Linear::new(&mut params, "hidden", 1, 24, rng);
    let second = Linear::new(&mut params, "second", 24, 24, rng);
    let out = Linear::new(&mut params, "out", 24, 1, rng);
    let x = Array2::from_shape_fn((64, 1), |(i, _)| i as f64 / 64.0);
    let v = vec![1.0; params.len()];
    let [mut tape1, mut tape2, mut tape3, mut tape4] = [(); 4].map(|()| Tape::<f64>::new());
    let (mut tape5, with_tangents) = (Tape::<Dual<f64>>::new(), params.with_tangents(&v));
    let params = &params;
    let times = race_for_the_least(&mut [
        &mut || {
            let loss = |p: ParamsOn<'_, '_, f64>| {
                let h = hidden.forward(p, p.constant(&x)).tanh();
                let h = second.forward(p, h).tanh();
                out.forward(p, h).square().mean().value()
            };
            keep(tape1.evaluate(params, loss));
        },
        &mut || {
            let step = tape2.value_and_grad(params, |p| {
                let h = hidden.forward(p, p.constant(&x)).tanh();
                let h = second.forward(p, h).tanh();
                out.forward(p, h).square().mean()
            });
            keep(step.0);
        },
        &mut || {
            let step = tape3.value_and_grad(params, |p| {
                let h = p.checkpoint(p.constant(&x), |p, x| hidden.forward(p, x).tanh());
                let h = p.checkpoint(h, |p, h| second.forward(p, h).tanh());
                out.forward(p, h).square().mean()
            });
            keep(step.0);
        },
        &mut || {
            let step = tape4.value_and_grad(params, |p| {
                let h = hidden.forward(p, p.constant(&x).jet(0)).tanh();
                let h = second.forward(p, h).tanh();
                let u = out.forward(p, h);
                (u.derivative(2) + u.primal()).square().mean()
            });
            keep(step.0);
        },
        &mut || {
            let step = tape5.value_and_grad(&with_tangents, |p| {
                let h = hidden.forward(p, p.constant(&x)).tanh();
                let h = second.forward(p, h).tanh();
                out.forward(p, h).square().mean()
            });
            keep(step.0);
        },
    ]);
    let mut table = String::from("| you want, of a net | call | evaluations of the loss |\n|---|---|---:|\n");
    let names = [
        ("the loss, without a gradient", "`Tape::evaluate`"),
        ("loss and gradient", "`Tape::value_and_grad`"),
        ("the same in less **memory**", "`ParamsOn::checkpoint`"),
        ("loss of u″ + u, and its gradient: **derivatives inside a loss**", "`Tensor::jet`"),
        ("gradient and Hessian times a vector", "`Params::with_tangents`"),
    ];
    for ((want, call), time) in names.iter().zip(&times) {
        let _ = writeln!(table, "| {want} | {call} | {} |", ratio(time / times[0]));
    }
    table
}
