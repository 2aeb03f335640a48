//! Eigenvalues, singular values and QR factors against constants of mpmath, at matrices without derivatives, and what a batch
//! does.

use std::collections::HashMap;

use ndarray::{Array, Array1, Array2, Array3, Axis, Dimension, Ix2, IxDyn, array, s};
use wengert::{BaseFloat, Dual, LinalgError, Scalar, Tape, Tensor, Var};

use crate::support::close::{assert_close, assert_near, largest};
use crate::support::here::assert_panics_here;

/// The numbers that the oracle's file has under a name.
fn oracle() -> HashMap<&'static str, Vec<f64>> {
    let lines = include_str!("../../oracle/factors.txt").lines().filter_map(|line| line.split_once(": "));
    lines.map(|(name, numbers)| (name, numbers.split(' ').map(|x| x.parse().unwrap()).collect())).collect()
}

/// The numbers with which the oracle fills its arrays.
fn fill<F: Scalar>(shape: &[usize], seed: f64) -> Array<F, IxDyn> {
    let mut place = -1.0;
    Array::from_shape_simple_fn(shape, || {
        place += 1.0;
        F::lit((seed + 1.7 * place).sin())
    })
}

/// Σ wᵢ xᵢ with the oracle's weights.
fn weighted<'t, F: Scalar, D: Dimension + 't>(x: Tensor<'t, F, D>, seed: f64) -> Var<'t, F> {
    (x.into_dyn() * x.tape().constant(fill::<F>(x.shape(), seed))).sum()
}

/// The numbers on the diagonal of the factors, and the oracle's loss.
fn evaluate<'t, F: Scalar>(kind: &str, a: Tensor<'t, F, Ix2>) -> (Vec<F>, Var<'t, F>) {
    let (m, n) = (a.shape()[0], a.shape()[1]);
    match kind {
        "eigh" => {
            let eigen = a.eigh().unwrap().differentiable().unwrap();
            let loss = weighted(eigen.values, 1.0) + weighted(eigen.vectors.square(), 2.0);
            (eigen.values.value().to_vec(), loss)
        }
        "svd" => {
            let svd = a.svd().unwrap().differentiable().unwrap();
            let one = |x: Array<F, IxDyn>| x.into_dimensionality::<ndarray::Ix1>().unwrap();
            let (p, q) = (a.tape().constant(one(fill(&[m], 4.0))), a.tape().constant(one(fill(&[n], 5.0))));
            let count = Array1::from_iter((1..=m.min(n)).map(|i| F::lit(i as f64)));
            let mixed = (p.dot(svd.u) * svd.vt.dot(q) * a.tape().constant(count)).sum();
            let squares = weighted(svd.u.square(), 2.0) + weighted(svd.vt.square(), 3.0);
            (svd.s.value().to_vec(), weighted(svd.s, 1.0) + squares + mixed)
        }
        _ => {
            let qr = a.qr().unwrap().differentiable().unwrap();
            (qr.r.value().diag().to_vec(), weighted(qr.q, 2.0) + weighted(qr.r, 3.0))
        }
    }
}

