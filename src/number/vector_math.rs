//! Elementary functions without branches, tables or calls: LLVM vectorises a loop over them.
//!
//! A libm call stops the vectoriser; these bodies do not. They are `#[inline(always)]`, so a loop
//! compiled for AVX2 or AVX-512 evaluates 4 to 16 elements at once, and the same source serves the
//! baseline target. It uses only operations that SSE2 has for vectors: an integer is read from, or written
//! into, the low mantissa bits of a float (`ROUND`), because `i64 <-> f64` conversion and the arithmetic
//! 64-bit shift need AVX-512.
//!
//! Errors stay below 2 ulp over the whole range, subnormal arguments and results included. The
//! reductions are those of W. J. Cody and W. Waite, *Software Manual for the Elementary Functions*
//! (1980); the error-free sums are in J.-M. Muller et al., *Handbook of Floating-Point Arithmetic*
//! (2nd ed., 2018), ch. 4; the form of the logarithm is that of FDLIBM (Sun Microsystems, 1993).
//!
//! A coefficient table holds a minimax polynomial. Its comment names the function, the interval, the weight and the
//! largest weighted difference. The polynomial comes from Remez exchange in 60-digit arithmetic on that
//! interval, widened by up to 0.3% for the roundings of the reduction; then each coefficient was rounded.
//!
//! `sin` and `cos` are missing, because the reduction of a large argument needs a table of the digits of 2/pi.
#![forbid(unsafe_code)]

/// Elementary functions that LLVM can vectorise.
///
/// `FMA` is true if `mul_add` is one instruction on the dispatched target. The wrong value costs time, not accuracy.
pub trait VectorMath: Copy {
    /// `e^x`
    fn vexp<const FMA: bool>(self) -> Self;
    /// `factor e^x` for `x <= 0` and a `factor` of the size of 1 that is NaN if `x` is; cheaper than `vexp`
    fn vexp_times<const FMA: bool>(self, factor: Self) -> Self;
    /// `e^x - 1`
    fn vexp_m1<const FMA: bool>(self) -> Self;
    /// `ln x`
    fn vln<const FMA: bool>(self) -> Self;
    /// `ln(1 + x)`
    fn vln_1p<const FMA: bool>(self) -> Self;
    /// `tanh x`
    fn vtanh<const FMA: bool>(self) -> Self;
    /// `tanh x`, the same as [`vtanh`](Self::vtanh), and its derivative, which is right up to [`SLOPE_REACH`](Self::SLOPE_REACH)
    fn vtanh_slope<const FMA: bool>(self) -> (Self, Self);
    /// The greatest |x| for which [`vtanh_slope`](Self::vtanh_slope) has the derivative
    const SLOPE_REACH: Self;
    /// `erf x = 2/sqrt(pi) * integral of e^(-t^2) over [0, x]`
    fn verf<const FMA: bool>(self) -> Self;
    /// `erfc x = 1 - erf x`, accurate to 2 ulp also where it is small
    fn verfc<const FMA: bool>(self) -> Self;
    /// `erfc(x + low)` for a `low` of the size of the rounding error of `x`
    fn verfc_of_sum<const FMA: bool>(self, low: Self) -> Self;
}

