//! Once warm, a training step and a scalar gradient allocate nothing.

#[path = "all/support/allocator.rs"]
mod allocator;

use allocator::{allocations, held, peak_of};
use ndarray::{Array1, Array2, Array3, Array4, ArrayD, Axis, IxDyn, array, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows};
use wengert::nn::{
    BatchNorm, Conv2d, Dropout, Embedding, Flatten, Layer, LayerNorm, Linear, Lstm, MaxPool2d, Mode,
    MultiHeadAttention, Relu,
};
use wengert::optim::{
    Accumulator, Adagrad, Adam, AdamW, EarlyStopping, Ema, Lion, Optimizer, Plateau, RmsProp, Schedule, Sgd,
};
use wengert::trace::Recorded;
use wengert::{
    Activation, AutoProgram, Conv, Params, Program, Real, SnapshotSchedule, StaticVar, Tape, Var, fuse, init, statics,
};

/// Asserts that the work allocates nothing after eight rounds.
#[track_caller]
fn assert_allocates_nothing(mut work: impl FnMut()) {
    for _ in 0..8 {
        work();
    }
    let before = allocations();
    for _ in 0..20 {
        work();
    }
    assert_eq!(allocations() - before, 0, "allocations in 20 rounds");
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    let mut kept = vec![1_u8; 100];
    kept.reserve_exact(1000);
    drop(std::hint::black_box(kept));
    assert_eq!(allocations() - before, 2);
}

#[test]
fn static_handles() {
    assert_allocates_nothing(|| {
        let gradient = statics::grad(
            |[x, y]| {
                let [inner] = statics::grad(|[z]| z.powi(3), [x.value()]);
                [x, y, x * y].into_iter().sum::<StaticVar>() * inner
            },
            [2.0, 3.0],
        );
        assert_eq!(gradient, [48.0, 36.0]);
    });
}

/// A file that was saved leaves nothing in memory, not even its name.
#[cfg(feature = "io")]
#[test]
fn saved_files() {
    let mut params = Params::<f64>::new();
    params.add("w", array![1.0, 2.0]);
    let path = std::env::temp_dir().join(format!("wengert-saved-files-{}.safetensors", std::process::id()));
    params.save(&path).expect("it is saved");
    let before = held();
    for _ in 0..10 {
        params.save(&path).expect("it is saved");
    }
    assert_eq!(held(), before);
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn scalar_gradient() {
    let mut tape = Tape::new();
    let point: Vec<f64> = (0..500).map(|i| f64::from(i).sin()).collect();
    let mut steps = [0.0; 3];
    assert_allocates_nothing(|| {
        tape.clear();
        let x = tape.vars_from(&point);
        let [a, b, c] = tape.vars([0.5, -0.3, 1.2]);
        let rosenbrock: Var<'_> =
            x.windows(2).map(|w| 100.0 * (w[1] - w[0].square()).square() + (1.0 - w[0]).square()).sum();
        let stencil = fuse([a, b, c], |[a, b, c]| (a * b - c) * a + b / c);
        let many = wengert::dot(x, x) + wengert::norm(x) + wengert::mean(x);
        let loss = rosenbrock * stencil + many.ln() + wengert::log_sum_exp(x) * a.powi(3);
        let mut gradient = loss.backward();
        steps = gradient.wrt([a, b, c]);
        stencil.backward_into(&mut gradient);
        assert!(gradient.is_finite() && gradient[a] != 0.0);
    });
}

/// Elementwise operations, broadcasting and views.
#[test]
fn elementwise_training_step() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut params = Params::<f32>::new();
    let scale = params.add("scale", init::normal((4, 1), 0.0, 0.5, &mut rng));
    let shift = params.add("shift", Array1::zeros(8));
    let field = params.add("field", init::uniform((2, 4, 8), -1.0, 1.0, &mut rng));
    let dynamic = params.add("dynamic", Array2::<f32>::ones((4, 8)).into_dyn());
    let x = Array3::from_shape_fn((2, 4, 8), |(i, j, k)| (i + 2 * j + 3 * k) as f32 * 0.01);
    let (mut tape, mut adam) = (Tape::new(), AdamW::new(1e-3));
    assert_allocates_nothing(|| {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let h = ((p.get(field) * &x + p.get(shift)) * p.get(scale)).tanh();
            let g = (p.get(dynamic) * 2.0).sigmoid();
            let h = h.maximum(0.1) / (p.get(shift).exp() + 1.0);
            h.at([0, 1, 2]) + h.at([1, 3, 7]) * g.at(ndarray::IxDyn(&[3, 7]))
        });
        assert!(loss.is_finite());
        adam.step(&mut params, grad);
    });
}

