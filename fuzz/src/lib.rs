//! Fuzzers: what bytes mean, and what must hold for all of them.
//!
//! | target | bytes are | oracle |
//! |---|---|---|
//! | [`scalars`] | a program over the table of rules, inputs, special values | dual numbers; recordings and programs against the tape |
//! | [`tensors`] | a program over arrays in every layout | the same operations by plain loops over dual numbers |
//! | `programs` | a program over nearly every operation on arrays, with the feature `outside` | the tape after `clear` and after a panic; dual numbers on the tape; PyTorch and JAX by `tests/oracle/programs` |
//! | [`files`] | a file, or a real one with changes | no panic, bounded memory under libFuzzer's limit, what was read can be written and read |
//!
//! `fuzz/run MINUTES` lets libFuzzer look for bytes that break them; `cargo test` here runs the kept cases in `cases/` and
//! some thousand pseudo-random ones.

use wengert::Dual;

pub mod files;
#[cfg(feature = "outside")]
pub mod programs;
pub mod scalars;
pub mod tensors;

/// Bytes that are taken from the front; zeros when there are none left.
pub struct Bytes<'a>(pub &'a [u8]);

/// Numbers at which rules and conventions meet.
const SPECIAL: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    5e-324,
    -1e-310,
    f64::MIN_POSITIVE,
    f64::MAX,
    -1e300,
    1e-300,
    1e16,
    std::f64::consts::FRAC_PI_2,
];

impl Bytes<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `n`; 0 for no number at all.
    pub fn below(&mut self, n: usize) -> usize {
        let byte = usize::from(self.byte());
        if n > 256 { (byte << 8 | usize::from(self.byte())) % n } else { byte % n.max(1) }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// A number between -2 and 2 in steps that meet kinks and ties, or with `special` often one at the edge of a rule.
    pub fn number(&mut self, special: bool) -> f64 {
        let byte = self.byte();
        if special && byte % 2 == 1 {
            SPECIAL[usize::from(byte / 2) % SPECIAL.len()]
        } else {
            (f64::from(byte) - 128.0) / 64.0
        }
    }
}

/// A number between 0 and 1 that is not like those of [`Bytes::number`], so that directions meet no kink.
pub fn direction(k: usize) -> f64 {
    ((k as f64 + 1.0) * 0.618_033_988_749_894_8).fract() + 0.1
}

/// True if two numbers agree to a part of `scale`, which is finite; where a number is not finite, both must be the same.
pub fn agree(a: f64, b: f64, scale: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-8 * (scale + 1e-3)
}

/// For each element how many are less, and how many are not greater.
pub fn ranks(x: &[f64]) -> Vec<i64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let less = |x: f64| sorted.partition_point(|&y| y < x) as i64;
    let not_greater = |x: f64| sorted.partition_point(|&y| y <= x) as i64;
    x.iter().flat_map(|&x| [less(x), not_greater(x)]).collect()
}

/// An input that moves along its [`direction`].
pub fn moving(x: f64, k: usize) -> Dual<f64> {
    Dual::new(x, [direction(k)])
}

/// The next number of the generator splitmix64.
pub fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// Runs a check on the kept cases and on pseudo-random bytes.
    fn all(target: &str, rounds: u64, check: fn(&[u8])) {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/");
        for entry in fs::read_dir(cases.to_owned() + target).into_iter().flatten() {
            check(&fs::read(entry.expect("an entry").path()).expect("a case"));
        }
        let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
        let first = number("FIRST").unwrap_or(0);
        for round in first..first + number("ROUNDS").unwrap_or(rounds) {
            let mut state = crate::splitmix(&mut round.clone());
            let len = crate::splitmix(&mut state) % 200;
            let bytes: Vec<u8> = (0..len).map(|_| crate::splitmix(&mut state) as u8).collect();
            let result = std::panic::catch_unwind(|| check(&bytes));
            if let Err(panic) = result {
                eprintln!("round {round} of {target}: {bytes:?}");
                std::panic::resume_unwind(panic);
            }
        }
    }

    #[test]
    fn scalars() {
        all("scalars", 2_000, crate::scalars::check);
    }

    #[test]
    fn tensors() {
        all("tensors", 3_000, crate::tensors::check);
    }

    #[test]
    #[cfg(feature = "outside")]
    fn programs() {
        all("programs", 500, crate::programs::check);
    }

    /// The sample that `tests/oracle/programs` compares with PyTorch and JAX.
    #[test]
    #[cfg(feature = "outside")]
    fn sample() {
        for (seed, committed) in include_str!("../../tests/oracle/programs.json").lines().enumerate() {
            let line = crate::programs::line(seed as u64);
            let words = |line| str::split(line, [' ', ',', ':', '[', ']', '{', '}', '"']);
            let close = |a: &str, b: &str| match (a.parse(), b.parse()) {
                (Ok(a), Ok(b)) => crate::agree(a, b, 1e3 * f64::abs(b)),
                _ => a == b,
            };
            let mut pairs = words(&*line).zip(words(committed));
            assert!(pairs.all(|(a, b)| close(a, b)), "program {seed} is not that of the sample any more:\n{line}");
        }
    }

    #[test]
    fn files() {
        all("files", 10_000, crate::files::check);
    }
}
