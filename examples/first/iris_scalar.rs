//! A first neural network, in plain scalars: the network tells three kinds of iris apart by the size of their leaves.
//! There are no tensors here, only variables, `+`, `*` and `tanh`.
//!
//! ```text
//! cargo run --release --example iris_scalar
//! ```

use std::error::Error;

use ndarray::{Array2, Axis};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::data::{Scaling, train_test_split};
use wengert::metrics::Confusion;
use wengert::{Tape, Var, log_sum_exp, mean};

const INPUTS: usize = 4;
const HIDDEN: usize = 6;
const KINDS: [&str; 3] = ["setosa", "versicolor", "virginica"];
/// The number of weights: a unit has one for each of its inputs, and one more that is added.
const WEIGHTS: usize = HIDDEN * (INPUTS + 1) + KINDS.len() * (HIDDEN + 1);
const STEPS: usize = 300;
const RATE: f64 = 0.3;

/// The inputs of a unit times its weights, plus its last weight.
fn unit<'t>(weights: &[Var<'t>], inputs: &[Var<'t>]) -> Var<'t> {
    let mut sum = weights[inputs.len()];
    for (&weight, &input) in weights.iter().zip(inputs) {
        sum += weight * input;
    }
    sum
}

/// A score for each kind; the kind with the highest score is the network's answer.
fn scores<'t>(weights: &[Var<'t>], flower: &[f64]) -> Vec<Var<'t>> {
    // The inputs are constants: no derivative with respect to them is needed.
    let inputs: Vec<Var<'t>> = flower.iter().map(|&x| x.into()).collect();
    let (first, second) = weights.split_at(HIDDEN * (INPUTS + 1));
    let hidden: Vec<Var<'t>> = first.chunks(INPUTS + 1).map(|weights| unit(weights, &inputs).tanh()).collect();
    second.chunks(HIDDEN + 1).map(|weights| unit(weights, &hidden)).collect()
}

/// The four lengths of each flower, and the number of its kind.
fn iris() -> Result<(Array2<f64>, Vec<usize>), Box<dyn Error>> {
    let (mut lengths, mut kinds) = (Vec::new(), Vec::new());
    for line in include_str!("../data/iris.csv").lines().skip(1) {
        let (flower, kind) = line.rsplit_once(',').ok_or("a line without a kind")?;
        for length in flower.split(',') {
            lengths.push(length.parse()?);
        }
        kinds.push(kind.parse()?);
    }
    Ok((Array2::from_shape_vec((kinds.len(), INPUTS), lengths)?, kinds))
}

fn main() -> Result<(), Box<dyn Error>> {
    // The data: four lengths in centimetres and the kind of each flower. A third of the flowers is kept for the test.
    let (flowers, kinds) = iris()?;
    let (train, test) = train_test_split(kinds.len(), 50, 0);
    // Lengths with mean 0 and standard deviation 1 are easier to learn from.
    let scaling = Scaling::standard(&flowers.select(Axis(0), &train));
    let part = |flower_numbers: &[usize]| -> (Vec<Vec<f64>>, Vec<usize>) {
        let rows = scaling.apply(&flowers.select(Axis(0), flower_numbers));
        (rows.rows().into_iter().map(|row| row.to_vec()).collect(), flower_numbers.iter().map(|&i| kinds[i]).collect())
    };
    let ((train_rows, train_kinds), (test_rows, test_kinds)) = (part(&train), part(&test));

    // Every weight begins as a small random number; equal weights would stay equal.
    let mut rng = StdRng::seed_from_u64(0);
    let mut weights: Vec<f64> = (0..WEIGHTS).map(|_| rng.random_range(-0.5..0.5)).collect();
    println!("{} flowers to learn, {} to test, {WEIGHTS} weights\n", train.len(), test.len());

    let mut tape = Tape::new();
    for step in 0..=STEPS {
        // 1. An empty tape with a variable for each weight.
        tape.clear();
        let vars = tape.vars_from(&weights);

        // 2. The loss, which is small if the right kinds have high scores. The probability of a kind is e^score divided
        // by the sum over all three kinds; the loss is -ln of the right kind's probability.
        let loss_of = |(flower, &kind): (&Vec<f64>, &usize)| {
            let scores = scores(vars, flower);
            log_sum_exp(&scores) - scores[kind]
        };
        let losses: Vec<Var<'_>> = train_rows.iter().zip(&train_kinds).map(loss_of).collect();
        let loss = mean(&losses);
        if step % 50 == 0 {
            println!("step {step:3}   loss {:.4}   ({} operations on the tape)", loss.value(), tape.len());
        }

        // 3. One backward sweep over the tape: the derivative of the loss with respect to every weight.
        let gradient = loss.backward();

        // 4. A small step against the derivative for each weight.
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
    let confusion = Confusion::new(KINDS.len(), &answers, &test_kinds).named(KINDS);
    println!("\nflowers it has not seen, by kind (rows) and answer (columns)\n\n{confusion}");
    Ok(())
}