#[test]
fn values_and_derivatives_of_mpmath() {
    let oracle = oracle();
    let mut worst: Vec<String> = Vec::new();
    for (&key, shape) in oracle.iter().filter(|(key, _)| key.ends_with(" shape")) {
        let name = key.trim_end_matches(" shape");
        let kind = name.split(' ').next().unwrap();
        let get = |what: &str| oracle.get(&*format!("{name} {what}"));
        let shape = (shape[0] as usize, shape[1] as usize);
        let a = Array2::from_shape_vec(shape, get("a").unwrap().clone()).unwrap();
        // Errors grow with the size over the least gap, and with its square for second derivatives.
        let (first, second) = match name {
            "eigh graded" => (1e-9, 1e-2),
            "eigh close" | "svd close" => (1e-9, 1e-4),
            "svd graded" | "qr graded" => (1e-9, 1e-7),
            "svd small" => (1e-8, 1e-3),
            _ => (2e-12, 1e-10),
        };
        let want = |what: &str| get(what).unwrap();
        let size = largest(want("values"));
        let tape = Tape::new();
        let x = tape.tensor(&a);
        let (values, loss) = evaluate(kind, x);
        let wrong = |got: &[f64], want: &[f64], size: f64| {
            assert_eq!(got.len(), want.len(), "{name}");
            largest(got.iter().zip(want).map(|(x, y)| x - y)) / size
        };
        let errors = wrong(&values, want("values"), size);
        assert!(errors < 2e-14, "{name}: values off by {errors:e}");
        let gradient = loss.backward().wrt(x);
        let direction = fill::<f64>(a.shape(), 9.0);
        let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let scale = largest(&gradient).max(1.0);
        let mut found = wrong(&[along], want("first"), scale);
        found = found.max(wrong(&[loss.value()], want("loss"), 1.0));
        if let Some(want) = get("gradient") {
            found = found.max(wrong(gradient.as_slice().unwrap(), want, scale));
        }
        assert!(found < first, "{name}: gradient off by {found:e}");

        let duals = Array2::from_shape_fn(shape, |(i, j)| Dual::new(a[[i, j]], [direction[[i, j]]]));
        let tape = Tape::new();
        let x = tape.tensor(&duals);
        let (_, loss) = evaluate(kind, x);
        // The tangent of the value, and the curvature from the gradient's tangent.
        let tangent = wrong(&loss.value().tangents(), want("first"), scale);
        assert!(tangent < first, "{name}: tangent off by {tangent:e}");
        let curvature: f64 = loss.backward().wrt(x).iter().zip(&direction).map(|(g, d)| g.tangents()[0] * d).sum();
        let curved = wrong(&[curvature], want("second"), want("second")[0].abs().max(1.0));
        assert!(curved < second, "{name}: second derivative off by {curved:e}");
        worst.push(format!(
            "{name}: values {errors:.0e}, first {found:.0e}, tangent {tangent:.0e}, second {curved:.0e}"
        ));

        // The same in f32, of matrices that f32 resolves.
        if second == 1e-10 {
            let single = a.mapv(|x| x as f32);
            let tape = Tape::new();
            let x = tape.tensor(&single);
            let (values, loss) = evaluate(kind, x);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let errors = wrong(&values, want("values"), size);
            assert!(errors < 3e-6, "{name} in f32: values off by {errors:e}");
            let gradient = loss.backward().wrt(x).mapv(f64::from);
            let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let found = wrong(&[along], want("first"), scale);
            assert!(found < 1e-3, "{name} in f32: gradient off by {found:e}");
        }
    }
    worst.sort();
    println!("{}", worst.join("\n"));
    assert!(worst.len() > 30, "{}", worst.len());
}

fn noise(shape: (usize, usize), seed: f64) -> Array2<f64> {
    Array2::from_shape_fn(shape, |(i, j)| (seed + ((i * shape.1 + j) as f64).powi(2)).sin())
}

/// A matrix with orthonormal columns.
fn orthonormal(shape: (usize, usize), seed: f64) -> Array2<f64> {
    let tape = Tape::new();
    tape.constant(noise(shape, seed)).qr().unwrap().q.value().to_owned()
}

fn transposed_product(a: &Array2<f64>) -> Array2<f64> {
    a.t().dot(a)
}

/// Spectra that are wide, close, equal and zero.
fn spectra(n: usize) -> [Array1<f64>; 7] {
    let make = |f: &dyn Fn(usize) -> f64| Array1::from_shape_fn(n, f);
    [
        make(&|i| 1.0 / (1.0 + i as f64)),
        make(&|i| 10_f64.powi(-(i as i32))),
        make(&|_| 1.0),
        make(&|i| if i < n / 2 { 1.0 } else { 0.0 }),
        make(&|i| 1.0 + 1e-10 * i as f64),
        make(&|i| if i == 0 { 1e-300 } else { 1e-301 }),
        make(&|i| if i == 0 { 1e300 } else { -1e299 }),
    ]
}

