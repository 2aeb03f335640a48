//! The traits of nalgebra, simba and approx: every function of a field against the same function of `f64`, its
//! derivative against differences, on dual numbers and on static handles.

use std::f64::consts::FRAC_PI_2;

use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use nalgebra::{ComplexField, Field, RealField, SimdValue, convert};
use num_traits::Signed;
use simba::scalar::{SubsetOf, SupersetOf};
use wengert::{Dual, StaticVar, Tape, Var, statics};

use crate::support::close::assert_near;
use crate::support::differences::difference;

/// A function of one number, on floats, dual numbers and handles of both precisions.
struct Function {
    name: &'static str,
    points: &'static [f64],
    on_f64: fn(f64) -> f64,
    on_dual: fn(Dual<f64>) -> Dual<f64>,
    on_handle: fn(StaticVar) -> StaticVar,
    on_f32: fn(StaticVar<f32>) -> StaticVar<f32>,
}

macro_rules! functions {
    ($($name:ident($x:ident) at $points:expr => $body:expr;)+) => {{
        $( fn $name<T: RealField + Copy>($x: T) -> T { $body } )+
        [$( Function {
            name: stringify!($name),
            points: &$points,
            on_f64: $name,
            on_dual: $name,
            on_handle: $name,
            on_f32: $name,
        } ),+]
    }};
}

fn num<T: RealField>(x: f64) -> T {
    convert(x)
}

/// Both sides of 0.
const BOTH: [f64; 3] = [-0.8, 0.3, 0.9];
/// Positive numbers.
const RIGHT: [f64; 3] = [0.2, 1.0, 3.5];

#[allow(clippy::too_many_lines)]
fn functions() -> Vec<Function> {
    functions! {
        real(x) at BOTH => x.real() * x.conjugate() + x.imaginary() + T::from_real(x);
        modulus(x) at BOTH => x.modulus() + x.norm1() * num(2.0) + ComplexField::abs(x) * num(4.0);
        modulus_squared(x) at BOTH => x.modulus_squared();
        argument(x) at BOTH => x.argument() + x;
        scale(x) at BOTH => x.scale(num(3.0)).unscale(num(1.5)) / x.unscale(x + num(2.0));
        to_polar(x) at BOTH => { let (r, phi) = x.to_polar(); r * phi.cos() };
        to_exp(x) at BOTH => { let (r, sign) = x.to_exp(); r * num(2.0) + sign };
        signum(x) at BOTH => ComplexField::signum(x) * x * x;
        rounded(x) at BOTH => x.floor() + x.ceil() * x + x.round() + x.trunc() * num(2.0) + x.fract();
        mul_add(x) at BOTH => x.mul_add(x + num(1.0), x);
        hypot(x) at BOTH => x.hypot(x * x + num(1.0));
        recip(x) at BOTH => x.recip();
        trigonometric(x) at BOTH => x.sin() * x.cos() + x.tan();
        sin_cos(x) at BOTH => { let (s, c) = x.sin_cos(); s * num(2.0) - c };
        inverse_trigonometric(x) at BOTH => x.asin() + x.acos() * num(0.5) + x.atan();
        hyperbolic(x) at BOTH => x.sinh() * x.cosh() + x.tanh();
        sinh_cosh(x) at BOTH => { let (s, c) = x.sinh_cosh(); s * num(2.0) - c };
        inverse_hyperbolic(x) at [0.2, 0.7, 0.95] => x.asinh() + (x + num(1.0)).acosh() + x.atanh();
        cardinal(x) at [-2.5, -0.99, -0.2, 0.4, 1.01, 3.0] => x.sinc() + x.sinhc() * num(2.0) + x.cosc() + x.coshc();
        logarithms(x) at RIGHT => x.ln() + x.log2() + x.log10() + x.ln_1p() + x.log(x + num(2.0));
        exponentials(x) at BOTH => x.exp() + x.exp2() + x.exp_m1();
        roots(x) at RIGHT => ComplexField::sqrt(x) + x.cbrt() + x.try_sqrt().unwrap_or_else(T::zero);
        powers(x) at RIGHT => x.powi(3) + x.powf(x) + x.powc(num(1.5));
        signs(x) at BOTH => x.copysign(num(-2.0)) + num::<T>(2.0).copysign(x) * x;
        selected(x) at BOTH => RealField::max(x, num(0.5)) * RealField::min(x, num(0.5)) + RealField::clamp(x, num(-0.5), num(0.5));
        atan2(x) at BOTH => RealField::atan2(x, num(-0.4)) + RealField::atan2(num(1.0), x);
        signed(x) at BOTH => Signed::abs(&x) + Signed::signum(&x) * x + Signed::abs_sub(&x, &num(0.1));
        constants(x) at BOTH => (T::pi() + T::two_pi() + T::frac_pi_2() + T::frac_pi_3() + T::frac_pi_4() + T::frac_pi_6()
            + T::frac_pi_8() + T::frac_1_pi() + T::frac_2_pi() + T::frac_2_sqrt_pi() + T::e() + T::log2_e() + T::log10_e()
            + T::ln_2() + T::ln_10()) * x;
    }
    .into()
}

