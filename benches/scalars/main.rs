//! The seven scalar functions: primal, hand-written adjoint, our plain idiom, our best idiom, and
//! tensors where the function is made of matrices.
//!
//! Gradients are checked against the hand-written adjoint before anything is timed.

#![allow(missing_docs)] // criterion's macros make public functions

// Shared with `benches/peers`, hence `pub`.
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::wildcard_imports)]
mod rows;
#[allow(unreachable_pub, elided_lifetimes_in_paths, clippy::large_stack_arrays)]
mod suite;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use suite::Inputs;

type Gradient<S> = fn(&mut S, &Inputs, &mut [f64]) -> f64;

fn bench<S: Default>(c: &mut Criterion, name: &str, inputs: &Inputs, reference: &[f64], gradient: Gradient<S>) {
    let (mut state, mut g) = (S::default(), vec![0.0; reference.len()]);
    gradient(&mut state, inputs, &mut g);
    for (i, (ours, theirs)) in g.iter().zip(reference).enumerate() {
        let error = (ours - theirs).abs();
        assert!(error <= 1e-10 * theirs.abs().max(1.0), "{name}: component {i} is {ours}, should be {theirs}");
    }
    c.bench_function(name, |b| b.iter(|| gradient(&mut state, black_box(inputs), black_box(&mut g))));
}

macro_rules! functions {
    ($($function:ident $(($tensors:ident))?)+) => {
        $(
            fn $function(c: &mut Criterion) {
                let inputs = suite::$function::inputs();
                let mut reference = vec![0.0; inputs.x.len()];
                suite::$function::adjoint(&mut Vec::new(), &inputs, &mut reference);
                let name = |kind: &str| format!("{}/{kind}", stringify!($function));
                c.bench_function(&name("primal"), |b| b.iter(|| suite::$function::primal(black_box(&inputs))));
                bench(c, &name("hand-written"), &inputs, &reference, suite::$function::adjoint);
                bench(c, &name("plain"), &inputs, &reference, rows::plain::$function);
                bench(c, &name("best"), &inputs, &reference, rows::best::$function);
                $(bench(c, &name(stringify!($tensors)), &inputs, &reference, rows::$tensors::$function);)?
            }
        )+
        criterion_group!(scalars, $($function),+);
    };
}
functions! { seed rosenbrock mlp(tensors) normal matmul(tensors) burgers bs }
criterion_main!(scalars);
