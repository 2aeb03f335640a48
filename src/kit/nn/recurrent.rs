//! Recurrent cells, and their runs over a sequence.

use ndarray::{Array3, ArrayView, Axis, Ix1, Ix2, Ix3, s};
use rand::Rng;

use super::linear::affine;
use super::{add_matrix, add_uniform};
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::tape::SINK;
use crate::tensor::Tensor;

type Matrix<'t, F> = Tensor<'t, F, Ix2>;

/// The weights of a cell; the columns of its gates stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CellWeights {
    weight_ih: Param<Ix2>,
    weight_hh: Param<Ix2>,
    bias_ih: Param<Ix1>,
    bias_hh: Param<Ix1>,
    hidden: usize,
}

impl CellWeights {
    #[track_caller]
    fn new<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        [inputs, hidden, gates]: [usize; 3],
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let units = gates * hidden;
        Self {
            weight_ih: add_matrix(params, name, "weight_ih", Ix2(inputs, units), hidden, rng),
            weight_hh: add_matrix(params, name, "weight_hh", Ix2(hidden, units), hidden, rng),
            bias_ih: add_uniform(params, name, "bias_ih", Ix1(units), hidden, rng),
            bias_hh: add_uniform(params, name, "bias_hh", Ix1(units), hidden, rng),
            hidden,
        }
    }

    /// The contribution of the input to all gates.
    #[track_caller]
    fn of_input<'t, F: Scalar, D: ndarray::Dimension>(
        self,
        p: ParamsOn<'t, '_, F>,
        x: Tensor<'t, F, D>,
    ) -> Tensor<'t, F, D> {
        affine(p, x, self.weight_ih, Some(self.bias_ih))
    }

    /// The contribution of the state to all gates.
    #[track_caller]
    fn of_state<'t, F: Scalar>(self, p: ParamsOn<'t, '_, F>, h: Matrix<'t, F>) -> Matrix<'t, F> {
        affine(p, h, self.weight_hh, Some(self.bias_hh))
    }

    /// The columns of one gate.
    fn gate<F: Scalar>(self, gates: Matrix<'_, F>, gate: usize) -> Matrix<'_, F> {
        gates.slice(s![.., gate * self.hidden..(gate + 1) * self.hidden])
    }

    /// A constant state of zeros.
    fn zeros<'t, F: Scalar>(self, p: ParamsOn<'t, '_, F>, samples: usize) -> Matrix<'t, F> {
        let zeros = &*p.tape().arena().alloc_slice_fill_copy(samples * self.hidden, F::zero());
        let values = ArrayView::from_shape((samples, self.hidden), zeros).expect("as many zeros");
        Tensor::over(p.tape(), values, zeros, SINK)
    }

    /// Runs `step(contribution of the input, state)` over the first axis of a sequence (steps, samples, inputs). The
    /// result is the stack of all hidden states, which `hidden` reads from the states, and the last state.
    #[track_caller]
    fn run<'t, F: Scalar, S: Copy>(
        self,
        p: ParamsOn<'t, '_, F>,
        sequence: Tensor<'t, F, Ix3>,
        mut state: S,
        step: impl Fn(Matrix<'t, F>, S) -> S,
        hidden: impl Fn(S) -> Matrix<'t, F>,
    ) -> (Tensor<'t, F, Ix3>, S) {
        // One product for the inputs of all steps.
        let inputs = self.of_input(p, sequence);
        let (steps, samples) = (inputs.shape()[0], inputs.shape()[1]);
        if steps == 0 {
            return (p.constant(Array3::from_elem((0, samples, self.hidden), F::zero())), state);
        }
        let outputs = p.tape().arena().alloc_slice_fill_with(steps, |i| {
            state = step(inputs.index_axis(Axis(0), i), state);
            hidden(state)
        });
        (p.tape().stack(Axis(0), outputs), state)
    }
}

