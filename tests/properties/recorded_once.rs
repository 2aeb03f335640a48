//! Random functions as programs: with branches, in batches, with lanes of every kind.

use proptest::prelude::*;
use wengert::trace::Recorded;
use wengert::{AutoProgram, Dual, Program, Real, Var};

use crate::cases::{agree, config};
use crate::strategies::{menus, points, programs, structures};
use crate::support::close::largest;
use crate::support::program::{Function, assert_like_tape, check_batch, on_tape, points as grid, program};
use crate::support::programs::{INPUTS, Number, Step, combined, from_menu, run};
use crate::support::structures::{Structure, point};

/// The value of a random program, some of whose steps branch, and the branches that it took.
fn branching<R: Number>(program: &[Step], inputs: &[R]) -> (R, Vec<bool>) {
    let (mut values, mut branches) = (inputs.to_vec(), Vec::new());
    for step in program {
        let [a, b] = step.operands.map(|i| values[i % values.len()]);
        let value = run(std::slice::from_ref(step), &values, false)[0];
        values.push(if step.retain {
            let greater = match step.row % 4 {
                0 => a > b,
                1 => a <= b,
                2 => value < R::lit(0.5),
                _ => value + a >= b * R::lit(2.0),
            };
            branches.push(greater);
            if greater { value } else { a - value * R::lit(0.5) }
        } else {
            value
        });
    }
    (combined(&values), branches)
}

fn plain(program: &[Step], x: &[f64]) -> (f64, Vec<bool>) {
    branching(program, x)
}

fn tape(program: &[Step], x: &[f64]) -> (f64, Vec<f64>) {
    wengert::value_and_grad(|x: &[Var<'_>]| branching(program, x).0, x)
}

proptest! {
    #![proptest_config(config())]

    /// A program fails where another branch is taken and nowhere else; elsewhere it has the derivatives of the tape
    /// and of dual numbers.
    #[test]
    fn a_program_fails_where_a_branch_changes(steps in programs(), here in points(), there in points()) {
        let mut program = Program::new(|x| branching(&steps, x).0, &here).unwrap();
        let recorded = plain(&steps, &here).1;
        for at in [here, there] {
            let mut gradient = [9.0; INPUTS];
            let result = program.value_and_grad(&at, &mut gradient);
            prop_assert_eq!(result.is_ok(), plain(&steps, &at).1 == recorded, "{:?}", result);
            prop_assert_eq!(program.value(&at).is_ok(), result.is_ok());
            let Ok(value) = result else {
                prop_assert_eq!(gradient, [9.0; INPUTS]);
                continue;
            };
            let (want, partials) = tape(&steps, &at);
            prop_assert!(agree(value, want, 0.0), "value {value:e} {want:e}");
            for (i, (&got, &want)) in gradient.iter().zip(&partials).enumerate() {
                prop_assert!(agree(got, want, largest(&partials)), "partial {i}: {got:e} {want:e}");
                let x: [Dual<f64>; INPUTS] = std::array::from_fn(|j| Dual::new(at[j], [f64::from(i == j)]));
                let tangent = branching(&steps, &x).0.tangents()[0];
                prop_assert!(agree(got, tangent, largest(&partials)), "partial {i}: {got:e}, dual {tangent:e}");
            }
        }
    }

    /// A program that records again is right everywhere.
    #[test]
    fn a_program_that_records_again(steps in programs(), list in prop::collection::vec(points(), 1..12)) {
        let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| branching(&steps, x).0).keep(3);
        let mut patterns = std::collections::HashSet::new();
        for at in &list {
            let mut gradient = [0.0; INPUTS];
            let value = auto.value_and_grad(at, &mut gradient).unwrap();
            let (want, partials) = tape(&steps, at);
            prop_assert!(agree(value, want, 0.0), "value {value:e} {want:e}");
            prop_assert!(gradient.iter().zip(&partials).all(|(&a, &b)| agree(a, b, largest(&partials))));
            patterns.insert(plain(&steps, at).1);
        }
        prop_assert!(auto.recordings() >= patterns.len() && auto.programs().len() <= 3);
        if patterns.len() <= 3 {
            prop_assert_eq!(auto.recordings(), patterns.len());
        }
    }

    /// Branches in lanes.
    #[test]
    fn branches_in_lanes(menu in menus(), n in 8..40_usize, flip in 0..40_usize, cut in -0.9..0.9_f64) {
        struct Terms<'a>(&'a [(u8, [usize; 2])], f64);
        impl Function for Terms<'_> {
            fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
                x.iter().map(|&x| {
                    let y = from_menu(self.0, [x, x.sin(), x * R::lit(0.5)]);
                    if x < R::lit(self.1) { y } else { y.square() + x }
                }).sum()
            }
        }
        let f = Terms(&menu, cut);
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut program = program(&f, &x);
        assert_like_tape(&|| "as recorded".to_owned(), &mut program, &f, &x, 1e-11);
        let mut other = x.clone();
        let k = flip % n;
        other[k] = -other[k] + if other[k] < cut { 2.0 } else { -2.0 };
        let changed = (other[k] < cut) != (x[k] < cut);
        let mut gradient = vec![9.0; n];
        prop_assert_eq!(program.value_and_grad(&other, &mut gradient).is_err(), changed);
        prop_assert_eq!(gradient.iter().all(|&d| d == 9.0), changed);
        let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| Function::call(&f, x));
        for at in [&x, &other, &x] {
            let (want, partials) = on_tape(&f, at);
            let value = auto.value_and_grad(at, &mut gradient).unwrap();
            prop_assert!(agree(value, want, 0.0));
            prop_assert!(gradient.iter().zip(&partials).all(|(&a, &b)| agree(a, b, largest(&partials))));
        }
        prop_assert_eq!(auto.recordings(), 1 + usize::from(changed));
    }
}

