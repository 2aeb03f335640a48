//! Recurrent layers against PyTorch, their cells against the layers, and sequences of unequal length.

use ndarray::{Array2, Axis, s};
use wengert::nn::{GroupNorm, Gru, GruCell, Lstm, LstmCell, Rnn, RnnCell};
use wengert::{Params, ParamsOn, Scalar, Tape, Var};

use super::layers::{check_layer, rng};
use super::{assert_as_torch, check, fill, fill_params};
use crate::support::close::assert_close;
use crate::support::panics::message_of;

const LENGTHS: [usize; 3] = [5, 2, 3];

/// Compares outputs, last states and gradients with PyTorch, for one and several layers, in one direction and two, of equal
/// and of unequal length. `parts` are the tensors of a state.
macro_rules! check_layers {
    ($name:literal, $Stack:ident, |$state:ident| $parts:expr) => {
        for (layers, both, case) in [(2, false, "2 False"), (1, true, "1 True"), (2, true, "2 True")] {
            let mut params = Params::new();
            let new = if both { $Stack::bidirectional } else { $Stack::new };
            let stack = new(&mut params, "stack", 3, 4, layers, &mut rng());
            fill_params(&mut params);
            for (lengths, ending) in [(None, "full"), (Some(&LENGTHS[..]), "ragged")] {
                let case = format!("{} {case} {ending}", $name);
                let (tape, mut sequence) = (Tape::new(), fill((5, 3, 3), 1));
                if lengths.is_some() {
                    // What stands after an end has no effect, not even as NaN in a gradient.
                    sequence.slice_mut(s![2.., 1, ..]).fill(f64::NAN);
                    sequence.slice_mut(s![3.., 2, ..]).fill(f64::INFINITY);
                }
                let (p, x) = (params.on(&tape), tape.tensor(&sequence));
                let (outputs, $state) = stack.forward(p, x, lengths, None);
                check(&case, outputs, [("x", x)]);
                let parts = $parts;
                for (part, key) in parts.iter().zip(["h", "c"]) {
                    assert_as_torch(&format!("{case} {key}"), part.value());
                }
                check(&format!("{case} of last"), parts[parts.len() - 1], [("x", x)]);
            }
        }

        let mut params = Params::new();
        let stack = $Stack::bidirectional(&mut params, "stack", 2, 1, 2, &mut rng());
        fill_params(&mut params);
        let sequence = fill((3, 3, 2), 1);
        check_layer(&params, |p| {
            let (y, $state) = stack.forward(p, p.constant(sequence.clone()), Some(&[3, 1, 2]), None);
            y * $parts.iter().map(|part| part.sum()).sum::<Var<'_>>().tanh()
        });
    };
}

#[test]
fn layers_as_pytorch() {
    check_layers!("RNN", Rnn, |h| [h]);
    check_layers!("GRU", Gru, |h| [h]);
    check_layers!("LSTM", Lstm, |state| [state.0, state.1]);
}