/// Views, reductions, assembled tensors and the other losses.
#[test]
fn every_kind_of_operation() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut params = Params::<f64>::new();
    let a = params.add("a", init::normal((6, 8), 0.0, 1.0, &mut rng));
    let b = params.add("b", init::normal((2, 8, 3), 0.0, 1.0, &mut rng));
    let target = Array1::from_elem(8, 0.5);
    let mut tape = Tape::new();
    assert_allocates_nothing(|| {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let (a, b) = (p.get(a), p.get(b));
            let views = a.t().slice(s![..;2, 1..4]).reshape((3, 4)).sum_axis(Axis(0));
            let softmax = a.log_softmax(Axis(1)).mean_axis(Axis(0)) + a.softmax(Axis(0)).std_axis(Axis(0), 0.0);
            let extremes = a.max_axis(Axis(0)) - a.min_axis(Axis(0)) + a.product_axis(Axis(0));
            let rows = a.select(Axis(0), &[5, 1, 1, 5]);
            let joined = p.tape().concatenate(Axis(0), &[rows, a.flip(Axis(1))]);
            let product = a.reshape((2, 3, 8)).matmul(b).norm();
            let losses = softmax.mse(&target) + extremes.huber(&target, 1.0) + rows.row(0).bce_with_logits(&target);
            views.log_sum_exp() + joined.var(1.0) + product + losses + extremes.iter().sum::<Var<'_>>()
        });
        assert!(loss.is_finite() && grad.iter().all(|g| g.is_finite()));
    });
}

#[test]
fn clear_drops_the_shapes_of_dynamic_views() {
    // Six axes: more than ndarray keeps inline for a dynamic dimension.
    let a: ArrayD<f64> = init::normal(IxDyn(&[2, 1, 3, 2, 1, 2]), 0.0, 1.0, &mut StdRng::seed_from_u64(0));
    let mut tape = Tape::new();
    let mut step = || {
        let x = tape.tensor(&a);
        let y = x.permuted_axes(IxDyn(&[5, 3, 1, 0, 4, 2])).select(Axis(0), &[1, 1]).flip(Axis(1));
        let z = y.tape().stack(Axis(0), &[y, y.as_standard_layout()]);
        let z = z.keep_where(&z.value().mapv(|z| z > 0.0), 0.0);
        let loss: Var<'_> = z.pad(&[(1, 0); 7], 2.0).iter().sum();
        let total = loss.backward().wrt(x).sum();
        tape.clear();
        total
    };
    let first = step();
    step();
    let before = held();
    for _ in 0..5 {
        assert_eq!(step(), first);
    }
    assert_eq!(held(), before);
    drop(tape);
    assert!(held() < before);
}

#[test]
fn a_warm_step_of_fixed_dimensions_allocates_nothing() {
    let (data, mask) = (Array2::from_shape_fn((3, 4), |(i, j)| (4 * i + j) as f64), array![true, false, true, true]);
    let picks = Array2::from_elem((10, 2), 1);
    let mut tape = Tape::new();
    let mut step = || {
        let x = tape.tensor(&data);
        let y = x.t().select(Axis(0), &[3, 1, 1]).reshape((1, 9));
        let [a, b, c] = y.split(Axis(1));
        let z = a.tape().stack(Axis(1), &[a, b, c, a, b, c, a, b, c, c]);
        let z = z.index_axis(Axis(0), 0).gather(Axis(1), &picks);
        let z = a.tape().concatenate(Axis(1), &[z, z.flip(Axis(1))]);
        let z = z.keep_where(&mask, 1.0).pad(&[(1, 1), (0, 0)], 3.0);
        let loss: Var<'_> = z.flatten().iter().sum();
        let value = loss.value() + loss.backward()[x.at([0, 0])];
        tape.clear();
        value
    };
    for _ in 0..3 {
        step();
    }
    let before = allocations();
    step();
    assert_eq!(allocations(), before);
}

/// Products with fewer columns than a vector register has lanes, which have kernels of their own.
#[test]
fn narrow_dense_step() {
    let mut rng = StdRng::seed_from_u64(0);
    let inputs: Array2<f32> = init::normal((37, 70), 0.0, 1.0, &mut rng);
    let labels: Vec<usize> = (0..37).map(|i| i % 10).collect();
    let mut params = Params::<f32>::new();
    let w = params.add("w", init::he_uniform((70, 10), &mut rng));
    let b = params.add("b", Array1::zeros(10));
    let (mut tape, mut sgd) = (Tape::new(), Sgd::new(1e-3));
    assert_allocates_nothing(|| {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let x = p.constant(&inputs).dense(p.get(w), p.get(b), Activation::Tanh);
            x.softmax_cross_entropy(&labels)
        });
        assert!(loss.is_finite());
        sgd.step(&mut params, grad);
    });
}

