//! Random functions of arrays as programs: values and derivatives of every kind against dual numbers.

use ndarray::Array1;
use proptest::prelude::*;
use wengert::trace::Recorded;
use wengert::{Dual, Program, Real};

use crate::cases::config;
use crate::strategies::menus;
use crate::support::close::largest;
use crate::support::program::{Function, assert_like_tape, bits, check_batch, on_tape, points as grid, program};
use crate::support::stages::{KINDS, Stage, stages};
use crate::support::structures::point;

/// A function of several steps, and the use of their sums.
#[derive(Debug)]
struct Arrays(Vec<Stage>, u8);

impl Function for Arrays {
    fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
        let y = stages(&self.0, x);
        match self.1 {
            0 => y.iter().copied().sum(),
            1 => y[y.len() - 1],
            2 => y.iter().fold(R::one(), |p, &y| p + y * p * R::lit(0.2)),
            _ => y.iter().map(|&y| y.square()).sum::<R>() + y[0],
        }
    }
}

fn functions() -> impl Strategy<Value = Arrays> {
    let order = prop::array::uniform3(0..8_usize);
    let len = prop_oneof![1..40_usize, 30..200_usize];
    let stage = (0..KINDS, any::<[usize; 3]>(), order, len, menus()).prop_map(|(kind, from, order, len, mut menu)| {
        menu.truncate(5);
        Stage { kind, from, order, len, menu }
    });
    (prop::collection::vec(stage, 1..7), 0..4_u8).prop_map(|(stages, of)| Arrays(stages, of))
}

const SPECIAL: [f64; 9] = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -1e-310, 1.0, 2.0];

/// |got - want| ≤ 1e-8 · (scale + 1e-3) for each number: some of the sums are badly conditioned.
fn all_close(got: &[f64], want: &[f64]) -> bool {
    let scale = largest(want) + 1e-3;
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1e-8 * scale)
}

proptest! {
    // They take long in a debug build.
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn random_arrays(f in functions(), n in prop_oneof![2..12_usize, 2..100_usize], shift in -3.0..3.0_f64) {
        let (x, tangent) = (point(n, shift), (0..n).map(|i| (i as f64 * 1.3).cos()).collect::<Vec<_>>());
        // Recorded next to the point, so that the branches are the same.
        let mut program = program(&f, &point(n, shift - 1e-6));
        let mut product = vec![9.0; n];
        prop_assume!(program.hvp(&x, &tangent, &mut product).is_ok());
        assert_like_tape(&|| format!("{f:?}, {n} inputs"), &mut program, &f, &x, 1e-8);

        let i = n / 2;
        let seed = |k: usize| Dual::new(Dual::new(x[k], [tangent[k]]), [Dual::new(f64::from(k == i), [0.0])]);
        let second = f.call(&(0..n).map(seed).collect::<Vec<_>>()).tangents()[0].tangents()[0];
        prop_assert!(all_close(&[product[i]], &[second]), "hvp, {i}: {:e}, should be {second:e}", product[i]);
        if n < 12 {
            let hessian = program.hessian(&x).unwrap();
            prop_assert!(all_close(&hessian.dot(&Array1::from(tangent.clone())).to_vec(), &product), "hessian");
            check_batch("arrays", &mut program, &grid(3, n));
        }
        let exact = program.exact(true).value(&x).unwrap();
        prop_assert_eq!(bits([&exact]), bits([&f.call(&x)]));
    }

    #[test]
    fn random_arrays_of_outputs(f in functions(), n in prop_oneof![2..12_usize, 2..100_usize], shift in -3.0..3.0_f64) {
        let (x, tangent) = (point(n, shift), (0..n).map(|i| (i as f64 * 1.3).cos()).collect::<Vec<_>>());
        let mut program = Program::vector(|x: &[Recorded<'_>]| stages(&f.0, x), &x[..]).unwrap();
        let mut y = vec![0.0; program.outputs()];
        program.values(&x, &mut y).unwrap();
        prop_assert!(all_close(&y, &stages(&f.0, &x)), "values");
        let seeds: Vec<Dual<f64>> = x.iter().zip(&tangent).map(|(&x, &t)| Dual::new(x, [t])).collect();
        let want: Vec<f64> = stages(&f.0, &seeds).iter().map(|y| y.tangents()[0]).collect();
        program.jvp(&x, &tangent, &mut y).unwrap();
        prop_assert!(all_close(&y, &want), "jvp {y:?}, should be {want:?}");
        let direction = Array1::from(tangent);
        prop_assert!(all_close(&program.jacobian(&x).unwrap().dot(&direction).to_vec(), &want), "jacobian");
        prop_assert!(all_close(&program.sparse_jacobian(&x).unwrap().to_dense().dot(&direction).to_vec(), &want));
        let mut pulled = vec![0.0; n];
        let weights: Vec<f64> = (0..y.len()).map(|k| (k as f64 + 0.5).sin()).collect();
        program.vjp(&x, &weights, &mut pulled).unwrap();
        let [a, b] = [
            Array1::from(pulled).dot(&direction),
            want.iter().zip(&weights).map(|(y, w)| y * w).sum(),
        ];
        prop_assert!((a - b).abs() <= 1e-8 * (largest(&want) + 1e-3), "vjp {a:e}, should be {b:e}");
    }

    /// Zeros of both signs, infinities, NaN and subnormal numbers among the inputs: what the tape makes of them.
    #[test]
    fn random_arrays_at_special_points(
        f in functions(),
        n in 2..40_usize,
        changes in prop::collection::vec((any::<usize>(), 0..SPECIAL.len()), 1..4),
    ) {
        let mut x = point(n, 0.3);
        let mut program = program(&f, &x);
        for (i, special) in changes {
            x[i % n] = SPECIAL[special];
        }
        let mut gradient = vec![9.0; n];
        let result = program.value_and_grad(&x, &mut gradient);
        prop_assume!(result.is_ok());
        let (want, partials) = on_tape(&f, &x);
        let got = result.unwrap();
        let same = |a: f64, b: f64, scale: f64| {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-8 * (scale + 1e-3)
        };
        prop_assert!(same(got, want, want.abs()), "value {got:e}, should be {want:e}");
        prop_assert!(same(program.value(&x).unwrap(), want, want.abs()), "value alone");
        let scale = partials.iter().filter(|d| d.is_finite()).fold(0.0, |m: f64, d| m.max(d.abs()));
        for (i, (&got, &want)) in gradient.iter().zip(&partials).enumerate() {
            prop_assert!(same(got, want, scale), "partial {i} is {got:e}, should be {want:e} {x:?}");
        }
    }
}
