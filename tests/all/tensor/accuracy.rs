//! Rounding errors of long `f32` sums and products, and statistics of equal, huge and tiny numbers.
//!
//! Oracles: the same sums in `f64`, and closed forms.

use ndarray::{Array, Array1, Array2, Array3, Array4, Axis, Ix2, array, s};
use wengert::ndarray;
use wengert::rules::UNARY;
use wengert::{Activation, Conv, Dual, Pool, Tape, Tensor, Var, dot, log_sum_exp, mean, norm, sum};

/// Rows of the long sums; a debug build takes fewer.
const ROWS: usize = if cfg!(debug_assertions) { 1 << 14 } else { 1_000_000 };

/// The spreads of the numbers of a test. Equal numbers are rounded in one direction again and again.
const SPREADS: [f32; 2] = [0.25, 0.0];

/// Numbers from `center` to (1 + spread) `center`.
fn numbers<D: ndarray::Dimension>(
    shape: impl ndarray::IntoDimension<Dim = D>,
    center: f32,
    spread: f32,
) -> Array<f32, D> {
    let mut state = 1_u32;
    Array::from_shape_simple_fn(shape.into_dimension(), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        center * (1.0 + (state >> 8) as f32 * 2.0_f32.powi(-24) * spread)
    })
}

/// Asserts |got - want| ≤ u |want| max(5 √bound, bound / 4), for sums of positive terms, of which `bound` is the bound in
/// `wengert::accuracy`. The errors of numbers at random are near u √bound.
#[track_caller]
fn assert_sums(case: &str, bound: f64, got: impl IntoIterator<Item = f32>, want: impl IntoIterator<Item = f64>) {
    let (got, want): (Vec<f32>, Vec<f64>) = (got.into_iter().collect(), want.into_iter().collect());
    assert_eq!(got.len(), want.len(), "{case}");
    for (&got, &want) in got.iter().zip(&want) {
        let error = if f64::from(got) == want { 0.0 } else { (f64::from(got) - want).abs() / want.abs() };
        let allowed = (5.0 * bound.sqrt()).max(bound / 4.0) * 2.0_f64.powi(-24);
        assert!(error <= allowed, "{case}: {got} is {error:e} off {want}, more than {allowed:e}");
    }
}

/// The sums down the columns, in `f64`.
fn columns(x: &Array2<f32>) -> Vec<f64> {
    x.columns().into_iter().map(|column| column.iter().map(|&x| f64::from(x)).sum()).collect()
}

/// xᵀ y in `f64`.
fn gram(x: &Array2<f32>, y: &Array2<f32>) -> Vec<f64> {
    x.mapv(f64::from).t().dot(&y.mapv(f64::from)).into_iter().collect()
}

#[test]
fn long_reductions() {
    let tape = Tape::<f32>::new();
    for (width, spread) in [1, 2, 11].into_iter().flat_map(|width| SPREADS.map(|spread| (width, spread))) {
        let data = numbers((ROWS / width, width), 0.1, spread);
        let (x, want) = (tape.constant(&data), columns(&data));
        let n = data.nrows() as f64;
        assert_sums("sum_axis(0)", 320.0, x.sum_axis(Axis(0)).value().to_owned(), want.clone());
        assert_sums(
            "sum_axis(1)",
            270.0,
            x.t().as_standard_layout().sum_axis(Axis(1)).value().to_owned(),
            want.clone(),
        );
        assert_sums("mean_axis", 320.0, x.mean_axis(Axis(0)).value().to_owned(), want.iter().map(|s| s / n));
        assert_sums("sum", 270.0, [x.sum().value()], [want.iter().sum()]);
        let squares = data.mapv(|x| f64::from(x).powi(2)).sum();
        assert_sums("mse", 270.0, [x.mse(0.0).value()], [squares / data.len() as f64]);
        assert_sums("norm", 270.0, [x.norm().value()], [squares.sqrt()]);
        let mean = want[0] / n;
        let square = data.column(0).iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
        let square = if spread == 0.0 { 0.0 } else { square };
        assert_sums("var_axis", 320.0, [x.var_axis(Axis(0), 1.0).value()[0]], [square / (n - 1.0)]);
        let exponentials = data.mapv(|x| f64::from(x).exp()).sum();
        assert_sums("log_sum_exp", 270.0, [x.log_sum_exp().value().exp()], [exponentials]);
    }
}