/// Compares a layer with PyTorch, two pieces of a sequence with the whole, and the layer with its cell step by step.
macro_rules! check_cell {
    ($name:literal, $Stack:ident, $Cell:ident, zero: |$zero:ident| $state:expr, hidden: |$last:ident| $hidden:expr) => {{
        let mut params = Params::new();
        let layer = $Stack::new(&mut params, "layer", 3, 4, 1, &mut rng());
        fill_params(&mut params);
        let mut weights = Params::new();
        let cell = $Cell::new(&mut weights, "cell", 3, 4, &mut rng());
        weights.values_mut().copy_from_slice(params.values());
        let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
        assert!(params.names().eq(names.map(|name| format!("layer.{name}_l0"))));
        assert!(weights.names().eq(names.map(|name| format!("cell.{name}"))));

        let (tape, sequence) = (Tape::new(), fill((5, 2, 3), 1));
        let (p, x) = (params.on(&tape), tape.tensor(&sequence));
        let (outputs, _) = layer.forward(p, x, None, None);
        check($name, outputs, [("x", x)]);

        let (first, state) = layer.forward(p, x.slice(s![..2, .., ..]), None, None);
        let (second, $last) = layer.forward(p, x.slice(s![2.., .., ..]), Some(&[3, 3]), Some(state));
        let joined = tape.concatenate(Axis(0), &[first, second]);
        assert!((&joined.value() - &outputs.value()).iter().all(|d| d.abs() < 1e-14));
        assert_eq!($hidden.index_axis(Axis(0), 0).value(), joined.index_axis(Axis(0), 4).value());

        let $zero = tape.constant(Array2::<f64>::zeros((2, 4)));
        let (mut state, q) = ($state, weights.on(&tape));
        for (x, y) in x.outer_iter().zip(outputs.outer_iter()) {
            state = cell.forward(q, x, state);
            let $last = state;
            assert!((&$hidden.value() - &y.value()).iter().all(|d| d.abs() < 1e-14));
        }
        let none = layer.forward(p, x.slice(s![..0, .., ..]), Some(&[0, 0]), None);
        let $last = none.1;
        assert_eq!((none.0.shape(), $hidden.shape()), (&[0, 2, 4][..], &[1, 2, 4][..]));
        assert_eq!(layer.forward(p, p.zeros((5, 0, 3)), Some(&[]), None).0.shape(), [5, 0, 4]);
        let message = message_of(|| layer.forward(p, p.zeros((5, 2, 4)), None, None));
        assert!(message.contains("layer.weight_ih_l0") && message.contains("length 3"), "{message}");
        for lengths in [&[5][..], &[5, 6], &[1, 2, 3]] {
            let message = message_of(|| layer.forward(p, x, Some(lengths), None));
            assert!(message.contains("do not fit 2 sequences of 5 steps"), "{message}");
        }
        let message = message_of(|| $Stack::new(&mut Params::<f64>::new(), "stack", 3, 4, 0, &mut rng()));
        assert!(message.contains("stack: at least 1 layer"), "{message}");
    }};
}

#[test]
fn cells_as_pytorch() {
    check_cell!("RNN", Rnn, RnnCell, zero: |zero| zero, hidden: |h| h);
    check_cell!("GRU", Gru, GruCell, zero: |zero| zero, hidden: |h| h);
    check_cell!("LSTM", Lstm, LstmCell, zero: |zero| (zero, zero), hidden: |state| state.0);

    let mut params = Params::new();
    let layer = Lstm::new(&mut params, "layer", 3, 4, 1, &mut rng());
    fill_params(&mut params);
    let tape = Tape::new();
    let p = params.on(&tape);
    let (_, (h, c)) = layer.forward(p, p.constant(fill((5, 2, 3), 1)), None, None);
    assert_as_torch("LSTM c", c.value());
    let message = message_of(|| layer.forward(p, p.zeros((5, 3, 3)), None, Some((h, c))));
    assert!(message.contains("[1, 2, 4]") && message.contains("[1, 3, 4]"), "{message}");
}

/// A state of one row would broadcast over the samples, and an input of one row over the state's.
#[test]
fn states_that_do_not_fit() {
    let mut params = Params::<f64>::new();
    let rnn = RnnCell::new(&mut params, "rnn", 2, 4, &mut rng());
    let gru = GruCell::new(&mut params, "gru", 2, 4, &mut rng());
    let lstm = LstmCell::new(&mut params, "lstm", 2, 4, &mut rng());
    let tape = Tape::new();
    let p = params.on(&tape);
    for (x, h) in [((3, 2), (1, 4)), ((1, 2), (3, 4)), ((3, 2), (3, 1)), ((3, 2), (0, 4))] {
        let (input, state, whole) = (p.ones(x), p.ones(h), p.ones((x.0, 4)));
        for (name, message) in [
            ("rnn", message_of(|| rnn.forward(p, input, state))),
            ("gru", message_of(|| gru.forward(p, input, state))),
            ("lstm", message_of(|| lstm.forward(p, input, (state, whole)))),
            ("lstm", message_of(|| lstm.forward(p, input, (whole, state)))),
        ] {
            let parts = [format!("{name}.weight_ih"), format!("{:?}", [h.0, h.1]), format!("{:?}", [x.0, x.1])];
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
            assert!(message.contains(&format!("must be {:?}", [x.0, 4])), "{message}");
        }
    }
}

