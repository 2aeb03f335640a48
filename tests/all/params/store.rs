//! The store of parameters: names, shapes, views, ids.

use ndarray::{Array, Array1, Array2, Ix1, Ix2, IxDyn, array, s};
use wengert::nn::{BatchNorm, Mode};
use wengert::{Optimizer, Params, ParamsGradient, Sgd, Tape};

use super::model;
use crate::support::panics::message_of;

#[test]
fn every_weight_is_a_view_of_one_vector() {
    let (mut params, w, b) = model();
    assert_eq!(params.len(), 9);
    assert!(!params.is_empty() && Params::<f64>::default().is_empty());
    assert_eq!(params.names().collect::<Vec<_>>(), ["w", "b"]);
    params.values_mut()[4] = 50.0;
    assert_eq!(params.view(w), array![[1.0, 2.0, 3.0], [4.0, 50.0, 6.0]]);
    params.view_mut(b).fill(7.0);
    assert_eq!(params.values()[6..], [7.0; 3]);
    assert_eq!(params.by_name::<Ix2>("w"), Some(w));
    assert_eq!(params.by_name::<IxDyn>("b").map(|b| params.view(b).len()), Some(3));
    assert_eq!(params.by_name::<Ix1>("nothing"), None);
    let weights: Vec<_> = params.iter().map(|w| (w.name, w.shape, w.range)).collect();
    assert_eq!(weights, [("w", &[2, 3][..], 0..6), ("b", &[3][..], 6..9)]);
}

#[test]
fn any_layout_and_dimension_is_stored_row_major() {
    let a = Array::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as f64);
    let mut params = Params::new();
    let reversed = params.add("reversed axes", a.clone().reversed_axes());
    let sliced = params.add("sliced", a.slice(s![.., ..;-1, 1..3]));
    let dynamic = params.add("dynamic", a.clone().into_dyn());
    let scalar = params.add("scalar", Array::from_elem((), 9.0));
    let empty = params.add("empty", Array2::zeros((0, 3)));
    assert_eq!(params.view(reversed), a.view().reversed_axes());
    assert_eq!(params.view(sliced), a.slice(s![.., ..;-1, 1..3]));
    assert_eq!(params.view(dynamic), a.view().into_dyn());
    assert_eq!(params.view(scalar).into_scalar(), &9.0);
    assert_eq!(params.view(empty).shape(), [0, 3]);

    let mut tape = Tape::new();
    let (_, grad) = tape.value_and_grad(&params, |p| {
        let loss = p.get(reversed).at([3, 2, 1]) * p.get(sliced).at([0, 0, 1]);
        assert_eq!(p.get(empty).shape(), [0, 3]);
        loss + p.get(dynamic).at(IxDyn(&[1, 1, 1])) * p.get(scalar).at(())
    });
    let at = |place| {
        let mut x = Array1::zeros(params.len());
        x[place] = 1.0;
        x
    };
    // sliced[0, 0, 1] is a[0, 2, 2] = 22 at 24 + 1; reversed[3, 2, 1] is a[1, 2, 3] at 23.
    let expected: Array1<f64> = 22.0 * at(23) + 123.0 * at(25) + 9.0 * at(24 + 12 + 17) + 111.0 * at(60);
    assert_eq!(grad, expected.to_vec());
}

