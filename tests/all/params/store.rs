//! Parameters, initial values, batches and the one-call gradients.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array, Array1, Array2, Array3, ArrayD, Axis, Ix1, Ix2, IxDyn, array, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{self, Batches};
use wengert::optim::{Adam, Optimizer};
use wengert::{Params, Real, Tape, grad, init, value_and_grad};

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("text")).to_owned(),
    }
}

mod one_call {
    use super::*;

    fn rosenbrock<R: Real>(x: &[R]) -> R {
        x.windows(2).map(|w| R::lit(100.0) * (w[1] - w[0] * w[0]).square() + (R::one() - w[0]).square()).sum()
    }

    #[test]
    fn types_are_inferred() {
        let g = grad(|x| (x[0] * x[1]).sin(), &[1.0, 2.0]);
        assert_eq!(g, [2.0 * 2_f64.cos(), 2_f64.cos()]);

        let point = vec![-1.2_f32, 1.0];
        let (value, g) = value_and_grad(|x| rosenbrock(x), &point);
        assert!((value - 24.2).abs() < 1e-5);
        assert!((g[0] + 215.6).abs() < 1e-3 && (g[1] + 88.0).abs() < 1e-3);
    }

    #[test]
    fn what_does_not_depend_has_derivative_zero() {
        assert_eq!(grad(|x| x[0] * 3.0, &[1.0, 2.0]), [3.0, 0.0]);
        assert_eq!(value_and_grad(|_| 7.0.into(), &[1.0, 2.0]), (7.0, vec![0.0; 2]));
        assert_eq!(grad(|x| x[1].detach(), &[1.0, 2.0]), [0.0; 2]);
        assert_eq!(value_and_grad(|_| 7.0.into(), &[]), (7.0, vec![]));
        assert!(grad(|x| wengert::sum(x), &[0.0_f64; 0]).is_empty());
    }

    #[test]
    fn gradients_nest() {
        // d/dx of x · (d/dy y²x at y = 3) = d/dx 6x² with the inner gradient taken as a number.
        let inner = |x: f64| grad(|y| y[0].square() * x, &[3.0])[0];
        assert_eq!(grad(|x| x[0] * inner(x[0].value()), &[2.0]), [12.0]);
    }
}

mod params {
    use super::*;

    fn model() -> (Params<f64>, wengert::Param<Ix2>, wengert::Param<Ix1>) {
        let mut params = Params::new();
        let w = params.add("w", array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let b = params.add("b", array![0.5, -0.5, 0.25]);
        (params, w, b)
    }

    #[test]
    fn every_weight_is_a_view_of_one_vector() {
        let (mut params, w, b) = model();
        assert_eq!(params.len(), 9);
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
        let text = message(move || drop(other.view(w).to_owned()));
        assert!(text.contains("not of these parameters (w, b)"), "{text}");

        // A clone and its origin part ways where they add.
        let mut origin = params;
        let c = clone.add("c", array![1.0]);
        origin.add("c", array![2.0]);
        assert_eq!(clone.view(c), array![1.0]);
        let text = message(move || drop(origin.view(c).to_owned()));
        assert!(text.contains("not of these parameters"), "{text}");
    }

    #[test]
    fn a_name_is_given_once_and_found_with_its_axes() {
        let (mut params, ..) = model();
        let text = message(move || {
            params.add("b", array![1.0]);
        });
        assert!(text.contains(r#"a parameter named "b" already"#), "{text}");
        let (params, ..) = model();
        let text = message(move || {
            params.by_name::<Ix1>("w");
        });
        assert!(text.contains("has shape [2, 3], 2 axes; it was asked for with 1"), "{text}");
    }

    #[test]
    fn a_shared_weight_gets_the_sum() {
        let (params, _, b) = model();
        let mut tape = Tape::new();
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let product = p.get(b) * p.get(b);
            product.at([0]) + product.at([1]) + product.at([2])
        });
        assert_eq!(loss, 0.5625);
        assert_eq!(grad, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.5]);
    }

