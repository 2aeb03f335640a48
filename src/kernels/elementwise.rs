//! Elementwise kernels over the rules of the table: values and pullbacks.

use super::pieces::tanh_and_slope;
use crate::arena::Arena;
use crate::number::precompiled::precompiled;
use crate::number::rules::{self, BinaryRule, UnaryRule};
use crate::number::table::for_each_row;
use crate::number::{Kernel, Real, Scalar, Wrap};
use crate::slices::{BLOCK, Cascade, Layout, LongSum, Walk, place};

/// outᵢ = f(outᵢ, xᵢ) for slices of one length. Pass an `#[inline(always)]` closure.
///
/// Zipped iterators need no bounds checks; a single check would keep the loop from vectorising.
#[inline(always)]
pub(super) fn for_each<F: Copy, const M: usize>(out: &mut [F], x: [&[F]; M], f: impl Fn(F, [F; M]) -> F) {
    macro_rules! each {
        ($zipped:expr, $pattern:pat, $values:expr) => {
            for (out, $pattern) in out.iter_mut().zip($zipped) {
                let values = $values;
                *out = f(*out, std::array::from_fn(|m| values[m]));
            }
        };
    }
    match x[..] {
        [a] => each!(a, &a, [a]),
        [a, b] => each!(a.iter().zip(b), (&a, &b), [a, b]),
        [a, b, c] => each!(a.iter().zip(b).zip(c), ((&a, &b), &c), [a, b, c]),
        [a, b, c, d] => each!(a.iter().zip(b).zip(c).zip(d), (((&a, &b), &c), &d), [a, b, c, d]),
        _ => unreachable!("one to four arrays"),
    }
}

/// The loops over tensors of a rule of one operand.
///
/// Those of common rows of the table are [`precompiled`].
pub(crate) trait UnaryLoops<F: Scalar>: UnaryRule<F::Base> {
    /// yᵢ = rule(xᵢ).
    fn map(self, x: &[F], y: &mut [F]) {
        map(self, x, y);
    }
    /// True if [`map_and_slope`](Self::map_and_slope) takes little more than [`map`](Self::map).
    const SLOPE: bool = false;
    /// yᵢ = rule(xᵢ) and slopeᵢ = rule'(xᵢ, yᵢ), if `SLOPE` is true.
    fn map_and_slope(self, x: &[F], y: &mut [F], _slope: &mut [F]) {
        self.map(x, y);
    }
    /// dxᵢ += dyᵢ · rule'(xᵢ, yᵢ).
    fn map_pullback(self, x: &[F], y: &[F], dy: &[F], dx: &mut [F]) {
        map_pullback(self, x, y, dy, dx);
    }
}

/// The loops over tensors of a rule of two operands. Those of operators are [`precompiled`].
pub(crate) trait BinaryLoops<F: Scalar>: BinaryRule<F::Base> {
    /// True for a + b.
    const SUM: bool = false;
    /// zᵢ = rule(aᵢ, bᵢ) over `shape`. `z` is contiguous; a and b may be broadcast.
    fn zip(self, shape: &[usize], a: Strided<'_, F>, b: Strided<'_, F>, z: &mut [F]) {
        zip(self, shape, a, b, z);
    }
    /// daᵢ += dzᵢ · ∂rule/∂a over the shape, and the same for b.
    ///
    /// `shifts` has a shift for each operand, or `None` if the operand gets no cotangent. `adjoints[shift + p]` is the
    /// adjoint of the operand's element at place p; that of a broadcast element receives the sum. The operands may share
    /// adjoints. `arena` has memory for the sums of blocks.
    fn zip_pullback(self, zipped: Zipped<'_, F>, adjoints: &mut [F], shifts: [Option<usize>; 2], arena: &Arena) {
        zip_pullback(self, zipped, adjoints, shifts, arena);
    }
}

