//! Programs of arrays and scalars over nearly every operation, as data.
//!
//! A program is inputs and steps. A step is an operation on earlier values, with arguments; the result is a sum of all values
//! with weights. Inputs and values are arrays, or scalars of the tape. [`line`] writes a program and its derivatives for
//! PyTorch and JAX (`tests/oracle/programs.py`); [`check`] holds a program against itself.

use std::fmt::{Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{ArrayD, Axis, Ix1, Ix2, Ix3, Ix4, IxDyn, Slice};
use wengert::loss::{AbsoluteError, BceWithLogits, CrossEntropy, Huber, KlDivergence, SquaredError};
use wengert::rules::{BINARY, UNARY};
use wengert::{Activation, Conv, Diag, Dual, Interpolation, Pool, Real, Scalar, Tape, Tensor, Uplo, Var};

use crate::{Bytes, agree, direction, splitmix};

type Dyn<'t, F> = Tensor<'t, F, IxDyn>;

/// Results of more elements are left out.
const MOST: usize = 200;

#[derive(Clone, Copy)]
enum Value<'t, F: Scalar> {
    Array(Dyn<'t, F>),
    Number(Var<'t, F>),
}
use Value::{Array, Number};

/// Inputs and steps, and the weights of all values in the result.
struct Program {
    /// True if operands may be outside of domains.
    raw: bool,
    inputs: Vec<Input>,
    steps: Vec<Step>,
    weights: Vec<f64>,
}

/// The number of the result, and its gradient in each input that is no constant.
type Outcome<F> = (F, Vec<Vec<F>>);

/// An operation on earlier values.
#[derive(Default)]
struct Step {
    operation: &'static str,
    /// The numbers of the operands.
    on: Vec<usize>,
    /// For each operand, the interval into which it is mapped first; empty for operands as they are.
    inside: Vec<(f64, f64)>,
    integers: Vec<Vec<i64>>,
    numbers: Vec<f64>,
}

struct Input {
    /// None for a scalar of the tape.
    shape: Option<Vec<usize>>,
    data: Vec<f64>,
    is_constant: bool,
}

/// A number of which the value is printed.
trait Shown: Scalar {
    const NAME: &'static str;
    type Plain: Debug;
    fn of(x: f64, k: usize) -> Self;
    fn shown(self) -> Self::Plain;
    fn size(self) -> f64;
}

impl Shown for f64 {
    const NAME: &'static str = "f64";
    type Plain = f64;
    fn of(x: f64, _: usize) -> f64 {
        x
    }
    fn shown(self) -> f64 {
        self
    }
    fn size(self) -> f64 {
        self.abs()
    }
}

impl Shown for f32 {
    const NAME: &'static str = "f32";
    type Plain = f32;
    fn of(x: f64, _: usize) -> f32 {
        x as f32
    }
    fn shown(self) -> f32 {
        self
    }
    fn size(self) -> f64 {
        f64::from(self).abs()
    }
}

/// A number with two tangents.
type Moving = Dual<f64, 2>;

/// Shows the first tangent: of a gradient, the product of the Hessian with the direction.
impl Shown for Moving {
    const NAME: &'static str = "dual";
    type Plain = f64;
    fn of(x: f64, k: usize) -> Self {
        Dual::new(x, [direction(k), direction(k + 100)])
    }
    fn shown(self) -> f64 {
        self.tangents()[0]
    }
    fn size(self) -> f64 {
        self.primal().abs()
    }
}

macro_rules! by_name {
    ($name:expr, $x:expr; $($f:ident)+) => {
        match $name {
            $( stringify!($f) => $x.$f(), )+
            other => unreachable!("{other}"),
        }
    };
    ($name:expr, $x:expr, $y:expr; $($f:ident)+) => {
        match $name {
            $( stringify!($f) => $x.$f($y), )+
            other => unreachable!("{other}"),
        }
    };
}

macro_rules! unary {
    ($name:expr, $x:expr) => {
        by_name! { $name, $x;
            recip sqrt cbrt abs signum exp exp2 exp_m1 ln log2 log10 ln_1p sin cos tan asin acos atan sinh cosh tanh asinh acosh
            atanh to_degrees to_radians floor ceil round trunc fract square sigmoid softplus relu gelu gelu_tanh silu softsign
            log_sigmoid erf erfc erfinv normal_cdf log_normal_cdf ln_gamma digamma sinc neg
        }
    };
}

macro_rules! binary {
    ($name:expr, $a:expr, $b:expr) => {
        match $name {
            "add" => $a + $b,
            "sub" => $a - $b,
            "mul" => $a * $b,
            "div" => $a / $b,
            "rem" => $a % $b,
            name => by_name! { name, $a, $b;
                atan2 hypot powf log copysign xlogy log_add_exp maximum minimum gated_mul
            },
        }
    };
}

impl<'t, F: Scalar> Value<'t, F> {
    fn array(self, tape: &'t Tape<F>) -> Dyn<'t, F> {
        match self {
            Array(x) => x,
            Number(x) => tape.stack_vars(&[x]).reshape(IxDyn(&[])),
        }
    }

    fn shape(self) -> Option<Vec<usize>> {
        match self {
            Array(x) => Some(x.shape().to_vec()),
            Number(_) => None,
        }
    }

    /// Maps any number smoothly into an interval.
    fn inside(self, (low, high): (f64, f64)) -> Self {
        match self {
            Array(x) => Array((x / F::lit(4.0)).sigmoid() * F::lit(high - low) + F::lit(low)),
            Number(x) => Number((x / F::lit(4.0)).sigmoid() * F::lit(high - low) + F::lit(low)),
        }
    }

    fn sum(self) -> Var<'t, F> {
        match self {
            Array(x) => x.sum(),
            Number(x) => x,
        }
    }
}

fn places(x: &[i64]) -> Vec<usize> {
    x.iter().map(|&i| i as usize).collect()
}

/// The numbers 0, 1, 1, 2, .. at the places of an array, so that masks and indices need no list in the step.
fn pattern(i: usize, seed: i64) -> usize {
    (i * 7 + i / 3 + seed as usize * 5) % 11
}

fn mask(shape: &[usize], seed: i64) -> ArrayD<bool> {
    let mut i = 0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        pattern(i, seed) % 3 != 0
    })
}

fn indices(shape: &[usize], seed: i64, below: usize) -> ArrayD<usize> {
    let mut i = 0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        pattern(i, seed) % below
    })
}

