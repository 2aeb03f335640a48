//! Convolutions, pools and batch norms of images at the borders of their loops, against their definitions in `f64`.

use ndarray::{Array1, Array4, ArrayView4, Axis};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::nn::{BatchNorm, Mode};
use wengert::{Conv, Dual, Params, Scalar, Tape};

use crate::support::panics::message_of;

/// Numbers of absolute value 1/4 to 1, so that none is lost beside another.
fn numbers(shape: [usize; 4], seed: u64) -> Array4<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    Array4::from_shape_simple_fn(shape, || {
        let size = rng.random_range(0.25..1.0);
        f64::from(if rng.random_bool(0.5) { size } else { -size } as f32)
    })
}

#[derive(Clone, Copy, Debug)]
struct Case {
    /// samples, channels, rows, columns
    image: [usize; 4],
    outputs: usize,
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

/// Stride 1, without padding, dilation and groups.
fn plain(image: [usize; 4], outputs: usize, size: [usize; 2]) -> Case {
    Case { image, outputs, size, stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
}

impl Case {
    fn conv(self) -> Conv<2> {
        let Self { stride, padding, dilation, groups, .. } = self;
        Conv::new().stride(stride).padding(padding).dilation(dilation).groups(groups)
    }

    fn kernel(self) -> [usize; 4] {
        [self.outputs, self.image[1] / self.groups, self.size[0], self.size[1]]
    }

    fn out(self) -> [usize; 4] {
        let [rows, columns] = [0, 1].map(|d| {
            (self.image[2 + d] + 2 * self.padding[d] - self.dilation[d] * (self.size[d] - 1) - 1) / self.stride[d] + 1
        });
        [self.image[0], self.outputs, rows, columns]
    }

    /// Calls `f` with the places in result, image and kernel of each term of the definition.
    fn terms(self, mut f: impl FnMut([usize; 4], [usize; 4], [usize; 4])) {
        let ([samples, outputs, rows, columns], inputs) = (self.out(), self.kernel()[1]);
        let pixel = |d: usize, i: usize, k: usize| {
            (i * self.stride[d] + k * self.dilation[d]).checked_sub(self.padding[d]).filter(|&i| i < self.image[2 + d])
        };
        for (n, o, i, j) in ndarray::indices((samples, outputs, rows, columns)) {
            for (c, k, l) in ndarray::indices((inputs, self.size[0], self.size[1])) {
                if let (Some(row), Some(column)) = (pixel(0, i, k), pixel(1, j, l)) {
                    let channel = o / (outputs / self.groups) * inputs + c;
                    f([n, o, i, j], [n, channel, row, column], [o, c, k, l]);
                }
            }
        }
    }

    /// Result, and for cotangents dy those of image and kernel.
    fn by_definition(self, x: &Array4<f64>, w: &Array4<f64>, dy: &Array4<f64>) -> [Array4<f64>; 3] {
        let (mut y, mut dx, mut dw) =
            (Array4::zeros(self.out()), Array4::zeros(self.image), Array4::zeros(self.kernel()));
        self.terms(|at, pixel, tap| {
            y[at] += x[pixel] * w[tap];
            dx[pixel] += dy[at] * w[tap];
            dw[tap] += dy[at] * x[pixel];
        });
        [y, dx, dw]
    }

    /// The same by a tape of numbers `F`. The image gets an earlier cotangent of 1 as well if `shared`.
    fn on_tape<F: Scalar>(
        self,
        [x, w, dy]: [&Array4<f64>; 3],
        shared: bool,
        to: fn(f64) -> F,
        back: fn(F) -> f64,
    ) -> [Array4<f64>; 3] {
        let ([x, w], dy) = ([x, w].map(|a| a.mapv(to)), dy.mapv(to));
        let tape = Tape::<F>::new();
        let (x, w) = (tape.tensor(&x), tape.tensor(&w));
        let y = x.conv2d(w, self.conv());
        let one = F::lit(f64::from(u8::from(shared)));
        let gradient = tape.backward_with([y.seed(&dy), x.seed(&x.full_like(one).value().to_owned())]);
        let own = |a: ArrayView4<'_, F>| a.mapv(back);
        [
            own(y.value()),
            own(gradient.wrt(x).view()).mapv(|d| d - f64::from(u8::from(shared))),
            own(gradient.wrt(w).view()),
        ]
    }
}

#[track_caller]
fn assert_near(what: &str, got: &Array4<f64>, want: &Array4<f64>, terms: f64, epsilon: f64) {
    assert_eq!(got.shape(), want.shape());
    for (at, want) in want.indexed_iter() {
        let error = (got[at] - want).abs();
        assert!(error <= 4.0 * epsilon * terms.sqrt() * (2.0 + want.abs()), "{what} at {at:?}: {} for {want}", got[at]);
    }
}

fn check(case: Case) {
    let (x, w, dy) = (numbers(case.image, 1), numbers(case.kernel(), 2), numbers(case.out(), 3));
    let wanted = case.by_definition(&x, &w, &dy);
    let [samples, outputs, rows, columns] = case.out();
    let taps = case.size[0] * case.size[1];
    let terms = [case.kernel()[1] * taps, outputs / case.groups * taps, samples * rows * columns].map(|n| n as f64);
    let all = [&x, &w, &dy];
    for (got, epsilon, numbers) in [
        (case.on_tape::<f32>(all, false, |x| x as f32, f64::from), f64::from(f32::EPSILON), "f32"),
        (case.on_tape::<f32>(all, true, |x| x as f32, f64::from), f64::from(f32::EPSILON), "f32, shared"),
        (case.on_tape::<f64>(all, false, |x| x, |x| x), f64::EPSILON, "f64"),
        (case.on_tape::<Dual<f64>>(all, true, Dual::from, Dual::primal), f64::EPSILON, "duals"),
    ] {
        for (i, name) in ["y", "dx", "dw"].into_iter().enumerate() {
            assert_near(&format!("{name}, {numbers}, {case:?}"), &got[i], &wanted[i], terms[i], epsilon);
        }
    }
}

/// Sizes around the lanes of vectors and the rows of tiles: one more, one less, several.
#[test]
fn convolutions_around_tiles() {
    for columns in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33] {
        check(plain([2, 3, 3, columns], 5, [2, 1]));
        check(Case { padding: [1, 1], ..plain([3, 2, 4, columns], 9, [3, 3]) });
    }
    for outputs in [1, 2, 3, 7, 8, 9, 11, 16, 17] {
        check(Case { padding: [1, 1], ..plain([3, 5, 4, 4], outputs, [3, 3]) });
    }
    for inputs in [1, 2, 6, 8, 16, 33] {
        check(Case { padding: [1, 1], ..plain([3, inputs, 4, 5], 3, [3, 3]) });
    }
    for samples in [0, 1, 2, 3, 4, 7] {
        check(Case { padding: [1, 1], ..plain([samples, 8, 4, 4], 8, [3, 3]) });
    }
}

#[test]
fn moved_convolutions() {
    let base = plain([2, 6, 7, 9], 4, [3, 2]);
    for stride in [[1, 1], [1, 2], [2, 1], [3, 2], [9, 9]] {
        for padding in [[0, 0], [1, 0], [0, 2], [3, 3], [5, 4]] {
            for dilation in [[1, 1], [1, 2], [3, 1], [3, 4]] {
                for groups in [1, 2] {
                    check(Case { stride, padding, dilation, groups, ..base });
                }
            }
        }
    }
    // Each channel alone, one tap, a tap with padding, a kernel as large as the image, more padding than image.
    check(Case { groups: 6, padding: [1, 1], outputs: 12, ..base });
    check(Case { size: [1, 1], ..base });
    check(Case { size: [1, 1], padding: [1, 2], ..base });
    check(Case { size: [1, 1], stride: [2, 2], ..base });
    check(Case { size: [7, 9], ..base });
    check(Case { size: [3, 3], padding: [70, 90], stride: [60, 60], ..base });
    check(Case { size: [2, 2], dilation: [80, 90], padding: [80, 90], ..base });
}

/// Sums that are cut: many windows, many channels, and images and signals of which only some rows fit.
#[test]
fn long_convolutions() {
    check(Case { padding: [1, 1], ..plain([40, 8, 8, 8], 3, [3, 3]) });
    check(Case { padding: [1, 1], ..plain([2, 83, 4, 4], 2, [3, 3]) });
    check(Case { padding: [1, 1], ..plain([1, 9, 61, 70], 2, [3, 3]) });
    check(Case { padding: [2, 2], stride: [2, 2], ..plain([1, 9, 121, 140], 2, [5, 5]) });
    check(Case { padding: [0, 2], dilation: [1, 2], ..plain([2, 8, 1, 9001], 3, [1, 3]) });
    check(Case { padding: [0, 1], stride: [1, 2], ..plain([1, 3, 1, 20_003], 2, [1, 4]) });
    check(plain([1, 1, 1, 70_000], 1, [1, 2]));
    check(plain([1, 2, 2, 3_000], 2, [2, 2]));
}

/// A NaN or an infinity reaches what the definition says, and nothing else.
#[test]
fn special_numbers_in_convolutions() {
    let case = Case { padding: [1, 1], ..plain([2, 8, 4, 5], 8, [3, 3]) };
    let (x, w, dy) = (numbers(case.image, 1), numbers(case.kernel(), 2), numbers(case.out(), 3));
    for special in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for at in [[0, 0, 0, 0], [0, 7, 3, 4], [1, 3, 2, 1]] {
            let (mut odd_x, mut odd_w, mut odd_dy) = (x.clone(), w.clone(), dy.clone());
            odd_x[at] = special;
            odd_w[[at[1], at[0], 2, at[3] % 3]] = special;
            odd_dy[at] = special;
            for (which, all) in [[&odd_x, &w, &dy], [&x, &odd_w, &dy], [&x, &w, &odd_dy]].into_iter().enumerate() {
                let wanted = case.by_definition(all[0], all[1], all[2]);
                let got = case.on_tape::<f32>(all, false, |x| x as f32, f64::from);
                for (i, (got, want)) in got.iter().zip(&wanted).enumerate() {
                    // Padding is a number too: 0 times a special weight or cotangent is NaN at the border of y and in dw.
                    let padded = (which, i) == (1, 0) || (which, i) == (2, 2);
                    for (place, &want) in want.indexed_iter() {
                        let got = got[place];
                        let same = if want.is_finite() {
                            got.is_finite()
                        } else {
                            got == want || want.is_nan() == got.is_nan()
                        };
                        assert!(
                            same || padded && got.is_nan(),
                            "{special} in {which}, result {i} at {place:?}: {got} for {want}"
                        );
                    }
                }
            }
        }
    }
}