/// The loops of each row. Those of common rows are precompiled: all of them would be most of what the crate compiles.
macro_rules! loops {
    (
        unary std { $( $(#[doc = $sdoc:literal])+ fn $sname:ident $sarguments:tt -> $sy:ident $srow:tt )+ }
        unary own { $( $(#[doc = $doc:literal])+ fn $name:ident $arguments:tt -> $y:ident $row:tt )+ }
        binary std { $( $(#[doc = $bsdoc:literal])+ fn $bsname:ident $bsarguments:tt -> $bsz:ident $bsrow:tt )+ }
        binary own { $( $(#[doc = $bdoc:literal])+ fn $bname:ident $barguments:tt -> $bz:ident $brow:tt )+ }
        unary operator { fn $nname:ident $narguments:tt -> $ny:ident $nrow:tt }
        binary operators { $( fn $oname:ident $oarguments:tt -> $oz:ident $orow:tt )+ }
    ) => {
        $( impl<F: Scalar> UnaryLoops<F> for rules::$sname<F::Base> { loops! { @unary $sname } } )+
        $( impl<F: Scalar> UnaryLoops<F> for rules::$name<F::Base> { loops! { @unary $name } } )+
        impl<F: Scalar> UnaryLoops<F> for rules::$nname<F::Base> { loops! { @unary $nname } }
        $( impl<F: Scalar> BinaryLoops<F> for rules::$bsname { loops! { @binary $bsname } } )+
        $( impl<F: Scalar> BinaryLoops<F> for rules::$bname { loops! { @binary $bname } } )+
        $( impl<F: Scalar> BinaryLoops<F> for rules::$oname { loops! { @binary $oname } } )+
    };
    (@unary abs) => { loops! { @map abs } };
    (@unary exp) => { loops! { @map exp } };
    (@unary ln) => { loops! { @map ln } };
    (@unary neg) => { loops! { @map neg } };
    (@unary relu) => { loops! { @map relu } };
    (@unary sigmoid) => { loops! { @map sigmoid } };
    (@unary sqrt) => { loops! { @map sqrt } };
    (@unary square) => { loops! { @map square } };
    (@unary tanh) => {
        loops! { @map tanh }
        const SLOPE: bool = true;
        fn map_and_slope(self, x: &[F], y: &mut [F], slope: &mut [F]) {
            tanh_and_slope(x, y, slope);
        }
    };
    (@unary $other:ident) => {};
    (@binary add) => {
        loops! { @zip add }
        const SUM: bool = true;
    };
    (@binary sub) => { loops! { @zip sub } };
    (@binary mul) => { loops! { @zip mul } };
    (@binary div) => { loops! { @zip div } };
    (@binary $other:ident) => {};
    (@map $name:ident) => {
        fn map(self, x: &[F], y: &mut [F]) {
            precompiled! {
                fn run<F>(rule: rules::$name<<F as Real>::Base>, x: &[F], y: &mut [F]) { map(rule, x, y); }
            }
            run(self, x, y);
        }
        fn map_pullback(self, x: &[F], y: &[F], dy: &[F], dx: &mut [F]) {
            precompiled! {
                fn run<F>(rule: rules::$name<<F as Real>::Base>, x: &[F], y: &[F], dy: &[F], dx: &mut [F]) {
                    map_pullback(rule, x, y, dy, dx);
                }
            }
            run(self, x, y, dy, dx);
        }
    };
    (@zip $name:ident) => {
        fn zip(self, shape: &[usize], a: Strided<'_, F>, b: Strided<'_, F>, z: &mut [F]) {
            precompiled! {
                fn run<F>(shape: &[usize], a: Strided<'_, F>, b: Strided<'_, F>, z: &mut [F]) {
                    zip(rules::$name, shape, a, b, z);
                }
            }
            run(shape, a, b, z);
        }
        fn zip_pullback(self, zipped: Zipped<'_, F>, adjoints: &mut [F], shifts: [Option<usize>; 2], arena: &Arena) {
            precompiled! {
                fn run<F>(zipped: Zipped<'_, F>, adjoints: &mut [F], shifts: [Option<usize>; 2], arena: &Arena) {
                    zip_pullback(rules::$name, zipped, adjoints, shifts, arena);
                }
            }
            run(zipped, adjoints, shifts, arena);
        }
    };
}
for_each_row!(loops);

fn map<F: Scalar>(rule: impl UnaryRule<F::Base>, x: &[F], y: &mut [F]) {
    struct Map<'a, F, R> {
        rule: R,
        x: &'a [F],
        y: &'a mut [F],
    }
    impl<F: Scalar, R: UnaryRule<F::Base>> Kernel<F> for Map<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let rule = self.rule;
            for_each(
                self.y,
                [self.x],
                #[inline(always)]
                |_, [x]| rule.eval(L::wrap(x)).unwrap(),
            );
        }
    }
    F::dispatch(Map { rule, x, y });
}

/// xᵢ = rule(xᵢ).
pub(crate) fn map_in_place<F: Scalar>(rule: impl UnaryRule<F::Base>, x: &mut [F]) {
    struct Map<'a, F, R> {
        rule: R,
        x: &'a mut [F],
    }
    impl<F: Scalar, R: UnaryRule<F::Base>> Kernel<F> for Map<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            for x in self.x {
                *x = self.rule.eval(L::wrap(*x)).unwrap();
            }
        }
    }
    F::dispatch(Map { rule, x });
}

fn map_pullback<F: Scalar>(rule: impl UnaryRule<F::Base>, x: &[F], y: &[F], dy: &[F], dx: &mut [F]) {
    struct Pull<'a, F, R> {
        rule: R,
        x: &'a [F],
        y: &'a [F],
        dy: &'a [F],
        dx: &'a mut [F],
    }
    impl<F: Scalar, R: UnaryRule<F::Base>> Kernel<F> for Pull<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let rule = self.rule;
            for_each(
                self.dx,
                [self.x, self.y, self.dy],
                #[inline(always)]
                |dx, [x, y, dy]| dx + L::wrap(dy).gated_mul(rule.partial(L::wrap(x), L::wrap(y))).unwrap(),
            );
        }
    }
    F::dispatch(Pull { rule, x, y, dy, dx });
}

/// One operand of [`BinaryLoops::zip`].
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a, F> {
    pub(crate) data: &'a [F],
    pub(crate) layout: Layout<'a>,
}

/// A walk of two operands, and the way to pass over its runs.
struct Pairs {
    walk: Walk<2>,
    way: Way,
}

/// The shape of a run, for one of three loops.
#[derive(Clone, Copy)]
enum Way {
    /// Both operands are contiguous.
    Plain,
    /// One operand is contiguous; the first `period` elements of the other, `short`, repeat. This is a single number,
    /// or the bias of a narrow matrix, all rows of which then form one run.
    Repeating { short: Side, period: usize },
    /// Any steps; the loop goes element by element.
    Strided,
}

/// An operand of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

impl Pairs {
    fn new<F>(shape: &[usize], a: Strided<'_, F>, b: Strided<'_, F>) -> Self {
        let mut walk = Walk::new(shape, [a.layout, b.layout]);
        let repeated_rows = match walk.row_step {
            [step, 0] if step == walk.n as isize => Some(Side::B),
            [0, step] if step == walk.n as isize => Some(Side::A),
            _ => None,
        };
        let way = match (walk.step, repeated_rows) {
            ([1, 1], Some(short)) if walk.rows > 1 && walk.n <= TILE / 2 => {
                let period = walk.n;
                (walk.n, walk.rows) = (period * walk.rows, 1);
                Way::Repeating { short, period }
            }
            ([1, 1], _) => Way::Plain,
            ([1, 0], _) if walk.n > FEW => Way::Repeating { short: Side::B, period: 1 },
            ([0, 1], _) if walk.n > FEW => Way::Repeating { short: Side::A, period: 1 },
            _ => Way::Strided,
        };
        Self { walk, way }
    }
}

/// The number of elements in which the period of a repeating operand is copied side by side.
const TILE: usize = 128;

/// The longest run for which copies of a single number do not pay (see M16 in docs/MEASUREMENTS.md).
const FEW: usize = 8;

/// Fills `tile` with copies of a repeating operand's period, whole ones that fit, up to n elements. Returns the number
/// of elements written.
#[inline(always)]
fn tile<F: Copy>(period: &[F], n: usize, tile: &mut [F; TILE]) -> usize {
    let len = n.min(TILE / period.len() * period.len());
    if let [x] = *period {
        tile[..len].fill(x);
    } else {
        tile[..period.len()].copy_from_slice(period);
        let mut done = period.len();
        while done < len {
            let more = done.min(len - done);
            tile.copy_within(..more, done);
            done += more;
        }
    }
    len
}

/// Calls `f(k, a, b)` for chunks of a run that are contiguous for both operands; `k` is the chunk's first index.
///
/// The run has n elements and starts at the places `[i, j]` of the operands.
#[inline(always)]
fn for_each_chunk<F: Scalar>(
    way: Way,
    n: usize,
    [i, j]: [usize; 2],
    [a, b]: [&[F]; 2],
    mut f: impl FnMut(usize, &[F], &[F]),
) {
    let mut copies = [F::zero(); TILE];
    let (chunk, short) = match way {
        Way::Repeating { short: Side::A, period } => (tile(&a[i..i + period], n, &mut copies), Some(Side::A)),
        Way::Repeating { short: Side::B, period } => (tile(&b[j..j + period], n, &mut copies), Some(Side::B)),
        Way::Plain | Way::Strided => (n, None),
    };
    let mut k = 0;
    while k < n {
        let len = chunk.min(n - k);
        let a = if short == Some(Side::A) { &copies[..len] } else { &a[i + k..i + k + len] };
        let b = if short == Some(Side::B) { &copies[..len] } else { &b[j + k..j + k + len] };
        f(k, a, b);
        k += len;
    }
}

fn zip<F: Scalar>(rule: impl BinaryRule<F::Base>, shape: &[usize], a: Strided<'_, F>, b: Strided<'_, F>, z: &mut [F]) {
    struct Zip<'a, F, R> {
        rule: R,
        pairs: &'a Pairs,
        a: &'a [F],
        b: &'a [F],
        z: &'a mut [F],
    }
    impl<F: Scalar, R: BinaryRule<F::Base>> Kernel<F> for Zip<'_, F, R> {
        #[inline(always)]
        fn run<L: Wrap<F>>(self) {
            let Self { rule, pairs: Pairs { walk, way }, a, b, z } = self;
            let n = walk.n;
            let mut done = 0;
            walk.for_each_run(
                #[inline(always)]
                |[i, j]| {
                    let z = &mut z[done..done + n];
                    done += n;
                    if let Way::Strided = way {
                        let [s, t] = walk.step;
                        for (k, z) in z.iter_mut().enumerate() {
                            *z = eval::<L, F>(rule, a[place(i, k, s)], b[place(j, k, t)]);
                        }
                        return;
                    }
                    for_each_chunk(
                        *way,
                        n,
                        [i, j],
                        [a, b],
                        #[inline(always)]
                        |k, a, b| {
                            for_each(
                                &mut z[k..k + a.len()],
                                [a, b],
                                #[inline(always)]
                                |_, [a, b]| eval::<L, F>(rule, a, b),
                            );
                        },
                    );
                },
            );
        }
    }
    F::dispatch(Zip { rule, pairs: &Pairs::new(shape, a, b), a: a.data, b: b.data, z });
}

/// The inputs of [`BinaryLoops::zip_pullback`]: the operands and the result of [`BinaryLoops::zip`], and the result's cotangent.
#[derive(Clone, Copy)]
pub(crate) struct Zipped<'a, F> {
    pub(crate) shape: &'a [usize],
    pub(crate) a: Strided<'a, F>,
    pub(crate) b: Strided<'a, F>,
    pub(crate) z: &'a [F],
    pub(crate) dz: &'a [F],
}

