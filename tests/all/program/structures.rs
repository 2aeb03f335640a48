//! Functions with lanes of every kind of access to their operands, of random expressions.

use proptest::prelude::*;
use wengert::{BaseFloat, Real, hvp};

use super::{Function, assert_like_tape, program};
use crate::support::cases::config;
use crate::support::programs::{combined, from_menu, menus};

/// How the terms of a function take their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
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

/// What is done with the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
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

const ACCESSES: [Access; 9] = [Window, Ring, Reversed, Strided, Gathered, Shared, Segments, Transposed, Data];
const USES: [Use; 10] =
    [Use::Sum, Sums, Second, LogSumExp, Max, Recurrence, Nested, Everywhere, Differences, Use::Product];

#[derive(Clone, Debug)]
struct Structure {
    access: Access,
    of: Use,
    expression: Vec<(u8, [usize; 2])>,
    terms: usize,
}

impl Structure {
    fn operands<R: Real>(&self, x: &[R], i: usize) -> [R; 3] {
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
                let top = y.iter().copied().fold(y[0], R::maximum);
                y.iter().map(|&y| (y - top).exp()).sum::<R>().ln() + top
            }
            Max => {
                let top = y.iter().copied().fold(R::lit(-1e30), R::max);
                top * y.iter().copied().fold(y[0], R::minimum)
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

fn expression() -> Vec<(u8, [usize; 2])> {
    vec![(2, [0, 1]), (6, [3, 2]), (3, [4, 0]), (11, [5, 1]), (10, [1, 2])]
}

fn point(n: usize, shift: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64) * 0.73 + shift).sin() * 1.5).collect()
}

/// Every access with every use, few terms and many, recorded at one point and run at another.
#[test]
fn every_access_with_every_use() {
    let mut count = 0;
    for access in ACCESSES {
        for of in USES {
            for (terms, n) in [(1, 3), (5, 4), (9, 9), (100, 49), (340, 100)] {
                let f = Structure { access, of, expression: expression(), terms };
                let mut double = program(&f, &point(n, 0.0));
                let single: Vec<f32> = point(n, 0.3).iter().map(|&x| x as f32).collect();
                let mut single_program = program(&f, &single);
                let case = || format!("{access:?} {of:?}, {terms} terms of {n} inputs");
                for shift in [0.0, 1.1] {
                    count += 1;
                    assert_like_tape(&case, &mut double, &f, &point(n, shift), 1e-12);
                }
                let x: Vec<f32> = point(n, 1.1).iter().map(|&x| x as f32).collect();
                assert_like_tape(&case, &mut single_program, &f, &x, 4e-4);
                if terms <= 9 || matches!(access, Ring | Segments) && terms == 100 {
                    let (x, v) = (point(n, 0.7), point(n, 2.0));
                    let mut product = vec![0.0; n];
                    double.hvp(&x, &v, &mut product).unwrap();
                    let want = hvp(|x| f.call(x), &x, &v);
                    let scale = want.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
                    for (got, want) in product.iter().zip(&want) {
                        assert!((got - want).abs() <= 1e-11 * scale, "{}: hvp {got} {want}", case());
                    }
                }
            }
        }
    }
    assert_eq!(count, 9 * 10 * 5 * 2);
}

fn structures() -> impl Strategy<Value = Structure> {
    let of = (0..ACCESSES.len(), 0..USES.len(), menus(), 1..150_usize);
    of.prop_map(|(access, of, expression, terms)| Structure {
        access: ACCESSES[access],
        of: USES[of],
        expression,
        terms,
    })
}

/// Two structures, one inside of the other's inputs.
struct Composed(Structure, Structure);

impl Function for Composed {
    fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
        let inner: Vec<R> = (0..20).map(|k| x[k % x.len()].sin() + self.0.operands(x, k)[1] * R::lit(0.5)).collect();
        let first = self.0.call(&inner);
        self.1.call(x) * first + combined(&inner)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_structures(f in structures(), n in 3..60_usize, shift in -3.0..3.0_f64) {
        let mut program = program(&f, &point(n, 0.0));
        assert_like_tape(&|| format!("{f:?}, {n} inputs at {shift}"), &mut program, &f, &point(n, shift), 1e-11);
    }

}

proptest! {
    // They take long in a debug build.
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn structures_of_structures(f in structures(), g in structures(), n in 3..40_usize, shift in -3.0..3.0_f64) {
        let f = Composed(f, g);
        let mut program = program(&f, &point(n, 0.0));
        let case = || format!("{:?} {:?}, {n} inputs at {shift}", f.0, f.1);
        assert_like_tape(&case, &mut program, &f, &point(n, shift), 1e-10);
        // The order of the recording, bit for bit.
        let mut exact = program.clone().exact(true);
        let x = point(n, shift);
        prop_assert_eq!(exact.value(&x).unwrap().to_bits(), f.call(&x).to_bits());
    }
}
