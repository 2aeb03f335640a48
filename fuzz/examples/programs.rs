//! Writes random programs with their derivatives, one line of JSON each, for `tests/oracle/programs`:
//! `programs COUNT [FIRST]`.

use std::io::Write as _;
use std::panic::catch_unwind;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|x| x.parse::<u64>().expect("programs COUNT [FIRST]"));
    let count = arguments.next().unwrap_or(100);
    let first = arguments.next().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for seed in first..first + count {
        match catch_unwind(|| wengert_fuzz::programs::line(seed)) {
            Ok(line) => writeln!(out, "{line}").expect("a reader"),
            Err(_) => eprintln!("program {seed} panicked"),
        }
    }
}