/// The functions over a module's `F`, `Bits` and constants.
macro_rules! vector_math {
    () => {
        const MANTISSA: u32 = F::MANTISSA_DIGITS - 1;
        const BIAS: F = (F::MAX_EXP - 1) as F;
        /// A number with ulp 1: adding it rounds to an integer, which stands in the low bits in two's complement.
        const ROUND: F = 1.5 / F::EPSILON;

        /// The number of coefficients from which on the latency of a polynomial counts more than two further operations
        /// (see M29 in docs/MEASUREMENTS.md).
        const LONG: usize = 16;

        #[inline(always)]
        fn fma<const FMA: bool>(a: F, b: F, c: F) -> F {
            if FMA { a.mul_add(b, c) } else { a * b + c }
        }

        /// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule in `x^2`, apart for even and odd terms, which has half the
        /// latency of Horner's rule in `x`; for a long polynomial in `x^4`, which halves the latency once more.
        #[inline(always)]
        pub(super) fn poly<const FMA: bool, const N: usize>(x: F, c: &[F; N]) -> F {
            let z = x * x;
            let (mut even, mut odd) = (c[N - 2], c[N - 1]);
            if N < LONG {
                for i in (0..N - 2).rev() {
                    (even, odd) = (fma::<FMA>(odd, z, c[i]), even);
                }
            } else {
                let mut sums = [c[N - 4], c[N - 3], even, odd];
                for i in (0..N - 4).rev() {
                    sums = [fma::<FMA>(sums[3], z * z, c[i]), sums[0], sums[1], sums[2]];
                }
                (even, odd) = (fma::<FMA>(sums[2], z, sums[0]), fma::<FMA>(sums[3], z, sums[1]));
            }
            fma::<FMA>(odd, x, even)
        }

        /// `2^n`, where `biased` is `n + ROUND + BIAS` and `n` is integral and a normal exponent.
        #[inline(always)]
        fn pow2(biased: F) -> F {
            F::from_bits(biased.to_bits() << MANTISSA)
        }

        /// `x 2^n` by two factors, because n is no normal exponent if the result is subnormal or infinite.
        #[inline(always)]
        fn times_pow2<const FMA: bool>(x: F, n: F) -> F {
            const BIASED: F = ROUND + BIAS;
            let half = fma::<FMA>(0.5, n, BIASED);
            let rest = (n - half) + 2.0 * BIASED;
            x * pow2(half) * pow2(rest)
        }

        /// `(n, r, c)` with `x = n ln 2 + r + c`, `n` integral, `|r| <= ln(2)/2` and `c` the rounding
        /// error of `r`.
        #[inline(always)]
        fn exp_parts<const FMA: bool>(x: F) -> (F, F, F) {
            exp_parts_of_sum::<FMA>(x, 0.0)
        }

        /// [`exp_parts`] of `x + low`, where `low` is a small part of an ulp of 1.
        #[inline(always)]
        fn exp_parts_of_sum<const FMA: bool>(x: F, low: F) -> (F, F, F) {
            let n = fma::<FMA>(x, LOG2_E, ROUND) - ROUND;
            let high = fma::<FMA>(-n, LN2_HIGH, x); // exact: LN2_HIGH ends in enough zeros
            let low = fma::<FMA>(n, LN2_LOW, -low);
            let r = high - low;
            (n, r, (high - r) - low)
        }

        /// `e^r - 1 - r + c`
        #[inline(always)]
        fn exp_tail<const FMA: bool>(r: F, c: F) -> F {
            fma::<FMA>(r * r, poly::<FMA, _>(r, &EXP), c)
        }

        /// `2^n e^(r + c) - 1` as an unevaluated sum of two terms, the larger one first.
        #[inline(always)]
        fn exp_m1_parts<const FMA: bool>(n: F, r: F, c: F) -> (F, F) {
            let scale = pow2(n + (ROUND + BIAS));
            let (a, b) = (scale - 1.0, scale * r);
            let sum = a + b;
            // Fast2Sum: |a| >= |b|, or a = 0.
            (sum, fma::<FMA>(scale, exp_tail::<FMA>(r, c), (a - sum) + b))
        }

        /// `(k, f)` with `x = 2^k (1 + f)` and `1 + f` in `[sqrt(1/2), sqrt(2))`, for a positive
        /// normal `x`.
        #[inline(always)]
        fn ln_parts(x: F) -> (F, F) {
            const LOWEST: Bits = FRAC_1_SQRT_2.to_bits();
            const MASK: Bits = (1 << MANTISSA) - 1;
            // Its ulp is 1 and its mantissa bits are clear, so they have room for an unsigned integer.
            const INTEGER: F = 1.0 / F::EPSILON;
            let bits = x.to_bits().wrapping_add((1.0 as F).to_bits() - LOWEST);
            let k = F::from_bits(INTEGER.to_bits() | (bits >> MANTISSA)) - (INTEGER + BIAS);
            (k, F::from_bits((bits & MASK) + LOWEST) - 1.0)
        }

        /// `k ln 2 + ln(1 + f) + c`, where `ln(1 + f) = 2 artanh(s)` with `s = f / (2 + f)` is computed as
        /// `f - f^2/2 + s (f^2/2 + z LN(z))` with `z = s^2`.
        #[inline(always)]
        fn ln_sum<const FMA: bool>(k: F, f: F, c: F) -> F {
            let s = f / (2.0 + f);
            let z = s * s;
            let half = 0.5 * f * f;
            let low = fma::<FMA>(s, fma::<FMA>(z, poly::<FMA, _>(z, &LN), half), fma::<FMA>(k, LN2_LOW, c));
            fma::<FMA>(k, LN2_HIGH, f - (half - low))
        }

        /// The given logarithm `ln` if `x` is positive and finite; otherwise -inf, NaN, inf or NaN for 0, a negative
        /// number, inf and NaN.
        #[inline(always)]
        fn ln_edges(x: F, ln: F) -> F {
            let negative = if x < 0.0 { F::NAN } else { x };
            let edge = if x == 0.0 { F::NEG_INFINITY } else { negative };
            if (x > 0.0) & (x < F::INFINITY) { ln } else { edge }
        }

        impl VectorMath for F {
            #[inline(always)]
            fn vexp<const FMA: bool>(self) -> F {
                let (n, r, _) = exp_parts::<FMA>(self.clamp(EXP_MIN, EXP_MAX));
                times_pow2::<FMA>(1.0 + exp_tail::<FMA>(r, r), n)
            }

            /// `2^(n + UP)` by adding to the bits of the exponent: a result that may be subnormal comes from one
            /// multiplication by `2^-UP`, which rounds it.
            #[inline(always)]
            fn vexp_times<const FMA: bool>(self, factor: F) -> F {
                const UP: F = 100.0;
                const DOWN: F = F::from_bits(((BIAS - UP) as Bits) << MANTISSA);
                let (n, r, _) = exp_parts::<FMA>(self.clamp(EXP_MIN, 0.0));
                let mantissa = 1.0 + exp_tail::<FMA>(r, r);
                let up = F::from_bits(mantissa.to_bits().wrapping_add((n + (ROUND + UP)).to_bits() << MANTISSA));
                up * (factor * DOWN)
            }

            #[inline(always)]
            fn vexp_m1<const FMA: bool>(self) -> F {
                let (n, r, c) = exp_parts::<FMA>(self.clamp(-50.0, EXP_MAX)); // e^-50 < EPSILON / 4
                let over = if n > BIAS { 1.0 } else { 0.0 };
                let (sum, low) = exp_m1_parts::<FMA>(n - over, r, c);
                ((sum + low) * (1.0 + over)).copysign(self)
            }

            #[inline(always)]
            fn vln<const FMA: bool>(self) -> F {
                const UP: F = 4.0 / F::EPSILON;
                const LOG2_UP: F = (MANTISSA + 2) as F;
                let subnormal = self < F::MIN_POSITIVE;
                let (k, f) = ln_parts(if subnormal { self * UP } else { self });
                let shift = if subnormal { LOG2_UP } else { 0.0 };
                ln_edges(self, ln_sum::<FMA>(k - shift, f, 0.0))
            }

            #[inline(always)]
            fn vln_1p<const FMA: bool>(self) -> F {
                let u = 1.0 + self;
                let rounding = if self > 1.0 { 1.0 - (u - self) } else { self - (u - 1.0) };
                let (k, f) = ln_parts(u);
                // For k = 0, f differs from self only by the rounding of u.
                let (f, c) = if k == 0.0 { (self, 0.0) } else { (f, rounding / u) };
                ln_edges(u, ln_sum::<FMA>(k, f, c)).copysign(self)
            }

            /// `E / (E + 2) = b + (E - b (E + 2)) / (E + 2)` with `E = e^(2a) - 1`.
            ///
            /// The nearer an exact `b` is to the result, the less the roundings of the quotient matter. `b` is `a` if
            /// `n = 0` and so `sum = 2a`, and 1/4 if `n = 1` and so the result is between 0.17 and 0.48.
            #[inline(always)]
            fn vtanh<const FMA: bool>(self) -> F {
                self.vtanh_slope::<FMA>().0
            }

            const SLOPE_REACH: F = 25.0;

            /// The derivative is `q (2 - q)` with `q = 2 / (e^(2a) + 1)`, in which nothing cancels.
            #[inline(always)]
            fn vtanh_slope<const FMA: bool>(self) -> (F, F) {
                let a = self.abs().clamp(0.0, Self::SLOPE_REACH); // tanh rounds to 1 from 20 on
                let (n, r, c) = exp_parts::<FMA>(a + a);
                let (sum, low) = exp_m1_parts::<FMA>(n, r, c);
                let e = sum + low;
                let far = if n == 1.0 { 0.25 } else { 0.0 };
                let b = if n == 0.0 { a } else { far };
                let numerator = fma::<FMA>(-b, e, (sum - 2.0 * b) + low);
                let q = 2.0 / (e + 2.0);
                ((b + numerator / (e + 2.0)).copysign(self), q * (2.0 - q))
            }

            #[inline(always)]
            fn verf<const FMA: bool>(self) -> F {
                let a = self.abs();
                let near = fma::<FMA>(a, poly::<FMA, _>(a * a, &ERF), a);
                let ln_erfc = poly::<FMA, _>((a - 1.0).clamp(0.0, ERF_SPAN), &LN_ERFC);
                let (n, r, _) = exp_parts::<FMA>(ln_erfc);
                let far = 1.0 - (1.0 + exp_tail::<FMA>(r, r)) * pow2(n + (ROUND + BIAS));
                (if a < 1.0 { near } else { far }).copysign(self)
            }

            #[inline(always)]
            fn verfc<const FMA: bool>(self) -> F {
                erfc::<FMA>(self, None)
            }

            #[inline(always)]
            fn verfc_of_sum<const FMA: bool>(self, low: F) -> F {
                erfc::<FMA>(self, Some(low))
            }
        }
    };
}

