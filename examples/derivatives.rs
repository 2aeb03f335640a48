//! Finite differences against the exact derivative: a table, the tangents of 2x², and how the error of each
//! scheme depends on the step. Writes two pictures, each as PNG and SVG:
//!
//! ```text
//! cargo run --example derivatives [folder]      # default: target/derivatives
//! ```
//!
//! Labels in the PNGs need a TrueType font; the usual system folders are searched, or name a file in `FONT`.
//! Without one the PNGs are drawn without text; the SVGs always have it.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use wengert::gradcheck::{Differences, Scheme};
use wengert::{Real, Tape, grad};

type Function = fn(f64) -> f64;

/// A function as plain arithmetic, and its derivative by the tape.
struct Row {
    name: &'static str,
    value: Function,
    exact: Function,
    points: &'static [f64],
}

/// Each expression is written once and compiled for `f64` and for `Var`.
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
    let has_font = register_font();
    for (name, figure) in [("tangents", tangents()), ("steps", steps())] {
        let svg = folder.join(name).with_extension("svg");
        draw(&SVGBackend::new(&svg, SIZE).into_drawing_area(), &figure, 1, true)?;
        let png = folder.join(name).with_extension("png");
        draw(&BitMapBackend::new(&png, (2 * SIZE.0, 2 * SIZE.1)).into_drawing_area(), &figure, 2, has_font)?;
        println!("{}\n{}", svg.display(), png.display());
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

/// Size of an SVG; a PNG is twice as large.
const SIZE: (u32, u32) = (860, 540);
/// Okabe & Ito's colours, distinct to every eye.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];
const INK: RGBColor = RGBColor(70, 70, 70);

struct Figure {
    title: &'static str,
    x_label: &'static str,
    y_label: &'static str,
    x: Range<f64>,
    y: Range<f64>,
    /// Coordinates are powers of ten.
    powers: bool,
    lines: Vec<Curve>,
    dots: Vec<(f64, f64)>,
}

struct Curve {
    label: String,
    colour: RGBColor,
    width: u32,
    points: Vec<(f64, f64)>,
}

/// `2x²` and its tangents, with the slopes that adaptive differences find.
fn tangents() -> Figure {
    let f: Function = |x| 2.0 * x * x;
    let curve = (-30..=105).map(|k| f64::from(k) / 20.0).map(|x| (x, f(x))).collect();
    let mut lines = vec![Curve { label: "2x²".into(), colour: RGBColor(0, 0, 0), width: 3, points: curve }];
    let mut dots = Vec::new();
    for (k, colour) in COLOURS.into_iter().enumerate() {
        let x = k as f64;
        let slope = Differences::new(Scheme::Adaptive).derivative(f, x).value;
        let points = [x - 1.4, x + 1.4].map(|t| (t, f(x) + slope * (t - x))).to_vec();
        lines.push(Curve { label: format!("at x = {x}: slope {slope:.0}"), colour, width: 2, points });
        dots.push((x, f(x)));
    }
    Figure {
        title: "2x² and its tangents",
        x_label: "x",
        y_label: "2x²",
        x: -1.5..5.5,
        y: -6.0..55.0,
        powers: false,
        lines,
        dots,
    }
}

/// Relative error of each scheme against the step: truncation falls to the left, rounding to the right.
fn steps() -> Figure {
    let (f, x): (Function, f64) = (|x| x.powi(2) + x + 1.0 + 2f64.powf(x), 1.0);
    let exact = (ROWS[1].exact)(x);
    // An error of 0 is drawn at the rounding of the result.
    let error = |value: f64| ((value - exact) / exact).abs().max(f64::EPSILON / 2.0).log10();
    let exponents = || (-150..=0).map(|k| f64::from(k) / 10.0);
    let schemes = [("forward", Scheme::Forward), ("central", Scheme::Central), ("five-point", Scheme::FivePoint)];
    let mut lines: Vec<Curve> = schemes
        .into_iter()
        .zip(COLOURS)
        .map(|((label, scheme), colour)| {
            let quotient = |e: f64| Differences::new(scheme).step(10f64.powf(e)).derivative(f, x).value;
            let points = exponents().map(|e| (e, error(quotient(e)))).collect();
            Curve { label: label.into(), colour, width: 2, points }
        })
        .collect();
    let adaptive = Differences::new(Scheme::Adaptive).derivative(f, x);
    for (label, level, colour) in [
        ("adaptive: its own error bound", adaptive.error.unwrap_or(f64::NAN) / exact, COLOURS[4]),
        ("adaptive: its error", (adaptive.value - exact) / exact, COLOURS[3]),
    ] {
        let level = level.abs().max(f64::EPSILON / 2.0).log10();
        lines.push(Curve { label: label.into(), colour, width: 2, points: vec![(-15.0, level), (0.0, level)] });
    }
    Figure {
        title: "Error of a derivative of x² + x + 1 + 2^x at 1",
        x_label: "step",
        y_label: "relative error",
        x: -15.0..0.0,
        y: -16.0..5.0,
        powers: true,
        lines,
        dots: Vec::new(),
    }
}

fn draw<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    figure: &Figure,
    zoom: u32,
    text: bool,
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    root.fill(&WHITE)?;
    let font = |size: u32| ("sans-serif", size * zoom).into_font().color(&INK);
    let mut builder = ChartBuilder::on(root);
    builder.margin(16 * zoom);
    if text {
        builder.x_label_area_size(44 * zoom).y_label_area_size(58 * zoom).caption(figure.title, font(21));
    }
    let mut chart = builder.build_cartesian_2d(figure.x.clone(), figure.y.clone())?;
    let tick = |v: &f64| if figure.powers { format!("1e{v:.0}") } else { format!("{v:.0}") };
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(INK).bold_line_style(RGBColor(226, 226, 226)).light_line_style(WHITE);
    if figure.powers {
        mesh.x_labels(16).y_labels(11);
    } else {
        mesh.x_labels(7).y_labels(12);
    }
    if text {
        mesh.x_label_formatter(&tick).y_label_formatter(&tick).label_style(font(13));
        mesh.x_desc(figure.x_label).y_desc(figure.y_label).axis_desc_style(font(15));
    }
    mesh.draw()?;
    for curve in &figure.lines {
        let style = curve.colour.stroke_width(curve.width * zoom);
        let drawn = chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
        if text {
            let length = i32::try_from(22 * zoom)?;
            drawn.label(curve.label.as_str()).legend(move |(x, y)| PathElement::new([(x, y), (x + length, y)], style));
        }
    }
    chart.draw_series(figure.dots.iter().map(|p| Circle::new(*p, 4 * zoom, INK.filled())))?;
    if text {
        chart
            .configure_series_labels()
            .position(if figure.powers { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::UpperLeft })
            .margin(12 * zoom)
            .legend_area_size(32 * zoom)
            .background_style(WHITE.mix(0.9))
            .border_style(RGBColor(200, 200, 200))
            .label_font(font(14))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// Makes some font of this machine known to the bitmap backend.
fn register_font() -> bool {
    let named = std::env::var_os("FONT").map(PathBuf::from);
    let folders = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "C:\\Windows\\Fonts"];
    let Some(file) = named.or_else(|| folders.iter().find_map(|folder| plain_font(Path::new(folder)))) else {
        return false;
    };
    // The backend keeps fonts for the life of the program.
    let Ok(bytes) = std::fs::read(file) else { return false };
    plotters::style::register_font("sans-serif", FontStyle::Normal, bytes.leak()).is_ok()
}

/// A well-known upright sans-serif below a folder.
fn plain_font(folder: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 6] = [
        "DejaVuSans.ttf",
        "LiberationSans-Regular.ttf",
        "NotoSans-Regular.ttf",
        "Arial.ttf",
        "arial.ttf",
        "Helvetica.ttf",
    ];
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    entries.sort();
    let is_plain = |p: &PathBuf| NAMES.iter().any(|n| p.ends_with(n));
    let found = entries.iter().find(|p| is_plain(p)).cloned();
    found.or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| plain_font(p)))
}
