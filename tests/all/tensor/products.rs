//! Products of vectors, matrices and batches of matrices against their definition: values and gradients
//! by loops, in every layout, at sizes for each way of the kernels.

use ndarray::{Array2, Array3, ArrayD, Axis, Dimension, Ix1, Ix2, Ix3, IxDyn};
use wengert::{Dual, Gradient, Scalar, Tape, Tensor};

use super::operations::Number;
use super::operations::layouts::{LAYOUTS, Layout, PLAIN};

type Dyn<'t, F> = Tensor<'t, F, IxDyn>;

/// The kinds of the two operands: vectors, matrices or batches of matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    VectorVector,
    VectorMatrix,
    MatrixVector,
    MatrixMatrix,
    Batches,
}

use Kind::{Batches, MatrixMatrix, MatrixVector, VectorMatrix, VectorVector};

impl Kind {
    /// The axes that an operand of shape (batches, rows, columns) has on the tape.
    fn axes(self, right: bool) -> &'static [usize] {
        match (self, right) {
            (Batches, _) => &[0, 1, 2],
            (VectorVector | VectorMatrix, false) => &[2],
            (VectorVector | MatrixVector, true) => &[1],
            _ => &[1, 2],
        }
    }

    /// The product; that of two vectors as a tensor of one element.
    fn on_tape<'t, F: Scalar>(self, x: Dyn<'t, F>, y: Dyn<'t, F>) -> Dyn<'t, F> {
        fn of<'t, F: Scalar, D: Dimension>(x: Dyn<'t, F>) -> Tensor<'t, F, D> {
            x.into_dimensionality().expect("as many axes as the kind says")
        }
        match self {
            VectorVector => x.tape().stack_vars(&[of::<F, Ix1>(x).dot(of::<F, Ix1>(y))]).into_dyn(),
            VectorMatrix => of::<F, Ix1>(x).dot(of::<F, Ix2>(y)).into_dyn(),
            MatrixVector => of::<F, Ix2>(x).dot(of::<F, Ix1>(y)).into_dyn(),
            MatrixMatrix => of::<F, Ix2>(x).dot(of::<F, Ix2>(y)).into_dyn(),
            Batches => of::<F, Ix3>(x).matmul(of::<F, Ix3>(y)).into_dyn(),
        }
    }
}

// The definition.

/// Σ a[b, i, p] b[b, p, j] over p, a single batch standing for all.
fn multiply(a: &Array3<f64>, b: &Array3<f64>) -> Array3<f64> {
    let ((s, m, k), (t, _, n)) = (a.dim(), b.dim());
    let mut c = Array3::zeros((if s == 1 { t } else { s }, m, n));
    for ((batch, i, j), c) in c.indexed_iter_mut() {
        for p in 0..k {
            *c += a[[batch % s, i, p]] * b[[batch % t, p, j]];
        }
    }
    c
}

fn transposed(a: &Array3<f64>) -> Array3<f64> {
    a.clone().permuted_axes([0, 2, 1])
}

/// The gradient of an operand with one batch is the sum over all.
fn summed(c: Array3<f64>, batches: usize) -> Array3<f64> {
    if batches == 1 { c.sum_axis(Axis(0)).insert_axis(Axis(0)) } else { c }
}

/// Primals and tangents.
type Parts = [Array3<f64>; 2];

/// The expected parts, and for each a bound of its rounding in units of ε: the number of terms of a sum times the sum
/// of their sizes.
struct Expected {
    parts: Parts,
    sizes: Parts,
}

/// The product of numbers with tangents, by the product rule.
fn expect(a: &Parts, b: &Parts, batches: usize) -> Expected {
    let terms = a[0].dim().2 as f64 + 2.0 + if batches == 1 { a[0].dim().0.max(b[0].dim().0) as f64 } else { 0.0 };
    let sizes = |x: &Parts| [0, 1].map(|part| x[part].mapv(f64::abs));
    let times = |a: &Parts, b: &Parts| {
        let parts = [multiply(&a[0], &b[0]), multiply(&a[1], &b[0]) + multiply(&a[0], &b[1])];
        parts.map(|part| summed(part, batches))
    };
    Expected { parts: times(a, b), sizes: times(&sizes(a), &sizes(b)).map(|size| size * terms) }
}