    #[test]
    fn without_a_closure() {
        let (params, w, b) = model();
        let tape = Tape::new();
        let before = tape.var(3.0);
        let p = params.on(&tape);
        let y = p.get(w) * p.get(b) * before;
        let gradient = y.at([1, 2]).backward();
        assert_eq!(gradient[before], 6.0 * 0.25);
        assert_eq!(gradient.wrt(p.get(w)), array![[0.0; 3], [0.0, 0.0, 0.75]]);
        assert_eq!(gradient.wrt(p.get(b)), array![0.0, 0.0, 18.0]);
        assert_eq!(gradient.wrt(p.flat()).to_vec(), [0.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.0, 0.0, 18.0]);

        let len = tape.len();
        let p = params.frozen_on(&tape);
        let y = p.get(w) * p.get(b);
        assert_eq!(y.value(), array![[0.5, -1.0, 0.75], [2.0, -2.5, 1.5]]);
        assert!(y.is_constant() && tape.len() == len);
    }
}

mod closure_form {
    use super::*;

    #[test]
    fn the_readme_loop() {
        let mut rng = StdRng::seed_from_u64(1);
        let inputs: Array3<f32> = init::normal((4, 16, 64), 0.0, 1.0, &mut rng);
        let labels = Array2::from_shape_fn((4, 16), |(i, j)| (3 * i + j) % 10);
        let epoch = || {
            let rows = labels.rows().into_iter();
            inputs.outer_iter().zip(rows.map(|row| row.to_slice().expect("row-major")))
        };
        let batches = (0..30).flat_map(|_| epoch());
        let mut losses = Vec::new();

        let mut params = Params::<f32>::new();
        let w1 = params.add("w1", init::he_uniform((64, 32), &mut rng));
        let b1 = params.add("b1", Array1::zeros(32));
        let w2 = params.add("w2", init::he_uniform((32, 10), &mut rng));
        let b2 = params.add("b2", Array1::zeros(10));
        let mut adam = Adam::new(1e-2);
        let mut tape = Tape::new();
        for (x, y) in batches {
            let (loss, grad) = tape.value_and_grad(&params, |p| {
                let h = (p.tape().constant(x).dot(p.get(w1)) + p.get(b1)).relu();
                (h.dot(p.get(w2)) + p.get(b2)).softmax_cross_entropy(y)
            });
            adam.step(&mut params, grad);
            losses.push(loss);
        }
        assert!((losses[0] - 10_f32.ln()).abs() < 1.5, "{}", losses[0]);
        let last = losses[losses.len() - 1];
        assert!(last < 0.05, "{last}");
    }

    #[test]
    fn data_outside_the_closure_is_borrowed() {
        let mut params = Params::new();
        let w = params.add("w", array![1.0, 2.0]);
        let mut tape = Tape::new();
        let x = array![3.0, 4.0];
        let mut seen = 0.0;
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let y = p.tape().constant(&x) * p.get(w);
            seen = y.value()[1];
            y.at([0]) + y.at([1]) * p.constant(2.0)
        });
        assert_eq!((loss, grad, seen), (19.0, &[3.0, 8.0][..], 8.0));
        drop(x);
        assert_eq!(grad, [3.0, 8.0]);
    }

    #[test]
    fn the_recording_is_forgotten() {
        let mut params = Params::new();
        let w = params.add("w", array![1.0, 2.0]);
        let mut tape = Tape::new();
        tape.value_and_grad(&params, |p| p.get(w).exp().at([1]));
        drop(params);
        assert!(tape.is_empty());
        let x = tape.var(2.0);
        assert_eq!(x.square().backward()[x], 4.0);
    }

    #[test]
    fn a_panic_leaves_a_usable_tape() {
        let mut tape = Tape::new();
        {
            let params = {
                let mut params = Params::new();
                params.add("w", ArrayD::<f64>::ones(vec![1; 7]));
                params
            };
            let w = params.by_name::<IxDyn>("w").expect("just added");
            let failed = catch_unwind(AssertUnwindSafe(|| {
                tape.value_and_grad(&params, |p| {
                    let _ = p.get(w).exp();
                    panic!("no loss today")
                });
            }));
            assert!(failed.is_err());
        }
        assert!(tape.is_empty());
        let [x, y] = tape.vars([2.0, 3.0]);
        assert_eq!((x * y).backward().wrt([x, y]), [3.0, 2.0]);
    }

    #[test]
    fn a_loss_without_dependence_has_gradient_zero() {
        let mut params = Params::new();
        params.add("w", array![1.0, 2.0]);
        let mut tape = Tape::new();
        assert_eq!(tape.value_and_grad(&params, |p| p.constant(5.0)), (5.0, &[0.0; 2][..]));
        // A loss of other inputs only.
        let (_, grad) = tape.value_and_grad(&params, |p| p.tape().var(3.0).square());
        assert_eq!(grad, [0.0; 2]);
        let none = Params::<f64>::new();
        assert_eq!(tape.value_and_grad(&none, |p| p.tape().var(3.0)), (3.0, &[][..]));
    }

    #[test]
    fn a_loss_of_another_tape_is_refused() {
        let other: &'static Tape = Box::leak(Box::default());
        let text = message(|| {
            let params = Params::new();
            Tape::new().value_and_grad(&params, |_| other.var(1.0));
        });
        assert!(text.contains("the loss belongs to tape"), "{text}");
    }

    #[test]
    fn a_loss_that_is_not_finite_shows_in_the_gradient() {
        let mut params = Params::new();
        let w = params.add("w", array![0.0, 2.0]);
        let mut tape = Tape::new();
        let (loss, grad) = tape.value_and_grad(&params, |p| p.get(w).at([0]).ln());
        assert_eq!(loss, f64::NEG_INFINITY);
        assert_eq!(grad, [f64::INFINITY, 0.0]);
    }
}