mod double {
    use super::VectorMath;
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E};

    type F = f64;
    type Bits = u64;

    /// e^x rounds to 0 below `EXP_MIN` and overflows above `EXP_MAX`.
    const EXP_MIN: F = -750.0;
    const EXP_MAX: F = 710.0;
    /// ln 2 in 40 + 53 bits.
    const LN2_HIGH: F = 0.6931471805592082;
    const LN2_LOW: F = 7.371002565167799e-13;
    /// erf(1 + `ERF_SPAN`) rounds to 1.
    const ERF_SPAN: F = 5.0;
    /// erfc rounds to 0 before it.
    const ERFC_END: F = 28.0;

    /// (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, weight r: 2^-60.817
    const EXP: [F; 11] = [
        0.5,
        0.16666666666666677,
        0.04166666666666673,
        0.008333333333321473,
        0.001388888888885272,
        0.00019841269886566025,
        2.4801587392075862e-05,
        2.7557243730426125e-06,
        2.7557212880047707e-07,
        2.5109215398139862e-08,
        2.0934548816434117e-09,
    ];
    /// (2 artanh(s) - 2s) / (s z) with z = s^2 on |s| <= 3 - 2 sqrt(2), weight z: 2^-57.912
    const LN: [F; 7] = [
        0.6666666666666734,
        0.3999999999941449,
        0.285714287424482,
        0.22222198565449686,
        0.18183564792464713,
        0.15314037211766632,
        0.14796095713525473,
    ];
    /// erf(x) / x - 1 in z = x^2 on |x| <= 1, weight 1: 2^-55.885
    const ERF: [F; 13] = [
        0.1283791670955126,
        -0.3761263890318375,
        0.11283791670954885,
        -0.026866170645077816,
        0.005223977624827788,
        -0.0008548326981386224,
        0.00012055331131448538,
        -1.4925595734450266e-05,
        1.646100785134316e-06,
        -1.635038938142842e-07,
        1.466028149184427e-08,
        -1.1374768886909247e-09,
        5.960362584418381e-11,
    ];
    /// ln erfc(1 + t) on 0 <= t <= 5, weight erfc(1 + t): 2^-55.914
    const LN_ERFC: [F; 18] = [
        -1.8496055099332482,
        -2.6389675142347757,
        -0.8431072563594124,
        -0.04156109802508302,
        0.01003382517913855,
        -0.0019779012158716936,
        0.00023731643503139077,
        2.6296326145794823e-05,
        -2.7198971113519273e-05,
        9.671374922031683e-06,
        -2.131938028158512e-06,
        2.0481085789494158e-07,
        5.801202378953628e-08,
        -3.339136650372941e-08,
        8.518785739692172e-09,
        -1.319102594972918e-09,
        1.1932555186359506e-10,
        -4.8649903894577035e-12,
    ];
    /// (1 + 9/8 a) e^(a^2) erfc(a) - 13/16 in q = (a - 7/2) / (a + 7/2) on 0 <= a <= 27.5, relative to the first term:
    /// 2^-57.057, and 2^-56.436 after rounding, because leading coefficients are rounded up or down as is best together.
    const ERFC: [F; 23] = [
        -0.045737575431084414,
        -0.2053086209417466,
        0.09605706276323855,
        -0.015731113560772888,
        -0.023425733442432334,
        0.02961194100896983,
        -0.020035787868461333,
        0.008887394260500838,
        -0.0022539677477841913,
        -4.378273429690868e-05,
        0.00027017932622940374,
        -7.039566725778081e-05,
        -1.8226960724342025e-05,
        1.2934876901507088e-05,
        6.478814536277872e-07,
        -1.9849582024079076e-06,
        5.3439014078650554e-08,
        3.124080854055779e-07,
        -9.72982296481339e-09,
        -4.982634278288317e-08,
        -2.779913198034701e-09,
        5.894983804415417e-09,
        1.3111091301967266e-09,
    ];

    vector_math!();

    /// erfc(x), or erfc(x + low) for a `low` of the size of the rounding error of x.
    ///
    /// It is `e^(-a^2) w`, where `a = |x|`, `w = g(q) / (1 + 9/8 a)` and `q = (a - 7/2) / (a + 7/2)`. The form is that of
    /// M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36 (1981), whose denominator is 1 + 2a; with
    /// 9/8 g is flatter, and the rounding of q counts less. What else would count is exact:
    ///
    /// - a^2, because a is the sum of `high`, which has 25 bits, and `low_a`;
    /// - the quotient w, because it is the sum of `head`, whose product with `high` is exact, and a remainder.
    #[inline(always)]
    fn erfc<const FMA: bool>(x: F, low: Option<F>) -> F {
        // Adding these rounds to a multiple of 2^-20 and of 2^-24.
        const SHIFT_A: F = ROUND / 1_048_576.0;
        const SHIFT_HEAD: F = ROUND / 16_777_216.0;
        let a = x.abs().clamp(0.0, ERFC_END);
        let high = (a + SHIFT_A) - SHIFT_A;
        let low_a = a - high;
        let (n, r, _) = exp_parts_of_sum::<FMA>(-(high * high), -low_a * (a + high));

        let g = poly::<FMA, _>((a - 3.5) / (a + 3.5), &ERFC); // less 13/16
        let reciprocal = fma::<FMA>(1.125, a, 1.0).recip();
        let head = ((0.8125 + g) * reciprocal + SHIFT_HEAD) - SHIFT_HEAD;
        let slope = 1.125 * head;
        let remainder = fma::<FMA>(-slope, high, 0.8125 - head) + fma::<FMA>(-slope, low_a, g);
        let mut rest = remainder * reciprocal;
        if let Some(low) = low {
            let step = if x.abs() < ERFC_END { low.copysign(low * x) } else { 0.0 };
            rest = fma::<FMA>(-FRAC_2_SQRT_PI, step, rest);
        }
        let w = head + rest;
        let scaled = head + fma::<FMA>(w, r, fma::<FMA>(w, exp_tail::<FMA>(r, 0.0), rest));
        let positive = times_pow2::<FMA>(scaled, n);
        if x < 0.0 { 2.0 - positive } else { positive }
    }
}

