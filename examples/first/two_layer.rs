//! The loss (w2 · (w1 · x + b1) + b2 - y)² of two linear layers: its value, every partial beside a finite difference,
//! and gradient descent to its minimum.
//!
//! ```text
//! cargo run --release --example two_layer
//! ```

use wengert::{Real, Tape};

const NAMES: [&str; 6] = ["w1", "b1", "w2", "b2", "x", "y"];

/// The loss, for plain numbers and for variables of a tape.
fn loss<R: Real>([w1, b1, w2, b2, x, y]: [R; 6]) -> R {
    (w2 * (w1 * x + b1) + b2 - y).square()
}

/// The central difference (f(x + h) - f(x - h)) / 2h in coordinate i.
fn central_difference(point: [f64; 6], i: usize) -> f64 {
    // The step that balances truncation against rounding.
    let h = f64::EPSILON.cbrt();
    let at = |step| {
        let mut moved = point;
        moved[i] += step;
        loss(moved)
    };
    (at(h) - at(-h)) / (2.0 * h)
}

fn main() {
    let point = [0.5, -0.3, 1.2, 0.1, 0.7, 0.9];
    let mut tape = Tape::new();
    let inputs = tape.vars(point);
    let output = loss(inputs);
    let partials = output.backward().wrt(inputs);

    println!("(w2 * (w1 * x + b1) + b2 - y)^2 = {output:.6}\n");
    println!("      value     backward sweep   central difference   apart");
    for (i, name) in NAMES.iter().enumerate() {
        let difference = central_difference(point, i);
        let apart = (partials[i] - difference).abs();
        println!("{name:>2} {:8.3} {:18.12} {difference:20.12}   {apart:.0e}", point[i], partials[i]);
        assert!(apart < 1e-8, "d/d{name} is wrong");
    }

    println!("\nGradient descent on w1, b1, w2, b2:");
    let [mut weights @ .., x, y] = point;
    for step in 0..=100 {
        tape.clear();
        let vars = tape.vars(weights);
        let [w1, b1, w2, b2] = vars;
        let output = loss([w1, b1, w2, b2, x.into(), y.into()]);
        if step % 20 == 0 {
            println!("step {step:3}   loss {:.3e}   weights {weights:.6?}", output.value());
        }
        let slopes = output.backward().wrt(vars);
        for (weight, slope) in weights.iter_mut().zip(slopes) {
            *weight -= 0.02 * slope;
        }
    }
    let [w1, b1, w2, b2] = weights;
    println!("prediction {:.9} for y = {y}", w2 * (w1 * x + b1) + b2);
}
