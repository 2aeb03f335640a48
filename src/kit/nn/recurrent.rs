//! Recurrent cells, and layers of them that run over sequences.

use ndarray::{ArrayView, Axis, Ix1, Ix2, Ix3, s};
use rand::Rng;

use super::linear::affine;
use super::{add_matrix, add_uniform};
use crate::number::Scalar;
use crate::params::{Param, Params, ParamsOn};
use crate::tensor::Tensor;

type Matrix<'t, F> = Tensor<'t, F, Ix2>;
type Sequence<'t, F> = Tensor<'t, F, Ix3>;

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
    /// Adds `name.weight_ih` and its like, each with a suffix.
    #[track_caller]
    fn new<F: Scalar>(
        params: &mut Params<F>,
        name: &str,
        suffix: &str,
        [inputs, hidden, gates]: [usize; 3],
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let units = gates * hidden;
        let mut params = params.attempt();
        let weights = Self {
            weight_ih: add_matrix(&mut params, name, &format!("weight_ih{suffix}"), Ix2(inputs, units), hidden, rng),
            weight_hh: add_matrix(&mut params, name, &format!("weight_hh{suffix}"), Ix2(hidden, units), hidden, rng),
            bias_ih: add_uniform(&mut params, name, &format!("bias_ih{suffix}"), Ix1(units), hidden, rng),
            bias_hh: add_uniform(&mut params, name, &format!("bias_hh{suffix}"), Ix1(units), hidden, rng),
            hidden,
        };
        params.keep();
        weights
    }

    /// Panics unless each part of a state has a row of `hidden` numbers for each sample of the input: one row would broadcast.
    #[track_caller]
    fn assert_state<'t, F: Scalar>(self, p: ParamsOn<'t, '_, F>, x: Matrix<'t, F>, state: &[Matrix<'t, F>]) {
        let want = [x.shape()[0], self.hidden];
        for part in state {
            assert!(
                part.shape() == want,
                "{}: the state has shape {:?}; for an input of shape {:?} it must be {want:?}: (samples, hidden); see \
                 `Tensor::broadcast`",
                p.params().name(self.weight_ih),
                part.shape(),
                x.shape()
            );
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
}

/// A cell whose state is `S` matrices of shape (samples, hidden), h first.
trait Cell<const S: usize>: Copy {
    fn weights(self) -> CellWeights;

    /// The state after a state and a [contribution of the input](CellWeights::of_input).
    #[track_caller]
    fn step<'t, F: Scalar>(
        self,
        p: ParamsOn<'t, '_, F>,
        input: Matrix<'t, F>,
        state: [Matrix<'t, F>; S],
    ) -> [Matrix<'t, F>; S];
}

/// The rows of a batch of sequences that go on at each step.
#[derive(Clone, Copy)]
struct Rows<'t> {
    lengths: &'t [usize],
    /// Of each step and row: true before the row's end.
    inside: &'t [bool],
}

impl<'t> Rows<'t> {
    #[track_caller]
    fn new<F: Scalar>(p: ParamsOn<'t, '_, F>, name: &str, lengths: &[usize], [steps, samples]: [usize; 2]) -> Self {
        assert!(
            lengths.len() == samples && lengths.iter().all(|length| *length <= steps),
            "{name}: {} lengths, of which the greatest is {}, do not fit {samples} sequences of {steps} steps; give one for \
             each, of at most so many steps",
            lengths.len(),
            lengths.iter().max().unwrap_or(&0)
        );
        let arena = p.tape().arena();
        let lengths = &*arena.alloc_slice_copy(lengths);
        let inside = arena.alloc_slice_fill_with(steps * samples, |i| i / samples < lengths[i % samples]);
        Self { lengths, inside }
    }

    /// The elements of a sequence before each row's end; zeros from there on, whatever stands there.
    #[track_caller]
    fn clear<F: Scalar>(self, x: Sequence<'t, F>) -> Sequence<'t, F> {
        let shape = (x.shape()[0], self.lengths.len(), 1);
        let inside = ArrayView::from_shape(shape, self.inside).expect("one for each step and row");
        x.keep_where(&inside, F::zero())
    }

    /// For the rows that go on at a step `new`, for the others `old`.
    #[track_caller]
    fn choose<F: Scalar>(self, step: usize, new: Matrix<'t, F>, old: Matrix<'t, F>) -> Matrix<'t, F> {
        let samples = self.lengths.len();
        let inside = ArrayView::from_shape((samples, 1), &self.inside[step * samples..][..samples]);
        new.keep_where(&inside.expect("one for each row"), old)
    }

    /// True if all rows go on at a step.
    fn all(self, step: usize) -> bool {
        self.lengths.iter().all(|length| step < *length)
    }
}

/// Runs layers of cells over a sequence (steps, samples, inputs), forward and, with two directions, backward. The result is
/// the hidden states of the last layer, and the last state of each cell.
#[track_caller]
fn run<'t, F: Scalar, C: Cell<S>, const S: usize>(
    cells: &[C],
    directions: usize,
    p: ParamsOn<'t, '_, F>,
    sequence: Sequence<'t, F>,
    lengths: Option<&[usize]>,
    start: Option<[Sequence<'t, F>; S]>,
) -> (Sequence<'t, F>, [Sequence<'t, F>; S]) {
    let (tape, first) = (p.tape(), cells[0].weights());
    let (hidden, name) = (first.hidden, p.params().name(first.weight_ih));
    let (steps, samples) = (sequence.shape()[0], sequence.shape()[1]);
    let rows = lengths.map(|lengths| Rows::new(p, name, lengths, [steps, samples]));
    let rows = rows.filter(|rows| steps > 0 && !rows.all(steps - 1));
    let zeros = p.zeros((cells.len(), samples, hidden));
    let start = start.unwrap_or([zeros; S]);
    for part in start {
        assert!(
            part.shape() == zeros.shape(),
            "{name}: the state to start from has shape {:?}; it must be {:?}: (layers, twice as many in two directions; \
             samples; hidden)",
            part.shape(),
            zeros.shape()
        );
    }
    let mut ends = [(); S].map(|()| tape.arena().alloc_slice_fill_with(cells.len(), |_| zeros.index_axis(Axis(0), 0)));
    let mut x = match rows {
        Some(rows) => rows.clear(sequence),
        None => sequence,
    };
    for (layer, both) in cells.chunks(directions).enumerate() {
        let mut outputs = [x; 2];
        for (direction, cell) in both.iter().enumerate() {
            let place = layer * directions + direction;
            let mut state = start.map(|part| part.index_axis(Axis(0), place));
            // One product for the inputs of all steps.
            let inputs = cell.weights().of_input(p, x);
            let states = tape.arena().alloc_slice_fill_with(steps, |_| state[0]);
            for i in 0..steps {
                // Backward the state waits at the start until the sequence of the row begins, from its end.
                let step = if direction == 0 { i } else { steps - 1 - i };
                let mut next = cell.step(p, inputs.index_axis(Axis(0), step), state);
                if let Some(rows) = rows.filter(|rows| !rows.all(step)) {
                    for (next, old) in next.iter_mut().zip(state) {
                        *next = rows.choose(step, *next, old);
                    }
                }
                state = next;
                states[step] = state[0];
            }
            for (end, state) in ends.iter_mut().zip(state) {
                end[place] = state;
            }
            let states = if steps == 0 { p.zeros((0, samples, hidden)) } else { tape.stack(Axis(0), states) };
            outputs[direction] = match rows {
                Some(rows) => rows.clear(states),
                None => states,
            };
        }
        x = if directions == 1 { outputs[0] } else { tape.concatenate(Axis(2), &outputs) };
    }
    (x, ends.map(|ends| tape.stack(Axis(0), ends)))
}