/// With zeros in all of a kernel and all cotangents nothing is left of zeros but their sign.
#[test]
fn zeros_in_convolutions() {
    let case = Case { padding: [1, 1], ..plain([2, 8, 4, 5], 8, [3, 3]) };
    let x = numbers(case.image, 1);
    for zero in [0.0, -0.0] {
        let (w, dy) = (Array4::from_elem(case.kernel(), zero), Array4::from_elem(case.out(), zero));
        for got in case.on_tape::<f32>([&x, &w, &dy], false, |x| x as f32, f64::from) {
            assert!(got.iter().all(|x| *x == 0.0));
        }
    }
}

/// The work is divided between threads, a sum is not.
#[cfg(feature = "parallel")]
#[test]
fn threads_do_not_change_bits_of_convolutions() {
    for case in [
        Case { padding: [1, 1], ..plain([64, 16, 8, 8], 32, [3, 3]) },
        Case { padding: [1, 1], groups: 2, ..plain([32, 32, 8, 8], 66, [3, 3]) },
        Case { padding: [1, 1], ..plain([1, 16, 33, 37], 43, [3, 3]) },
        Case { padding: [1, 1], stride: [2, 2], ..plain([5, 16, 33, 37], 43, [3, 3]) },
        plain([3, 16, 1, 3000], 43, [1, 5]),
    ] {
        let (x, w, dy) = (numbers(case.image, 1), numbers(case.kernel(), 2), numbers(case.out(), 3));
        let mut results = (1..5).map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| case.on_tape::<f32>([&x, &w, &dy], true, |x| x as f32, f64::from))
        });
        let alone = results.next().expect("one thread");
        assert!(results.all(|result| result == alone), "{case:?}");
    }
}

