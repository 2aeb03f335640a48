//! Loops over fibres: [`fold`] computes one number from each fibre, [`update`] changes each element by numbers of its
//! fibre.
//!
//! Both vectorise along a fibre if its elements are neighbours, and otherwise across fibres. A fold joins its terms
//! blockwise ([`Cascade`]); along a fibre it also keeps several accumulators.

use num_traits::{Float, Zero};

use crate::number::precompiled::precompiled;
use crate::number::{Kernel, Real, Scalar, Wrap, binade, gap};
use crate::slices::{BLOCK, Cascade};

/// A row-major array seen as `[outer, n, inner]`.
///
/// A fibre consists of the n elements that share an outer and an inner index. There are `outer * inner` fibres,
/// numbered in row-major order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fibers {
    pub(crate) outer: usize,
    pub(crate) n: usize,
    pub(crate) inner: usize,
}

impl Fibers {
    /// One fibre of all elements.
    pub(crate) fn whole(len: usize) -> Self {
        Self { outer: 1, n: len, inner: 1 }
    }

    /// The fibres along an axis.
    pub(crate) fn along(axis: usize, shape: &[usize]) -> Self {
        Self { outer: shape[..axis].iter().product(), n: shape[axis], inner: shape[axis + 1..].iter().product() }
    }

    /// The number of fibres.
    pub(crate) fn count(self) -> usize {
        self.outer * self.inner
    }

    /// The places of the elements of a fibre.
    pub(crate) fn range(self, fiber: usize) -> impl Iterator<Item = usize> + Clone {
        let first = fiber / self.inner * self.n * self.inner + fiber % self.inner;
        (0..self.n).map(move |k| first + k * self.inner)
    }

    /// The number of elements.
    pub(crate) fn len(self) -> usize {
        self.count() * self.n
    }
}

/// One number from a fibre: a term for each element, from M arrays of one shape, and the terms joined in any order.
pub(crate) trait Fold<F: Scalar, const M: usize>: Copy {
    /// True if the term is the element itself.
    const PLAIN: bool = false;
    /// The term of an element. `given` is a number of the fibre.
    fn term<L: Wrap<F>>(self, x: [L; M], given: L) -> L;
    /// The result for an empty fibre, which is neutral in `join`.
    #[inline(always)]
    fn start<L: Wrap<F>>(self) -> L {
        L::zero()
    }
    /// The result for the elements of `a` and `b` together; the sum by default.
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, b: L) -> L {
        a + b
    }
    /// The loop of [`fold`]; that of a common fold is precompiled.
    fn fold(self, fibers: Fibers, x: [&[F]; M], given: Option<&[F]>, out: &mut [F]) {
        dispatch_fold(self, fibers, x, given, out);
    }
}

/// The new value of an element of `out`, from the old value, the elements of M arrays of the same shape, and K numbers
/// of the fibre.
pub(crate) trait FiberUpdate<F: Scalar, const M: usize, const K: usize>: Copy {
    fn update<L: Wrap<F>>(self, out: L, x: [L; M], given: [L; K]) -> L;
    /// The loop of [`update`]; that of a common update is precompiled.
    fn update_all(self, fibers: Fibers, out: &mut [F], x: [&[F]; M], given: [&[F]; K]) {
        dispatch_update(self, fibers, out, x, given);
    }
}

/// Sets `out[fibre]` to the fold over the fibre. `given` has a number for each fibre; `None` means zeros.
pub(crate) fn fold<F: Scalar, const M: usize>(
    fold: impl Fold<F, M>,
    fibers: Fibers,
    x: [&[F]; M],
    given: Option<&[F]>,
    out: &mut [F],
) {
    fold.fold(fibers, x, given, out);
}

/// [`fold`], compiled where it is called.
pub(crate) fn dispatch_fold<F: Scalar, const M: usize>(
    fold: impl Fold<F, M>,
    fibers: Fibers,
    x: [&[F]; M],
    given: Option<&[F]>,
    out: &mut [F],
) {
    struct Run<'a, S, F, const M: usize> {
        fold: S,
        fibers: Fibers,
        x: [&'a [F]; M],
        given: Option<&'a [F]>,
        out: &'a mut [F],
    }
    impl<S: Fold<F, M>, F: Scalar, const M: usize> Kernel<F> for Run<'_, S, F, M> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            run_fold::<F, L, M, _>(self.fold, self.fibers, self.x, self.given, self.out);
        }
    }
    F::dispatch(Run { fold, fibers, x, given, out });
}