/// Each sequence of a batch is what it is alone, whatever the others are; one of no steps keeps the state it starts from.
#[test]
fn sequences_do_not_mix() {
    let mut params = Params::new();
    let stack = Gru::bidirectional(&mut params, "stack", 3, 4, 2, &mut rng());
    fill_params(&mut params);
    let (sequence, start, tape) = (fill((5, 3, 3), 1), fill((4, 3, 4), 2), Tape::new());
    let p = params.on(&tape);
    let lengths = [4, 0, 1];
    let (outputs, last) = stack.forward(p, p.constant(&sequence), Some(&lengths), Some(p.constant(&start)));
    for (row, &length) in lengths.iter().enumerate() {
        let own = p.constant(&sequence).slice(s![..length, row..row + 1, ..]);
        let from = p.constant(&start).slice(s![.., row..row + 1, ..]);
        let (alone, end) = stack.forward(p, own, None, Some(from));
        assert_close("outputs", outputs.slice(s![..length, row..row + 1, ..]).value(), alone.value(), 1e-15);
        assert_close("last", last.slice(s![.., row..row + 1, ..]).value(), end.value(), 1e-15);
        assert!(outputs.slice(s![length.., row, ..]).value().iter().all(|y| *y == 0.0));
    }
    assert_eq!(last.slice(s![.., 1, ..]).value(), start.slice(s![.., 1, ..]));
}

/// Layers of both kinds of state on sequences of unequal length, and a group norm.
struct Both {
    lstm: Lstm,
    gru: Gru,
    norm: GroupNorm,
}

impl Both {
    fn new<F: Scalar>() -> (Params<F>, Self) {
        let mut params = Params::new();
        let both = Self {
            lstm: Lstm::bidirectional(&mut params, "lstm", 2, 2, 1, &mut rng()),
            gru: Gru::new(&mut params, "gru", 4, 2, 1, &mut rng()),
            norm: GroupNorm::new(&mut params, "norm", 1, 2),
        };
        for (i, x) in params.values_mut().iter_mut().enumerate() {
            *x = F::lit((1.7 * i as f64).sin());
        }
        (params, both)
    }

    fn loss<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>) -> Var<'t, F> {
        let x = p.constant(fill((3, 2, 2), 1).mapv(F::lit));
        let (y, (_, c)) = self.lstm.forward(p, x, Some(&[3, 1]), None);
        let (_, h) = self.gru.forward(p, y, Some(&[3, 1]), None);
        self.norm.forward(p, h.index_axis(Axis(0), 0)).sin().sum() + c.square().sum()
    }
}

#[test]
fn second_order_and_single_precision() {
    let (params, both) = Both::new::<f64>();
    let direction: Vec<f64> = (0..params.len()).map(|i| (0.7 * i as f64).cos()).collect();
    let mut tape = Tape::new();
    let mut at = |h: f64| {
        let moved: Vec<f64> = params.values().iter().zip(&direction).map(|(x, d)| x + h * d).collect();
        let (loss, gradient) = tape.value_and_grad_at(&params, &moved, |p| both.loss(p));
        (loss, gradient.to_vec())
    };
    let (loss, gradient) = at(0.0);
    let h = 1e-4;
    let [ahead, behind] = [h, -h].map(|h| at(h).1);
    let slopes: Vec<f64> = ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * h)).collect();
    let (value, first, product) = Tape::new().value_grad_hvp(&params, &direction, |p| both.loss(p));
    assert_close("loss", [&value], [&loss], 1e-14);
    assert_close("gradient", &first, &gradient, 1e-13);
    assert_close("product", &product, &slopes, 1e-6);

    let (params, both) = Both::new::<f32>();
    let mut tape = Tape::new();
    let (single, numbers) = tape.value_and_grad(&params, |p| both.loss(p));
    assert_close("f32 loss", [&f64::from(single)], [&loss], 1e-5);
    assert_close("f32 gradient", &numbers.iter().map(|g| f64::from(*g)).collect::<Vec<_>>(), &gradient, 1e-4);
}