mod single {
    use super::VectorMath;
    use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

    type F = f32;
    type Bits = u32;

    /// e^x rounds to 0 below `EXP_MIN` and overflows above `EXP_MAX`.
    const EXP_MIN: F = -105.0;
    const EXP_MAX: F = 89.0;
    /// ln 2 in 16 + 24 bits.
    const LN2_HIGH: F = 0.69314575;
    const LN2_LOW: F = 1.4286068e-6;
    /// erf(1 + `ERF_SPAN`) rounds to 1.
    const ERF_SPAN: F = 3.0;
    /// erfc rounds to 0 before it.
    const ERFC_END: F = 11.0;

    /// (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, weight r: 2^-25.873
    const EXP: [F; 5] = [0.5, 0.16666542, 0.04166621, 0.008366685, 0.0013952967];
    /// (2 artanh(s) - 2s) / (s z) with z = s^2 on |s| <= 3 - 2 sqrt(2), weight z: 2^-29.093
    const LN: [F; 3] = [0.66666776, 0.3997754, 0.29871845];
    /// erf(x) / x - 1 in z = x^2 on |x| <= 1, weight 1: 2^-25.929
    const ERF: [F; 7] = [0.12837917, -0.37612626, 0.112836, -0.02685444, 0.005189527, -0.0008020756, 7.888807e-05];
    /// ln erfc(1 + t) on 0 <= t <= 3, weight erfc(1 + t): 2^-26.947
    const LN_ERFC: [F; 7] =
        [-1.8496056, -2.6389668, -0.8431183, -0.041500695, 0.009890896, -0.001826161, 0.00018557197];
    /// (1 + 2a) e^(a^2) erfc(a) in q = (a - 2) / (a + 2) on 0 <= a <= 10.2, relative: 2^-29.980
    const ERFC: [f64; 12] = [
        1.276978382687255,
        -0.09276382066685815,
        -0.1660305224052679,
        0.1640510406732647,
        -0.054217815807015825,
        -0.008030875921687403,
        0.008709027725434077,
        0.0012527176701288688,
        -0.0014206325468927412,
        -0.0004007200475999115,
        0.0001692525827815967,
        7.9351671208029e-05,
    ];