/// Updates every element of `out`.
pub(crate) fn update<F: Scalar, const M: usize, const K: usize>(
    update: impl FiberUpdate<F, M, K>,
    fibers: Fibers,
    out: &mut [F],
    x: [&[F]; M],
    given: [&[F]; K],
) {
    update.update_all(fibers, out, x, given);
}

/// [`update`], compiled where it is called.
pub(crate) fn dispatch_update<F: Scalar, const M: usize, const K: usize>(
    update: impl FiberUpdate<F, M, K>,
    fibers: Fibers,
    out: &mut [F],
    x: [&[F]; M],
    given: [&[F]; K],
) {
    struct Run<'a, U, F, const M: usize, const K: usize> {
        update: U,
        fibers: Fibers,
        out: &'a mut [F],
        x: [&'a [F]; M],
        given: [&'a [F]; K],
    }
    impl<U: FiberUpdate<F, M, K>, F: Scalar, const M: usize, const K: usize> Kernel<F> for Run<'_, U, F, M, K> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            run_update::<F, L, M, K>(self.update, self.fibers, self.out, self.x, self.given);
        }
    }
    F::dispatch(Run { update, fibers, out, x, given });
}

#[inline(always)]
fn run_fold<F: Scalar, L: Wrap<F>, const M: usize, S: Fold<F, M>>(
    fold: S,
    Fibers { n, inner, .. }: Fibers,
    x: [&[F]; M],
    given: Option<&[F]>,
    out: &mut [F],
) {
    if out.is_empty() {
        return;
    }
    if inner == 1 {
        for (i, out) in out.iter_mut().enumerate() {
            let x = x.map(|x| &x[i * n..][..n]);
            let given = given.map_or(L::zero(), |given| L::wrap(given[i]));
            *out = if n < SHORT {
                fold_short(fold, x, n, given)
            } else if !S::PLAIN {
                fold_terms(fold, x, n, given)
            } else if n < 512 {
                fold_row::<F, L, M, 8>(fold, x, n, given)
            } else {
                fold_row::<F, L, M, 32>(fold, x, n, given)
            }
            .unwrap();
        }
    } else {
        for (i, out) in out.chunks_exact_mut(inner).enumerate() {
            let x = x.map(|x| &x[i * n * inner..][..n * inner]);
            let given = given.map(|given| &given[i * inner..][..inner]);
            match inner {
                ..8 => fold_columns::<F, L, M, 1>(fold, x, n, given, out),
                8..32 => fold_columns::<F, L, M, 8>(fold, x, n, given, out),
                _ => fold_columns::<F, L, M, 32>(fold, x, n, given, out),
            }
        }
    }
}

/// The fold of one short contiguous fibre in a single chain of operations. The processor overlaps the chains of several
/// fibres.
#[inline(always)]
fn fold_short<F: Scalar, L: Wrap<F>, const M: usize>(fold: impl Fold<F, M>, x: [&[F]; M], n: usize, given: L) -> L {
    let mut total = fold.start();
    for i in 0..n {
        total = fold.join(total, fold.term(x.map(|x| L::wrap(x[i])), given));
    }
    total
}

