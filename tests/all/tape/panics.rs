//! Panics of a user's code while a tape records or is swept, caught: the tape, and what was recorded before, are used on
//! and give the gradients of a new tape.

use std::cell::Cell;

use ndarray::{Array1, Array2, Axis, array};
use wengert::optim::{Optim, Optimizer, Step, UpdateRule};
use wengert::{
    BaseFloat, Params, Real, Rule, SnapshotSchedule, SparseHessian, SparseJacobian, Tape, Tensor, Var, apply, arrays,
    fuse, sparse_jacobian, with_partials,
};

use crate::support::panics::{message_of, panic_of};
use crate::support::ticks::{tick, with_panic};

#[derive(Clone, Copy)]
struct Square;
impl<B: BaseFloat, const N: usize> Rule<B, N> for Square {
    fn primal(self, x: [B; N]) -> B {
        tick();
        x.into_iter().fold(B::zero(), |sum, x| sum + x * x)
    }
    fn partials<R: Real<Base = B>>(self, x: [R; N], _: R) -> [R; N] {
        tick();
        x.map(|x| x + x)
    }
}

/// A value whose destructor panics.
struct PanicsInDrop;
impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        tick();
    }
}

fn custom<'t>(tape: &'t Tape<f64>, x: Var<'t>, y: Tensor<'t, f64, ndarray::Ix1>) -> Var<'t> {
    let owned = vec![2.0; 100];
    let value = array![2.0 * x.value(), y.value().sum()];
    let z = tape.custom("custom", (x, y), value, move |dy, (_, y), _| {
        tick();
        (dy[0] * owned[99], Array1::from_elem(y.len(), dy[1]))
    });
    z.sum()
}

/// A function of two variables and a vector, which records on their tape.
type Function = for<'t> fn(&'t Tape<f64>, [Var<'t>; 2], Tensor<'t, f64, ndarray::Ix1>) -> Var<'t>;

const FUNCTIONS: &[(&str, Function)] = &[
    ("rule", |_, [x, y], _| apply(Square, [x, y]) * x),
    ("rule of elements", |_, [x, _], v| (v.apply_rule(Square) * x).sum()),
    ("fuse", |_, [x, y], _| {
        fuse([x, y], |[x, y]| {
            tick();
            x * y
        }) * x
    }),
    ("with_partials", |_, [x, y], _| {
        with_partials(
            x.value(),
            [x, y].into_iter().map(|x| {
                tick();
                (x * y, 2.0)
            }),
        )
    }),
    ("sum", |_, [x, y], v| {
        let terms = v.iter().inspect(|_| tick()).map(|z| z * x).chain([y, x]);
        terms.sum::<Var<'_>>() * v.iter().inspect(|_| tick()).map(|z| z * y).product::<Var<'_>>()
    }),
    ("sum within a sum", |_, [x, y], v| {
        v.iter()
            .map(|z| {
                tick();
                [x, z, y].into_iter().map(|z| z * z).sum::<Var<'_>>().sin()
            })
            .sum()
    }),
    ("straight_through", |_, [x, _], v| {
        let f = |x: f64| {
            tick();
            x.round()
        };
        x.straight_through(f) * v.straight_through(f).sum()
    }),
    // The closure records on the tape while the arena holds the place of its results.
    ("straight_through that records", |tape, [x, y], v| {
        let inner = Cell::new(x);
        let outer = v.straight_through(|z| {
            inner.set(inner.get() * tape.constant(z).exp() + tape.stack_vars(&[x, y]).exp().sum());
            tick();
            z.round()
        });
        outer.sum() * inner.get()
    }),
    ("custom", |tape, [x, y], v| custom(tape, x * y, v * x) * y),
    ("checkpoint", |tape, [x, y], _| {
        let outputs = tape.checkpoint(&[x * y, y], |v| {
            tick();
            vec![v[0] * v[1], v[0].sin()]
        });
        outputs[0] * outputs[1]
    }),
    ("checkpoint_loop", |tape, [x, y], _| {
        tape.checkpoint_loop(5, SnapshotSchedule::Binomial { count: 2 }, &[x], &[y, x], |_, u, s| {
            tick();
            vec![s[0] * u[0], s[1] + s[0]]
        })[1]
    }),
    ("checkpoint of a custom operation", |_, [x, _], v| v.checkpoint(|v| v.apply_rule(Square) * v).sum() * x),
    ("seeds", |tape, [x, y], v| {
        let seeds = [(x * y).seed(1.0), v.seed(&array![1.0, 2.0, 3.0])].into_iter().inspect(|_| tick());
        tape.backward_with(seeds)[x] * x * v.sum()
    }),
];

