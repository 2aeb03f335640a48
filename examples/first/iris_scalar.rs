//! A first neural network, of plain numbers: it tells three kinds of iris apart by the size of their
//! leaves. There is no array here that differentiates itself, only variables, `+`, `*` and `tanh`.
//!
//! ```text
//! cargo run --release --example iris_scalar
//! ```

use std::error::Error;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wengert::data::{Column, Csv, Scaling};
use wengert::metrics::Confusion;
use wengert::{Tape, Var, log_sum_exp, mean};

const INPUTS: usize = 4;
const HIDDEN: usize = 6;
const KINDS: [&str; 3] = ["setosa", "versicolor", "virginica"];
/// Each unit has a weight for each of its inputs, and one more that is added.
const WEIGHTS: usize = HIDDEN * (INPUTS + 1) + KINDS.len() * (HIDDEN + 1);
const STEPS: usize = 300;
const RATE: f64 = 0.3;

/// A unit's inputs times its weights, plus its last weight.
fn unit<'t>(weights: &[Var<'t>], inputs: &[Var<'t>]) -> Var<'t> {
    let mut sum = weights[inputs.len()];
    for (&weight, &input) in weights.iter().zip(inputs) {
        sum += weight * input;
    }
    sum
}

/// A score for each kind: the greatest one is the network's answer.
fn scores<'t>(weights: &[Var<'t>], flower: &[f64]) -> Vec<Var<'t>> {
    // Numbers that are not to be differentiated by become constants.
    let inputs: Vec<Var<'t>> = flower.iter().map(|&x| x.into()).collect();
    let (first, second) = weights.split_at(HIDDEN * (INPUTS + 1));
    let hidden: Vec<Var<'t>> = first.chunks(INPUTS + 1).map(|weights| unit(weights, &inputs).tanh()).collect();
    second.chunks(HIDDEN + 1).map(|weights| unit(weights, &hidden)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    // The data: four lengths in centimetres a flower, and its kind. A third is kept for the test.
    let csv = Csv::new().labels(Column::Last);
    let (train, test) = csv.read::<f64>(&include_bytes!("../data/iris.csv")[..])?.split(50, 0);
    // Lengths with mean 0 and deviation 1 are easier to learn from.
    let scaling = Scaling::standard(&train.values);
    let rows = |table: &ndarray::Array2<f64>| -> Vec<Vec<f64>> {
        scaling.apply(table).rows().into_iter().map(|row| row.to_vec()).collect()
    };
    let (train_rows, test_rows) = (rows(&train.values), rows(&test.values));

    // Every weight begins as a small random number: equal ones would stay equal.
    let mut rng = StdRng::seed_from_u64(0);
    let mut weights: Vec<f64> = (0..WEIGHTS).map(|_| rng.random_range(-0.5..0.5)).collect();
    println!("{} flowers to learn, {} to test, {WEIGHTS} weights\n", train.len(), test.len());

    let mut tape = Tape::new();
    for step in 0..=STEPS {
        // 1. A clean tape, and a variable on it for each weight.
        tape.clear();
        let vars = tape.vars_from(&weights);

        // 2. The loss, small when the right kinds have the great scores. e^score, divided by the sum
        // of all three, is taken as a probability; -ln of the right kind's one is the loss.
        let loss_of = |(flower, &kind): (&Vec<f64>, &usize)| {
            let scores = scores(vars, flower);
            log_sum_exp(&scores) - scores[kind]
        };
        let losses: Vec<Var<'_>> = train_rows.iter().zip(&train.labels).map(loss_of).collect();
        let loss = mean(&losses);
        if step % 50 == 0 {
            println!("step {step:3}   loss {:.4}   ({} operations on the tape)", loss.value(), tape.len());
        }

        // 3. One sweep back over the tape: how the loss changes with every weight.
        let gradient = loss.backward();

        // 4. Each weight goes a little way down its slope.
        for (weight, &var) in weights.iter_mut().zip(vars) {
            *weight -= RATE * gradient[var];
        }
    }

    tape.clear();
    let vars = tape.vars_from(&weights);
    let answer = |flower: &Vec<f64>| {
        let scores = scores(vars, flower);
        (0..KINDS.len()).max_by(|&a, &b| scores[a].value().total_cmp(&scores[b].value())).unwrap_or(0)
    };
    let answers: Vec<usize> = test_rows.iter().map(answer).collect();
    let confusion = Confusion::new(KINDS.len(), &answers, &test.labels).named(KINDS);
    println!("\nflowers it has not seen, by kind (rows) and answer (columns)\n\n{confusion}");
    Ok(())
}
