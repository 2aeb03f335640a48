//! Numbers of which values are printed.

use std::fmt::Debug;

use wengert::{Dual, Scalar};

use crate::direction;

/// A number of which the value is printed.
pub(super) trait Shown: Scalar {
    const NAME: &'static str;
    type Plain: Debug;
    fn of(x: f64, k: usize) -> Self;
    fn shown(self) -> Self::Plain;
    /// The number without its tangents.
    fn number(self) -> f64;
    fn size(self) -> f64 {
        self.number().abs()
    }
}

impl Shown for f64 {
    const NAME: &'static str = "f64";
    type Plain = f64;
    fn of(x: f64, _: usize) -> f64 {
        x
    }
    fn shown(self) -> f64 {
        self
    }
    fn number(self) -> f64 {
        self
    }
}

impl Shown for f32 {
    const NAME: &'static str = "f32";
    type Plain = f32;
    fn of(x: f64, _: usize) -> f32 {
        x as f32
    }
    fn shown(self) -> f32 {
        self
    }
    fn number(self) -> f64 {
        f64::from(self)
    }
}

/// A number with two tangents.
pub(super) type Moving = Dual<f64, 2>;

/// Shows the first tangent: of a gradient, the product of the Hessian with the direction.
impl Shown for Moving {
    const NAME: &'static str = "dual";
    type Plain = f64;
    fn of(x: f64, k: usize) -> Self {
        Dual::new(x, [direction(k), direction(k + 100)])
    }
    fn shown(self) -> f64 {
        self.tangents()[0]
    }
    fn number(self) -> f64 {
        self.primal()
    }
}