    vector_math!();

    /// erfc in `f64` arithmetic, in which neither a^2 nor its exponential loses a digit that counts. The form is that
    /// of M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36 (1981).
    #[inline(always)]
    fn erfc<const FMA: bool>(x: F, low: Option<F>) -> F {
        let low = if x.abs() < ERFC_END { low.unwrap_or(0.0) } else { 0.0 };
        let x = f64::from(x) + f64::from(low);
        let a = x.abs().clamp(0.0, f64::from(ERFC_END));
        let q = (a - 2.0) / (a + 2.0);
        let positive = (-a * a).vexp::<FMA>() * super::double::poly::<FMA, _>(q, &ERFC) / (1.0 + 2.0 * a);
        (if x < 0.0 { 2.0 - positive } else { positive }) as F
    }
}

#[cfg(test)]
mod tests {
    use super::VectorMath;

    // Points (x, f(x)), by mpmath at 60 digits or more, rounded once to f64. Most x are exact in f32 too.
    #[rustfmt::skip]
    const EXP: &[(f64, f64)] = &[
        (9.313225746154785e-10, 1.0000000009313226), (-0.0009765625, 0.9990239141819757),
        (0.3466796875, 1.4143636144605016), (-0.3623046875, 0.6960702516240402),
        (-7.9990234375, 0.00033579038813820244), (88.71875, 3.388937553510308e+38),
        (-87.5, 9.982350930569248e-39), (-100.0, 3.720075976020836e-44),
        (-103.25, 1.44242999044028e-45), (709.78125, 1.7950652241141494e+308),
        (-708.5, 2.006132305331306e-308), (-745.0, 5e-324), (0.1, 1.1051709180756477),
    ];
    #[rustfmt::skip]
    const EXP_M1: &[(f64, f64)] = &[
        (1.401298464324817e-45, 1.401298464324817e-45),
        (-8.673617379884035e-19, -8.673617379884035e-19), (0.0001220703125, 0.00012207776338377108),
        (-0.0048828125, -0.004870910949936913), (0.345703125, 0.41298307419489716),
        (0.34765625, 0.4157455035684666), (-0.3466796875, -0.2929682368975234),
        (-0.69140625, -0.49912877657032556), (1.0400390625, 1.829327532799732),
        (-20.0, -0.9999999979388464), (88.71875, 3.388937553510308e+38),
        (709.78125, 1.7950652241141494e+308), (0.36, 0.43332941456034024),
    ];
    #[rustfmt::skip]
    const LN: &[(f64, f64)] = &[
        (1.401298464324817e-45, -103.27892990343184), (1.1754943508222875e-38, -87.3365447505531),
        (0.0009765625, -6.931471805599453), (0.7060546875, -0.3480625834406884),
        (0.7080078125, -0.3453001507447783), (0.9999999403953552, -5.960464655174753e-08),
        (1.0000001192092896, 1.1920928244535446e-07), (1.4150390625, 0.3471571367212293),
        (11.0, 2.3978952727983707), (1.7014118346046923e+38, 88.02969193111305),
        (5e-324, -744.4400719213812), (0.9999999999999999, -1.1102230246251565e-16),
        (1.7e+308, 709.7268368932282),
    ];
    #[rustfmt::skip]
    const LN_1P: &[(f64, f64)] = &[
        (1.401298464324817e-45, 1.401298464324817e-45),
        (-8.881784197001252e-16, -8.881784197001256e-16), (0.000244140625, 0.0002441108275273627),
        (-0.0068359375, -0.006859409550893143), (-0.2919921875, -0.3453001507447783),
        (-0.2939453125, -0.3480625834406884), (0.4130859375, 0.34577592103203075),
        (0.4150390625, 0.3471571367212293), (-0.9999999403953552, -16.635532333438686),
        (1.2676506002282294e+30, 69.31471805599453), (-0.9999999999999999, -36.7368005696771),
        (0.1, 0.09531017980432487), (1.7e+308, 709.7268368932282),
    ];
    #[rustfmt::skip]
    const TANH: &[(f64, f64)] = &[
        (1.401298464324817e-45, 1.401298464324817e-45),
        (-9.094947017729282e-13, -9.094947017729282e-13), (0.001953125, 0.001953122516476924),
        (-0.09765625, -0.09734698882599686), (0.1728515625, 0.17115042314695508),
        (0.173828125, 0.17209822100645117), (-0.244140625, -0.23940291052998322),
        (0.48828125, 0.4528512179503811), (0.51953125, 0.47733814865097934),
        (-0.5205078125, -0.47809184814021644), (-4.25, -0.9995931460438896),
        (0.49, 0.4542164326822591), (18.9, 0.9999999999999999),
    ];
    #[rustfmt::skip]
    const ERF: &[(f64, f64)] = &[
        (1.401298464324817e-45, 1.581195994027058e-45),
        (-9.094947017729282e-13, -1.0262548740643184e-12), (0.001953125, 0.002203862758376654),
        (-0.09765625, -0.1098439829702428), (-0.87890625, -0.7861178458555979),
        (0.9990234375, 0.8422950185281028), (-1.0, -0.8427007929497149),
        (1.0009765625, 0.843105775616735), (-2.25, -0.9985372834133188), (3.75, 0.9999998862727434),
        (5e-324, 5e-324), (0.97, 0.8298702930356671), (5.8, 0.9999999999999998),
    ];

