//! Misuse and small cases: what is refused, with which words and at which line, and what is not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array1, Array2};
use num_traits::ToPrimitive;
use wengert::trace::Recorded;
use wengert::{AutoProgram, Program, ProgramError, Real};

use crate::support::panics::{Panic, panic_of};

#[track_caller]
fn assert_here(panic: &Panic, line: u32, words: &[&str]) {
    assert!(panic.file.ends_with("errors.rs") && panic.line.abs_diff(line) <= 1, "{panic}, not at line {line}");
    for word in words {
        assert!(panic.message.contains(word), "{panic} says nothing of {word}");
    }
}

#[test]
fn a_function_that_reads_values_is_refused_with_the_line() {
    fn refused(result: Result<Program, ProgramError>, line: u32) {
        let error = result.unwrap_err();
        let ProgramError::ValueRead { line: read } = error else { panic!("{error:?}") };
        assert!(read.file().ends_with("errors.rs") && read.line() == line, "{read}, not line {line}");
        assert!(error.to_string().contains(&format!("errors.rs:{line}")), "{error}");
    }
    refused(Program::new(|x: &[Recorded<'_>]| x[0] * x[0].value(), &[1.0]), line!());
    refused(Program::new(|x: &[Recorded<'_>]| x[0] * x[0].to_base(), &[1.0]), line!());
    refused(Program::new(|x: &[Recorded<'_>]| x[0] * x[0].to_f64().unwrap(), &[1.0]), line!());
    refused(Program::vector(|x: &[Recorded<'_>]| vec![x[0] * x[0].value()], &[1.0]), line!());
    refused(Program::with_data(|x: &[Recorded<'_>], d| x[0] * d[0].value(), &[1.0], &[2.0]), line!());
    let (line, mut auto) = (line!(), AutoProgram::new(|x: &[Recorded<'_>]| x[0] * x[0].value()));
    for _ in 0..2 {
        let mut gradient = [7.0];
        let error = auto.value_and_grad(&[1.0], &mut gradient).unwrap_err();
        assert!(error.to_string().contains(&format!("errors.rs:{line}")), "{error}");
        assert_eq!((gradient, auto.recordings(), auto.programs().len()), ([7.0], 0, 0));
    }
}

#[test]
fn wrong_lengths_panic_at_the_line_of_the_caller() {
    let mut f = Program::new(|[x, y]| x * y, [1.0, 2.0]).unwrap();
    let mut v = Program::vector(|x| vec![x[0], x[1], x[0] * x[1]], &[1.0, 2.0]).unwrap();
    let mut d = Program::with_data(|x, d| x[0] * d[0], &[1.0], &[2.0]).unwrap();
    let [mut a, mut b] = [[0.0; 2], [0.0; 2]];
    let mut three = [0.0; 3];
    let x = [1.0, 2.0];
    macro_rules! check {
        ($call:expr, $($word:literal),+) => {{
            let panic = panic_of(|| $call.ok());
            assert_here(&panic, line!(), &[$($word),+]);
        }};
    }
    check!(f.value(&[1.0]), "1 numbers", "2");
    check!(f.value_and_grad(&[1.0], &mut a), "value_and_grad", "inputs", "1", "2");
    check!(f.value_and_grad(&x, &mut three), "value_and_grad", "gradient", "3", "2");
    check!(f.values(&x, &mut a), "values", "outputs");
    check!(f.jvp(&x, &[1.0], &mut a[..1]), "jvp", "tangent");
    check!(f.jvp(&x, &x, &mut a), "jvp", "derivatives");
    check!(f.vjp(&x, &x, &mut a), "vjp", "cotangent");
    check!(f.vjp(&x, &[1.0], &mut three), "vjp", "products");
    check!(f.hvp(&x, &[1.0], &mut a), "hvp", "v");
    check!(f.hvp(&x, &x, &mut three), "hvp", "product");
    check!(f.grad_and_hvp(&x, &x, &mut three, &mut b), "gradient");
    check!(f.hessian(&[1.0]), "hessian");
    check!(v.jacobian(&[1.0]), "jacobian");
    check!(v.value(&x), "value", "3 outputs", "jacobian");
    check!(v.value_and_grad(&x, &mut a), "value_and_grad", "3 outputs");
    check!(v.hessian(&x), "hessian", "3 outputs");
    check!(v.hvp(&x, &x, &mut a), "hvp", "3 outputs");
    let panic = panic_of(|| d.set_data(&[1.0, 2.0]));
    assert_here(&panic, line!() - 1, &["set_data", "2", "1"]);
    let mut batch = |x: (usize, usize), v: usize, g: (usize, usize)| {
        let (mut values, mut gradients) = (Array1::zeros(v), Array2::zeros(g));
        f.batch(Array2::zeros(x).view(), values.view_mut(), gradients.view_mut()).ok();
    };
    for (x, v, g) in [((3, 1), 3, (3, 2)), ((3, 2), 2, (3, 2)), ((3, 2), 3, (2, 3)), ((3, 2), 3, (2, 2))] {
        let panic = panic_of(|| batch(x, v, g));
        assert!(panic.message.contains("batch") && panic.message.contains("(points, inputs)"), "{panic}");
    }
    let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| x[0]);
    check!(auto.value_and_grad(&x, &mut three), "value_and_grad", "3", "2");
    check!(auto.grad_and_hvp(&x, &[1.0], &mut a, &mut b), "grad_and_hvp");
    // None of these did any harm.
    assert_eq!(f.value_and_grad(&x, &mut a), Ok(2.0));
    assert_eq!(a, [2.0, 1.0]);
}

#[test]
fn a_branch_that_changed_is_told() {
    let (line, mut f) = (line!(), Program::new(|[x, y]| if x * y > 1.0 { x } else { y }, [2.0, 2.0]).unwrap());
    let mut gradient = [7.0; 2];
    let error = f.value_and_grad(&[0.5, 0.5], &mut gradient).unwrap_err();
    assert_eq!((error.comparison.as_str(), error.recorded, gradient), ("x0 * x1 > 1", true, [7.0; 2]));
    assert_eq!(error.line.line(), line);
    let error = f.hvp(&[0.5, 0.5], &[1.0, 1.0], &mut gradient).unwrap_err();
    assert_eq!((error.comparison.as_str(), gradient), ("x0 * x1 > 1", [7.0; 2]));
    for error in [f.jacobian(&[0.5, 0.5]).unwrap_err(), f.hessian(&[0.5, 0.5]).unwrap_err()] {
        assert_eq!(error.comparison, "x0 * x1 > 1");
    }
    assert_eq!(f.value(&[3.0, 1.0]), Ok(3.0));
}

#[test]
fn a_panic_while_recording_leaves_nothing_behind() {
    let panic = panic_of(|| Program::new(|_: &[Recorded<'_>]| panic!("mine"), &[1.0]).ok());
    assert_eq!(panic.message, "mine");
    let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| {
        assert!(!(x[0] > 1.0), "too large");
        x[0] * 2.0
    });
    let mut gradient = [0.0];
    assert_eq!(auto.value_and_grad(&[0.5], &mut gradient), Ok(1.0));
    let result = catch_unwind(AssertUnwindSafe(|| panic_of(|| auto.value_and_grad(&[3.0], &mut gradient).ok())));
    assert_eq!(result.unwrap().message, "too large");
    assert_eq!(auto.value_and_grad(&[0.25], &mut gradient), Ok(0.5));
    assert_eq!((auto.recordings(), gradient), (1, [2.0]));
}

/// Outputs that are no operations, inputs without use, no inputs, no outputs.
#[test]
fn degenerate_functions() {
    let mut constant = Program::new(|_| Recorded::constant(3.0), &[1.0, 2.0]).unwrap();
    let mut gradient = [7.0; 2];
    assert_eq!(constant.value_and_grad(&[5.0, 6.0], &mut gradient), Ok(3.0));
    assert_eq!(gradient, [0.0; 2]);
    assert_eq!(constant.hessian(&[0.0, 0.0]).unwrap(), ndarray::Array2::<f64>::zeros((2, 2)));
    assert_eq!(constant.jacobian(&[0.0, 0.0]).unwrap(), ndarray::Array2::<f64>::zeros((1, 2)));

    let mut input = Program::new(|x| x[1], &[1.0, 2.0, 3.0]).unwrap();
    let mut gradient = [7.0; 3];
    assert_eq!(input.value_and_grad(&[5.0, 6.0, 7.0], &mut gradient), Ok(6.0));
    assert_eq!(gradient, [0.0, 1.0, 0.0]);
    let mut product = [7.0; 3];
    input.hvp(&[1.0; 3], &[1.0; 3], &mut product).unwrap();
    assert_eq!(product, [0.0; 3]);

    let mut nothing = Program::new(|_| Recorded::constant(1.0) + 1.0, &[] as &[f64]).unwrap();
    assert_eq!(nothing.value_and_grad(&[], &mut []), Ok(2.0));
    assert_eq!(nothing.value(&[]), Ok(2.0));
    assert_eq!(nothing.hessian(&[]).unwrap().dim(), (0, 0));
    assert_eq!(nothing.jacobian(&[]).unwrap().dim(), (1, 0));

    let mut sum = Program::new(|x| x[..0].iter().copied().sum(), &[1.0]).unwrap();
    assert_eq!(sum.value(&[4.0]), Ok(0.0));

    let mut none = Program::vector(|_| Vec::new(), &[1.0, 2.0]).unwrap();
    none.values(&[1.0, 2.0], &mut []).unwrap();
    assert_eq!((none.outputs(), none.jacobian(&[1.0, 2.0]).unwrap().dim()), (0, (0, 2)));
    none.jvp(&[1.0, 2.0], &[1.0, 1.0], &mut []).unwrap();
    let mut gradient = [7.0; 2];
    none.vjp(&[1.0, 2.0], &[], &mut gradient).unwrap();
    assert_eq!(gradient, [0.0; 2]);

    // The same output twice, an input, a constant.
    let mut several = Program::vector(
        |x| {
            let y = x[0] * x[1];
            vec![y, y, x[1], Recorded::constant(2.5), -y, x[1]]
        },
        &[1.0, 2.0],
    )
    .unwrap();
    let mut y = [0.0; 6];
    several.values(&[3.0, 4.0], &mut y).unwrap();
    assert_eq!(y, [12.0, 12.0, 4.0, 2.5, -12.0, 4.0]);
    let want = ndarray::array![[4.0, 3.0], [4.0, 3.0], [0.0, 1.0], [0.0, 0.0], [-4.0, -3.0], [0.0, 1.0]];
    assert_eq!(several.jacobian(&[3.0, 4.0]).unwrap(), want);
    let mut product = [0.0; 2];
    several.vjp(&[3.0, 4.0], &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], &mut product).unwrap();
    assert_eq!(product, [4.0, 5.0]);
}

/// The same functions in many lanes.
#[test]
fn degenerate_functions_in_lanes() {
    for n in [8, 20, 200] {
        let at = vec![1.5; n];
        let mut copies =
            Program::vector(|x| x.iter().flat_map(|&x| [x, Recorded::constant(1.0), x * 2.0, x]).collect(), &at)
                .unwrap();
        let mut y = vec![0.0; 4 * n];
        copies.values(&at, &mut y).unwrap();
        assert!(y.chunks(4).all(|y| y == [1.5, 1.0, 3.0, 1.5]));
        let mut sum = Program::new(|x| x.iter().copied().sum(), &at).unwrap();
        let mut gradient = vec![0.0; n];
        assert_eq!(sum.value_and_grad(&at, &mut gradient), Ok(1.5 * n as f64));
        assert!(gradient.iter().all(|&d| d == 1.0));
        let mut twice = Program::new(|x| x.iter().map(|&x| x + x).sum::<Recorded<'_>>() + x[0], &at).unwrap();
        assert_eq!(twice.value_and_grad(&at, &mut gradient), Ok(3.0 * n as f64 + 1.5));
        assert!(gradient[0] == 3.0 && gradient[1..].iter().all(|&d| d == 2.0));
        let mut repeated = Program::new(|x| (0..n).map(|_| x[0]).sum(), &[2.0]).unwrap();
        assert_eq!(repeated.value_and_grad(&[3.0], &mut gradient[..1]), Ok(3.0 * n as f64));
        assert_eq!(gradient[0], n as f64);
        let mut zeros = Program::new(|x| x.iter().map(|&x| x * 0.0).sum(), &at).unwrap();
        assert_eq!(zeros.value_and_grad(&at, &mut gradient), Ok(0.0));
        assert!(gradient.iter().all(|&d| d == 0.0));
    }
}

/// Two groups of one shape, of which one has a constant of its own in each lane and the other has -0 in all.
#[test]
fn a_constant_minus_zero_is_no_constant_by_lane() {
    let constant = |own: bool, i: usize| if own { 1.0 + i as f64 } else { -0.0 };
    for first in [false, true] {
        let mut f = Program::vector(
            |x| {
                let y: Vec<_> = x.iter().enumerate().map(|(i, x)| (x.sin() + constant(first, i)).ln()).collect();
                let z: Vec<_> = y.iter().enumerate().map(|(i, y)| (y.sin() + constant(!first, i)).ln()).collect();
                y.into_iter().chain(z).collect()
            },
            &[0.5; 20],
        )
        .unwrap();
        let x: Vec<f64> = (0..20).map(|i| 2.0 + f64::from(i) * 0.03).collect();
        let mut y = [0.0; 40];
        f.values(&x, &mut y).unwrap();
        for (i, &x) in x.iter().enumerate() {
            let step = |x: f64, own: bool| (x.sin() + constant(own, i)).ln();
            let want = [step(x, first), step(step(x, first), !first)];
            for (got, want) in [y[i], y[20 + i]].into_iter().zip(want) {
                let near = (got - want).abs() <= 1e-12 * want.abs() || want.is_nan() && got.is_nan();
                assert!(near, "lane {i}: {got}, should be {want}");
            }
        }
    }
}
