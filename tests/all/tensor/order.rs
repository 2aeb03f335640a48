//! Sorting, quantiles and contractions at special points, and with bad input.

use ndarray::{Axis, IxDyn, array};
use wengert::Tape;

use crate::support::panics::message_of;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// As numpy 2.4 has it: sort, argsort(kind="stable"), median, quantile. Only that between 7 and infinity numpy's quantile
/// is NaN (0 · ∞), where the linear interpolation is 7 at its end and infinite behind it.
#[test]
fn as_numpy() {
    let tape = Tape::<f64>::new();
    let data = array![[3.0, NAN, -INF, 3.0], [2.0, INF, -1.0, 7.0]];
    let x = tape.tensor(&data);
    assert_eq!(x.argsort_axis(Axis(1)), array![[2, 0, 3, 1], [2, 0, 3, 1]]);
    let sorted = x.sort(Axis(1));
    assert_eq!(sorted.value().row(1), array![-1.0, 2.0, 7.0, INF]);
    assert!(sorted.value()[[0, 3]].is_nan() && sorted.value()[[0, 0]] == -INF);
    assert!(x.median_axis(Axis(1)).value()[0].is_nan() && x.median().value().is_nan());
    assert_eq!(x.median_axis(Axis(1)).value()[1], 4.5);
    let gradient = x.median_axis(Axis(1)).at([1]).backward().wrt(x);
    assert_eq!(gradient, array![[0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5]]);
    let row = array![2.0, INF, -1.0, 7.0, 0.5];
    let y = tape.tensor(&row);
    for (q, want) in [(0.0, -1.0), (0.1, -0.4), (0.25, 0.5), (0.5, 2.0), (0.75, 7.0), (0.9, INF), (1.0, INF)] {
        assert!((y.quantile(q).value() - want).abs() < 1e-15 || y.quantile(q).value() == want, "{q}");
    }
    // The greatest first, NaN before all; of equal elements the first one.
    let (greatest, places) = x.top_k(Axis(1), 3);
    assert!(greatest.value()[[0, 0]].is_nan());
    assert_eq!(places, array![[1, 0, 3], [1, 3, 0]]);
    assert_eq!(x.top_k(Axis(0), 0).0.shape(), [0, 4]);
    assert_eq!(greatest.at([0, 1]).backward().wrt(x).row(0), array![1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn zero_cotangents_stay_zero() {
    let tape = Tape::<f64>::new();
    let data = array![2.0, 0.0, INF, 3.0];
    let x = tape.tensor(&data);
    let y = x.cumprod(Axis(0)).at([1]);
    assert_eq!(y.backward().wrt(x), array![0.0, 2.0, 0.0, 0.0]);
    assert_eq!(x.cumsum(Axis(0)).at([1]).backward().wrt(x), array![1.0, 1.0, 0.0, 0.0]);
    let table = array![[INF, NAN], [1.0, 2.0]];
    let t = tape.tensor(&table);
    assert_eq!(t.tril(0).value(), array![[INF, 0.0], [1.0, 2.0]]);
    assert_eq!(t.triu(1).at([1, 1]).backward().wrt(t), array![[0.0, 0.0], [0.0, 0.0]]);
}

#[test]
fn bad_input() {
    let tape = Tape::<f64>::new();
    let (a, b, c) = (array![[1.0, 2.0], [3.0, 4.0]], array![1.0, 2.0, 3.0], ndarray::Array2::zeros((0, 2)));
    let (x, v, empty) = (tape.tensor(&a), tape.tensor(&b), tape.tensor(&c));
    let other = Tape::new();
    let [dynamic, vector] = [x.into_dyn(), v.into_dyn()];
    let cases: [(&str, &dyn Fn()); 20] = [
        ("cumsum: axis 2 is out of range", &|| _ = x.cumsum(Axis(2))),
        ("sort: axis 2 is out of range", &|| _ = x.sort(Axis(2))),
        ("top_k: there are no 3 elements along axis 1", &|| _ = x.top_k(Axis(1), 3)),
        ("quantile: q = 1.5 is not in [0, 1]", &|| _ = x.quantile(1.5)),
        ("quantile_axis: q = NaN is not in", &|| _ = x.quantile_axis(Axis(0), NAN)),
        ("median: no element to choose from", &|| _ = empty.median()),
        ("median_axis: no element to choose from", &|| _ = empty.median_axis(Axis(0))),
        ("scatter_add: indices of shape [1, 2]", &|| _ = x.scatter_add(Axis(0), &array![[0, 0]], x)),
        ("scatter_add", &|| _ = x.scatter_add(Axis(1), &array![[0, 2], [0, 1]], x)),
        ("index_add: 1 indices", &|| _ = x.index_add(Axis(0), &[0], x)),
        ("index_add", &|| _ = x.index_add(Axis(0), &[0, 2], x)),
        ("tril: a tensor of shape [3] has no two axes", &|| _ = v.tril(0)),
        ("einsum: the formula \"ij\" has no `->`", &|| _ = tape.einsum("ij", &[dynamic])),
        ("einsum: '.' in the formula", &|| _ = tape.einsum("...i->i", &[dynamic])),
        ("is of 2 operands, there are 1", &|| _ = tape.einsum("ij,jk->ik", &[dynamic])),
        ("does not name the 2 axes", &|| _ = tape.einsum("i->i", &[dynamic])),
        ("the index j of \"ij,j->i\" has the lengths 2 and 3", &|| _ = tape.einsum("ij,j->i", &[dynamic, vector])),
        ("occurs twice, or in no operand", &|| _ = tape.einsum("ij->ik", &[dynamic])),
        ("two tapes", &|| _ = other.einsum("ij->ij", &[dynamic])),
        ("tensordot: axes [1] of shape [2, 2] and [0] of [3]", &|| _ = x.tensordot(v, [&[1], &[0]])),
    ];
    for (text, case) in cases {
        let message = message_of(std::panic::AssertUnwindSafe(case));
        assert!(message.contains(text), "{message:?} does not say {text:?}");
    }
    assert_eq!(tape.einsum("->", &[tape.zeros(IxDyn(&[]))]).len(), 1);
}