/// A gradient by its closed form: dA = dC Bᵀ, dB = Aᵀ dC.
fn expect_gradient(a: &Parts, b: &Parts, dc: &Parts) -> [Expected; 2] {
    let t = |x: &Parts| [transposed(&x[0]), transposed(&x[1])];
    [expect(dc, &t(b), a[0].dim().0), expect(&t(a), dc, b[0].dim().0)]
}

impl Expected {
    fn plus(self, other: Expected) -> Expected {
        let sum = |[a, b]: Parts, [c, d]: Parts| [a + c, b + d];
        Expected { parts: sum(self.parts, other.parts), sizes: sum(self.sizes, other.sizes) }
    }

    /// Summed along an axis, of length 1 thereafter.
    fn along(self, axis: Option<usize>) -> Expected {
        let Some(axis) = axis else { return self };
        let len = self.parts[0].shape()[axis] as f64;
        let sum = |parts: Parts| parts.map(|x| x.sum_axis(Axis(axis)).insert_axis(Axis(axis)));
        Expected { parts: sum(self.parts), sizes: sum(self.sizes).map(|size| size * (1.0 + len)) }
    }

    fn map(self, f: fn(&Array3<f64>) -> Array3<f64>) -> Expected {
        Expected { parts: self.parts.map(|x| f(&x)), sizes: self.sizes.map(|x| f(&x)) }
    }

    /// Panics unless `got` equals the expected numbers up to rounding.
    #[track_caller]
    fn assert<F: Number>(&self, got: &ArrayD<F>, case: &dyn Fn() -> String) {
        let [epsilon, _] = F::epsilon().parts();
        assert_eq!(got.len(), self.parts[0].len(), "{}", case());
        for part in 0..F::PARTS {
            let wanted = self.parts[part].iter().zip(&self.sizes[part]);
            for ((got, (want, size)), place) in got.iter().zip(wanted).zip(ndarray::indices(got.raw_dim())) {
                // A factor 2: both the crate and the definition round.
                let got = got.parts()[part];
                let close = (got - want).abs() <= 2.0 * epsilon * size;
                assert!(close, "{}: part {part} at {:?} is {got} instead of {want}", case(), place.slice());
            }
        }
    }
}

// The operands.

/// A number for each place without a pattern that an error could cancel, and exact in `f32`.
fn number(group: usize, i: usize) -> f64 {
    f64::from((1.0 + 1.7 * i as f64 + 0.61 * group as f64).sin() as f32)
}

fn numbers(group: usize, shape: (usize, usize, usize)) -> Parts {
    [group, group + 1].map(|group| {
        let mut i = 0..;
        Array3::from_shape_simple_fn(shape, || number(group, i.next().expect("no end")))
    })
}

/// An operand's elements: all different, or repeated along an axis.
struct Side {
    parts: Parts,
    repeated: Option<usize>,
}

impl Side {
    fn new(group: usize, shape: [usize; 3], repeated: Option<usize>) -> Self {
        let mut source = shape;
        if let Some(axis) = repeated {
            source[axis] = 1;
        }
        let parts = numbers(group, source.into());
        let parts = parts.map(|x| x.broadcast(shape).expect("one axis of length 1").to_owned());
        Self { parts, repeated }
    }

    /// The array to make a tensor of, with the axes of the kind and one element along a repeated axis.
    fn source<F: Number>(&self, axes: &[usize]) -> ArrayD<F> {
        let zipped = ndarray::Zip::from(&self.parts[0]).and(&self.parts[1]);
        let mut x = zipped.map_collect(|&x, &v| F::make(x, v));
        if let Some(axis) = self.repeated {
            x = x.slice_axis(Axis(axis), (..1).into()).to_owned();
        }
        squeezed(x, axes)
    }

