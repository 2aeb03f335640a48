//! Contractions: sums of products over any axes, each as a product of matrices.

use ndarray::{Axis, Dimension, Ix1, Ix2, IxDyn};

use super::handle::Tensor;
use crate::number::Scalar;
use crate::scalar::two_tapes;
use crate::tape::Tape;

/// A tensor with a name for each axis.
struct Named<'t, F: Scalar> {
    names: Vec<char>,
    x: Tensor<'t, F, IxDyn>,
}

impl<'t, F: Scalar> Named<'t, F> {
    fn length(&self, name: char) -> usize {
        self.x.shape()[self.axis(name)]
    }

    fn axis(&self, name: char) -> usize {
        self.names.iter().position(|&own| own == name).expect("one of the names")
    }

    /// Without the axes of which `keep` is false: sums along them.
    #[track_caller]
    fn sum_others(mut self, keep: impl Fn(char) -> bool) -> Self {
        while let Some(axis) = self.names.iter().position(|&name| !keep(name)) {
            self.names.remove(axis);
            self.x = self.x.sum_axis(Axis(axis));
        }
        self
    }

    /// The diagonal along axes of one name.
    #[track_caller]
    fn diagonal(mut self) -> Self {
        while let Some((first, second)) = twice(&self.names) {
            let shape = self.x.shape();
            let (n, last) = (shape[first], self.names.len() - 1);
            // Both axes last, as one: its diagonal is every (n + 1)-th element.
            let mut order: Vec<usize> = (0..=last).filter(|&axis| axis != first && axis != second).collect();
            let mut lengths: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
            lengths.push(n * n);
            self.names = order.iter().map(|&axis| self.names[axis]).chain([self.names[first]]).collect();
            order.extend([first, second]);
            let places: Vec<usize> = (0..n).map(|i| i * (n + 1)).collect();
            let joined = self.x.permuted_axes(IxDyn(&order)).reshape(IxDyn(&lengths));
            self.x = joined.select(Axis(last - 1), &places);
        }
        self
    }

    /// The axes in the order of these groups, each group as one axis.
    #[track_caller]
    fn grouped(&self, groups: [&[char]; 3]) -> Tensor<'t, F, ndarray::Ix3> {
        let order: Vec<usize> = groups.concat().into_iter().map(|name| self.axis(name)).collect();
        let lengths = groups.map(|group| group.iter().map(|&name| self.length(name)).product());
        self.x.permuted_axes(IxDyn(&order)).reshape(ndarray::Ix3(lengths[0], lengths[1], lengths[2]))
    }
}

fn twice(names: &[char]) -> Option<(usize, usize)> {
    (0..names.len()).find_map(|i| names[..i].iter().position(|&name| name == names[i]).map(|first| (first, i)))
}

/// Σ a b over the names of which `keep` is false.
#[track_caller]
fn contract<'t, F: Scalar>(a: Named<'t, F>, b: Named<'t, F>, keep: impl Fn(char) -> bool) -> Named<'t, F> {
    let a = a.sum_others(|name| keep(name) || b.names.contains(&name));
    let b = b.sum_others(|name| keep(name) || a.names.contains(&name));
    let (shared, left): (Vec<char>, Vec<char>) = a.names.iter().partition(|name| b.names.contains(name));
    let (batch, inner): (Vec<char>, Vec<char>) = shared.into_iter().partition(|&name| keep(name));
    let right: Vec<char> = b.names.iter().copied().filter(|name| !a.names.contains(name)).collect();
    let names = [&batch[..], &left, &right].concat();
    let lengths: Vec<usize> =
        names.iter().map(|&name| if right.contains(&name) { b.length(name) } else { a.length(name) }).collect();
    let product = if inner.is_empty() {
        a.grouped([&batch, &left, &[]]) * b.grouped([&batch, &[], &right])
    } else if left.is_empty() && right.is_empty() {
        (a.grouped([&batch, &[], &inner]) * b.grouped([&batch, &[], &inner])).sum_axis(Axis(2)).insert_axis(Axis(2))
    } else {
        a.grouped([&batch, &left, &inner]).matmul(b.grouped([&batch, &inner, &right]))
    };
    Named { names, x: product.reshape(IxDyn(&lengths)) }
}

