//! Programs of arrays in every layout, against plain loops over dual numbers.

use ndarray::{ArrayD, ArrayViewD, Axis, Dimension, Ix2, Ix3, IxDyn, Slice, indices};
use wengert::loss::CrossEntropy;
use wengert::rules::{BINARY, UNARY};
use wengert::{BaseFloat, Conv, Dual, Pool, Real, Rule, Tape, Tensor, Var, apply};

use crate::{Bytes, agree, direction, moving, ranks};

type Dyn<'t> = Tensor<'t, f64, IxDyn>;
type Plain = ArrayD<Dual<f64>>;

/// Results of more elements are left out.
const MOST: usize = 600;

/// The number of operations.
const OPERATIONS: u8 = 36;

/// A user's rule, 1/(1 + x²).
#[derive(Clone, Copy)]
struct Hat;

impl<B: BaseFloat> Rule<B, 1> for Hat {
    fn primal(self, [x]: [B; 1]) -> B {
        (B::one() + x * x).recip()
    }
    fn partials<R: Real<Base = B>>(self, [x]: [R; 1], y: R) -> [R; 1] {
        [-(y + y) * x * y]
    }
}

/// A tensor, and the same by plain loops.
#[derive(Clone)]
struct Pair<'t>(Dyn<'t>, Plain);

/// A number that does not move.
fn lit(x: f64) -> Dual<f64> {
    Real::lit(x)
}

/// Maps any number smoothly into an interval.
fn inside<R: Real<Base = f64>>(x: R, (low, high): (f64, f64)) -> R {
    R::lit(low) + R::lit(high - low) * (x / R::lit(4.0)).sigmoid()
}

fn tensor_inside<'t>(x: Dyn<'t>, (low, high): (f64, f64)) -> Dyn<'t> {
    (x / 4.0).sigmoid() * (high - low) + low
}

/// An array whose elements are given by their indices.
fn build(shape: &[usize], f: impl Fn(&[usize]) -> Dual<f64>) -> Plain {
    ArrayD::from_shape_fn(IxDyn(shape), |index| f(index.slice()))
}

/// The element that broadcasts to an index of a result.
fn broadcast_at(x: &Plain, index: &[usize]) -> Dual<f64> {
    let own = &index[index.len() - x.ndim()..];
    let own: Vec<usize> = own.iter().zip(x.shape()).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
    x[&own[..]]
}

/// The common shape of two operands.
fn common(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let n = a.len().max(b.len());
    let len = |x: &[usize], i: usize| (i + x.len()).checked_sub(n).map_or(1, |i| x[i]);
    (0..n)
        .map(|i| match (len(a, i), len(b, i)) {
            (p, q) if p == q => Some(p),
            (1, q) => Some(q),
            (p, 1) => Some(p),
            _ => None,
        })
        .collect()
}

fn zip(a: &Plain, b: &Plain, f: impl Fn(Dual<f64>, Dual<f64>) -> Dual<f64>) -> Plain {
    let shape = common(a.shape(), b.shape()).expect("shapes fit");
    build(&shape, |i| f(broadcast_at(a, i), broadcast_at(b, i)))
}

/// The fibres along an axis become numbers.
fn reduce(x: &Plain, axis: usize, f: impl Fn(&[Dual<f64>]) -> Dual<f64>) -> Plain {
    x.map_axis(Axis(axis), |fiber| f(&fiber.to_vec()))
}

/// The fibres along an axis become fibres.
fn along(x: &Plain, axis: usize, f: impl Fn(&[Dual<f64>]) -> Vec<Dual<f64>>) -> Plain {
    let mut y = x.clone();
    for mut fiber in y.lanes_mut(Axis(axis)) {
        let results = f(&fiber.to_vec());
        fiber.iter_mut().zip(results).for_each(|(to, x)| *to = x);
    }
    y
}