/// Windows of two by two pixels with few values, so that many tie, and some NaN.
#[test]
fn ties_in_pools_of_all_widths() {
    let mut rng = StdRng::seed_from_u64(5);
    for (rows, columns) in (1..6).flat_map(|rows| (1..21).map(move |columns| (2 * rows + rows % 2, columns + 1))) {
        let x = Array4::from_shape_simple_fn((2, 3, rows, columns), || match rng.random_range(0..40) {
            0 => f32::NAN,
            1 => -0.0,
            i => (i % 3) as f32 - 1.0,
        });
        let tape = Tape::new();
        let tensor = tape.tensor(&x);
        let y = tensor.max_pool2d(2);
        let dy = Array4::from_shape_fn(
            y.dim(),
            |(n, c, i, j)| if (i + j) % 5 == 4 { 0.0 } else { (n + c + i + j) as f32 + 1.0 },
        );
        let dx = y.backward_with(&dy).wrt(tensor);
        let mut wanted = Array4::<f32>::zeros(x.dim());
        for ((n, c, i, j), dy) in dy.indexed_iter() {
            let places = [0, 1, 2, 3].map(|k| [n, c, 2 * i + k / 2, 2 * j + k % 2]);
            let any = places.iter().any(|place| x[*place].is_nan());
            let greatest = places.iter().map(|place| x[*place]).fold(f32::NEG_INFINITY, f32::max);
            let value = y.value()[[n, c, i, j]];
            assert!(if any { value.is_nan() } else { value == greatest });
            let equal = places.iter().filter(|place| x[**place] == greatest).count() as f32;
            for place in places {
                if any && *dy != 0.0 {
                    wanted[place] = f32::NAN;
                } else if !any && x[place] == greatest {
                    wanted[place] = dy * (1.0 / equal);
                }
            }
        }
        for (place, want) in wanted.indexed_iter() {
            let got = dx[place];
            assert!(got == *want || got.is_nan() && want.is_nan(), "{rows} x {columns}, {place:?}: {got} for {want}");
        }
    }
}