/// The fold of one contiguous fibre, with W accumulators.
#[inline(always)]
fn fold_row<F: Scalar, L: Wrap<F>, const M: usize, const W: usize>(
    fold: impl Fold<F, M>,
    x: [&[F]; M],
    n: usize,
    given: L,
) -> L {
    let rows = n / W;
    let mut lanes = fold_lanes::<F, L, M, W>(fold, x, rows, W, [given; W]);
    let rest = x.map(|x| &x[rows * W..]);
    for (i, lane) in lanes.iter_mut().enumerate().take(n % W) {
        *lane = fold.join(*lane, fold.term(rest.map(|x| L::wrap(x[i])), given));
    }
    let mut width = W / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = fold.join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The fold of one contiguous fibre in two loops, the terms of a block and then their fold, each of which LLVM
/// vectorises. It does not vectorise a single loop of both.
#[inline(always)]
fn fold_terms<F: Scalar, L: Wrap<F>, const M: usize>(fold: impl Fold<F, M>, x: [&[F]; M], n: usize, given: L) -> L {
    const TERMS: usize = 512;
    let mut terms = [F::zero(); TERMS];
    let join = |a, b| fold.join(a, b);
    let mut blocks = None;
    let mut from = 0;
    loop {
        let terms = &mut terms[..TERMS.min(n - from)];
        let x = x.map(|x| &x[from..][..terms.len()]);
        update_run(terms, x, |_, x, _| fold.term(x, given));
        let joined = fold_row::<F, L, 1, 32>(Joined::<_, M>(fold), [&*terms], terms.len(), given);
        if n <= TERMS {
            return joined;
        }
        let blocks = blocks.get_or_insert(Cascade::new(fold.start()));
        blocks.add(joined, join);
        from += terms.len();
        if from == n {
            return blocks.total(join);
        }
    }
}

/// The fold `S` over numbers that already are its terms.
#[derive(Clone, Copy)]
struct Joined<S, const M: usize>(S);
impl<F: Scalar, S: Fold<F, M>, const M: usize> Fold<F, 1> for Joined<S, M> {
    const PLAIN: bool = true;
    #[inline(always)]
    fn term<L: Wrap<F>>(self, [x]: [L; 1], _: L) -> L {
        x
    }
    #[inline(always)]
    fn start<L: Wrap<F>>(self) -> L {
        self.0.start()
    }
    #[inline(always)]
    fn join<L: Wrap<F>>(self, a: L, b: L) -> L {
        self.0.join(a, b)
    }
}

/// The folds of the columns of an n by `out.len()` matrix, W columns at a time. The last W columns may overlap those
/// before, whose results are then computed twice and come out the same.
#[inline(always)]
fn fold_columns<F: Scalar, L: Wrap<F>, const M: usize, const W: usize>(
    fold: impl Fold<F, M>,
    x: [&[F]; M],
    n: usize,
    given: Option<&[F]>,
    out: &mut [F],
) {
    let inner = out.len();
    let mut first = 0;
    loop {
        let mut numbers = [L::zero(); W];
        if let Some(given) = given {
            for (number, &given) in numbers.iter_mut().zip(&given[first..first + W]) {
                *number = L::wrap(given);
            }
        }
        // If n is 0, the arrays have no place `first`.
        let x = x.map(|x| &x[first.min(x.len())..]);
        let lanes = fold_lanes::<F, L, M, W>(fold, x, n, inner, numbers);
        for (out, lane) in out[first..first + W].iter_mut().zip(lanes) {
            *out = lane.unwrap();
        }
        if first + W == inner {
            return;
        }
        first = (first + W).min(inner - W);
    }
}

/// W folds side by side over `rows` rows of W elements, the rows `stride` apart.
#[inline(always)]
fn fold_lanes<F: Scalar, L: Wrap<F>, const M: usize, const W: usize>(
    fold: impl Fold<F, M>,
    x: [&[F]; M],
    rows: usize,
    stride: usize,
    given: [L; W],
) -> [L; W] {
    let join = |mut a: [L; W], b: [L; W]| {
        for (a, b) in a.iter_mut().zip(b) {
            *a = fold.join(*a, b);
        }
        a
    };
    let mut blocks = None;
    let mut from = 0;
    loop {
        let mut block = [fold.start::<L>(); W];
        let to = rows.min(from + BLOCK);
        for k in from..to {
            let row = x.map(|x| &x[k * stride..][..W]);
            if let [x] = row[..] {
                for ((block, &x), &given) in block.iter_mut().zip(x).zip(&given) {
                    *block = fold.join(*block, fold.term([L::wrap(x); M], given));
                }
            } else {
                for j in 0..W {
                    let term = fold.term(row.map(|x| L::wrap(x[j])), given[j]);
                    block[j] = fold.join(block[j], term);
                }
            }
        }
        if rows <= BLOCK {
            return block;
        }
        let blocks = blocks.get_or_insert(Cascade::new([fold.start(); W]));
        blocks.add(block, join);
        if to == rows {
            return blocks.total(join);
        }
        from = to;
    }
}

#[inline(always)]
fn run_update<F: Scalar, L: Wrap<F>, const M: usize, const K: usize>(
    update: impl FiberUpdate<F, M, K>,
    Fibers { n, inner, .. }: Fibers,
    out: &mut [F],
    x: [&[F]; M],
    given: [&[F]; K],
) {
    if out.is_empty() {
        return;
    }
    if inner == 1 && n < SHORT && K > 0 && out.len() > n {
        update_short::<F, L, M, K>(update, n, out, x, given);
    } else if inner == 1 {
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let x = x.map(|x| &x[i * n..][..n]);
            let given = given.map(|given| L::wrap(given[i]));
            update_run(out, x, |out, x, _| update.update(out, x, given));
        }
    } else {
        for (i, out) in out.chunks_exact_mut(inner).enumerate() {
            let x = x.map(|x| &x[i * inner..][..inner]);
            let given = given.map(|given| &given[i / n * inner..][..inner]);
            update_run(out, x, |out, x, j| update.update(out, x, given.map(|given| L::wrap(given[j]))));
        }
    }
}