impl<F: Scalar> Tape<F> {
    /// The sum of products that a formula of indices names, numpy's `einsum`: `"ik,kj->ij"` is the product of two matrices,
    /// Σₖ aᵢₖ bₖⱼ. Each letter is an index, of an axis of one operand or of several; indices that are not in the result are
    /// summed over, an index that is twice in one operand runs along its diagonal.
    ///
    /// Two operands at a time are contracted, from left to right, each pair as a product of matrices; of many operands the
    /// order counts for the time.
    ///
    /// ```
    /// use wengert::ndarray::{Array3, array};
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let (a, b) = (Array3::ones((2, 3, 4)), array![1.0, 2.0, 3.0, 4.0]);
    /// let (x, w) = (tape.tensor(&a), tape.tensor(&b));
    /// let y = tape.einsum("bik,k->bi", &[x.into_dyn(), w.into_dyn()]);
    /// assert_eq!(y.shape(), [2, 3]);
    /// assert_eq!(y.sum().backward().wrt(w), array![6.0, 6.0, 6.0, 6.0]);
    ///
    /// let m = array![[1.0, 2.0], [3.0, 4.0]];
    /// let trace = tape.einsum("ii->", &[tape.tensor(&m).into_dyn()]);
    /// assert_eq!(trace.sum().value(), 5.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If the formula has no `->`, an index that is no letter, another number of operands or of axes, an index of two
    /// lengths, or a result whose index occurs twice or in no operand; or if the tapes differ.
    #[track_caller]
    pub fn einsum<'t>(&'t self, formula: &str, operands: &[Tensor<'t, F, IxDyn>]) -> Tensor<'t, F, IxDyn> {
        let text: String = formula.chars().filter(|c| !c.is_whitespace()).collect();
        let Some((inputs, output)) = text.split_once("->") else {
            panic!("einsum: the formula {formula:?} has no `->` before the indices of the result");
        };
        let inputs: Vec<Vec<char>> = inputs.split(',').map(|names| names.chars().collect()).collect();
        let output: Vec<char> = output.chars().collect();
        if let Some(other) = inputs.iter().flatten().chain(&output).find(|name| !name.is_alphabetic()) {
            panic!("einsum: {other:?} in the formula {formula:?} is no letter");
        }
        assert!(
            inputs.len() == operands.len(),
            "einsum: the formula {formula:?} is of {} operands, there are {}",
            inputs.len(),
            operands.len()
        );
        let mut lengths: Vec<(char, usize)> = Vec::new();
        for (names, x) in inputs.iter().zip(operands) {
            if !std::ptr::eq(self, x.tape) {
                two_tapes(self, x.tape);
            }
            assert!(
                names.len() == x.ndim(),
                "einsum: {:?} in the formula {formula:?} does not name the {} axes of an operand of shape {:?}",
                names.iter().collect::<String>(),
                x.ndim(),
                x.shape()
            );
            for (&name, &length) in names.iter().zip(x.shape()) {
                let known = lengths.iter().find(|(known, _)| *known == name).map_or(length, |(_, length)| *length);
                assert!(
                    known == length,
                    "einsum: the index {name} of {formula:?} has the lengths {known} and {length}"
                );
                lengths.push((name, length));
            }
        }
        assert!(
            twice(&output).is_none() && output.iter().all(|name| inputs.iter().flatten().any(|known| known == name)),
            "einsum: an index of the result of {formula:?} occurs twice, or in no operand"
        );
        let mut named = inputs.into_iter().zip(operands).map(|(names, &x)| Named { names, x }.diagonal());
        let mut rest: Vec<Named<'t, F>> = named.by_ref().rev().collect();
        let mut result = rest.pop().expect("a formula has an operand");
        while let Some(next) = rest.pop() {
            let keep = |name: char| output.contains(&name) || rest.iter().any(|later| later.names.contains(&name));
            result = contract(result, next, keep);
        }
        let result = result.sum_others(|name| output.contains(&name));
        let order: Vec<usize> = output.iter().map(|&name| result.axis(name)).collect();
        result.x.permuted_axes(IxDyn(&order))
    }
}

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// The sum of products over pairs of axes, as one product of matrices: the result has the other axes of this tensor, then
    /// those of the other one. `axes` lists those to sum over in both, pair by pair; numpy's `tensordot`.
    ///
    /// ```
    /// use wengert::ndarray::{Array2, Array3};
    ///
    /// let tape = wengert::Tape::<f64>::new();
    /// let (a, b) = (Array3::ones((2, 3, 4)), Array2::ones((4, 2)));
    /// let z = tape.tensor(&a).tensordot(tape.tensor(&b), [&[2, 0], &[0, 1]]);
    /// assert_eq!(z.shape(), [3]);
    /// assert_eq!(z.at(ndarray::IxDyn(&[0])).value(), 8.0);
    /// ```
    ///
    /// # Panics
    ///
    /// If an axis is out of range or listed twice, the lists or the lengths of a pair differ, or the tapes do.
    #[track_caller]
    pub fn tensordot<E: Dimension + 't>(self, rhs: Tensor<'t, F, E>, axes: [&[usize]; 2]) -> Tensor<'t, F, IxDyn> {
        self.assert_same_tape(rhs);
        let (left, right) = (self.shape(), rhs.shape());
        let [a, b] = axes;
        let once =
            |axes: &[usize], n: usize| axes.iter().enumerate().all(|(i, axis)| *axis < n && !axes[..i].contains(axis));
        assert!(
            a.len() == b.len()
                && once(a, left.len())
                && once(b, right.len())
                && a.iter().zip(b).all(|(&a, &b)| left[a] == right[b]),
            "tensordot: axes {a:?} of shape {left:?} and {b:?} of {right:?} do not pair: each list has different axes in range, \
             and the lengths of a pair are equal"
        );
        // Names by number: those of the axes of `self`, then those of `rhs` that have no partner.
        let name = |number: usize| char::from_u32(number as u32).expect("few axes");
        let names = (0..left.len()).map(name).collect();
        let partner = |axis: usize| b.iter().position(|&other| other == axis).map_or(left.len() + axis, |i| a[i]);
        let others = (0..right.len()).map(|axis| name(partner(axis))).collect();
        let [x, y] = [Named { names, x: self.into_dyn() }, Named { names: others, x: rhs.into_dyn() }];
        contract(x, y, |kept| a.iter().all(|&axis| name(axis) != kept)).x
    }
}

impl<'t, F: Scalar> Tensor<'t, F, Ix1> {
    /// The outer product of two vectors, zᵢⱼ = xᵢ yⱼ.
    ///
    /// ```
    /// use wengert::ndarray::array;
    ///
    /// let tape = wengert::Tape::new();
    /// let (a, b) = (array![1.0, 2.0], array![3.0, 4.0, 5.0]);
    /// let z = tape.tensor(&a).outer(tape.tensor(&b));
    /// assert_eq!(z.value(), array![[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the tapes differ.
    #[track_caller]
    pub fn outer(self, rhs: Self) -> Tensor<'t, F, Ix2> {
        self.insert_axis(Axis(1)) * rhs.insert_axis(Axis(0))
    }
}
