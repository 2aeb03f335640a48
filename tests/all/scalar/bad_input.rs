//! Mistakes of the caller panic at the caller's line with a message that names the cause.

// Operators on references are tested, which clippy would simplify.
#![allow(clippy::op_ref)]

use ndarray::{Array2, arr1, arr2};
#[cfg(feature = "linalg")]
use wengert::{Diag, Uplo};
use wengert::{Dual, Tape, Var, dot, fuse, log_sum_exp, mean, norm, softmax, sum};

use crate::support::here::assert_panics_here;
use crate::support::panics::{message_of, panic_of};

#[test]
fn operands_of_two_tapes() {
    let (one, two) = (Tape::default(), Tape::default());
    let [a, c] = one.vars([1.0_f64, 4.0]);
    let b = two.var(2.0);
    let (first, second) = (format!("{:p}", &raw const one), format!("{:p}", &raw const two));
    // Operators, by value, by reference, assigning.
    assert_panics_here!(a + b, "two tapes", &first, &second, "detach");
    assert_panics_here!(a - b, "two tapes", &first, &second);
    assert_panics_here!(a * b, "two tapes", &first, &second);
    assert_panics_here!(a / b, "two tapes", &first, &second);
    assert_panics_here!(a % b, "two tapes", &first, &second);
    assert_panics_here!(&a + &b, "two tapes", &first, &second);
    assert_panics_here!(a * &b, "two tapes", &first, &second);
    let mut y = a;
    assert_panics_here!(y += b, "two tapes", &first, &second);
    assert_panics_here!(y /= &b, "two tapes", &first, &second);
    // Methods, of the type and of num_traits.
    assert_panics_here!(a.powf(b), "two tapes", &first, &second);
    assert_panics_here!(a.atan2(b), "two tapes", &first, &second);
    assert_panics_here!(a.max(b), "two tapes", &first, &second);
    assert_panics_here!(a.xlogy(b), "two tapes", &first, &second);
    assert_panics_here!(a.mul_add(c, b), "two tapes", &first, &second);
    assert_panics_here!(num_traits::Float::hypot(a, b), "two tapes", &first, &second);
    assert_panics_here!(num_traits::Pow::pow(a, b), "two tapes", &first, &second);
    assert_panics_here!(num_traits::MulAdd::mul_add(a, c, b), "two tapes", &first, &second);
    assert_panics_here!(wengert::Real::gated_mul(a, b), "two tapes", &first, &second);
    // Functions of many operands.
    assert_panics_here!(sum(&[a, c, b]), "two tapes", &first, &second);
    assert_panics_here!(dot(&[a, c], &[c, b]), "two tapes", &first, &second);
    assert_panics_here!(mean(&[a, b]), "two tapes", &first, &second);
    assert_panics_here!(norm(&[a, b]), "two tapes", &first, &second);
    assert_panics_here!(log_sum_exp(&[a, b]), "two tapes", &first, &second);
    assert_panics_here!(softmax(&[a, b]), "two tapes", &first, &second);
    assert_panics_here!(fuse([a, b], |[a, b]| a * b), "two tapes", &first, &second);
    // `Iterator::sum` does not track its caller, so only the message is compared.
    let message = message_of(|| [a, b].iter().sum::<Var<'_>>());
    assert!(message.contains("two tapes"));
    let message = message_of(|| [a, b].into_iter().product::<Var<'_>>());
    assert!(message.contains("two tapes"));
    // A failed sum leaves no terms behind.
    let total: Var<'_> = [a, c, a].into_iter().sum();
    assert_eq!(total.backward().wrt([a, c]), [2.0, 1.0]);
}

#[test]
fn a_constant_works_with_any_tape() {
    let (one, two) = (Tape::default(), Tape::default());
    let (a, b) = (one.var(2.0_f64), two.var(3.0));
    let c = Var::constant(5.0);
    assert_eq!(((a * c).backward()[a], (b * c).backward()[b]), (5.0, 5.0));
    assert_eq!((a * b.detach()).backward()[a], 3.0);
}

#[test]
fn tensors_of_two_tapes() {
    let (one, two) = (Tape::default(), Tape::default());
    let data = arr1(&[1.0, 2.0]);
    let (x, y) = (one.tensor(&data), two.tensor(&data));
    let (first, second) = (format!("{:p}", &raw const one), format!("{:p}", &raw const two));
    assert_panics_here!(x + y, "two tapes", &first, &second);
    assert_panics_here!(&x * y, "two tapes", &first, &second);
    assert_panics_here!(x.maximum(y), "two tapes", &first, &second);
    assert_panics_here!(x.powf(y), "two tapes", &first, &second);
    let v = two.var(1.0);
    assert_panics_here!(x - v, "two tapes", &first, &second);
    assert_panics_here!(v - x, "two tapes", &first, &second);
    let mut z = x;
    assert_panics_here!(z += y, "two tapes", &first, &second);
}

#[test]
#[should_panic(expected = "the operands belong to two tapes")]
fn the_message_of_two_tapes() {
    let (one, two) = (Tape::default(), Tape::default());
    let _ = one.var(1.0_f64) + two.var(2.0);
}

#[test]
fn gradients_that_do_not_exist() {
    let (tape, other) = (Tape::default(), Tape::default());
    let [x, y] = tape.vars([2.0_f64, 3.0]);
    let gradient = (x * y).backward();
    let foreign = other.var(1.0);
    let later = x / y;
    let unretained = (x * y).sin();
    let constant = Var::constant(7.5);
    // By index, by `wrt` of a handle, an array, a slice and a vector.
    assert_panics_here!(gradient[unretained], "no node", "retain");
    assert_panics_here!(gradient.wrt(unretained), "retain");
    assert_panics_here!(gradient.wrt([x, unretained]), "retain");
    assert_panics_here!(gradient.wrt(&[x, unretained][..]), "retain");
    assert_panics_here!(gradient.wrt(&vec![x, unretained]), "retain");
    // Into a slice, of which nothing is written.
    let mut to = [7.0; 2];
    assert_panics_here!(gradient.wrt_into(&[x, unretained], &mut to), "retain");
    assert_panics_here!(gradient.wrt_into(&[x], &mut to), "1 variables, but 2 numbers");
    assert_eq!(to, [7.0; 2]);
    assert_panics_here!(gradient[-x], "retain");
    assert_panics_here!(gradient[x * 1.0], "retain");
    assert_panics_here!(gradient[constant], "constant", "Tape::var");
    assert_panics_here!(gradient.wrt([constant]), "constant");
    assert_panics_here!(gradient[later], "recorded after", "later output");
    assert_panics_here!(gradient.wrt(later), "recorded after");
    assert_panics_here!(gradient[foreign], "belongs to tape", &format!("{:p}", &raw const other));
    assert_panics_here!(gradient.wrt([foreign]), "belongs to tape", &format!("{:p}", &raw const tape));
    // Nor does the gradient know inputs that were made after the sweep.
    let input = tape.var(1.0);
    assert_panics_here!(gradient[input], "recorded after");
}

#[test]
fn gradients_of_tensors_that_do_not_exist() {
    let (tape, other) = (Tape::default(), Tape::default());
    let data = arr2(&[[1.0, 2.0], [3.0, 4.0]]);
    let x = tape.tensor(&data);
    let gradient = x.at([0, 1]).backward();
    let later = x.exp();
    let constant = tape.constant(&data);
    let foreign = other.tensor(&data);
    assert_panics_here!(gradient.wrt(later), "recorded after");
    assert_panics_here!(gradient.wrt(constant), "constant", "[2, 2]", "Tape::tensor");
    assert_panics_here!(gradient.wrt(x.detach()), "constant");
    assert_panics_here!(gradient.wrt(foreign), "belongs to tape");
    assert_panics_here!(x.at([2, 0]), "index [2, 0]", "shape [2, 2]");
}

#[test]
fn sweeps_that_cannot_start() {
    let (tape, other) = (Tape::default(), Tape::default());
    let x = tape.var(2.0_f64);
    let mut gradient = x.backward();
    assert_panics_here!(Var::constant(1.5).backward(), "1.5 is a constant", "Tape::var");
    assert_panics_here!(x.detach().backward(), "constant");
    assert_panics_here!(std::iter::empty::<Var<'_>>().sum::<Var<'_>>().backward(), "constant");
    assert_panics_here!(Var::constant(1.0).backward_into(&mut gradient), "constant");
    let foreign = other.var(1.0);
    assert_panics_here!(foreign.backward_into(&mut gradient), "belongs to tape");
    assert_panics_here!(dot(&[x], &[]), "lengths 1 and 0");
}

/// A sweep from a value that is not finite gives the adjoints of plain arithmetic.
#[test]
fn a_loss_that_is_not_finite() {
    let tape = Tape::default();
    let [x, y] = tape.vars([0.0_f64, 2.0]);
    let loss = x.ln() * y;
    assert!(loss.value().is_infinite());
    let gradient = loss.backward();
    assert!(!gradient.is_finite());
    assert_eq!(gradient.wrt([x, y]), [f64::INFINITY, f64::NEG_INFINITY]);
    let nan = (-y).ln();
    assert!(nan.value().is_nan() && nan.backward()[y].is_nan());
}

#[test]
fn shapes_that_do_not_broadcast() {
    let tape = Tape::default();
    let (row, square, empty) = (arr1(&[1.0, 2.0, 3.0]), Array2::<f64>::ones((2, 2)), Array2::<f64>::ones((0, 3)));
    let (x, y, z) = (tape.tensor(&row), tape.tensor(&square), tape.tensor(&empty));
    assert_panics_here!(x + y, "add", "[3]", "[2, 2]", "do not broadcast");
    assert_panics_here!(y - x, "sub", "[2, 2]", "[3]");
    assert_panics_here!(&x * y, "mul", "do not broadcast");
    assert_panics_here!(x / &square, "div", "[3]", "[2, 2]");
    assert_panics_here!(x.atan2(y), "atan2", "[3]", "[2, 2]");
    assert_panics_here!(x.maximum(y), "max", "[3]", "[2, 2]");
    assert_panics_here!(y + z, "add", "[0, 3]");
    let mut w = y;
    assert_panics_here!(w *= z, "mul", "[2, 2]", "[0, 3]");
    // A failed operation records nothing.
    let before = tape.len();
    let _ = panic_of(|| x + y);
    assert_eq!(tape.len(), before);
    // An empty operand broadcasts as in ndarray.
    assert_eq!((x + z).shape(), [0, 3]);
}

#[cfg(feature = "linalg")]
#[test]
fn matrices_of_wrong_shapes() {
    let (tape, other) = (Tape::<f64>::new(), Tape::new());
    let (square, wide, three) = (arr2(&[[1.0, 2.0], [3.0, 4.0]]), arr2(&[[1.0, 2.0, 3.0]; 2]), arr1(&[1.0; 3]));
    let (a, w, b) = (tape.tensor(&square), tape.tensor(&wide), tape.tensor(&three));
    assert_panics_here!(w.solve(b), "solve: ", "[2, 3] is not square");
    assert_panics_here!(w.inv(), "inv: ", "[2, 3] is not square");
    assert_panics_here!(w.det(), "det: ", "[2, 3] is not square");
    assert_panics_here!(w.sln_det(), "sln_det: ", "[2, 3] is not square");
    assert_panics_here!(w.ln_det(), "ln_det: ", "[2, 3] is not square");
    assert_panics_here!(w.factorize(), "factorize: ", "[2, 3] is not square");
    assert_panics_here!(w.cholesky(), "cholesky: ", "[2, 3] is not square");
    assert_panics_here!(w.solve_triangular(Uplo::Lower, Diag::Unit, b), "solve_triangular: ", "[2, 3] is not square");
    assert_panics_here!(a.solve(b), "solve: shapes [2, 2] and [3] do not fit", "`t`");
    assert_panics_here!(a.solve(w.t()), "solve: shapes [2, 2] and [3, 2] do not fit");
    assert_panics_here!(a.solve_triangular(Uplo::Upper, Diag::NonUnit, b), "shapes [2, 2] and [3] do not fit");
    let lu = a.factorize().expect("it is regular");
    assert_panics_here!(lu.solve(b), "solve: shapes [2, 2] and [3] do not fit");
    assert_panics_here!(lu.solve_t(w.t()), "solve_t: shapes [2, 2] and [3, 2] do not fit");
    let c = other.tensor(&square);
    assert_panics_here!(a.solve(c), "two tapes");
    assert_panics_here!(lu.solve(c), "two tapes");
    assert_panics_here!(lu.solve_t(c), "two tapes");
    assert_panics_here!(a.solve_triangular(Uplo::Lower, Diag::NonUnit, c), "two tapes");
    assert_eq!(a.solve(w).expect("it is regular").shape(), [2, 3]);
}

#[test]
#[should_panic(expected = "add: shapes [3] and [2] do not broadcast")]
fn the_message_of_shapes() {
    let tape = Tape::default();
    let (a, b) = (arr1(&[1.0, 2.0, 3.0]), arr1(&[1.0, 2.0]));
    let _ = tape.tensor(&a) + tape.tensor(&b);
}

/// The count of 2^31 slots does not wrap. Inputs are borrowed, so one array fills all slots.
#[test]
fn a_full_tape() {
    let data = vec![0_f32; 1 << 24];
    let view = ndarray::ArrayView1::from(&data);
    let tape = Tape::default();
    let first = tape.var(1.0_f32);
    for _ in 0..127 {
        let _ = tape.tensor(&view);
    }
    let message = message_of(|| tape.tensor(&view));
    assert!(message.contains("the tape is full"), "{message}");
    // An input fills all but ten slots, and scalars fill these.
    let rest = (1 << 31) - tape.len() - 10;
    let end = ndarray::ArrayView1::from(&data[..rest]);
    let x = tape.tensor(&end);
    let mut y = x.at([0]) * first;
    let message = message_of(|| {
        for _ in 0..20 {
            y = y * y + first;
        }
    });
    assert!(message.contains("the tape is full"), "{message}");
    let message = message_of(|| sum(&[first, y, x.at([1]), x.at([2])]));
    assert!(message.contains("the tape is full"), "{message}");
    let message = message_of(|| tape.vars([1.0; 100]));
    assert!(message.contains("the tape is full"), "{message}");
    assert!(tape.len() < 1 << 31);
}

/// Dual numbers belong to no tape, so any two can be combined.
#[test]
fn duals_of_different_origin_mix() {
    let (a, b) = (Dual::new(2.0, [1.0]), Dual::new(3.0, [0.0]));
    assert_eq!((a * b).tangents(), [3.0]);
}