    #[rustfmt::skip]
    const ERFC: &[(f64, f64)] = &[
        (9.313225746154785e-10, 0.999999998949115), (-0.000244140625, 1.0002754831896183),
        (0.001953125, 0.9977961372416233), (-0.09765625, 1.109843982970243),
        (0.46875, 0.507386526782062), (0.84375, 0.23277433876765838),
        (-0.87890625, 1.7861178458555977), (0.9990234375, 0.1577049814718971),
        (1.25, 0.07709987174354177), (-2.25, 1.9985372834133188), (3.75, 1.1372725656979665e-07),
        (6.5, 3.8421483271206475e-20), (9.125, 4.2346826791392676e-38),
        (9.75, 2.9857008328005782e-43), (10.03125, 1.113350376343767e-45),
        (-0.3, 1.3286267594591274), (0.48, 0.4972503293052351), (0.5040920885627773, 0.475911433721388),
        (0.5853399270992743, 0.4077862309917548), (1.5359796004793136, 0.029840340748237076), (-5.9, 2.0),
        (13.56510574320641, 5.039561727661246e-82), (14.528018299288657, 8.405480418420482e-94),
        (26.5, 2.2109076642637343e-307), (26.6, 1.088512588544227e-309), (27.0, 5.23705e-319), (27.2, 1e-323),
        (27.226, 5e-324),
    ];
    // Points (x, low, erfc(x + low)). In the tails low counts.
    #[rustfmt::skip]
    const ERFC_OF_SUM: &[(f64, f64, f64)] = &[
        (0.3, 2.7755575615628914e-17, 0.6713732405408726), (-0.7, 5.551115123125783e-17, 1.6778011938374184),
        (1.9, -1.1102230246251565e-16, 0.007209570764742536), (8.1, 8.881784197001252e-16, 2.2163085720657218e-30),
        (-3.3, -2.220446049250313e-16, 1.9999969422902035), (20.7, -1.7763568394002505e-15, 2.208548110249051e-188),
        (f64::INFINITY, f64::NAN, 0.0), (f64::MAX, 1e290, 0.0), (f64::MIN, 1e290, 2.0),
    ];