/// The result of a step, unless a decomposition fails.
#[allow(clippy::too_many_lines)]
fn apply<'t, F: Scalar>(tape: &'t Tape<F>, step: &Step, pool: &[Value<'t, F>]) -> Option<Value<'t, F>> {
    let number = |i: usize| <F::Base as Real>::lit(step.numbers[i]);
    let operand = |i: usize| {
        let x = pool[step.on[i]];
        step.inside.get(i).map_or(x, |&interval| x.inside(interval))
    };
    let name = step.operation;
    if UNARY.iter().any(|row| row.name == name) || name == "neg" {
        macro_rules! each {
            ($x:expr, $of:ident) => {
                $of(match name {
                    "powi" => $x.powi(step.integers[0][0] as i32),
                    "polygamma" => $x.polygamma(step.integers[0][0] as u32),
                    "clamp" => $x.clamp(number(0), number(1)),
                    "leaky_relu" => $x.leaky_relu(number(0)),
                    "elu" => $x.elu(number(0)),
                    "neg" => -$x,
                    _ => unary!(name, $x),
                })
            };
        }
        // `neg` and the like of `Var` are methods of traits.
        #[allow(unused_imports)]
        use std::ops::Neg as _;
        return Some(match operand(0) {
            Array(x) => each!(x, Array),
            Number(x) => each!(x, Number),
        });
    }
    if BINARY.iter().any(|row| row.name == name) || ["add", "sub", "mul", "div", "rem"].contains(&name) {
        return Some(match (operand(0), operand(1)) {
            (Array(a), Array(b)) => Array(binary!(name, a, b)),
            (Array(a), Number(b)) => Array(binary!(name, a, b)),
            (Number(a), Array(b)) => match name {
                "add" => Array(a + b),
                "sub" => Array(a - b),
                "mul" => Array(a * b),
                "div" => Array(a / b),
                _ => Array(binary!(name, Number(a).array(tape), b)),
            },
            (Number(a), Number(b)) => Number(match name {
                "max" => a.max(b),
                "min" => a.min(b),
                _ => binary!(name, a, b),
            }),
        });
    }
    let integers = |i: usize| &step.integers[i][..];
    let integer = |i: usize| step.integers[i][0];
    let x = operand(0).array(tape);
    let array = |i: usize| operand(i).array(tape);
    let axis = || Axis(integer(0) as usize);
    let dim = |x: Dyn<'t, F>| x.shape().to_vec();
    macro_rules! of {
        ($x:expr, $D:ty) => {
            $x.into_dimensionality::<$D>().expect("the number of axes")
        };
    }
    let vars = || step.on.iter().map(|&k| pool[k].sum()).collect::<Vec<_>>();
    /// A matrix whose rows and columns differ from those of a well-conditioned one by small numbers.
    fn regular<'t, F: Scalar>(tape: &'t Tape<F>, x: Tensor<'t, F, Ix2>) -> Tensor<'t, F, Ix2> {
        let n = x.shape()[0];
        let middle = ndarray::Array2::from_shape_fn((n, n), |(i, j)| F::lit(if i == j { 2.0 + i as f64 } else { 0.0 }));
        x.tanh() * F::lit(0.25) + tape.constant(middle)
    }
    Some(match name {
        "sum" => Number(x.sum()),
        "mean" => Number(x.mean()),
        "product" => Number(x.product()),
        "max_all" => Number(x.max()),
        "min_all" => Number(x.min()),
        "var" => Number(x.var(number(0))),
        "std" => Number(x.std(number(0))),
        "norm" => Number(x.norm()),
        "log_sum_exp" => Number(x.log_sum_exp()),
        "median" => Number(x.median()),
        "quantile" => Number(x.quantile(step.numbers[0])),
        "at" => Number(x.at(IxDyn(&places(integers(0))))),
        "sum_axis" => Array(x.sum_axis(axis())),
        "mean_axis" => Array(x.mean_axis(axis())),
        "product_axis" => Array(x.product_axis(axis())),
        "max_axis" => Array(x.max_axis(axis())),
        "min_axis" => Array(x.min_axis(axis())),
        "var_axis" => Array(x.var_axis(axis(), number(0))),
        "std_axis" => Array(x.std_axis(axis(), number(0))),
        "norm_axis" => Array(x.norm_axis(axis())),
        "log_sum_exp_axis" => Array(x.log_sum_exp_axis(axis())),
        "median_axis" => Array(x.median_axis(axis())),
        "quantile_axis" => Array(x.quantile_axis(axis(), step.numbers[0])),
        "softmax" => Array(x.softmax(axis())),
        "log_softmax" => Array(x.log_softmax(axis())),
        "softmax_where" => Array(x.softmax_where(axis(), &mask(x.shape(), integer(1)))),
        "layer_norm" => Array(x.layer_norm(number(0))),
        "rms_norm" => Array(x.rms_norm(number(0))),
        "cumsum" => Array(x.cumsum(axis())),
        "cumprod" => Array(x.cumprod(axis())),
        "sort" => Array(x.sort(axis())),
        "top_k" => Array(x.top_k(axis(), integer(1) as usize).0),
        // Views.
        "slice_axis" => {
            let slice = Slice::new(integer(1) as isize, Some(integer(2) as isize), integer(3) as isize);
            Array(x.slice_axis(axis(), slice))
        }
        "flip" => Array(x.flip(axis())),
        "t" => Array(x.t()),
        "permuted_axes" => Array(x.permuted_axes(IxDyn(&places(integers(0))))),
        "swap_axes" => Array(x.swap_axes(integer(0) as usize, integer(1) as usize)),
        "index_axis" => Array(x.index_axis(axis(), integer(1) as usize)),
        "insert_axis" => Array(x.insert_axis(axis())),
        "broadcast" => Array(x.broadcast(IxDyn(&places(integers(0))))),
        "reshape" => Array(x.reshape(IxDyn(&places(integers(0))))),
        "split_at" => {
            let (a, b) = x.split_at(axis(), integer(1) as usize);
            Array(if integer(2) == 0 { a } else { b })
        }
        "diag" => Array(of!(x, Ix2).diag().into_dyn()),
        // Copies.
        "select" => Array(x.select(axis(), &places(integers(1)))),
        "gather" => {
            let mut shape = dim(x);
            let below = std::mem::replace(&mut shape[axis().0], integer(1) as usize);
            Array(x.gather(axis(), &indices(&shape, integer(2), below)))
        }
        "scatter_add" => {
            let source = array(1);
            Array(x.scatter_add(axis(), &indices(source.shape(), integer(1), x.shape()[axis().0]), source))
        }
        "index_add" => Array(x.index_add(axis(), &places(integers(1)), array(1))),
        "keep_where" => Array(x.keep_where(&mask(&places(integers(0)), integer(1)), array(1))),
        "roll" => Array(x.roll(axis(), integer(1) as isize)),
        "repeat" => Array(x.repeat(axis(), integer(1) as usize)),
        "concatenate" => Array(tape.concatenate(axis(), &[x, array(1)])),
        "stack" => Array(tape.stack(axis(), &[x, array(1), x])),
        "pad" => {
            let widths: Vec<_> = integers(0).chunks(2).map(|w| (w[0] as usize, w[1] as usize)).collect();
            Array(x.pad(&widths, F::lit(step.numbers[0])))
        }
        "tril" => Array(x.tril(integer(0) as isize)),
        "triu" => Array(x.triu(integer(0) as isize)),
        // Products.
        "dot" => {
            let y = array(1);
            match (x.ndim(), y.ndim()) {
                (1, 1) => Number(of!(x, Ix1).dot(of!(y, Ix1))),
                (1, 2) => Array(of!(x, Ix1).dot(of!(y, Ix2)).into_dyn()),
                (2, 1) => Array(of!(x, Ix2).dot(of!(y, Ix1)).into_dyn()),
                _ => Array(of!(x, Ix2).dot(of!(y, Ix2)).into_dyn()),
            }
        }
        "matmul" => Array(of!(x, Ix3).matmul(of!(array(1), Ix3)).into_dyn()),
        "outer" => Array(of!(x, Ix1).outer(of!(array(1), Ix1)).into_dyn()),
        "tensordot" => Array(x.tensordot(array(1), [&places(integers(0)), &places(integers(1))])),
        "einsum" => {
            const FORMULAS: [&str; 8] =
                ["ij,jk->ik", "ij,ij->i", "ij,kj->ki", "ii->i", "ij,jk,k->i", "bij,bjk->bik", "ij->", "i,j->ji"];
            let operands: Vec<_> = (0..step.on.len()).map(array).collect();
            Array(tape.einsum(FORMULAS[integer(0) as usize], &operands))
        }
        "dense" => {
            let activation =
                [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh][integer(0) as usize];
            Array(of!(x, Ix2).dense(of!(array(1), Ix2), of!(array(2), Ix1), activation).into_dyn())
        }
        "affine" => Array(of!(x, Ix2).affine(of!(array(1), Ix2), of!(array(2), Ix1)).into_dyn()),
        // Windows: stride, padding, dilation, groups.
        "conv1d" | "conv_transpose1d" => {
            let [s, p, d, g] = [0, 1, 2, 3].map(|i| integers(0)[i] as usize);
            let conv = Conv::new().stride(s).padding(p).dilation(d).groups(g);
            let (x, w) = (of!(x, Ix3), of!(array(1), Ix3));
            Array(if name == "conv1d" { x.conv1d(w, conv) } else { x.conv_transpose1d(w, conv) }.into_dyn())
        }
        "conv2d" | "conv_transpose2d" => {
            let [s, p, d, g] = [0, 1, 2, 3].map(|i| integers(0)[i] as usize);
            let conv = Conv::new().stride(s).padding(p).dilation(d).groups(g);
            let (x, w) = (of!(x, Ix4), of!(array(1), Ix4));
            Array(if name == "conv2d" { x.conv2d(w, conv) } else { x.conv_transpose2d(w, conv) }.into_dyn())
        }
        "max_pool1d" | "avg_pool1d" => {
            let [size, stride, padding] = [0, 1, 2].map(|i| integers(0)[i] as usize);
            let (x, pool) = (of!(x, Ix3), Pool::new(size).stride(stride).padding(padding));
            Array(
                match (name, integer(1)) {
                    ("max_pool1d", _) => x.max_pool1d(pool),
                    (_, 0) => x.avg_pool1d(pool),
                    _ => x.avg_pool1d(pool.without_padding_in_mean()),
                }
                .into_dyn(),
            )
        }
        "max_pool2d" | "avg_pool2d" => {
            let [size, stride, padding] = [0, 1, 2].map(|i| integers(0)[i] as usize);
            let (x, pool) = (of!(x, Ix4), Pool::new(size).stride(stride).padding(padding));
            Array(
                match (name, integer(1)) {
                    ("max_pool2d", _) => x.max_pool2d(pool),
                    (_, 0) => x.avg_pool2d(pool),
                    _ => x.avg_pool2d(pool.without_padding_in_mean()),
                }
                .into_dyn(),
            )
        }
        "adaptive_avg_pool1d" => Array(of!(x, Ix3).adaptive_avg_pool1d(integer(0) as usize).into_dyn()),
        "adaptive_max_pool1d" => Array(of!(x, Ix3).adaptive_max_pool1d(integer(0) as usize).into_dyn()),
        "upsample1d" => {
            let kind = [Interpolation::Nearest, Interpolation::Linear][integer(1) as usize];
            Array(of!(x, Ix3).upsample1d(integer(0) as usize, kind).into_dyn())
        }
        // Losses: 0 for the mean, 1 for the sum, 2 for each.
        "mse" | "mae" | "huber" | "bce" => {
            let y = if name == "bce" { array(1).sigmoid() } else { array(1) };
            macro_rules! reduced {
                ($loss:expr) => {
                    match integer(0) {
                        0 => Number(x.losses($loss, y).mean()),
                        1 => Number(x.losses($loss, y).sum()),
                        _ => Array(x.losses($loss, y).each()),
                    }
                };
            }
            match name {
                "mse" => reduced!(SquaredError),
                "mae" => reduced!(AbsoluteError),
                "huber" => reduced!(Huber::new(number(0))),
                _ => reduced!(BceWithLogits::new()),
            }
        }
        "cross_entropy" => {
            let (x, classes) = (of!(x, Ix2), x.shape()[1]);
            let weights: Vec<f64> = (0..classes).map(|k| 0.5 + pattern(k, 3) as f64 / 4.0).collect();
            let mut loss = CrossEntropy::new();
            if integers(2)[0] == 1 {
                loss = loss.smoothing(0.125);
            }
            if integers(2)[1] == 1 {
                loss = loss.class_weights(&weights);
            }
            if integers(2)[2] == 1 {
                loss = loss.ignore(0);
            }
            let labels = integers(1);
            match integer(0) {
                0 => Number(x.losses(loss, labels).mean()),
                1 => Number(x.losses(loss, labels).sum()),
                _ => Array(x.losses(loss, labels).each().into_dyn()),
            }
        }
        "cross_entropy_of" | "kl" => {
            let (x, q) = (of!(x, Ix2), of!(array(1), Ix2).softmax(Axis(1)));
            match (name, integer(0)) {
                ("kl", 0) => Number(x.losses(KlDivergence::new(), q).mean()),
                ("kl", _) => Number(x.losses(KlDivergence::new(), q).sum()),
                (_, 0) => Number(x.losses(CrossEntropy::new(), q).mean()),
                _ => Number(x.losses(CrossEntropy::new(), q).sum()),
            }
        }
        // Matrices.
        "inv" => Array(regular(tape, of!(x, Ix2)).inv().ok()?.into_dyn()),
        "det" => Number(regular(tape, of!(x, Ix2)).det()),
        "det_raw" => Number(of!(x, Ix2).det()),
        "ln_det" => Number(regular(tape, of!(x, Ix2)).ln_det().ok()?),
        "solve" => {
            let a = regular(tape, of!(x, Ix2));
            Array(match array(1).ndim() {
                1 => a.solve(of!(array(1), Ix1)).ok()?.into_dyn(),
                _ => a.solve(of!(array(1), Ix2)).ok()?.into_dyn(),
            })
        }
        "solve_triangular" => {
            let uplo = if integer(0) == 0 { Uplo::Lower } else { Uplo::Upper };
            let diag = if integer(1) == 0 { Diag::NonUnit } else { Diag::Unit };
            Array(regular(tape, of!(x, Ix2)).solve_triangular(uplo, diag, of!(array(1), Ix2)).ok()?.into_dyn())
        }
        "cholesky" => {
            let a = regular(tape, of!(x, Ix2));
            Array(a.dot(a.t()).cholesky().ok()?.into_dyn())
        }
        "eigh" => {
            let a = regular(tape, of!(x, Ix2));
            let eigen = ((a + a.t()) * F::lit(0.5)).eigh().ok()?;
            Array(if integer(0) == 0 { eigen.values.into_dyn() } else { eigen.vectors.square().into_dyn() })
        }
        "svd" => Array(regular(tape, of!(x, Ix2)).svd().ok()?.s.into_dyn()),
        "qr" => {
            let qr = regular(tape, of!(x, Ix2)).qr().ok()?;
            Array(if integer(0) == 0 { qr.q.square().into_dyn() } else { qr.r.square().into_dyn() })
        }
        // Operations of many scalars.
        "sum_of" => Number(wengert::sum(&vars())),
        "mean_of" => Number(wengert::mean(&vars())),
        "norm_of" => Number(wengert::norm(&vars())),
        "log_sum_exp_of" => Number(wengert::log_sum_exp(&vars())),
        "dot_of" => {
            let x = vars();
            let half = x.len() / 2;
            Number(wengert::dot(&x[..half], &x[half..2 * half]))
        }
        "softmax_of" => Array(tape.stack_vars(&wengert::softmax(&vars())).into_dyn()),
        "stack_vars" => Array(tape.stack_vars(&vars()).into_dyn()),
        "mul_add" => {
            let x = vars();
            Number(x[0].mul_add(x[1], x[2]))
        }
        other => unreachable!("{other}"),
    })
}

const OPERATIONS: [&str; 100] = [
    "sum",
    "mean",
    "product",
    "max_all",
    "min_all",
    "var",
    "std",
    "norm",
    "log_sum_exp",
    "median",
    "quantile",
    "at",
    "sum_axis",
    "mean_axis",
    "product_axis",
    "max_axis",
    "min_axis",
    "var_axis",
    "std_axis",
    "norm_axis",
    "log_sum_exp_axis",
    "median_axis",
    "quantile_axis",
    "softmax",
    "log_softmax",
    "softmax_where",
    "layer_norm",
    "rms_norm",
    "cumsum",
    "cumprod",
    "sort",
    "top_k",
    "slice_axis",
    "slice_axis",
    "slice_axis",
    "flip",
    "flip",
    "t",
    "permuted_axes",
    "swap_axes",
    "index_axis",
    "insert_axis",
    "broadcast",
    "broadcast",
    "reshape",
    "split_at",
    "diag",
    "select",
    "select",
    "gather",
    "scatter_add",
    "index_add",
    "keep_where",
    "roll",
    "repeat",
    "concatenate",
    "stack",
    "pad",
    "tril",
    "triu",
    "dot",
    "dot",
    "dot",
    "matmul",
    "outer",
    "tensordot",
    "einsum",
    "einsum",
    "dense",
    "affine",
    "conv1d",
    "conv_transpose1d",
    "conv2d",
    "conv_transpose2d",
    "max_pool1d",
    "avg_pool1d",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "upsample1d",
    "mse",
    "mae",
    "huber",
    "bce",
    "cross_entropy",
    "cross_entropy_of",
    "kl",
    "inv",
    "det",
    "det_raw",
    "ln_det",
    "solve",
    "solve_triangular",
    "cholesky",
    "eigh",
    "svd",
    "qr",
    "flip",
    "sum_axis",
];

/// Draws the arguments of an operation, unless it does not fit the operands.
struct Draw<'a, 'b> {
    bytes: &'a mut Bytes<'b>,
    /// None for scalars.
    shapes: &'a [Option<Vec<usize>>],
    /// True for operands as they are, outside of domains too.
    raw: bool,
    scalars: bool,
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

fn small(shape: &[usize]) -> Option<()> {
    (shape.len() <= 4 && shape.iter().product::<usize>() <= MOST).then_some(())
}

impl Draw<'_, '_> {
    fn pick(&mut self) -> usize {
        // Late values are the likelier ones.
        let n = self.shapes.len();
        let back = self.bytes.below(n).min(self.bytes.below(n));
        n - 1 - back
    }

    fn below(&mut self, n: usize) -> i64 {
        self.bytes.below(n) as i64
    }

    fn shape(&self, k: usize) -> Vec<usize> {
        self.shapes[k].clone().unwrap_or_default()
    }

    /// A value of so many axes, the last one or one before.
    fn with_axes(&mut self, n: usize) -> Option<usize> {
        let first = self.pick();
        (0..self.shapes.len())
            .map(|i| (first + i) % self.shapes.len())
            .find(|&k| self.shape(k).len() == n && self.shapes[k].is_some())
    }

    fn elementwise(&mut self) -> Option<Step> {
        let raw = self.raw && self.bytes.flag();
        let row = self.bytes.below(UNARY.len() + BINARY.len() + 12);
        let a = self.pick();
        if let Some(row) = UNARY.get(row) {
            let mut step = Step {
                operation: row.name,
                on: vec![a],
                inside: if raw { vec![] } else { vec![row.sample] },
                ..Step::default()
            };
            match row.name {
                "powi" => step.integers = vec![vec![self.below(8) - 2]],
                "polygamma" => step.integers = vec![vec![1 + self.below(3)]],
                "clamp" => step.numbers = vec![-0.75, 0.5],
                "leaky_relu" => step.numbers = vec![0.0625],
                "elu" => step.numbers = vec![1.5],
                _ => {}
            }
            if ["powi", "clamp", "leaky_relu", "elu"].contains(&row.name) {
                step.inside = if raw || self.bytes.flag() { vec![] } else { vec![(0.5, 3.0)] };
            }
            return Some(step);
        }
        let b = self.pick();
        let shape = common(&self.shape(a), &self.shape(b))?;
        small(&shape)?;
        let step = |operation, inside| Some(Step { operation, on: vec![a, b], inside, ..Step::default() });
        if let Some(row) = BINARY.get(row - UNARY.len()) {
            let two = self.shapes[a].is_none() && self.shapes[b].is_none();
            if !two && ["max", "min"].contains(&row.name) {
                return None;
            }
            return step(row.name, if raw { vec![] } else { vec![row.sample.0, row.sample.1] });
        }
        match self.bytes.below(8) {
            0 | 1 => step("add", vec![]),
            2 => step("sub", vec![]),
            3..=5 => step("mul", vec![]),
            6 => step("div", if raw { vec![] } else { vec![(-2.0, 2.0), (0.5, 2.5)] }),
            _ => step("rem", vec![(-2.0, 2.0), (0.5, 0.75)]),
        }
    }

    #[allow(clippy::too_many_lines)]
    fn step(&mut self) -> Option<Step> {
        if self.scalars || self.bytes.below(5) < 2 {
            if self.bytes.below(6) == 0 {
                let all =
                    ["sum_of", "mean_of", "norm_of", "log_sum_exp_of", "dot_of", "softmax_of", "stack_vars", "mul_add"];
                let operation = all[self.bytes.below(all.len())];
                let n = if operation == "mul_add" { 3 } else { 2 + self.bytes.below(4) };
                let on: Vec<usize> = (0..n).map(|_| self.pick()).collect();
                return on.iter().all(|&k| self.shapes[k].is_none()).then_some(Step {
                    operation,
                    on,
                    ..Step::default()
                });
            }
            return self.elementwise();
        }
        let operation = OPERATIONS[self.bytes.below(OPERATIONS.len())];
        let a = self.pick();
        let shape = self.shape(a);
        let n = shape.len();
        let mut step = Step { operation, on: vec![a], ..Step::default() };
        let full = shape.iter().all(|&len| len > 0);
        let axis = if n > 0 { self.bytes.below(n) } else { 0 };
        let len = shape.get(axis).copied().unwrap_or(0);
        self.shapes[a].as_ref()?;
        match operation {
            "sum" | "mean" | "product" | "norm" | "log_sum_exp" => {
                (full || operation != "mean").then_some(())?;
            }
            "max_all" | "min_all" | "median" => full.then_some(())?,
            "quantile" => {
                full.then_some(())?;
                step.numbers = vec![[0.25, 0.5, 0.9, 0.0, 1.0][self.bytes.below(5)]];
            }
            "var" | "std" => {
                (shape.iter().product::<usize>() > 1).then_some(())?;
                step.numbers = vec![self.bytes.below(2) as f64];
            }
            "at" => {
                full.then_some(())?;
                step.integers = vec![shape.iter().map(|&len| self.below(len)).collect()];
            }
            "sum_axis" | "product_axis" | "norm_axis" | "cumsum" | "cumprod" | "flip" | "sort" | "log_sum_exp_axis" => {
                (n > 0).then_some(())?;
                step.integers = vec![vec![axis as i64]];
            }
            "mean_axis" | "max_axis" | "min_axis" | "median_axis" | "softmax" | "log_softmax" => {
                (len > 0).then_some(())?;
                step.integers = vec![vec![axis as i64]];
            }
            "quantile_axis" => {
                (len > 0).then_some(())?;
                step.integers = vec![vec![axis as i64]];
                step.numbers = vec![[0.25, 0.5, 0.9, 0.0, 1.0][self.bytes.below(5)]];
            }
            "var_axis" | "std_axis" => {
                (len > 1).then_some(())?;
                step.integers = vec![vec![axis as i64]];
                step.numbers = vec![self.bytes.below(2) as f64];
            }
            "softmax_where" => {
                (len > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(5)]];
            }
            "layer_norm" | "rms_norm" => {
                (n > 0 && *shape.last()? > 1).then_some(())?;
                step.numbers = vec![[1e-5, 0.125][self.bytes.below(2)]];
            }
            "top_k" => {
                (n > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(len + 1)]];
            }
            "slice_axis" => {
                (n > 0).then_some(())?;
                let (p, q) = (self.below(len + 1), self.below(len + 1));
                let by = [1, -1, 2, -2, 3, -1][self.bytes.below(6)];
                step.integers = vec![vec![axis as i64], vec![p.min(q)], vec![p.max(q)], vec![by]];
            }
            "t" => {}
            "permuted_axes" => {
                (n > 1).then_some(())?;
                let mut axes: Vec<i64> = (0..n as i64).collect();
                axes.swap(axis, self.bytes.below(n));
                axes.rotate_left(self.bytes.below(n));
                step.integers = vec![axes];
            }
            "swap_axes" => {
                (n > 1).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(n)]];
            }
            "index_axis" => {
                (len > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(len)]];
            }
            "insert_axis" => {
                (n < 4).then_some(())?;
                step.integers = vec![vec![self.below(n + 1)]];
            }
            "broadcast" => {
                (n < 4).then_some(())?;
                let mut wide = shape.clone();
                if self.bytes.flag() {
                    wide.insert(0, self.bytes.below(4));
                }
                wide.iter_mut().filter(|len| **len == 1).for_each(|len| *len = self.bytes.below(4));
                small(&wide)?;
                // An axis of length 1 may have become one in front.
                (common(&shape, &wide)? == wide).then_some(())?;
                step.integers = vec![wide.iter().map(|&len| len as i64).collect()];
            }
            "reshape" => {
                let count: i64 = shape.iter().product::<usize>() as i64;
                let split = [1, 2, 3, 4][self.bytes.below(4)];
                step.integers = vec![match self.bytes.below(3) {
                    0 if count % split == 0 => vec![split, count / split],
                    1 if count % split == 0 => vec![count / split, 1, split],
                    _ => vec![count],
                }];
            }
            "split_at" => {
                (n > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(len + 1)], vec![self.below(2)]];
            }
            "diag" => (n == 2).then_some(())?,
            "select" => {
                (len > 0).then_some(())?;
                let chosen = (0..self.bytes.below(6)).map(|_| self.below(len)).collect();
                step.integers = vec![vec![axis as i64], chosen];
            }
            "gather" => {
                (len > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(5)], vec![self.below(5)]];
            }
            "scatter_add" => {
                let b = self.with_axes(n)?;
                (len > 0).then_some(())?;
                let other = self.shape(b);
                (0..n).all(|i| i == axis || other[i] == shape[i]).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![axis as i64], vec![self.below(5)]];
            }
            "index_add" => {
                let b = self.with_axes(n)?;
                (len > 0).then_some(())?;
                let other = self.shape(b);
                (0..n).all(|i| i == axis || other[i] == shape[i]).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![axis as i64], (0..other[axis]).map(|_| self.below(len)).collect()];
            }
            "keep_where" => {
                let b = self.pick();
                let both = common(&shape, &self.shape(b))?;
                small(&both)?;
                step.on.push(b);
                step.integers = vec![both.iter().map(|&len| len as i64).collect(), vec![self.below(5)]];
            }
            "roll" => {
                (n > 0).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![self.below(9) - 4]];
            }
            "repeat" => {
                (n > 0).then_some(())?;
                let times = self.bytes.below(4);
                (shape.iter().product::<usize>() * times <= MOST).then_some(())?;
                step.integers = vec![vec![axis as i64], vec![times as i64]];
            }
            "concatenate" | "stack" => {
                let b = self.with_axes(n)?;
                let other = self.shape(b);
                let stacked = operation == "stack";
                (if stacked { n < 4 } else { n > 0 }).then_some(())?;
                (0..n).all(|i| !stacked && i == axis || other[i] == shape[i]).then_some(())?;
                (3 * shape.iter().product::<usize>().max(other.iter().product()) <= MOST).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![if stacked { self.below(n + 1) } else { axis as i64 }]];
            }
            "pad" => {
                let widths: Vec<i64> = (0..2 * n).map(|_| self.below(3)).collect();
                let padded: Vec<usize> =
                    (0..n).map(|i| shape[i] + (widths[2 * i] + widths[2 * i + 1]) as usize).collect();
                small(&padded)?;
                step.integers = vec![widths];
                step.numbers = vec![0.25];
            }
            "tril" | "triu" => {
                (n >= 2).then_some(())?;
                step.integers = vec![vec![self.below(5) - 2]];
            }
            "dot" => {
                (n == 1 || n == 2).then_some(())?;
                let axes = 1 + self.bytes.below(2);
                let b = self.with_axes(axes)?;
                (shape[n - 1] == self.shape(b)[0]).then_some(())?;
                step.on.push(b);
            }
            "matmul" => {
                (n == 3).then_some(())?;
                let b = self.with_axes(3)?;
                let other = self.shape(b);
                (shape[2] == other[1] && (shape[0] == other[0] || shape[0] == 1 || other[0] == 1)).then_some(())?;
                small(&[shape[0].max(other[0]), shape[1], other[2]])?;
                step.on.push(b);
            }
            "outer" => {
                (n == 1).then_some(())?;
                let b = self.with_axes(1)?;
                small(&[shape[0], self.shape(b)[0]])?;
                step.on.push(b);
            }
            "tensordot" => {
                (n > 0).then_some(())?;
                let b = self.pick();
                let other = self.shape(b);
                let place = other.iter().position(|&length| length == len)?;
                let rest = [&shape[..], &other[..]].concat();
                (len > 0 && rest.len() <= 6 && rest.iter().product::<usize>() / (len * len) <= MOST).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![axis as i64], vec![place as i64]];
            }
            "einsum" => {
                let formula = self.bytes.below(8);
                let b = match formula {
                    0 | 1 | 2 | 4 => Some(self.with_axes(2)?),
                    5 => Some(self.with_axes(3)?),
                    7 => Some(self.with_axes(1)?),
                    _ => None,
                };
                let other = b.map(|b| self.shape(b)).unwrap_or_default();
                let fits = match formula {
                    0 | 4 => n == 2 && shape[1] == other[0],
                    1 => n == 2 && shape == other,
                    2 => n == 2 && shape[1] == other[1],
                    3 => n == 2 && shape[0] == shape[1],
                    5 => n == 3 && shape[0] == other[0] && shape[2] == other[1],
                    6 => n == 2,
                    _ => n == 1,
                };
                fits.then_some(())?;
                step.on.extend(b);
                if formula == 4 {
                    let c = self.with_axes(1)?;
                    (self.shape(c)[0] == other[1]).then_some(())?;
                    step.on.push(c);
                }
                step.integers = vec![vec![formula as i64]];
            }
            "dense" | "affine" => {
                (n == 2).then_some(())?;
                let (b, c) = (self.with_axes(2)?, self.with_axes(1)?);
                (shape[1] == self.shape(b)[0] && self.shape(b)[1] == self.shape(c)[0]).then_some(())?;
                step.on.extend([b, c]);
                step.integers = vec![vec![self.below(4)]];
            }
            "conv1d" | "conv_transpose1d" | "conv2d" | "conv_transpose2d" => {
                let transposed = operation.contains("transpose");
                let axes = if operation.ends_with("1d") { 3 } else { 4 };
                (n == axes && full).then_some(())?;
                let b = self.with_axes(axes)?;
                let kernel = self.shape(b);
                let (stride, padding, dilation) =
                    (1 + self.bytes.below(2), self.bytes.below(2), 1 + self.bytes.below(2));
                let groups = if self.bytes.below(3) == 0 { shape[1] } else { 1 };
                kernel.iter().all(|&len| len > 0).then_some(())?;
                let fits = if transposed {
                    kernel[0] == shape[1]
                        && (2..axes).all(|i| (shape[i] - 1) * stride + dilation * (kernel[i] - 1) + 1 > 2 * padding)
                } else {
                    kernel[1] * groups == shape[1]
                        && kernel[0] % groups == 0
                        && (2..axes).all(|i| shape[i] + 2 * padding > dilation * (kernel[i] - 1))
                };
                fits.then_some(())?;
                let channels = if transposed { kernel[1] * groups } else { kernel[0] };
                let long = |i: usize| {
                    if transposed { shape[i] * stride + dilation * kernel[i] } else { shape[i] + 2 * padding }
                };
                (shape[0] * channels * (2..axes).map(long).product::<usize>() <= 2 * MOST).then_some(())?;
                step.on.push(b);
                step.integers = vec![[stride, padding, dilation, groups].map(|x| x as i64).to_vec()];
            }
            "max_pool1d" | "avg_pool1d" | "max_pool2d" | "avg_pool2d" => {
                let axes = if operation.ends_with("1d") { 3 } else { 4 };
                (n == axes && full).then_some(())?;
                let size = 1 + self.bytes.below(3);
                let (stride, padding) = (1 + self.bytes.below(3), self.bytes.below(size / 2 + 1));
                (2..axes).all(|i| shape[i] + 2 * padding >= size).then_some(())?;
                step.integers = vec![[size, stride, padding].map(|x| x as i64).to_vec(), vec![self.below(2)]];
            }
            "adaptive_avg_pool1d" | "adaptive_max_pool1d" | "upsample1d" => {
                (n == 3 && full).then_some(())?;
                let places = 1 + self.bytes.below(5);
                small(&[shape[0], shape[1], places])?;
                step.integers = vec![vec![places as i64], vec![self.below(2)]];
            }
            "mse" | "mae" | "huber" | "bce" => {
                let b = self.with_axes(n)?;
                (self.shape(b) == shape).then_some(())?;
                step.on.push(b);
                let reduction = self.below(3);
                (full || reduction > 0).then_some(())?;
                step.integers = vec![vec![reduction]];
                step.numbers = vec![0.75];
            }
            "cross_entropy" => {
                (n == 2 && full && shape[1] > 1).then_some(())?;
                let labels: Vec<i64> = (0..shape[0]).map(|_| self.below(shape[1])).collect();
                // Nothing may remain for the mean.
                let ignores = i64::from(labels.iter().any(|&label| label != 0)) * self.below(2);
                step.integers = vec![vec![self.below(3)], labels, vec![self.below(2), self.below(2), ignores]];
            }
            "cross_entropy_of" | "kl" => {
                (n == 2 && full).then_some(())?;
                let b = self.with_axes(2)?;
                (self.shape(b) == shape).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![self.below(2)]];
            }
            "inv" | "det" | "det_raw" | "ln_det" | "cholesky" | "eigh" | "svd" | "qr" => {
                (n == 2 && shape[0] == shape[1] && full).then_some(())?;
                step.integers = vec![vec![self.below(2)]];
            }
            "solve" | "solve_triangular" => {
                (n == 2 && shape[0] == shape[1] && full).then_some(())?;
                let axes = if operation == "solve" { 1 + self.bytes.below(2) } else { 2 };
                let b = self.with_axes(axes)?;
                (self.shape(b)[0] == shape[0] && self.shape(b).iter().all(|&len| len > 0)).then_some(())?;
                step.on.push(b);
                step.integers = vec![vec![self.below(2)], vec![self.below(2)]];
            }
            other => unreachable!("{other}"),
        }
        Some(step)
    }
}

