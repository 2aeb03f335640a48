//! Steps that fit the values so far, from bytes.

use wengert::rules::{BINARY, UNARY};

use super::{MOST, Step};
use crate::Bytes;

#[rustfmt::skip]
const OPERATIONS: [&str; 100] = [
    "sum", "mean", "product", "max_all", "min_all", "var", "std", "norm", "log_sum_exp", "median", "quantile", "at",
    "sum_axis", "mean_axis", "product_axis", "max_axis", "min_axis", "var_axis", "std_axis", "norm_axis",
    "log_sum_exp_axis", "median_axis", "quantile_axis", "softmax", "log_softmax", "softmax_where", "layer_norm",
    "rms_norm", "cumsum", "cumprod", "sort", "top_k", "slice_axis", "slice_axis", "slice_axis", "flip", "flip", "t",
    "permuted_axes", "swap_axes", "index_axis", "insert_axis", "broadcast", "broadcast", "reshape", "split_at", "diag",
    "select", "select", "gather", "scatter_add", "index_add", "keep_where", "roll", "repeat", "concatenate", "stack",
    "pad", "tril", "triu", "dot", "dot", "dot", "matmul", "outer", "tensordot", "einsum", "einsum", "dense", "affine",
    "conv1d", "conv_transpose1d", "conv2d", "conv_transpose2d", "max_pool1d", "avg_pool1d", "max_pool2d", "avg_pool2d",
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "upsample1d", "mse", "mae", "huber", "bce", "cross_entropy",
    "cross_entropy_of", "kl", "inv", "det", "det_raw", "ln_det", "solve", "solve_triangular", "cholesky", "eigh", "svd",
    "qr", "flip", "sum_axis",
];

/// Draws the arguments of an operation, unless it does not fit the operands.
pub(super) struct Draw<'a, 'b> {
    pub(super) bytes: &'a mut Bytes<'b>,
    /// None for scalars.
    pub(super) shapes: &'a [Option<Vec<usize>>],
    /// True for operands as they are, outside of domains too.
    pub(super) raw: bool,
    pub(super) scalars: bool,
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
    pub(super) fn step(&mut self) -> Option<Step> {
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