    /// The tensor that a source shows.
    fn tensor<'t, F: Scalar>(&self, source: Dyn<'t, F>, axes: &[usize]) -> Dyn<'t, F> {
        let shape: Vec<usize> = axes.iter().map(|&axis| self.parts[0].shape()[axis]).collect();
        if self.repeated.is_some() { source.broadcast(IxDyn(&shape)) } else { source }
    }
}

/// The elements with some axes left out, which have length 1.
fn squeezed<T: Clone>(x: Array3<T>, axes: &[usize]) -> ArrayD<T> {
    let shape: Vec<usize> = axes.iter().map(|&axis| x.shape()[axis]).collect();
    x.into_shape_with_order(shape).expect("the other axes have length 1")
}

/// The lengths m, k, n of a product, and the number of batches of either operand.
type Sizes = ([usize; 3], [usize; 2]);

fn check<F: Number>(kind: Kind, ([m, k, n], [s, t]): Sizes, pairs: &[(Layout, Layout)], repeats: bool) {
    let axes = [kind.axes(false), kind.axes(true)];
    let shapes = [[s, m, k], [t, k, n]];
    let mut repeated = vec![(None, None)];
    for side in 0..2 {
        for &axis in axes[side].iter().filter(|&&axis| repeats && shapes[side][axis] > 1) {
            repeated.push(if side == 0 { (Some(axis), None) } else { (None, Some(axis)) });
        }
    }
    let mut tape = Tape::<F>::new();
    for &(left, right) in &repeated {
        let sides = [Side::new(0, shapes[0], left), Side::new(10, shapes[1], right)];
        let [a, b] = [&sides[0].parts, &sides[1].parts];
        let product = expect(a, b, 0);
        // A cotangent without tangents: that of a loss.
        let [dc, zero] = [numbers(20, product.parts[0].dim())[0].clone(), Array3::zeros(product.parts[0].dim())];
        let [da, db] = expect_gradient(a, b, &[dc.clone(), zero]);
        let gradients = [da.along(left), db.along(right)];
        for &layouts in pairs {
            let layouts = [layouts.0, layouts.1];
            let case = |what: &str| {
                let number = std::any::type_name::<F>();
                format!(
                    "{kind:?} of {number}, m, k, n = {m}, {k}, {n}, batches {s}, {t}, {layouts:?}, \
                     repeated {left:?} {right:?}: {what}"
                )
            };
            tape.clear();
            let tape = &tape;
            let owners = [0, 1].map(|i| layouts[i].owner(&sides[i].source::<F>(axes[i])));
            let arrays = [0, 1].map(|i| layouts[i].array(&owners[i]));
            let leaves = [0, 1].map(|i| tape.tensor(&arrays[i]));
            let sources = [0, 1].map(|i| layouts[i].tensor(leaves[i]));
            let [x, y] = [0, 1].map(|i| sides[i].tensor(sources[i], axes[i]));
            let z = kind.on_tape(x, y);
            product.assert(&z.value().to_owned(), &|| case("values"));
            for (gradient, sweep) in sweeps(z, &dc) {
                for i in 0..2 {
                    let label = || case(&format!("gradient of operand {i} {sweep}"));
                    gradients[i].assert(&layouts[i].gradient(&gradient.wrt(leaves[i]), &label()), &label);
                }
            }
        }
    }
}

/// Gradients from the result with a cotangent, and from a scalar, whose sweep works in memory that was
/// used before.
fn sweeps<'t, F: Number>(z: Dyn<'t, F>, cotangent: &Array3<f64>) -> [(Gradient<'t, F>, &'static str); 2] {
    let cotangent = cotangent.mapv(|w| F::make(w, 0.0)).into_shape_with_order(z.dim()).expect("the result's elements");
    let from_result = z.backward_with(&cotangent);
    let loss = (z * cotangent).sum();
    let from_loss = if loss.is_constant() { z.tape().backward_with([]) } else { loss.backward() };
    [(from_result, "from the result"), (from_loss, "from a loss")]
}

