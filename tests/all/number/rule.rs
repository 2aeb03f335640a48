//! Rules that a user writes, on every number and for derivatives of every order.

use ndarray::{array, s};
use wengert::gradcheck::GradCheck;
use wengert::{BaseFloat, Dual, Real, Rule, Tape, Taylor, Var, apply, check_gradient, grad};

/// x²y + sin y, whose value is computed outside the operations of the crate.
#[derive(Clone, Copy)]
struct Surface;

impl<B: BaseFloat> Rule<B, 2> for Surface {
    fn primal(self, [x, y]: [B; 2]) -> B {
        let (x, y) = (x.to_f64().expect("a float"), y.to_f64().expect("a float"));
        B::lit(x * x * y + y.sin())
    }
    fn partials<R: Real<Base = B>>(self, [x, y]: [R; 2], _: R) -> [R; 2] {
        [R::lit(2.0) * x * y, x * x + y.cos()]
    }
}

/// c x³, with the parameter c.
#[derive(Clone, Copy)]
struct Cubic(f64);

impl<B: BaseFloat> Rule<B, 1> for Cubic {
    fn primal(self, [x]: [B; 1]) -> B {
        B::lit(self.0) * x * x * x
    }
    fn partials<R: Real<Base = B>>(self, [x]: [R; 1], _: R) -> [R; 1] {
        [R::lit(3.0 * self.0) * x * x]
    }
}

#[test]
fn a_rule_runs_in_every_mode_and_order() {
    let f = |x: f64, y: f64| x * x * y + y.sin();
    assert_eq!(apply(Surface, [1.5, 0.5]), f(1.5, 0.5));
    let g = grad(|v| apply(Surface, [v[0], v[1]]) * 2.0, &[1.5, 0.5]);
    assert_eq!(g, [2.0 * 2.0 * 1.5 * 0.5, 2.0 * (1.5 * 1.5 + 0.5_f64.cos())]);
    check_gradient(|v| apply(Surface, [v[0].sin(), v[1] * v[0]]), &[0.7, -1.3]).expect("first order");
    check_gradient(|v| apply(Surface, [v[0], v[0]]), &[0.7]).expect("one slot twice");
    GradCheck::new()
        .check_second_order(|v| apply(Surface, [v[0].sin(), v[1] * v[0]]), &[0.7_f64, -1.3])
        .expect("second order");
    // Third order by nesting: d³/dx³ of 2x³.
    let x = Dual::new(Dual::new(Dual::new(0.4, [1.0]), [Dual::constant(1.0)]), [Dual::constant(Dual::constant(1.0))]);
    assert_eq!(apply(Cubic(2.0), [x]).tangents()[0].tangents()[0].tangents()[0], 12.0);
    // The same as a series of Taylor coefficients; and that of a constant.
    let series = apply(Cubic(2.0), [Taylor::<_, 4>::variable(0.5)]);
    assert_eq!(series.coefficients(), [0.25, 1.5, 3.0, 2.0]);
    assert_eq!(apply(Cubic(2.0), [Taylor::<_, 4>::constant(0.5)]).coefficients(), [0.25, 0.0, 0.0, 0.0]);
    // A constant operand has no partial.
    let tape = Tape::new();
    let x = tape.var(1.5_f64);
    assert_eq!(apply(Surface, [x, Var::constant(0.5)]).backward()[x], 1.5);
}

#[test]
fn a_rule_maps_the_elements_of_a_tensor() {
    let data = array![[0.5, -1.0, 2.0], [0.0, 3.0, -0.25]];
    let check = GradCheck::new();
    check.check_tensor(|x| x.apply_rule(Cubic(0.7)).sum(), &data).expect("f64");
    check.check_tensor(|x| x.t().apply_rule(Cubic(0.7)).sum(), &data.slice(s![.., ..;2])).expect("a view");
    let tape = Tape::new();
    let data = data.mapv(|x: f64| Dual::new(x, [1.0]));
    let x = tape.tensor(&data);
    let gradient = x.apply_rule(Cubic(0.7)).sum().backward().wrt(x);
    for (g, x) in gradient.iter().zip(&data) {
        assert!((g.tangents()[0] - 4.2 * x.primal()).abs() < 1e-14);
    }
}
