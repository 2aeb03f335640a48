//! The words of refusals and of printed values.

use ndarray::{Array1, Array2, Ix1, array};
use wengert::{Optimizer, Params, ParamsGradient, Sgd, Tape};

use super::model;
use crate::support::panics::panic_of;

/// The message of a panic whose place is in this file.
#[track_caller]
fn refusal<T>(work: impl FnOnce() -> T) -> String {
    let panic = panic_of(work);
    assert!(panic.file.ends_with("words.rs"), "{panic}");
    panic.message
}

#[test]
fn entries_are_refused_by_name() {
    let (mut params, w, _) = model();
    let m = params.add_buffer("m", array![0.0, 0.0]);
    let (mut other, v, _) = model();
    let mut one = Params::<f64>::new();
    one.add("one", array![1.0]);
    assert_eq!(
        refusal(|| one.name(v)),
        "Params: the id Param(0) is not of these parameters (one), nor of what they were cloned from"
    );
    let twice = "Params::add: there is a parameter named \"w\" already; names are unique";
    assert_eq!(refusal(|| other.add("w", array![1.0])), twice);
    assert_eq!(refusal(|| other.add_buffer("w", array![1.0])), twice);
    assert_eq!(refusal(|| other.add_linear("w", array![[1.0]])), twice);
    assert_eq!(other.len(), 9, "a refusal adds nothing");
    assert_eq!(
        refusal(|| params.by_name::<Ix1>("w")),
        "Params::by_name: parameter \"w\" has shape [2, 3], 2 axes; it was asked for with 1"
    );
    assert_eq!(
        refusal(|| params.view_of(m, &[0.0; 9]).sum()),
        "Params::view_of: \"m\" is a buffer, which a gradient has no part for"
    );
    assert_eq!(refusal(|| params.view_of(w, &[0.0; 8]).sum()), "Params::view_of: 8 numbers do not fit 9 parameters");
    assert_eq!(
        refusal(|| params.with_tangents(&[0.0; 8])),
        "Params::with_tangents: 8 tangents for 9 parameters; give one for each"
    );
    let mut tape = Tape::new();
    let mut tape_of_duals = Tape::new();
    let loss = |p: wengert::ParamsOn<'_, '_>| p.tape().var(1.0).value();
    assert_eq!(tape.evaluate(&params, loss), 1.0);
    assert_eq!(
        refusal(|| tape.value_and_grad_at(&params, &[0.0; 8], |p| p.flat().sum()).0),
        "value_and_grad_at: 8 values do not fit 9 parameters"
    );
    assert_eq!(
        refusal(|| tape_of_duals.value_grad_hvp(&params, &[0.0; 8], |p| p.flat().sum())),
        "value_grad_hvp: the direction has 8 numbers, the parameters have 9; it has one number for each parameter"
    );
}

#[test]
fn states_of_other_models_are_refused() {
    let (mut params, ..) = model();
    let mut one = Params::new();
    one.add("one", array![1.0]);
    assert_eq!(refusal(|| params.copy_from(&one)), "Params::copy_from: the state has 1 numbers, the parameters have 9");
    one.add_buffer("m", array![0.0, 0.0]);
    assert_eq!(
        refusal(|| one.copy_from(&params)),
        "Params::copy_from: the state has 9 numbers, the parameters have 3 (1 of weights, 2 of buffers)"
    );
    // As many numbers under another name, in another shape, or of another kind.
    let build = |name: &str, shape: (usize, usize), buffer: bool| {
        let mut params = Params::new();
        let array = Array2::<f64>::ones(shape);
        if buffer {
            params.add_buffer(name, array)
        } else {
            params.add(name, array)
        };
        params
    };
    let mut own = build("w", (2, 3), false);
    let text = "Params::copy_from: the state is that of a model with other names or shapes than these parameters (w)";
    for other in [build("v", (2, 3), false), build("w", (3, 2), false), build("w", (2, 3), true)] {
        assert_eq!(refusal(|| own.copy_from(&other)), text);
    }
    let mut same = build("w", (2, 3), false);
    same.values_mut().fill(4.0);
    own.copy_from(&same);
    assert_eq!(own.values(), [4.0; 6]);
}