/// Products of a tensor with itself or a view of itself: the gradients of both operands add up.
fn check_itself<F: Number>(kind: Kind, n: usize, batches: usize, layouts: &[Layout]) {
    type View = for<'a> fn(&'a Array3<f64>) -> Array3<f64>;
    let axes = kind.axes(false);
    let shape = if axes.len() == 1 { [1, 1, n] } else { [batches, n, n] };
    let side = Side::new(0, shape, None);
    let views: &[(&str, View)] = match kind {
        // As a row and as a column.
        VectorVector => &[("itself", transposed)],
        _ => &[("itself", Array3::clone), ("its transpose", transposed)],
    };
    let mut tape = Tape::<F>::new();
    for &(name, view) in views {
        let a = &side.parts;
        let b = &[view(&a[0]), view(&a[1])];
        let product = expect(a, b, 0);
        let [dc, zero] = [numbers(20, product.parts[0].dim())[0].clone(), Array3::zeros(product.parts[0].dim())];
        let [da, db] = expect_gradient(a, b, &[dc.clone(), zero]);
        // Each view is its own inverse.
        let gradient = da.plus(db.map(view));
        for layout in layouts {
            let number = std::any::type_name::<F>();
            let case = |what: &str| format!("{kind:?} of {number}, {n}, by {name}, {layout:?}: {what}");
            tape.clear();
            let tape = &tape;
            let owner = layout.owner(&side.source::<F>(axes));
            let array = layout.array(&owner);
            let leaf = tape.tensor(&array);
            let x = layout.tensor(leaf);
            let y = match (kind, name) {
                (Batches, "its transpose") => x.swap_axes(1, 2),
                (_, "its transpose") => x.t(),
                _ => x,
            };
            let z = kind.on_tape(x, y);
            product.assert(&z.value().to_owned(), &|| case("values"));
            for (found, sweep) in sweeps(z, &dc) {
                gradient.assert(&layout.gradient(&found.wrt(leaf), &case(sweep)), &|| case(sweep));
            }
        }
    }
}

// The tables.

/// Each layout with each other.
fn every_pair() -> Vec<(Layout, Layout)> {
    LAYOUTS.iter().flat_map(|&a| LAYOUTS.iter().map(move |&b| (a, b))).collect()
}

/// Each layout with two others.
fn some_pairs() -> Vec<(Layout, Layout)> {
    let n = LAYOUTS.len();
    (0..n).flat_map(|i| [(LAYOUTS[i], LAYOUTS[(i + 1) % n]), (LAYOUTS[i], LAYOUTS[(3 * i + 5) % n])]).collect()
}

fn check_all(kind: Kind, sizes: &[[usize; 3]], pairs: &[(Layout, Layout)]) {
    for &lengths in sizes {
        let (sizes, repeats) = ((lengths, [1, 1]), lengths.iter().product::<usize>() < 2000);
        check::<f32>(kind, sizes, pairs, repeats);
        check::<f64>(kind, sizes, pairs, repeats);
        check::<Dual<f64>>(kind, sizes, pairs, repeats);
    }
}

/// Inner products: none, one, a few terms, vectors of several registers and what is left of them.
#[test]
fn vector_times_vector() {
    check_all(VectorVector, &[[1, 0, 1], [1, 1, 1], [1, 5, 1], [1, 33, 1], [1, 150, 1]], &every_pair());
}

#[test]
fn vector_times_matrix() {
    let sizes = [[1, 1, 1], [1, 4, 3], [1, 0, 3], [1, 3, 0], [1, 9, 33], [1, 70, 5]];
    check_all(VectorMatrix, &sizes, &some_pairs());
}

/// Sums of 64 and more terms along the rows have a way of their own.
#[test]
fn matrix_times_vector() {
    let sizes = [[1, 1, 1], [3, 4, 1], [0, 3, 1], [3, 0, 1], [33, 9, 1], [5, 70, 1]];
    check_all(MatrixVector, &sizes, &some_pairs());
}

/// Loops; results without an element, sums without a term.
#[test]
fn small_matrices() {
    let sizes = [[1, 1, 1], [2, 3, 4], [5, 1, 6], [0, 3, 2], [2, 0, 3], [2, 3, 0], [0, 0, 0]];
    check_all(MatrixMatrix, &sizes, &every_pair());
}

