//! The noise of a computed function, read off a difference table.
//!
//! Hamming (*Introduction to Applied Numerical Analysis*, 1971, ch. 6) observed that repeated
//! differences of a smooth function die out, while the differences of its rounding errors grow in a known way.
//! Moré & Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011), turned this observation into an
//! algorithm. With `f(t + kδ)`, `k = 0..=m`, and independent errors of standard deviation `σ`,
//!
//! ```text
//! σ_k² = γ_k · mean (Δᵏf)²,   γ_k = (k!)² / (2k)!,   E[σ_k²] = σ²  once Δᵏ of the smooth part is gone
//! ```
//!
//! so `σ_k` falls with `k` until it reaches the noise and stays there.

/// The number of points of an equispaced sample.
pub(super) const POINTS: usize = 9;

/// The largest factor between two `σ_k` on the plateau (Moré & Wild §3).
const PLATEAU: f64 = 4.0;

/// The noise level of equispaced samples: a standard deviation, in the units of the values.
///
/// The level is never below `0.3 grain · max|f|`, the standard deviation of rounding a result once to `grain` (the
/// spacing of floats at 1). Without a plateau, the highest differences still bound the noise from above.
pub(super) fn level(values: &[f64; POINTS], grain: f64) -> f64 {
    const ORDERS: usize = POINTS - 1;
    let height = values.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
    // The values are scaled so that their squares stay in range.
    let mut differences = values.map(|v| v / height);
    let mut sigma = [0.0; ORDERS + 1];
    let mut alternates = [false; ORDERS + 1];
    let mut gamma = 1.0;
    for k in 1..=ORDERS {
        for j in 0..=(ORDERS - k) {
            differences[j] = differences[j + 1] - differences[j];
        }
        let row = &differences[..=(ORDERS - k)];
        let k_ = k as f64;
        gamma *= k_ / (2.0 * (2.0 * k_ - 1.0));
        sigma[k] = (gamma * row.iter().map(|d| d * d).sum::<f64>() / row.len() as f64).sqrt();
        alternates[k] = row.iter().any(|d| *d <= 0.0) && row.iter().any(|d| *d >= 0.0);
    }
    let plateau = (2..=ORDERS - 2).find_map(|k| {
        let window = &sigma[k..k + 3];
        let high = window.iter().copied().fold(0.0, f64::max);
        let low = window.iter().copied().fold(f64::INFINITY, f64::min);
        (alternates[k] && high <= PLATEAU * low).then_some(high)
    });
    let measured = plateau.unwrap_or_else(|| sigma[ORDERS - 1].max(sigma[ORDERS]));
    (measured * height).max(rounding(values, grain))
}

/// The noise of rounding each value once; near zero the spacing of floats is that of subnormal numbers.
pub(super) fn rounding(values: &[f64], grain: f64) -> f64 {
    let least = if grain > 1e-12 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    (0.3 * grain * values.iter().fold(0.0, |m: f64, v| m.max(v.abs()))).max(least)
}

/// The spacing at 1 of the floats of the shorter type, f32, f16 or bf16, that holds all these values, or `unit` if
/// there is none.
///
/// The values at points with random last bits also end in random bits, unless the function rounds the values to a
/// shorter type. Integers, and values that need fewer bits than a type has, are rounded on purpose, as by a floor.
pub(super) fn grain(values: impl IntoIterator<Item = f64>, unit: f64) -> f64 {
    let digits = |v: &f64| 53 - (v.to_bits() | 1 << 52).trailing_zeros() as i32;
    let values = values.into_iter().filter(|v| v.is_normal() && v.fract() != 0.0);
    let digits = match values.map(|v| digits(&v)).max() {
        Some(20..=24) => 24,
        Some(9..=11) => 11,
        Some(6..=8) => 8,
        _ => return unit,
    };
    f64::from(1 - digits).exp2().max(unit)
}

/// True if the samples lie on a staircase: half of the neighbouring values are equal (Moré & Wild: step too small).
pub(super) fn is_flat(values: &[f64; POINTS]) -> bool {
    values.windows(2).filter(|w| w[0] == w[1]).count() >= POINTS / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additive_noise_is_measured_within_a_factor() {
        // The noise is a fixed sequence in (-1, 1) with standard deviation 1/sqrt(3).
        let mut state = 1_u64;
        for _ in 0..200 {
            let values = std::array::from_fn(|k| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let noise = (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
                (1.0 + k as f64 / 512.0).sin() + 1e-9 * noise
            });
            let sigma = level(&values, f64::EPSILON);
            assert!((5e-11..5e-9).contains(&sigma), "{sigma:e}");
        }
    }

    #[test]
    fn smooth_function_shows_only_rounding() {
        let values = std::array::from_fn(|k| (1.0 + k as f64 / 512.0).exp());
        assert!(level(&values, f64::EPSILON) < 1e-14);
    }

    /// Numbers rounded to the digits of f32, f16 and bf16, and to digits of no type.
    #[test]
    fn grains_of_shorter_types() {
        let rounded = |digits: i32| {
            move |k: usize| {
                let x = (1.0 + k as f64 / 7.0).sqrt();
                let unit = f64::from(1 - digits).exp2();
                (x / unit).round() * unit
            }
        };
        for (digits, grain_of) in [(24, 24), (11, 11), (8, 8), (15, 53), (30, 53), (5, 53)] {
            let values: Vec<f64> = (1..12).map(rounded(digits)).collect();
            assert_eq!(grain(values, f64::EPSILON), f64::from(1 - grain_of).exp2(), "{digits} digits");
        }
        // Numbers of a type may need fewer digits than the type has, but not many fewer.
        for (digits, grain_of) in [(20, 24), (19, 53), (9, 11), (6, 8)] {
            assert_eq!(grain([1.0 + f64::from(1 - digits).exp2()], f64::EPSILON), f64::from(1 - grain_of).exp2());
        }
        assert_eq!(grain([0.1_f32, 0.7].map(f64::from), f64::from(f32::EPSILON)), f64::from(f32::EPSILON));
        assert_eq!(grain([3.0, 0.0, f64::INFINITY], f64::EPSILON), f64::EPSILON, "integers are rounded on purpose");
    }
}
