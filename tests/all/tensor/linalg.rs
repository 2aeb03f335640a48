//! Linear algebra against constants from JAX and mpmath, closed forms and differences, for determinants of every
//! rank, operands of every layout, and bad input.

use ndarray::{Array1, Array2, Ix2, array, s};
use wengert::gradcheck::{GradCheck, Verdict};
use wengert::{Diag, Dual, LinalgError, Scalar, Tape, Tensor, Uplo, Var};

use crate::support::close::assert_close;
use crate::support::layouts::{WAYS, placed, seen};

const A: [f64; 9] = [2.0, -1.0, 0.5, 1.0, 3.0, -2.0, 0.5, 1.5, 4.0];
const S: [f64; 9] = [4.0, 1.0, -0.5, 1.0, 3.0, 0.75, -0.5, 0.75, 2.0];
const B: [f64; 6] = [1.0, 2.0, -1.0, 0.5, 3.0, -2.0];
/// The direction of the Hessian-vector products.
const V: [f64; 9] = [0.5, 1.0, -1.0, 2.0, 0.25, 0.75, -0.5, 1.5, 1.0];

/// The weighted sum Σ wᵢⱼ xᵢⱼ.
fn weigh<'t, F: Scalar>(x: Tensor<'t, F, Ix2>) -> Var<'t, F> {
    let weights = if x.shape()[1] == 2 {
        vec![1.0, -0.5, 0.25, 2.0, -1.5, 0.75]
    } else {
        vec![1.0, -0.5, 2.0, 0.25, 2.0, -1.0, -1.5, 0.75, 0.5]
    };
    x.iter().zip(weights.into_iter().cycle()).map(|(x, w)| x * F::lit(w)).sum()
}

type Function<F> = for<'t> fn(Tensor<'t, F, Ix2>, Tensor<'t, F, Ix2>) -> Var<'t, F>;

