//! Gradients of tapes, in one call and step by step.

use ndarray::{Array2, array};
use wengert::{
    Evaluator, Gradient, SnapshotSchedule, StaticVar, Tape, Var, arrays, fuse, hessian, hvp, jacobian, sparse_hessian,
    sparse_jacobian, statics, vjp,
};

use crate::{bits, every_failure};

/// Records something of every kind and sweeps it.
fn sweep(tape: &mut Tape<f64>, n: usize) -> Vec<u64> {
    tape.clear();
    let point: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64).sin()).collect();
    let x = tape.vars_from(&point);
    let [a, b, c] = tape.vars([0.5, -0.3, 1.2]);
    let rosenbrock: Var<'_> =
        x.windows(2).map(|w| 100.0 * (w[1] - w[0].square()).square() + (1.0 - w[0]).square()).sum();
    let stencil = fuse([a, b, c], |[a, b, c]| (a * b - c) * a + b / c);
    let many = wengert::dot(x, x) + wengert::norm(x) + wengert::mean(x);
    let loss = rosenbrock * stencil + many.ln() + wengert::log_sum_exp(x) * a.powi(3);
    let mut gradient = loss.backward();
    let mut found = bits(&gradient.wrt([a, b, c]));
    stencil.backward_into(&mut gradient);
    found.extend(bits(&[gradient[a], loss.value()]));
    drop(gradient);
    let second = loss.backward();
    found.extend(x.iter().map(|&x| second[x].to_bits()));
    found
}

#[test]
fn scalars() {
    // A new tape; one that has to grow; one that was dropped in the middle of a recording.
    every_failure(Tape::new, |_| (), |tape| Ok(sweep(tape, 300)));
    let warm = || {
        let mut tape = Tape::new();
        sweep(&mut tape, 20);
        tape
    };
    every_failure(warm, |_| (), |tape| Ok(sweep(tape, 300)));
    every_failure(|| Tape::with_capacity(10), |_| (), |tape| Ok(sweep(tape, 300)));
    every_failure(|| (), |()| (), |()| Ok(Tape::<f64>::with_capacity(1000).len()));
}

/// Records on a tape that is not cleared after a failure: what stands on it already keeps its values and its gradient.
#[test]
fn a_tape_goes_on() {
    let tape: &'static Tape<f64> = Box::leak(Box::default());
    let (x, data) = (tape.var(0.5), array![1.0, 2.0]);
    let first = (x.sin() * x).exp();
    let expected = first.backward()[x];
    for number in 1.. {
        crate::silence();
        crate::allocator::fail(number);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let y = (0..200).fold(first, |y, _| (y * x).sin() + x);
            let t = tape.tensor(&data);
            (y + (t * first).sum()).backward()[x]
        }));
        let failed = crate::allocator::failed();
        // The arena does without some requests: it tries again with a smaller one.
        assert!(failed || outcome.is_ok());
        let gradient = first.backward();
        assert_eq!(gradient[x].to_bits(), expected.to_bits(), "after {number}");
        let again = (first * x).backward()[x];
        assert_eq!(again, expected * 0.5 + first.value(), "after {number}");
        if !failed {
            break;
        }
    }
}

#[test]
fn tensors() {
    let a = Array2::from_shape_fn((12, 12), |(i, j)| ((i * 31 + j) as f64).sin());
    let v = array![1.0, 2.0, 3.0, 4.0];
    let sweep = |tape: &mut Tape<f64>| {
        tape.clear();
        let (x, w) = (tape.tensor(&a), tape.tensor(&v));
        let product = x.t().dot(x).tanh().softmax(ndarray::Axis(1));
        let dynamic = x.into_dyn().permuted_axes(ndarray::IxDyn(&[1, 0])).sum();
        let linalg = (x.t().dot(x) + Array2::<f64>::eye(12)).sln_det().expect("a positive matrix").1;
        let kept = x.checkpoint(|x| x.dot(x).tanh()).sum();
        let [k, start] = [w.at([0]), w.at([1])];
        let schedule = SnapshotSchedule::Binomial { count: 3 };
        let looped = tape.checkpoint_loop(20, schedule, &[k], &[start], |_, k, y| vec![y[0] - k[0] * y[0] * 0.1]);
        let loss = product.sum() + dynamic + linalg + kept + looped[0] + x.iter().take(5).sum::<Var<'_>>();
        let gradient: Gradient<'_, f64> = loss.backward();
        Ok((bits(&gradient.wrt(x)), bits(&gradient.wrt(w)), loss.value().to_bits()))
    };
    every_failure(Tape::new, |_| (), sweep);
}

#[test]
fn static_handles() {
    let outer = |[x, y]: [StaticVar; 2]| {
        let [inner] = statics::grad(|[z]| z.powi(3), [x.value()]);
        [x, y, x * y].into_iter().sum::<StaticVar>() * inner
    };
    // On a thread of its own for each failure, and on one thread that lives on.
    let fresh = || std::thread::spawn(move || statics::grad(outer, [2.0, 3.0])).join().expect("no failure");
    assert_eq!(fresh(), [48.0, 36.0]);
    every_failure(|| (), |()| (), |()| Ok(bits(&statics::grad(outer, [2.0, 3.0]))));
}

#[test]
fn closures() {
    fn f<'t>(x: &[Var<'t>]) -> Var<'t> {
        x.windows(2).map(|w| (w[0] * w[1]).sin() + w[0].square()).sum()
    }
    let x: Vec<f64> = (0..9).map(f64::from).collect();
    every_failure(|| (), |()| (), |()| Ok(bits(&wengert::grad(|x| f(x), &x))));
    every_failure(|| (), |()| (), |()| Ok(bits(&jacobian(|x| x.iter().map(|&y| y * x[0]).collect(), &x))));
    every_failure(
        || (),
        |()| (),
        |()| {
            let (values, pullback) = vjp(|x| x.iter().map(|&y| y * x[0]).collect(), &x);
            Ok((bits(&values), bits(&pullback.call(&[1.0; 9])), bits(&pullback.jacobian())))
        },
    );
    every_failure(|| (), |()| (), |()| Ok(bits(&hessian(|x| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum(), &x))));
    every_failure(|| (), |()| (), |()| Ok(bits(&hvp(|x| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum(), &x, &x))));
    every_failure(
        || (),
        |()| (),
        |()| Ok(bits(&sparse_hessian(|x| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum(), &x).to_dense())),
    );
    every_failure(
        || (),
        |()| (),
        |()| Ok(bits(&sparse_jacobian(|x| x.windows(2).map(|w| w[0] * w[1]).collect(), &x).to_dense())),
    );
    let a = Array2::from_shape_fn((3, 4), |(i, j)| (i + j) as f64);
    every_failure(|| (), |()| (), |()| Ok(bits(&arrays::hessian(|x| x.t().dot(x).sum(), &a))));
    every_failure(
        || Evaluator::new(9, |x: &[Var<'_>]| x.windows(2).map(|w| (w[0] * w[1]).sin()).sum()),
        |_| (),
        |e| Ok(bits(&e.grad(&x))),
    );
}