/// Batch norm by its formulas: value, and the derivative of Σ y t with respect to image, gain and bias.
fn batch_norm(x: &Array4<f64>, gain: &Array1<f64>, bias: &Array1<f64>, t: &Array4<f64>) -> [Vec<f64>; 4] {
    let n = x.len() as f64 / gain.len() as f64;
    let (mut y, mut dx) = (x.clone(), x.clone());
    let (mut dgain, mut dbias) = (vec![], vec![]);
    for c in 0..gain.len() {
        let (own, t) = (x.index_axis(Axis(1), c), t.index_axis(Axis(1), c));
        let mean = own.sum() / n;
        let distance = own.mapv(|x| x - mean);
        let r = (distance.mapv(|d| d * d).sum() / n + 1e-5).sqrt().recip();
        let z = &distance * r;
        y.index_axis_mut(Axis(1), c).assign(&(&z * gain[c] + bias[c]));
        let (sum, product) = (t.sum(), (&t * &z).sum());
        dx.index_axis_mut(Axis(1), c).assign(&((&t - sum / n - &z * (product / n)) * (r * gain[c])));
        dgain.push(product);
        dbias.push(sum);
    }
    [y.into_raw_vec_and_offset().0, dx.into_raw_vec_and_offset().0, dgain, dbias]
}

