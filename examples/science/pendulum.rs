//! Finds the length and the damping of a pendulum from noisy measurements of its angle.
//!
//! ```text
//! cargo run --release --features watch --example pendulum [SEED]
//! ```
//!
//! The model is the equation of motion θ'' = -(g / length) sin θ - damping θ', solved by the classical
//! Runge-Kutta method in scalar variables; Adam descends along the gradient of the squared errors *through the
//! solver*. Between two measurements the tape keeps a few states instead of every operation
//! ([`Tape::checkpoint_loop`]) and computes the steps again in the sweep. Draws `target/pendulum/fit.png`.

use std::error::Error;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Normal;
use wengert::watch::Chart;
use wengert::{Adam, Optimizer, Params, Real, SnapshotSchedule, Tape, Var};

const GRAVITY: f64 = 9.81;
/// The angle and the angular velocity at the start.
const START: [f64; 2] = [1.2, 0.0];
/// The length in metres and the damping in 1 / s.
const TRUE: [f64; 2] = [0.75, 0.25];
const GUESS: [f64; 2] = [1.0, 0.05];
/// The standard deviation of a measured angle.
const NOISE: f64 = 0.03;
const SECONDS: usize = 8;
const MEASUREMENTS_PER_SECOND: usize = 10;
const STEPS_BETWEEN: usize = 50;
/// The number of Adam's steps for each time span.
const DESCENT: u64 = 150;

/// The angle and the angular velocity one Runge-Kutta step later, for plain numbers and for variables of a tape.
fn step<R: Real<Base = f64>>([length, damping]: [R; 2], [angle, speed]: [R; 2]) -> [R; 2] {
    let h = 1.0 / (MEASUREMENTS_PER_SECOND * STEPS_BETWEEN) as f64;
    let slope = |[angle, speed]: [R; 2]| [speed, -R::lit(GRAVITY) / length * angle.sin() - damping * speed];
    let moved = |by: f64, [a, s]: [R; 2]| [angle + R::lit(by) * a, speed + R::lit(by) * s];
    let k1 = slope([angle, speed]);
    let k2 = slope(moved(h / 2.0, k1));
    let k3 = slope(moved(h / 2.0, k2));
    let k4 = slope(moved(h, k3));
    std::array::from_fn(|i| [angle, speed][i] + R::lit(h / 6.0) * (k1[i] + (k2[i] + k3[i]) * R::lit(2.0) + k4[i]))
}

/// The angle at the start and after each step.
fn swing(pendulum: [f64; 2]) -> Vec<f64> {
    let steps = SECONDS * MEASUREMENTS_PER_SECOND * STEPS_BETWEEN;
    let states = std::iter::successors(Some(START), |&state| Some(step(pendulum, state)));
    states.map(|[angle, _]| angle).take(steps + 1).collect()
}

/// The mean squared error of the model against the measurements.
fn error<'t>(tape: &'t Tape, pendulum: [Var<'t, f64>; 2], measured: &[f64], checkpoints: bool) -> Var<'t, f64> {
    let mut state = START.map(Var::constant);
    let squares = measured.iter().map(|angle| {
        state = if checkpoints {
            let end = tape.checkpoint_loop(STEPS_BETWEEN, SnapshotSchedule::Sqrt, &pendulum, &state, |_, p, s| {
                step([p[0], p[1]], [s[0], s[1]]).to_vec()
            });
            [end[0], end[1]]
        } else {
            (0..STEPS_BETWEEN).fold(state, |state, _| step(pendulum, state))
        };
        (state[0] - angle).square()
    });
    squares.sum::<Var<'t, f64>>() / measured.len() as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let (n, noise) = (SECONDS * MEASUREMENTS_PER_SECOND, Normal::new(0.0, NOISE)?);
    let rng = &mut StdRng::seed_from_u64(seed);
    let angles = swing(TRUE).into_iter().step_by(STEPS_BETWEEN).skip(1);
    let measured: Vec<f64> = angles.map(|angle| angle + rng.sample(noise)).collect();
    println!("{n} angles in {SECONDS} s, noise {NOISE} rad; {} Runge-Kutta steps\n", n * STEPS_BETWEEN);

    println!("one gradient          kilobytes   milliseconds   d/d length   d/d damping");
    for (name, checkpoints) in [("every operation kept", false), ("checkpoints", true)] {
        let tape = Tape::new();
        let start = Instant::now();
        let pendulum = tape.vars(GUESS);
        let gradient = error(&tape, pendulum, &measured, checkpoints).backward();
        let milliseconds = 1e3 * start.elapsed().as_secs_f64();
        let [length, damping] = gradient.wrt(pendulum);
        let kilobytes = tape.memory() as f64 / 1e3;
        println!("{name:20} {kilobytes:10.0} {milliseconds:14.1} {length:12.6} {damping:13.6}");
    }

    // The logarithms are fitted, so that length and damping stay positive. The first seconds are fitted first: over the
    // whole time, a model that falls out of step after a few swings would be stuck in a local minimum.
    let mut params = Params::new();
    let logarithms = params.add("logarithms", ndarray::arr1(&GUESS.map(f64::ln)));
    let mut tape = Tape::new();
    println!("\nseconds   length   damping   error / noise");
    for seconds in [2, 4, SECONDS] {
        let seen = &measured[..seconds * MEASUREMENTS_PER_SECOND];
        let mut adam = Adam::new(0.03);
        let mut last = 0.0;
        for _ in 0..DESCENT {
            let (loss, gradient) = tape.value_and_grad(&params, |p| {
                let pendulum = [0, 1].map(|i| p.get(logarithms).at([i]).exp());
                error(p.tape(), pendulum, seen, true)
            });
            adam.step(&mut params, gradient);
            adam.lr *= 0.97;
            last = loss;
        }
        let found = params.view(logarithms).map(|x| x.exp());
        println!("{seconds:7} {:8.4} {:9.4} {:15.3}", found[0], found[1], last.sqrt() / NOISE);
    }

    let found = [0, 1].map(|i| params.view(logarithms)[i].exp());
    println!("\n                true   guess    found   off by");
    for (i, name) in ["length in m", "damping in 1/s"].iter().enumerate() {
        let off = 100.0 * (found[i] / TRUE[i] - 1.0).abs();
        println!("{name:14} {:5.2} {:7.2} {:8.4} {off:7.2}%", TRUE[i], GUESS[i], found[i]);
    }

    let seconds = |points: usize| points as f64 / MEASUREMENTS_PER_SECOND as f64;
    let curve = |pendulum| {
        let angles = swing(pendulum).into_iter().enumerate();
        angles.map(move |(i, angle)| (seconds(i) / STEPS_BETWEEN as f64, angle))
    };
    let dots = measured.iter().enumerate().map(|(i, &angle)| (seconds(i + 1), angle));
    std::fs::create_dir_all("target/pendulum")?;
    Chart::new("A pendulum: length and damping from its swings")
        .x_label("time in s")
        .y_label("angle in rad")
        .y_range(-1.3..1.7)
        .line("first guess", curve(GUESS))
        .colour((190, 190, 190))
        .line("fitted model", curve(found))
        .dots("measured", dots)
        .save("target/pendulum/fit.png")?;
    println!("\ndrawn in target/pendulum/fit.png");
    Ok(())
}
