//! Training and evaluation: dropout, running statistics, buffers of the parameters.

use ndarray::{Array1, Array2, Array3, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::nn::{BatchNorm, Dropout, Linear, Mode};
use wengert::{AdamW, Optimizer, Params, Tape};

use super::fill;
use crate::support::panics::message_of;

fn dropped(mode: &mut Mode<f64>, probability: f64, len: usize) -> Array1<f64> {
    let (tape, ones) = (Tape::new(), Array1::<f64>::ones(len));
    Dropout::new(probability).forward(tape.constant(&ones), mode).value().to_owned()
}

#[test]
fn dropout_keeps_the_mean_and_passes_in_evaluation() {
    let n = 40_000;
    for probability in [0.1, 0.5, 0.9] {
        let y = dropped(&mut Mode::train(3), probability, n);
        let zeros = y.iter().filter(|y| **y == 0.0).count() as f64;
        // Five standard errors of the share of zeros, which is binomial.
        let error = 5.0 * (probability * (1.0 - probability) / n as f64).sqrt();
        assert!((zeros / n as f64 - probability).abs() < error, "{probability}: {zeros}");
        assert!(y.iter().all(|y| *y == 0.0 || (y - 1.0 / (1.0 - probability)).abs() < 1e-15));
    }
    assert_eq!(dropped(&mut Mode::eval(), 0.5, 8), Array1::<f64>::ones(8));
    assert_eq!(dropped(&mut Mode::train(0), 0.0, 8), Array1::<f64>::ones(8));
    assert_eq!(dropped(&mut Mode::train(0), 1.0, 8), Array1::<f64>::zeros(8));
    assert!(message_of(|| Dropout::new(1.5)).contains("1.5"));

    // The gradient is the mask.
    let (tape, data) = (Tape::new(), fill((5, 4), 1));
    let x = tape.tensor(&data);
    let y = Dropout::new(0.5).forward(x.t(), &mut Mode::train(1));
    let gradient = y.sum().backward().wrt(x);
    assert!((&y.value() - &(&gradient * &data).t()).iter().all(|d| d.abs() < 1e-15));
    assert!(gradient.iter().any(|g| *g == 0.0) && gradient.iter().any(|g| *g == 2.0));
}

/// The numbers of ChaCha with 12 rounds, whose seed are the mode's seed and the number of draws: those of rand 0.9's
/// `StdRng`, below one half.
#[test]
fn masks_of_a_seed_are_fixed() {
    let mask = dropped(&mut Mode::train_from(5, 3), 0.5, 12);
    assert_eq!(mask.to_vec(), [2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
}

#[test]
fn one_seed_governs_all_masks() {
    let draw = |mode: &mut Mode<f64>| [dropped(mode, 0.5, 64), dropped(mode, 0.5, 64)];
    let [a, b] = draw(&mut Mode::train(5));
    assert_ne!(a, b);
    assert_eq!(draw(&mut Mode::train(5)), [a.clone(), b.clone()]);
    assert_ne!(draw(&mut Mode::train(6))[0], a);

    // A mode that continues an interrupted run draws the next mask.
    let mut mode = Mode::train(5);
    dropped(&mut mode, 0.5, 64);
    assert_eq!(mode.draws(), 1);
    assert_eq!(dropped(&mut Mode::train_from(5, mode.draws()), 0.5, 64), b);

    // The masks are the same in f32.
    let (tape, ones) = (Tape::<f32>::new(), Array1::<f32>::ones(64));
    let single = Dropout::new(0.5).forward(tape.constant(&ones), &mut Mode::train(5));
    assert_eq!(single.value().mapv(f64::from), a);
    assert!(Mode::<f64>::train(0).is_training() && !Mode::<f64>::eval().is_training());
}

#[test]
fn running_statistics_are_no_weights() {
    let mut params = Params::<f64>::new();
    let layer = Linear::new(&mut params, "layer", 3, 2, &mut StdRng::seed_from_u64(0));
    let norm = BatchNorm::new(&mut params, "norm", 2);
    assert_eq!(params.len(), 3 * 2 + 2 + 2 + 2);
    let buffers: Vec<_> = params.buffers().map(|(name, values)| (name.to_owned(), values.to_owned())).collect();
    let [zeros, ones] = [array![0.0, 0.0].into_dyn(), array![1.0, 1.0].into_dyn()];
    assert_eq!(buffers, [("norm.running_mean".into(), zeros), ("norm.running_var".into(), ones)]);
    assert_eq!(params.by_name("norm.running_mean"), Some(norm.running_mean));
    assert!(
        params.to_string().contains("norm.running_var   2            2  buffer\ntotal                          12"),
        "{params}"
    );

    let x = fill((16, 3), 1);
    let (mut tape, mut adam, mut train) = (Tape::new(), AdamW::new(0.1).weight_decay(0.5), Mode::train(0));
    let mut means = vec![params.view(norm.running_mean).to_owned()];
    for _ in 0..3 {
        let (_, grad) = tape
            .value_and_grad(&params, |p| norm.forward(p, layer.forward(p, p.constant(&x)), &mut train).square().mean());
        let before = params.clone();
        adam.step(&mut params, grad);
        // Neither the step nor its weight decay changes buffers.
        assert!(params.buffers().eq(before.buffers()));
        train.update_buffers(&mut params);
        means.push(params.view(norm.running_mean).to_owned());
    }
    assert!(means.windows(2).all(|pair| pair[0] != pair[1]));
    // A clone keeps the buffers, and the ids fit it.
    assert_eq!(params.clone().view(norm.running_mean), params.view(norm.running_mean));
}

/// The statistics of several forward passes before a step add up, as in gradient accumulation.
#[test]
fn statistics_of_several_passes() {
    let run = |together: bool| {
        let mut params = Params::<f64>::new();
        let norm = BatchNorm::new(&mut params, "norm", 2);
        let mut train = Mode::train(0);
        for seed in 0..3 {
            let tape = Tape::new();
            let _ = norm.forward(params.on(&tape), tape.constant(fill((4, 2), seed)), &mut train);
            if !together {
                train.update_buffers(&mut params);
            }
        }
        train.update_buffers(&mut params);
        let again = params.clone();
        train.update_buffers(&mut params);
        assert!(params.buffers().eq(again.buffers()));
        params.view(norm.running_var).to_owned()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn forgotten_statistics_are_noticed() {
    let mut params = Params::<f64>::new();
    let norm = BatchNorm::new(&mut params, "norm", 2);
    let (mut tape, mut adam, mut train) = (Tape::new(), AdamW::new(0.1), Mode::train(0));
    let x = fill((4, 2), 1);
    let message = message_of(|| {
        for _ in 0..2 {
            let (_, grad) = tape.value_and_grad(&params, |p| norm.forward(p, p.constant(&x), &mut train).sin().sum());
            adam.step(&mut params, grad);
        }
    });
    assert!(message.contains("mode.update_buffers(&mut params)"), "{message}");
}

#[test]
fn batch_norm_of_too_little() {
    let mut params = Params::<f64>::new();
    let norm = BatchNorm::new(&mut params, "norm", 2);
    let tape = Tape::new();
    let p = params.on(&tape);
    let (one, none, wrong) =
        (Array2::<f64>::ones((1, 2)), Array3::<f64>::zeros((0, 2, 4)), Array2::<f64>::zeros((4, 3)));
    let message = message_of(|| norm.forward(p, p.constant(&one), &mut Mode::train(0)));
    assert!(
        ["norm.weight", "[1, 2]", "Batches::drop_last", "Mode::eval"].iter().all(|part| message.contains(part)),
        "{message}"
    );
    assert_eq!(norm.forward(p, p.constant(&one), &mut Mode::eval()).shape(), [1, 2]);
    let mut train = Mode::train(0);
    assert_eq!(norm.forward(p, p.constant(&none), &mut train).shape(), [0, 2, 4]);
    let message = message_of(|| norm.forward(p, p.constant(&wrong), &mut Mode::eval()));
    assert!(["norm.weight", "axis 1", "length 2", "[4, 3]"].iter().all(|part| message.contains(part)), "{message}");
}

/// A batch of equal numbers, of any size: outputs 0 in training, and in evaluation with the statistics of that batch.
/// (pytorch#98075, scikit-learn#3722: the mean rounds, and what is left is taken for a direction.)
#[test]
fn batch_norm_of_equal_numbers() {
    for (rows, number) in [(3, 123_456.7_f32), (7, 1e5), (1000, 0.1), (5, 1e30)] {
        let mut params = Params::<f32>::new();
        let norm = BatchNorm { momentum: 1.0, ..BatchNorm::new(&mut params, "norm", 1) };
        let (x, mut mode) = (Array2::from_elem((rows, 1), number), Mode::train(0));
        let run = |params: &Params<f32>, mode: &mut Mode<f32>| {
            let tape = Tape::new();
            let p = params.on(&tape);
            norm.forward(p, p.constant(&x), mode).value().to_owned()
        };
        assert!(run(&params, &mut mode).iter().all(|&y| y == 0.0), "{rows} of {number}");
        mode.update_buffers(&mut params);
        assert_eq!(params.view(norm.running_mean)[0], number);
        assert_eq!(params.view(norm.running_var)[0], 0.0);
        assert!(run(&params, &mut Mode::eval()).iter().all(|&y| y == 0.0), "{rows} of {number}");
    }
}