/// The operations under test, some of which ignore the second operand.
fn functions<F: Scalar>() -> [(&'static str, Function<F>); 9] {
    [
        ("solve", |a, b| weigh(a.solve(b).unwrap())),
        ("solve_t", |a, b| weigh(a.factorize().unwrap().solve_t(b))),
        ("inv", |a, _| weigh(a.inv().unwrap())),
        ("det", |a, _| a.det()),
        ("sln_det", |a, _| a.sln_det().unwrap().1),
        ("cholesky", |a, _| weigh(a.cholesky().unwrap())),
        ("lower", |a, b| weigh(a.solve_triangular(Uplo::Lower, Diag::NonUnit, b).unwrap())),
        ("upper", |a, b| weigh(a.solve_triangular(Uplo::Upper, Diag::NonUnit, b).unwrap())),
        ("unit lower", |a, b| weigh(a.solve_triangular(Uplo::Lower, Diag::Unit, b).unwrap())),
    ]
}

/// Value, gradient with respect to the matrix and to B, and the product of the Hessian with V.
/// They are from JAX 0.10.2 in double precision: `jax.grad` of the weighted sums of `jnp.linalg.solve`, `inv`,
/// `det`, `slogdet`, `cholesky` and `jax.scipy.linalg.solve_triangular`, and `jax.jvp` of `jax.grad`.
struct Expected {
    name: &'static str,
    value: f64,
    da: [f64; 9],
    db: Option<[f64; 6]>,
    hvp: Option<[f64; 9]>,
}

#[rustfmt::skip]
const EXPECTED: [Expected; 9] = [
    Expected {
        name: "solve", value: -2.3589285714285713,
        da: [0.3163265306122449, -0.22448979591836735, -0.5, -0.3834311224489796, 0.12233418367346935, -0.10375000000000002, -0.27344387755102045, 0.17829081632653063, 0.35750000000000004],
        db: Some([0.39285714285714285, -0.5, 0.3410714285714286, 0.3, -0.25357142857142856, 0.4]),
        hvp: Some([-0.02382151967930038, 0.13720071064139938, 0.49328443877551026, 0.11020030065597666, 0.1775680120262391, 0.026330994897959203, 0.36290205903790096, -0.20018248906705538, -0.32392474489795925]),
    },
    Expected {
        name: "solve_t", value: 0.2874999999999999,
        da: [-0.3053571428571428, -0.319642857142857, 0.22499999999999998, 0.13062500000000005, -0.46366071428571426, -0.09625000000000002, -0.1933928571428572, 0.32375000000000004, 0.14250000000000004],
        db: Some([0.4410714285714286, 0.06785714285714281, -0.28035714285714286, 0.6107142857142857, -0.325, -0.04999999999999998]),
        hvp: None,
    },
    Expected {
        name: "inv", value: 0.692857142857143,
        da: [-0.11479591836734696, 0.038265306122448994, -0.25, -0.1868877551020408, -0.017704081632653055, 0.03, 0.054387755102040816, -0.12479591836734694, 0.04000000000000001],
        db: None,
        hvp: Some([0.14331905976676385, 0.09892766034985422, -0.0033545918367346925, 0.19019059766763846, 0.056205174927113695, 0.028248724489795908, 0.05788593294460641, 0.03326931486880466, 0.007813775510204082]),
    },
    Expected {
        name: "det", value: 35.0,
        da: [15.0, -5.0, 0.0, 4.75, 7.75, -3.5, 0.5, 4.5, 7.0],
        db: None,
        hvp: Some([5.875, -7.625, 5.875, -3.75, 4.75, -2.75, 0.125, -0.5, 3.0]),
    },
    Expected {
        name: "sln_det", value: 3.555348061489414,
        da: [0.4285714285714286, -0.14285714285714285, 0.0, 0.1357142857142857, 0.22142857142857142, -0.1, 0.014285714285714284, 0.12857142857142856, 0.2],
        db: None,
        hvp: Some([-0.1359693877551021, -0.11658163265306126, 0.16785714285714287, -0.20335459183673468, -0.0212627551020408, -0.0076785714285714235, -0.006556122448979573, -0.10543367346938776, -0.05607142857142858]),
    },
    Expected {
        name: "cholesky", value: 6.856386944445749,
        da: [0.21467913449852163, -0.05463303261336036, -0.39183298923854776, -0.05463303261336036, 0.5507208052158272, 0.16437734952477148, -0.39183298923854776, 0.16437734952477148, 0.194090785141161],
        db: None,
        hvp: Some([-0.017473150687314913, -0.1736963123246979, 0.026351690368346718, -0.1736963123246979, -0.014679043590544144, -0.09921522703170743, 0.026351690368346718, -0.09921522703170743, 0.010045950507384181]),
    },
    Expected {
        name: "lower", value: -2.192708333333333,
        da: [0.3541666666666666, 0.0, 0.0, -0.7083333333333333, 0.23090277777777776, 0.0, 0.0, -0.15625, 0.43359375],
        db: Some([0.45833333333333337, -0.5833333333333333, 0.2708333333333333, 0.5729166666666666, -0.375, 0.1875]),
        hvp: Some([0.501736111111111, 0.0, 0.0, 0.23611111111111108, 0.43330439814814814, 0.0, 0.0, 0.05208333333333333, -0.1630859375]),
    },
    Expected {
        name: "upper", value: -1.9166666666666667,
        da: [0.06250000000000003, -0.125, -0.5, 0.0, 0.05555555555555554, 0.10416666666666663, 0.0, 0.0, 0.4895833333333333],
        db: Some([0.5, -0.25, 0.25, 0.5833333333333333, -0.3125, 0.5104166666666666]),
        hvp: None,
    },
    Expected {
        name: "unit lower", value: -12.3125,
        da: [0.0, 0.0, 0.0, -4.25, 0.0, 0.0, 0.0, -1.875, 0.0],
        db: Some([-0.75, -1.75, 2.5, 0.875, -1.5, 0.75]),
        hvp: None,
    },
];

fn matrix(elements: &[f64], columns: usize) -> Array2<f64> {
    Array2::from_shape_vec((elements.len() / columns, columns), elements.to_vec()).unwrap()
}

/// The matrix for which an operation's constants were computed.
fn operand(name: &str) -> Array2<f64> {
    matrix(if name == "cholesky" { &S } else { &A }, 3)
}

#[test]
fn values_and_gradients_of_jax_in_every_layout() {
    for (expected, (name, f)) in EXPECTED.iter().zip(functions::<f64>()) {
        assert_eq!(name, expected.name);
        for way in 0..WAYS {
            let (a, b) = (placed(&operand(name), way), placed(&matrix(&B, 2), way));
            let tape = Tape::new();
            let (a, b) = (seen(tape.tensor(&a), way), seen(tape.tensor(&b), way));
            let before = tape.len();
            let y = f(a, b);
            let what = format!("{name}, layout {way}");
            assert_close(&what, [&y.value()], [&expected.value], 1e-14);
            // A factor 2 and other terms, so that cotangents are scaled and added.
            let loss = y * 2.0 + weigh(a) + weigh(b);
            let gradient = loss.backward();
            let own = |x: Tensor<'_, f64, Ix2>, g: Array2<f64>| {
                let own = weigh(x).backward().wrt(x);
                (g - own) / 2.0
            };
            assert_close(&what, &own(a, gradient.wrt(a)), &expected.da, 1e-14);
            assert_close(&what, &own(b, gradient.wrt(b)), &expected.db.unwrap_or([0.0; 6]), 1e-14);
            assert!(tape.len() > before);
        }
    }
}

