//! The seven scalar functions: primal, hand-written adjoint, our plain idiom on `Var`s and on `StaticVar`s, our best
//! idiom, and tensors where the function is made of matrices.
//!
//! Gradients are checked against the hand-written adjoint before anything is timed.

// Shared with `benches/peers`, hence `pub`.
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::wildcard_imports)]
mod rows;
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::large_stack_arrays)]
mod suite;
#[path = "../timer/mod.rs"]
mod timer;

use std::hint::black_box;

use suite::Inputs;
use timer::report;

type Gradient<S> = fn(&mut S, &Inputs, &mut [f64]) -> f64;

fn bench<S: Default>(name: &str, inputs: &Inputs, reference: &[f64], gradient: Gradient<S>) {
    let (mut state, mut g) = (S::default(), vec![0.0; reference.len()]);
    gradient(&mut state, inputs, &mut g);
    for (i, (ours, theirs)) in g.iter().zip(reference).enumerate() {
        let error = (ours - theirs).abs();
        assert!(error <= 1e-10 * theirs.abs().max(1.0), "{name}: component {i} is {ours}, should be {theirs}");
    }
    report(name, || {
        black_box(gradient(&mut state, black_box(inputs), black_box(&mut g)));
    });
}

macro_rules! functions {
    ($($function:ident $(($tensors:ident))?)+) => { $({
        let inputs = suite::$function::inputs();
        let mut reference = vec![0.0; inputs.x.len()];
        suite::$function::adjoint(&mut Vec::new(), &inputs, &mut reference);
        let name = |kind: &str| format!("{}/{kind}", stringify!($function));
        report(&name("primal"), || {
            black_box(suite::$function::primal(black_box(&inputs)));
        });
        bench(&name("hand-written"), &inputs, &reference, suite::$function::adjoint);
        bench(&name("plain"), &inputs, &reference, rows::plain::$function);
        bench(&name("statics"), &inputs, &reference, rows::statics::$function);
        bench(&name("best"), &inputs, &reference, rows::best::$function);
        $(bench(&name(stringify!($tensors)), &inputs, &reference, rows::$tensors::$function);)?
    })+ };
}

fn main() {
    functions! { seed rosenbrock mlp(tensors) normal matmul(tensors) burgers bs }
}
