//! One function from every side: the loss (w2 (w1 x + b1) + b2 - y)² of two linear layers as a trace, a graph, formulas
//! and a tangent. Pictures and tables go to `target/explain/`; the drawn graph needs `--features watch`.
//!
//! ```text
//! cargo run --example explain
//! ```

use std::error::Error;
use std::fmt::Write;
use std::fs;

use wengert::{Dual, Real, Tape, symbolic, trace};

const NAMES: [&str; 4] = ["w1", "b1", "w2", "b2"];
const POINT: [f64; 4] = [0.5, -0.3, 1.2, 0.1];
const X: f64 = 0.7;
const Y: f64 = 0.9;

/// The loss, written once for every kind of number below.
fn loss<R: Real>([w1, b1, w2, b2]: [R; 4], x: R, y: R) -> R {
    (w2 * (w1 * x + b1) + b2 - y).powi(2)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "target/explain";
    fs::create_dir_all(folder)?;

    // The trace: the primal and the adjoint of each operation.
    let table = trace(NAMES, |w| loss(w, X.into(), Y.into()), POINT);
    println!("The trace at {NAMES:?} = {POINT:?}, x = {X}, y = {Y}\n\n{table}");
    fs::write(format!("{folder}/trace.txt"), table.to_string())?;
    fs::write(format!("{folder}/trace.md"), table.to_markdown())?;
    fs::write(format!("{folder}/trace.tex"), table.to_latex())?;
    fs::write(format!("{folder}/trace.html"), table.to_html())?;
    fs::write(format!("{folder}/graph.dot"), table.picture().to_dot())?;
    #[cfg(feature = "watch")]
    fs::write(format!("{folder}/graph.svg"), table.picture().to_svg())?;

    // The partials as numbers of the tape and as formulas.
    let tape = Tape::new();
    let w = tape.vars(POINT);
    let gradient = loss(w, X.into(), Y.into()).backward().wrt(w);
    let formula = symbolic(["w1", "b1", "w2", "b2", "x", "y"], |[w1, b1, w2, b2, x, y]| loss([w1, b1, w2, b2], x, y));
    println!("J = {formula}\n");
    let point = [POINT[0], POINT[1], POINT[2], POINT[3], X, Y];
    let mut latex = String::new();
    for (name, on_tape) in NAMES.iter().zip(gradient) {
        let partial = formula.diff(name);
        let value = partial.evaluate(&point);
        println!("dJ/d{name} = {partial:<42} = {value:8.4}   on the tape {on_tape:8.4}");
        assert!((value - on_tape).abs() < 1e-14);
        writeln!(latex, r"\frac{{\partial J}}{{\partial {name}}} &= {} \\", partial.to_latex())?;
    }
    fs::write(format!("{folder}/formulas.tex"), latex)?;

    slopes();

    // The tangent in w1; its slope is the partial.
    let along_w1 = |w1: f64| loss([w1, POINT[1], POINT[2], POINT[3]], X, Y);
    fs::write(format!("{folder}/tangent.svg"), tangent(along_w1, POINT[0], gradient[0]))?;
    println!(
        "\nWritten to {folder}: trace.txt, trace.md, trace.tex, trace.html (for a browser), graph.dot, graph.svg, formulas.tex, tangent.svg"
    );
    Ok(())
}

/// Derivatives in four ways: by a small step, by formula, on the tape, by dual numbers.
fn slopes() {
    fn row<R: Real>(k: usize, w: R) -> R {
        match k {
            0 => w.powi(2),
            1 => R::lit(2.0) * w,
            2 => w.powi(3),
            _ => w.recip(),
        }
    }
    println!("\nJ(w)       w   (J(w + 0.001) - J(w)) / 0.001   dJ/dw        = at w    tape    dual");
    for (k, w) in [(0, 2.0), (0, 3.0), (0, -3.0), (1, 2.0), (2, 2.0), (3, 2.0)] {
        let formula = symbolic(["w"], |[w]| row(k, w));
        let slope = formula.diff("w");
        let step = (row(k, w + 0.001) - row(k, w)) / 0.001;
        let tape = Tape::new();
        let v = tape.var(w);
        let on_tape = row(k, v).backward()[v];
        let dual = row(k, Dual::new(w, [1.0])).tangents()[0];
        let at = slope.subs("w", w).to_string();
        let (formula, slope) = (formula.to_string(), slope.to_string());
        println!("{formula:<6} {w:5} {step:31.4}   {slope:<12} {at:>6} {on_tape:7} {dual:7}");
    }
}

/// A curve and its tangent as SVG.
fn tangent(f: impl Fn(f64) -> f64, at: f64, slope: f64) -> String {
    let (width, height, span) = (560.0, 360.0, 2.0);
    let top = f(at - span).max(f(at + span)) * 1.05;
    let place =
        |w: f64, j: f64| ((w - at + span) / (2.0 * span) * width, height - (j + 0.1 * top) / (1.1 * top) * height);
    let path = |j: &dyn Fn(f64) -> f64| -> String {
        let points = (0..=100).map(|i| at - span + 2.0 * span * f64::from(i) / 100.0);
        points.map(|w| place(w, j(w))).map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    let line = |w: f64| f(at) + slope * (w - at);
    let ((x, y), (_, zero)) = (place(at, f(at)), place(at, 0.0));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="14">
<rect width="100%" height="100%" fill="white"/>
<line x1="0" y1="{zero:.1}" x2="{width}" y2="{zero:.1}" stroke="#999"/>
<polyline points="{}" fill="none" stroke="#1f5fa8" stroke-width="2"/>
<polyline points="{}" fill="none" stroke="#b3261e" stroke-width="2"/>
<circle cx="{x:.1}" cy="{y:.1}" r="4"/>
<text x="{:.1}" y="{:.1}">w1 = {at}, J = {:.4}, slope {slope:.4}</text>
</svg>
"##,
        path(&f),
        path(&line),
        x + 10.0,
        y - 10.0,
        f(at)
    )
}