#[test]
fn hessian_vector_products_of_jax() {
    for (expected, (name, f)) in EXPECTED.iter().zip(functions::<Dual<f64>>()) {
        let Some(hvp) = expected.hvp else { continue };
        let a = operand(name);
        let a = Array2::from_shape_fn((3, 3), |(i, j)| Dual::new(a[[i, j]], [V[3 * i + j]]));
        let b = matrix(&B, 2).mapv(Dual::constant);
        let tape = Tape::new();
        let (a, b) = (tape.tensor(&a), tape.constant(&b));
        let y = f(a, b);
        let gradient = y.backward().wrt(a);
        assert_close(name, &gradient.mapv(Dual::primal), &expected.da, 1e-14);
        assert_close(name, &gradient.mapv(|g| g.tangents()[0]), &hvp, 1e-13);
        // The tangent of the value is the gradient along V.
        let along: f64 = expected.da.iter().zip(V).map(|(d, v)| d * v).sum();
        assert_close(name, &y.value().tangents(), &[along], 1e-13);
    }
}

/// A well-conditioned matrix, symmetric on request.
fn well_conditioned(n: usize, symmetric: bool) -> Array2<f64> {
    let element = |i: usize, j: usize| ((i * 37 + j * 61 + i * j * 13) % 29) as f64 / 29.0 - 0.5;
    Array2::from_shape_fn((n, n), |(i, j)| {
        let x = if symmetric { element(i.min(j), i.max(j)) } else { element(i, j) };
        if i == j { 1.0 + n as f64 / 3.0 + x } else { x }
    })
}

/// Checks the gradient by A and B, which are slices of one array.
fn check<F: wengert::BaseFloat>(name: &str, f: Function<F>, n: usize) {
    let a = well_conditioned(n, name == "cholesky");
    let both = Array2::from_shape_fn((n, n + 2), |(i, j)| {
        F::round_from(if j < n { a[[i, j]] } else { (i as f64 - 1.5 * j as f64).sin() })
    });
    let report = GradCheck::new().check_tensor(|x| f(x.slice(s![.., ..n]), x.slice(s![.., n..])), &both);
    let report = report.unwrap_or_else(|error| panic!("{name}, order {n}: {error}"));
    assert_eq!(report.verdict(), Verdict::Agrees, "{name}, order {n}: {report}");
}

#[test]
fn differences_at_several_orders() {
    for (name, f) in functions::<f64>() {
        for n in [1, 2, 5] {
            check(name, f, n);
        }
        // Large enough to be split by halves.
        if matches!(name, "solve" | "cholesky") {
            check(name, f, 18);
        }
    }
    for (name, f) in functions::<f32>() {
        check(name, f, 3);
    }
}

#[test]
fn second_differences() {
    for (name, f) in functions::<Dual<f64>>() {
        let mut a = well_conditioned(2, name == "cholesky");
        if matches!(name, "solve" | "solve_t" | "inv" | "det" | "sln_det") {
            a.invert_axis(ndarray::Axis(0)); // so that rows must be exchanged
        }
        let x: Vec<f64> = a.iter().copied().chain([0.3, -0.7, 1.1, 0.4]).collect();
        let sweep = |x: &[f64], d: &[f64]| {
            let data: Vec<_> = x.iter().zip(d).map(|(&x, &d)| Dual::new(x, [d])).collect();
            let data = Array2::from_shape_vec((4, 2), data).unwrap();
            let tape = Tape::new();
            let x = tape.tensor(&data);
            f(x.slice(s![..2, ..]), x.slice(s![2.., ..])).backward().wrt(x)
        };
        let gradient = |x: &[f64]| sweep(x, &[0.0; 8]).iter().map(|g| g.primal()).collect();
        let product = |x: &[f64], d: &[f64]| sweep(x, d).iter().map(|g| g.tangents()[0]).collect();
        let report = GradCheck::new().check_jvp(gradient, product, &x);
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.verdict(), Verdict::Agrees, "{name}: {report}");
    }
}