/// Arrays of the inputs, every other one in column-major order.
fn owners<F: Shown>(inputs: &[Input]) -> Vec<ArrayD<F>> {
    let mut k = 0;
    inputs
        .iter()
        .enumerate()
        .map(|(i, input)| {
            let shape = input.shape.clone().unwrap_or_default();
            let numbers = input.data.iter().map(|&x| {
                if input.is_constant {
                    return F::lit(x);
                }
                k += 1;
                F::of(x, k - 1)
            });
            let rows = ArrayD::from_shape_vec(IxDyn(&shape), numbers.collect()).expect("as many elements");
            if i % 2 == 0 {
                return rows;
            }
            let mut columns =
                ArrayD::from_elem(IxDyn(&shape.iter().rev().copied().collect::<Vec<_>>()), F::zero()).reversed_axes();
            columns.assign(&rows);
            columns
        })
        .collect()
}

fn start<'t, F: Shown>(tape: &'t Tape<F>, inputs: &[Input], owners: &'t [ArrayD<F>]) -> Vec<Value<'t, F>> {
    let each = inputs.iter().zip(owners).map(|(input, owner)| match (&input.shape, input.is_constant) {
        (None, true) => Number(Var::constant(*owner.first().expect("a number"))),
        (None, false) => Number(tape.var(*owner.first().expect("a number"))),
        (Some(_), true) => Array(tape.constant(owner)),
        (Some(_), false) => Array(tape.tensor(owner)),
    });
    each.collect()
}