#[test]
fn long_products() {
    let tape = Tape::<f32>::new();
    // Results of one column, of a few (narrow ways and tiles), and of many (the gemm crate); each operand by rows and by columns.
    let shapes = [[1, 1], [1, 3], [3, 1], [2, 2], [5, 3], [40, 5], [1, 40], [40, 1], [40, 40]];
    for ([m, n], spread) in shapes.into_iter().flat_map(|shape| SPREADS.map(|spread| (shape, spread))) {
        let k = ROWS.min((2 * ROWS) / (m.max(n) / 2).max(1)) + 3;
        let (a, b) = (numbers((k, m), 0.1, spread), numbers((k, n), 0.3, spread));
        let want = gram(&a, &b);
        let (by_rows, columns) = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
        for (case, x) in [("columns", tape.constant(&a).t()), ("rows", tape.constant(&by_rows))] {
            for y in [tape.constant(&b), tape.constant(&columns).t()] {
                let case = format!("({m}, {k})·({k}, {n}), {case}");
                assert_sums(&case, 1120.0, x.dot(y).value().to_owned(), want.clone());
            }
        }
    }
    let (a, b) = (numbers(ROWS, 0.1, 0.0), numbers(ROWS, 0.3, 0.0));
    let want = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    assert_sums("dot of vectors", 1200.0, [tape.constant(&a).dot(tape.constant(&b)).value()], [want]);
}

#[test]
fn long_products_of_duals() {
    let (a, b) = (numbers((1 << 17, 2), 0.1, 0.0), numbers((1 << 17, 2), 0.3, 0.0));
    let tape = Tape::<Dual<f32, 1>>::new();
    let dual = a.mapv(|x| Dual::new(x, [2.0 * x]));
    let product = tape.constant(dual).t().dot(tape.constant(b.mapv(|x| Dual::new(x, [0.0]))));
    let want = gram(&a, &b);
    assert_sums("primal", 4110.0, product.value().iter().map(|x| x.primal()), want.clone());
    assert_sums("tangent", 4110.0, product.value().iter().map(|x| x.tangents()[0]), want.iter().map(|w| 2.0 * w));
}

/// The gradients of an operand that repeats, against the sums of the other operand: ∂Σab/∂b = Σa.
#[test]
fn long_gradients_of_repeated_operands() {
    let tape = Tape::<f32>::new();
    for width in [1, 3, 9, 70, 130] {
        let data = numbers((ROWS / width, width), 0.1, 0.0);
        let (x, want) = (tape.constant(&data), columns(&data));
        let row = Array1::<f32>::ones(width);
        let b = tape.tensor(&row);
        let cases = [
            ("bias", (x * b).sum()),
            ("transposed bias", (x.t() * b.insert_axis(Axis(1))).sum()),
            ("broadcast", (x * b.broadcast(x.dim()).square().as_standard_layout()).sum() * 0.5),
            ("keep_where", x.keep_where_ones(b)),
        ];
        for (case, loss) in cases {
            assert_sums(&format!("{case} of {width}"), 640.0, loss.backward().wrt(b), want.clone());
        }
        let ones = Array2::<f32>::ones((ROWS / width, width));
        let dense = (tape.constant(ones).affine(tape.constant(Array2::<f32>::zeros((width, width))), b) * x).sum();
        assert_sums("affine", 320.0, dense.backward().wrt(b), want.clone());

        let k = tape.var(1.0);
        for loss in
            [(x * k).sum(), (x.t() * k).sum(), (k * x.slice(s![..; -1, ..])).sum(), (x * k.square()).sum() * 0.5]
        {
            assert_sums("a variable", 640.0, [loss.backward()[k]], [want.iter().sum()]);
        }
        let column = Array2::<f32>::ones((width, 1));
        let c = tape.tensor(&column);
        let rows = x.t().as_standard_layout();
        assert_sums("a column", 640.0, (rows * c).sum().backward().wrt(c), want.clone());
    }
    let images = numbers((ROWS / 64, 2, 4, 8), 0.1, 0.0);
    let channels = Array3::<f32>::ones((2, 1, 1));
    let c = tape.tensor(&channels);
    let want = [0, 1].map(|i| images.index_axis(Axis(1), i).mapv(f64::from).sum());
    assert_sums("channels", 640.0, (tape.constant(&images) * c).sum().backward().wrt(c), want);
}