proptest! {
    #![proptest_config(config())]

    /// Random functions of the whole table: batches bit for bit, the order of the recording bit for bit.
    #[test]
    fn random_batches(steps in programs(), shift in -2.0..2.0_f64) {
        fn value<R: Number>(steps: &[Step], x: &[R]) -> R {
            combined(&run(steps, x, false))
        }
        let mut f = Program::new(|x| value(&steps, x), &[0.1; INPUTS]).unwrap();
        let x = grid(37, INPUTS) + shift;
        check_batch("random", &mut f, &x);
        let mut exact = f.exact(true);
        for x in x.outer_iter() {
            let x = x.to_vec();
            prop_assert_eq!(exact.value(&x).unwrap().to_bits(), value(&steps, &x).to_bits());
        }
    }

    /// Functions of inputs and data.
    #[test]
    fn random_batches_with_data(menu in menus(), data in prop::array::uniform3(-2.0..2.0_f64)) {
        let mut f = Program::with_data(
            |x: &[Recorded<'_>], d| {
                let y = from_menu(&menu, [x[0], d[0], d[1]]);
                y * x[1] + from_menu(&menu, [d[2], d[0], d[1]]) + d[0] * d[1]
            },
            &[0.1, 0.2],
            &[0.5; 3],
        ).unwrap();
        f.set_data(&data);
        check_batch("random with data", &mut f, &grid(37, 2));
    }
}

/// Two structures, one inside of the other's inputs.
struct Composed(Structure, Structure);

impl Function for Composed {
    fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
        let inner: Vec<R> = (0..20).map(|k| x[k % x.len()].sin() + self.0.operands(x, k)[1] * R::lit(0.5)).collect();
        let first = self.0.call(&inner);
        self.1.call(x) * first + combined(&inner)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_structures(f in structures(), n in 3..60_usize, shift in -3.0..3.0_f64) {
        let mut program = program(&f, &point(n, 0.0));
        assert_like_tape(&|| format!("{f:?}, {n} inputs at {shift}"), &mut program, &f, &point(n, shift), 1e-11);
    }

}

proptest! {
    // They take long in a debug build.
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn structures_of_structures(f in structures(), g in structures(), n in 3..40_usize, shift in -3.0..3.0_f64) {
        let f = Composed(f, g);
        let mut program = program(&f, &point(n, 0.0));
        let case = || format!("{:?} {:?}, {n} inputs at {shift}", f.0, f.1);
        assert_like_tape(&case, &mut program, &f, &point(n, shift), 1e-10);
        // The order of the recording, bit for bit.
        let mut exact = program.clone().exact(true);
        let x = point(n, shift);
        prop_assert_eq!(exact.value(&x).unwrap().to_bits(), f.call(&x).to_bits());
    }
}
