//! Symbolic derivatives against textbooks, and against SymPy for fifty random functions.

// One of the random functions contains x - x.
#![allow(clippy::eq_op)]

use wengert::symbolic;
use wengert::trace::Recorded;

struct Row {
    source: &'static str,
    f: for<'r> fn([Recorded<'r>; 2]) -> Recorded<'r>,
    partials: [(&'static str, [f64; 20]); 2],
}

include!("../../oracle/formulas.rs");

#[test]
fn derivatives_as_a_person_writes_them() {
    type F = for<'r> fn([Recorded<'r>; 1]) -> Recorded<'r>;
    let cases: &[(F, &str)] = &[
        (|[w]| w * w, "2*w"),
        (|[w]| w.square(), "2*w"),
        (|[w]| w.powi(2), "2*w"),
        (|[w]| w.powf(2.0), "2*w"),
        (|[w]| 2.0 * w, "2"),
        (|[w]| w.powi(3), "3*w^2"),
        (|[w]| w * w * w, "3*w^2"),
        (|[w]| 1.0 / w, "-1/w^2"),
        (|[w]| w.recip(), "-1/w^2"),
        (|[w]| 1.0 / w.powi(2), "-2/w^3"),
        (|[w]| 1.0 / (w * w), "-2/w^3"),
        (|[w]| w.powi(-2), "-2/w^3"),
        (|[w]| w.sqrt(), "1/(2*sqrt(w))"),
        (|[w]| 0.5 * w * w, "w"),
        (|[w]| w * w / 3.0, "2*w/3"),
        (|[w]| 0.7 * w, "0.7"),
        (|[w]| w.exp(), "exp(w)"),
        (|[w]| (2.0 * w).exp(), "2*exp(2*w)"),
        (|[w]| (-w * w / 2.0).exp(), "-w*exp(-w^2/2)"),
        (|[w]| w * w.exp(), "exp(w)*(1 + w)"),
        (|[w]| w.ln(), "1/w"),
        (|[w]| w * w.ln(), "ln(w) + 1"),
        (|[w]| w.ln() / w, "(1 - ln(w))/w^2"),
        (|[w]| w.sin(), "cos(w)"),
        (|[w]| w.cos(), "-sin(w)"),
        (|[w]| w.sin() * w.cos(), "cos(w)^2 - sin(w)^2"),
        (|[w]| w.sin().powi(2) + w.cos().powi(2), "0"),
        (|[w]| w.tan(), "tan(w)^2 + 1"),
        (|[w]| w.tanh(), "1 - tanh(w)^2"),
        (|[w]| w.sigmoid(), "sigmoid(w)*(1 - sigmoid(w))"),
        (|[w]| w.atan(), "1/(w^2 + 1)"),
        (|[w]| w.asin(), "1/sqrt(1 - w^2)"),
        (|[w]| w.acos(), "-1/sqrt(1 - w^2)"),
        (|[w]| w.asinh(), "1/sqrt(w^2 + 1)"),
        (|[w]| w.atanh(), "1/(1 - w^2)"),
        (|[w]| w.cbrt(), "1/(3*cbrt(w)^2)"),
        (|[w]| w.abs(), "sign(w)"),
        (|[w]| w.relu(), "1 if w > 0 else 0"),
        (|[w]| w.max(0.0), "1 if w > 0 else 1/2 if w == 0 else 0"),
        (|[w]| w.softplus(), "sigmoid(w)"),
        (|[w]| w.ln_1p(), "1/(w + 1)"),
        (|[w]| w.erf(), "2/sqrt(pi)*exp(-w^2)"),
        (|[w]| w.powf(2.5), "5*w^(3/2)/2"),
        (|[w]| (2.0 * w + 1.0).powi(5), "10*(2*w + 1)^4"),
        (|[w]| w / (w + 1.0), "1/(w + 1)^2"),
        (|[_]| 3.0.into(), "0"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|&(f, want)| {
            let f = symbolic(["w"], f);
            let got = f.diff("w").to_string();
            (got != want).then(|| format!("d/dw {f} = {got}, not {want}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_layers() {
    let loss =
        symbolic(["w1", "b1", "w2", "b2", "x", "y"], |[w1, b1, w2, b2, x, y]| (w2 * (w1 * x + b1) + b2 - y).powi(2));
    let partials: Vec<String> = loss.gradient().iter().map(ToString::to_string).collect();
    assert_eq!(
        partials,
        [
            "2*w2*x*(w2*(w1*x + b1) + b2 - y)",
            "2*w2*(w2*(w1*x + b1) + b2 - y)",
            "2*(w1*x + b1)*(w2*(w1*x + b1) + b2 - y)",
            "2*(w2*(w1*x + b1) + b2 - y)",
            "2*w2*w1*(w2*(w1*x + b1) + b2 - y)",
            "-2*(w2*(w1*x + b1) + b2 - y)",
        ]
    );
    assert_eq!(loss.diff("b2").diff("b2").to_string(), "2");
    assert_eq!(loss.diff("w1").diff("b2").to_string(), "2*x*w2");
}

/// The exercise of introductory texts: slopes at points, by formula and by `subs`.
#[test]
fn the_lab() {
    let j = symbolic(["w"], |[w]| w * w);
    assert_eq!(j.subs("w", 3.0).to_string(), "9");
    let slopes = [2.0, 3.0, -3.0].map(|w| j.diff("w").subs("w", w).to_string());
    assert_eq!(slopes, ["4", "6", "-6"]);
    assert_eq!(symbolic(["w"], |[w]| 2.0 * w).diff("w").subs("w", 2.0).to_string(), "2");
    assert_eq!(symbolic(["w"], |[w]| w.powi(3)).diff("w").subs("w", 2.0).to_string(), "12");
    let reciprocal = symbolic(["w"], |[w]| 1.0 / w).diff("w").subs("w", 2.0);
    assert_eq!(reciprocal.to_string(), "-1/4");
    assert_eq!(reciprocal.to_latex(), r"-\frac{1}{4}");
}

/// The relative rounding error that a partial may have.
const TOLERANCE: f64 = 1e-11;

#[test]
fn fifty_functions_against_sympy() {
    let (mut ours, mut theirs, mut no_longer) = (0, 0, 0);
    for row in &FORMULAS {
        let formula = symbolic(["x", "y"], row.f);
        for ((name, (sympy, values)), partial) in ["x", "y"].iter().zip(&row.partials).zip(formula.gradient()) {
            let (mine, other) = (length(&partial.to_string()), length(sympy));
            if std::env::var_os("SHOW_FORMULAS").is_some() {
                println!("{mine:4} {other:4}  d/d{name} {}\n           {partial}\n           {sympy}", row.source);
            }
            ours += mine;
            theirs += other;
            no_longer += usize::from(mine <= other);
            for (point, want) in POINTS.iter().zip(values) {
                let got = partial.evaluate(point);
                assert!(
                    (got - want).abs() <= TOLERANCE * (1.0 + want.abs()),
                    "d/d{name} {} = {partial} at {point:?}: {got}, by SymPy's {sympy} {want}",
                    row.source
                );
            }
        }
    }
    println!("characters: {ours}, SymPy {theirs}; no longer than SymPy's: {no_longer} of 100");
    assert!(ours <= theirs * 11 / 10, "{ours} characters, SymPy {theirs}");
}

fn length(formula: &str) -> usize {
    formula.chars().filter(|c| *c != ' ').count()
}

/// A formula of 10,000 operations: every pass over it works without recursion. A chain has the derivative
/// Π cos(sin(.. x)), whose value is the product of cosines of the iterates.
#[test]
fn ten_thousand_operations_deep() {
    const DEPTH: usize = 10_000;
    let chain = |depth: usize| {
        symbolic(["x"], |[x]| {
            let mut y = x;
            for _ in 0..depth {
                y = y.sin();
            }
            y
        })
    };
    let f = chain(DEPTH);
    let text = f.to_string();
    assert_eq!(text.len(), "sin()".len() * DEPTH + 1);
    assert!(text.starts_with("sin(sin(") && text.contains("sin(x))"));
    assert!(f.to_latex().len() > text.len() && format!("{f:?}").contains(&text));
    assert!(f == chain(DEPTH) && f != chain(DEPTH - 1));
    let (mut y, mut slope) = (1.0_f64, 1.0);
    for _ in 0..DEPTH {
        (y, slope) = (y.sin(), slope * y.cos());
    }
    assert_eq!(f.evaluate(&[1.0]), y);
    assert_eq!(f.subs("x", 0.0).to_string(), "0");
    assert!(f.clone().simplify() == f);
    let d = f.diff("x");
    let got = d.evaluate(&[1.0]);
    assert!((got - slope).abs() <= 1e-12 * slope, "{got} {slope}");
}

/// A formula in which every step uses the one before it several times, written out, would be of exponential size.
#[test]
fn shared_parts_are_printed_once() {
    let iterate = |n: usize| {
        symbolic(["x", "t1"], |[x, t]| {
            let mut y = x + t;
            for _ in 0..n {
                y = y * y.sin() + y.exp();
            }
            y
        })
    };
    assert_eq!(iterate(1).to_string(), "sin(x + t1)*(x + t1) + exp(x + t1)");
    let f = iterate(30);
    let text = f.to_string();
    assert!(text.starts_with("sin(t31)*t31 + exp(t31) where t2 = x + t1, t3 = sin(t2)*t2 + exp(t2), t4 = "), "{text}");
    assert!(text.len() < 1_500);
    assert!(f.to_latex().contains(r" \quad\text{where } t_{2} = x + t_{1},\; t_{3} = "), "{}", f.to_latex());
    // The derivative of the recurrence, by the product rule. The point keeps the iterates small.
    let g = iterate(4).diff("x");
    let (mut y, mut dy) = (-3.0_f64, 1.0);
    for _ in 0..4 {
        (y, dy) = (y * y.sin() + y.exp(), dy * (y.sin() + y * y.cos() + y.exp()));
    }
    let got = g.evaluate(&[-4.0, 1.0]);
    assert!((got - dy).abs() <= 1e-12 * dy.abs(), "{got} {dy}");
    // 300 steps: the second derivative too is of polynomial size.
    assert!(iterate(300).diff("x").to_string().len() < 100_000);
    assert!(iterate(60).diff("x").diff("t1").to_string().len() < 100_000);
}

/// A loop that a number without a value would have to end is refused, at its line.
#[test]
fn loops_that_depend_on_numbers() {
    type F = for<'r> fn(Recorded<'r>) -> Recorded<'r>;
    let loops: [(F, &str); 5] = [
        (
            |mut y| {
                while y > 1.0 {
                    y /= 2.0;
                }
                y
            },
            "makes more than 64 decisions",
        ),
        (
            |mut y| {
                while y.abs() >= 1e-9 {
                    y = y - y.sin();
                }
                y
            },
            "makes more than 64 decisions",
        ),
        (
            |mut y| {
                while y != 0.0 {
                    y /= 2.0;
                }
                y
            },
            "takes more than 262144 operations",
        ),
        (
            |mut y| {
                while num_traits::Float::is_finite(y) {
                    y *= 2.0;
                }
                y
            },
            "takes more than 262144 operations",
        ),
        (
            |y| {
                loop {
                    if y == 1.0 {
                        return y;
                    }
                }
            },
            "takes more than 262144 operations or comparisons",
        ),
    ];
    for (f, message) in loops {
        let panic = crate::support::panics::panic_of(|| _ = symbolic(["y"], |[y]| f(y)));
        assert!(panic.message.contains(message) && panic.message.contains("`record`"), "{panic}");
        assert_eq!(panic.file, file!(), "{panic}");
    }
    // A loop of a fixed number of steps is none, and 64 paths are allowed.
    let relus = symbolic_of_relus(5);
    assert_eq!(relus.evaluate(&[1.0; 5]), 5.0);
}

fn symbolic_of_relus(n: usize) -> wengert::symbolic::Formula {
    let names: Vec<String> = (0..n).map(|i| format!("x{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    wengert::symbolic::symbolic_of(&names, |x| x.iter().map(|&x| if x > 0.0 { x } else { 0.0 * x }).sum())
}
