//! An optimiser and a gradient belong to one model.

use ndarray::array;
use wengert::{Adam, Optimizer, Param, Params, Sgd, Tape};

use crate::support::panics::{message_of, panic_of};

fn model() -> (Params<f64>, Param<ndarray::Ix1>) {
    let mut params = Params::new();
    let w = params.add("w", array![1.0, 2.0]);
    (params, w)
}

const GRAD: [f64; 2] = [0.5, -0.5];

#[test]
fn an_optimizer_with_state_trains_one_model() {
    let ((mut a, _), (mut b, _)) = (model(), model());
    let mut adam = Adam::new(0.1);
    adam.step(&mut a, &GRAD);
    let before = b.values().to_vec();
    let panic = panic_of(|| adam.step(&mut b, &GRAD));
    let here = line!() - 1;
    assert_eq!((panic.file.as_str(), panic.line), (file!(), here));
    assert!(panic.message.contains("the state of other parameters than these (w)"), "{panic}");
    assert_eq!((b.values(), adam.state().steps()), (&before[..], 1), "nothing has changed");
    adam.step(&mut a, &GRAD);

    let mut boxed: Box<dyn Optimizer<f64>> = Box::new(adam.clone());
    let panic = panic_of(|| boxed.step(&mut b, &GRAD));
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line!() - 1));
    // Two optimisers may move one model in turn, as those of two groups do.
    for _ in 0..2 {
        boxed.step(&mut a, &GRAD);
        adam.step(&mut a, &GRAD);
    }

    // An optimiser outside of the loop over seeds.
    let mut adam = Adam::new(0.1);
    let text = message_of(|| {
        for _seed in 0..2 {
            adam.step(&mut model().0, &GRAD);
        }
    });
    assert!(text.contains("make an optimizer for each model"), "{text}");

    // Without state there is nothing to share.
    let mut sgd = Sgd::new(0.1);
    sgd.step(&mut a, &GRAD);
    sgd.step(&mut b, &GRAD);
    let mut sgd = Sgd::new(0.1).momentum(0.9);
    sgd.step(&mut a, &GRAD);
    assert!(message_of(|| sgd.step(&mut b, &GRAD)).contains("other parameters"));
}

#[test]
fn clones_take_over_but_not_side_by_side() {
    let (mut params, _) = model();
    let mut adam = Adam::new(0.1);
    let first = params.clone();
    adam.step(&mut params, &GRAD);
    // The best so far is taken back.
    let best = params.clone();
    adam.step(&mut params, &GRAD);
    params = best;
    adam.step(&mut params, &GRAD);
    params = first.clone();
    adam.step(&mut params, &GRAD);
    // A new clone each step, as in a functional style.
    for _ in 0..3 {
        let mut next = params.clone();
        adam.step(&mut next, &GRAD);
        params = next;
    }
    // A fork of the whole run.
    let (mut fork, mut adam_of_fork) = (params.clone(), adam.clone());
    for _ in 0..2 {
        adam.step(&mut params, &GRAD);
        adam_of_fork.step(&mut fork, &GRAD);
    }
    assert_eq!(params.values(), fork.values());
    // A twin from before the first step would be moved by the moments of the other.
    let mut twin = first;
    assert!(message_of(|| adam.step(&mut twin, &GRAD)).contains("other parameters"));
    adam.state_mut().adopt(&twin);
    adam.step(&mut twin, &GRAD);

    // Weights that are added later have no state; buffers need none. What is loaded or frozen stays the model.
    twin.add_buffer("count", array![0.0]);
    twin.group("w").rate(0.5);
    twin.copy_from(&twin.clone());
    adam.step(&mut twin, &GRAD);
    twin.add("b", array![0.0]);
    let text = message_of(|| adam.step(&mut twin, &[0.0; 3]));
    assert!(text.contains("state for 2 numbers, the parameters have 3; add every parameter before"), "{text}");
    assert!(message_of(|| adam.state_mut().adopt(&twin)).contains("state for 2 numbers"));
}

#[test]
fn a_gradient_moves_its_own_model() {
    let ((mut a, v), (mut b, w)) = (model(), model());
    let (mut tape, mut sgd) = (Tape::new(), Sgd::new(0.1));
    let (_, of_a) = tape.value_and_grad(&a, |p| p.get(v).square().sum());
    let panic = panic_of(|| sgd.step(&mut b, of_a));
    assert_eq!((panic.file.as_str(), panic.line), (file!(), line!() - 1));
    assert!(panic.message.contains("the gradient is that of another model than these parameters (w)"), "{panic}");
    let mut boxed: Box<dyn Optimizer<f64>> = Box::new(sgd.clone());
    assert!(message_of(|| boxed.step(&mut b, of_a)).contains("another model"));
    assert!(message_of(|| boxed.step_by(&mut b, of_a)).contains("another model"));
    assert_eq!(b.values(), [1.0, 2.0]);

    // Of the model, of a clone of it, and as plain numbers.
    sgd.step(&mut a.clone(), of_a);
    boxed.step_by(&mut a.clone(), of_a);
    sgd.step(&mut a, of_a);
    sgd.step(&mut b, &of_a.to_vec());
    sgd.step(&mut b, &of_a[..]);
    assert_eq!(a.values(), [0.8, 1.6]);
    let (_, of_b) = tape.value_and_grad_at(&b, &[1.0, 1.0], |p| p.get(w).sum());
    assert!(message_of(|| sgd.step(&mut a, of_b)).contains("another model"));

    // A weight was added to one of two clones after the gradient was taken.
    let (_, of_b) = tape.value_and_grad(&b, |p| p.get(w).sum());
    b.add("empty", ndarray::Array1::zeros(0));
    assert!(message_of(|| sgd.step(&mut b, of_b)).contains("a weight was added since"));
}

#[cfg(feature = "parallel")]
#[test]
fn parts_of_a_batch_give_a_gradient_of_the_model() {
    let ((a, v), (mut b, _)) = (model(), model());
    let mut parallel = wengert::Parallel::new(2);
    let (_, of_a) = parallel.value_and_grad(&a, 4, |p, _| p.get(v).sum());
    assert_eq!(of_a, [1.0, 1.0]);
    assert!(message_of(|| Sgd::new(0.1).step(&mut b, of_a)).contains("another model"));
}