/// A step of a perceptron, from gathering the batch to the update.
#[test]
fn perceptron_training_step() {
    for size in [32, 7] {
        let mut rng = StdRng::seed_from_u64(0);
        let inputs: Array2<f32> = init::normal((96, 64), 0.0, 1.0, &mut rng);
        let labels: Vec<usize> = (0..96).map(|i| i % 10).collect();
        let mut params = Params::<f32>::new();
        let w1 = params.add("w1", init::he_uniform((64, 32), &mut rng));
        let b1 = params.add("b1", Array1::zeros(32));
        let w2 = params.add("w2", init::he_uniform((32, 10), &mut rng));
        let b2 = params.add("b2", Array1::zeros(10));
        let mut adam = Adam::new(1e-3);
        let mut sgd = Sgd::new(1e-3).momentum(0.9);
        let mut batches = Batches::new(inputs.nrows(), size, 1);
        let (mut rows_of_x, mut rows_of_y) = (Vec::new(), Vec::new());
        let mut tape = Tape::new();
        assert_allocates_nothing(|| {
            for rows in batches.shuffle() {
                let x = gather_rows(&inputs, rows, &mut rows_of_x);
                let y = gather(&labels, rows, &mut rows_of_y);
                let (loss, grad) = tape.value_and_grad(&params, |p| {
                    let h = (p.constant(x).dot(p.get(w1)) + p.get(b1)).relu();
                    (h.dot(p.get(w2)) + p.get(b2)).softmax_cross_entropy(y)
                });
                assert!(loss.is_finite());
                adam.step(&mut params, grad);
                sgd.step(&mut params, grad);
            }
        });
    }
}

#[test]
fn a_long_recurrence_takes_the_memory_of_its_snapshots() {
    fn step<'s>(k: &[Var<'s>], x: &[Var<'s>]) -> Vec<Var<'s>> {
        vec![x[0] + x[1] * 0.01, x[1] - (x[0].sin() * k[0] + x[1] * k[1]) * 0.01]
    }
    let at = [1.3, 0.2, 0.5, -0.1];
    let n = 100_000;
    let stored = peak_of(|| {
        let tape = Tape::new();
        let v = tape.vars_from(&at);
        let x = (0..n).fold(v[2..].to_vec(), |x, _| step(&v[..2], &x));
        let _ = x[0].backward();
    });
    let with = |n: usize, schedule: SnapshotSchedule| {
        peak_of(|| {
            let tape = Tape::new();
            let v = tape.vars_from(&at);
            let _ = tape.checkpoint_loop(n, schedule, &v[..2], &v[2..], |_, k, x| step(k, x))[0].backward();
        })
    };
    let (sqrt, binomial) = (with(n, SnapshotSchedule::Sqrt), with(n, SnapshotSchedule::Binomial { count: 17 }));
    println!("{n} steps: {stored} bytes stored, {sqrt} with sqrt(n), {binomial} with log2(n) snapshots");
    assert!(stored > 100 * n);
    assert!(sqrt < 150_000 && binomial < 12_000, "{sqrt} {binomial}");
    // A hundred times the steps take ten times the snapshots, or the same number.
    assert!(sqrt < 15 * with(n / 100, SnapshotSchedule::Sqrt));
    assert!(binomial < 2 * with(n / 100, SnapshotSchedule::Binomial { count: 17 }));
}

