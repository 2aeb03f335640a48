//! The base floats `f32` and `f64` as numbers.

use super::macros::own_rules_of_base;
use super::real::{BaseFloat, Real, Rule, Scalar};
use super::table::for_each_rule;

macro_rules! base_float {
    ($($F:ident $Bits:ident),+) => { $(
        impl Real for $F {
            type Base = $F;
            const CARRIES_DERIVATIVES: bool = false;
            #[inline(always)]
            fn from_base(x: $F) -> $F { x }
            #[inline(always)]
            fn to_base(self) -> $F { self }
            #[inline(always)]
            fn apply_rule<const N: usize>(rule: impl Rule<$F, N>, operands: [$F; N]) -> $F {
                rule.primal(operands)
            }
            for_each_rule!(own_rules_of_base);
        }
        impl BaseFloat for $F {
            #[inline(always)]
            fn round_from(x: f64) -> $F { x as $F }
        }
        impl Scalar for $F {
            #[inline(always)]
            fn is_exact_zero(self) -> bool { self == 0.0 }
            // A shift to the left drops the sign; one unsigned comparison then tests for a range of magnitudes.
            // The upper half of the bits is enough, and its constants fit into instructions.
            #[inline(always)]
            fn product_is_safe(self) -> bool {
                const HALF: u32 = $Bits::BITS - 32;
                const LEAST: u32 = ($F::MIN_POSITIVE.to_bits() >> HALF << 1) as u32;
                const SPAN: u32 = ($F::INFINITY.to_bits() >> HALF << 1) as u32 - LEAST;
                (((self.to_bits() >> HALF) as u32) << 1).wrapping_sub(LEAST) < SPAN
            }
            #[inline(always)]
            fn with_base(self, value: $F) -> $F { value }
            #[inline(always)]
            fn is_finite_throughout(self) -> bool { self.is_finite() }
            #[inline(always)]
            fn length_at_origin(_: impl Iterator<Item = Self> + Clone) -> Self { 0.0 }
            #[inline(always)]
            fn pull_from_origin(self, _: Self, _: Self) -> Self { 0.0 }
            #[inline(always)]
            fn is_finite_nonzero(self) -> bool {
                (self.to_bits() << 1).wrapping_sub(1) < $F::MAX.to_bits() << 1
            }
        }
    )+ };
}
base_float! { f32 u32, f64 u64 }
