//! One generic function on every kind of number.

use std::iter::Product;

use num_traits::{Float, FromPrimitive, Signed};
use wengert::{
    Dual, LeftOf, Real, Real32, Real64, StaticVar, Tape, Taylor, Var, derivative, dot, grad, hessian, log_sum_exp,
    norm, record, second_derivative, taylor,
};

/// (a x - y)² / 2 + 1, clipped at 100, with literals and data beside the numbers.
fn right<R: Real64>(a: R, x: f64, y: f64) -> R {
    let mut sum = (a * x - y).powi(2) / 2.0;
    sum += 1.0;
    if sum > 100.0 { R::lit(100.0) } else { sum }
}

/// 1 - 3 e^(-2a) / a, and arithmetic of plain numbers beside.
fn left<R: Real64>(a: R) -> R
where
    f64: LeftOf<R>,
{
    let two = 6.0 / 3.0;
    1.0 - 3.0 * (-two * a).exp() / a
}

fn single<R: Real32>(x: R) -> R {
    x * 2.0 - 1.0
}

#[test]
fn plain_numbers_on_both_sides() {
    let a = 1.5;
    let (value, slope) = (right(a, 3.0, 0.5) + left(a), 3.0 * 4.0 + 3.0 * (2.0 / a + 1.0 / (a * a)) * (-2.0 * a).exp());
    let both = |a: f64| right(a, 3.0, 0.5) + left(a);
    let close =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-14 * expected.abs(), "{found} {expected}");
    close(both(a), value);
    close(grad(|[a]| right(a, 3.0, 0.5) + left(a), [a])[0], slope);
    close(derivative(|a| right(a, 3.0, 0.5) + left(a), a), slope);
    close(taylor::<_, 3>(|a| right(a, 3.0, 0.5) + left(a), a)[1], slope);
    let curvature = second_derivative(|a| right(a, 3.0, 0.5) + left(a), a);
    close(hessian(|a| right(a[0], 3.0, 0.5) + left(a[0]), &[a])[[0, 0]], curvature);
    let nested = derivative(|a| derivative(|b| right(b, 3.0, 0.5) + left(b), a), a);
    close(nested, curvature);
    let recording = record(["a"], |[a]| right(a, 3.0, 0.5) + left(a), [a]);
    close(recording.evaluate(&[a]).unwrap()[0], value);
    // A constant branch.
    assert_eq!(derivative(|a| right(a, 100.0, 0.0), a), 0.0);
    assert_eq!(derivative(|x| single(x), 1.0_f32), 2.0);
}

/// The vector functions on floats, dual numbers, series and variables; the closed forms are those of (3, 4).
#[test]
fn vector_functions_of_every_number() {
    fn all<R: Real>(x: &[R]) -> [R; 3] {
        [dot(x, x), norm(x), log_sum_exp(x)]
    }
    let p = 1.0 / (1.0 + 1_f64.exp());
    let (values, slopes) = ([25.0, 5.0, 4.0 + (-1_f64).exp().ln_1p()], [6.0, 0.6, p]);
    let check = |found: [f64; 3], expected: [f64; 3]| {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15 * expected.abs() * 4.0, "{found} {expected}");
        }
    };
    check(all(&[3.0, 4.0]), values);
    let dual = all(&[Dual::new(3.0, [1.0]), Dual::new(4.0, [0.0])]);
    check(dual.map(Dual::primal), values);
    check(dual.map(|y| y.tangents()[0]), slopes);
    let series = all(&[Taylor::<_, 2>::variable(3.0), Taylor::constant(4.0)]);
    check(series.map(|y| y.coefficients()[1]), slopes);
    let tape = Tape::new();
    let [x, y] = tape.vars([3.0, 4.0]);
    check(all(&[x, y]).map(Var::value), values);
    check(all(&[x, y]).map(|z| z.backward()[x]), slopes);
}

/// Where squares over- or underflow, at the origin, and for infinite numbers.
#[test]
fn norms_of_extreme_numbers() {
    for unit in [1e300_f64, 1e-300, 5e-324] {
        let ratio: f64 = norm(&[3.0 * unit, 4.0 * unit]) / (5.0 * unit);
        assert!((ratio - 1.0).abs() < 4.0 * f64::EPSILON, "{unit}: {ratio}");
        let x = [Dual::new(3.0 * unit, [1.0]), Dual::new(4.0 * unit, [0.0])];
        assert!((norm(&x).tangents()[0] - 0.6).abs() < 1e-15);
    }
    assert_eq!(norm(&[0.0, 0.0]), 0.0);
    assert_eq!(norm(&[Dual::new(0.0, [1.0])]).tangents(), [0.0]);
    assert_eq!(norm(&[f64::INFINITY, 1.0]), f64::INFINITY);
    assert!(norm(&[f64::NAN, 0.0]).is_nan());
    assert_eq!(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + 2_f64.ln());
    assert_eq!(log_sum_exp::<f64>(&[]), f64::NEG_INFINITY);
    assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
}