#[test]
fn the_summary_counts() {
    let (mut params, ..) = model();
    params.add("ln γ", Array::from_elem((), 1.0));
    let expected = "\
parameter  shape   numbers
w          2 x 3         6
b          3             3
ln γ       scalar        1
total                   10";
    assert_eq!(params.to_string(), expected);
    assert_eq!(Params::<f32>::new().to_string(), "parameter  shape  numbers\ntotal                   0");
    assert!(format!("{params:?}").starts_with(r#"{"w": [[1.0, 2.0, 3.0]"#));
}

#[test]
fn ids_belong_to_their_params_and_its_clones() {
    let (params, w, _) = model();
    let mut clone = params.clone();
    assert_eq!(clone.view(w), params.view(w));

    let (other, ..) = model();
    let text = message_of(move || drop(other.view(w).to_owned()));
    assert!(text.contains("not of these parameters (w, b)"), "{text}");

    // Parameters that were added after the clone are foreign to the other.
    let mut origin = params;
    let c = clone.add("c", array![1.0]);
    origin.add("c", array![2.0]);
    assert_eq!(clone.view(c), array![1.0]);
    let text = message_of(move || drop(origin.view(c).to_owned()));
    assert!(text.contains("not of these parameters"), "{text}");
}

#[test]
fn a_name_is_given_once_and_found_with_its_axes() {
    let (mut params, ..) = model();
    let text = message_of(move || {
        params.add("b", array![1.0]);
    });
    assert!(text.contains(r#"a parameter named "b" already"#), "{text}");
    let (params, ..) = model();
    let text = message_of(move || {
        params.by_name::<Ix1>("w");
    });
    assert!(text.contains("has shape [2, 3], 2 axes; it was asked for with 1"), "{text}");
}

/// Weights and buffers in any order of adding: the state is all weights, then all buffers.
#[test]
fn the_state_is_weights_then_buffers() {
    let mut params = Params::new();
    let m = params.add_buffer("m", array![10.0, 11.0]);
    let v = params.add("v", array![[1.0, 2.0]]);
    let n = params.add_buffer("n", Array::from_elem((), 12.0));
    let w = params.add("w", array![3.0]);
    assert_eq!(params.state(), [1.0, 2.0, 3.0, 10.0, 11.0, 12.0]);
    assert_eq!((params.len(), params.values()), (3, &[1.0, 2.0, 3.0][..]));
    let views = |params: &Params<f64>| {
        (params.view(v).to_owned(), params.view(w).to_owned(), params.view(m).to_owned(), params.view(n).to_owned())
    };
    let expected = (array![[1.0, 2.0]], array![3.0], array![10.0, 11.0], Array::from_elem((), 12.0));
    assert_eq!(views(&params), expected);
    let buffers: Vec<_> = params.buffers().map(|(name, values)| (name.to_owned(), values.len())).collect();
    assert_eq!(buffers, [("m".to_owned(), 2), ("n".to_owned(), 1)]);
    params.view_mut(n).fill(5.0);
    params.view_mut(w).fill(6.0);
    assert_eq!(params.state(), [1.0, 2.0, 6.0, 10.0, 11.0, 5.0]);
    let dual = params.with_tangents(&[7.0, 8.0, 9.0]);
    assert_eq!(dual.state().iter().map(|x| x.tangents()[0]).collect::<Vec<_>>(), [7.0, 8.0, 9.0, 0.0, 0.0, 0.0]);
    let mut tape = Tape::new();
    let (loss, grad) =
        tape.value_and_grad(&params, |p| (p.get(m) * p.get(v).sum() + p.get(w).sum() * p.get(n).into_var()).sum());
    assert_eq!((loss, &grad[..]), (63.0 + 60.0, &[21.0, 21.0, 10.0][..]));
}

/// A gradient beside plain numbers: equal and unequal ones on either side, and as a slice.
#[test]
#[allow(clippy::op_ref, clippy::cmp_owned)] // comparisons of references and of gradients are what is tested
fn a_gradient_is_compared_and_read_as_numbers() {
    let numbers = [1.0, 2.0];
    let mut gradient = ParamsGradient::from(&numbers);
    for (other, equal) in [([1.0, 2.0], true), ([1.0, 3.0], false)] {
        let vector = other.to_vec();
        assert_eq!([gradient == other, gradient == vector, gradient == other[..]], [equal; 3]);
        assert_eq!([other == gradient, vector == gradient, other[..] == gradient], [equal; 3]);
        assert_eq!([&gradient == other, &gradient == vector, other == &gradient, vector == &gradient], [equal; 4]);
        assert_eq!([&mut gradient == other, &mut gradient == vector], [equal; 2]);
        assert_eq!(gradient == ParamsGradient::from(&other), equal);
    }
    assert_eq!(AsRef::<[f64]>::as_ref(&gradient), numbers);
    assert_eq!((&gradient).into_iter().sum::<f64>(), 3.0);
    (&mut gradient).into_iter().for_each(|x| *x *= 2.0);
    assert_eq!(gradient, [2.0, 4.0]);
    assert_eq!(ParamsGradient::from(&gradient), [2.0, 4.0]);
}

/// Every kind of index, read and written.
#[test]
#[allow(clippy::redundant_slicing)] // one of the indices that are tested
fn a_gradient_is_indexed_as_a_slice() {
    let (params, w, b) = model();
    let mut tape = Tape::new();
    let (_, grad) = tape.value_and_grad_mut(&params, |p| p.get(w).square().sum() + p.get(b).sum());
    let whole = [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 1.0, 1.0, 1.0];
    assert_eq!((grad.len(), grad[1], &grad[1..3], &grad[7..]), (9, 4.0, &[4.0, 6.0][..], &[1.0, 1.0][..]));
    assert_eq!(
        (&grad[..2], &grad[1..=2], &grad[..=1], &grad[..]),
        (&whole[..2], &whole[1..3], &whole[..2], &whole[..])
    );
    grad[0] = -1.0;
    grad[1..3].fill(-2.0);
    grad[8..].fill(-3.0);
    grad[..1][0] -= 1.0;
    grad[3..=4].fill(-4.0);
    grad[..=0][0] -= 1.0;
    grad[b][0] = -5.0;
    assert_eq!(grad, [-3.0, -2.0, -2.0, -4.0, -4.0, 12.0, -5.0, 1.0, -3.0]);
    grad[..].reverse();
    assert_eq!((&grad[w], &grad[b]), (&[-3.0, 1.0, -5.0, 12.0, -4.0, -4.0][..], &[-2.0, -2.0, -3.0][..]));
    // A copy is changed apart from the numbers that it was made of.
    let numbers = [1.0, 2.0];
    let mut copy = ParamsGradient::from(&numbers);
    copy[0] = 5.0;
    assert_eq!((copy, numbers), (ParamsGradient::from(&[5.0, 2.0]), [1.0, 2.0]));
    let mut clone = grad.clone();
    clone[w][0] = 0.0;
    assert_eq!((clone[0], grad[0]), (0.0, -3.0));
    assert_eq!(ParamsGradient::<f64>::default().len(), 0);
}

type Change<'a> = (&'a str, &'a dyn Fn(&mut Params<f64>), bool);

/// Numbers of weights that change between two passes are noticed by what is computed from them, those of buffers are not.
#[test]
fn a_change_of_weights_is_noticed() {
    let data = array![[1.0, 2.0], [3.0, 5.0]];
    let mut params = Params::<f64>::new();
    let norm = BatchNorm::new(&mut params, "norm", 2);
    let (w, m) = (params.add("w", array![1.0]), params.add_buffer("m", array![1.0]));
    let mut copy = Params::<f64>::new();
    BatchNorm::new(&mut copy, "norm", 2);
    copy.add("w", array![1.0]);
    copy.add_buffer("m", array![1.0]);
    #[cfg(feature = "io")]
    let file = wengert::save::Writer::of(&copy).to_bytes();
    let changes: &[Change<'_>] = &[
        ("values_mut", &|p| _ = p.values_mut(), true),
        ("state_mut", &|p| _ = p.state_mut(), true),
        ("view_mut of a weight", &|p| _ = p.view_mut(w), true),
        ("view_mut of a buffer", &|p| _ = p.view_mut(m), false),
        ("a step", &|p| _ = Sgd::new(0.1).step(p, &[0.0; 5]), true),
        ("copy_from", &|p| p.copy_from(&copy), true),
        ("view", &|p| _ = p.view(w), false),
        #[cfg(feature = "io")]
        ("a file", &|p| wengert::save::Reader::from_bytes(file.clone()).unwrap().load(p).unwrap(), true),
    ];
    for &(name, change, noticed) in changes {
        let (mut params, mut mode) = (params.clone(), Mode::train(0));
        let pass = |params: &Params<f64>, mode: &mut Mode<f64>| {
            let tape = Tape::new();
            let p = params.on(&tape);
            let y = norm.forward(p, p.constant(&data), mode);
            std::hint::black_box(y.value().sum());
        };
        pass(&params, &mut mode);
        change(&mut params);
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pass(&params, &mut mode)));
        assert_eq!(again.is_err(), noticed, "{name}");
    }
}
