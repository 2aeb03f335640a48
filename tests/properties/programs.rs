//! Random programs over the whole table of rules, in every mode of differentiation.

use proptest::prelude::*;
use wengert::{Dual, Gradient, Tape, Var, dot, fuse};

use crate::cases::{agree, config};
use crate::strategies::{menus, points, programs};
use crate::support::close::largest;
use crate::support::differences::{difference, noise};
use crate::support::programs::{INPUTS, Step, combined, from_menu, run};

fn gradient_on_tape(program: &[Step], at: &[f64], retain: bool) -> (f64, Vec<f64>) {
    let tape = Tape::new();
    gradient_on(&tape, program, at, retain)
}

fn gradient_on(tape: &Tape, program: &[Step], at: &[f64], retain: bool) -> (f64, Vec<f64>) {
    let x = tape.vars_from(at);
    let y = combined(&run(program, x, retain));
    if y.is_constant() {
        return (y.value(), vec![0.0; at.len()]);
    }
    (y.value(), y.backward().wrt(x))
}

/// Values and their derivatives along `direction`, by dual numbers.
fn tangents(program: &[Step], at: &[f64], direction: &[f64]) -> Vec<Dual<f64>> {
    let pairs = at.iter().zip(direction);
    let x: Vec<_> = pairs.map(|(&x, &d)| Dual::new(x, [d])).collect();
    run(program, &x, false)
}

fn unit(i: usize) -> [f64; INPUTS] {
    std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 })
}

fn backward(y: Var<'_>) -> Option<Gradient<'_, f64>> {
    (!y.is_constant()).then(|| y.backward())
}

proptest! {
    #![proptest_config(config())]

    /// Reverse mode, forward mode and differences give the same derivatives.
    #[test]
    fn tape_equals_duals_equals_differences(program in programs(), at in points()) {
        let (value, gradient) = gradient_on_tape(&program, &at, false);
        prop_assert_eq!(value, combined(&run(&program, &at, false)));
        for (i, &partial) in gradient.iter().enumerate() {
            let tangent = combined(&tangents(&program, &at, &unit(i)));
            prop_assert_eq!(tangent.primal(), value);
            let tangent = tangent.tangents()[0];
            prop_assert!(agree(partial, tangent, largest(&gradient)), "tape {partial:e}, duals {tangent:e}");
            let along = |x: f64| {
                let mut at = at;
                at[i] = x;
                combined(&run(&program, &at, false))
            };
            let step = 0.05;
            let (slope, trust) = difference(along, at[i], step);
            let allowed = 8.0 * trust + (program.len() as f64) * noise(value, step);
            prop_assert!((partial - slope).abs() <= allowed, "tape {partial:e}, differences {slope:e} ± {allowed:e}");
        }
    }

    /// The sweep is linear in its seed: (αu + βv)' = αu' + βv'.
    #[test]
    fn the_sweep_is_linear(program in programs(), at in points(), alpha in -3.0..3.0_f64, beta in -3.0..3.0_f64) {
        let tape: Tape = Tape::new();
        let x = tape.vars_from(&at);
        let values = run(&program, x, false);
        let (u, v) = (x[0] + values[0], x[1] + values[values.len() - 1]);
        let (du, dv) = (u.backward().wrt(x), v.backward().wrt(x));
        let both = (u * alpha + v * beta).backward().wrt(x);
        for i in 0..INPUTS {
            let expected = alpha * du[i] + beta * dv[i];
            prop_assert!(agree(both[i], expected, largest(&du) + largest(&dv)), "{} {expected}", both[i]);
        }
    }

    /// ⟨Jv, w⟩ = ⟨v, Jᵀw⟩, where the values of all steps are the outputs.
    #[test]
    fn forward_and_reverse_are_adjoint(program in programs(), at in points(), v in points(), w in prop::array::uniform16(-1.0..1.0)) {
        let jv = tangents(&program, &at, &v);
        let left: f64 = jv.iter().zip(w).map(|(y, w)| y.tangents()[0] * w).sum();
        let tape = Tape::new();
        let x = tape.vars_from(&at);
        let y = run(&program, x, false);
        let constants: Vec<_> = w[..y.len()].iter().map(|&w| Var::constant(w)).collect();
        let transposed = backward(dot(&y, &constants)).map_or(vec![0.0; INPUTS], |g| g.wrt(x));
        let right: f64 = transposed.iter().zip(v).map(|(a, b)| a * b).sum();
        prop_assert!(agree(left, right, largest(&transposed)), "{left:e} {right:e}");
    }

    /// A cleared tape gives the same bits as a new one, whatever was recorded before.
    #[test]
    fn a_cleared_tape_gives_the_same_bits(program in programs(), other in programs(), at in points()) {
        let fresh = gradient_on_tape(&program, &at, true);
        let mut tape = Tape::new();
        for _ in 0..2 {
            gradient_on(&tape, &other, &at, false);
            tape.clear();
            let again = gradient_on(&tape, &program, &at, true);
            prop_assert_eq!(again.0.to_bits(), fresh.0.to_bits());
            prop_assert!(again.1.iter().zip(&fresh.1).all(|(a, b)| a.to_bits() == b.to_bits()));
            tape.clear();
        }
    }

    /// `retain` adds nodes and changes no derivative.
    #[test]
    fn retaining_changes_nothing(program in programs(), at in points()) {
        let (value, plain) = gradient_on_tape(&program, &at, false);
        let (same, retained) = gradient_on_tape(&program, &at, true);
        prop_assert_eq!(value, same);
        for (&a, &b) in plain.iter().zip(&retained) {
            prop_assert!(agree(a, b, largest(&plain)), "{a:e} {b:e}");
        }
    }

    /// The adjoint of a retained intermediate is the derivative of the rest of the program by it.
    #[test]
    fn adjoints_of_intermediates(head in programs(), tail in programs(), at in points()) {
        let tape = Tape::new();
        let x = tape.vars_from(&at);
        let middle: Vec<_> = run(&head, x, true).into_iter().map(Var::retain).collect();
        let y = combined(&run(&tail, &middle, true));
        prop_assume!(!y.is_constant());
        let gradient = y.backward();
        let cut = Tape::new();
        let values: Vec<f64> = middle.iter().map(|m| m.value()).collect();
        let inputs = cut.vars_from(&values);
        let expected = backward(combined(&run(&tail, inputs, false)));
        for (i, &m) in middle.iter().enumerate().filter(|(_, m)| !m.is_constant()) {
            // Later intermediates may depend on this one, so only the last is compared.
            if i + 1 == middle.len() {
                let expected = expected.as_ref().map_or(0.0, |g| g[inputs[i]]);
                prop_assert!(agree(gradient[m], expected, 0.0), "{} {expected}", gradient[m]);
            }
        }
    }

    /// A fused expression has the value and the derivatives of the plain one.
    #[test]
    fn fused_equals_plain(program in menus(), at in points()) {
        let tape = Tape::new();
        let [x, y, z] = tape.vars(at);
        let plain = from_menu(&program, [x, y, z.square()]);
        let before = tape.len();
        let fused = fuse([x, y, z.square()], |inputs| from_menu(&program, inputs));
        prop_assert!(tape.len() - before <= 2, "one node: a head and one cell");
        prop_assert_eq!(fused.value(), plain.value());
        let (fused, plain) = (fused.backward().wrt([x, y, z]), (plain + 0.0 * x).backward().wrt([x, y, z]));
        for (&a, &b) in fused.iter().zip(&plain) {
            prop_assert!(agree(a, b, largest(plain)), "{a:e} {b:e}");
        }
    }
}