fn sum(x: &[Dual<f64>]) -> Dual<f64> {
    x.iter().copied().sum()
}

/// The mean of the elements that equal the extreme one.
fn extreme(x: &[Dual<f64>], pick: fn(f64, f64) -> f64) -> Dual<f64> {
    let best = x.iter().map(|x| x.primal()).reduce(pick).expect("an element");
    let equal: Vec<_> = x.iter().copied().filter(|x| x.primal() == best).collect();
    sum(&equal) / lit(equal.len() as f64)
}

/// True if the tape and the plain loops have the elements in one order. Equal elements that a rounding parts in one of the two
/// are a tie, at which both derivatives are right: operations that choose elements are left out there. Rows of the table of
/// rules are mapped into their sample intervals, which hold no kink, and the other operations here have none.
fn in_one_order(x: Dyn<'_>, p: &Plain) -> bool {
    let (x, p): (Vec<f64>, Vec<f64>) = x.value().iter().zip(p).map(|(&x, p)| (x, p.primal())).unzip();
    ranks(&x) == ranks(&p)
}

fn softmax(x: &[Dual<f64>]) -> Vec<Dual<f64>> {
    let most = lit(x.iter().map(|x| x.primal()).fold(f64::NEG_INFINITY, f64::max));
    let e: Vec<_> = x.iter().map(|&x| (x - most).exp()).collect();
    let total = sum(&e);
    e.into_iter().map(|e| e / total).collect()
}

fn log_softmax(x: &[Dual<f64>]) -> Vec<Dual<f64>> {
    let most = lit(x.iter().map(|x| x.primal()).fold(f64::NEG_INFINITY, f64::max));
    let total = x.iter().map(|&x| (x - most).exp()).sum::<Dual<f64>>().ln();
    x.iter().map(|&x| x - most - total).collect()
}

/// The elements in reverse order.
fn reversed<A: Copy>(x: ArrayViewD<'_, A>) -> ArrayD<A> {
    let mut elements: Vec<A> = x.iter().copied().collect();
    elements.reverse();
    ArrayD::from_shape_vec(x.raw_dim(), elements).expect("as many elements")
}

/// Takes an element by its indices.
fn picked(x: &Plain, shape: &[usize], from: impl Fn(&[usize]) -> Vec<usize>) -> Plain {
    build(shape, |i| x[&from(i)[..]])
}