/// Contiguous fibres shorter than this are folded in a single chain, and updated several at a time.
const SHORT: usize = 32;

/// Updates short contiguous fibres. The numbers of each fibre are copied beside its elements, so that one loop passes
/// over many fibres (see M15 in docs/MEASUREMENTS.md).
#[inline(always)]
fn update_short<F: Scalar, L: Wrap<F>, const M: usize, const K: usize>(
    update: impl FiberUpdate<F, M, K>,
    n: usize,
    out: &mut [F],
    x: [&[F]; M],
    given: [&[F]; K],
) {
    const BLOCK: usize = 256;
    // `SHORT` more elements, because the copies for the last fibre go on beyond it.
    let mut beside = [[F::zero(); BLOCK + SHORT]; K];
    let fibers = BLOCK / n;
    for (i, out) in out.chunks_mut(fibers * n).enumerate() {
        let len = out.len();
        for (beside, given) in beside.iter_mut().zip(&given) {
            for (k, &given) in given[i * fibers..][..len / n].iter().enumerate() {
                // The compiler knows the length `SHORT`; the next fibre overwrites the excess copies.
                beside[k * n..][..SHORT].fill(given);
            }
        }
        let x = x.map(|x| &x[i * fibers * n..][..len]);
        let beside = beside.each_ref().map(|beside| &beside[..len]);
        update_run(out, x, |out, x, j| update.update(out, x, beside.map(|beside| L::wrap(beside[j]))));
    }
}

/// `out[j] = f(out[j], x[j], j)` for every j.
#[inline(always)]
fn update_run<F: Scalar, L: Wrap<F>, const M: usize>(out: &mut [F], x: [&[F]; M], f: impl Fn(L, [L; M], usize) -> L) {
    // Zipped iterators need no bounds checks; these would keep the loop from vectorising.
    match x[..] {
        [] => {
            for (j, out) in out.iter_mut().enumerate() {
                *out = f(L::wrap(*out), [L::zero(); M], j).unwrap();
            }
        }
        [a] => {
            for (j, (out, &a)) in out.iter_mut().zip(a).enumerate() {
                *out = f(L::wrap(*out), [L::wrap(a); M], j).unwrap();
            }
        }
        [a, b] => {
            for (j, ((out, &a), &b)) in out.iter_mut().zip(a).zip(b).enumerate() {
                let x = [a, b];
                *out = f(L::wrap(*out), std::array::from_fn(|m| L::wrap(x[m])), j).unwrap();
            }
        }
        _ => unreachable!("at most two arrays"),
    }
}

/// The loop of a fold of M arrays, or of an update by M arrays and K numbers of each fibre, compiled here if the first
/// word says so.
macro_rules! precompiled_loop {
    (() $($_loop:tt)*) => {};
    ((precompiled) fold $F:ident, $M:literal, $Fold:ty) => {
        fn fold(self, fibers: $crate::kernels::Fibers, x: [&[$F]; $M], given: Option<&[$F]>, out: &mut [$F]) {
            $crate::number::precompiled::precompiled! {
                fn run<$F>(
                    fold: $Fold,
                    fibers: $crate::kernels::Fibers,
                    x: [&[$F]; $M],
                    given: Option<&[$F]>,
                    out: &mut [$F],
                ) {
                    $crate::kernels::dispatch_fold(fold, fibers, x, given, out);
                }
            }
            run(self, fibers, x, given, out);
        }
    };
    ((precompiled) update $F:ident, $M:literal, $K:literal, $Update:ty) => {
        fn update_all(self, fibers: $crate::kernels::Fibers, out: &mut [$F], x: [&[$F]; $M], given: [&[$F]; $K]) {
            $crate::number::precompiled::precompiled! {
                fn run<$F>(
                    update: $Update,
                    fibers: $crate::kernels::Fibers,
                    out: &mut [$F],
                    x: [&[$F]; $M],
                    given: [&[$F]; $K],
                ) {
                    $crate::kernels::dispatch_update(update, fibers, out, x, given);
                }
            }
            run(self, fibers, out, x, given);
        }
    };
}
pub(crate) use precompiled_loop;

