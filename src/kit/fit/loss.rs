//! Robust losses: how much a residual of some size counts.

use num_traits::Float;

use crate::number::{Dual, Real};

/// The loss of a residual r in units of its scale s: the sum of ½ s² ρ((r/s)²) is minimised.
///
/// Robust losses grow more slowly than the square beyond the scale, so that outliers count less (Triggs et al. 2000,
/// "Bundle adjustment: a modern synthesis", section 3). Choose as the scale the size of a residual that still is no
/// outlier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// ρ(z) = z: plain least squares.
    #[default]
    Square,
    /// ρ(z) = z for z ≤ 1, else 2√z - 1: beyond the scale, absolute values (Huber 1964).
    Huber(f64),
    /// ρ(z) = 2(√(1 + z) - 1): absolute values far out, without a kink.
    SoftL1(f64),
    /// ρ(z) = ln(1 + z): outliers far out count hardly at all. There may be several minima.
    Cauchy(f64),
}

impl Loss {
    /// The scale s.
    pub(super) fn scale(self) -> f64 {
        match self {
            Self::Square => 1.0,
            Self::Huber(scale) | Self::SoftL1(scale) | Self::Cauchy(scale) => scale,
        }
    }

    fn rho<R: Real>(self, z: R) -> R {
        let one = R::one();
        match self {
            Self::Square => z,
            Self::Huber(_) if z <= one => z,
            Self::Huber(_) => Float::sqrt(z) * R::lit(2.0) - one,
            // 2(√(1 + z) - 1), without cancellation
            Self::SoftL1(_) => z * R::lit(2.0) / (Float::sqrt(z + one) + one),
            Self::Cauchy(_) => Float::ln_1p(z),
        }
    }

    /// The contribution of a residual to the cost.
    pub(super) fn cost(self, residual: f64) -> f64 {
        let scale = self.scale();
        0.5 * scale * scale * self.rho((residual / scale).square())
    }

    /// The derivative of the [`cost`](Self::cost) by the residual, ψ = r ρ'(z), and the derivative ψ' = ρ' + 2z ρ'' of ψ.
    pub(super) fn influence(self, residual: f64) -> [f64; 2] {
        let z = Dual::new((residual / self.scale()).square(), [1.0]);
        let first = self.rho(Dual::new(z, [Dual::constant(1.0)])).tangents()[0];
        let [second] = first.tangents();
        [residual * first.primal(), first.primal() + 2.0 * z.primal() * second]
    }

    /// The factor √ρ' of a residual and of its row of the Jacobian that makes least squares of the loss, with its
    /// gradient. The product of such rows is at least the loss's curvature, which may be negative (iteratively
    /// reweighted least squares; Triggs et al. 2000, section 4.3, has the correction that is left out).
    pub(super) fn weight(self, residual: f64) -> f64 {
        let z = (residual / self.scale()).square();
        self.rho(Dual::new(z, [1.0])).tangents()[0].sqrt()
    }
}