/// The gradient of the weighted sum, for each input that is no constant.
fn sweep<F: Shown>(pool: &[Value<'_, F>], inputs: &[Input], weights: &[f64]) -> Outcome<F> {
    let terms = pool.iter().zip(weights).filter(|(_, w)| **w != 0.0);
    let total = terms.fold(Var::constant(F::zero()), |total, (x, &w)| total + x.sum() * F::lit(w));
    let free = || inputs.iter().zip(pool).filter(|(input, _)| !input.is_constant);
    if total.is_constant() {
        return (total.value(), free().map(|(input, _)| vec![F::zero(); input.data.len()]).collect());
    }
    let gradient = total.backward();
    let of = |x: &Value<'_, F>| match *x {
        Array(x) => gradient.wrt(x).iter().copied().collect(),
        Number(x) => vec![gradient.wrt(x)],
    };
    (total.value(), free().map(|(_, x)| of(x)).collect())
}

/// The program of bytes on numbers `F`, the sums and shapes of its values, and its outcome.
fn build<F: Shown>(data: &[u8]) -> (Program, Vec<F>, Vec<Option<Vec<usize>>>, Outcome<F>) {
    let mut bytes = Bytes(data);
    let raw = bytes.below(4) == 0;
    let grid = raw || bytes.below(8) == 0;
    let special = raw && bytes.flag();
    let scalars = bytes.below(5) == 0;
    let mut inputs = Vec::new();
    let lengths = [0, 1, 1, 2, 2, 2, 3, 3, 3, 4];
    for _ in 0..1 + bytes.below(4) {
        let is_number = scalars || bytes.below(6) == 0;
        let shape: Vec<usize> = if is_number {
            vec![]
        } else {
            (0..[0, 1, 2, 2, 2, 3, 3, 4][bytes.below(8)]).map(|_| lengths[bytes.below(10)]).collect()
        };
        let number = |bytes: &mut Bytes<'_>| {
            let x = if grid {
                bytes.number(special)
            } else {
                let tiny = (usize::from(bytes.byte()) << 16
                    | usize::from(bytes.byte()) << 8
                    | usize::from(bytes.byte())) as f64;
                tiny / 4194304.0 - 2.0
            };
            // As the floats themselves have it.
            if F::NAME == "f32" { f64::from(x as f32) } else { x }
        };
        let data = (0..shape.iter().product()).map(|_| number(&mut bytes)).collect();
        inputs.push(Input { shape: (!is_number).then_some(shape), data, is_constant: bytes.below(12) == 0 });
    }

    let tape = Tape::<F>::new();
    let arrays = owners(&inputs);
    let mut pool = start(&tape, &inputs, &arrays);
    let mut shapes: Vec<_> = pool.iter().map(|x| x.shape()).collect();
    let mut steps = Vec::new();
    let most = 1 + bytes.below(20);
    for _ in 0..200 {
        if steps.len() == most || bytes.is_empty() {
            break;
        }
        let Some(step) = (Draw { bytes: &mut bytes, shapes: &shapes, raw, scalars }).step() else { continue };
        let Some(value) = apply(&tape, &step, &pool) else { continue };
        pool.push(value);
        shapes.push(value.shape());
        steps.push(step);
    }

    let sums: Vec<F> = pool.iter().map(|x| x.sum().value()).collect();
    // Numbers that are not finite, or large, would hide the others.
    let hides = |x: &F| !(x.size() < 1e6);
    let keeps_all = raw && bytes.below(8) == 0;
    let weights: Vec<f64> = sums
        .iter()
        .enumerate()
        .map(|(k, x)| if hides(x) && !keeps_all { 0.0 } else { 1.0 / (1 + k % 5) as f64 })
        .collect();
    let outcome = sweep(&pool, &inputs, &weights);
    (Program { raw, inputs, steps, weights }, sums, shapes, outcome)
}