/// A program allocates when it plans a kind of derivative, not when it runs: neither in lanes nor operation by
/// operation, which it does where a number is not finite.
#[test]
fn runs_of_programs() {
    fn model<R: Real<Base = f64>>(x: &[R]) -> R {
        let terms = x.windows(2).map(|w| (w[0] * w[1]).sin() + w[0].ln().abs());
        terms.sum::<R>() / x[0] + x[1].max(x[2])
    }
    for n in [3, 300] {
        let point: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64).sin().abs()).collect();
        let singular: Vec<f64> = point.iter().enumerate().map(|(i, &x)| if i == 1 { 0.0 } else { x }).collect();
        let mut program = Program::new(|x| model(x), &point).unwrap();
        let mut several = Program::vector(|x| vec![model(x), x[0] * x[1]], &point).unwrap();
        let mut exact = program.clone().exact(true);
        let mut residuals = Program::vector(|x| x.iter().map(|&y| (y * x[0]).sin()).collect(), &point).unwrap();
        let [mut hessian, mut square] = [Array2::zeros((n, n)), Array2::zeros((n, n))];
        let mut jacobian = Array2::zeros((2, n));
        let mut auto = AutoProgram::new(|x: &[Recorded<'_>]| model(x));
        let mut branches = 0;
        let [mut gradient, mut product] = [vec![0.0; n], vec![0.0; n]];
        for x in [&point, &singular] {
            assert_allocates_nothing(|| {
                for program in [&mut program, &mut exact] {
                    program.value(x).unwrap();
                    program.value_and_grad(x, &mut gradient).unwrap();
                    program.grad_and_hvp(x, &point, &mut gradient, &mut product).unwrap();
                    program.hvp(x, &point, &mut product).unwrap();
                    program.hessian_into(x, hessian.view_mut()).unwrap();
                    program.sparse_hessian(x).unwrap();
                }
                auto.value_and_grad(x, &mut gradient).unwrap();
                several.values(x, &mut [0.0; 2]).unwrap();
                several.jvp(x, &point, &mut [0.0; 2]).unwrap();
                several.vjp(x, &[1.0, 2.0], &mut gradient).unwrap();
                several.jacobian_into(x, jacobian.view_mut()).unwrap();
                several.sparse_jacobian(x).unwrap();
                residuals.jacobian_into(x, square.view_mut()).unwrap();
                branches += 1;
            });
        }
        assert_eq!((branches, auto.recordings()), (56, 1));
    }
}

/// A training step of a net with every kind of layer. The net is small, because the crate `gemm` allocates a few
/// bytes for large products.
#[test]
fn layers_training_step() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut params = Params::<f32>::new();
    let convolution = Conv::new().padding(1);
    let net = (
        Conv2d::new(&mut params, "conv", 1, 4, 3, convolution, &mut rng),
        BatchNorm::new(&mut params, "norm", 4),
        Relu,
        MaxPool2d::new(2),
        Conv2d::new(&mut params, "wide", 4, 4, 3, convolution.stride(2), &mut rng),
        Flatten,
        Dropout::new(0.5),
        LayerNorm::new(&mut params, "layer", 4),
    );
    let lstm = Lstm::bidirectional(&mut params, "lstm", 4, 3, 2, &mut rng);
    let attention = MultiHeadAttention::new(&mut params, "attention", 6, 2, &mut rng).causal();
    let table = Embedding::new(&mut params, "table", 5, 6, &mut rng);
    let images: Array4<f32> = init::normal((4, 1, 4, 4), 0.0, 1.0, &mut rng);
    let (mut tape, mut adam, mut train) = (Tape::new(), Adam::new(1e-3), Mode::train(0));
    assert_allocates_nothing(|| {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let features = net.forward(p, p.constant(&images), &mut train);
            let (states, _) = lstm.forward(p, features.reshape((2, 2, 4)), Some(&[2, 1]), None);
            let tokens = attention.forward(p, states.reshape((4, 1, 6))) + table.forward(p, &[0, 3, 3, 1]);
            tokens.square().mean()
        });
        assert!(loss.is_finite() && grad.iter().all(|g| g.is_finite()));
        adam.step(&mut params, grad);
        train.update_buffers(&mut params);
    });
}

/// Gradients of each row allocate the two results, however many rows there are.
#[test]
fn gradients_of_samples() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut params = Params::<f32>::new();
    let layer = Linear::new(&mut params, "layer", 6, 4, &mut rng);
    let x: Array2<f32> = init::normal((64, 6), 0.0, 1.0, &mut rng);
    let mut tape = Tape::new();
    let mut counts = [1, 64, 64].map(|rows| {
        for _ in 0..8 {
            let _ =
                tape.per_sample_grad(&params, rows, |p, row| layer.forward(p, p.constant(x.row(row))).square().sum());
        }
        let before = allocations();
        let _ = tape.per_sample_grad(&params, rows, |p, row| layer.forward(p, p.constant(x.row(row))).square().sum());
        allocations() - before
    });
    counts.sort_unstable();
    assert_eq!(counts, [2; 3]);
}