#[test]
fn properties_of_a_field() {
    fn check<T: RealField + Copy>() {
        let (two, infinite) = (num::<T>(2.0), num::<T>(1.0) / T::zero());
        assert!(two.is_finite() && !infinite.is_finite());
        assert!(two.is_sign_positive() && !two.is_sign_negative());
        assert!((-two).is_sign_negative() && !(-two).is_sign_positive());
        assert!(T::max_value() == Some(num(f64::MAX)) && T::min_value() == Some(num(f64::MIN)));
    }
    check::<f64>();
    check::<Dual<f64>>();
    check::<StaticVar>();
}

#[test]
fn functions_of_a_field_have_the_values_of_floats_and_derivatives() {
    for Function { name, points, on_f64, on_dual, on_handle, on_f32 } in functions() {
        for &x in points {
            let case = format!("{name} at {x}");
            let value = on_f64(x);
            let (slope, error) = difference(on_f64, x, 0.02);
            let dual = on_dual(Dual::new(x, [1.0]));
            assert_near(&case, dual.primal(), value, 1e-14);
            assert_near(&case, dual.tangents()[0], slope, 1e-9 + error);
            let (y, [dy]) = statics::value_and_grad(|[x]| on_handle(x), [x]);
            assert_near(&case, y, value, 1e-14);
            assert_near(&case, dy, dual.tangents()[0], 1e-14);
            let (y, [dy]) = statics::value_and_grad(|[x]| on_f32(x), [x as f32]);
            assert_near(&case, f64::from(y), value, 4e-6);
            assert_near(&case, f64::from(dy), slope, 1e-5);
        }
    }
}

/// Value and derivative on both kinds of numbers, which must agree.
fn at(x: f64, on_dual: fn(Dual<f64>) -> Dual<f64>, on_handle: fn(StaticVar) -> StaticVar) -> [f64; 2] {
    let dual = on_dual(Dual::new(x, [1.0]));
    let (y, [dy]) = statics::value_and_grad(|[x]| on_handle(x), [x]);
    assert_eq!([dual.primal(), dual.tangents()[0]].map(f64::to_bits), [y, dy].map(f64::to_bits));
    [y, dy]
}

macro_rules! at {
    ($x:expr, |$arg:ident| $body:expr) => {{
        fn f<T: RealField + Copy>($arg: T) -> T {
            $body
        }
        at($x, f, f)
    }};
}