/// Defines cells by their number of gates.
macro_rules! cells {
    ($($(#[doc = $doc:literal])+ $Name:ident $gates:literal)+) => { $(
        $( #[doc = $doc] )+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name(CellWeights);

        impl $Name {
            /// Adds `name.weight_ih` of shape (inputs, gates · hidden), `name.weight_hh` of shape
            /// (hidden, gates · hidden), `name.bias_ih` and `name.bias_hh`, all uniform on
            /// ±1/√hidden (PyTorch's default).
            ///
            /// # Panics
            ///
            /// If there is a parameter of the same name.
            #[track_caller]
            pub fn new<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                inputs: usize,
                hidden: usize,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                Self(CellWeights::new(params, name, [inputs, hidden, $gates], rng))
            }
        }
    )+ };
}
cells! {
    /// Elman's cell: h' = tanh(x W + b + h U + c) (Elman 1990, "Finding structure in time",
    /// Cognitive Science 14).
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::RnnCell;
    /// use wengert::{Params, Tape, ndarray::Array3};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let cell = RnnCell::new(&mut params, "rnn", 3, 5, &mut rng);
    /// let (tape, steps) = (Tape::new(), Array3::<f64>::zeros((7, 2, 3)));
    /// let p = params.on(&tape);
    /// let (states, last) = cell.run(p, p.constant(&steps), None);
    /// assert_eq!((states.shape(), last.shape()), (&[7, 2, 5][..], &[2, 5][..]));
    /// ```
    RnnCell 1
    /// The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), in the form of PyTorch and
    /// cuDNN: with the gates r, z, n side by side in the weights
    ///
    /// r = σ(x Wᵣ + bᵣ + h Uᵣ + cᵣ), z likewise, n = tanh(x Wₙ + bₙ + r (h Uₙ + cₙ)),
    ///
    /// h' = (1 - z) n + z h.
    GruCell 3
    /// The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers,
    /// Schmidhuber and Cummins 2000): with the gates i, f, g, o side by side in the weights
    ///
    /// i = σ(x Wᵢ + bᵢ + h Uᵢ + cᵢ), f and o likewise, g = tanh(x W + b + h U + c),
    ///
    /// c' = f c + i g, h' = o tanh c'. The state is (h, c).
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::LstmCell;
    /// use wengert::{Params, Tape, ndarray::Array3};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let cell = LstmCell::new(&mut params, "lstm", 3, 5, &mut rng);
    /// let (tape, steps) = (Tape::new(), Array3::<f64>::zeros((7, 2, 3)));
    /// let p = params.on(&tape);
    /// let (states, (h, c)) = cell.run(p, p.constant(&steps), None);
    /// assert_eq!(states.shape(), [7, 2, 5]);
    /// // Continues from the last state, as for a sequence that is cut into pieces.
    /// let (states, _) = cell.run(p, p.constant(&steps), Some((h, c)));
    /// ```
    LstmCell 4
}

/// Defines the public methods of a cell with one matrix as its state, by the cell's `step`.
macro_rules! one_state {
    ($Cell:ident) => {
        impl $Cell {
            /// The next state, (samples, hidden), after the state `h` and an input (samples, inputs).
            ///
            /// # Panics
            ///
            /// If the shapes do not fit.
            #[track_caller]
            pub fn forward<'t, F: Scalar>(
                &self,
                p: ParamsOn<'t, '_, F>,
                x: Matrix<'t, F>,
                h: Matrix<'t, F>,
            ) -> Matrix<'t, F> {
                self.step(p, self.0.of_input(p, x), h)
            }

            /// All states of a sequence (steps, samples, inputs), and the last one. The run starts from `h`, or from
            /// zeros.
            ///
            /// # Panics
            ///
            /// If the shapes do not fit.
            #[track_caller]
            pub fn run<'t, F: Scalar>(
                &self,
                p: ParamsOn<'t, '_, F>,
                sequence: Tensor<'t, F, Ix3>,
                h: Option<Matrix<'t, F>>,
            ) -> (Tensor<'t, F, Ix3>, Matrix<'t, F>) {
                let h = h.unwrap_or_else(|| self.0.zeros(p, sequence.shape()[1]));
                self.0.run(p, sequence, h, |x, h| self.step(p, x, h), |h| h)
            }
        }
    };
}
one_state! { RnnCell }
one_state! { GruCell }

impl RnnCell {
    #[track_caller]
    fn step<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, input: Matrix<'t, F>, h: Matrix<'t, F>) -> Matrix<'t, F> {
        (input + self.0.of_state(p, h)).tanh()
    }
}

impl GruCell {
    #[track_caller]
    fn step<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, input: Matrix<'t, F>, h: Matrix<'t, F>) -> Matrix<'t, F> {
        let (weights, state) = (self.0, self.0.of_state(p, h));
        let both = |gate| weights.gate(input, gate) + weights.gate(state, gate);
        let (r, z) = (both(0).sigmoid(), both(1).sigmoid());
        let n = (weights.gate(input, 2) + r * weights.gate(state, 2)).tanh();
        n + z * (h - n)
    }
}

impl LstmCell {
    /// The next state (h, c), of shapes (samples, hidden), after a state and an input (samples, inputs).
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        x: Matrix<'t, F>,
        state: (Matrix<'t, F>, Matrix<'t, F>),
    ) -> (Matrix<'t, F>, Matrix<'t, F>) {
        self.step(p, self.0.of_input(p, x), state)
    }

    /// The h of every state of a sequence (steps, samples, inputs), and the last state. The run starts from `state`, or
    /// from zeros.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit.
    #[track_caller]
    #[allow(clippy::type_complexity)]
    pub fn run<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        sequence: Tensor<'t, F, Ix3>,
        state: Option<(Matrix<'t, F>, Matrix<'t, F>)>,
    ) -> (Tensor<'t, F, Ix3>, (Matrix<'t, F>, Matrix<'t, F>)) {
        let state = state.unwrap_or_else(|| {
            let zeros = self.0.zeros(p, sequence.shape()[1]);
            (zeros, zeros)
        });
        self.0.run(p, sequence, state, |x, state| self.step(p, x, state), |(h, _)| h)
    }

    #[track_caller]
    fn step<'t, F: Scalar>(
        &self,
        p: ParamsOn<'t, '_, F>,
        input: Matrix<'t, F>,
        (h, c): (Matrix<'t, F>, Matrix<'t, F>),
    ) -> (Matrix<'t, F>, Matrix<'t, F>) {
        let gates = input + self.0.of_state(p, h);
        let gate = |gate| self.0.gate(gates, gate);
        let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
        let c = f * c + i * g;
        (o * c.tanh(), c)
    }
}
