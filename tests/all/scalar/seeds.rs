//! Sweeps from several outputs, each with its cotangent.

use ndarray::{Axis, array};
use wengert::{Tape, Var, fuse, with_partials};

#[test]
fn seeds_of_many_outputs() {
    let tape = Tape::new();
    let data = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let (t, x) = (tape.tensor(&data), tape.var(0.5));
    let y = t * x;
    // One output twice, a view, an input, a function of one variable, a constant.
    let gradient = tape.backward_with([
        y.seed(&array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        y.seed(&array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        y.t().index_axis(Axis(0), 2).seed(&array![0.0, 10.0]),
        x.seed(7.0),
        (x * x * x).seed(4.0),
        Var::constant(3.0).seed(1.0),
        tape.constant(array![1.0]).seed(&array![1.0]),
    ]);
    assert_eq!(gradient[x], 2.0 + 60.0 + 7.0 + 3.0);
    assert_eq!(gradient.wrt(t), array![[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]]);
    assert_eq!(tape.backward_with([])[x], 0.0);
    // A seed of zero silences an infinite derivative.
    assert_eq!(tape.backward_with([(x * 0.0).sqrt().seed(0.0)])[x], 0.0);
    // The sum of single sweeps is the sweep from all outputs.
    let mut total = y.backward_with(&array![[2.0, 0.0, 0.0], [0.0, 0.0, 10.0]]);
    total += &(x * x * x * 4.0 + x * 7.0).backward();
    assert_eq!(total.wrt(t), gradient.wrt(t));
    assert_eq!(total[x], gradient[x]);
    let mut short = x.backward();
    short += &total;
    assert_eq!(short[x], gradient[x] + 1.0);
}

/// The slots that an operation of several operands takes: one for each two of them.
#[test]
fn slots_of_many_operands() {
    let tape = Tape::new();
    let [a, b, c, d, e] = tape.vars([1.0, 2.0, 3.0, 4.0, 5.0]);
    let slots = |record: &dyn Fn()| {
        let before = tape.len();
        record();
        tape.len() - before
    };
    assert_eq!(slots(&|| _ = fuse([a, b], |[a, b]| a * b)), 1);
    assert_eq!(slots(&|| _ = fuse([a, b, c], |[a, b, c]| a * b * c)), 2);
    assert_eq!(slots(&|| _ = fuse([a, b, c, d], |[a, b, c, d]| a * b * c * d)), 3);
    assert_eq!(slots(&|| _ = fuse([a, b, c, d, e], |[a, b, c, d, e]| a * b * c * d * e)), 3);
    assert_eq!(slots(&|| _ = with_partials(1.0, [a, b, c, d, e].map(|x| (x, 2.0)))), 3);
    assert_eq!(slots(&|| _ = wengert::sum(&[a, b, c, d, e])), 1);
}

/// A product is 0 if a factor is, also in records of many operands, in one sweep and in several at once.
#[test]
fn zeros_silence_what_is_not_finite() {
    const INF: f64 = f64::INFINITY;
    let cases: [(f64, [f64; 5], [f64; 5]); 4] = [
        (0.0, [INF, f64::NAN, 1.0, INF, -INF], [0.0; 5]),
        (INF, [0.0, 1.0, -1.0, 0.0, 2.0], [0.0, INF, -INF, 0.0, INF]),
        (-2.0, [INF, 0.0, 3.0, -INF, 0.0], [-INF, 0.0, -6.0, INF, 0.0]),
        (2.0, [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]),
    ];
    for n in 2..=5 {
        for (seed, partials, expected) in cases {
            let tape = Tape::new();
            let x = tape.vars([1.0, 2.0, 3.0, 4.0, 5.0]);
            let wide = with_partials(1.0, x.into_iter().zip(partials).take(n));
            let gradient = tape.backward_with([wide.seed(seed), x[0].seed(0.0)]).wrt(x);
            assert_eq!(gradient[..n], expected[..n], "{n} operands, seed {seed}");
            assert!(gradient[n..].iter().all(|g| *g == 0.0));
            // With a second output, whose lane has a zero where the first one's has the seed.
            let matrix = wengert::jacobian_reverse(
                |x| {
                    let wide = with_partials(1.0, x.iter().copied().zip(partials).take(n));
                    let [first, third] =
                        [(wide, seed), (x[0], 7.0)].map(|term| with_partials(1.0, [term, (x[4], 0.0)]));
                    vec![first, x[0] * 3.0, third]
                },
                &[1.0, 2.0, 3.0, 4.0, 5.0],
            );
            assert_eq!(matrix.row(0).to_vec()[..n], expected[..n], "{n} operands, seed {seed}");
            assert_eq!(matrix.row(1).to_vec(), [3.0, 0.0, 0.0, 0.0, 0.0]);
            assert_eq!(matrix.row(2).to_vec(), [7.0, 0.0, 0.0, 0.0, 0.0]);
        }
    }
    // A sum of neighbours, with an adjoint of zero and of infinity.
    for seed in [0.0, INF, -1.5] {
        let tape = Tape::new();
        let x = tape.vars([1.0; 9]);
        assert_eq!(tape.backward_with([wengert::sum(&x).seed(seed)]).wrt(x), [seed; 9]);
    }
}

#[test]
#[should_panic(expected = "seed: the tensor has shape [2] and the cotangent [3]")]
fn a_seed_of_another_shape() {
    let (tape, data) = (Tape::new(), array![1.0, 2.0]);
    let _ = tape.tensor(&data).backward_with(&array![1.0, 2.0, 3.0]);
}

#[test]
#[should_panic(expected = "is a constant")]
fn a_sweep_from_a_constant() {
    let tape = Tape::new();
    let _ = tape.constant(array![1.0, 2.0]).backward_with(&array![1.0, 2.0]);
}

#[test]
#[should_panic(expected = "backward_with: an output belongs to tape")]
fn a_seed_of_another_tape() {
    let (a, b) = (Tape::new(), Tape::new());
    let _ = a.backward_with([b.var(1.0).seed(1.0)]);
}

/// An iterator may record the outputs while it yields their seeds.
#[test]
fn seeds_that_are_recorded_on_the_way() {
    let tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let gradient = tape.backward_with([(x, y), (y, y)].into_iter().map(|(a, b)| (a * b).seed(1.0)));
    assert_eq!(gradient.wrt([x, y]), [3.0, 8.0]);
}