/// Sample statistics of 120,000 draws; the bounds are at five standard errors or more, and the seed
/// is fixed.
mod initial_values {
    use super::*;

    /// Mean, variance and kurtosis.
    fn moments(x: &Array<f64, impl ndarray::Dimension>) -> [f64; 3] {
        let n = x.len() as f64;
        let mean = x.sum() / n;
        let central = |k: i32| x.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
        [mean, central(2), central(4) / central(2).powi(2)]
    }

    fn check_uniform(x: &Array<f64, impl ndarray::Dimension>, bound: f64) {
        let largest = x.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "{largest} of {bound}");
        let [mean, variance, kurtosis] = moments(x);
        assert!(mean.abs() < 0.01 * bound, "mean {mean}");
        assert!((variance * 3.0 / bound.powi(2) - 1.0).abs() < 0.015, "variance {variance}");
        assert!((kurtosis - 1.8).abs() < 0.03, "kurtosis {kurtosis}");
    }

    fn check_normal(x: &Array<f64, impl ndarray::Dimension>, mean: f64, std: f64) {
        let [m, variance, kurtosis] = moments(x);
        assert!((m - mean).abs() < 0.015 * std, "mean {m}");
        assert!((variance / std.powi(2) - 1.0).abs() < 0.025, "variance {variance}");
        assert!((kurtosis - 3.0).abs() < 0.08, "kurtosis {kurtosis}");
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let rng = &mut StdRng::seed_from_u64(5);
        let dense = (300, 400);
        check_uniform(&init::uniform(dense, -0.3, 0.3, rng), 0.3);
        check_normal(&init::normal(dense, 1.5, 0.2, rng), 1.5, 0.2);
        check_uniform(&init::glorot_uniform(dense, rng), (6.0_f64 / 700.0).sqrt());
        check_normal(&init::glorot_normal(dense, rng), 0.0, (2.0_f64 / 700.0).sqrt());
        check_uniform(&init::he_uniform(dense, rng), (6.0_f64 / 300.0).sqrt());
        check_normal(&init::he_normal(dense, rng), 0.0, (2.0_f64 / 300.0).sqrt());
    }

    #[test]
    fn convolutions_count_their_kernel() {
        let rng = &mut StdRng::seed_from_u64(6);
        // (outputs, inputs, 5, 5): fan_in = 40 · 25, fan_out = 120 · 25.
        let conv = (120, 40, 5, 5);
        check_uniform(&init::he_uniform(conv, rng), (6.0_f64 / 1000.0).sqrt());
        check_normal(&init::glorot_normal(conv, rng), 0.0, (2.0_f64 / 4000.0).sqrt());
        let conv = (400, 100, 3);
        check_normal(&init::he_normal(conv, rng), 0.0, (2.0_f64 / 300.0).sqrt());
        check_uniform(&init::glorot_uniform(IxDyn(&[400, 100, 3]), rng), (6.0_f64 / 1500.0).sqrt());
    }

    #[test]
    fn one_seed_gives_the_same_weights_in_both_precisions() {
        let double: Array2<f64> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
        let single: Array2<f32> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
        assert_eq!(double.mapv(|x| x as f32), single);
        let again: Array2<f64> = init::he_normal((7, 5), &mut StdRng::seed_from_u64(3));
        assert_eq!(double, again);
    }

    #[test]
    fn corners() {
        let rng = &mut StdRng::seed_from_u64(0);
        assert_eq!(init::zeros::<f32, _>((2, 2)), Array2::<f32>::zeros((2, 2)));
        assert_eq!(init::he_uniform::<f64, _>((0, 3), rng).shape(), [0, 3]);
        assert_eq!(init::glorot_normal::<f64, _>((0, 0), rng).len(), 0);
        let text = message(|| drop(init::he_normal::<f64, _>(3, &mut StdRng::seed_from_u64(0))));
        assert!(text.contains("the shape [3] has no inputs and outputs"), "{text}");
    }
}