/// The pullback of one pair of walks: see [`BinaryLoops::zip_pullback`].
struct PairPull<'a, F, R> {
    rule: R,
    pairs: &'a Pairs,
    a: &'a [F],
    b: &'a [F],
    z: &'a [F],
    dz: &'a [F],
    adjoints: &'a mut [F],
    shifts: [Option<usize>; 2],
}

impl<F: Scalar, R: BinaryRule<F::Base>> Kernel<F> for PairPull<'_, F, R> {
    #[inline(always)]
    fn run<L: Wrap<F>>(mut self) {
        if let Some(shift) = self.shifts[0] {
            self.side::<L>(Side::A, shift, R::partial_a::<L>);
        }
        if let Some(shift) = self.shifts[1] {
            self.side::<L>(Side::B, shift, R::partial_b::<L>);
        }
    }
}

impl<F: Scalar, R: BinaryRule<F::Base>> PairPull<'_, F, R> {
    #[inline(always)]
    fn side<L: Wrap<F>>(&mut self, side: Side, shift: usize, partial: impl Fn(R, L, L, L) -> L) {
        let Self { rule, pairs: Pairs { walk, way }, a, b, z, dz, .. } = *self;
        let adjoints = &mut *self.adjoints;
        let n = walk.n;
        let mut done = 0;
        walk.for_each_run(
            #[inline(always)]
            |[i, j]| {
                let (z, dz) = (&z[done..done + n], &dz[done..done + n]);
                done += n;
                let own = shift.wrapping_add(if side == Side::A { i } else { j });
                if let Way::Strided = way {
                    let [s, t] = walk.step;
                    let step = if side == Side::A { s } else { t };
                    let terms = z.iter().zip(dz).enumerate().map(
                        #[inline(always)]
                        |(k, (&z, &dz))| pull::<L, F, R>(&partial, rule, [a[place(i, k, s)], b[place(j, k, t)], z], dz),
                    );
                    if step == 0 {
                        adjoints[own] += LongSum::of(terms);
                    } else {
                        terms.enumerate().for_each(|(k, term)| adjoints[place(own, k, step)] += term);
                    }
                    return;
                }
                let mut sums = [F::zero(); TILE];
                let mut blocks = None;
                let period = match *way {
                    Way::Repeating { short, period } if short == side => Some(period),
                    _ => None,
                };
                for_each_chunk(
                    *way,
                    n,
                    [i, j],
                    [a, b],
                    #[inline(always)]
                    |k, a, b| {
                        let len = a.len();
                        if period.is_some() && k > 0 && k.is_multiple_of(BLOCK * len) {
                            blocks.get_or_insert(Cascade::new([F::zero(); TILE])).add(sums, plus);
                            sums = [F::zero(); TILE];
                        }
                        let d = if period.is_some() { &mut sums[..len] } else { &mut adjoints[own + k..][..len] };
                        for_each(
                            d,
                            [a, b, &z[k..k + len], &dz[k..k + len]],
                            #[inline(always)]
                            |d, [a, b, z, dz]| d + pull::<L, F, R>(&partial, rule, [a, b, z], dz),
                        );
                    },
                );
                if let Some(blocks) = blocks {
                    sums = plus(blocks.total(plus), sums);
                }
                match period {
                    None => {}
                    Some(1) => adjoints[own] += sum(&sums[..n.min(TILE)]),
                    Some(period) => {
                        let d = &mut adjoints[own..own + period];
                        for row in sums[..n.min(TILE / period * period)].chunks_exact(period) {
                            for (d, &sum) in d.iter_mut().zip(row) {
                                *d += sum;
                            }
                        }
                    }
                }
            },
        );
    }
}