trait KeepOnes<'t> {
    fn keep_where_ones(self, b: Tensor<'t, f32, ndarray::Ix1>) -> Var<'t, f32>;
}

impl<'t> KeepOnes<'t> for Tensor<'t, f32, Ix2> {
    /// Σ x b, where b is chosen by a mask that is true everywhere.
    fn keep_where_ones(self, b: Tensor<'t, f32, ndarray::Ix1>) -> Var<'t, f32> {
        let mask = Array2::from_elem(self.dim(), true);
        (b.keep_where(&mask, self) * self).sum()
    }
}

#[test]
fn long_gradients_of_weights() {
    let tape = Tape::<f32>::new();
    // d/dw Σ(xw - y)² = 2 xᵀ(xw - y), at w = 0.
    let (x, y) = (numbers((ROWS, 1), 1.0, 0.0), numbers((ROWS, 1), 0.05, 0.0));
    let w = array![[0.0_f32]];
    let w = tape.tensor(&w);
    let loss = (tape.constant(&x).dot(w) - tape.constant(&y)).square().sum();
    let want: Vec<f64> = gram(&x, &y).iter().map(|g| -2.0 * g).collect();
    assert_sums("regression", 1120.0, loss.backward().wrt(w), want);

    // Kernels of one tap, whose blocks are single samples, and of three.
    let signal = numbers((ROWS / 8, 1, 8), 0.1, 0.0);
    for taps in [1, 3] {
        let kernel = Array3::<f32>::ones((1, 1, taps));
        let w = tape.tensor(&kernel);
        let want = (0..taps).map(|t| signal.slice(s![.., .., t..t + 9 - taps]).mapv(f64::from).sum());
        let loss = tape.constant(&signal).conv1d(w, Conv::new()).sum();
        assert_sums("conv1d", 1100.0, loss.backward().wrt(w), want);
    }
    let image = Array4::<f32>::ones((2, 1, 4, 4));
    let x = tape.tensor(&image);
    assert_eq!(x.avg_pool2d(Pool::new(2)).sum().backward().wrt(x)[[1, 0, 3, 3]], 0.25);
}

#[test]
fn long_gradients_of_chosen_elements() {
    let tape = Tape::<f32>::new();
    let (table, data) = (Array2::<f32>::ones((3, 2)), numbers((ROWS, 2), 0.1, 0.0));
    let (x, y) = (tape.tensor(&table), tape.constant(&data));
    let indices: Vec<usize> = (0..ROWS).map(|i| i % 3).collect();
    let mut want = Array2::<f64>::zeros((3, 2));
    for (i, row) in data.rows().into_iter().enumerate() {
        for (want, &x) in want.row_mut(i % 3).iter_mut().zip(row) {
            *want += f64::from(x);
        }
    }
    // 128 terms for each element and block, and 2,600 blocks of these.
    let selected = (x.select(Axis(0), &indices) * y).sum().backward().wrt(x);
    assert_sums("select", 2800.0, selected, want.clone());
    let places = Array2::from_shape_fn((ROWS, 2), |(i, _)| i % 3);
    assert_sums("gather", 2800.0, (x.gather(Axis(0), &places) * y).sum().backward().wrt(x), want);
}