/// Orders beyond those of the small loops, against the definitions.
#[test]
fn large_systems() {
    let n = 75;
    let (a, b) = (well_conditioned(n, false), well_conditioned(n, true));
    let tape = Tape::new();
    let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    let identity = Array2::<f64>::eye(n);
    let close = |what: &str, got: Array2<f64>, want: &Array2<f64>| assert_close(what, &got, want, 1e-11);
    let lu = x.factorize().unwrap();
    let (solution, transposed) = (lu.solve(y), lu.solve_t(y));
    close("AX", a.dot(&solution.value()), &b);
    close("AᵀX", a.t().dot(&transposed.value()), &b);
    close("AA⁻¹", a.dot(&lu.inv().value()), &identity);
    let l = y.cholesky().unwrap();
    close("LLᵀ", l.value().dot(&l.value().t()), &b);
    assert!(l.value().indexed_iter().all(|((i, j), &l)| if i < j { l == 0.0 } else { i != j || l > 0.0 }));
    for (uplo, diag, a) in [
        (Uplo::Lower, Diag::NonUnit, x),
        (Uplo::Upper, Diag::NonUnit, x),
        (Uplo::Lower, Diag::Unit, x / n as f64),
        (Uplo::Upper, Diag::Unit, x.t() / n as f64),
    ] {
        let solution = a.solve_triangular(uplo, diag, y).unwrap();
        let triangle = Array2::from_shape_fn((n, n), |(i, j)| match (uplo, diag) {
            (_, Diag::Unit) if i == j => 1.0,
            (Uplo::Lower, _) if i < j => 0.0,
            (Uplo::Upper, _) if i > j => 0.0,
            _ => a.value()[[i, j]],
        });
        close("TX", triangle.dot(&solution.value()), &b);
        // B' = T⁻ᵀ applied to ones.
        let gradient = solution.sum().backward().wrt(y);
        close("TᵀB'", triangle.t().dot(&gradient), &Array2::ones((n, n)));
    }
    // The log-determinant in three ways.
    let spd = y.ln_det().unwrap();
    let by_factor = 2.0 * l.diag().ln().sum();
    let by_det = y.det().ln();
    assert_close("ln det", [&spd.value(), &by_factor.value()], [&by_det.value(); 2], 1e-12);
    let inverse = y.inv().unwrap();
    for ln_det in [spd, by_factor, by_det] {
        close("inverse", ln_det.backward().wrt(y), &inverse.value().to_owned());
    }
}

/// Determinant and cofactors of a 3 × 3 matrix by their definition.
fn minors<F: Scalar>(a: &Array2<F>) -> (F, Array2<F>) {
    let cofactors = Array2::from_shape_fn((3, 3), |(i, j)| {
        let at = |di: usize, dj: usize| a[[(i + di) % 3, (j + dj) % 3]];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    });
    ((0..3).map(|j| a[[0, j]] * cofactors[[0, j]]).sum(), cofactors)
}