    /// Compares the results for both values of `FMA` with the table, at the points whose x is exact in `$F`.
    macro_rules! within_two_ulp {
        ($F:ident: $($f:ident $table:ident)+) => { $(
            let mut checked = 0;
            for &(x, value) in $table {
                let argument = x as $F;
                if f64::from(argument) != x || value.abs() > f64::from($F::MAX) {
                    continue;
                }
                let nearest = (value as $F).abs();
                let ulp = f64::from(nearest.next_up() - nearest);
                for y in [argument.$f::<false>(), argument.$f::<true>()] {
                    let error = (f64::from(y) - value).abs() / ulp;
                    assert!(error <= 2.0, "{} {x:e}: {y:e} is {error} ulp off", stringify!($f));
                }
                checked += 1;
            }
            assert!(checked >= 8);
        )+ };
    }

    #[test]
    fn f64_within_two_ulp() {
        within_two_ulp!(f64: vexp EXP vexp_m1 EXP_M1 vln LN vln_1p LN_1P vtanh TANH verf ERF verfc ERFC);
    }

    #[test]
    fn f32_within_two_ulp() {
        within_two_ulp!(f32: vexp EXP vexp_m1 EXP_M1 vln LN vln_1p LN_1P vtanh TANH verf ERF verfc ERFC);
    }

    /// Oracle as for the tables above. The last results are subnormal.
    #[test]
    fn exp_times_within_two_ulp() {
        macro_rules! check {
            ($F:ident, $points:expr) => {
                for (x, factor, value) in $points {
                    let (x, factor, value): ($F, $F, $F) = (x, factor, value);
                    for y in [x.vexp_times::<false>(factor), x.vexp_times::<true>(factor)] {
                        assert!((y - value).abs() <= 2.0 * (value.next_up() - value), "{factor} exp({x}): {y:e}");
                    }
                }
            };
        }
        const INF: f64 = f64::INFINITY;
        let points = [
            (-0.0, 1.0, 1.0),
            (-INF, 4.0, 0.0),
            (f64::MIN, 4.0, 0.0),
            (-0.3466796875, 1.5, 1.060547644653715),
            (-8.75, 0.625, 9.903832819734453e-05),
            (-700.0, 3.25, 3.2043948767219253e-304),
            (-738.5, 4.0, 7.51e-321),
            (-746.25, 4.0, 5e-324),
        ];
        check!(f64, points);
        let rest = [(-88.75, 3.25, 9.29497213e-39), (-104.25, 4.0, 2.12256136e-45)];
        let few = points[..5].iter().map(|&(x, factor, value)| (x as f32, factor as f32, value as f32));
        check!(f32, few.chain(rest));
        assert!(f64::NAN.vexp_times::<false>(f64::NAN).is_nan());
    }

    /// The greatest error found in f32 is 2.5 ulp. Constants 1 / cosh(x)^2 by mpmath with 40 digits; f32 as in `f32_over_all_exponents`.
    #[test]
    fn slope_of_tanh_within_three_ulp() {
        for (x, slope) in [
            (0.0_f64, 1.0),
            (1e-9, 1.0),
            (0.03125, 0.9990240729312235),
            (-0.25, 0.940014848806378),
            (0.4375, 0.830610089272482),
            (0.55, 0.7494795181900823),
            (-0.8125, 0.5498031853302677),
            (1.0, 0.4199743416140261),
            (1.7, 0.1250098706334466),
            (-2.5, 0.02659222668316062),
            (3.3, 0.005426697495892982),
            (5.0, 0.0001815832309438067),
            (-8.75, 1.0043996118566606e-07),
            (12.0, 1.510053817597626e-10),
            (17.5, 2.5220467040587925e-15),
            (21.0, 2.299808905717424e-18),
            (-25.0, 7.714999391855671e-22),
        ] {
            for (value, partial) in [x.vtanh_slope::<false>(), x.vtanh_slope::<true>()] {
                assert!((partial - slope).abs() <= 3.0 * (slope.next_up() - slope), "tanh'({x}): {partial:e}");
                assert!(value == x.vtanh::<false>() || value == x.vtanh::<true>());
            }
        }
        for x in (0..=u32::MAX).step_by(8_191).map(f32::from_bits).filter(|x| x.abs() <= f32::SLOPE_REACH) {
            let slope = f64::from(x).cosh().powi(-2);
            let ulp = (slope as f32).next_up() - slope as f32;
            for (_, partial) in [x.vtanh_slope::<false>(), x.vtanh_slope::<true>()] {
                assert!((f64::from(partial) - slope).abs() <= 3.0 * f64::from(ulp), "tanh'({x}): {partial:e}");
            }
        }
        assert!(f64::NAN.vtanh_slope::<false>().1.is_nan() && f32::NAN.vtanh_slope::<true>().1.is_nan());
    }

