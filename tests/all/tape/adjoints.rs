//! Adjoints of tensors when one tape serves several recordings and sweeps.

use ndarray::{Array1, Array2, s};
use wengert::{Params, Tape};

use crate::support::close::assert_close;
use crate::support::layouts::{matrix, number};

type Gradient<'a> = &'a dyn Fn(&mut Tape<f64>, &Params<f64>) -> Vec<f64>;

/// One tape for different recordings in turn gives the gradients of new tapes, although the memory of adjoints holds
/// the numbers of the sweep before.
#[test]
fn nothing_of_the_last_sweep_is_left() {
    let n = 80;
    let mut params = Params::<f64>::new();
    let u = params.add("u", matrix::<f64>(n, n, 0));
    let b = params.add("b", Array1::from_shape_fn(n, number::<f64>));
    let w = params.add("w", matrix::<f64>(n, n, 9000));
    macro_rules! losses {
        ($($name:literal => |$p:ident| $loss:expr;)+) => {
            [$(($name, &|tape, params| tape.value_and_grad(params, |$p| $loss).1.to_vec())),+]
        };
    }
    let losses: [(&str, Gradient<'_>); 10] = losses! {
        "two layers" => |p| p.get(u).affine(p.get(w), p.get(b)).tanh().dot(p.get(w)).square().mean();
        "one weight" => |p| p.get(w).square().mean();
        "a view of a weight" => |p| p.get(u).slice(s![1..;2, ..]).dot(p.get(w).t()).mean();
        "a part, then all" => |p| p.get(u).slice(s![..3, ..]).square().sum() + p.get(u).dot(p.get(w)).sum();
        "all, then a part" => |p| p.get(u).dot(p.get(w)).sum() + p.get(u).slice(s![..3, ..]).square().sum();
        "one element" => |p| p.get(u).at([3, 4]) * p.get(w).at([5, 6]);
        "all in one" => |p| p.flat().square().sum() + p.get(w).dot(p.get(u)).sum();
        "twice the same" => |p| p.get(w).dot(p.get(w)).affine(p.get(w), p.get(b)).sum();
        "nothing" => |_p| wengert::Var::constant(1.0);
        "a result that is not used" => |p| {
            let _ = p.get(u).dot(p.get(w)).exp();
            p.get(b).sum()
        };
    };
    let mut tape = Tape::new();
    for round in 0..3 {
        for (name, gradient) in &losses {
            let fresh = gradient(&mut Tape::new(), &params);
            assert!(fresh.iter().all(|g| g.is_finite()), "{name}");
            // A recording of another size in between moves the places of adjoints.
            let noise = tape.value_and_grad(&params, |p| (p.get(u) * 1e300).slice(s![round.., ..]).sum() * 1e10).1;
            assert!(noise.iter().any(|g| g.is_infinite()));
            assert_eq!(gradient(&mut tape, &params), fresh, "{name}, round {round}");
        }
    }
}

/// Several sweeps over one recording are independent.
#[test]
fn sweeps_of_one_recording() {
    let tape = Tape::<f64>::new();
    let (a, b) = (matrix::<f64>(70, 70, 0), matrix::<f64>(70, 70, 500));
    let (x, w) = (tape.tensor(&a), tape.tensor(&b));
    let h = x.dot(w);
    let (first, second) = (h.sum(), h.at([2, 3]) * 2.0);
    let (g, e, f) = (first.backward(), second.backward(), first.backward());
    assert_eq!(g.wrt(x), f.wrt(x));
    assert_eq!(g.wrt(h), Array2::<f64>::ones((70, 70)));
    assert_eq!(e.wrt(h).sum(), 2.0);
    assert_close("one row", e.wrt(x).row(2), &(&b.column(3) * 2.0), 64.0 * f64::EPSILON);
    assert_eq!(e.wrt(x).slice(s![3.., ..]).sum(), 0.0);
}

/// A function of one input records nothing, so the slot of its output is among those of the inputs. The gradient
/// covers all inputs made before the sweep.
#[test]
fn outputs_among_the_inputs() {
    let mut params = Params::<f64>::new();
    let s = params.add("s", ndarray::arr0(2.0));
    let w = params.add("w", Array1::<f64>::zeros(100));
    let mut tape = Tape::new();
    for _ in 0..2 {
        let (loss, grad) = tape.value_and_grad(&params, |p| (p.get(s).into_var() - 3.0).square());
        assert_eq!((loss, grad.len(), grad[0]), (1.0, 101, -2.0));
        assert!(grad[1..].iter().all(|&g| g == 0.0));
        let (_, grad) = tape.value_and_grad(&params, |p| p.get(w).at([7]).exp());
        assert_eq!((grad[8], grad.iter().sum::<f64>()), (1.0, 1.0));
    }
    let p = params.on(&tape);
    assert_eq!(p.get(s).into_var().square().backward().wrt(p.flat()).len(), 101);

    let tape = Tape::<f64>::new();
    let vars: Vec<_> = (0..100).map(|i| tape.var(f64::from(i))).collect();
    let data = Array1::from_elem(80, 5.0);
    let (x, last) = (tape.tensor(&data), tape.var(4.0));
    let gradient = vars[3].square().backward();
    assert_eq!(gradient.wrt(&vars).iter().sum::<f64>(), 6.0);
    assert_eq!((gradient.wrt(x).sum(), gradient[last]), (0.0, 0.0));
    let gradient = (last * last + x.at([2])).backward();
    assert_eq!((gradient[last], gradient.wrt(x).sum(), gradient[vars[0]]), (8.0, 1.0, 0.0));
}

/// Sums of gradients of an early and a late output: the shorter one has no numbers for late inputs.
#[test]
fn gradients_of_any_length_add_up() {
    let tape: Tape = Tape::new();
    let [x, y] = tape.vars([2.0, 3.0]);
    let early = x * y;
    let first = early.backward();
    let z = tape.var(5.0);
    let late = z * x;
    for (mut sum, other) in [(first, late.backward()), (late.backward(), early.backward())] {
        sum += &other;
        assert_eq!(sum.wrt([x, y, z]), [3.0 + 5.0, 2.0, 2.0]);
    }
}

/// A sum over neighbouring slots of inputs and of a tensor operation's result: all of these count, the last one too.
#[test]
fn a_sum_that_ends_in_an_operation() {
    for count in [8, 9, 20] {
        let mut params = Params::<f64>::new();
        let x = params.add("x", Array1::from_shape_fn(count, number::<f64>));
        let mut tape = Tape::new();
        for _ in 0..2 {
            let (_, gradient) = tape.value_and_grad(&params, |p| {
                let (x, square) = (p.get(x), p.get(x).square());
                let terms: Vec<_> = (0..count).map(|i| x.at([i])).chain([square.at([0])]).collect();
                wengert::sum(&terms) * 2.0
            });
            let mut expected = vec![2.0; count];
            expected[0] += 4.0 * params.values()[0];
            assert_close("sum", gradient, &expected, 1e-15);
        }
    }
}
