//! Functions of arrays: steps that make arrays of arrays, as a model does.

use wengert::Real;

use super::programs::from_menu;

/// A step of a function of arrays.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) kind: usize,
    /// The arrays that the step takes.
    pub(crate) from: [usize; 3],
    /// The ways in which it runs through them.
    pub(crate) order: [usize; 3],
    pub(crate) len: usize,
    pub(crate) menu: Vec<(u8, [usize; 2])>,
}

pub(crate) const KINDS: usize = 14;

/// The place that term `i` reads in an array of `n` numbers.
fn place(order: usize, i: usize, n: usize) -> usize {
    match order % 8 {
        0 | 1 => i % n,
        2 => (i + 1) % n,
        3 => n - 1 - i % n,
        4 => 3 * i % n,
        5 => i * i % n,
        6 => i / 7 % n,
        _ => 0,
    }
}

/// Steps that make arrays of arrays: terms, sums and sums of sums, chains, products of matrices, comparisons.
pub(crate) fn stages<R: Real<Base = f64>>(stages: &[Stage], x: &[R]) -> Vec<R> {
    let mut arrays: Vec<Vec<R>> = vec![x.to_vec()];
    for stage in stages {
        let pick = |k: usize| &arrays[stage.from[k] % arrays.len()];
        let at = |k: usize, i: usize| pick(k)[place(stage.order[k], i, pick(k).len())];
        let term = |i: usize| from_menu(&stage.menu, [at(0, i), at(1, i), at(2, i)]);
        let terms = 0..stage.len;
        let mean = R::lit(1.0 / stage.len as f64);
        let next = match stage.kind {
            // Terms of a few operations, or of one.
            0 | 1 => terms.map(term).collect(),
            2 => terms.map(|i| at(0, i) * R::lit(((i * stage.len) as f64).sin()) + at(1, i)).collect(),
            // Sums: of terms, of what is there already, of both, of differences.
            3 => vec![terms.map(term).sum::<R>() * mean],
            4 => vec![terms.map(|i| at(0, i)).sum::<R>() * mean],
            5 => {
                let (sines, cosines) = (terms.clone().map(|i| at(0, i).sin()), terms.map(|i| at(1, i).cos()));
                vec![sines.map(|y| y * mean).sum::<R>() + cosines.map(|y| y * mean).sum::<R>()]
            }
            6 => {
                let mut sum = at(2, 0);
                for i in terms {
                    sum = if i % 3 == 0 { sum - at(0, i).tanh() * mean } else { sum + at(1, i) * mean };
                }
                vec![sum, sum.sin(), sum * at(0, 1)]
            }
            // Sums of sums, and products of a matrix and a vector.
            7 => {
                let row = |r: usize| (0..stage.len).map(|i| at(0, i + r) * at(1, i * r)).sum::<R>() * mean;
                (0..1 + stage.len / 3).map(row).collect()
            }
            8 => {
                let part = |r: usize| (0..20).map(|i| (at(0, i + r) * at(1, r)).sin()).sum::<R>();
                vec![(0..1 + stage.len / 9).map(|r| part(r) * mean * R::lit(0.05)).sum::<R>()]
            }
            // A chain, of one number or of three.
            9 => {
                let mut s = at(0, 0).sin();
                let next = |i: usize| {
                    s = (s * R::lit(0.5) + at(1, i).sin() * R::lit(0.7) + at(2, i).cos()).tanh();
                    s
                };
                terms.map(next).collect()
            }
            10 => {
                let mut s = [at(0, 0), at(1, 1), at(2, 2)].map(|s| s.sin());
                for i in terms {
                    let y = from_menu(&stage.menu, [s[0], s[1] * at(0, i).tanh(), s[2]]);
                    s = [s[1], (y * R::lit(0.1)).sin(), s[0] * R::lit(0.9)];
                }
                s.to_vec()
            }
            // Comparisons.
            11 => vec![terms.map(|i| at(0, i)).fold(at(1, 0), Real::maximum)],
            12 => {
                terms.map(|i| if at(0, i) < R::lit(0.1) { at(1, i) } else { at(2, i).square() * R::lit(0.3) }).collect()
            }
            // Two arrays in one.
            _ => pick(0).iter().chain(pick(1)).take(300).map(|&y| y * R::lit(0.5)).collect(),
        };
        arrays.push(next);
    }
    // Bounded, so that no sum of squares overflows.
    arrays.iter().map(|array| array.iter().map(|&y| (y * R::lit(0.3)).sin()).sum::<R>() * R::lit(0.1)).collect()
}
