//! Programs: recorded, planned and run.

use ndarray::{Array1, Array2};
use wengert::trace::Recorded;
use wengert::{AutoProgram, Program, Real, record, symbolic, trace};

use crate::{bits, every_failure};

fn model<R: Real<Base = f64>>(x: &[R]) -> R {
    let terms = x.windows(2).map(|w| (w[0] * w[1]).sin() + w[0].ln().abs());
    terms.sum::<R>() / x[0] + x[1].max(x[2])
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 1.0 + (i as f64).sin().abs()).collect()
}

#[test]
fn new_programs() {
    for n in [3, 30] {
        let x = point(n);
        every_failure(
            || (),
            |()| (),
            |()| {
                let mut program = Program::new(|x| model(x), &x[..]).map_err(|error| error.to_string())?;
                let mut gradient = vec![0.0; n];
                let value = program.value_and_grad(&x, &mut gradient).map_err(|error| error.to_string())?;
                Ok((value.to_bits(), bits(&gradient)))
            },
        );
    }
}

/// A derivative is planned when it is first asked for: the program after a failure is the one before.
#[test]
fn plans() {
    const N: usize = 20;
    let x = point(N);
    let build = || Program::new(|x| model(x), &point(N)[..]).expect("a function without branches");
    let vector =
        || Program::vector(|x| x.iter().map(|&y| (y * x[0]).sin()).collect(), &point(N)[..]).expect("the same");
    let error = |error: wengert::trace::BranchChanged| error.to_string();
    every_failure(build, Program::steps, |p| p.value(&x).map(f64::to_bits).map_err(error));
    every_failure(build, Program::steps, |p| {
        let mut gradient = vec![0.0; N];
        p.value_and_grad(&x, &mut gradient).map_err(error)?;
        Ok(bits(&gradient))
    });
    every_failure(build, Program::steps, |p| {
        let mut product = vec![0.0; N];
        p.hvp(&x, &x, &mut product).map_err(error)?;
        Ok(bits(&product))
    });
    every_failure(build, Program::steps, |p| p.hessian(&x).map(|h| bits(&h)).map_err(error));
    every_failure(build, Program::steps, |p| p.sparse_hessian(&x).map(|h| bits(&h.to_dense())).map_err(error));
    every_failure(build, Program::steps, |p| {
        let points = Array2::from_shape_fn((50, N), |(i, j)| x[j] + i as f64 * 0.01);
        let (mut values, mut gradients) = (Array1::zeros(50), Array2::zeros((50, N)));
        p.batch(points.view(), values.view_mut(), gradients.view_mut()).map_err(|error| error.to_string())?;
        Ok((bits(&values), bits(&gradients)))
    });
    every_failure(vector, Program::steps, |p| {
        let mut y = vec![0.0; N];
        p.values(&x, &mut y).map_err(error)?;
        p.jvp(&x, &x, &mut y).map_err(error)?;
        let mut z = vec![0.0; N];
        p.vjp(&x, &x, &mut z).map_err(error)?;
        Ok((bits(&y), bits(&z)))
    });
    every_failure(vector, Program::steps, |p| p.jacobian(&x).map(|j| bits(&j)).map_err(error));
    every_failure(vector, Program::steps, |p| p.sparse_jacobian(&x).map(|j| bits(&j.to_dense())).map_err(error));
    every_failure(build, Program::steps, |p| {
        let mut copy = p.clone();
        copy.value(&x).map(f64::to_bits).map_err(error)
    });
}

/// Points with data of their own, of which some are not finite, so that the program runs them one by one: its own data are
/// the same afterwards.
#[test]
fn batches_with_data() {
    let x = Array2::from_elem((1, 2), 0.5);
    let data = Array2::from_shape_fn((9, 2), |(i, j)| (i + j) as f64);
    every_failure(
        || {
            Program::with_data(|p, d| (p[0] * d[0] + p[1] - d[1]).square() + d[0].ln(), &[0.5, 0.5], &[1.0, 2.0])
                .unwrap()
        },
        |f| f.clone().value(&[0.5, 0.25]).unwrap().to_bits(),
        |f| {
            let (mut values, mut gradients) = (Array1::zeros(9), Array2::zeros((9, 2)));
            let done = f.batch_data(x.view(), data.view(), values.view_mut(), gradients.view_mut());
            done.map_err(|error| error.to_string())?;
            Ok((bits(&values), bits(&gradients)))
        },
    );
}

#[test]
fn programs_of_branches() {
    every_failure(
        || AutoProgram::new(|x: &[Recorded<'_>]| x.iter().map(|&x| if x > 1.0 { x.square() } else { x }).sum()).keep(2),
        |f| f.programs().len(),
        |f| {
            let mut gradient = [0.0; 3];
            let value = f.value_and_grad(&[0.5, 2.0, 0.0], &mut gradient).map_err(|error| error.to_string())?;
            Ok((value.to_bits(), gradient.map(f64::to_bits)))
        },
    );
}

#[test]
fn recordings() {
    every_failure(
        || (),
        |()| (),
        |()| {
            let recording = record(["x", "y"], |[x, y]| (x * y.sin() + x).exp() / y, [2.0, 0.5]);
            Ok(bits(&recording.evaluate(&[3.0, 0.1]).map_err(|error| error.to_string())?))
        },
    );
    every_failure(
        || (),
        |()| (),
        |()| Ok(symbolic(["x", "y"], |[x, y]| if x > y { x * y.sin() } else { x }).diff("y").to_string()),
    );
    every_failure(
        || (),
        |()| (),
        |()| Ok(trace(["x", "y"], |[x, y]| (x * y.sin() + x).exp() / y, [2.0, 0.5]).to_string()),
    );
}
