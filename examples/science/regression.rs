//! Ridge regression by gradient descent, beside its closed form, on the diabetes data of Efron et al.: ten measurements
//! of a patient, and the progression of the disease in a year.
//!
//! ```text
//! cargo run --release --features io,watch,linalg --example regression
//! ```
//!
//! Draws the predictions against the measurements into `target/regression/predictions.png`.

use std::error::Error;

use ndarray::Array2;
use wengert::data::{Scaling, Table, select, train_test_split};
use wengert::metrics::{mae, r2};
use wengert::optim::{Optimizer, Sgd};
use wengert::watch::Chart;
use wengert::{Params, Tape};

const NAMES: [&str; 10] =
    ["age", "sex", "body mass", "blood pressure", "s1 tc", "s2 ldl", "s3 hdl", "s4 tch", "s5 ltg", "s6 glu"];
const TEST: usize = 110;
/// The penalty on squared weights, in the sum over all patients.
const RIDGE: f64 = 10.0;
const FOLDER: &str = "target/regression";

/// The minimum of the loss, (Xᵀ X + λ1)⁻¹ Xᵀ y. The matrix is positive definite.
fn closed_form(x: &Array2<f64>, y: &Array2<f64>) -> Result<Array2<f64>, Box<dyn Error>> {
    let tape = Tape::new();
    let normal = x.t().dot(x) + Array2::<f64>::eye(x.ncols()) * RIDGE;
    Ok(tape.constant(&normal).solve(tape.constant(x.t().dot(y)))?.value().to_owned())
}

/// The weights after gradient descent towards the same minimum; each step takes the gradient over all patients.
fn descent(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    let mut params = Params::new();
    let w = params.add("w", Array2::zeros((x.ncols(), 1)));
    let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.05).momentum(0.9).nesterov(true));
    println!("step   penalised loss");
    for step in 0..=200 {
        let (loss, gradient) = tape.value_and_grad(&params, |p| {
            let penalty = p.get(w).square().sum() * (RIDGE / x.nrows() as f64);
            p.constant(x).dot(p.get(w)).mse(y) + penalty
        });
        if step % 25 == 0 {
            println!("{step:4}   {loss:.12}");
        }
        sgd.step(&mut params, gradient);
    }
    params.view(w).to_owned()
}

fn main() -> Result<(), Box<dyn Error>> {
    let patients = Table::read(&include_bytes!("../data/diabetes_data_raw.csv.gz")[..])?;
    let progression = Table::read(&include_bytes!("../data/diabetes_target.csv.gz")[..])?;
    let (patients, progression) = (patients.features(patients.names())?, progression.features(progression.names())?);
    let (train, test) = train_test_split(patients.nrows(), TEST, 0);
    println!("{} patients to learn from, {} to test\n", train.len(), test.len());

    // Columns of mean 0 and standard deviation 1, so that weights can be compared and no intercept is needed. The
    // scaling is fitted without the test rows.
    let (train_x, train_y) = select((&patients, &progression), &train);
    let (in_x, in_y) = (Scaling::standard(&train_x), Scaling::standard(&train_y));
    let (x, y) = (in_x.apply(&train_x), in_y.apply(&train_y));
    let (test_x, test_y) = select((&patients, &progression), &test);
    let test_x = in_x.apply(&test_x);

    let exact = closed_form(&x, &y)?;
    let reached = descent(&x, &y);
    println!("\nweights, in deviations      closed form        descent");
    for ((name, exact), reached) in NAMES.iter().zip(&exact).zip(&reached) {
        println!("{name:22} {exact:16.10} {reached:14.10}");
    }

    let models = [
        ("mean of the training part", Array2::zeros((TEST, 1))),
        ("ridge, closed form", test_x.dot(&exact)),
        ("ridge, gradient descent", test_x.dot(&reached)),
    ]
    .map(|(name, predicted)| (name, in_y.invert(&predicted)));
    println!("\non {TEST} other patients           R²   mean absolute error");
    for (name, predicted) in &models {
        println!("{name:26} {:8.4} {:12.2}", r2(predicted, &test_y), mae(predicted, &test_y));
    }

    std::fs::create_dir_all(FOLDER)?;
    let (name, predicted) = &models[2];
    Chart::new("Progression of diabetes in a year, held-out patients")
        .x_label("measured")
        .y_label("predicted")
        .legend_left()
        .dots(*name, test_y.iter().copied().zip(predicted.iter().copied()))
        .line("as measured", [(25.0, 25.0), (350.0, 350.0)])
        .colour((120, 120, 120))
        .save(format!("{FOLDER}/predictions.png"))?;
    println!("\ndrawn in {FOLDER}/predictions.png");
    Ok(())
}