mod batching {
    use super::*;

    #[test]
    fn every_index_once_in_an_epoch() {
        let mut batches = Batches::new(103, 10, 7);
        assert_eq!((batches.len(), batches.is_empty()), (11, false));
        let in_order: Vec<usize> = batches.iter().flatten().copied().collect();
        assert!(in_order.iter().copied().eq(0..103));
        let mut orders = vec![in_order];
        for _ in 0..3 {
            let sizes: Vec<usize> = batches.shuffle().map(<[usize]>::len).collect();
            assert_eq!(sizes, [[10; 10].as_slice(), &[3]].concat());
            let order: Vec<usize> = (&batches).into_iter().flatten().copied().collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..103));
            assert!(!orders.contains(&order));
            orders.push(order);
        }
        assert_eq!(Batches::new(0, 4, 0).shuffle().count(), 0);
    }

    #[test]
    fn the_seed_decides() {
        let order = |seed| Batches::new(50, 7, seed).shuffle().flatten().copied().collect::<Vec<_>>();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let split = |seed| data::train_test_split(50, 10, seed);
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    /// Each of the 24 orders of four: χ² with 23 degrees of freedom is below 49.7 in 99.9% of cases
    /// (Abramowitz and Stegun, table 26.8); the seed is fixed.
    #[test]
    fn orders_are_equally_likely() {
        let mut batches = Batches::new(4, 4, 11);
        let mut counts = std::collections::HashMap::new();
        for _ in 0..24_000 {
            let order = batches.shuffle().next().expect("one batch").to_vec();
            *counts.entry(order).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi2: f64 = counts.values().map(|&n| f64::from(n - 1000).powi(2) / 1000.0).sum();
        assert!(chi2 < 49.7, "{chi2}");
    }

    #[test]
    fn a_split_is_a_partition() {
        let (train, test) = data::train_test_split(1797, 360, 0);
        assert_eq!((train.len(), test.len()), (1437, 360));
        let mut all = [train, test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1797));
        assert!(data::train_test_split(3, 0, 0).1.is_empty());
        assert!(data::train_test_split(3, 3, 0).0.is_empty());
    }

    #[test]
    fn rows_are_gathered_from_any_layout() {
        let a = Array::from_shape_fn((5, 2, 3), |(i, j, k)| 100 * i + 10 * j + k);
        let rows = [4, 0, 4, 2];
        let mut buffer = Vec::new();
        let expected = a.select(Axis(0), &rows);
        assert_eq!(data::gather_rows(&a, &rows, &mut buffer), expected);
        let place = buffer.as_ptr();
        let fortran = a.view().reversed_axes().as_standard_layout().reversed_axes().to_owned();
        assert!(!fortran.is_standard_layout());
        assert_eq!(data::gather_rows(&fortran, &rows, &mut buffer), expected);
        assert_eq!(data::gather_rows(&a.view().into_dyn(), &rows, &mut buffer), expected.into_dyn());
        assert_eq!(data::gather_rows(&a, &[], &mut buffer).shape(), [0, 2, 3]);
        assert_eq!(place, buffer.as_ptr());
        assert_eq!(data::gather(&["a", "b", "c"], &[2, 0], &mut Vec::new()), ["c", "a"]);
    }

    #[test]
    fn bad_numbers_are_named() {
        let text = message(|| drop(Batches::new(9, 0, 0)));
        assert!(text.contains("size of at least 1"), "{text}");
        let text = message(|| drop(data::train_test_split(9, 10, 0)));
        assert!(text.contains("10 test examples were asked for, there are 9"), "{text}");
        let text = message(|| {
            data::gather_rows(&array![[1], [2]], &[0, 2], &mut Vec::new());
        });
        assert!(text.contains("row 2 is out of range for shape [2, 1]"), "{text}");
        let text = message(|| {
            data::gather(&[1, 2], &[2], &mut Vec::new());
        });
        assert!(text.contains("index 2 is out of range for 2 items"), "{text}");
    }
}