fn gradient<'t>(f: Function, tape: &'t Tape<f64>, x: [Var<'t>; 2], v: Tensor<'t, f64, ndarray::Ix1>) -> Vec<f64> {
    let gradient = f(tape, x, v).backward();
    gradient.wrt(x).into_iter().chain(gradient.wrt(v)).collect()
}

/// Every call of every callback panics in turn, while recording and in the sweep.
#[test]
fn a_tape_survives_panics_of_callbacks() {
    let data = array![0.3, 0.7, 1.1];
    for (name, f) in FUNCTIONS {
        let fresh = {
            let tape = Tape::new();
            gradient(*f, &tape, tape.vars([0.5, 1.5]), tape.tensor(&data))
        };
        let mut tape = Tape::new();
        for calls in 0.. {
            assert!(calls < 100, "{name}");
            let (x, v) = (tape.vars([0.5, 1.5]), tape.tensor(&data));
            let kept = custom(&tape, x[0], v * v).sin();
            let caught = with_panic(calls, || gradient(*f, &tape, x, v));
            if let Some(result) = caught {
                assert_eq!(result, fresh, "{name}");
                assert!(calls > 0, "{name}: no callback was called");
                break;
            }
            assert_eq!(gradient(*f, &tape, x, v), fresh, "{name}: after a panic in call {calls}");
            let slope = (1.0_f64 + 0.09 + 0.49 + 1.21).cos();
            assert!((kept.backward()[x[0]] - 2.0 * slope).abs() < 1e-15, "{name}: beside a panic in call {calls}");
            if calls % 2 == 0 {
                tape.clear();
            }
        }
    }
}

/// The same in the closure of `value_and_grad`, with parameters and checkpoints of networks.
#[test]
fn closures_of_a_whole_recording() {
    let mut params = Params::<f64>::new();
    // Large enough for the reuse of adjoints in release builds too.
    let w = params.add("w", Array2::from_shape_fn((50, 50), |(i, j)| ((i * 7 + j) as f64).sin() / 20.0));
    let step = |tape: &mut Tape<f64>| {
        let (loss, grad) = tape.value_and_grad(&params, |p| {
            let h = p.checkpoint(p.get(w), |p, x| {
                tick();
                x.dot(p.get(w)).tanh()
            });
            tick();
            let s = h.apply_rule(Square).mean();
            custom(p.tape(), s, h.sum_axis(Axis(0))) * s
        });
        (loss, grad.to_vec())
    };
    let fresh = step(&mut Tape::new());
    // Rules are called too often to let every call panic.
    let mut calls: Vec<usize> = vec![0, 1, 2, 3, 700, 2502, 2503, 2504, 2505, 4000];
    calls.push(5003);
    let mut tape = Tape::new();
    let mut panics = 0;
    for calls in calls {
        match with_panic(calls, || step(&mut tape)) {
            Some(result) => assert_eq!(result, fresh),
            None => panics += 1,
        }
        assert!(tape.is_empty());
        assert_eq!(step(&mut tape), fresh, "after a panic in call {calls}");
    }
    assert!(panics >= 9, "{panics} panics");
}

/// A destructor that panics in `clear` leaves an empty tape.
#[test]
fn a_panic_in_a_destructor() {
    let mut tape = Tape::new();
    for calls in 0..3 {
        let x = tape.var(2.0);
        for _ in 0..3 {
            let owned = PanicsInDrop;
            let _ = tape.custom("drops", x, array![4.0], move |dy, x, _| {
                let _ = &owned;
                dy[0] * 2.0 * x
            });
        }
        assert!(with_panic(calls, || tape.clear()).is_none());
        assert!(tape.is_empty());
        let [x, y] = tape.vars([2.0, 3.0]);
        assert_eq!((x * y).backward().wrt([x, y]), [3.0, 2.0]);
        tape.clear();
    }
}

/// A gradient whose sweep panicked is NaN, not a mixture; the next sweep into it is right.
#[test]
fn a_gradient_whose_sweep_panicked() {
    let data = array![0.3, 0.7, 1.1];
    let tape = Tape::new();
    let (x, v) = (tape.var(0.5), tape.tensor(&data));
    let (plain, y) = (x * v.sum(), custom(&tape, x, v) * x);
    let mut gradient = plain.backward();
    assert!(with_panic(0, || y.backward_into(&mut gradient)).is_none());
    assert!(gradient[x].is_nan() && gradient.wrt(v).iter().all(|g| g.is_nan()));
    y.backward_into(&mut gradient);
    let fresh = y.backward();
    assert_eq!((gradient[x], gradient.wrt(v)), (fresh[x], fresh.wrt(v)));
    plain.backward_into(&mut gradient);
    assert_eq!((gradient[x], gradient.wrt(v)), (2.1, array![0.5, 0.5, 0.5]));
}