#[test]
fn long_sums_of_variables() {
    let data = numbers(ROWS, 0.1, 0.0);
    let tape = Tape::<f32>::new();
    let x = tape.vars_from(data.as_slice().unwrap());
    let total: f64 = data.iter().map(|&x| f64::from(x)).sum();
    let squares = data.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    assert_sums("sum", 320.0, [sum(x).value()], [total]);
    assert_sums("iter.sum", 320.0, [x.iter().map(|&x| x * 2.0).sum::<Var<'_, f32>>().value()], [2.0 * total]);
    assert_sums("mean", 320.0, [mean(x).value()], [total / ROWS as f64]);
    assert_sums("dot", 320.0, [dot(x, x).value()], [squares]);
    assert_sums("norm", 320.0, [norm(x).value()], [squares.sqrt()]);
    let exponentials = data.iter().map(|&x| f64::from(x).exp()).sum();
    assert_sums("log_sum_exp", 320.0, [log_sum_exp(x).value().exp()], [exponentials]);
}

/// Statistics of n equal numbers c are exactly c, 0 and 0, with gradients 0 and, on dual numbers, Hessians by the formulas.
#[test]
fn equal_numbers() {
    for n in [2, 3, 7, 10, 33, 100, 1000, 5001] {
        for c in [0.1_f32, 1e5, 123_456.7, -3.3, 1e30, 3.4e38, 1e-40, 0.0] {
            let data = Array2::from_elem((1, n), c);
            let tape = Tape::<f32>::new();
            let x = tape.tensor(&data);
            let case = format!("{n} times {c:e}");
            assert_eq!(x.var(0.0).value(), 0.0, "{case}");
            assert_eq!(x.std(1.0).value(), 0.0, "{case}");
            assert_eq!(x.std_axis(Axis(1), 1.0).value()[0], 0.0, "{case}");
            for loss in [x.var(0.0), x.std(1.0), x.var_axis(Axis(1), 1.0).sum(), x.std_axis(Axis(1), 0.0).sum()] {
                assert!(loss.backward().wrt(x).iter().all(|&g| g == 0.0), "{case}");
            }
            assert!(x.layer_norm(1e-5).value().iter().all(|&y| y == 0.0), "{case}");
            let down = x.t().as_standard_layout();
            assert_eq!(down.std_axis(Axis(0), 0.0).value()[0], 0.0, "{case}");
            let mean = x.mean().value();
            assert!((mean - c).abs() <= 1e-5 * c.abs(), "{case}: mean {mean}");
        }
        let (tape, data) = (Tape::new(), Array1::from_elem(n, 0.1));
        let x = tape.tensor(&data);
        assert_eq!(x.std(1.0).value(), 0.0);
        assert!(x.std(1.0).backward().wrt(x).iter().all(|&g| g == 0.0));
    }
}

/// Numbers that differ by a few ulps: mean and deviation keep the digits that the numbers have.
#[test]
fn nearly_equal_numbers() {
    let data: Array2<f32> = Array2::from_shape_fn((1, 1000), |(_, i)| 1e6 + (i % 4) as f32 * 0.25);
    let tape = Tape::<f32>::new();
    let x = tape.tensor(&data);
    // 1e6 + {0, 1, 2, 3}/4: the variance is 5/64.
    assert!((x.var(0.0).value() - 5.0 / 64.0).abs() < 1e-6);
    assert!((x.std(0.0).value() - (5_f32 / 64.0).sqrt()).abs() < 1e-6);
    let y = x.layer_norm(0.0);
    // The mean, 1e6 + 3/8, is rounded to 1e6 + 6/16 or not at all.
    assert!((y.value()[[0, 0]] + 3.0 / 5_f32.sqrt()).abs() < 1e-5, "{}", y.value()[[0, 0]]);
    let gradient = x.std(0.0).backward().wrt(x);
    assert!((gradient[[0, 3]] - 3.0 / 5_f32.sqrt() / 1000.0).abs() < 1e-8);
}

/// Statistics are homogeneous: those of cx follow from those of x, however large or small c is.
#[test]
fn huge_and_tiny_numbers() {
    let row = [1.0_f64, -1.0, 2.0, 0.0, 1.25, -0.75];
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    let root = (row.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
    for c in [1e-44, 1e-30, 1e-20, 1.0, 1e15, 1e20, 1e30, 1.5e38] {
        // Numbers of few digits below 1e-38 would be others than those of the row.
        let c = 2.0_f64.powi(f64::log2(c) as i32);
        let data = Array2::from_shape_fn((3, 6), |(_, j)| (row[j] * c) as f32);
        let tape = Tape::<f32>::new();
        let x = tape.tensor(&data);
        let near = |case: &str, got: f32, want: f64| {
            assert!((f64::from(got) - want).abs() <= 2e-6 * want.abs(), "{case} at {c:e}: {got:e}, not {want:e}");
        };
        let tolerant = |case: &str, got: f32, want: f64| {
            let least = f64::from(f32::from_bits(1));
            assert!(
                (f64::from(got) - want).abs() <= 2e-6 * want.abs() + least,
                "{case} at {c:e}: {got:e}, not {want:e}"
            );
        };
        tolerant("std", x.std_axis(Axis(1), 0.0).value()[1], deviation * c);
        tolerant("mean", x.mean_axis(Axis(1)).value()[1], mean * c);
        let gradient = x.std_axis(Axis(1), 0.0).sum().backward().wrt(x);
        let (norms, roots) = (x.layer_norm(0.0), x.rms_norm(0.0));
        for (j, z) in row.iter().enumerate() {
            let y = (z - mean) / deviation;
            near("layer_norm", norms.value()[[1, j]], y);
            near("rms_norm", roots.value()[[2, j]], z / root);
            if c > 1e-38 {
                near("std'", gradient[[1, j]], y / n);
            }
        }
        // With weights w, dx = r (w - mean w - y mean(w y)): here r = 1/(c deviation).
        let weights = Array2::from_shape_fn((1, 6), |(_, j)| (j * j) as f32);
        if c > 1e-37 {
            let gradient = (norms * &weights).sum().backward().wrt(x);
            let w = |j: usize| (j * j) as f64;
            let y = |j: usize| (row[j] - mean) / deviation;
            let (mean_w, mean_wy) = ((0..6).map(w).sum::<f64>() / n, (0..6).map(|j| w(j) * y(j)).sum::<f64>() / n);
            for j in 0..6 {
                let want = (w(j) - mean_w - y(j) * mean_wy) / (c * deviation);
                let got = f64::from(gradient[[0, j]]);
                assert!((got - want).abs() <= 2e-5 / c + 1e-44, "{c:e}: {got:e}, not {want:e}");
            }
        }
    }
}

/// The Hessian of `layer_norm` at equal numbers, y = (x - mean)/√ε there: a linear map.
#[test]
fn second_order_at_equal_numbers() {
    let tape = Tape::<Dual<f64, 1>>::new();
    let data = array![[Dual::new(0.1, [1.0]), Dual::new(0.1, [0.0]), Dual::new(0.1, [0.0])]];
    let x = tape.tensor(&data);
    let y = x.layer_norm(1e-4);
    for (y, want) in y.value().iter().zip([2.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0]) {
        assert_eq!(y.primal(), 0.0);
        assert!((y.tangents()[0] - 100.0 * want).abs() < 1e-10);
    }
    // Σy² has the Hessian 2 (I - 1/3)/ε, and the variance 2 (I - 1/3)/3.
    let gradient = y.square().sum().backward().wrt(x);
    for (g, want) in gradient.iter().zip([2.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0]) {
        assert_eq!(g.primal(), 0.0);
        assert!((g.tangents()[0] - 2e4 * want).abs() < 1e-8);
    }
    let gradient = x.var(0.0).backward().wrt(x);
    assert!((gradient[[0, 0]].tangents()[0] - 4.0 / 9.0).abs() < 1e-15 && gradient[[0, 0]].primal() == 0.0);
}

/// The slope of tanh against 1 / cosh² in `f64`. A block of elements with one far from 0 is computed in another way.
#[test]
fn the_slope_of_tanh() {
    let near = [0.0, 1e-5, -0.3, 0.55, 1.0, -2.5, 7.75, 12.0, -24.5];
    for far in [vec![], vec![25.5, -40.0, 300.0, f64::INFINITY]] {
        let x: Array1<f64> = near.into_iter().chain(far).collect();
        macro_rules! check {
            ($F:ty) => {{
                let tape = Tape::<$F>::new();
                let data = x.mapv(|x| x as $F);
                let slopes = data.mapv(|x| f64::from(x).cosh().powi(-2));
                let (one, zero) = (array![[1.0 as $F]], array![0.0 as $F]);
                let x = tape.tensor(&data);
                let (w, b) = (tape.constant(&one), tape.constant(&zero));
                let layer = x.insert_axis(Axis(1)).dense(w, b, Activation::Tanh);
                for (way, y) in [("tanh", x.tanh()), ("dense", layer.reshape(data.len()))] {
                    let got = y.sum().backward().wrt(x);
                    for ((&x, &got), &want) in data.iter().zip(&got).zip(&slopes) {
                        // The oracle in f64 is a few roundings off itself; in f32 the last slopes are below the normal numbers.
                        let allowed = 8.0 * f64::from(<$F>::EPSILON) * want + f64::from(<$F>::MIN_POSITIVE) * 1e-6;
                        assert!((f64::from(got) - want).abs() <= allowed, "{way}'({x}) = {got:e}, not {want:e}");
                    }
                }
            }};
        }
        check!(f32);
        check!(f64);
    }
}

/// Primals on a tape of dual numbers have the bits of those on a tape of floats, and so have the primals of the derivatives up to a few
/// roundings: both are computed by the same functions on lanes.
#[test]
fn elements_of_duals() {
    for row in UNARY {
        let (low, high) = row.sample;
        let inner = (1..40).map(|i| low + (high - low) * f64::from(i) / 40.0);
        let x: Array1<f64> = inner.chain(row.points.iter().map(|point| point.0)).collect();
        let (tape, dual_tape) = (Tape::new(), Tape::new());
        let (plain, dual) = (tape.tensor(&x), x.mapv(|x| Dual::new(x, [1.0])));
        let dual = dual_tape.tensor(&dual);
        let (y, dual_y) = ((row.on_tensor)(plain), (row.on_tensor_dual)(dual));
        let (slope, dual_slope) = (y.sum().backward().wrt(plain), dual_y.sum().backward().wrt(dual));
        for (i, &x) in x.iter().enumerate() {
            let (y, dual_y) = (y.value()[i], dual_y.value()[i].primal());
            assert!(
                y.to_bits() == dual_y.to_bits() || y.is_nan() && dual_y.is_nan(),
                "{}({x}): {y}, {dual_y}",
                row.name
            );
            let (y, dual_y) = (slope[i], dual_slope[i].primal());
            let near = (y - dual_y).abs() <= 8.0 * f64::EPSILON * y.abs();
            assert!(near || y == dual_y || y.is_nan() && dual_y.is_nan(), "{}'({x}): {y}, {dual_y}", row.name);
        }
    }
}
