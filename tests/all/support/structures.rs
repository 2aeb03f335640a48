//! Functions with lanes of every kind of access to their operands.

use wengert::{BaseFloat, Real};

use super::program::Function;
use super::programs::from_menu;

/// The way in which the terms of a function take their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Term i takes inputs i, i + 1, i + 2.
    Window,
    /// The neighbours of a ring.
    Ring,
    /// From the last to the first.
    Reversed,
    /// Every third, every second.
    Strided,
    /// By an index, some of which repeat.
    Gathered,
    /// One input is that of all terms.
    Shared,
    /// One input is that of eleven terms each.
    Segments,
    /// A matrix, by rows and columns.
    Transposed,
    /// Constants of the term in place of an input.
    Data,
}

/// The use of the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Sum,
    /// Three sums over the same terms, which are then combined.
    Sums,
    /// The terms are needed by their neighbours.
    Second,
    /// log Σ exp.
    LogSumExp,
    /// The maximum of all.
    Max,
    /// A chain, each of whose links needs a term.
    Recurrence,
    /// Sums of seven terms each, their squares summed up.
    Nested,
    /// All terms are needed by a few.
    Everywhere,
    /// Alternating signs, by subtraction.
    Differences,
    /// A product.
    Product,
}

use Access::*;
use Use::*;

pub(crate) const ACCESSES: [Access; 9] =
    [Window, Ring, Reversed, Strided, Gathered, Shared, Segments, Transposed, Data];
pub(crate) const USES: [Use; 10] =
    [Use::Sum, Sums, Second, LogSumExp, Max, Recurrence, Nested, Everywhere, Differences, Use::Product];

#[derive(Clone, Debug)]
pub(crate) struct Structure {
    pub(crate) access: Access,
    pub(crate) of: Use,
    pub(crate) expression: Vec<(u8, [usize; 2])>,
    pub(crate) terms: usize,
}

impl Structure {
    pub(crate) fn operands<R: Real>(&self, x: &[R], i: usize) -> [R; 3] {
        let n = x.len();
        let number = |k: usize| R::lit(((i * 7 + k) as f64 * 0.37).sin());
        match self.access {
            Window => [x[i % n], x[(i + 1) % n], x[(i + 2) % n]],
            Ring => [x[(i + n - 1) % n], x[i % n], x[(i + 1) % n]],
            Reversed => [x[n - 1 - i % n], x[i % n], x[n - 1 - i % n]],
            Strided => [x[3 * i % n], x[2 * i % n], x[i % n]],
            Gathered => [x[i * i % n], x[(i * 31 + 5) % n], x[i / 3 % n]],
            Shared => [x[0], x[i % n], x[n - 1]],
            Segments => [x[i / 11 % n], x[i % n], x[i % 11 % n]],
            Transposed => {
                let m = (n as f64).sqrt() as usize;
                let (row, column) = (i / m % m, i % m);
                [x[row * m + column], x[column * m + row], x[row]]
            }
            Data => [x[i % n], number(0), if i.is_multiple_of(2) { number(1) } else { R::lit(0.25) }],
        }
    }
}

impl<F: BaseFloat> Function<F> for Structure {
    fn call<R: Real<Base = F>>(&self, x: &[R]) -> R {
        let y: Vec<R> = (0..self.terms).map(|i| from_menu(&self.expression, self.operands(x, i))).collect();
        let mean = R::lit(1.0 / self.terms as f64);
        let n = y.len();
        match self.of {
            Use::Sum => y.iter().copied().sum::<R>() * mean,
            Sums => {
                let [mut s, mut t, mut u] = [R::zero(); 3];
                for &y in &y {
                    s += y;
                    t += y * y;
                    u += y.sin() * s.cos();
                }
                (s * mean).tanh() + (t * mean).sqrt() * R::lit(0.5) + u * mean
            }
            Second => (0..n).map(|i| (y[i] - y[(i + 1) % n]).square() * y[(i + 5) % n].tanh()).sum::<R>() * mean,
            LogSumExp => {
                let top = y.iter().copied().fold(y[0], wengert::Real::maximum);
                y.iter().map(|&y| (y - top).exp()).sum::<R>().ln() + top
            }
            Max => {
                let top = y.iter().copied().fold(R::lit(-1e30), num_traits::Float::max);
                top * y.iter().copied().fold(y[0], wengert::Real::minimum)
            }
            Recurrence => y.iter().fold(R::lit(0.1), |s, &y| (s * y * R::lit(0.7) + y * R::lit(0.1)).tanh()),
            Nested => y.chunks(7).map(|part| part.iter().copied().sum::<R>().square() * R::lit(0.1)).sum::<R>() * mean,
            Everywhere => {
                let weight = |k: usize, i: usize| R::lit(((k * 13 + i) as f64 * 0.11).cos());
                let layer: Vec<R> = (0..12)
                    .map(|k| ((0..n).map(|i| y[i] * weight(k, i)).sum::<R>() * mean + x[k % x.len()]).tanh())
                    .collect();
                layer.iter().map(|&h| h * x[0] + h.square()).sum()
            }
            Differences => {
                let mut s = y[0];
                for (i, &y) in y.iter().enumerate() {
                    s = if i % 3 == 0 { s + y } else { s - y };
                }
                s * mean
            }
            Use::Product => y.iter().fold(R::one(), |p, &y| p * (R::one() + y * mean)),
        }
    }
}

pub(crate) fn expression() -> Vec<(u8, [usize; 2])> {
    vec![(2, [0, 1]), (6, [3, 2]), (3, [4, 0]), (11, [5, 1]), (10, [1, 2])]
}

pub(crate) fn point(n: usize, shift: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64) * 0.73 + shift).sin() * 1.5).collect()
}