/// One step: takes pairs from the pool and adds one, unless the operation does not fit.
fn step<'t>(tape: &'t Tape, pool: &mut Vec<Pair<'t>>, bytes: &mut Bytes<'_>) -> Option<()> {
    let operation = bytes.byte() % OPERATIONS;
    let Pair(x, p) = pool[bytes.below(256) % pool.len()].clone();
    let (n, shape) = (p.ndim(), p.shape().to_vec());
    let axis = if n > 0 { bytes.below(n) } else { 0 };
    let has_axis = n > 0;
    let other = bytes.below(256) % pool.len();
    let push = |pool: &mut Vec<Pair<'t>>, x: Dyn<'t>, p: Plain| {
        assert_eq!(x.shape(), p.shape(), "operation {operation} of shape {shape:?}");
        pool.push(Pair(x, p));
        Some(())
    };
    match operation {
        0..=3 => {
            let row = &UNARY[bytes.below(UNARY.len())];
            let y = (row.on_tensor)(tensor_inside(x, row.sample).flatten()).reshape(IxDyn(&shape));
            push(pool, y, p.mapv(|x| (row.on_dual)(inside(x, row.sample))))
        }
        4 | 5 => {
            let row = &BINARY[bytes.below(BINARY.len())];
            let Pair(y, q) = pool[other].clone();
            let shape = common(&shape, q.shape()).filter(|shape| shape.iter().product::<usize>() <= MOST)?;
            let (a, b) = (tensor_inside(x, row.sample.0), tensor_inside(y, row.sample.1));
            let z = (row.on_tensor)(a.broadcast(IxDyn(&shape)).flatten(), b.broadcast(IxDyn(&shape)).flatten());
            let of = |a, b| (row.on_dual)(inside(a, row.sample.0), inside(b, row.sample.1));
            push(pool, z.reshape(IxDyn(&shape)), zip(&p, &q, of))
        }
        6..=9 => {
            let Pair(y, q) = pool[other].clone();
            common(&shape, q.shape()).filter(|shape| shape.iter().product::<usize>() <= MOST)?;
            match operation {
                6 => push(pool, x + y, zip(&p, &q, |a, b| a + b)),
                7 => push(pool, x - y * 0.5, zip(&p, &q, |a, b| a - b * lit(0.5))),
                8 => push(pool, x * y, zip(&p, &q, |a, b| a * b)),
                _ => push(pool, x / (y * y + 1.0), zip(&p, &q, |a, b| a / (b * b + lit(1.0)))),
            }
        }
        10 if has_axis => push(pool, x.sum_axis(Axis(axis)), reduce(&p, axis, sum)),
        11 if has_axis && shape[axis] > 0 => {
            let mean = |x: &[Dual<f64>]| sum(x) / lit(x.len() as f64);
            push(pool, x.mean_axis(Axis(axis)), reduce(&p, axis, mean))
        }
        12 if has_axis && shape[axis] > 0 && in_one_order(x, &p) => {
            push(pool, x.max_axis(Axis(axis)), reduce(&p, axis, |x| extreme(x, f64::max)))
        }
        13 if has_axis && shape[axis] > 0 && in_one_order(x, &p) => {
            push(pool, x.min_axis(Axis(axis)), reduce(&p, axis, |x| extreme(x, f64::min)))
        }
        14 if has_axis => {
            let product = |x: &[Dual<f64>]| x.iter().fold(lit(1.0), |p, &x| p * x);
            push(pool, x.product_axis(Axis(axis)), reduce(&p, axis, product))
        }
        15 if has_axis && shape[axis] > 0 => push(pool, x.softmax(Axis(axis)), along(&p, axis, softmax)),
        16 if has_axis && shape[axis] > 0 => push(pool, x.log_softmax(Axis(axis)), along(&p, axis, log_softmax)),
        17 if has_axis => {
            let sums = |x: &[Dual<f64>]| (0..x.len()).map(|i| sum(&x[..=i])).collect();
            push(pool, x.cumsum(Axis(axis)), along(&p, axis, sums))
        }
        18 if has_axis => {
            let step = [1, -1, 2, -2, 3][bytes.below(5)];
            let (start, end) = (bytes.below(shape[axis] + 1), bytes.below(shape[axis] + 1));
            let (start, end) = (start.min(end), start.max(end));
            let slice = Slice::new(start as isize, Some(end as isize), step);
            let q = p.slice_axis(Axis(axis), slice).to_owned();
            push(pool, x.slice_axis(Axis(axis), slice), q)
        }
        19 => push(pool, x.t(), p.reversed_axes()),
        20 if has_axis => {
            let mut axes: Vec<usize> = (0..n).collect();
            axes.swap(axis, bytes.below(n));
            axes.rotate_left(bytes.below(n));
            push(pool, x.permuted_axes(IxDyn(&axes)), p.permuted_axes(IxDyn(&axes)))
        }
        21 if has_axis && shape[axis] > 0 => {
            let index = bytes.below(shape[axis]);
            let q = p.index_axis(Axis(axis), index).to_owned();
            push(pool, x.index_axis(Axis(axis), index), q)
        }
        22 if n < 4 => {
            let axis = bytes.below(n + 1);
            push(pool, x.insert_axis(Axis(axis)), p.insert_axis(Axis(axis)))
        }
        23 if n < 4 => {
            let mut wide = shape.clone();
            wide.insert(0, bytes.below(4));
            wide.iter_mut().skip(1).filter(|len| **len == 1).for_each(|len| *len = 1 + bytes.below(3));
            (wide.iter().product::<usize>() <= MOST).then_some(())?;
            let q = build(&wide, |i| broadcast_at(&p, i));
            push(pool, x.broadcast(IxDyn(&wide)), q)
        }
        24 => {
            let flat: Vec<_> = p.iter().copied().collect();
            let shape = if flat.len() % 2 == 0 { vec![2, flat.len() / 2] } else { vec![flat.len()] };
            let q = ArrayD::from_shape_vec(IxDyn(&shape), flat).expect("as many elements");
            push(pool, x.reshape(IxDyn(&shape)), q)
        }
        25 if has_axis && shape[axis] > 0 => {
            let chosen: Vec<usize> = (0..bytes.below(6)).map(|_| bytes.below(shape[axis])).collect();
            let q = p.select(Axis(axis), &chosen);
            push(pool, x.select(Axis(axis), &chosen), q)
        }
        26 if has_axis => {
            let shift = bytes.below(9) as isize - 4;
            let len = shape[axis] as isize;
            let q = picked(&p, &shape, |i| {
                let mut i = i.to_vec();
                i[axis] = (i[axis] as isize - shift).rem_euclid(len) as usize;
                i
            });
            push(pool, x.roll(Axis(axis), shift), q)
        }
        27 if has_axis => {
            let Pair(y, q) = pool[other].clone();
            let same = q.ndim() == n && (0..n).all(|i| i == axis || q.shape()[i] == shape[i]);
            (same && p.len() + q.len() <= MOST).then_some(())?;
            let both = ndarray::concatenate(Axis(axis), &[p.view(), q.view()]).expect("shapes fit");
            push(pool, tape.concatenate(Axis(axis), &[x, y]), both)
        }
        28 if n <= 3 => {
            let widths: Vec<(usize, usize)> = (0..n).map(|_| (bytes.below(3), bytes.below(3))).collect();
            let padded: Vec<usize> = shape.iter().zip(&widths).map(|(n, (a, b))| n + a + b).collect();
            (padded.iter().product::<usize>() <= MOST).then_some(())?;
            let q = build(&padded, |i| {
                let own: Option<Vec<usize>> = i
                    .iter()
                    .zip(&widths)
                    .zip(&shape)
                    .map(|((i, w), &n)| i.checked_sub(w.0).filter(|&i| i < n))
                    .collect();
                own.map_or(lit(0.25), |own| p[&own[..]])
            });
            push(pool, x.pad(&widths, 0.25), q)
        }
        29 if has_axis && in_one_order(x, &p) => {
            let sorted = |x: &[Dual<f64>]| {
                let mut x = x.to_vec();
                x.sort_by(|a, b| a.primal().total_cmp(&b.primal()));
                x
            };
            // Ties keep their order, and -0 equals 0: `total_cmp` would part them.
            p.iter().all(|x| x.primal() != 0.0).then_some(())?;
            push(pool, x.sort(Axis(axis)), along(&p, axis, sorted))
        }
        30 => {
            let Pair(y, q) = pool[other].clone();
            let (a, b) = (x.into_dimensionality::<Ix2>().ok()?, y.into_dimensionality::<Ix2>().ok()?);
            let (rows, inner, columns) = (a.shape()[0], a.shape()[1], b.shape()[1]);
            (inner == b.shape()[0] && rows * columns <= MOST).then_some(())?;
            let product = |i: &[usize]| (0..inner).map(|k| p[[i[0], k].as_slice()] * q[[k, i[1]].as_slice()]).sum();
            push(pool, a.dot(b).into_dyn(), build(&[rows, columns], product))
        }
        31 => {
            // (samples, channels, length) with kernels of (outputs, channels, taps).
            let Pair(y, q) = pool[other].clone();
            let (a, k) = (x.into_dimensionality::<Ix3>().ok()?, y.into_dimensionality::<Ix3>().ok()?);
            let ([samples, channels, len], [outputs, inputs, taps]) =
                ([a.shape()[0], a.shape()[1], a.shape()[2]], [k.shape()[0], k.shape()[1], k.shape()[2]]);
            let (stride, padding) = (1 + bytes.below(2), bytes.below(2));
            (channels == inputs && channels > 0 && len > 0 && taps > 0 && taps <= len + 2 * padding).then_some(())?;
            let places = (len + 2 * padding - taps) / stride + 1;
            (samples * outputs * places <= MOST).then_some(())?;
            let convolved = |i: &[usize]| {
                let terms = (0..channels).flat_map(|c| (0..taps).map(move |t| (c, t)));
                let term = |(c, t): (usize, usize)| {
                    let place = (i[2] * stride + t).checked_sub(padding).filter(|&place| place < len);
                    place.map(|place| p[[i[0], c, place].as_slice()] * q[[i[1], c, t].as_slice()])
                };
                terms.filter_map(term).sum()
            };
            let result = a.conv1d(k, Conv::new().stride(stride).padding(padding)).into_dyn();
            push(pool, result, build(&[samples, outputs, places], convolved))
        }
        32 => {
            let a = x.into_dimensionality::<Ix3>().ok()?;
            let window = 1 + bytes.below(3);
            (a.shape()[2] >= window).then_some(())?;
            let places = (a.shape()[2] - window) / window + 1;
            let shape = [a.shape()[0], a.shape()[1], places];
            let of = |i: &[usize], f: fn(&[Dual<f64>]) -> Dual<f64>| {
                let elements: Vec<_> = (0..window).map(|t| p[[i[0], i[1], i[2] * window + t].as_slice()]).collect();
                f(&elements)
            };
            if bytes.flag() {
                let mean = |x: &[Dual<f64>]| sum(x) / lit(x.len() as f64);
                push(pool, a.avg_pool1d(Pool::new(window)).into_dyn(), build(&shape, |i| of(i, mean)))
            } else {
                // Which of equal elements wins is a convention of its own.
                let distinct = |x: &[Dual<f64>]| (0..x.len()).all(|i| (0..i).all(|j| x[i].primal() != x[j].primal()));
                let windows = indices(IxDyn(&shape)).into_iter().all(|i| {
                    distinct(&(0..window).map(|t| p[[i[0], i[1], i[2] * window + t].as_slice()]).collect::<Vec<_>>())
                });
                (windows && in_one_order(x, &p)).then_some(())?;
                let most = |x: &[Dual<f64>]| extreme(x, f64::max);
                push(pool, a.max_pool1d(Pool::new(window)).into_dyn(), build(&shape, |i| of(i, most)))
            }
        }
        33 => {
            let a = x.into_dimensionality::<Ix2>().ok()?;
            let (rows, classes) = a.dim().into_pattern();
            (rows > 0 && classes > 0).then_some(())?;
            let target: Vec<usize> = (0..rows).map(|_| bytes.below(classes)).collect();
            let loss = |i: &[usize]| {
                let row: Vec<_> = (0..classes).map(|k| p[[i[0], k].as_slice()]).collect();
                -log_softmax(&row)[target[i[0]]]
            };
            let each = a.losses(CrossEntropy::new(), &target[..]).each();
            push(pool, each.into_dyn(), build(&[rows], loss))
        }
        34 => {
            // An operation of a user: the product with the array in reverse order.
            let value = &x.value() * &reversed(x.value());
            let y = tape.custom("reversed product", x, value, |cotangent, x, _| {
                &cotangent * &reversed(x.view()) + reversed((&cotangent * &x).view())
            });
            push(pool, y, zip(&p, &reversed(p.view()), |a, b| a * b))
        }
        35 => push(pool, x.apply_rule(Hat), p.mapv(|x| apply(Hat, [x]))),
        _ => None,
    }
}