/// The pullback of `vjp`, and matrices that are evaluated again and again.
#[test]
fn derivatives_that_are_kept() {
    fn terms<R: Real>(x: &[R]) -> Vec<R> {
        tick();
        x.windows(2).map(|w| w[0] * w[0] * w[1]).collect()
    }
    let (_, pullback) = arrays::vjp(|x| x.apply_rule(Square), &array![2.0, 3.0]);
    for calls in 0..2 {
        assert!(with_panic(calls, || pullback.call(&array![1.0, 10.0])).is_none());
        assert_eq!(pullback.call(&array![1.0, 10.0]), array![4.0, 60.0]);
    }

    let (first, second) = (vec![1.0; 12], vec![2.0; 12]);
    let mut jacobian = SparseJacobian::detect(|x| terms(x), &first);
    let mut hessian = SparseHessian::detect(|x| terms(x).into_iter().sum(), &first);
    jacobian.evaluate(|x| terms(x), &first);
    hessian.evaluate(|x| terms(x).into_iter().sum(), &first);
    for calls in 0..2 {
        if with_panic(calls, || drop(jacobian.evaluate(|x| terms(x), &second).clone())).is_none() {
            assert_eq!(jacobian.matrix().get(0, 0), 2.0, "the matrix of the last evaluation");
        }
        if with_panic(calls, || drop(hessian.evaluate(|x| terms(x).into_iter().sum(), &second).clone())).is_none() {
            assert!(f64::is_nan(hessian.matrix().get(0, 1)), "not a mixture of two points");
        }
        assert_eq!(jacobian.evaluate(|x| terms(x), &first).get(0, 0), 2.0);
        assert_eq!(hessian.evaluate(|x| terms(x).into_iter().sum(), &first).get(0, 1), 2.0);
    }
}

/// A tensor operation beside the outputs of a sparse Jacobian, which is swept forward, does no harm; one before them is
/// named.
#[test]
fn tensor_operations_beside_a_sparse_jacobian() {
    fn beside<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
        assert_eq!((x[0] * x[1]).clip_cotangent(1.0).value(), x[0].value() * x[1].value());
        x.windows(2).map(|w| w[0] * w[1]).collect()
    }
    fn before<'t>(x: &[Var<'t>]) -> Vec<Var<'t>> {
        let clipped = x[0].clip_cotangent(1.0);
        x.iter().map(|x| *x * clipped).collect()
    }
    let x = [1.0, 2.0, 3.0];
    let mut jacobian = SparseJacobian::detect(beside, &x);
    let j = jacobian.evaluate(beside, &x);
    assert_eq!([j.get(0, 0), j.get(0, 1), j.get(1, 1), j.get(1, 2)], [2.0, 1.0, 3.0, 2.0]);
    assert_eq!(sparse_jacobian(beside, &x).get(1, 2), 2.0);
    let refused = panic_of(|| SparseJacobian::detect(before, &x));
    assert_eq!(refused.file, file!());
    assert!(refused.message.contains("(`clip_cotangent` at tests/all/tape/panics.rs:"), "{refused}");
}

/// An optimiser whose rule panics in the middle of a step refuses the next one: the weights are those of no step.
#[test]
fn a_step_that_panicked() {
    #[derive(Clone, Copy, Debug)]
    struct Plain;
    impl UpdateRule for Plain {
        const NAME: &'static str = "Plain";
        type State<T> = [T; 1];
        const STATE: [&'static str; 1] = ["sum"];
        fn update<N: Real>(&self, step: Step<N>, weight: N, gradient: N, [sum]: [N; 1]) -> (N, [N; 1]) {
            tick();
            (weight - step.rate * gradient, [sum + gradient])
        }
    }
    let mut params = Params::<f64>::new();
    params.add("w", Array1::zeros(3));
    let mut plain = Optim::with_rule(0.5, Plain);
    plain.step(&mut params, &[1.0; 3]);
    assert!(with_panic(1, || plain.step(&mut params, &[1.0; 3])).is_none());
    assert_eq!(plain.state().steps(), 1);
    let message = message_of(|| plain.step(&mut params, &[1.0; 3]));
    assert!(message.starts_with("step: an earlier step of Plain was broken off by a panic"), "{message}");
}