/// Runs shorter and longer than the partial sums, and sums that join blockwise.
#[test]
fn batch_norms_of_images() {
    for (shape, offset) in [
        ([3, 2, 2, 3], 0.5),
        ([2, 3, 2, 4], 0.5),
        ([4, 5, 3, 5], -2.0),
        ([3, 2, 4, 4], 0.5),
        ([3, 2, 1, 17], 0.5),
        ([130, 2, 4, 8], 0.5),
        ([5, 2, 50, 90], 0.5),
        ([3, 2, 4, 5], 3e6),
    ] {
        let (x, t) = (numbers(shape, 1).mapv(|x| x + offset), numbers(shape, 3));
        let channels = shape[1];
        let (gain, bias) =
            (Array1::from_shape_fn(channels, |c| c as f64 - 0.5), Array1::from_shape_fn(channels, |c| 2.0 - c as f64));
        let mut params = Params::<f64>::new();
        let norm = BatchNorm::new(&mut params, "norm", channels);
        params.view_mut(norm.weight).assign(&gain);
        params.view_mut(norm.bias).assign(&bias);
        let tape = Tape::new();
        let (p, image) = (params.on(&tape), tape.tensor(&x));
        let y = norm.forward(p, image, &mut Mode::train(0));
        // Twice, so that a cotangent is there when the image gets its own.
        let gradient = tape.backward_with([y.seed(&t), image.seed(&t)]);
        let [value, mut dx, dgain, dbias] = batch_norm(&x, &gain, &bias, &t);
        dx.iter_mut().zip(&t).for_each(|(dx, t)| *dx += t);
        let got = [
            y.value().iter().copied().collect(),
            gradient.wrt(image).into_raw_vec_and_offset().0,
            gradient.wrt(p.get(norm.weight)).to_vec(),
            gradient.wrt(p.get(norm.bias)).to_vec(),
        ];
        for (i, (got, want)) in got.iter().zip([value, dx, dgain, dbias]).enumerate() {
            for (got, want) in got.iter().zip(want) {
                let room = 1e-12 * (1.0 + want.abs()) * f64::max(1.0, offset.abs() * 1e-3) * (x.len() as f64).sqrt();
                assert!((got - want).abs() <= room, "{shape:?}, {offset}, result {i}: {got} for {want}");
            }
        }
    }
}

/// Channels with a NaN give NaN, and the others do not see it.
#[test]
fn a_nan_in_a_batch_norm() {
    let mut x = numbers([3, 2, 4, 4], 1);
    x[[1, 1, 2, 2]] = f64::NAN;
    let mut params = Params::<f64>::new();
    let norm = BatchNorm::new(&mut params, "norm", 2);
    let tape = Tape::new();
    let image = tape.tensor(&x);
    let y = norm.forward(params.on(&tape), image, &mut Mode::train(0));
    let dx = y.square().sum().backward().wrt(image);
    for array in [y.value(), dx.view()] {
        assert!(array.indexed_iter().all(|((_, channel, _, _), x)| x.is_nan() == (channel == 1)));
    }
}

/// Without a channel or a window the message is that of the check in front of the loops.
#[test]
fn convolutions_that_do_not_fit() {
    let (x, w) = (numbers([1, 2, 3, 3], 1), numbers([1, 2, 4, 4], 2));
    let tape = Tape::new();
    let message = message_of(|| tape.tensor(&x).conv2d(tape.tensor(&w), Conv::new()));
    assert!(message.contains("does not fit"), "{message}");
}