/// Factors multiply to the matrix, and their vectors are orthonormal.
#[test]
fn factors_of_every_spectrum() {
    let identity = Array2::<f64>::eye;
    let mut worst = [0.0_f64; 3];
    for n in [1, 2, 3, 5, 20] {
        for (kind, d) in spectra(n).iter().enumerate() {
            let size = largest(d).max(f64::MIN_POSITIVE);
            let off = |got: Array2<f64>, want: &Array2<f64>| largest(&(got / size - &(want / size)));
            for extra in [0, 1, 4] {
                let (u, v) = (orthonormal((n + extra, n), kind as f64), orthonormal((n, n), 3.0));
                let a = (&u * d).dot(&v.t());
                for a in [a.clone(), a.t().to_owned()] {
                    let what = format!("{:?}, spectrum {kind}", a.shape());
                    let tape = Tape::new();
                    let x = tape.constant(&a);
                    let svd = x.svd().unwrap();
                    let (u, s, vt) = (svd.u.value(), svd.s.value(), svd.vt.value());
                    let error = off((&u * &s).dot(&vt), &a);
                    let orthogonal = [u.t().dot(&u), vt.dot(&vt.t())].map(|x| largest(x - identity(n)));
                    worst[0] = worst[0].max(error).max(orthogonal[0]).max(orthogonal[1]);
                    assert!(error < 1e-13 && orthogonal.iter().all(|&e| e < 1e-13), "svd of {what}: {error:e}");
                    assert!(
                        s.windows(2).into_iter().all(|s| s[0] >= s[1]) && s.iter().all(|&s| s >= 0.0),
                        "{what}: {s}"
                    );
                    let mut d: Vec<f64> = d.iter().map(|d| d.abs()).collect();
                    d.sort_by(|x, y| y.total_cmp(x));
                    let values = largest(s.iter().zip(&d).map(|(s, d)| (s - d) / size));
                    assert!(values < 1e-13, "singular values of {what}: {values:e}");

                    let qr = x.qr().unwrap();
                    let (q, r) = (qr.q.value(), qr.r.value());
                    let error = off(q.dot(&r), &a).max(largest(q.t().dot(&q) - identity(q.ncols())));
                    worst[1] = worst[1].max(error);
                    assert!(error < 1e-13, "qr of {what}: {error:e}");
                    assert!(r.indexed_iter().all(|((i, j), &r)| if j < i { r == 0.0 } else { i != j || r >= 0.0 }));
                }
            }
            let v = orthonormal((n, n), 5.0);
            let a = (&v * d).dot(&v.t());
            let tape = Tape::new();
            let eigen = tape.constant(&a).eigh().unwrap();
            let (w, v) = (eigen.values.value(), eigen.vectors.value());
            let error = off((&v * &w).dot(&v.t()), &a).max(largest(transposed_product(&v.to_owned()) - identity(n)));
            worst[2] = worst[2].max(error);
            assert!(error < 1e-13, "eigh of order {n}, spectrum {kind}: {error:e}");
            assert!(w.windows(2).into_iter().all(|w| w[0] <= w[1]), "{w}");
        }
    }
    println!("svd {:.1e}, qr {:.1e}, eigh {:.1e}", worst[0], worst[1], worst[2]);
}

/// Columns whose squares underflow.
#[test]
fn columns_of_extreme_grades() {
    for step in [20, 70, 75, 80, 100, 150] {
        let grades = Array1::from_shape_fn(4, |j| 10_f64.powi(-step * j as i32));
        for seed in 0..20 {
            let a = noise((4, 4), f64::from(seed)) * &grades;
            let tape = Tape::new();
            let svd = tape.constant(&a).svd().unwrap();
            let (u, s, vt) = (svd.u.value(), svd.s.value(), svd.vt.value());
            assert_close("UᵀU", &u.t().dot(&u), &Array2::eye(4), 1e-14);
            assert_close("USVᵀ", &(&u * &s).dot(&vt), &a, 1e-14);
            tape.constant(&a.t()).svd().unwrap();
            tape.constant(a.dot(&a.t())).eigh().unwrap();
        }
    }
}