    #[test]
    fn erfc_of_sum_within_two_ulp() {
        for &(x, low, value) in ERFC_OF_SUM {
            for y in [x.verfc_of_sum::<false>(low), x.verfc_of_sum::<true>(low)] {
                assert!((y - value).abs() <= 2.0 * (value.next_up() - value), "erfc({x:e} + {low:e}): {y:e}");
            }
        }
        for (x, low, value) in
            [(2.25_f32, 1e-7, 0.00146271587), (9.0, -4e-7, 4.13706171e-37), (f32::INFINITY, f32::NAN, 0.0)]
        {
            for y in [x.verfc_of_sum::<false>(low), x.verfc_of_sum::<true>(low)] {
                assert!((y - value).abs() <= value.next_up() - value, "erfc({x:e} + {low:e}): {y:e}");
            }
        }
    }

    /// Every exponent of f32. The oracle is the f64 function, whose error is below 2^-28 ulp of f32.
    #[test]
    fn f32_over_all_exponents() {
        for x in (0..=u32::MAX).step_by(65_521).map(f32::from_bits).filter(|x| !x.is_nan()) {
            let wide = f64::from(x);
            for (name, value, [plain, fused]) in [
                ("exp", wide.exp(), [x.vexp::<false>(), x.vexp::<true>()]),
                ("exp_m1", wide.exp_m1(), [x.vexp_m1::<false>(), x.vexp_m1::<true>()]),
                ("ln", wide.ln(), [x.vln::<false>(), x.vln::<true>()]),
                ("ln_1p", wide.ln_1p(), [x.vln_1p::<false>(), x.vln_1p::<true>()]),
                ("tanh", wide.tanh(), [x.vtanh::<false>(), x.vtanh::<true>()]),
                ("erf", libm::erf(wide), [x.verf::<false>(), x.verf::<true>()]),
                ("erfc", libm::erfc(wide), [x.verfc::<false>(), x.verfc::<true>()]),
            ] {
                let nearest = value as f32;
                let tolerance = 2.0 * f64::from(nearest.abs().next_up() - nearest.abs());
                for y in [plain, fused] {
                    let close = (f64::from(y) - value).abs() <= tolerance;
                    let same = y == nearest || y.is_nan() && nearest.is_nan();
                    assert!(close || same, "{name} {x:e}: {y:e} instead of {nearest:e}");
                }
            }
        }
    }

    /// Compares limits and exact values bit by bit, the sign of zero included.
    macro_rules! exact {
        ($F:ident, $($f:ident: $($x:expr => $value:expr),+;)+) => { $( $(
            let (x, value): ($F, $F) = ($x, $value);
            for y in [x.$f::<false>(), x.$f::<true>()] {
                let same = y.to_bits() == value.to_bits() || y.is_nan() && value.is_nan();
                assert!(same, "{} {x:e}: {y:e} instead of {value:e}", stringify!($f));
            }
        )+ )+ };
    }

    macro_rules! edges {
        ($F:ident) => {{
            const INF: $F = $F::INFINITY;
            const NAN: $F = $F::NAN;
            exact! { $F,
                vexp: 0.0 => 1.0, -0.0 => 1.0, INF => INF, -INF => 0.0, NAN => NAN,
                    $F::MAX => INF, $F::MIN => 0.0, 710.0 => INF, -746.0 => 0.0;
                vexp_m1: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -1.0, NAN => NAN,
                    $F::MAX => INF, $F::MIN => -1.0, 710.0 => INF;
                vln: 1.0 => 0.0, 0.0 => -INF, -0.0 => -INF, INF => INF, NAN => NAN,
                    -1.0 => NAN, -INF => NAN, -$F::MIN_POSITIVE * $F::EPSILON => NAN;
                vln_1p: 0.0 => 0.0, -0.0 => -0.0, -1.0 => -INF, INF => INF, NAN => NAN,
                    -1.5 => NAN, -INF => NAN;
                vtanh: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, NAN => NAN,
                    20.0 => 1.0, $F::MIN => -1.0;
                verf: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, NAN => NAN,
                    6.0 => 1.0, $F::MIN => -1.0;
                verfc: 0.0 => 1.0, -0.0 => 1.0, INF => 0.0, -INF => 2.0, NAN => NAN,
                    30.0 => 0.0, $F::MAX => 0.0, $F::MIN => 2.0;
            }
        }};
    }

    #[test]
    fn edges() {
        edges!(f64);
        edges!(f32);
    }
}
