//! Finite differences against the exact derivative: a table, the tangents of 2x², and the error of each scheme against
//! its step. Writes two pictures, each as PNG and SVG:
//!
//! ```text
//! cargo run --features watch --example derivatives [folder]      # default: target/derivatives
//! ```
//!
//! Labels need a TrueType font: the file named in the environment variable `FONT`, else one from the usual system
//! folders. Without a font the pictures have no text.

use std::error::Error;
use std::path::PathBuf;

use wengert::gradcheck::{Differences, Scheme};
use wengert::watch::{COLOURS, Chart};
use wengert::{Real, Tape, grad};

type Function = fn(f64) -> f64;

/// A function as plain arithmetic, and its derivative by the tape.
struct Row {
    name: &'static str,
    value: Function,
    exact: Function,
    points: &'static [f64],
}

/// Rows from expressions; each is written once and compiled for `f64` and for `Var`.
macro_rules! rows {
    ($($name:literal: |$x:ident| $body:expr, at $points:expr;)+) => {
        [$(Row {
            name: $name,
            value: |$x| $body,
            exact: |at| {
                let tape = Tape::<f64>::new();
                let $x = tape.var(at);
                ($body).backward()[$x]
            },
            points: &$points,
        }),+]
    };
}

const ROWS: [Row; 7] = rows! {
    "x^2+x+1": |x| x.powi(2) + x + 1.0, at [1.0, 2.0];
    "x^2+x+1+2^x": |x| x.powi(2) + x + 1.0 + x.exp2(), at [1.0, 2.0];
    "w^2": |w| w.powi(2), at [3.0];
    "2w": |w| 2.0 * w, at [3.0];
    "w^3": |w| w.powi(3), at [3.0];
    "1/w": |w| 1.0 / w, at [3.0];
    "1/w^2": |w| 1.0 / w.powi(2), at [3.0];
};

fn main() -> Result<(), Box<dyn Error>> {
    table();
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/derivatives"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, chart) in [("tangents", tangents()), ("steps", steps())] {
        for extension in ["svg", "png"] {
            let file = folder.join(name).with_extension(extension);
            chart.save(&file)?;
            println!("{}", file.display());
        }
    }
    Ok(())
}

fn table() {
    println!(
        "{:12} {:>2}  {:>19}  {:>19}  {:>19}  {:>19}  {:>19}  {:>7}  {:>7}",
        "function", "at", "exact (tape)", "forward 1e-3", "forward 1e-9", "central 1e-5", "adaptive", "bound", "error"
    );
    for Row { name, value, exact, points } in ROWS {
        for &x in points {
            let exact = exact(x);
            let fixed = |scheme, h: f64| Differences::new(scheme).step(h).derivative(value, x).value;
            let adaptive = Differences::new(Scheme::Adaptive).derivative(value, x);
            println!(
                "{name:12} {x:>2}  {exact:>19}  {:>19}  {:>19}  {:>19}  {:>19}  {:>7.0e}  {:>7.0e}",
                fixed(Scheme::Forward, 1e-3),
                fixed(Scheme::Forward, 1e-9),
                fixed(Scheme::Central, 1e-5),
                adaptive.value,
                adaptive.error.unwrap_or(f64::NAN),
                (adaptive.value - exact).abs(),
            );
        }
    }
    let at = [0.5, -0.3, 1.2, 0.1];
    println!("\n(w2*(w1*x+b1)+b2-y)^2 at x = 0.7, y = 0.9: partials, by the tape and by adaptive differences");
    let exact = grad(|p| loss(p), &at);
    let differences = Differences::new(Scheme::Adaptive).partials(|p: &[f64]| loss(p), &at);
    for ((name, exact), difference) in ["w1", "b1", "w2", "b2"].iter().zip(exact).zip(differences) {
        println!("{name}  {exact:>22}  {:>22}", difference.value);
    }
    println!();
}

/// The loss of a two-layer model with one unit each.
fn loss<R: Real>(p: &[R]) -> R {
    (p[2] * (p[0] * R::lit(0.7) + p[1]) + p[3] - R::lit(0.9)).powi(2)
}

/// `2x²` and its tangents, with the slopes that adaptive differences find.
fn tangents() -> Chart {
    let f: Function = |x| 2.0 * x * x;
    let curve = (-30..=105).map(|k| f64::from(k) / 20.0).map(|x| (x, f(x)));
    let chart = Chart::new("2x² and its tangents").x_label("x").y_label("2x²").legend_left();
    let chart = chart.x_range(-1.5..5.5).y_range(-6.0..55.0).line("2x²", curve).colour((0, 0, 0));
    let points = (0..5).map(f64::from);
    let tangent = |chart: Chart, x: f64| {
        let slope = Differences::new(Scheme::Adaptive).derivative(f, x).value;
        let ends = [x - 1.4, x + 1.4].map(|t| (t, f(x) + slope * (t - x)));
        chart.line(format!("at x = {x}: slope {slope:.0}"), ends)
    };
    points.clone().fold(chart, tangent).dots("", points.map(|x| (x, f(x)))).colour((70, 70, 70))
}

/// The relative error of each scheme against its step: the truncation error falls to the left, the rounding error to
/// the right.
fn steps() -> Chart {
    let (f, x): (Function, f64) = (|x| x.powi(2) + x + 1.0 + 2f64.powf(x), 1.0);
    let exact = (ROWS[1].exact)(x);
    // An error of 0 is drawn as half a unit in the last place, because the axis is logarithmic.
    let error = |value: f64| ((value - exact) / exact).abs().max(f64::EPSILON / 2.0);
    let title = "Error of a derivative of x² + x + 1 + 2^x at 1";
    let chart = Chart::new(title).x_label("step").y_label("relative error").log_x().log_y();
    let chart = chart.x_range(1e-15..1.0).y_range(1e-16..1e5);
    let schemes = [("forward", Scheme::Forward), ("central", Scheme::Central), ("five-point", Scheme::FivePoint)];
    let chart = schemes.into_iter().fold(chart, |chart, (label, scheme)| {
        let steps = (-150..=0).map(|k| 10f64.powf(f64::from(k) / 10.0));
        chart.line(label, steps.map(|h| (h, error(Differences::new(scheme).step(h).derivative(f, x).value))))
    });
    let adaptive = Differences::new(Scheme::Adaptive).derivative(f, x);
    let bound = adaptive.error.unwrap_or(f64::NAN) / exact;
    chart
        .line("adaptive: its own error bound", [1e-15, 1.0].map(|h| (h, bound)))
        .colour(COLOURS[4])
        .line("adaptive: its error", [1e-15, 1.0].map(|h| (h, error(adaptive.value))))
        .colour(COLOURS[3])
}