#[test]
fn simple_matrices() {
    fn check<F: BaseFloat>() {
        let tape = Tape::<F>::new();
        let of = |a: &Array2<f64>| tape.constant(a.mapv(F::round_from));
        let numbers = |x: &[F]| x.iter().map(|x| x.to_f64().unwrap()).collect::<Vec<_>>();
        // Zero, a diagonal, an exchange, blocks.
        let zero = of(&Array2::zeros((3, 3)));
        let diagonal = of(&Array2::from_diag(&array![3.0, -1.0, 2.0]));
        let exchange = of(&array![[0.0, 1.0], [1.0, 0.0]]);
        let blocks =
            of(&array![[0.0, 2.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]);
        for (x, w) in [
            (zero, vec![0.0; 3]),
            (diagonal, vec![-1.0, 2.0, 3.0]),
            (exchange, vec![-1.0, 1.0]),
            (blocks, vec![-2.0, -1.0, 1.0, 2.0]),
        ] {
            let tolerance = 8.0 * F::epsilon().to_f64().unwrap();
            let values = x.eigh().unwrap().values.value().to_vec();
            assert_close("eigh", &numbers(&values), &w, tolerance);
            let mut s: Vec<f64> = w.iter().map(|w| w.abs()).collect();
            s.sort_by(|x, y| y.total_cmp(x));
            assert_close("svd", &numbers(&x.svd().unwrap().s.value().to_vec()), &s, tolerance);
            let svd = x.svd().unwrap();
            let gram = svd.u.t().dot(svd.u).value().mapv(|x| x.to_f64().unwrap());
            assert_close("svd of zeros", &gram, &Array2::eye(w.len()), tolerance);
        }
        // The ends of the range of floats.
        for size in [F::max_value() / F::lit(4.0), F::max_value(), F::lit(4.0) * F::min_positive_value() * F::epsilon()]
        {
            let a = Array2::from_diag(&array![size, size / F::lit(2.0)]);
            let x = tape.constant(a);
            assert_eq!((x.svd().unwrap().s.at([0]).value(), x.eigh().unwrap().values.at([1]).value()), (size, size));
        }
        let tiny = of(&array![[1e-30, 2e-30], [2e-30, -1e-30]]);
        let w = tiny.eigh().unwrap().values.at([1]).value().to_f64().unwrap();
        assert_near("tiny", w / 1e-30, 5_f64.sqrt(), 1e-6);
        assert_eq!(numbers(&zero.qr().unwrap().r.value().iter().copied().collect::<Vec<_>>()), [0.0; 9]);
    }
    check::<f64>();
    check::<f32>();
}

/// The factors of a matrix in other units, a power of two, have the same bits up to the ends of the range of floats.
#[test]
fn qr_at_the_ends_of_the_range() {
    fn check<F: BaseFloat>() {
        let a = array![[1.25, 0.5], [0.25, -1.0], [0.0, 0.375]].mapv(F::lit);
        let tape = Tape::<F>::new();
        let one = tape.constant(&a).qr().unwrap();
        let size = F::lit(2.0).powi(F::max_value().log2().to_i32().unwrap() - 1);
        for size in [size, F::min_positive_value()] {
            let other = tape.constant(a.mapv(|x| x * size)).qr().unwrap();
            assert_eq!(other.q.value(), one.q.value(), "Q at {size:?}");
            assert_eq!(other.r.value(), one.r.value().mapv(|x| x * size), "R at {size:?}");
            // Tangents are those of the other units too.
            let tangents = |size: F| {
                let a = a.mapv(|x| Dual::new(x * size, [x * x * size]));
                let tape = Tape::<Dual<F>>::new();
                tape.constant(a).qr().unwrap().q.value().mapv(|x| x.tangents()[0])
            };
            assert_eq!(tangents(size), tangents(F::one()), "tangents of Q at {size:?}");
        }
        for size in [F::max_value(), F::min_positive_value() * F::epsilon()] {
            for sign in [F::one(), -F::one()] {
                let qr = tape.constant(array![[sign * size]]).qr().unwrap();
                assert_eq!((qr.q.value(), qr.r.value()), (array![[sign]].view(), array![[size]].view()));
            }
        }
        // A length that is greater than every float.
        let qr = tape.constant(array![[F::max_value()], [F::max_value()]]).qr().unwrap();
        assert_eq!(qr.r.value(), array![[F::infinity()]]);
        assert!(qr.q.value().iter().all(|q| (*q - F::lit(0.5).sqrt()).abs() < F::lit(4.0) * F::epsilon()));
    }
    check::<f64>();
    check::<f32>();
}

/// Many rows do not hide a difference that is far greater than the roundings, nor a dependence under the roundings of sums.
#[test]
fn dependence_in_tall_matrices() {
    const ROWS: usize = 100_000;
    let tape = Tape::<f32>::new();
    let apart = Array2::from_shape_fn((ROWS, 2), |(i, j)| if (i + j) % 2 == 0 { 1.0_f32 } else { 1.002 });
    let x = tape.constant(apart);
    assert!(x.qr().unwrap().differentiable().is_ok());
    assert!(x.svd().unwrap().differentiable().is_ok());
    let equal = Array2::from_shape_fn((ROWS, 2), |(_, j)| if j == 0 { 0.1_f32 } else { 0.3 });
    let x = tape.constant(equal);
    for error in [x.qr().unwrap().differentiable().unwrap_err(), x.svd().unwrap().differentiable().unwrap_err()] {
        assert!(matches!(error, LinalgError::Degenerate { index: 1, .. }), "{error}");
    }
}

#[test]
fn functions_of_equal_eigenvalues() {
    let v = orthonormal((4, 4), 1.0);
    for w in [array![1.0, 1.0, 1.0, 1.0], array![2.0, 1.0, 2.0, 2.0], array![0.0, 0.0, 0.0, 3.0], Array1::zeros(4)] {
        for basis in [&v, &Array2::eye(4)] {
            let a = (basis * &w).dot(&basis.t());
            let tape = Tape::new();
            let x = tape.tensor(&a);
            let eigen = x.eigh().unwrap();
            // Σ λ² = ‖A‖², whose gradient is 2A, and Σ e^λ, whose gradient is e^A.
            assert_close("2A", &eigen.values.square().sum().backward().wrt(x), &(2.0 * &a), 1e-14);
            let exp = (basis * &w.mapv(f64::exp)).dot(&basis.t());
            assert_close("exp", &eigen.values.exp().sum().backward().wrt(x), &exp, 1e-14);
            // The nuclear norm: its gradient G has norm 1 at most, and ⟨G, A⟩ = Σ s.
            let s = x.svd().unwrap().s;
            let g = s.sum().backward().wrt(x);
            assert_near("⟨G, A⟩", (&g * &a).sum(), w.sum(), 1e-14);
            assert!(tape.constant(&g).svd().unwrap().s.value()[0] < 1.0 + 1e-14);
            assert_close("‖A‖²", &s.square().sum().backward().wrt(x), &(2.0 * &a), 1e-14);
            // What a function of equal eigenvectors needs is not in their cotangents.
            let spectral = (eigen.vectors * eigen.values.exp()).dot(eigen.vectors.t());
            assert!(spectral.sum().backward().wrt(x).iter().all(|g| g.is_nan()));
            assert!(eigen.vectors.sum().backward().wrt(x).iter().all(|g| g.is_nan()));
            assert!(matches!(eigen.differentiable(), Err(LinalgError::Degenerate { operation: "eigh", .. })));
            assert!(matches!(x.svd().unwrap().differentiable(), Err(LinalgError::Degenerate { operation: "svd", .. })));
        }
    }
}

#[test]
fn leading_vectors_of_low_rank() {
    // A = xxᵀ + 2yyᵀ: the leading vectors and values, by dual numbers and by differences.
    let (x, y) = (noise((5, 1), 1.0), noise((5, 1), 2.0));
    let a = x.dot(&x.t()) + 2.0 * y.dot(&y.t());
    let (e, p) = (noise((5, 5), 4.0), array![1.0, -0.5, 2.0, 0.25, 1.5]);
    let symmetric = |tape: &Tape<f64>, a: &Array2<f64>| {
        let eigen = tape.constant(a).eigh().unwrap();
        eigen.vectors.column(4).dot(tape.constant(p.clone())).square().value() + eigen.values.at([3]).value()
    };
    let of_svd = |tape: &Tape<f64>, a: &Array2<f64>| {
        let svd = tape.constant(a).svd().unwrap();
        let one = svd.u.column(1).dot(tape.constant(p.slice(s![..svd.u.shape()[0]])));
        let other = svd.vt.row(1).dot(tape.constant(p.slice(s![..svd.vt.shape()[1]])));
        (one * other).value() + svd.s.at([0]).value()
    };
    let tape = Tape::new();
    let difference = |f: &dyn Fn(&Tape<f64>, &Array2<f64>) -> f64, a: &Array2<f64>, e: &Array2<f64>| {
        let h = 1e-4;
        let central = |h: f64| (f(&tape, &(a + h * e)) - f(&tape, &(a - h * e))) / (2.0 * h);
        (4.0 * central(h / 2.0) - central(h)) / 3.0
    };
    let tape2 = Tape::new();
    let t = tape2.tensor(&a);
    let eigen = t.eigh().unwrap();
    let loss = eigen.vectors.column(4).dot(tape2.constant(p.clone())).square() + eigen.values.at([3]);
    let along = (loss.backward().wrt(t) * &e).sum();
    assert_near("eigh", along, difference(&symmetric, &a, &e), 1e-9);
    for columns in [3, 5] {
        for a in [a.slice(s![.., ..columns]).to_owned(), a.slice(s![..columns, ..]).to_owned()] {
            let e = e.slice(s![..a.nrows(), ..a.ncols()]).to_owned();
            let tape = Tape::new();
            let t = tape.tensor(&a);
            let svd = t.svd().unwrap();
            let one = svd.u.column(1).dot(tape.constant(p.slice(s![..a.nrows()])));
            let other = svd.vt.row(1).dot(tape.constant(p.slice(s![..a.ncols()])));
            let loss = one * other + svd.s.at([0]);
            let along = (loss.backward().wrt(t) * &e).sum();
            assert_near("svd", along, difference(&of_svd, &a, &e), 1e-9);
            // The left vector of a single zero is that orthogonal to all others, if there are no more rows.
            let last = |tape: &Tape<f64>, a: &Array2<f64>| {
                tape.constant(a).svd().unwrap().u.at([0, columns.min(3) - 1]).square().value()
            };
            let gradient = svd.u.at([0, columns.min(3) - 1]).square().backward().wrt(t);
            if a.nrows() == 3 {
                assert_near("last", (gradient * &e).sum(), difference(&last, &a, &e), 1e-9);
            } else {
                assert!(gradient.iter().all(|g| g.is_nan()));
            }
            let right = svd.vt.row(svd.vt.shape()[0] - 1).sum().backward().wrt(t);
            assert_eq!(right.iter().all(|g| g.is_finite()), a.ncols() == 3);
        }
    }
}

#[test]
fn curvature_of_the_greatest_value_of_rank_one() {
    // λ'' = 2 Σ (vᵀEvⱼ)²/(λ − 0) = 2 (|Ev|² − (vᵀEv)²)/λ at A = λvvᵀ, for a symmetric E.
    let v = orthonormal((4, 1), 2.0).column(0).to_owned();
    let e = noise((4, 4), 3.0);
    let e = &e + &e.t();
    let a = Array2::from_shape_fn((4, 4), |(i, j)| Dual::new(2.0 * v[i] * v[j], [e[[i, j]]]));
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let along =
        |y: Var<'_, Dual<f64>>| -> f64 { y.backward().wrt(x).iter().zip(&e).map(|(g, e)| g.tangents()[0] * e).sum() };
    let ev = e.dot(&v);
    let want = ev.dot(&ev) - v.dot(&ev).powi(2);
    assert_near("eigenvalue", along(x.eigh().unwrap().values.at([3])), want, 1e-13);
    assert_near("singular value", along(x.svd().unwrap().s.at([0])), want, 1e-13);
    // Zero is repeated: a kink. The first derivative is finite, the second one is NaN and not a number that is wrong.
    let least = x.eigh().unwrap().values.at([0]);
    assert!(least.backward().wrt(x).iter().all(|g| g.primal().is_finite()));
    assert!(along(least).is_nan());
    assert!(along(x.svd().unwrap().s.sum()).is_nan());
    // Along a direction that does not split them, equal eigenvalues stay equal.
    let scaled =
        Array2::from_shape_fn((3, 3), |(i, j)| Dual::new(f64::from(u8::from(i == j)), [f64::from(u8::from(i == j))]));
    let x = tape.tensor(&scaled);
    let sum = x.eigh().unwrap().values.powi(3).sum();
    assert_eq!(sum.value().tangents(), [9.0]);
    let hessian = sum.backward().wrt(x).mapv(|g| g.tangents()[0]);
    assert_close("6 I", &hessian, &(6.0 * Array2::eye(3)), 1e-14);
}

#[test]
fn dependent_columns() {
    let mut a = noise((4, 3), 1.0);
    let combination = &a.column(0) - &a.column(1);
    a.column_mut(2).assign(&combination);
    for (a, index) in [(a.clone(), 2), (a.slice(s![.., ..;2]).dot(&array![[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]), 1)] {
        let tape = Tape::new();
        let x = tape.tensor(&a);
        let qr = x.qr().unwrap();
        assert_close("QR", &qr.q.dot(qr.r).value().to_owned(), &a, 1e-14);
        assert_close("QᵀQ", &qr.q.t().dot(qr.q).value().to_owned(), &Array2::eye(3), 1e-14);
        assert!(qr.r.square().sum().backward().wrt(x).iter().all(|g| g.is_nan()));
        let error = qr.differentiable().unwrap_err();
        assert!(matches!(error, LinalgError::Degenerate { index: found, .. } if found == index), "{error}");
        assert!(error.to_string().contains(&format!("column {index} depends on those before it")), "{error}");
        // Tangents are NaN for what the column made, and those of constants stay 0.
        let e = noise((4, 3), 5.0);
        let duals = Array2::from_shape_fn((4, 3), |(i, j)| Dual::new(a[[i, j]], [e[[i, j]]]));
        let tape = Tape::<Dual<f64>>::new();
        let qr = tape.constant(duals).qr().unwrap();
        for ((_, j), q) in qr.q.value().indexed_iter() {
            assert_eq!(q.tangents()[0].is_nan(), j >= index, "{q}");
        }
        let qr = tape.constant(a.mapv(Dual::<f64>::constant)).qr().unwrap();
        assert!(qr.q.value().iter().chain(qr.r.value()).all(|x| x.tangents() == [0.0]));
    }
}

#[test]
fn batches_with_matrices_without_derivatives() {
    let mut a = Array3::zeros((3, 3, 3));
    for i in [0, 2] {
        a.index_axis_mut(Axis(0), i).assign(&noise((3, 3), i as f64));
    }
    let tape = Tape::new();
    let x = tape.tensor(&a);
    let (eigen, svd, qr) = (x.eigh().unwrap(), x.svd().unwrap(), x.qr().unwrap());
    assert_eq!(
        (eigen.values.shape(), svd.s.shape(), qr.q.shape()),
        ([3, 3].as_slice(), [3, 3].as_slice(), [3, 3, 3].as_slice())
    );
    for (i, sound) in [(0, true), (1, false), (2, true)] {
        let of_matrix = |y: Tensor<'_, f64, ndarray::Ix3>| {
            let gradient = y.index_axis(Axis(0), i).slice(s![0, ..]).sum().backward().wrt(x);
            for (j, gradient) in gradient.outer_iter().enumerate() {
                assert!(gradient.iter().all(|&g| if j == i { g.is_finite() == sound } else { g == 0.0 }), "{gradient}");
            }
        };
        of_matrix(eigen.vectors);
        of_matrix(svd.u);
        of_matrix(qr.q);
    }
    for error in
        [eigen.differentiable().unwrap_err(), svd.differentiable().unwrap_err(), qr.differentiable().unwrap_err()]
    {
        assert!(matches!(error, LinalgError::Degenerate { matrix: Some(1), shape: [3, 3], index: 0, .. }), "{error}");
        assert!(error.to_string().contains("the matrix 1 of the batch, of shape [3, 3], has no"), "{error}");
    }
    // The first singular matrix is named.
    for error in [x.inv().unwrap_err(), x.ln_det().unwrap_err(), x.solve(x).unwrap_err(), x.factorize().unwrap_err()] {
        assert!(matches!(error, LinalgError::Singular { matrix: Some(1), pivot: 0, .. }), "{error}");
    }
    let error = x.cholesky().unwrap_err();
    assert!(matches!(error, LinalgError::NotPositiveDefinite { matrix: Some(0), .. }), "{error}");
    let minus = Array3::from_shape_fn((2, 1, 1), |(i, ..)| if i == 1 { -1.0 } else { 1.0 });
    let error = tape.constant(&minus).ln_det().unwrap_err();
    assert!(matches!(error, LinalgError::NegativeDeterminant { matrix: Some(1), .. }), "{error}");
    let (sign, ln) = tape.constant(&minus).sln_det().unwrap();
    assert_eq!((sign, ln.value()), (array![1.0, -1.0], array![0.0, 0.0].view()));
    let rcond = tape.constant(&minus).factorize().unwrap().rcond();
    assert_eq!(rcond, array![1.0, 1.0]);
    let mut bad = a.clone();
    bad[[2, 0, 1]] = f64::NAN;
    let y = tape.tensor(&bad);
    for error in [y.eigh().unwrap_err(), y.svd().unwrap_err(), y.qr().unwrap_err(), y.solve(x).unwrap_err()] {
        assert!(matches!(error, LinalgError::NotFinite { matrix: Some(2), index: [0, 1], .. }), "{error}");
    }
    // A determinant of each kind: regular, singular, not finite.
    let det = y.det();
    assert!(det.value()[0] != 0.0 && det.value()[1] == 0.0 && det.value()[2].is_nan());
    let gradient = det.at([0]).backward().wrt(y);
    assert!(gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn shapes_that_do_not_fit() {
    let (a, b, c) = (Array3::<f64>::ones((2, 3, 3)), Array3::ones((4, 3, 1)), Array2::ones((2, 4)));
    let tape = Tape::new();
    let (x, y, z) = (tape.tensor(&a), tape.tensor(&b), tape.tensor(&c));
    assert_panics_here!(x.solve(y), "shapes [2, 3, 3] and [4, 3, 1] do not fit: batch axes must have equal lengths");
    assert_panics_here!(x.solve(z), "must have as many rows");
    assert_panics_here!(x.into_dyn().solve(z.column(0).into_dyn()), "as many axes as the matrix, or one less");
    assert_panics_here!(z.eigh(), "eigh: a matrix of shape [2, 4] is not square");
    assert_panics_here!(z.row(0).into_dyn().svd(), "svd: shape [4] has no two axes for a matrix");
    assert_panics_here!(z.row(0).into_dyn().qr(), "qr: shape [4] has no two axes");
    assert_panics_here!(z.row(0).into_dyn().det(), "det: shape [4] has no two axes");
}

#[test]
fn factors_of_constants_record_nothing() {
    let a = noise((3, 3), 1.0);
    let tape = Tape::<f64>::new();
    let x = tape.constant(&a);
    assert!(
        x.eigh().unwrap().vectors.is_constant() && x.svd().unwrap().s.is_constant() && x.qr().unwrap().r.is_constant()
    );
    assert!(tape.is_empty());
}

/// Where nothing is left of a column the diagonal is 0, and Q has a unit vector as the other reflections leave it.
#[test]
fn qr_of_a_column_of_zeros() {
    let tape = Tape::<f64>::new();
    let qr = tape.constant(array![[0.0, 1.0], [0.0, 1.0]]).qr().unwrap();
    assert_eq!(qr.q.value(), array![[1.0, 0.0], [0.0, 1.0]]);
    assert_eq!(qr.r.value(), array![[0.0, 1.0], [0.0, 1.0]]);
}

/// R of long columns of equal numbers, whose plain sums of rows would be off by a thousand roundings.
#[test]
fn qr_of_long_columns() {
    let rows = 10_000;
    let x = Array2::from_shape_fn((rows, 2), |(i, j)| if j == 0 || i < rows / 2 { 0.1_f32 } else { 0.3 });
    let tape = Tape::<f32>::new();
    let qr = tape.constant(&x).qr().unwrap();
    // 0.1 √n, 0.2 √n and 0.1 √n, for the f32 nearest to 0.1 and 0.3.
    for (found, want) in [([0, 0], 10.0), ([0, 1], 20.0), ([1, 1], 10.0)].map(|(at, want)| (qr.r.value()[at], want)) {
        assert!((found / want - 1.0).abs() < 1e-5, "{found}, not {want}");
    }
}