/// Tiles of registers, whole ones and parts of them.
#[test]
fn tiles() {
    check_all(MatrixMatrix, &[[8, 16, 8], [5, 9, 17], [11, 12, 33]], &some_pairs());
}

/// Few columns: sums along rows, and tiles of the transpose.
#[test]
fn narrow_matrices() {
    check_all(MatrixMatrix, &[[9, 40, 5], [13, 70, 3], [40, 25, 6]], &some_pairs());
}

/// Kernels that block for the caches; with more rows than are turned at once.
#[test]
fn large_matrices() {
    let plain = [(PLAIN, PLAIN)];
    for (sizes, pairs) in [([33, 35, 40], &some_pairs()[..]), ([130, 33, 34], &plain)] {
        check::<f32>(MatrixMatrix, (sizes, [1, 1]), pairs, false);
        check::<f64>(MatrixMatrix, (sizes, [1, 1]), pairs, false);
    }
    check::<Dual<f64>>(MatrixMatrix, ([33, 35, 40], [1, 1]), &plain, false);
}

/// Equal numbers of batches on both sides, or one batch on either side for all of the other. Also k = 0 in several
/// batches, which on a view may run backwards.
#[test]
fn batches() {
    for (lengths, batches) in [
        ([2, 3, 4], [2, 2]),
        ([3, 2, 2], [1, 3]),
        ([2, 2, 3], [3, 1]),
        ([1, 1, 1], [1, 1]),
        ([2, 3, 2], [0, 0]),
        ([2, 3, 2], [1, 0]),
        ([2, 0, 3], [1, 1]),
        ([2, 0, 3], [2, 2]),
        ([2, 0, 3], [1, 3]),
        ([9, 4, 17], [2, 1]),
        ([5, 34, 3], [1, 2]),
    ] {
        let pairs = some_pairs();
        check::<f32>(Batches, (lengths, batches), &pairs, true);
        check::<f64>(Batches, (lengths, batches), &pairs, true);
        check::<Dual<f64>>(Batches, (lengths, batches), &pairs, true);
    }
}

#[test]
fn products_of_a_tensor_with_itself() {
    for (kind, lengths, batches) in [
        (VectorVector, &[1, 5, 40][..], 1),
        (MatrixMatrix, &[1, 3, 9, 20], 1),
        (Batches, &[2, 9], 3),
        (Batches, &[3], 1),
    ] {
        for &n in lengths {
            check_itself::<f32>(kind, n, batches, &LAYOUTS);
            check_itself::<f64>(kind, n, batches, &LAYOUTS);
            check_itself::<Dual<f64>>(kind, n, batches, &LAYOUTS);
        }
    }
}