/// Runs the first steps of a program; none if a decomposition fails.
fn run<'t, F: Shown>(
    tape: &'t Tape<F>,
    program: &Program,
    owners: &'t [ArrayD<F>],
    steps: usize,
) -> Option<Vec<Value<'t, F>>> {
    let mut pool = start(tape, &program.inputs, owners);
    for step in &program.steps[..steps] {
        pool.push(apply(tape, step, &pool)?);
    }
    Some(pool)
}

fn outcome<F: Shown>(tape: &Tape<F>, program: &Program) -> Option<Outcome<F>> {
    let owners = owners(&program.inputs);
    let pool = run(tape, program, &owners, program.steps.len())?;
    Some(sweep(&pool, &program.inputs, &program.weights))
}

fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    format!("[{}]", items.into_iter().map(show).collect::<Vec<_>>().join(", "))
}

/// A number as Python's `json` reads it.
fn json<T: Debug>(x: T) -> String {
    match &*format!("{x:?}") {
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        number => number.into(),
    }
}

/// One program of numbers `F`, as a line.
fn line_of<F: Shown>(data: &[u8], seed: u64, with_hvp: bool) -> String {
    let (program, sums, shapes, (value, gradient)) = build::<F>(data);
    let Program { raw, inputs, steps, weights } = &program;
    let mut line = format!("{{\"seed\": {seed}, \"float\": \"{}\", \"raw\": {raw}, \"inputs\": ", F::NAME);
    line += &list(inputs, |input| {
        format!(
            "{{\"shape\": {:?}, \"data\": {}, \"constant\": {}}}",
            input.shape.clone().unwrap_or_default(),
            list(&input.data, json),
            input.is_constant
        )
    });
    line += ", \"steps\": ";
    line += &list(steps, |step| {
        format!(
            "{{\"op\": \"{}\", \"on\": {:?}, \"inside\": {}, \"ints\": {:?}, \"numbers\": {}}}",
            step.operation,
            step.on,
            list(&step.inside, |(low, high)| format!("[{low:?}, {high:?}]")),
            step.integers,
            list(&step.numbers, json),
        )
    });
    let rows = |gradient: &[Vec<F>]| list(gradient, |row| list(row, |x| json(x.shown())));
    write!(
        line,
        ", \"shapes\": {}, \"weights\": {weights:?}, \"sums\": {}, \"value\": {}, \"gradient\": {}",
        list(&shapes, |shape| format!("{:?}", shape.clone().unwrap_or_default())),
        list(&sums, |x| json(x.shown())),
        json(value.shown()),
        rows(&gradient)
    )
    .expect("strings take text");
    if with_hvp {
        let (_, product) = outcome(&Tape::<Moving>::new(), &program).expect("the primal did not fail");
        line += &format!(", \"hvp\": {}", list(product, |row| list(row, |x| json(x.shown()))));
    }
    line.push('}');
    line
}

