//! Recordings and their sweeps: several, from the middle, into existing memory, and of ten million records.

use wengert::{Tape, Var, dot, sum};

use crate::support::close::{assert_all_rounded, assert_rounded};

#[test]
fn retained_intermediates() {
    let tape: Tape = Tape::new();
    let x = tape.var(2.0);
    let h = x.square().retain();
    let y = (3.0 * h + h * x).retain();
    let z = y.exp().ln();
    let gradient = z.backward();
    assert_rounded(gradient[y], 1.0);
    assert_rounded(gradient[h], 5.0);
    assert_rounded(gradient[x], 4.0 * 5.0 + 4.0);
    let before = tape.len();
    assert_eq!(gradient[h.retain()], gradient[h]);
    assert!(Var::constant(1.0).retain().is_constant());
    assert_eq!(tape.len(), before, "a node is its own retained handle");
}

#[test]
fn functions_of_one_variable_record_nothing() {
    let tape: Tape = Tape::new();
    let x = tape.var(0.5);
    let y = -((2.0 * x.sin() + 1.0).exp() / 3.0).powi(2);
    assert_eq!(tape.len(), 1);
    let z = y * x + x.cos();
    assert_eq!(tape.len(), 1, "a join of one slot with itself only adds weights");
    let u = 2.0 * 0.5_f64.sin() + 1.0;
    let (g, dg) = ((u.exp() / 3.0).powi(2), 2.0 * (u.exp() / 3.0) * (u.exp() / 3.0) * 2.0 * 0.5_f64.cos());
    assert_rounded(z.backward()[x], -dg * 0.5 - g - 0.5_f64.sin());
}

#[test]
fn several_gradients_at_once() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let (a, b) = (x * y, x / y);
    let first = a.backward();
    let second = b.backward();
    let c = a * b; // recorded while gradients live
    let third = c.backward();
    assert_eq!(first.wrt([x, y]), [3.0, 2.0]);
    assert_all_rounded(&second.wrt([x, y]), &[1.0 / 3.0, -2.0 / 9.0]);
    assert_all_rounded(&third.wrt([x, y]), &[4.0, 0.0]); // c = x²
    assert_rounded(third[a], 2.0 / 3.0);
    assert_eq!(a.backward().wrt([x, y]), first.wrt([x, y]));
}

#[test]
fn a_sweep_into_existing_memory() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let (early, late) = (x * y, (x * y) / (x + y));
    let mut gradient = late.backward();
    early.backward_into(&mut gradient);
    assert_eq!(gradient.wrt([x, y]), [3.0, 2.0]);
    late.backward_into(&mut gradient);
    assert_all_rounded(&gradient.wrt([x, y]), &[9.0 / 25.0, 4.0 / 25.0]);
    late.backward_into(&mut gradient);
    assert_all_rounded(&gradient.wrt([x, y]), &[9.0 / 25.0, 4.0 / 25.0]);
    // The gradient covers inputs that were made since, as that of a new sweep does.
    let z = tape.var(1.0);
    (x * z).backward_into(&mut gradient);
    assert_eq!(gradient.wrt([x, y, z]), [1.0, 0.0, 2.0]);
}

#[test]
fn a_sweep_from_the_middle() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let a = (x * y).retain();
    let b = (a + y).retain();
    let c = (b * x).retain();
    assert_eq!(b.backward().wrt([x, y, a]), [3.0, 3.0, 1.0]);
    assert_eq!(a.backward().wrt([x, y, a]), [3.0, 2.0, 1.0]);
    assert_eq!(c.backward().wrt([a, b, x]), [2.0, 2.0, 9.0 + 6.0]);
    assert_eq!(x.backward().wrt([x, y]), [1.0, 0.0], "an input is its own output");
    assert_eq!((3.0 * x).backward()[x], 3.0);
}

#[test]
fn wide_records_swept_from_the_middle() {
    let tape: Tape = Tape::new();
    let x = tape.vars_from(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let mut sums = Vec::new();
    for n in 1..=5 {
        sums.push(dot(&x[..n], &x[..n])); // records of 1, 2, ... cells between each other
        sums.push(sum(&x[..n]) * x[0]);
    }
    let later = tape.var(7.0);
    for (i, y) in sums.iter().enumerate() {
        let n = i / 2 + 1;
        let mut expected = [0.0; 5];
        for (j, d) in expected[..n].iter_mut().enumerate() {
            *d = if i % 2 == 0 { 2.0 * (j + 1) as f64 } else { 1.0 };
        }
        if i % 2 == 1 {
            expected[0] += (1..=n).sum::<usize>() as f64;
        }
        assert_eq!(y.backward().wrt(x), expected, "output {i}");
    }
    let all: Var<'_> = sums.iter().map(|&y| y * later).sum();
    assert_eq!(all.backward()[later], sums.iter().map(|y| y.value()).sum::<f64>());
}

#[test]
fn inputs_and_records_interleaved() {
    let tape: Tape = Tape::new();
    let mut total = tape.var(1.0);
    let mut inputs = vec![total];
    for i in 0..100 {
        let x = tape.var(f64::from(i));
        total = total * 1.0 + x * total / total;
        inputs.push(x);
    }
    let gradient = total.backward();
    for (i, &x) in inputs.iter().enumerate() {
        assert_rounded(gradient[x], 1.0);
        assert_eq!(x.backward()[x], 1.0, "{i}");
    }
}

#[test]
fn clear_keeps_nothing_but_memory() {
    let mut tape = Tape::with_capacity(10);
    let run = |tape: &Tape| {
        let x = tape.vars_from(&[0.5, 1.5]);
        let y = (x[0] * x[1]).sin() + dot(x, x);
        (y.backward().wrt(x), tape.len())
    };
    let first = run(&tape);
    assert!(!tape.is_empty());
    tape.clear();
    assert!(tape.is_empty());
    assert_eq!(run(&tape), first);
}

/// The nodes of a long recording: ten million, or a tenth of these in a debug build, which takes a minute for all.
const NODES: usize = if cfg!(debug_assertions) { 1_000_000 } else { 10_000_000 };

#[test]
fn memory_counts_records_adjoints_and_operations() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let mut last = tape.memory();
    let mut more = || {
        let memory = tape.memory();
        memory - std::mem::replace(&mut last, memory)
    };
    let z = x * y;
    assert_eq!(more(), 24, "a record has two slots and two partials");
    _ = z.backward();
    assert_eq!(more(), 4 * 8, "the adjoints of the sink, the inputs and the product");
    let between = || _ = tape.var(1.0) * x;
    between();
    let first = more();
    between();
    assert_eq!((first > 24 + 16, more()), (true, first), "a record, and an entry in the list of operations");
}

#[test]
fn millions_of_nodes_in_a_chain() {
    let tape = Tape::with_capacity(NODES);
    let [x, one] = tape.vars([1.0, 1.0]);
    let mut y = x;
    for _ in 0..NODES {
        y += one;
    }
    assert_eq!(tape.len(), NODES + 2);
    assert_eq!(y.value(), NODES as f64 + 1.0);
    let gradient = y.backward();
    assert_eq!(gradient.wrt([x, one]), [1.0, NODES as f64]);
}

#[test]
fn millions_of_terms_in_a_sum() {
    let tape = Tape::<f32>::default();
    let x = tape.var(1.0);
    let y: Var<'_, f32> = std::iter::repeat_n(x, NODES).sum();
    assert_eq!(y.backward()[x], NODES as f32);
}
