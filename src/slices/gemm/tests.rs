//! Comparison of every way to a product with the definition in `f64`.

use pulp::{Arch, Simd, WithSimd};

use super::large::{Gemm, large};
use super::loops::loops;
use super::mat::{Mat, MatLayout, MatMut, Store};
use super::narrow::{Column, Dots, flipped};
use super::product::{GemmScalar, dot, in_rows, matmul};
use super::tiles::Tiles;
use crate::slices::simd::SimdFloat;

/// Numbers in [-1, 1) from Knuth's MMIX generator.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 * 2f64.powi(-52) - 1.0
    }
}

pub(super) trait Float:
    GemmScalar + num_traits::Float + SimdFloat + Into<f64> + PartialEq + std::fmt::Debug
{
    const EPSILON: f64;
    const GEMM: fn() -> Gemm<Self>;
    fn of(x: f64) -> Self;
}

impl Float for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const GEMM: fn() -> Gemm<f32> = || gemm_f32::gemm::f32::get_gemm_fn();
    fn of(x: f64) -> f32 {
        x as f32
    }
}

impl Float for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const GEMM: fn() -> Gemm<f64> = || gemm_f64::gemm::f64::get_gemm_fn();
    fn of(x: f64) -> f64 {
        x
    }
}

/// A way to a product, forced or chosen by [`matmul`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Chosen,
    Loops,
    Large,
    Tiles(Isa),
    Flipped(Isa),
    Dots(Isa),
    Column(Isa),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Isa {
    Scalar,
    Best,
    #[cfg(target_arch = "x86_64")]
    V3,
}

const WAYS: &[Way] = &[
    Way::Chosen,
    Way::Loops,
    Way::Large,
    Way::Tiles(Isa::Scalar),
    Way::Tiles(Isa::Best),
    #[cfg(target_arch = "x86_64")]
    Way::Tiles(Isa::V3),
    Way::Flipped(Isa::Scalar),
    Way::Flipped(Isa::Best),
    Way::Dots(Isa::Scalar),
    Way::Dots(Isa::Best),
    #[cfg(target_arch = "x86_64")]
    Way::Dots(Isa::V3),
    Way::Column(Isa::Scalar),
    Way::Column(Isa::Best),
    #[cfg(target_arch = "x86_64")]
    Way::Column(Isa::V3),
];

impl Way {
    fn suits<F>(self, c: &MatLayout, a: &Mat<'_, F>, b: &Mat<'_, F>) -> bool {
        let ([m, n], k) = (c.shape, a.layout.shape[1]);
        let some = m * n * k > 0;
        match self {
            Way::Chosen | Way::Loops => true,
            Way::Large => some,
            Way::Tiles(_) => some && c.strides[1] == 1 && a.layout.strides.contains(&1),
            Way::Flipped(_) => some && c.strides[1] == 1 && a.layout.strides[0] == 1 && b.layout.strides.contains(&1),
            Way::Dots(_) => some && (n == 1 || c.strides[1] == 1) && a.layout.strides[1] == 1,
            Way::Column(_) => some && n == 1 && b.layout.strides[0] == 1 && in_rows(a),
        }
    }

    fn go<F: Float>(self, c: MatMut<'_, F>, a: Mat<'_, F>, b: Mat<'_, F>, update: Store) {
        let scratch = &mut vec![F::of(f64::NAN); 7]; // NaN, because its old content must not matter
        match self {
            Way::Chosen => matmul(c, a, b, update),
            Way::Loops => loops(c, a, b, update),
            Way::Large => large(c, a, b, update, F::GEMM()),
            Way::Tiles(isa) => isa.dispatch(Tiles { c, a, b, update, scratch }),
            Way::Flipped(isa) => {
                let scratch = &mut [std::mem::take(scratch), vec![F::of(f64::NAN); 5]];
                flipped(c, a, b, update, scratch, |tiles| isa.dispatch(tiles));
            }
            Way::Dots(isa) => isa.dispatch(Dots { c, a, b, update, scratch }),
            Way::Column(isa) => isa.dispatch(Column { c, a, b: b.from(0, 0), update }),
        }
    }
}

impl Isa {
    pub(super) fn dispatch(self, kernel: impl WithSimd<Output = ()>) {
        match self {
            Isa::Scalar => Simd::vectorize(pulp::Scalar, kernel),
            Isa::Best => Arch::new().dispatch(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, kernel),
                None => Arch::new().dispatch(kernel),
            },
        }
    }
}

