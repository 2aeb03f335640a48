//! Programs against the tape, dual numbers, differences and closed forms.

mod batch;
mod branches;
mod derivatives;
mod errors;
mod rows;
mod structures;
mod sums;

use wengert::trace::Recorded;
use wengert::{BaseFloat, Program, Real, value_and_grad};

/// A function that is generic over the number.
trait Function<F: BaseFloat = f64> {
    fn call<R: Real<Base = F>>(&self, x: &[R]) -> R;
}

/// A function without data as a type of its own.
macro_rules! function {
    ($Name:ident, |$x:ident| $body:expr) => {
        #[derive(Clone, Copy)]
        struct $Name;
        impl<F: wengert::BaseFloat> crate::program::Function<F> for $Name {
            fn call<R: wengert::Real<Base = F>>(&self, $x: &[R]) -> R {
                $body
            }
        }
    };
}
use function;

fn program<F: BaseFloat>(f: &impl Function<F>, at: &[F]) -> Program<F> {
    Program::new(|x: &[Recorded<'_, F>]| f.call(x), at).expect("no value is read")
}

fn on_tape<F: BaseFloat>(f: &impl Function<F>, x: &[F]) -> (F, Vec<F>) {
    value_and_grad(|x| f.call(x), x)
}

/// The value and the gradient of a program.
fn run<F: BaseFloat>(program: &mut Program<F>, x: &[F]) -> (F, Vec<F>) {
    let mut gradient = vec![F::nan(); x.len()];
    let value = program.value_and_grad(x, &mut gradient).expect("the branches are those of the recording");
    (value, gradient)
}

/// Asserts |got - want| ≤ tolerance · (|want| + scale), or equal numbers that are not finite.
#[track_caller]
fn assert_number<F: BaseFloat>(case: &dyn Fn() -> String, got: F, want: F, tolerance: f64, scale: f64) {
    let [got, want] = [got, want].map(|x| x.to_f64().expect("a float"));
    let equal = got == want || got.is_nan() && want.is_nan();
    let near = want.is_finite() && (got - want).abs() <= tolerance * (want.abs() + scale);
    assert!(equal || near, "{}: {got:e}, should be {want:e}", case());
}

/// Asserts that a program has the value and the gradient of the tape, relative to the largest partial.
#[track_caller]
fn assert_like_tape<F: BaseFloat>(
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
    let scale = gradient.iter().filter_map(size).fold(0.0, f64::max);
    for (i, (&got, &want)) in partials.iter().zip(&gradient).enumerate() {
        assert_number(&|| format!("{}: partial {i}", case()), got, want, tolerance, scale);
    }
}