#[test]
fn determinants_of_every_rank() {
    let rank = |rank: usize| {
        let factors = (matrix(&A, 3), matrix(&V, 3));
        factors.0.slice(s![.., ..rank]).dot(&factors.1.slice(s![..rank, ..]))
    };
    let mut cases = vec![rank(0), rank(1), rank(2), rank(3)];
    cases.push(array![[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 5.0, 6.0]]);
    cases.push(array![[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 5.0, 0.0]]);
    cases.push(array![[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [4.0, 8.0, 13.0]]);
    cases.push(array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    for (i, a) in cases.iter().enumerate() {
        let what = format!("case {i}");
        let tape = Tape::new();
        let x = tape.tensor(a);
        let y = x.det();
        let (det, cofactors) = minors(a);
        assert_close(&what, [&y.value()], [&det], 1e-13);
        assert_close(&what, &(3.0 * y).backward().wrt(x), &(3.0 * cofactors), 1e-13);

        // Second and third derivatives along V and S, which are polynomials too.
        let duals = Array2::from_shape_fn((3, 3), |(i, j)| {
            let (v, s) = (V[3 * i + j], S[3 * i + j]);
            Dual::new(Dual::new(a[[i, j]], [v]), [Dual::new(s, [0.5])])
        });
        let tape = Tape::new();
        let x = tape.tensor(&duals);
        let y = x.det();
        let (det, cofactors) = minors(&duals);
        let parts = |x: Dual<Dual<f64>>| {
            let (primal, [tangent]) = (x.primal(), x.tangents());
            [primal.primal(), primal.tangents()[0], tangent.primal(), tangent.tangents()[0]]
        };
        assert_close(&what, &parts(y.value()), &parts(det), 1e-12);
        for (&got, &want) in y.backward().wrt(x).iter().zip(&cofactors) {
            assert_close(&what, &parts(got), &parts(want), 1e-12);
        }
    }
}

#[test]
fn determinants_beyond_the_range_of_floats() {
    for (scale, det) in [(1e-200, 0.0), (1e200, f64::INFINITY), (1e-310, 0.0)] {
        let a = scale * Array2::<f64>::eye(2);
        let tape = Tape::new();
        let x = tape.tensor(&a);
        assert_eq!(x.det().value(), det);
        assert_eq!(x.det().backward().wrt(x), a);
    }
    // Order 40 and, but for rounding, rank 39: the cofactors are a multiple of the outer product of the null vectors.
    let mut a = well_conditioned(40, false) / 10.0;
    let combination = &a.row(3) + &a.row(7);
    a.row_mut(20).assign(&combination);
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let cofactors = x.det().backward().wrt(x);
    let size = cofactors.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    assert!(size.is_normal());
    assert_close("A cofᵀ", &(a.dot(&cofactors.t()) / size), &Array2::zeros((40, 40)), 1e-13);
    assert_close("rows", &(&cofactors.row(3) / size), &(-&cofactors.row(20) / size), 1e-12);
}

#[test]
fn no_element_and_one() {
    let (a, b, c) = (Array2::<f64>::zeros((0, 0)), Array1::zeros(0), Array2::zeros((0, 3)));
    let tape = Tape::new();
    let (x, y, z) = (tape.tensor(&a), tape.tensor(&b), tape.tensor(&c));
    assert_eq!((x.det().value(), x.sln_det().unwrap().0, x.ln_det().unwrap().value()), (1.0, 1.0, 0.0));
    assert_eq!((x.inv().unwrap().shape(), x.cholesky().unwrap().shape()), ([0, 0].as_slice(), [0, 0].as_slice()));
    assert_eq!((x.solve(y).unwrap().shape(), x.solve(z).unwrap().shape()), ([0].as_slice(), [0, 3].as_slice()));
    assert_eq!(x.solve_triangular(Uplo::Upper, Diag::Unit, z).unwrap().shape(), [0, 3]);
    assert_eq!(x.det().backward().wrt(x).shape(), [0, 0]);
    // A right side without columns.
    let (a, b) = (Array2::<f64>::eye(3), Array2::zeros((3, 0)));
    let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    assert_eq!(x.solve(y).unwrap().shape(), [3, 0]);
    assert_eq!(x.solve_triangular(Uplo::Lower, Diag::NonUnit, y).unwrap().shape(), [3, 0]);

    let (a, b) = (array![[-4.0]], array![2.0]);
    let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    let solution = x.solve(y).unwrap();
    assert_eq!(solution.value(), array![-0.5]);
    assert_eq!(solution.sum().backward().wrt(x), array![[-0.125]]);
    assert_eq!(x.det().backward().wrt(x), array![[1.0]]);
    let zero = array![[0.0]];
    let zero = tape.tensor(&zero);
    assert_eq!((zero.det().value(), zero.det().backward().wrt(zero)), (0.0, array![[1.0]]));
    let (sign, ln) = x.sln_det().unwrap();
    assert_eq!((sign, ln.value(), ln.backward().wrt(x)), (-1.0, 4_f64.ln(), array![[-0.25]]));
    assert_eq!((-x).cholesky().unwrap().value(), array![[2.0]]);
    assert_eq!((-x).cholesky().unwrap().sum().backward().wrt(x), array![[-0.25]]);
}

#[test]
fn operands_that_share_slots() {
    let a = matrix(&A, 3);
    let tape = Tape::new();
    let x = tape.tensor(&a);
    // Independent of A: A⁻¹A = I, and A⁻¹ times a column of A is a unit vector.
    let identity = x.solve(x).unwrap();
    assert_close("I", identity.value(), &Array2::eye(3), 1e-15);
    assert_close("dI", &weigh(identity).backward().wrt(x), &[0.0; 9], 1e-15);
    let unit = x.solve(x.column(1)).unwrap();
    assert_close("e", unit.value(), &[0.0, 1.0, 0.0], 1e-15);
    assert_close("de", &unit.square().sum().backward().wrt(x), &[0.0; 9], 1e-15);
    // The gradient with aliases is the sum of the gradients with copies.
    let copies = |f: Function<f64>| {
        let tape = Tape::new();
        let (x, y) = (tape.tensor(&a), tape.tensor(&a));
        let gradient = f(x, y.t()).backward();
        gradient.wrt(x) + gradient.wrt(y)
    };
    let functions: [Function<f64>; 2] =
        [|x, y| weigh(x.solve(y).unwrap()), |x, y| weigh(x.solve_triangular(Uplo::Lower, Diag::NonUnit, y).unwrap())];
    for f in functions {
        assert_close("aliases", &f(x, x.t()).backward().wrt(x), &copies(f), 1e-15);
    }
}

#[test]
fn broadcast_operands() {
    let (a, b, c) = (matrix(&A, 3), array![[1.0, -2.0]], array![[3.0]]);
    let tape = Tape::new();
    let (x, y, z) = (tape.tensor(&a), tape.tensor(&b), tape.tensor(&c));
    // One row for all three.
    let solution = x.solve(y.broadcast((3, 2))).unwrap();
    let column_sums = x.inv().unwrap().sum_axis(ndarray::Axis(1)).sum().value();
    assert_close("B", &solution.sum().backward().wrt(y), &[column_sums; 2], 1e-15);
    // [[c, c], [c, c]] is singular, and its cofactors cancel in the gradient by c.
    let square = z.broadcast((2, 2));
    assert_eq!((square.det().value(), square.det().backward().wrt(z)), (0.0, array![[0.0]]));
    assert_eq!(square.at([0, 0]).backward().wrt(z), array![[1.0]]);
    // c I as the product of a broadcast matrix and the unit matrix.
    let (tape, eye) = (Tape::new(), Array2::<f64>::eye(3));
    let z = tape.tensor(&c);
    let scaled = z.broadcast((3, 3)) * tape.constant(&eye);
    assert_close("ln det cI", &scaled.ln_det().unwrap().backward().wrt(z), &[1.0], 1e-15);
    let ones = tape.constant(&eye).sum_axis(ndarray::Axis(0));
    assert_close("1/c", &scaled.solve(ones).unwrap().sum().backward().wrt(z), &[-1.0 / 3.0], 1e-15);
    // A triangle of one shared number: 3 x = 1, 3 x + 3 y = 1.
    let triangle = z.broadcast((3, 3)).solve_triangular(Uplo::Lower, Diag::NonUnit, ones).unwrap();
    assert_close("triangle", triangle.value(), &[1.0 / 3.0, 0.0, 0.0], 1e-15);
    assert_close("triangle", &triangle.sum().backward().wrt(z), &[-1.0 / 9.0], 1e-15);
}

#[test]
fn hilbert() {
    let a = Array2::from_shape_fn((6, 6), |(i, j)| 1.0 / (i + j + 1) as f64);
    let b = Array1::from_iter((1..=6).map(f64::from));
    let tape = Tape::new();
    let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    // From mpmath 1.4.1 with 50 digits, also the condition number in the 1-norm.
    let expected = [-216.0, 7350.0, -57120.0, 166320.0, -201600.0, 85932.0];
    let tolerance = 1e-8;
    let lu = x.factorize().unwrap();
    assert!((lu.rcond() * 29070279.0 - 1.0).abs() < 1e-8, "{}", lu.rcond());
    let solution = lu.solve(y);
    assert_close("solve", solution.value(), &expected, tolerance);
    let inverse = x.inv().unwrap();
    assert_close("inv", [&inverse.value()[[0, 0]], &inverse.value()[[5, 5]]], [&36.0, &698544.0], tolerance);
    let ln_det = x.ln_det().unwrap();
    assert_close("ln det", [&ln_det.value()], [&-39.766206706097660497], tolerance);
    assert!((x.det().value() / 5.3672998873586877328e-18 - 1.0).abs() < tolerance);
    assert_close("d ln det", &ln_det.backward().wrt(x), inverse.value(), tolerance);
    let last = [
        0.16666666666666666667,
        0.20619652471058063018,
        0.13309928437498748193,
        0.05249506569572600378,
        0.011904761904761904762,
        0.0011964735895943000899,
    ];
    assert_close("cholesky", x.cholesky().unwrap().value().row(5), &last, 1e-11);
    // The derivative of 1ᵀA⁻¹b is −(A⁻ᵀ1)(A⁻¹b)ᵀ, and A⁻¹1 is known in closed form:
    // (−1)ⁿ⁺ⁱ⁺¹ (n + i)! / (i!² (n − i − 1)!), exact in floats here.
    let inverse_of_ones = [-6.0, 210.0, -1680.0, 5040.0, -6300.0, 2772.0];
    let gradient = solution.sum().backward().wrt(x);
    for ((i, j), &d) in gradient.indexed_iter() {
        let want = -inverse_of_ones[i] * expected[j];
        assert!((d / want - 1.0).abs() < tolerance, "({i}, {j}): got {d:e}, expected {want:e}");
    }
}

#[test]
fn constants_record_nothing() {
    let (a, b) = (matrix(&S, 3), matrix(&B, 2));
    let tape = Tape::new();
    let (x, y) = (tape.constant(&a), tape.constant(&b));
    for (_, f) in functions() {
        assert!(f(x, y).is_constant());
    }
    let singular = Array2::<f64>::zeros((2, 2));
    assert!(tape.constant(&singular).det().is_constant());
    assert!(tape.is_empty());
    // Only one operand is differentiable.
    let z = tape.tensor(&b);
    let gradient = x.solve(z).unwrap().sum().backward();
    assert_close("B alone", &a.dot(&gradient.wrt(z)), &[1.0; 6], 1e-15);
    let w = tape.tensor(&a);
    let alone = w.solve(y).unwrap().sum().backward().wrt(w);
    assert_close("A alone", &alone, &w.solve(z).unwrap().sum().backward().wrt(w), 1e-15);
    // A factorisation records nothing.
    let before = tape.len();
    w.factorize().unwrap();
    assert_eq!(tape.len(), before);
}

#[test]
fn the_symmetric_part_is_what_cholesky_sees() {
    let mut a = matrix(&S, 3);
    let tape = Tape::new();
    let symmetric = a.clone();
    let x = tape.tensor(&symmetric);
    (a[[0, 1]], a[[1, 0]]) = (a[[0, 1]] - 5.0, a[[1, 0]] + 5.0);
    let y = tape.tensor(&a);
    let (l, m) = (x.cholesky().unwrap(), y.cholesky().unwrap());
    assert_eq!(l.value(), m.value());
    // Elements above the diagonal are constant.
    assert_eq!(weigh(l).backward().wrt(x), weigh(m).backward().wrt(y));
    let upper = l.at([0, 2]) + l.at([1, 2]) * 3.0;
    assert_eq!(upper.backward().wrt(x), Array2::<f64>::zeros((3, 3)));
    // As in numpy and JAX, L Lᵀ has the derivative of the symmetric part of A.
    let product = l.dot(l.t());
    assert_close("L Lᵀ", &product.at([0, 1]).backward().wrt(x), &[0.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], 1e-15);
}

#[test]
fn singular_matrices() {
    let tape = Tape::new();
    let (a, b) = (array![[1.0, 2.0, 3.0], [0.5, 0.0, 0.5], [2.0, 4.0, 6.0]], array![1.0, 2.0, 3.0]);
    let (x, y) = (tape.tensor(&a), tape.tensor(&b));
    let (zero, tiny) = (Array2::<f64>::zeros((2, 2)), 1e-310 * Array2::<f64>::eye(2));
    let before = tape.len();
    let errors = [
        (x.solve(y).unwrap_err(), "solve", [3, 3], 2),
        (x.inv().unwrap_err(), "inv", [3, 3], 2),
        (x.sln_det().unwrap_err(), "sln_det", [3, 3], 2),
        (x.ln_det().unwrap_err(), "ln_det", [3, 3], 2),
        (x.factorize().unwrap_err(), "factorize", [3, 3], 2),
        (tape.constant(&zero).inv().unwrap_err(), "inv", [2, 2], 0),
        (tape.constant(&tiny).inv().unwrap_err(), "inv", [2, 2], 0),
        (x.solve_triangular(Uplo::Lower, Diag::NonUnit, y).unwrap_err(), "solve_triangular", [3, 3], 1),
    ];
    assert_eq!(tape.len(), before);
    for (error, name, size, at) in errors {
        let LinalgError::Singular { operation, shape, pivot, .. } = error else { panic!("{error:?}") };
        assert_eq!((operation, shape, pivot), (name, size, at));
    }
}

#[test]
fn numbers_that_are_refused() {
    let tape = Tape::new();
    let not_definite = array![[1.0, 2.0, 0.0], [2.0, 4.0 - 1e-9, 0.0], [0.0, 0.0, 1.0]];
    let negative = array![[0.0, 1.0], [1.0, 0.0]];
    let (x, y) = (tape.tensor(&not_definite), tape.tensor(&negative));
    let error = x.cholesky().unwrap_err();
    assert!(matches!(error, LinalgError::NotPositiveDefinite { operation: "cholesky", order: 2, .. }));
    assert!(error.to_string().contains("leading block of order 2"));
    for (first, last) in [(-1.0, 1.0), (0.0, 1.0), (1.0, -1.0), (1.0, 0.0)] {
        let a = Array2::from_diag(&array![first, 1.0, 1.0, last]);
        let error = tape.constant(&a).cholesky().unwrap_err();
        let want = if first == 1.0 { 4 } else { 1 };
        assert!(matches!(error, LinalgError::NotPositiveDefinite { order, .. } if order == want), "{error}");
    }
    assert!(matches!(y.ln_det(), Err(LinalgError::NegativeDeterminant { operation: "ln_det", shape: [2, 2], .. })));
    let before = tape.len();
    assert!(y.ln_det().unwrap_err().to_string().contains("sln_det"));
    assert_eq!(tape.len(), before);
    // Zeros on the diagonal are refused unless the diagonal is not read.
    let b = array![1.0, 2.0];
    let b = tape.constant(&b);
    let error = y.solve_triangular(Uplo::Upper, Diag::NonUnit, b).unwrap_err();
    assert!(matches!(error, LinalgError::Singular { operation: "solve_triangular", pivot: 0, .. }));
    assert_eq!(y.solve_triangular(Uplo::Upper, Diag::Unit, b).unwrap().value(), array![-1.0, 2.0]);
}

#[test]
fn infinite_and_nan_elements() {
    let b = array![1.0, f64::NAN];
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let a = array![[2.0, bad], [1.0, 4.0]];
        let tape = Tape::new();
        let (x, b) = (tape.tensor(&a), tape.constant(&b));
        let errors = [
            x.solve(b).unwrap_err(),
            x.inv().unwrap_err(),
            x.sln_det().unwrap_err(),
            x.ln_det().unwrap_err(),
            x.cholesky().unwrap_err(),
            x.factorize().unwrap_err(),
            x.solve_triangular(Uplo::Upper, Diag::Unit, b).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, LinalgError::NotFinite { shape: [2, 2], index: [0, 1], .. }), "{error}");
            assert!(error.to_string().contains("[0, 1]"));
        }
        // The triangle that holds the number is not read here.
        assert!(x.solve_triangular(Uplo::Lower, Diag::NonUnit, b).is_ok());
        assert!(x.det().value().is_nan());
        assert!(x.det().backward().wrt(x).iter().all(|d| d.is_nan()));
    }
    // A NaN on the right spreads within its column, as far as the matrix carries it.
    let tape = Tape::<f64>::new();
    let (a, b) = (array![[2.0, 0.0], [1.0, 4.0]], array![[1.0, 1.0], [f64::NAN, 1.0]]);
    let x = tape.constant(&a).solve(tape.constant(&b)).unwrap();
    assert!(x.value()[[1, 0]].is_nan() && x.value().column(1).iter().all(|x| x.is_finite()));
}

#[test]
fn operations_have_the_names_of_their_methods() {
    let tape = Tape::<f64>::new();
    let a = array![[2.0, 1.0], [1.0, 3.0]];
    let b = array![1.0, 2.0];
    let (x, b) = (tape.tensor(&a), tape.constant(&b));
    let lu = x.factorize().unwrap();
    let _ = (lu.solve(b), lu.solve_t(b), lu.inv(), x.inv().unwrap());
    let operations = tape.summary().operations;
    let mut names: Vec<_> = operations.iter().map(|operation| (operation.name, operation.count)).collect();
    names.sort_unstable();
    assert_eq!(names, [("inv", 2), ("solve", 1), ("solve_t", 1)]);
}