/// Arrangements of an `m × n` matrix: length of the slice, offset, strides.
fn arrangements([m, n]: [usize; 2]) -> Vec<(usize, usize, [isize; 2])> {
    let (rows, cols) = (m as isize, n as isize);
    let (m, n) = (m.max(1), n.max(1));
    vec![
        (m * n, 0, [cols, 1]),               // rows
        (m * n, 0, [1, rows]),               // columns
        (m * (n + 3) + 5, 2, [cols + 3, 1]), // a slice of longer rows
        ((m + 2) * n + 1, 1, [1, rows + 2]), // of longer columns
        (m * n, (m - 1) * n, [-cols, 1]),    // rows reversed
        (m * n, m * n - 1, [-cols, -1]),     // both reversed
        (2 * m * n, 0, [2 * cols, 2]),       // every second column
    ]
}

/// Arrangements in which one row, one column or one element repeats: length of the slice, offset, strides.
fn broadcasts([m, n]: [usize; 2]) -> Vec<(usize, usize, [isize; 2])> {
    vec![(n, 0, [0, 1]), (m, 0, [1, 0]), (1, 0, [0, 0])]
}

/// Compares a product with the definition in `f64`.
///
/// Each of the `k` products and sums rounds by a relative ε/2, so twice `(k + 2)·ε/2·Σ|a·b|` is a safe bound in any
/// order of summation.
#[track_caller]
fn check<F: Float>(
    way: Way,
    shape: [usize; 3],
    (len, offset, strides): (usize, usize, [isize; 2]),
    a: Mat<'_, F>,
    b: Mat<'_, F>,
    update: Store,
) {
    let [m, k, n] = shape;
    let mut numbers = Numbers(3);
    let old: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
    let mut data = old.clone();
    let c = MatMut::new(&mut data, offset, [m, n], strides);
    let layout = c.layout;
    if !way.suits(&layout, &a, &b) {
        return;
    }
    way.go(c, a, b, update);
    let mut written = vec![false; len];
    for i in 0..m {
        for j in 0..n {
            let place = layout.at(i, j);
            written[place] = true;
            let old: f64 = if update == Store::Add { old[place].into() } else { 0.0 };
            let (mut sum, mut size) = (old, old.abs());
            for p in 0..k {
                let x: f64 = a.data[a.layout.at(i, p)].into();
                let y: f64 = b.data[b.layout.at(p, j)].into();
                sum += x * y;
                size += (x * y).abs();
            }
            let got: f64 = data[place].into();
            let bound = (k + 2) as f64 * F::EPSILON * size;
            assert!(
                (got - sum).abs() <= bound,
                "{way:?} {shape:?} c {strides:?} a {:?} b {:?} {update:?}: ({i}, {j}) is {got}, not {sum}",
                a.layout.strides,
                b.layout.strides,
            );
        }
    }
    for (place, written) in written.into_iter().enumerate() {
        assert!(written || data[place] == old[place], "{way:?} {shape:?} {strides:?}: wrote outside of c, at {place}");
    }
}