/// Defines cells by their number of gates, and the layers of them.
macro_rules! cells {
    ($($(#[doc = $doc:literal])+ $Name:ident $gates:literal $(#[doc = $stack_doc:literal])+ $Stack:ident)+) => { $(
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
                Self(CellWeights::new(params, name, "", [inputs, hidden, $gates], rng))
            }
        }

        $( #[doc = $stack_doc] )+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Stack {
            cells: Vec<$Name>,
            directions: usize,
        }

        impl $Stack {
            #[doc = concat!("Adds the weights of `layers` cells, each of which is a [`", stringify!($Name), "`] that reads the")]
            /// states of the cell before: `name.weight_ih_l0` and so on, numbered from 0 by layer.
            ///
            /// # Panics
            ///
            /// If `layers` is 0, or there is a parameter of the same name.
            #[track_caller]
            pub fn new<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                inputs: usize,
                hidden: usize,
                layers: usize,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                Self::with_directions(params, name, [inputs, hidden, layers, 1], rng)
            }

            /// Same as [`new`](Self::new), with a second cell in each layer, which runs from the end of the sequence to its
            /// start: `name.weight_ih_l0_reverse` and so on. An output is the states of both cells side by side, of 2 ·
            /// hidden numbers, which are the inputs of the next layer.
            ///
            /// # Panics
            ///
            /// If `layers` is 0, or there is a parameter of the same name.
            #[track_caller]
            pub fn bidirectional<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                inputs: usize,
                hidden: usize,
                layers: usize,
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                Self::with_directions(params, name, [inputs, hidden, layers, 2], rng)
            }

            #[track_caller]
            fn with_directions<F: Scalar>(
                params: &mut Params<F>,
                name: &str,
                [inputs, hidden, layers, directions]: [usize; 4],
                rng: &mut (impl Rng + ?Sized),
            ) -> Self {
                assert!(layers > 0, "{name}: at least 1 layer");
                let (mut params, mut cells) = (params.attempt(), Vec::new());
                for layer in 0..layers {
                    let inputs = if layer == 0 { inputs } else { directions * hidden };
                    for reverse in ["", "_reverse"].into_iter().take(directions) {
                        let suffix = format!("_l{layer}{reverse}");
                        cells.push($Name(CellWeights::new(&mut params, name, &suffix, [inputs, hidden, $gates], rng)));
                    }
                }
                params.keep();
                Self { cells, directions }
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
    /// use wengert::{Params, Tape};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let cell = RnnCell::new(&mut params, "rnn", 3, 5, &mut rng);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// let h = cell.forward(p, p.ones((2, 3)), p.zeros((2, 5)));
    /// assert_eq!(h.shape(), [2, 5]);
    /// ```
    RnnCell 1
    /// Layers of [`RnnCell`]s that run over sequences (PyTorch's `RNN`); see [`Lstm`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Rnn;
    /// use wengert::{Params, Tape};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let rnn = Rnn::new(&mut params, "rnn", 3, 5, 2, &mut rng);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// let (outputs, h) = rnn.forward(p, p.ones((7, 4, 3)), None, None);
    /// assert_eq!((outputs.shape(), h.shape()), (&[7, 4, 5][..], &[2, 4, 5][..]));
    /// ```
    Rnn
    /// The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), in the form of PyTorch and
    /// cuDNN: with the gates r, z, n side by side in the weights
    ///
    /// r = σ(x Wᵣ + bᵣ + h Uᵣ + cᵣ), z likewise, n = tanh(x Wₙ + bₙ + r (h Uₙ + cₙ)),
    ///
    /// h' = (1 - z) n + z h.
    GruCell 3
    /// Layers of [`GruCell`]s that run over sequences (PyTorch's `GRU`); see [`Lstm`].
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Gru;
    /// use wengert::{Params, Tape};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let gru = Gru::bidirectional(&mut params, "gru", 3, 5, 1, &mut rng);
    /// let tape = Tape::new();
    /// let p = params.on(&tape);
    /// let (outputs, h) = gru.forward(p, p.ones((7, 4, 3)), Some(&[7, 2, 5, 1]), None);
    /// assert_eq!((outputs.shape(), h.shape()), (&[7, 4, 10][..], &[2, 4, 5][..]));
    /// ```
    Gru
    /// The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers,
    /// Schmidhuber and Cummins 2000): with the gates i, f, g, o side by side in the weights
    ///
    /// i = σ(x Wᵢ + bᵢ + h Uᵢ + cᵢ), f and o likewise, g = tanh(x W + b + h U + c),
    ///
    /// c' = f c + i g, h' = o tanh c'. The state is (h, c).
    LstmCell 4
    /// Layers of [`LstmCell`]s that run over sequences (PyTorch's `LSTM`).
    ///
    /// Sequences of unequal length stand in one array, with anything after their ends, and their lengths beside it. Outputs
    /// after the end of a sequence are 0, and its last state is the one at its own end; a backward cell begins there. This is
    /// what PyTorch computes of a packed sequence.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use wengert::nn::Lstm;
    /// use wengert::{Params, Tape, ndarray::Array3};
    ///
    /// let (mut params, mut rng) = (Params::<f64>::new(), StdRng::seed_from_u64(0));
    /// let lstm = Lstm::new(&mut params, "lstm", 3, 5, 2, &mut rng);
    /// let (tape, sequence) = (Tape::new(), Array3::<f64>::ones((7, 2, 3)));
    /// let p = params.on(&tape);
    /// let (outputs, (h, c)) = lstm.forward(p, p.constant(&sequence), Some(&[7, 4]), None);
    /// assert_eq!((outputs.shape(), h.shape(), c.shape()), (&[7, 2, 5][..], &[2, 2, 5][..], &[2, 2, 5][..]));
    /// assert_eq!(outputs.at([6, 1, 0]).value(), 0.0);
    /// assert_eq!(outputs.at([3, 1, 0]).value(), h.at([1, 1, 0]).value());
    /// // Continues from the last state, as for sequences that are cut into pieces.
    /// let (outputs, _) = lstm.forward(p, p.constant(&sequence), None, Some((h, c)));
    ///
    /// let both = Lstm::bidirectional(&mut Params::<f64>::new(), "lstm", 3, 5, 2, &mut rng);
    /// ```
    Lstm
}

/// Defines the public methods of a cell and of its layers. `$parts` are the matrices of the state, as a pattern and as an
/// expression.
macro_rules! methods {
    ($Cell:ident $Stack:ident: $parts:tt is [$($part:ident),+]) => {
        impl $Cell {
            #[doc = concat!("The next state `", stringify!($parts), "`, each of shape (samples, hidden), after a state and an input")]
            /// (samples, inputs).
            ///
            /// # Panics
            ///
            /// If the shapes do not fit.
            #[track_caller]
            pub fn forward<'t, F: Scalar>(
                &self,
                p: ParamsOn<'t, '_, F>,
                x: Matrix<'t, F>,
                $parts: state!(Matrix $parts),
            ) -> state!(Matrix $parts) {
                let input = self.0.of_input(p, x);
                self.0.assert_state(p, x, &[$($part),+]);
                let [$($part),+] = self.step(p, input, [$($part),+]);
                $parts
            }
        }

        impl $Stack {
            /// The hidden states of the last layer for sequences of shape (steps, samples, inputs), of shape (steps, samples,
            /// hidden), and the last state of each cell, of shape (layers, samples, hidden). With two directions a hidden state
            /// has 2 · hidden numbers, those of the forward cell first, and there are 2 · layers last states: of each layer
            /// that of the forward cell, then that of the backward cell.
            ///
            /// `lengths` has the number of steps of each sequence; without it all have all steps. The run starts from
            /// `state`, which is as the returned one, or from zeros.
            ///
            /// # Panics
            ///
            /// If the shapes do not fit, or `lengths` has not one number for each sequence, none greater than the number of
            /// steps.
            #[track_caller]
            pub fn forward<'t, F: Scalar>(
                &self,
                p: ParamsOn<'t, '_, F>,
                sequence: Sequence<'t, F>,
                lengths: Option<&[usize]>,
                state: Option<state!(Sequence $parts)>,
            ) -> (Sequence<'t, F>, state!(Sequence $parts)) {
                let start = state.map(|$parts| [$($part),+]);
                let (outputs, [$($part),+]) = run(&self.cells, self.directions, p, sequence, lengths, start);
                (outputs, $parts)
            }
        }
    };
}
/// The type of a state: one tensor, or a pair.
macro_rules! state {
    ($Part:ident h) => { $Part<'t, F> };
    ($Part:ident (h, c)) => { ($Part<'t, F>, $Part<'t, F>) };
}
methods! { RnnCell Rnn: h is [h] }
methods! { GruCell Gru: h is [h] }
methods! { LstmCell Lstm: (h, c) is [h, c] }

impl Cell<1> for RnnCell {
    fn weights(self) -> CellWeights {
        self.0
    }

    #[track_caller]
    fn step<'t, F: Scalar>(
        self,
        p: ParamsOn<'t, '_, F>,
        input: Matrix<'t, F>,
        [h]: [Matrix<'t, F>; 1],
    ) -> [Matrix<'t, F>; 1] {
        [(input + self.0.of_state(p, h)).tanh()]
    }
}

impl Cell<1> for GruCell {
    fn weights(self) -> CellWeights {
        self.0
    }

    #[track_caller]
    fn step<'t, F: Scalar>(
        self,
        p: ParamsOn<'t, '_, F>,
        input: Matrix<'t, F>,
        [h]: [Matrix<'t, F>; 1],
    ) -> [Matrix<'t, F>; 1] {
        let (weights, state) = (self.0, self.0.of_state(p, h));
        let both = |gate| weights.gate(input, gate) + weights.gate(state, gate);
        let (r, z) = (both(0).sigmoid(), both(1).sigmoid());
        let n = (weights.gate(input, 2) + r * weights.gate(state, 2)).tanh();
        [n + z * (h - n)]
    }
}

impl Cell<2> for LstmCell {
    fn weights(self) -> CellWeights {
        self.0
    }

    #[track_caller]
    fn step<'t, F: Scalar>(
        self,
        p: ParamsOn<'t, '_, F>,
        input: Matrix<'t, F>,
        [h, c]: [Matrix<'t, F>; 2],
    ) -> [Matrix<'t, F>; 2] {
        let gates = input + self.0.of_state(p, h);
        let gate = |gate| self.0.gate(gates, gate);
        let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
        let c = f * c + i * g;
        [o * c.tanh(), c]
    }
}
