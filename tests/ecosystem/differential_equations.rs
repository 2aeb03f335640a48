//! differential-equations: an adaptive solver, with the derivative of everything that it computes, the sizes of its steps
//! included.

use differential_equations::prelude::*;
use differential_equations::traits::Real;

use crate::harness::{Comparison, case};

/// A damped pendulum of this length.
struct Pendulum<T> {
    length: T,
    damping: T,
}

impl<T: Real> ODE<T, [T; 2]> for Pendulum<T> {
    fn diff(&self, _t: T, y: &[T; 2], dydt: &mut [T; 2]) {
        dydt[0] = y[1];
        dydt[1] = -self.damping * y[1] - T::from_subset(&9.81) / self.length * y[0].sin();
    }
}

/// The angle and the velocity after three seconds, from length, damping and initial angle.
fn pendulum<T: Real>(x: &[T], tolerance: f64) -> T {
    let number = |x: f64| T::from_subset(&x);
    let ode = Pendulum { length: x[0], damping: x[1] };
    let method = ExplicitRungeKutta::dop853().rtol(number(tolerance)).atol(number(tolerance));
    let solution = IVP::ode(&ode, T::zero(), number(3.0), [x[2], T::zero()]).method(method).solve().unwrap();
    let [angle, velocity] = *solution.y.last().unwrap();
    angle + velocity * number(0.3)
}

fn dop853<T: Real>(x: &[T]) -> T {
    pendulum(x, if T::default_epsilon() > T::from_subset(&1e-10) { 1e-5 } else { 1e-11 })
}

pub(crate) fn pendulums() -> Vec<Comparison> {
    vec![case!(dop853).at(&[1.3, 0.2, 1.0], 1e-7).step(0.02)]
}

#[test]
fn a_pendulum_by_length_damping_and_initial_angle() {
    pendulums().iter().for_each(|case| _ = case.check());
}
