//! Checkpoints of tensors and of parts of a network, which the sweep computes again instead of reading stored values.

use ndarray::{ArrayView, Dimension};

use super::on::ParamsOn;
use super::store::Params;
use crate::number::Scalar;
use crate::scalar::assert_same;
use crate::tape::{OperationKind, SINK};
use crate::tensor::Tensor;

impl<'t, F: Scalar, D: Dimension + 't> Tensor<'t, F, D> {
    /// `f(self)` in less memory: the tape keeps only the result, and the sweep computes `f` again. See
    /// [`Tape::checkpoint`](crate::Tape::checkpoint), and [`ParamsOn::checkpoint`] for parts of a network with their
    /// parameters.
    ///
    /// ```
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![0.1, 0.2];
    /// let x = tape.tensor(&data);
    /// let y = x.checkpoint(|x| x.sin().exp() * x);
    /// let expected = (x.sin().exp() * x).sum().backward().wrt(x);
    /// assert_eq!(y.sum().backward().wrt(x), expected);
    /// ```
    ///
    /// ```compile_fail
    /// let tape = wengert::Tape::new();
    /// let data = ndarray::array![0.1, 0.2];
    /// let [x, w] = [tape.tensor(&data); 2];
    /// let y = x.checkpoint(|x| x * w); // w is not an input of the closure
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`Tape::checkpoint`](crate::Tape::checkpoint).
    #[track_caller]
    pub fn checkpoint<E: Dimension + 't>(
        self,
        f: impl for<'s> Fn(Tensor<'s, F, D>) -> Tensor<'s, F, E> + Copy + 't,
    ) -> Tensor<'t, F, E> {
        self.tape().alloc(Params::new()).frozen_on(self.tape()).checkpoint(self, move |_, x| f(x))
    }
}

impl<'t, 'env, F: Scalar> ParamsOn<'t, 'env, F> {
    /// `f(self, x)`, a part of a network, in less memory: the tape keeps only the result, and the sweep computes `f`
    /// again. See [`Tape::checkpoint`](crate::Tape::checkpoint).
    ///
    /// ```
    /// use ndarray::array;
    /// use wengert::{Params, Tape};
    ///
    /// let mut params = Params::<f64>::new();
    /// let w = params.add("w", array![[0.5, -0.2], [0.1, 0.9]]);
    /// let data = array![[1.0, 2.0]];
    /// let mut tape = Tape::new();
    /// let (_, stored) = tape.value_and_grad(&params, |p| p.constant(&data).dot(p.get(w)).tanh().sum());
    /// let stored = stored.to_vec();
    /// let (_, again) = tape.value_and_grad(&params, |p| {
    ///     p.checkpoint(p.constant(&data), |p, x| x.dot(p.get(w)).tanh()).sum()
    /// });
    /// assert_eq!(again, stored);
    /// ```
    ///
    /// # Panics
    ///
    /// Same as for [`Tape::checkpoint`](crate::Tape::checkpoint).
    #[track_caller]
    pub fn checkpoint<D: Dimension + 't, E: Dimension + 't>(
        self,
        x: Tensor<'t, F, D>,
        f: impl for<'s> Fn(ParamsOn<'s, 'env, F>, Tensor<'s, F, D>) -> Tensor<'s, F, E> + Copy + 't,
    ) -> Tensor<'t, F, E> {
        let (outer, first) = (self.tape(), self.first_slot());
        assert!(
            std::ptr::eq(outer, x.tape()),
            "checkpoint: the input belongs to tape {:p}, the parameters to tape {outer:p}",
            x.tape()
        );
        let (dim, values, own) = outer.with_spare(|tape| {
            let x = x.value();
            let y = f(self.moved(tape, false), tape.constant(&x));
            let values = &*outer.arena().alloc_slice_fill_iter(y.value().iter().copied());
            (y.dim(), values, std::ptr::eq(tape, y.tape()))
        });
        assert!(
            own,
            "checkpoint: the closure returns a tensor that is not computed from its inputs; pass it as one, or use it outside"
        );
        let shape = outer.alloc(dim.clone());
        let constant = x.is_constant() && first == SINK;
        let kind = OperationKind::unary("checkpoint", x.node().source());
        Tensor::result(outer, kind, dim, values, constant, move |cotangents| {
            outer.with_spare(|tape| {
                let view = x.value();
                let input = if x.is_constant() { tape.constant(&view) } else { tape.tensor(&view) };
                let weights = self.moved(tape, first != SINK);
                let y = f(weights, input);
                assert_same(values, y.value().iter().copied());
                let cotangent = ArrayView::from_shape(shape.clone(), cotangents.of_result);
                let gradient = tape.backward_with([y.seed(&cotangent.expect("as many elements as the shape has"))]);
                if !x.is_constant() {
                    let dx = gradient.wrt(input);
                    x.node().accumulate(&mut cotangents.of_operands, dx.as_slice().expect("in standard layout"));
                }
                if first != SINK {
                    let adjoints = cotangents.of_operands.run(first as usize..first as usize + self.params().len());
                    for (sum, term) in adjoints.iter_mut().zip(&gradient.wrt(weights.flat())) {
                        *sum += *term;
                    }
                }
            });
        })
    }
}