/// Every optimiser with groups, schedules, accumulation, averages and early stopping.
#[test]
fn optimizers_and_averages() {
    let mut params = Params::<f32>::new();
    params.add("frozen", Array1::ones(10));
    params.add("w", Array1::ones(100));
    params.add("b", Array1::ones(7));
    params.group("frozen").freeze();
    params.group("b").rate(0.5).decay(0.0);
    let grad: Vec<f32> = (0..117).map(|i| (i as f32).sin()).collect();
    let mut optimizers: [Box<dyn Optimizer<f32>>; 7] = [
        Box::new(Sgd::new(1e-3).clip_value(0.5)),
        Box::new(Sgd::new(1e-3).momentum(0.9).nesterov(true)),
        Box::new(Adam::new(1e-3).clip_norm(1.0)),
        Box::new(AdamW::new(1e-3)),
        Box::new(RmsProp::new(1e-3).momentum(0.9)),
        Box::new(Adagrad::new(1e-3)),
        Box::new(Lion::new(1e-4)),
    ];
    let (mut micro, mut ema) = (Accumulator::new(3), Ema::new(0.99));
    let (mut stopping, mut plateau) = (EarlyStopping::new(1_000_000), Plateau::new(1e-3, 5));
    let schedule = Schedule::one_cycle(1e-3, 100);
    let mut step = 0;
    assert_allocates_nothing(|| {
        step += 1;
        if let Some(grad) = micro.add(&grad, 32) {
            for optimizer in &mut optimizers {
                optimizer.set_lr(schedule.at(step).min(plateau.observe(1.0 / step as f64)));
                optimizer.step(&mut params, grad);
            }
            ema.update(&params);
            assert!(!stopping.observe(1.0 / step as f64, &params));
            ema.swap(&mut params);
            ema.swap(&mut params);
        }
    });
    assert_eq!(params.values()[..10], [1.0; 10]);
}

/// Sweeps over one recording, again and again, take no more memory: neither the temporaries of pullbacks nor outputs
/// that need adjoints of different lengths, in turn.
#[test]
fn sweeps_of_one_recording() {
    let (a, b) =
        (Array2::from_shape_fn((30, 30), |(i, j)| ((i * 31 + j) as f64).sin()), Array1::linspace(0.1, 0.9, 30));
    let images = Array4::from_shape_fn((2, 2, 8, 8), |(i, j, k, l)| ((i + 2 * j + 5 * k + 7 * l) as f64).cos());
    let kernel = Array4::from_elem((3, 2, 3, 3), 0.1);
    let tape = Tape::new();
    let (x, v) = (tape.tensor(&a), tape.tensor(&b));
    let (images, kernel) = (tape.tensor(&images), tape.tensor(&kernel));
    let square = x.t().dot(x.slice(s![.., ..;-1]));
    let outputs = [
        x.t().std(1.0) + x.product_axis(Axis(0)).sum() + square.max_axis(Axis(1)).sum(),
        (x.dense(x, v, Activation::Tanh) * v.broadcast((30, 30)).dot(x)).sum(),
        images.conv2d(kernel, Conv::new().padding(1)).max_pool2d(2).square().sum(),
        images.avg_pool2d(2).layer_norm(1e-3).square().mean(),
        x.t().softmax(Axis(1)).log_sum_exp()
            + x.insert_axis(Axis(0)).broadcast((3, 30, 30)).matmul(x.insert_axis(Axis(0))).sum(),
        v.at([3]) * v.at([4]),
    ];
    let mut gradient = outputs[0].backward();
    let mut sweep = || {
        for output in &outputs {
            output.backward_into(&mut gradient);
        }
        gradient[v.at([3])]
    };
    for _ in 0..3 {
        assert_eq!(sweep(), b[4]);
    }
    let before = (tape.memory(), held());
    for _ in 0..30 {
        sweep();
    }
    assert_eq!((tape.memory(), held()), before);

    // Checkpoints allocate for the time of a pullback, and so does a pullback that is kept.
    let checkpoint = x.checkpoint(|x| x.dot(x).tanh()).sum();
    let [k, start] = [v.at([0]), v.at([1])];
    let looped =
        tape.checkpoint_loop(20, SnapshotSchedule::Sqrt, &[k], &[start], |_, k, y| vec![y[0] - k[0] * y[0] * 0.1]);
    let (_, pullback) = wengert::arrays::vjp(|x| x.t().std(1.0) + x.product_axis(Axis(0)), &a);
    let mut kept = Vec::new();
    for _ in 0..30 {
        for output in [checkpoint, looped[0]] {
            output.backward_into(&mut gradient);
        }
        drop(pullback.call(&b));
        kept.push((tape.memory(), held()));
    }
    let last = kept.len() - 1;
    assert_eq!(kept[last].0, kept[3].0);
    // The list of these numbers itself grows.
    assert!((kept[last].1 - kept[3].1).abs() < 4096, "{kept:?}");
}
