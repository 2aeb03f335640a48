//! The results of steps.

use ndarray::{ArrayD, Axis, Ix1, Ix2, Ix3, Ix4, IxDyn, Slice};
use wengert::loss::{AbsoluteError, BceWithLogits, CrossEntropy, Huber, KlDivergence, SquaredError};
use wengert::rules::{BINARY, UNARY};
use wengert::{Activation, Conv, Diag, Interpolation, Pool, Real, Scalar, Tape, Tensor, Uplo};

use super::Value::{Array, Number};
use super::{Dyn, Step, Value};

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
pub(super) fn apply<'t, F: Scalar>(tape: &'t Tape<F>, step: &Step, pool: &[Value<'t, F>]) -> Option<Value<'t, F>> {
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
