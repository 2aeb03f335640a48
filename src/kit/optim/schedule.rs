//! Learning rates that depend on the step ([`Schedule`]) or on the loss ([`Plateau`]).

use std::f64::consts::PI;

/// A learning rate as a function of the step. It has no state: a resumed run needs only the number of
/// the step.
///
/// ```
/// use wengert::optim::Schedule;
///
/// let schedule = Schedule::cosine(0.1, 1000).warm_up(100).floor(0.001);
/// assert_eq!(schedule.at(0), 0.001);
/// assert_eq!(schedule.at(99), 0.1);
/// assert!((schedule.at(550) - 0.0505).abs() < 1e-12);
/// assert_eq!(schedule.at(1000), 0.001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    lr: f64,
    shape: Shape,
    warm_up: u64,
    floor: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant,
    Step { every: u64, factor: f64 },
    Exponential { factor: f64 },
    Linear { steps: u64 },
    Cosine { steps: u64 },
    OneCycle { steps: u64 },
}

impl Schedule {
    /// The constant rate lr.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite, as for all schedules.
    #[track_caller]
    pub fn constant(lr: f64) -> Self {
        Self::new(lr, Shape::Constant)
    }

    /// The rate lr · factor^⌊step / every⌋.
    ///
    /// # Panics
    ///
    /// If `every` is 0 or `factor` is negative or not finite.
    #[track_caller]
    pub fn step(lr: f64, every: u64, factor: f64) -> Self {
        assert!(every > 0, "Schedule::step: the rate falls every step or more, not every 0 steps");
        super::assert_not_negative("Schedule::step", "factor", factor);
        Self::new(lr, Shape::Step { every, factor })
    }

    /// The rate lr · factor^step.
    ///
    /// # Panics
    ///
    /// If `factor` is negative or not finite.
    #[track_caller]
    pub fn exponential(lr: f64, factor: f64) -> Self {
        super::assert_not_negative("Schedule::exponential", "factor", factor);
        Self::new(lr, Shape::Exponential { factor })
    }

    /// A straight fall from lr to the floor over `steps` steps, then the floor.
    ///
    /// # Panics
    ///
    /// If `steps` is 0.
    #[track_caller]
    pub fn linear(lr: f64, steps: u64) -> Self {
        assert!(steps > 0, "Schedule::linear: at least 1 step");
        Self::new(lr, Shape::Linear { steps })
    }

    /// A fall from lr to the floor along half a cosine wave, floor + (lr - floor)(1 + cos πt) / 2 with
    /// t = step / steps, then the floor.
    ///
    /// Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017,
    /// equation 5, without restarts.
    ///
    /// # Panics
    ///
    /// If `steps` is 0.
    #[track_caller]
    pub fn cosine(lr: f64, steps: u64) -> Self {
        assert!(steps > 0, "Schedule::cosine: at least 1 step");
        Self::new(lr, Shape::Cosine { steps })
    }

    /// The one-cycle policy: for 30% of the steps from lr / 25 up to lr, then down to lr / 250,000
    /// at the last step, both along half a cosine wave.
    ///
    /// Smith and Topin, Super-convergence: very fast training of neural networks using large
    /// learning rates, 2019, with the shape and numbers of the common libraries.
    ///
    /// # Panics
    ///
    /// If `steps` is less than 2.
    #[track_caller]
    pub fn one_cycle(lr: f64, steps: u64) -> Self {
        assert!(steps > 1, "Schedule::one_cycle: at least 2 steps, not {steps}");
        Self::new(lr, Shape::OneCycle { steps })
    }

    /// Adds a straight rise over the first `steps` steps, lr · (step + 1) / steps. A linear or cosine fall
    /// takes the remaining ones of its steps; the other shapes begin after the rise.
    ///
    /// Goyal et al., Accurate, large minibatch SGD: training `ImageNet` in 1 hour, 2017, section 2.2.
    ///
    /// # Panics
    ///
    /// If no step remains for the fall, or on a one-cycle schedule, which has its own warm-up.
    #[track_caller]
    #[must_use]
    pub fn warm_up(self, steps: u64) -> Self {
        match self.shape {
            Shape::Linear { steps: all } | Shape::Cosine { steps: all } => {
                assert!(steps < all, "Schedule::warm_up: {steps} steps of warm-up leave none of {all}");
            }
            Shape::OneCycle { .. } => panic!("Schedule::warm_up: a one-cycle schedule has its own warm-up"),
            _ => {}
        }
        Self { warm_up: steps, ..self }
    }