#[test]
fn special_points_follow_the_table() {
    assert_eq!(at!(0.0, |x| ComplexField::abs(x)), [0.0, 0.0]);
    assert_eq!(at!(0.5, |x| RealField::max(x, num(0.5))), [0.5, 0.5]);
    assert_eq!(at!(0.0, |x| ComplexField::sqrt(x) * num(0.0)), [0.0, 0.0]);
    assert_eq!(at!(0.0, |x| x.powi(0)), [1.0, 0.0]);
    assert_eq!(at!(0.0, |x| x.sinc() + x.sinhc()), [2.0, 0.0]);
    assert_eq!(at!(-0.0, |x| x.sinhc()), [1.0, 0.0]);
    assert_eq!(at!(0.0, |x| x.hypot(T::zero())), [0.0, 0.0]);
    assert_eq!(at!(800.0, |x| x.tanh()), [1.0, 0.0]);
    assert_eq!(at!(-1.0, |x| x.try_sqrt().unwrap_or(x * x)), [1.0, -2.0]);
    assert!(at!(f64::NAN, |x| x.sinhc()).map(f64::is_nan) == [true; 2]);
    assert_eq!(at!(f64::INFINITY, |x| x.recip())[0], 0.0);
}

/// sinh(x)/x and its derivative by mpmath, on both sides of the place where the series ends.
#[test]
fn sinhc_to_the_last_places() {
    for (x, value, slope) in [
        (0.5, 1.042_190_610_987_494_7, 0.170_870_708_437_772_12),
        (1.9, 1.720_085_742_909_640_5, 0.893_497_783_074_374_5),
        (-1.99, 1.803_728_225_342_724_3, -0.966_023_300_771_266_8),
        (2.5, 2.420_081_792_415_915, 1.484_883_074_899_108_5),
    ] {
        let [y, dy] = at!(x, |x| x.sinhc());
        assert_near("sinhc", y, value, 4e-16);
        assert_near("its slope", dy, slope, 1e-15);
    }
}

/// The positive difference is constant up to where the numbers are equal.
#[test]
fn the_slope_of_the_positive_difference() {
    for (x, value, slope) in [(0.9, 0.0, 0.0), (1.0, 0.0, 0.0), (1.25, 0.25, 1.0)] {
        assert_eq!(at!(x, |x| Signed::abs_sub(&x, &num(1.0))), [value, slope]);
        let dual = num_traits::Float::abs_sub(Dual::new(x, [1.0]), Dual::constant(1.0));
        assert_eq!((dual.primal(), dual.tangents()), (value, [slope]));
    }
}

/// Reflections and rotations compute with modulus · sign where they mean the number itself.
#[test]
fn the_modulus_of_the_exponential_form_is_smooth_at_zero() {
    for zero in [0.0, -0.0] {
        let product = at!(zero, |x| {
            let (r, sign) = x.to_exp();
            r * sign
        });
        assert_eq!(product, [0.0, 1.0]);
    }
}

#[test]
fn second_derivatives_at_zero_are_those_of_the_series() {
    // sinh(x)/x = 1 + x²/6 + x⁴/120 + .., sin(x)/x = 1 - x²/6 + ..
    for (x, seeds) in [(0.0, [1.0, 1.0]), (1e-9, [1.0, 1.0])] {
        let x = Dual::new(Dual::new(x, [seeds[0]]), [Dual::constant(seeds[1])]);
        let second = |y: Dual<Dual<f64>>| y.tangents()[0].tangents()[0];
        assert_near("sinhc", second(ComplexField::sinhc(x)), 1.0 / 3.0, 1e-15);
        assert_near("sinc", second(ComplexField::sinc(x)), -1.0 / 3.0, 1e-8);
    }
    let product = statics::hvp(|x| ComplexField::sinhc(x[0]), &[0.0], &[1.0]);
    assert_near("hvp of sinhc", product[0], 1.0 / 3.0, 1e-15);
}

