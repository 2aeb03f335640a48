//! Random recurrences as programs: the steps become turns of loops.

use proptest::prelude::*;
use wengert::trace::Recorded;
use wengert::{Program, Real, Var};

use crate::cases::{agree, config};
use crate::strategies::menus;
use crate::support::close::largest;
use crate::support::programs::from_menu;
use crate::support::structures::point;

/// Some units whose next values depend on what `reads` says.
#[derive(Debug)]
struct Recurrence {
    menu: Vec<(u8, [usize; 2])>,
    units: usize,
    turns: usize,
    /// For every second unit, the three numbers that its next value reads.
    reads: [[u8; 3]; 2],
    /// The turn whose values the later ones read, and the period of turns that read otherwise.
    anchor: usize,
    period: usize,
    /// True if every turn adds to the result.
    total: bool,
    /// True if every turn takes a sum of many terms.
    wide: bool,
}

const READS: u8 = 22;

impl Recurrence {
    fn call<R: Real<Base = f64>>(&self, x: &[R], data: &[R]) -> R {
        let &Self { units, turns, anchor, period, .. } = self;
        let cycle = |list: &[R], i: usize| list[i % list.len()];
        let before: Vec<R> =
            (0..30).map(|i| from_menu(&self.menu, [cycle(x, i), cycle(x, 3 * i + 1), cycle(data, i)])).collect();
        let mut past: Vec<Vec<R>> = vec![(0..units).map(|i| cycle(x, i) * R::lit(0.5 + i as f64 * 0.1)).collect()];
        let mut total = R::zero();
        for t in 0..turns {
            let last = past.len() - 1;
            let mut now: Vec<R> = Vec::new();
            for i in 0..units {
                let number = |read: u8| match read {
                    0 => past[last][i],
                    1 => cycle(&past[last], i + 1),
                    // Results of some turns ago.
                    2 => past[last.saturating_sub(1)][i],
                    3 => past[last.saturating_sub(2)][0],
                    4 => past[last / period][i],
                    // Results of one turn, which all later turns share.
                    5 => past[anchor.min(last)][i],
                    6 => cycle(&past[anchor.min(last)], 7 * i + 2),
                    // Results of the turn itself, always or in some turns.
                    7 => now.last().copied().unwrap_or(past[last][0]),
                    8 => now.first().copied().unwrap_or(past[last][i]),
                    9 if t.is_multiple_of(period) => now.last().copied().unwrap_or(before[0]),
                    9 => cycle(&past[last], i + 2),
                    // Inputs, data and constants: in order, in no order, one kind in some turns and another one in others.
                    10 => cycle(x, t),
                    11 => cycle(data, t),
                    12 => cycle(&before, t),
                    13 => cycle(&before, t * t + i),
                    14 => x[0],
                    15 => cycle(if t.is_multiple_of(2) { x } else { data }, i),
                    16 => cycle(if t.is_multiple_of(3) { data } else { x }, i + t),
                    17 => R::lit((t as f64 * 0.7 + i as f64).sin()),
                    18 if t.is_multiple_of(period) => past[last][i],
                    18 => cycle(&before, i),
                    19 => {
                        if t > 5 {
                            x[0]
                        } else {
                            data[0]
                        }
                    }
                    20 => {
                        if t < 4 {
                            x[0]
                        } else {
                            data[0]
                        }
                    }
                    _ => total,
                };
                let y = from_menu(&self.menu, self.reads[i % 2].map(number));
                // A contraction, so that hundreds of turns have a derivative.
                now.push(R::lit(0.4) * (y * R::lit(0.2)).sin() + R::lit(0.3) * past[last][i]);
            }
            if self.wide {
                let term = |i: usize| (cycle(&now, i) * cycle(x, i) * cycle(data, i) + before[i]).tanh().exp();
                now[0] = now[0] + (0..20).map(term).sum::<R>() * R::lit(0.01);
            }
            if self.total {
                total += (now[0] - cycle(data, t)).square() * R::lit(0.01);
            }
            past.push(now);
        }
        total + past[turns].iter().map(|y| y.exp()).sum::<R>()
    }
}

fn recurrences() -> impl Strategy<Value = Recurrence> {
    let reads = prop::array::uniform2(prop::array::uniform3(0..READS));
    let sizes = (prop_oneof![1..9_usize, 9..30_usize], 8..150_usize, 0..12_usize, 2..9_usize);
    (menus(), reads, sizes, any::<[bool; 2]>()).prop_map(
        |(menu, reads, (units, turns, anchor, period), [total, wide])| {
            let menu = menu.into_iter().take(6).collect();
            Recurrence { menu, units, turns, reads, anchor, period, total, wide }
        },
    )
}

proptest! {
    // They take long in a debug build.
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn random_recurrences(f in recurrences(), [n, m] in prop::array::uniform2(1..40_usize), shift in -3.0..3.0_f64) {
        let (x, data) = (point(n, shift), point(m, shift + 1.0));
        let mut program = Program::with_data(
            |x: &[Recorded<'_>], data| f.call(x, data),
            &point(n, 0.0)[..],
            &point(m, 0.5),
        ).unwrap();
        program.set_data(&data);
        let constants: Vec<Var<'_>> = data.iter().map(|&d| Var::constant(d)).collect();
        let (want, partials) = wengert::value_and_grad(|x: &[Var<'_>]| f.call(x, &constants), &x);
        let mut gradient = vec![9.0; n];
        let value = program.value_and_grad(&x, &mut gradient).unwrap();
        prop_assert!((value - want).abs() <= 1e-10 * (1.0 + want.abs()), "value {value:e}, should be {want:e}");
        prop_assert!(agree(program.value(&x).unwrap(), value, 0.0));
        let scale = largest(&partials);
        for (i, (got, want)) in gradient.iter().zip(&partials).enumerate() {
            prop_assert!((got - want).abs() <= 1e-10 * (1e-3 + scale), "partial {i} is {got:e}, should be {want:e}");
        }
    }
}