/// Value and gradient of one program; checks both.
fn round(tape: &Tape, data: &[u8]) -> (f64, Vec<f64>) {
    let mut bytes = Bytes(data);
    let special = bytes.byte() % 8 == 0;
    let inputs = 1 + bytes.below(3);
    let mut shapes = Vec::new();
    for _ in 0..inputs {
        shapes.push((0..bytes.below(4)).map(|_| bytes.below(5)).collect::<Vec<usize>>());
    }
    let owners: Vec<ArrayD<f64>> =
        shapes.iter().map(|shape| ArrayD::from_shape_simple_fn(IxDyn(shape), || bytes.number(special))).collect();
    // The tape borrows what it reads for as long as it records.
    let kept: &[ArrayD<f64>] = &owners;
    let mut pool = Vec::new();
    let mut first = 0;
    let handles: Vec<Dyn<'_>> = (0..inputs).map(|k| tape.tensor(&kept[k])).collect();
    for (k, owner) in kept.iter().enumerate() {
        let plain = build(owner.shape(), |_| lit(0.0));
        let mut plain = plain;
        plain.iter_mut().zip(owner).enumerate().for_each(|(i, (to, &x))| *to = moving(x, first + i));
        first += owner.len();
        let x = match bytes.byte() % 3 {
            1 if owner.ndim() > 0 => handles[k].flip(Axis(0)).flip(Axis(0)),
            2 => handles[k].t().t(),
            _ => handles[k],
        };
        pool.push(Pair(x, plain));
    }
    for _ in 0..24 {
        if bytes.is_empty() {
            break;
        }
        let operation = bytes.0.first().map_or(0, |byte| byte % OPERATIONS);
        if step(tape, &mut pool, &mut bytes).is_some() && std::env::var_os("TRACE").is_some() {
            let Pair(x, p) = &pool[pool.len() - 1];
            eprintln!("{}: operation {operation}, shape {:?}, {}", pool.len() - 1, x.shape(), p.mapv(|x| x.primal()));
        }
    }

    let mut total: Var<'_> = Var::constant(0.0);
    let mut plain = lit(0.0);
    for (k, Pair(x, p)) in pool.iter().enumerate() {
        let scale = 1.0 / (k + 1) as f64;
        let size = p.iter().fold(1.0, |size: f64, x| size.max(x.primal().abs()));
        if !special && size < 1e10 {
            for (got, want) in x.value().iter().zip(p) {
                assert!(agree(*got, want.primal(), size), "value {k}: {got:e}, plain {:e}", want.primal());
            }
        }
        total += x.sum() * scale;
        plain += p.iter().copied().sum::<Dual<f64>>() * lit(scale);
    }
    let value = total.value();
    if total.is_constant() {
        return (value, Vec::new());
    }
    let gradient = total.backward();
    let partials: Vec<f64> =
        handles.iter().flat_map(|&x| gradient.wrt(x).iter().copied().collect::<Vec<_>>()).collect();
    let along: f64 = partials.iter().enumerate().map(|(k, d)| d * direction(k)).sum();
    let scale: f64 = partials.iter().map(|d| d.abs()).sum::<f64>() + value.abs();
    let tangent = plain.tangents()[0];
    if !special && scale < 1e10 && tangent.abs() < 1e10 {
        assert!(agree(along, tangent, 10.0 * scale), "tape {along:e}, plain loops {tangent:e}, partials {partials:?}");
    }
    (value, partials)
}

/// Runs the check. With `TRACE=1` in the environment it prints each step.
pub fn check(data: &[u8]) {
    let mut tape = Tape::new();
    let (value, partials) = round(&tape, data);
    tape.clear();
    let (again, same) = round(&tape, data);
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(
        value.to_bits() == again.to_bits() && bits(&partials) == bits(&same),
        "a cleared tape: {value:e}, {again:e}"
    );
}