/// Defines folds.
///
/// Each has the form `struct Name<M>: plain` (the term is the element) or `struct Name<M>: term |[x], given| term`.
/// Terms are added, unless `, from start, |a, b| join` follows. The loop of `struct Name<M> precompiled: ..` is compiled in
/// this crate.
macro_rules! folds {
    ($( $(#[doc = $doc:literal])+ $vis:vis struct $name:ident<$M:literal> $($precompiled:ident)?: $term:tt $(|$x:pat_param, $given:pat_param| $body:expr)? $(, from $start:expr, |$a:ident, $b:ident| $join:expr)?; )+) => { $(
        $( #[doc = $doc] )+
        #[derive(Clone, Copy)]
        $vis struct $name;
        impl<F: $crate::number::Scalar> $crate::kernels::Fold<F, $M> for $name {
            $crate::kernels::folds! { @term $M $term $(|$x, $given| $body)? }
            $(
                #[inline(always)]
                fn start<L: $crate::number::Wrap<F>>(self) -> L { $start }
                #[inline(always)]
                fn join<L: $crate::number::Wrap<F>>(self, $a: L, $b: L) -> L { $join }
            )?
            $crate::kernels::precompiled_loop! { ($($precompiled)?) fold F, $M, $name }
        }
    )+ };
    (@term $M:literal plain) => {
        const PLAIN: bool = true;
        #[inline(always)]
        fn term<L: $crate::number::Wrap<F>>(self, [x]: [L; $M], _: L) -> L { x }
    };
    (@term $M:literal term |$x:pat_param, $given:pat_param| $body:expr) => {
        #[inline(always)]
        fn term<L: $crate::number::Wrap<F>>(self, $x: [L; $M], $given: L) -> L { $body }
    };
}
pub(crate) use folds;

/// Defines updates.
///
/// Each has the form `struct Name<M, K>, |out, [x], [given]| new`, or `struct Name(scale)<M, K>, ...` with a constant. `precompiled`
/// stands behind M and K as in [`folds`].
macro_rules! updates {
    ($( $(#[doc = $doc:literal])+ $vis:vis struct $name:ident $(($scale:ident))? <$M:literal, $K:literal> $($precompiled:ident)?, |$out:pat_param, $x:pat_param, $given:pat_param| $new:expr; )+) => { $(
        $crate::kernels::updates! { @struct [$($doc)+] $vis $name $($scale)? }
        impl<F: $crate::number::Scalar> $crate::kernels::FiberUpdate<F, $M, $K> for $crate::kernels::updates!(@type $name $($scale)?) {
            #[inline(always)]
            fn update<L: $crate::number::Wrap<F>>(self, $out: L, $x: [L; $M], $given: [L; $K]) -> L {
                $( let $scale = <L as $crate::number::Wrap<F>>::wrap(self.0); )?
                $new
            }
            $crate::kernels::precompiled_loop! { ($($precompiled)?) update F, $M, $K, $crate::kernels::updates!(@type $name $($scale)?) }
        }
    )+ };
    (@struct [$($doc:literal)+] $vis:vis $name:ident) => { $( #[doc = $doc] )+ #[derive(Clone, Copy)] $vis struct $name; };
    (@struct [$($doc:literal)+] $vis:vis $name:ident $scale:ident) => { $( #[doc = $doc] )+ #[derive(Clone, Copy)] $vis struct $name<F>(F); };
    (@type $name:ident) => { $name };
    (@type $name:ident $scale:ident) => { $name<F> };
}
pub(crate) use updates;

folds! {
    /// The sum Σx.
    pub(crate) struct Sum<1> precompiled: plain;
    /// Σ(x - centre)
    struct Deviation<1>: term |[x], center| x - center;
    /// Σx²
    struct Squares<1>: term |[x], _| x * x;
    /// The largest number; -∞ for an empty fibre.
    struct Largest<1>: plain, from L::neg_infinity(), |a, b| if b > a { b } else { a };
}

updates! {
    /// Each element divided by the number of its fibre.
    pub(crate) struct Divide<0, 1> precompiled, |x, [], [divisor]| x / divisor;
    /// x - m, where m is the number of the fibre.
    struct Shift<1, 1>, |_, [x], [m]| gap(x, m);
    /// The exponential e^x.
    struct Exp<0, 0>, |x, [], []| x.exp();
}

/// The mean of some numbers and Σ(x - mean)², in a unit, a power of two near the largest number: see [`moments`].
pub(crate) struct Moments<F> {
    pub(crate) unit: F,
    pub(crate) mean: F,
    pub(crate) square: F,
}

/// The moments of the numbers `x` for which [`are_precise`] says no, and in `x` their distances from the mean, in the
/// same unit. The mean counts as 0 if the numbers are not `centered`.
///
/// The unit keeps squares from over- and underflowing. The mean is computed in two steps, m = Σx/n and m + Σ(x - m)/n
/// (Chan, Golub and Leveque, The American Statistician 37, 1983), so it is that of the exact sum but for a last place,
/// and equal numbers are their own mean.
#[cold]
pub(crate) fn moments<F: Scalar>(x: &mut [F], centered: bool) -> Moments<F> {
    let (whole, n) = (Fibers::whole(x.len()), F::lit(x.len() as f64));
    let size = x.iter().fold(F::Base::zero(), |size, x| Float::max(size, Float::abs(x.to_base())));
    let unit = F::from_base(binade(size));
    update(Divide, whole, x, [], [&[unit]]);
    let mut mean = F::zero();
    if centered {
        for _ in 0..2 {
            let mut rest = [F::zero()];
            fold(Deviation, whole, [x], Some(&[mean]), &mut rest);
            mean += rest[0] / n;
        }
    }
    for x in x.iter_mut() {
        *x -= mean;
    }
    let mut square = [F::zero()];
    fold(Squares, whole, [x], None, &mut square);
    Moments { unit, mean, square: square[0] }
}

/// True if a mean and a variance from plain sums keep their digits: the squares have neither over- nor underflowed, and
/// the numbers differ by much more than the rounding error of their mean. `epsilon` is added to the variance later on.
#[inline]
pub(crate) fn are_precise<F: Scalar>(mean: F, variance: F, epsilon: F::Base) -> bool {
    let (mean, variance) = (mean.to_base(), variance.to_base());
    let least = F::Base::min_positive_value() / F::Base::epsilon();
    let spread = Float::sqrt(F::Base::epsilon()) / F::Base::lit(16.0);
    let used = variance + epsilon;
    used >= least && used.is_finite() && variance >= mean * mean * spread
}

precompiled! {
    /// The parts of a softmax or log-sum-exp: the largest element m of each fibre (-inf for an empty fibre), a constant
    /// shift without tangents; e^(x - m) for each element; and the sum of these for each fibre.
    pub(crate) fn exponentials<F>(fibers: Fibers, x: &[F], largest: &mut [F], e: &mut [F], total: &mut [F]) {
        struct Run<'a, F> {
            fibers: Fibers,
            x: &'a [F],
            largest: &'a mut [F],
            e: &'a mut [F],
            total: &'a mut [F],
        }
        impl<F: Scalar> Kernel<F> for Run<'_, F> {
            #[inline(always)]
            fn run<L: Wrap<F>>(self) {
                // This many elements stay in the first-level cache from pass to pass (see M18 in docs/MEASUREMENTS.md).
                const BLOCK: usize = 2048;
                let Fibers { outer, n, inner } = self.fibers;
                let step = (BLOCK / (n * inner).max(1)).max(1);
                for from in (0..outer).step_by(step) {
                    let fibers = Fibers { outer: step.min(outer - from), n, inner };
                    let x = &self.x[from * n * inner..][..fibers.len()];
                    let e = &mut self.e[from * n * inner..][..fibers.len()];
                    let largest = &mut self.largest[from * inner..][..fibers.count()];
                    let total = &mut self.total[from * inner..][..fibers.count()];
                    run_fold::<F, L, 1, _>(Largest, fibers, [x], None, largest);
                    for m in &mut *largest {
                        *m = F::from_base(m.to_base());
                    }
                    run_update::<F, L, 1, 1>(Shift, fibers, e, [x], [largest]);
                    // All elements as one fibre, because fibres are often shorter than a vector register.
                    run_update::<F, L, 0, 0>(Exp, Fibers::whole(e.len()), e, [], []);
                    run_fold::<F, L, 1, _>(Sum, fibers, [e], None, total);
                }
            }
        }
        F::dispatch(Run { fibers, x, largest, e, total });
    }
}
