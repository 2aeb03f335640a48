//! A small network learns to tell two spirals apart; four pictures show its answers during the training.
//!
//! ```text
//! cargo run --release --features watch --example spiral
//! ```
//!
//! The pictures of the plane go to `target/spiral/boundary.png`, side by side. The colour of a point is the network's
//! answer there, stronger where the answer is surer.

use std::error::Error;

use ndarray::{Array2, Ix2, s};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, Circle, Color, DrawingArea, IntoDrawingArea, RGBColor, Rectangle, WHITE};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::nn::Linear;
use wengert::optim::{Adam, Optimizer, Schedule};
use wengert::watch::COLOURS;
use wengert::{Params, ParamsOn, Tape, Tensor};

const POINTS: usize = 150;
const STEPS: u64 = 1000;
const RATE: f64 = 1e-2;
/// The steps after which the plane is drawn.
const DRAWN: [u64; 4] = [0, 100, 200, STEPS];
/// The side of a picture and of the squares of one colour in it, in pixels.
const SIDE: i32 = 600;
const SQUARE: i32 = 4;
const FOLDER: &str = "target/spiral";

/// Two arms of a turn and a half each, with noise; the second is the first turned by half a turn.
fn spirals(rng: &mut StdRng) -> (Array2<f64>, Array2<f64>) {
    let mut points = Array2::zeros((2 * POINTS, 2));
    for i in 0..POINTS {
        let along = i as f64 / POINTS as f64;
        let (angle, radius) = (3.0 * std::f64::consts::PI * along, 0.1 + 0.85 * along);
        for (arm, sign) in [(i, 1.0), (POINTS + i, -1.0)] {
            points[[arm, 0]] = sign * radius * angle.cos() + rng.random_range(-0.04..0.04);
            points[[arm, 1]] = sign * radius * angle.sin() + rng.random_range(-0.04..0.04);
        }
    }
    let mut labels = Array2::zeros((2 * POINTS, 1));
    labels.slice_mut(s![POINTS.., ..]).fill(1.0);
    (points, labels)
}

struct Net {
    layers: [Linear; 2],
    out: Linear,
}

impl Net {
    fn new(params: &mut Params<f64>, rng: &mut StdRng) -> Self {
        Self {
            layers: [Linear::new(params, "first", 2, 24, rng), Linear::new(params, "second", 24, 24, rng)],
            out: Linear::new(params, "out", 24, 1, rng),
        }
    }

    /// The logit of belonging to the second arm.
    fn logits<'t>(&self, p: ParamsOn<'t, '_, f64>, points: Tensor<'t, f64, Ix2>) -> Tensor<'t, f64, Ix2> {
        let hidden = self.layers.iter().fold(points, |x, layer| layer.forward(p, x).tanh());
        self.out.forward(p, hidden)
    }

    /// The answer for each point, from 0 (the first arm) to 1 (the second).
    fn probabilities(&self, params: &Params<f64>, points: &Array2<f64>) -> Array2<f64> {
        let tape = Tape::new();
        let p = params.frozen_on(&tape);
        self.logits(p, p.constant(points)).sigmoid().value().to_owned()
    }
}

/// A mixture of white and a colour; `strength` is the share of the colour.
fn tint((r, g, b): (u8, u8, u8), strength: f64) -> RGBColor {
    let [r, g, b] = [r, g, b].map(|c| (255.0 - strength * f64::from(255 - c)).round() as u8);
    RGBColor(r, g, b)
}

type Picture<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws the plane from -1.1 to 1.1 in the colours of the answers, and the points.
fn draw(
    area: &Picture<'_>,
    say: impl Fn(&Array2<f64>) -> Array2<f64>,
    points: &Array2<f64>,
) -> Result<(), Box<dyn Error>> {
    let scale = f64::from(SIDE) / 2.2;
    let squares = SIDE / SQUARE;
    let centres = Array2::from_shape_fn(((squares * squares) as usize, 2), |(i, axis)| {
        let (row, column) = (i as i32 / squares, i as i32 % squares);
        let pixel = |k: i32| f64::from(k * SQUARE) + f64::from(SQUARE) / 2.0;
        if axis == 0 { pixel(column) / scale - 1.1 } else { 1.1 - pixel(row) / scale }
    });
    for (i, &second) in (0..).zip(&say(&centres)) {
        let corner = (i % squares * SQUARE, i / squares * SQUARE);
        // A few shades show contour lines and keep the file small.
        let sure = (10.0 * (second - 0.5).abs()).ceil() / 5.0;
        let shade = tint(if second < 0.5 { COLOURS[0] } else { COLOURS[1] }, 0.1 + 0.4 * sure);
        area.draw(&Rectangle::new([corner, (corner.0 + SQUARE, corner.1 + SQUARE)], shade.filled()))?;
    }
    for (i, point) in points.rows().into_iter().enumerate() {
        let place = (((point[0] + 1.1) * scale) as i32, ((1.1 - point[1]) * scale) as i32);
        area.draw(&Circle::new(place, 8, WHITE.filled()))?;
        area.draw(&Circle::new(place, 6, tint(COLOURS[usize::from(i >= POINTS)], 1.0).filled()))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = StdRng::seed_from_u64(1);
    let (points, labels) = spirals(&mut rng);
    let mut params = Params::new();
    let net = Net::new(&mut params, &mut rng);
    println!("{params}\n");

    std::fs::create_dir_all(FOLDER)?;
    let file = format!("{FOLDER}/boundary.png");
    let gap = 16;
    let size = (4 * SIDE + 3 * gap, SIDE);
    let picture = BitMapBackend::new(&file, (size.0 as u32, size.1 as u32)).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut panels = (0..).map(|k| picture.clone().shrink((k * (SIDE + gap), 0), (SIDE, SIDE)));

    let schedule = Schedule::cosine(RATE, STEPS);
    let (mut tape, mut adam) = (Tape::new(), Adam::new(RATE));
    println!("step     loss   on the right side");
    for step in 0..=STEPS {
        let (loss, gradient) =
            tape.value_and_grad(&params, |p| net.logits(p, p.constant(&points)).bce_with_logits(&labels));
        if DRAWN.contains(&step) {
            let say = |points: &Array2<f64>| net.probabilities(&params, points);
            let right = say(&points).iter().zip(&labels).filter(|(p, l)| (**p > 0.5) == (**l > 0.5)).count();
            println!("{step:4}   {loss:.4}   {right} of {}", points.nrows());
            if let Some(panel) = panels.next() {
                draw(&panel, say, &points)?;
            }
        }
        adam.lr = schedule.at(step);
        adam.step(&mut params, gradient);
    }
    picture.present()?;
    println!("\ndrawn in {file}, at these steps from left to right");
    Ok(())
}