#[test]
fn comparisons_of_approx_look_at_values() {
    let (x, y) = (Dual::new(1.0, [5.0]), Dual::new(1.0 + 4.0 * f64::EPSILON, [7.0]));
    let zero = Dual::constant(0.0);
    assert!(!x.abs_diff_eq(&y, Dual::default_epsilon()) && x.abs_diff_eq(&y, Dual::constant(1e-15)));
    assert!(x.relative_eq(&y, zero, Dual::constant(1e-15)) && !x.relative_eq(&y, zero, Dual::default_max_relative()));
    assert!(x.ulps_eq(&y, zero, 4) && !x.ulps_eq(&y, zero, 3));
    assert_eq!(<Dual<f32> as UlpsEq>::default_max_ulps(), f32::default_max_ulps());
    let x = Dual::<f32>::constant(1.0);
    assert!(x.ulps_eq(&(x + f32::EPSILON), Dual::constant(0.0), 1) && approx::relative_eq!(x, x + f32::EPSILON));
    assert!(!approx::relative_eq!(Dual::new(f64::NAN, [1.0]), Dual::new(f64::NAN, [1.0])));
    statics::grad(
        |x| {
            assert!(x[0].ulps_eq(&(x[0] + 2.0 * f64::EPSILON), StaticVar::constant(0.0), 2));
            assert!(!approx::relative_eq!(x[0], x[0] + 1e-9) && approx::relative_eq!(x[0], x[0] + 1e-17));
            x[0]
        },
        &[1.0],
    );
}

#[test]
fn plain_floats_are_a_subset() {
    let x: Dual<f64> = convert(0.1_f64);
    assert_eq!((x.primal(), x.tangents()), (0.1, [0.0]));
    let x: Dual<f32> = convert(0.1_f64);
    assert_eq!(x.primal(), 0.1_f32);
    let x: StaticVar = convert(0.1_f32);
    assert!(x.is_constant() && x.value() == f64::from(0.1_f32));
    assert_eq!(SupersetOf::<f64>::to_subset(&Dual::new(0.1, [1.0])), Some(0.1));
    assert_eq!(<f32 as SubsetOf<Dual<f64>>>::from_superset(&Dual::constant(0.1)), Some(0.1));
    let same = <Dual<f64> as SubsetOf<Dual<f64>>>::to_superset(&Dual::new(2.0, [3.0]));
    assert_eq!((same.primal(), same.tangents()), (2.0, [3.0]));
    let same = <Dual<f64> as SubsetOf<Dual<f64>>>::from_superset_unchecked(&Dual::new(2.0, [3.0]));
    assert_eq!((same.primal(), same.tangents()), (2.0, [3.0]));
    let of_float: Dual<f64> = SubsetOf::<f64>::from_superset_unchecked(&0.7);
    assert_eq!((of_float.primal(), of_float.tangents()), (0.7, [0.0]));
    let to_float: f32 = SubsetOf::<f32>::to_superset(&Dual::new(0.7_f64, [3.0]));
    assert_eq!(to_float, 0.7_f32);
    assert_eq!(<f64 as SubsetOf<Dual<f32>>>::from_superset_unchecked(&Dual::new(0.7, [1.0])), f64::from(0.7_f32));
    assert!(SupersetOf::<f64>::is_in_subset(&StaticVar::constant(1.0)));
}

#[test]
fn a_number_is_a_vector_of_one_lane() {
    let (mut x, y) = (Dual::new(1.0, [2.0]), Dual::new(3.0, [4.0]));
    assert_eq!(Dual::<f64>::LANES, 1);
    assert_eq!(SimdValue::extract(&Dual::<f64>::splat(y), 0).tangents(), [4.0]);
    assert_eq!((x.select(true, y).primal(), x.select(false, y).primal()), (1.0, 3.0));
    x.replace(0, y);
    assert_eq!(x.tangents(), [4.0]);
    assert!(crate::support::panics::message_of(|| x.extract(1)).contains("no lane 1"));
}

/// The traits that do not ask for `'static` are those of a `Var` too.
#[test]
fn a_var_is_an_element_of_a_field() {
    fn mean<T: Field + RelativeEq<Epsilon = T> + SupersetOf<f64> + Signed + Copy + Default>(x: &[T]) -> T {
        let mut sum = T::default();
        for &x in x {
            sum += x.abs();
        }
        assert!(sum.relative_eq(&sum, T::default_epsilon(), T::default_max_relative()));
        sum / T::from_subset(&(x.len() as f64))
    }
    let tape = Tape::new();
    let x: [Var<'_>; 2] = tape.vars([1.0, -FRAC_PI_2]);
    assert_eq!(mean(&x).backward().wrt(x), [0.5, -0.5]);
}
