//! One training step (forward, loss, backward, update in place) of eight nets, f32, one thread.
//!
//! Each net's loss must fall while it warms up, or there is no time for it. `benches/peers` times
//! other libraries and hand-written code on the same nets.

// Shared with `benches/peers`, hence `pub`.
#[allow(unreachable_pub)]
mod rows;
#[allow(unreachable_pub, dead_code)]
mod suite;
#[path = "../timer/mod.rs"]
mod timer;

use std::rc::Rc;

fn main() {
    for net in &suite::NETS {
        let problem = Rc::new(net.problem());
        for (idiom, mut model) in [("plain", rows::plain(&problem)), ("best", rows::best(&problem))] {
            let row = format!("{}/{idiom}", net.name);
            if !timer::is_wanted(&row) {
                continue;
            }
            let (first, _) = model.gradient();
            for _ in 0..20 {
                model.step();
            }
            let (warm, _) = model.gradient();
            assert!(warm < first, "{} {idiom}: the loss went from {first} to {warm}", net.name);
            model.reset();
            timer::report(&row, || model.step());
        }
    }
}
