//! Random recurrences as programs: the steps become turns of loops.

use proptest::prelude::*;
use wengert::Real;

use crate::cases::config;
use crate::strategies::menus;
use crate::support::program::{Function, assert_like_tape, check_batch, points as grid, program};
use crate::support::programs::from_menu;

/// Some units whose next values depend on their last ones, their neighbours, weights, and data or inputs of the turn.
#[derive(Debug)]
struct Recurrence {
    menu: Vec<(u8, [usize; 2])>,
    units: usize,
    turns: usize,
    /// The number that a turn reads beside the units: a constant of its own, an input in order, backwards, or in no order.
    reads: u8,
    /// True if every turn adds to the result.
    total: bool,
    /// True if a unit needs its last value but one.
    lag: bool,
}

impl Function for Recurrence {
    fn call<R: Real<Base = f64>>(&self, x: &[R]) -> R {
        let mut now: Vec<R> = (0..self.units).map(|i| x[i % x.len()]).collect();
        let mut before = now.clone();
        let mut total = R::zero();
        for t in 0..self.turns {
            let read = match self.reads {
                0 => R::lit((t as f64).sin()),
                1 => x[t % x.len()],
                2 => x[(self.turns - t) % x.len()],
                _ => x[t * t % x.len()],
            };
            let next = |i: usize| {
                let last = if self.lag { before[i] } else { now[i] };
                let y = from_menu(&self.menu, [last, now[(i + 1) % self.units] * x[3 * i % x.len()], read]);
                // A contraction, so that hundreds of turns have a derivative.
                R::lit(0.4) * (y * R::lit(0.2)).sin() + R::lit(0.3) * now[i]
            };
            let moved = (0..self.units).map(next).collect();
            before = std::mem::replace(&mut now, moved);
            if self.total {
                total += (now[0] - read).square();
            }
        }
        total + now.iter().map(|y| y.exp()).sum::<R>()
    }
}

fn recurrences() -> impl Strategy<Value = Recurrence> {
    (menus(), 1..9_usize, 8..400_usize, 0..4_u8, any::<[bool; 2]>())
        .prop_map(|(menu, units, turns, reads, [total, lag])| Recurrence { menu, units, turns, reads, total, lag })
}

proptest! {
    // They take long in a debug build.
    #![proptest_config(ProptestConfig { cases: 48, ..config() })]

    #[test]
    fn random_recurrences(f in recurrences(), n in 1..500_usize) {
        let point = |shift: f64| (0..n).map(|i| (0.7 * i as f64 + shift).sin()).collect::<Vec<f64>>();
        let mut program = program(&f, &point(0.0));
        assert_like_tape(&|| format!("{f:?}, {n} inputs"), &mut program, &f, &point(0.3), 1e-10);
        if n < 20 {
            check_batch("recurrence", &mut program, &grid(5, n));
        }
    }
}