fn table<F: Float>(shapes: &[[usize; 3]], every: usize) {
    let mut numbers = Numbers(1);
    let mut turn = 0;
    for &[m, k, n] in shapes {
        let places = |shape| [arrangements(shape), broadcasts(shape)].concat();
        for (a_len, a_offset, a_strides) in places([m, k]) {
            let a: Vec<F> = (0..a_len.max(1)).map(|_| F::of(numbers.next())).collect();
            let a = Mat::new(&a, a_offset, [m, k], a_strides);
            for (b_len, b_offset, b_strides) in places([k, n]) {
                let b: Vec<F> = (0..b_len.max(1)).map(|_| F::of(numbers.next())).collect();
                let b = Mat::new(&b, b_offset, [k, n], b_strides);
                for c in arrangements([m, n]) {
                    for &way in WAYS {
                        for update in [Store::Set, Store::Add] {
                            turn += 1;
                            if turn % every == 0 {
                                check(way, [m, k, n], c, a, b, update);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn small_shapes_in_every_arrangement() {
    let shapes = [
        [1, 1, 1],
        [2, 3, 1],
        [1, 3, 2],
        [3, 1, 4],
        [1, 7, 5],
        [5, 7, 1],
        [7, 5, 3],
        [9, 4, 10],
        [4, 9, 17],
        [15, 6, 33],
        [3, 35, 8],
        [6, 19, 1],
    ];
    table::<f32>(&shapes, 1);
    table::<f64>(&shapes, 1);
}

#[test]
fn shapes_of_nets() {
    let shapes = [
        [32, 64, 32],
        [32, 10, 32],
        [64, 32, 10],
        [16, 64, 64],
        [4, 100, 66],
        [1, 130, 70],
        [130, 1, 70],
        [70, 130, 1],
        [61, 67, 71],
    ];
    // A prime step, so that each arrangement meets each way in some shape.
    table::<f32>(&shapes, 149);
    table::<f64>(&shapes, 149);
}

#[test]
fn beyond_the_tiles() {
    table::<f32>(&[[70, 90, 80]], 499);
    table::<f64>(&[[70, 90, 80]], 499);
}

#[test]
fn an_empty_sum_is_zero() {
    for shape in [[3, 0, 4], [1, 0, 5], [5, 0, 1]] {
        table::<f32>(&[shape], 1);
        table::<f64>(&[shape], 1);
    }
    let mut c = [f32::NAN; 6];
    let (a, b) = (Mat::new(&[], 0, [2, 0], [0, 1]), Mat::new(&[], 0, [0, 3], [3, 1]));
    matmul(MatMut::new(&mut c, 0, [2, 3], [3, 1]), a, b, Store::Set);
    assert_eq!(c, [0.0; 6]);
}

#[test]
fn an_empty_product_writes_nothing() {
    table::<f32>(&[[0, 3, 4], [4, 3, 0], [0, 0, 0], [0, 4, 1], [1, 4, 0]], 1);
}

#[test]
fn set_overwrites_nan() {
    let (a, b) = (vec![1f32; 40 * 50], vec![1f32; 50 * 60]);
    for [m, k, n] in [[2, 3, 4], [8, 20, 30], [40, 50, 60], [8, 20, 1]] {
        // A single column is for `Column` alone.
        for &way in WAYS.iter().filter(|way| matches!(way, Way::Column(_)) == (n == 1)) {
            let mut c = vec![f32::NAN; m * n];
            let (a, b) = (Mat::new(&a, 0, [m, k], [k as isize, 1]), Mat::new(&b, 0, [k, n], [n as isize, 1]));
            way.go(MatMut::new(&mut c, 0, [m, n], [n as isize, 1]), a, b, Store::Set);
            assert!(c.iter().all(|&x| x == k as f32), "{way:?} {m} {k} {n}");
        }
    }
}

/// 0·NaN and 0·∞ are NaN, in the one row or column concerned and nowhere else. NaN beside the operands in their slices
/// has no effect.
#[test]
fn nan_and_infinity_follow_arithmetic() {
    for [m, k, n] in [[1, 5, 9], [3, 4, 5], [9, 17, 21], [20, 30, 35], [70, 80, 90]] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for flipped in [false, true] {
                for &way in WAYS {
                    let row = |n: usize| {
                        if flipped { [1, n as isize] } else { [n as isize + 1, 1] }
                    };
                    let mut a = vec![f64::NAN; (m + 1) * (k + 1)];
                    let mut b = vec![f64::NAN; (k + 1) * (n + 1)];
                    let a_layout = MatLayout::new(a.len(), 0, [m, k], if flipped { row(m) } else { row(k) });
                    let b_layout = MatLayout::new(b.len(), 0, [k, n], if flipped { row(k) } else { row(n) });
                    for p in 0..k {
                        (0..m).for_each(|i| a[a_layout.at(i, p)] = 0.0);
                        (0..n).for_each(|j| b[b_layout.at(p, j)] = 1.0);
                    }
                    b[b_layout.at(k / 2, n / 3)] = bad;
                    a[a_layout.at(m / 2, k - 1)] = f64::NAN;
                    let mut c = vec![0.0; m * n];
                    let (a, b) = (Mat { data: &a, layout: a_layout }, Mat { data: &b, layout: b_layout });
                    let product = MatMut::new(&mut c, 0, [m, n], [n as isize, 1]);
                    if !way.suits(&product.layout, &a, &b) {
                        continue;
                    }
                    way.go(product, a, b, Store::Add);
                    for (place, x) in c.into_iter().enumerate() {
                        let hit = place / n == m / 2 || place % n == n / 3;
                        assert!(if hit { x.is_nan() } else { x == 0.0 }, "{way:?} {m} {k} {n}");
                    }
                }
            }
        }
    }
}

impl GemmScalar for i64 {}

/// A number type without vectors uses the provided methods.
#[test]
fn any_number_multiplies() {
    let (x, y) = ([1i64, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]);
    let (a, b) = (Mat::new(&x, 0, [2, 3], [3, 1]), Mat::new(&y, 0, [3, 2], [2, 1]));
    let mut c = [1; 4];
    matmul(MatMut::new(&mut c, 0, [2, 2], [2, 1]), a, b, Store::Add);
    assert_eq!(c, [59, 65, 140, 155]);
    matmul(MatMut::new(&mut c, 0, [2, 2], [1, 2]), b.t(), a.t(), Store::Set);
    assert_eq!(c, [58, 64, 139, 154]);
    assert_eq!(dot(&x, &y), 217);
}

#[test]
fn dot_products() {
    fn each<F: Float>() {
        let mut numbers = Numbers(5);
        for len in (0..70).chain([127, 128, 129, 1000]) {
            let a: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
            let b: Vec<F> = (0..len).map(|_| F::of(numbers.next())).collect();
            let terms = a.iter().zip(&b).map(|(&x, &y)| x.into() * y.into());
            let (sum, size) = terms.fold((0.0, 0.0), |(s, t), x: f64| (s + x, t + x.abs()));
            let got: f64 = dot(&a, &b).into();
            assert!((got - sum).abs() <= f64::from(len + 2) * F::EPSILON * size, "{len}");
        }
        let mut a = vec![F::of(0.0); 77];
        a[76] = F::of(f64::NAN);
        let nan: f64 = dot(&a, &[F::of(0.0); 77]).into();
        assert!(nan.is_nan());
    }
    each::<f32>();
    each::<f64>();
}

#[test]
#[should_panic(expected = "exceeds its 6 elements")]
fn a_matrix_beyond_its_slice() {
    Mat::new(&[0.0; 6], 1, [2, 3], [3, 1]);
}

#[test]
#[should_panic(expected = "exceeds its 6 elements")]
fn a_matrix_before_its_slice() {
    Mat::new(&[0.0; 6], 2, [2, 3], [-3, 1]);
}

#[test]
#[should_panic(expected = "exceeds its 6 elements")]
fn a_stride_that_overflows() {
    Mat::new(&[0.0; 6], 2, [3, 3], [isize::MAX, isize::MIN]);
}

#[test]
#[should_panic(expected = "may overlap")]
fn a_broadcast_destination() {
    MatMut::new(&mut [0.0; 6], 0, [2, 3], [0, 1]);
}

#[test]
#[should_panic(expected = "may overlap")]
fn interleaved_rows_of_a_destination() {
    MatMut::new(&mut [0.0; 6], 0, [2, 3], [2, 1]);
}

#[test]
#[should_panic(expected = "cannot multiply 2×3 by 2×3 into 2×3")]
fn shapes_that_do_not_fit() {
    let x = [1.0; 6];
    let a = Mat::new(&x, 0, [2, 3], [3, 1]);
    matmul(MatMut::new(&mut [0.0; 6], 0, [2, 3], [3, 1]), a, a, Store::Set);
}

#[test]
#[should_panic(expected = "different lengths")]
fn a_dot_product_of_different_lengths() {
    dot(&[1.0], &[1.0, 2.0]);
}

/// A product that is cut for several threads has the same bits as on one; the shapes are cut by rows, by columns, with rows that
/// are packed, or not at all because a part would be little.
#[cfg(feature = "parallel")]
#[test]
fn threads_do_not_change_bits() {
    let mut numbers = Numbers(3);
    let pools = [1, 2, 3, 4].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    let shapes = [
        [64, 784, 128],
        [784, 64, 128],
        [128, 512, 512],
        [513, 128, 97],
        [130, 700, 300],
        [70, 2000, 70],
        [33, 1100, 129],
        [260, 600, 130],
    ];
    for [m, k, n] in shapes {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| numbers.next() as f32).collect::<Vec<_>>());
        for turned in 0..4 {
            let a = match turned & 1 {
                0 => Mat::new(&a, 0, [m, k], [k as isize, 1]),
                _ => Mat::new(&a, 0, [m, k], [1, m as isize]),
            };
            let b = match turned & 2 {
                0 => Mat::new(&b, 0, [k, n], [n as isize, 1]),
                _ => Mat::new(&b, 0, [k, n], [1, k as isize]),
            };
            let product = || {
                let mut c = vec![0.5_f32; m * n];
                matmul(MatMut::new(&mut c, 0, [m, n], [n as isize, 1]), a, b, Store::Add);
                c
            };
            let mut results = pools.iter().map(|pool| pool.install(product));
            let alone = results.next().expect("four pools");
            for (i, c) in results.enumerate() {
                assert!(c == alone, "{m}×{k} by {k}×{n}, turned {turned}, {} threads", i + 2);
            }
            assert!(product() == alone, "{m}×{k} by {k}×{n}, turned {turned}, outside of a pool");
        }
    }
}
