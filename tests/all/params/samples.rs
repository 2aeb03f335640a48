//! Gradients of each row of a batch against a loop over the rows, and in closed form.

use ndarray::{Array1, Array2, Ix1, array};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::nn::{Dropout, Linear, Mode};
use wengert::optim::clip_norm;
use wengert::{Params, ParamsOn, Scalar, Tape, Tensor, Var, init};

use crate::support::close::assert_close;
use crate::support::panics::message_of;

/// A net of two layers on one row.
struct Net {
    hidden: Linear,
    out: Linear,
}

impl Net {
    fn new<F: Scalar>(params: &mut Params<F>) -> Self {
        let mut rng = StdRng::seed_from_u64(3);
        Self { hidden: Linear::new(params, "hidden", 5, 7, &mut rng), out: Linear::new(params, "out", 7, 3, &mut rng) }
    }

    fn loss<'t, F: Scalar>(&self, p: ParamsOn<'t, '_, F>, x: Tensor<'t, F, Ix1>, label: usize) -> Var<'t, F> {
        let h = self.hidden.forward(p, x).tanh();
        self.out.forward(p, h).reshape((1, 3)).softmax_cross_entropy(&[label])
    }
}

fn same_as_a_loop<F: Scalar>() {
    let mut params = Params::<F>::new();
    let net = Net::new(&mut params);
    let x: Array2<F> = init::normal((9, 5), 0.0, 1.0, &mut StdRng::seed_from_u64(4));
    let (mut tape, mut other) = (Tape::new(), Tape::new());
    for _ in 0..2 {
        let (losses, gradients) =
            tape.per_sample_grad(&params, 9, |p, row| net.loss(p, p.constant(x.row(row)), row % 3));
        assert_eq!((losses.dim(), gradients.dim()), (9, (9, params.len())));
        for row in 0..9 {
            let (loss, gradient) = other.value_and_grad(&params, |p| net.loss(p, p.constant(x.row(row)), row % 3));
            assert_eq!(losses[row], loss);
            assert!(gradient.iter().eq(gradients.row(row)), "row {row}");
        }
    }
    let none = tape.per_sample_grad(&params, 0, |p, _| p.flat().sum());
    assert_eq!((none.0.len(), none.1.dim()), (0, (0, params.len())));
}

#[test]
fn each_row_has_the_bits_of_its_own_gradient() {
    same_as_a_loop::<f32>();
    same_as_a_loop::<f64>();
}

/// The gradient of (w·x - y)² is 2(w·x - y)x, its product with v is 2(v·x)x.
#[test]
fn closed_form_at_both_orders() {
    let (x, y) = (array![[0.5, -2.0], [3.0, 0.25], [0.0, 0.0]], [1.0, -1.0, 0.5]);
    let (w, v) = ([1.5, -0.5], [2.0, 1.0]);
    let mut params = Params::<f64>::new();
    let id = params.add("w", Array1::from_iter(w));
    let dual = params.with_tangents(&v);
    let (losses, gradients) =
        Tape::new().per_sample_grad(&dual, 3, |p, row| (p.constant(x.row(row)).dot(p.get(id)) - y[row]).square());
    for row in 0..3 {
        let dot = |a: [f64; 2]| a[0] * x[[row, 0]] + a[1] * x[[row, 1]];
        let error = dot(w) - y[row];
        assert_close("loss", [&losses[row].primal()], &[error * error], 1e-15);
        for column in 0..2 {
            let g = gradients[[row, column]];
            let want = [2.0 * error * x[[row, column]], 2.0 * dot(v) * x[[row, column]]];
            assert_close("gradient and product", &[g.primal(), g.tangents()[0]], &want, 1e-15);
        }
    }
}

#[test]
fn state_of_the_closure_and_constants() {
    let mut params = Params::<f64>::new();
    let w = params.add("w", Array1::ones(64));
    let frozen = params.add("frozen", Array1::ones(2));
    params.group("frozen").freeze();
    let (mut mode, dropout) = (Mode::train(0), Dropout::new(0.5));
    let (_, gradients) = Tape::new().per_sample_grad(&params, 3, |p, row| {
        let scale = p.get(frozen).sum();
        if row == 2 { scale } else { dropout.forward(p.get(w), &mut mode).sum() * scale }
    });
    assert_eq!(mode.draws(), 2);
    assert_ne!(gradients.row(0), gradients.row(1)); // a mask for each row
    assert!(gradients.row(2).iter().all(|g| *g == 0.0));
    assert!(gradients.columns().into_iter().skip(64).flatten().all(|g| *g == 0.0));
    let other = Tape::new();
    let x = other.var(1.0);
    let message = message_of(|| Tape::new().per_sample_grad(&Params::<f64>::new(), 1, |_, _| x));
    assert!(message.contains("the loss belongs to tape"), "{message}");
}

/// Clipped gradients are those that the optimiser's clipping makes.
#[test]
fn clipping() {
    let mut gradients = array![[3.0, 4.0, 0.0], [0.3, 0.4, 0.0], [0.0, 0.0, 0.0], [3e200, 0.0, -4e200]];
    let norms: Vec<f64> =
        gradients.rows_mut().into_iter().map(|mut row| clip_norm(row.as_slice_mut().unwrap(), 1.0)).collect();
    assert_close("norms", &norms, &[5.0, 0.5, 0.0, 5e200], 1e-15);
    let want = [0.6, 0.8, 0.0, 0.3, 0.4, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, -0.8];
    assert_close("clipped", &gradients, &want, 1e-15);

    // A factor that an `f32` cannot hold with all digits.
    let mut large = [3e38_f32, -3e38];
    clip_norm(&mut large, 1e-3);
    assert!(large.iter().all(|g| (g.abs() / 1e-3 - 0.5_f32.sqrt()).abs() < 1e-6), "{large:?}");
    for broken in [f64::NAN, f64::INFINITY] {
        let mut g = [1.0, broken];
        clip_norm(&mut g, 1.0);
        assert!(g.iter().all(|g| g.is_nan()));
    }
    assert_eq!(clip_norm::<f64>(&mut [], 1.0), 0.0);
    for bound in [0.0, -1.0, f64::NAN] {
        let message = message_of(|| clip_norm(&mut [1.0], bound));
        assert!(message.starts_with("clip_norm: the bound must be greater than 0"), "{message}");
    }
}