/// The program with a number, as a line of JSON: on `f32`, on `f64` or with the product of the Hessian with the direction.
pub fn line(seed: u64) -> String {
    let mut state = splitmix(&mut seed.clone());
    let data: Vec<u8> = (0..2500).map(|_| splitmix(&mut state) as u8).collect();
    if seed % 3 == 2 { line_of::<f32>(&data, seed, false) } else { line_of::<f64>(&data, seed, seed % 3 == 1) }
}

/// Runs the check: the tape after `clear`, also after a panic, and second derivatives against first ones and each other.
pub fn check(data: &[u8]) {
    let (program, _, _, (value, gradient)) = build::<f64>(data);
    let bits = |x: &[Vec<f64>]| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut tape = Tape::<f64>::new();
    let half = program.steps.len() / 2;
    for round in 0..3 {
        let (again, same) = outcome(&tape, &program).expect("it did not fail before");
        assert!(
            again.to_bits() == value.to_bits() && bits(&same) == bits(&gradient),
            "round {round} on a cleared tape: {again:e}, {same:?} for {value:e}, {gradient:?}"
        );
        tape.clear();
        // Another recording, which ends half-way, by a panic of the crate or without one.
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let owners = owners(&program.inputs);
            let pool = run(&tape, &program, &owners, half).expect("it did not fail before");
            let last = pool[pool.len() - 1];
            if round == 0 {
                let x = last.array(&tape);
                let _ = x.reshape(IxDyn(&[x.len() + 1]));
            }
            let sum = last.sum();
            if !sum.is_constant() {
                let _ = sum.backward();
            }
        }));
        assert!(broken.is_err() == (round == 0), "a reshape to more elements");
        tape.clear();
    }

    let Some((primal, product)) = outcome(&Tape::<Moving>::new(), &program) else { return };
    let flat: Vec<f64> = gradient.into_iter().flatten().collect();
    let product: Vec<Moving> = product.into_iter().flatten().collect();
    let scale = flat.iter().fold(1.0 + value.abs(), |scale, d| scale.max(d.abs()));
    if program.raw || !(scale < 1e8) {
        return;
    }
    assert!(agree(primal.primal(), value, scale), "value {value:e}, of dual numbers {:e}", primal.primal());
    for (d, &want) in product.iter().zip(&flat) {
        assert!(agree(d.primal(), want, scale), "partial {want:e}, of dual numbers {:e}", d.primal());
    }
    let terms = || product.iter().enumerate();
    let (one, other) = terms().fold((0.0, 0.0), |(one, other), (k, d)| {
        (one + d.tangents()[0] * direction(k + 100), other + d.tangents()[1] * direction(k))
    });
    let size: f64 = terms().map(|(_, d)| d.tangents()[0].abs() + d.tangents()[1].abs()).sum();
    if size < 1e8 {
        assert!(agree(one, other, 1e2 * (size + scale)), "second derivatives in two orders: {one:e}, {other:e}");
    }
}