fn zip_pullback<F: Scalar>(
    rule: impl BinaryRule<F::Base>,
    zipped: Zipped<'_, F>,
    adjoints: &mut [F],
    mut shifts: [Option<usize>; 2],
    arena: &Arena,
) {
    let Zipped { shape, a, b, z, dz } = zipped;
    let (pairs, [a, b], reaches) = (Pairs::new(shape, a, b), [a.data, b.data], [a.layout, b.layout]);
    let (len, steps) = pairs.walk.outermost();
    // Runs that go to one place again and again join blockwise.
    for side in (0..2).filter(|&side| len > BLOCK && steps[side] == 0) {
        let Some(shift) = shifts[side].take() else { continue };
        let reach = reaches[side].reach(shape);
        let (low, high) = arena.alloc_slice_fill_copy(2 * reach.len(), F::zero()).split_at_mut(reach.len());
        let size = z.len() / len;
        let mut own = [None; 2];
        own[side] = Some(0_usize.wrapping_sub(reach.start));
        for from in (0..len).step_by(BLOCK) {
            let rows = BLOCK.min(len - from);
            let [z, dz] = [z, dz].map(|x| &x[from * size..][..rows * size]);
            let pairs = &Pairs { walk: pairs.walk.part(from, rows), way: pairs.way };
            F::dispatch(PairPull { rule, pairs, a, b, z, dz, adjoints: &mut *low, shifts: own });
            take_sums(low, high);
            if (from + rows).is_multiple_of(BLOCK * BLOCK) || from + rows == len {
                take_sums(high, &mut adjoints[shift + reach.start..][..reach.len()]);
            }
        }
    }
    if shifts != [None; 2] {
        F::dispatch(PairPull { rule, pairs: &pairs, a, b, z, dz, adjoints, shifts });
    }
}