/// Matrices of dual numbers, large enough for products of their parts, against sums of products of dual numbers: tangents
/// that are zero, numbers that are not finite, sums that overflow, either order in memory.
#[test]
fn products_of_dual_numbers_are_sums_of_products() {
    fn check<const N: usize>(case: &str, shape: [usize; 3], change: impl Fn(&mut Array2<Dual<f64, N>>, bool)) {
        let [m, k, n] = shape;
        let number = |i: usize, j: usize| {
            let x = |s: f64| (s * (i * 31 + j * 17 + 5) as f64).sin();
            Dual::new(x(0.37), std::array::from_fn(|t| x(0.11 * (t + 2) as f64)))
        };
        let mut a = Array2::from_shape_fn((m, k), |(i, j)| number(i, j));
        let mut b = Array2::from_shape_fn((k, n), |(i, j)| number(i + 3, j + 7));
        change(&mut a, false);
        change(&mut b, true);
        for reversed in [false, true] {
            let turned = |x: &Array2<Dual<f64, N>>| if reversed { x.t().to_owned() } else { x.clone() };
            let (x, y) = (turned(&a), turned(&b));
            let tape = Tape::<Dual<f64, N>>::new();
            let (x, y) = (tape.constant(&x), tape.constant(&y));
            let product = if reversed { x.t().dot(y.t()) } else { x.dot(y) };
            for ((i, j), got) in product.value().indexed_iter() {
                let terms = || (0..k).map(|p| (a[[i, p]], b[[p, j]]));
                let want = terms().fold(Dual::constant(0.0), |sum, (x, y)| sum + x * y);
                // The sum of the absolute terms bounds the roundings.
                let size = |part: &dyn Fn(Dual<f64, N>, Dual<f64, N>) -> f64| {
                    terms().map(|(x, y)| part(x, y)).filter(|size| size.is_finite()).sum::<f64>()
                };
                let close = |got: f64, want: f64, size: f64| {
                    got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= 1e-14 * size
                };
                let scale = size(&|x, y| (x.primal() * y.primal()).abs());
                assert!(
                    close(got.primal(), want.primal(), scale),
                    "{case} {shape:?} [{i}, {j}]: {got:?}, should be {want:?}"
                );
                for t in 0..N {
                    let scale =
                        size(&|x, y| (x.tangents()[t] * y.primal()).abs() + (x.primal() * y.tangents()[t]).abs());
                    assert!(
                        close(got.tangents()[t], want.tangents()[t], scale),
                        "{case} {shape:?} [{i}, {j}]: {got:?}, should be {want:?}"
                    );
                }
            }
        }
    }
    fn all_cases<const N: usize>() {
        let constant = |x: &mut Array2<Dual<f64, N>>| x.mapv_inplace(|x| Dual::constant(x.primal()));
        for shape in [[8, 8, 8], [1, 300, 2], [16, 3, 9], [5, 70, 33], [2, 5000, 3], [64, 1, 64]] {
            check::<N>("smooth", shape, |_, _| {});
            check::<N>("left constant", shape, |x, right| {
                if !right {
                    constant(x);
                }
            });
            check::<N>("right constant", shape, |x, right| {
                if right {
                    constant(x);
                }
            });
            check::<N>("both constant", shape, |x, _| constant(x));
            check::<N>("infinite, without tangents", shape, |x, right| {
                constant(x);
                if !right {
                    x[[0, 0]] = Dual::constant(f64::INFINITY);
                }
            });
            check::<N>("infinite beside zero tangents", shape, |x, right| {
                if right { constant(x) } else { x[[0, 0]] = Dual::constant(f64::NEG_INFINITY) }
            });
            check::<N>("a tangent that is NaN", shape, |x, right| {
                if right {
                    x[[0, 1]] = Dual::new(0.5, [f64::NAN; N]);
                }
            });
            check::<N>("NaN", shape, |x, right| {
                if !right {
                    x[[0, 0]] = Dual::constant(f64::NAN);
                }
            });
        }
    }
    all_cases::<1>();
    all_cases::<3>();
    check::<1>("overflow", [8, 8, 8], |x, _| x.mapv_inplace(|x| Dual::new(1e200 * x.primal().abs(), x.tangents())));
}

/// Products of dual numbers whose parts are dual numbers themselves.
#[test]
fn products_of_nested_dual_numbers() {
    type Second = Dual<Dual<f64, 1>, 1>;
    let number = |i: usize, s: f64| {
        let x = |t: f64| (s * t * (i + 1) as f64).cos();
        Second::new(Dual::new(x(1.0), [x(2.0)]), [Dual::new(x(3.0), [x(4.0)])])
    };
    let a = Array2::from_shape_fn((9, 8), |(i, j)| number(8 * i + j, 0.3));
    let b = Array2::from_shape_fn((8, 7), |(i, j)| number(7 * i + j, 0.7));
    let tape = Tape::<Second>::new();
    let product = tape.constant(&a).dot(tape.constant(&b));
    for ((i, j), got) in product.value().indexed_iter() {
        let want = (0..8).fold(Second::constant(Dual::constant(0.0)), |sum, p| sum + a[[i, p]] * b[[p, j]]);
        let parts = |x: Second| {
            let ([t], p) = (x.tangents(), x.primal());
            [p.primal(), p.tangents()[0], t.primal(), t.tangents()[0]]
        };
        for (got, want) in parts(*got).into_iter().zip(parts(want)) {
            assert!((got - want).abs() < 1e-13, "[{i}, {j}]: {got}, should be {want}");
        }
    }
}
