//! Optimisers: a step is one pass over flat vectors of parameters, gradient and state.
//!
//! An optimiser is an [`Optim`]: an [`UpdateRule`], which says how one weight moves, with a learning rate,
//! weight decay, clipping and state. Hyper-parameters are public fields (`lr`, `weight_decay`, `clip`, and
//! those of `rule`), so that a [`Schedule`] can change them between steps; they are `f64` for any number
//! type. State is allocated by the first step.
//!
//! ```
//! use wengert::optim::{Optimizer, Schedule, Sgd};
//! use wengert::{Params, Tape};
//!
//! let mut params = Params::<f64>::new();
//! let x = params.add("x", ndarray::array![3.0, -2.0]);
//! let schedule = Schedule::cosine(0.2, 90).warm_up(10);
//! let mut sgd = Sgd::new(0.2).momentum(0.5).nesterov(true).clip_norm(10.0);
//! let mut tape = Tape::new();
//! for step in 0..100 {
//!     sgd.lr = schedule.at(step);
//!     let (_, grad) = tape.value_and_grad(&params, |p| p.get(x).square().sum());
//!     sgd.step(&mut params, grad);
//! }
//! assert!(params.values().iter().all(|x| x.abs() < 1e-6));
//! ```
//!
//! | | for | state |
//! |---|---|---|
//! | [`Sgd`] | everything, with a tuned rate; generalises well | none, or 1 with momentum |
//! | [`Adam`], [`AdamW`] | the usual first choice | 2, or 3 with `amsgrad` |
//! | [`RmsProp`] | recurrent networks, moving targets | 1, or 2 with momentum |
//! | [`Adagrad`] | sparse gradients | 1 |
//! | [`Lion`] | large models; takes about a tenth of Adam's rate | 1 |
//! | [`Optim`] with an [`UpdateRule`] | an update rule of your own | any number |
//! | L-BFGS, Newton-CG, trust regions | the whole data at once; see `Objective` (feature `argmin`) | |
//!
//! In the formulas θ is a weight, g its gradient after clipping, lr the learning rate times the factor
//! of the weight's [group](crate::Params::group), and t the number of the step, from 1.

mod adagrad;
mod adam;
mod average;
mod clip;
mod lion;
#[cfg(feature = "argmin")]
mod objective;
mod rmsprop;
mod rule;
mod schedule;
mod sgd;
mod state;
mod step;
mod stop;

pub use adagrad::{Adagrad, AdagradRule};
pub use adam::{Adam, AdamRule, AdamW};
#[cfg(feature = "parallel")]
pub(crate) use average::mix;
pub use average::{Accumulator, Ema};
pub use clip::{Clip, clip_norm, global_norm};
pub use lion::{Lion, LionRule};
#[cfg(feature = "argmin")]
pub use objective::{HessianProduct, NotConverged, Objective};
pub use rmsprop::{RmsProp, RmsPropRule};
pub use rule::{StateArray, Step, UpdateRule, flush_subnormal};
pub use schedule::{Plateau, Schedule};
pub use sgd::{Sgd, SgdRule};
pub use state::State;
pub use step::{Optim, Optimizer, Pass, StepReport};
pub use stop::EarlyStopping;

/// Panics unless a hyper-parameter is finite and at least 0.
#[track_caller]
fn assert_not_negative(owner: &str, name: &str, value: f64) {
    assert!(value >= 0.0 && value.is_finite(), "{owner}: {name} must be finite and at least 0, it is {value}");
}

/// Panics unless the share of the past that an average keeps is in [0, 1).
#[track_caller]
fn assert_share(owner: &str, name: &str, value: f64) {
    assert!((0.0..1.0).contains(&value), "{owner}: {name} must be in [0, 1), it is {value}");
}