precompiled! {
    /// Adds the sums `from` to `to` and sets them to 0.
    pub(crate) fn take_sums<F>(from: &mut [F], to: &mut [F]) {
        for (from, to) in from.iter_mut().zip(to) {
            *to += std::mem::replace(from, F::zero());
        }
    }
}

/// The sums of the elements of two tiles.
#[inline(always)]
fn plus<F: Scalar>(mut a: [F; TILE], b: [F; TILE]) -> [F; TILE] {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

/// The value of one element of [`BinaryLoops::zip`].
#[inline(always)]
pub(super) fn eval<L: Wrap<F>, F: Scalar>(rule: impl BinaryRule<F::Base>, a: F, b: F) -> F {
    rule.eval(L::wrap(a), L::wrap(b)).unwrap()
}

/// The contribution of one element to [`BinaryLoops::zip_pullback`].
#[inline(always)]
fn pull<L: Wrap<F>, F: Scalar, R>(partial: impl Fn(R, L, L, L) -> L, rule: R, [a, b, z]: [F; 3], dz: F) -> F {
    L::wrap(dz).gated_mul(partial(rule, L::wrap(a), L::wrap(b), L::wrap(z))).unwrap()
}

/// The sum of a slice. Sixteen accumulators vectorise, and round less than one.
#[inline(always)]
pub(crate) fn sum<F: Scalar>(x: &[F]) -> F {
    let mut lanes = [F::zero(); 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            let other = lanes[i + width];
            lanes[i] += other;
        }
        width /= 2;
    }
    lanes[0]
}
