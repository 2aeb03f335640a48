//! Functions that are generic over the number, as programs and on the tape.

use ndarray::{Array1, Array2};
use wengert::trace::Recorded;
use wengert::{BaseFloat, Program, Real, value_and_grad};

/// A function that is generic over the number.
pub(crate) trait Function<F: BaseFloat = f64> {
    fn call<R: Real<Base = F>>(&self, x: &[R]) -> R;
}

pub(crate) fn program<F: BaseFloat>(f: &impl Function<F>, at: &[F]) -> Program<F> {
    Program::over(|x: &[Recorded<'_, F>]| f.call(x), at).expect("no value is read")
}

pub(crate) fn on_tape<F: BaseFloat>(f: &impl Function<F>, x: &[F]) -> (F, Vec<F>) {
    value_and_grad(|x| f.call(x), x)
}

/// The value and the gradient of a program.
pub(crate) fn run<F: BaseFloat>(program: &mut Program<F>, x: &[F]) -> (F, Vec<F>) {
    let mut gradient = vec![F::nan(); x.len()];
    let value = program.value_and_grad(x, &mut gradient).expect("the branches are those of the recording");
    (value, gradient)
}

/// Asserts |got - want| ≤ tolerance · (|want| + scale), or equal numbers that are not finite.
#[track_caller]
pub(crate) fn assert_number<F: BaseFloat>(case: &dyn Fn() -> String, got: F, want: F, tolerance: f64, scale: f64) {
    let [got, want] = [got, want].map(|x| x.to_f64().expect("a float"));
    let equal = got == want || got.is_nan() && want.is_nan();
    let near = want.is_finite() && (got - want).abs() <= tolerance * (want.abs() + scale);
    assert!(equal || near, "{}: {got:e}, should be {want:e}", case());
}

/// Asserts that a program has the value and the gradient of the tape, relative to the largest partial.
#[track_caller]
pub(crate) fn assert_like_tape<F: BaseFloat>(
    case: &dyn Fn() -> String,
    program: &mut Program<F>,
    f: &impl Function<F>,
    x: &[F],
    tolerance: f64,
) {
    let (value, gradient) = on_tape(f, x);
    let (got, partials) = run(program, x);
    assert_number(&|| format!("{}: value", case()), got, value, tolerance, 1.0);
    assert_number(&|| format!("{}: value alone", case()), program.value(x).expect("no branch"), value, tolerance, 1.0);
    let size = |x: &F| Some(x.to_f64().expect("a float").abs()).filter(|x| x.is_finite());
    // Partials may cancel to roundings, of numbers of size 1: eight of these are allowed.
    let roundings = 8.0 * F::epsilon().to_f64().expect("a float");
    let scale = gradient.iter().filter_map(size).fold(roundings / tolerance, f64::max);
    for (i, (&got, &want)) in partials.iter().zip(&gradient).enumerate() {
        assert_number(&|| format!("{}: partial {i}", case()), got, want, tolerance, scale);
    }
}

pub(crate) fn points(count: usize, n: usize) -> Array2<f64> {
    Array2::from_shape_fn((count, n), |(i, k)| ((i * n + k) as f64 * 0.61).sin() * 2.0)
}

pub(crate) fn bits<'a>(x: impl IntoIterator<Item = &'a f64>) -> Vec<u64> {
    x.into_iter().map(|x| x.to_bits()).collect()
}

/// Asserts that a batch has the bits of one point after the other.
pub(crate) fn check_batch(case: &str, program: &mut Program, x: &Array2<f64>) {
    let (count, n) = x.dim();
    let (mut values, mut gradients) = (Array1::from_elem(count, 7.0), Array2::from_elem((count, n), 7.0));
    let result = program.batch(x.view(), values.view_mut(), gradients.view_mut());
    let (mut failed, mut first) = (vec![false; count], None);
    for (i, x) in x.outer_iter().enumerate() {
        let mut gradient = vec![7.0; n];
        let value = program.value_and_grad(&x.to_vec(), &mut gradient).unwrap_or_else(|error| {
            failed[i] = true;
            first.get_or_insert(error);
            7.0
        });
        let same = |a: &f64, b: &f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(same(&values[i], &value), "{case}: value of point {i}, {:e} is not {value:e}", values[i]);
        for (k, (a, b)) in gradients.row(i).iter().zip(&gradient).enumerate() {
            assert!(same(a, b), "{case}: partial {k} of point {i} is {a:e}, alone {b:e}");
        }
    }
    match result {
        Ok(()) => assert_eq!(first, None, "{case}"),
        Err(error) => {
            assert_eq!((&error.failed, Some(&error.first)), (&failed, first.as_ref()), "{case}");
            let text = error.to_string();
            let count = failed.iter().filter(|&&f| f).count();
            assert!(text.starts_with(&format!("{count} of {} points", failed.len())), "{text}");
        }
    }
}