#[test]
fn sums_begin_with_a_constant() {
    let g = grad(
        |x| {
            let mut sum = Var::default();
            for v in x {
                sum += v * v;
            }
            sum
        },
        &[1.0, 2.0],
    );
    assert_eq!(g, [2.0, 4.0]);
    // Plain numbers beside forward mode over variables.
    let slope = grad(|[x]| derivative(|t| 3.0 * t * t * x + 1.0, Var::constant(2.0)), [5.0]);
    assert_eq!(slope, [12.0]);
    assert_eq!(Dual::new(0.0, [1.0]).sin_cos().0.tangents(), [1.0]);
}

/// Plain numbers beside numbers of every kind: equal, less and greater.
#[test]
fn comparisons_with_plain_numbers() {
    fn check<T: Real<Base = f64> + PartialEq<f64> + PartialOrd<f64>>() {
        let two = T::from_base(2.0);
        assert!(two == 2.0 && two != 3.0 && two != -2.0);
        assert!(two < 3.0 && two > 1.0 && two <= 2.0 && two >= 2.0);
        assert_eq!(two.partial_cmp(&f64::NAN), None);
    }
    check::<f64>();
    check::<Dual<f64>>();
    check::<Dual<Dual<f64>>>();
    check::<Taylor<f64, 3>>();
    check::<Var<'_>>();
    check::<Var<'_, Dual<f64>>>();
    check::<Dual<Var<'_>>>();
    check::<StaticVar>();
    check::<StaticVar<Dual<f64>>>();
}

/// What a number owes to the traits of std and num-traits, beside its functions.
#[test]
fn traits_of_every_number() {
    fn check<T: Real<Base = f64> + Signed + Default + From<f64> + FromPrimitive + Product>() {
        let [two, minus] = [2.0, -3.0].map(<T as From<f64>>::from);
        assert_eq!((T::default().to_base(), two.to_base()), (0.0, 2.0));
        assert_eq!(T::from_f64(2.5).map(T::to_base), Some(2.5));
        assert!(Signed::is_positive(&two) && !Signed::is_negative(&two));
        assert!(Signed::is_negative(&minus) && !Signed::is_positive(&minus));
        assert_eq!([two, minus, two].into_iter().product::<T>().to_base(), -12.0);
        assert_eq!(Float::mul_add(two, minus, T::one()).to_base(), -5.0);
    }
    check::<f64>();
    check::<Dual<f64>>();
    check::<Taylor<f64, 2>>();
    check::<Var<'_>>();
    check::<StaticVar>();
    // The series of x² + x, x², sin x and cos x at 2.
    let x = Taylor::<_, 3>::variable(2.0);
    assert_eq!(Float::mul_add(x, x, x).coefficients(), [6.0, 5.0, 1.0]);
    assert_eq!([x, x].into_iter().product::<Taylor<_, 3>>().coefficients(), [4.0, 4.0, 1.0]);
    let (sin, cos) = x.sin_cos();
    assert_eq!((sin.coefficients()[1], cos.coefficients()[1]), (2_f64.cos(), -2_f64.sin()));
    assert_eq!(Dual::new(0.5, [1.5, -2.5]).to_string(), "0.5 + [1.5, -2.5]ε");
}

/// An exact zero wins over an infinite tangent, whatever its place.
#[test]
fn an_infinite_tangent_at_any_place() {
    fn check<const N: usize>() {
        for place in 0..N {
            let tangents = std::array::from_fn(|i| if i == place { f64::INFINITY } else { 1.0 });
            let (x, zero) = (Dual::<_, N>::new(2.0, tangents), Dual::constant(0.0));
            for y in [x * zero, zero * x, x * 0.0] {
                assert_eq!((y.primal(), y.tangents()), (0.0, [0.0; N]), "{N} tangents, infinite at {place}");
            }
        }
    }
    check::<1>();
    check::<2>();
    check::<3>();
    check::<4>();
    check::<5>();
    check::<8>();
}