#[test]
fn gradients_of_other_models_are_refused() {
    let (mut params, w, _) = model();
    let (mut other, v, _) = model();
    let m = params.add_buffer("m", array![1.0]);
    let mut sgd = Sgd::new(1.0);
    assert_eq!(refusal(|| sgd.step(&mut params, &[0.0; 8])), "step: the gradient has 8 numbers, the parameters have 9");
    let mut tape = Tape::new();
    let (_, grad) = tape.value_and_grad(&params, |p| p.flat().sum());
    let foreign = "step: the gradient is that of another model than these parameters (w, b), or of a model to which a weight \
                   was added since";
    assert_eq!(refusal(|| sgd.step(&mut other, grad)), foreign);
    assert_eq!(&grad[w], [1.0; 6]);
    for id in [refusal(|| grad[v][0]), refusal(|| grad[m][0])] {
        let (head, tail) = (
            "ParamsGradient: the id Param(",
            ") is not that of a weight of the gradient's model; a buffer has no gradient",
        );
        assert!(id.starts_with(head) && id.ends_with(tail), "{id}");
    }
    assert_eq!(
        refusal(|| ParamsGradient::from(&[1.0])[w][0]),
        "ParamsGradient: these are plain numbers of no known model, which cannot be indexed by Param(0)"
    );
}

#[test]
fn groups_are_refused_by_name_and_factor() {
    let (mut params, ..) = model();
    assert_eq!(
        refusal(|| drop(params.group("x"))),
        "Params::group: no parameter's name begins with \"x\"; the names are w, b"
    );
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        let text = |name: &str| format!("Group::{name}: the factor must be at least 0, it is {wrong}");
        assert_eq!(refusal(|| drop(params.group("w").rate(wrong))), text("rate"));
        assert_eq!(refusal(|| drop(params.group("w").decay(wrong))), text("decay"));
    }
    params.group("w").rate(0.0).decay(0.0);
    let info = params.iter().map(|w| (w.rate, w.decay)).collect::<Vec<_>>();
    assert_eq!(info, [(0.0, 0.0), (1.0, 1.0)]);
}

#[test]
fn checkpoints_are_refused() {
    let (params, w, _) = model();
    let (tape, own) = (Tape::new(), Tape::new());
    let data = array![1.0, 2.0, 3.0];
    let (foreign, p) = (own.tensor(&data), params.on(&tape));
    let text = refusal(|| p.checkpoint(foreign, |_, x| x.sin()).sum());
    assert_eq!(
        text,
        format!("checkpoint: the input belongs to tape {own:p}, the parameters to tape {:p}", &tape, own = &own)
    );
    let _ = w;
}

#[test]
fn what_is_printed() {
    let (mut params, w, b) = model();
    let more = params.add("more", Array1::zeros(1));
    let m = params.add_buffer("m", Array1::zeros(2));
    assert_eq!(format!("{w:?} {b:?} {more:?} {m:?}"), "Param(0) Param(1) Param(2) Param(3)");
    params.group("w").decay(2.0);
    params.group("b").rate(0.5).decay(0.0);
    params.group("more").freeze();
    let expected = "\
parameter  shape  numbers  training
w          2 x 3        6  decay × 2
b          3            3  rate × 0.5, no decay
more       1            1  frozen
m          2            2  buffer
total                  10  9 trained";
    assert_eq!(params.to_string(), expected);
    let debug =
        "{\"w\": [[1.0, 2.0, 3.0],\n [4.0, 5.0, 6.0]], shape=[2, 3], strides=[3, 1], layout=Cc (0x5), dynamic ndim=2";
    assert!(format!("{params:?}").starts_with(debug), "{params:?}");
    let tape = Tape::new();
    let on = format!("{:?}", params.on(&tape));
    assert!(on.starts_with("ParamsOn { tape: Tape") && on.contains(", params: {\"w\": "), "{on}");
    let mut numbers = Tape::new();
    let (_, grad) = numbers.value_and_grad(&params, |p| p.get(b).square().sum());
    assert_eq!(format!("{grad:?}"), "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.5, 0.0]");
}