    /// Sets the lowest rate, 0 unless set: a linear or cosine fall ends there, the other shapes stop there. (A
    /// warm-up may begin below.)
    ///
    /// # Panics
    ///
    /// If `floor` is negative or greater than lr.
    #[track_caller]
    #[must_use]
    pub fn floor(self, floor: f64) -> Self {
        assert!((0.0..=self.lr).contains(&floor), "Schedule::floor: {floor} is not between 0 and the rate {}", self.lr);
        Self { floor, ..self }
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.lr * (step + 1) as f64 / self.warm_up as f64;
        }
        let step = step - self.warm_up;
        // The part of the fall that is over, in [0, 1].
        let done = |steps: u64| (step as f64 / (steps - self.warm_up) as f64).min(1.0);
        match self.shape {
            Shape::Constant => self.lr,
            Shape::Step { every, factor } => (self.lr * factor.powf((step / every) as f64)).max(self.floor),
            Shape::Exponential { factor } => (self.lr * factor.powf(step as f64)).max(self.floor),
            Shape::Linear { steps } => self.lr + (self.floor - self.lr) * done(steps),
            Shape::Cosine { steps } => wave(self.lr, self.floor, done(steps)),
            Shape::OneCycle { steps } => {
                let (first, last) = (self.lr / 25.0, self.lr / 25e4);
                let peak = 0.3 * steps as f64 - 1.0;
                let (step, end) = (step as f64, (steps - 1) as f64);
                let rate = if step <= peak {
                    wave(first, self.lr, step / peak)
                } else {
                    wave(self.lr, last, ((step - peak) / (end - peak)).min(1.0))
                };
                rate.max(self.floor)
            }
        }
    }

    #[track_caller]
    fn new(lr: f64, shape: Shape) -> Self {
        super::assert_not_negative("Schedule", "lr", lr);
        Self { lr, shape, warm_up: 0, floor: 0.0 }
    }
}

/// The value between `from` and `to` on half a cosine wave, at `done` in [0, 1].
fn wave(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * f64::midpoint(1.0, (PI * done).cos())
}

/// A learning rate that falls when a loss no longer improves.
///
/// A loss is an improvement if it is below the best loss by more than `threshold` times the size of the best loss.
/// After more than `patience` observations in a row without improvement, the rate is multiplied by `factor`.
///
/// All fields are public, so that they can be saved and a run resumed with them.
///
/// ```
/// use wengert::optim::Plateau;
///
/// let mut plateau = Plateau::new(0.1, 1);
/// let rates = [3.0, 2.0, 2.0, 2.0, 1.0].map(|loss| plateau.observe(loss));
/// assert_eq!(rates, [0.1, 0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The learning rate.
    pub lr: f64,
    /// The number of observations in a row without improvement that leave the rate as it is.
    pub patience: u32,
    /// The factor of the rate at each fall, 0.1 unless set.
    pub factor: f64,
    /// The share by which a loss must be below the best one, 1e-4 unless set.
    pub threshold: f64,
    /// The lowest rate, 0 unless set.
    pub floor: f64,
    /// The best loss so far.
    pub best: f64,
    /// The number of observations since the best loss, or since the last fall of the rate.
    pub waited: u32,
}

impl Plateau {
    /// A plateau with the factor 0.1, the threshold 1e-4 and the floor 0.
    ///
    /// # Panics
    ///
    /// If `lr` is negative or not finite.
    #[track_caller]
    pub fn new(lr: f64, patience: u32) -> Self {
        super::assert_not_negative("Plateau", "lr", lr);
        Self { lr, patience, factor: 0.1, threshold: 1e-4, floor: 0.0, best: f64::INFINITY, waited: 0 }
    }

    /// Observes a loss and returns the rate of the next step. NaN is no improvement.
    pub fn observe(&mut self, loss: f64) -> f64 {
        // `abs`, because a loss may be negative.
        let better = if self.best.is_finite() { self.best - self.threshold * self.best.abs() } else { self.best };
        if loss < better {
            self.best = loss;
            self.waited = 0;
        } else {
            self.waited += 1;
            if self.waited > self.patience {
                self.lr = (self.lr * self.factor).max(self.floor);
                self.waited = 0;
            }
        }
        self.lr
    }
}
