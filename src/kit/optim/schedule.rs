//! Learning rates that depend on the step ([`Schedule`]) or on the loss ([`Plateau`]).

use std::f64::consts::PI;

/// A learning rate as a function of the step. It has no state: a resumed run needs only the number of
/// the step.
///
/// [`warm_up`](Self::warm_up) and [`restarts`](Self::restarts) make a schedule of any other, also of each other's:
///
/// ```
/// use wengert::optim::Schedule;
///
/// let schedule = Schedule::cosine(0.1, 900).floor(0.001).warm_up(100);
/// assert_eq!(schedule.at(0), 0.001);
/// assert_eq!(schedule.at(99), 0.1);
/// assert!((schedule.at(550) - 0.0505).abs() < 1e-12);
/// assert_eq!(schedule.at(1000), 0.001);
///
/// let again = schedule.restarts(1000, 1);
/// assert_eq!(again.at(1099), 0.1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The greatest rate.
    lr: f64,
    shape: Shape,
    floor: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant,
    Step { every: u64, factor: f64 },
    Exponential { factor: f64 },
    Linear { steps: u64 },
    Cosine { steps: u64 },
    OneCycle { steps: u64 },
    WarmUp { then: Box<Schedule>, steps: u64 },
    Restarts { of: Box<Schedule>, steps: u64, growth: u64 },
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
    /// equation 5, without [restarts](Self::restarts).
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

    /// A straight rise over `steps` steps to the first rate of this schedule, rate · (step + 1) / steps, and then this
    /// schedule from its first step on.
    ///
    /// Goyal et al., Accurate, large minibatch SGD: training `ImageNet` in 1 hour, 2017, section 2.2.
    #[must_use]
    pub fn warm_up(self, steps: u64) -> Self {
        Self { lr: self.lr, floor: self.floor, shape: Shape::WarmUp { then: Box::new(self), steps } }
    }

    /// This schedule again from its first step on after `steps` steps, then after `growth` times as many, and so on. A longer
    /// cycle takes the schedule in slow motion, with `growth` times as many steps from one of its rates to the next.
    ///
    /// ```
    /// use wengert::optim::Schedule;
    ///
    /// let schedule = Schedule::cosine(0.1, 10).restarts(10, 2);
    /// assert_eq!([0, 10, 30].map(|step| schedule.at(step)), [0.1; 3]);
    /// assert_eq!(schedule.at(20), schedule.at(5)); // half of the way
    /// ```
    ///
    /// Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017, section 3: T₀ = `steps` and
    /// `T_mult` = `growth` with a [`cosine`](Self::cosine) of `steps` steps.
    ///
    /// # Panics
    ///
    /// If `steps` or `growth` is 0.
    #[track_caller]
    #[must_use]
    pub fn restarts(self, steps: u64, growth: u64) -> Self {
        assert!(
            steps > 0 && growth > 0,
            "Schedule::restarts: {steps} steps and the growth {growth}; both must be 1 or more"
        );
        Self { lr: self.lr, floor: self.floor, shape: Shape::Restarts { of: Box::new(self), steps, growth } }
    }

    /// Sets the lowest rate, 0 unless set: a linear or cosine fall ends there, the other shapes stop there. (A
    /// warm-up may begin below.)
    ///
    /// # Panics
    ///
    /// If `floor` is negative or greater than lr.
    #[track_caller]
    #[must_use]
    pub fn floor(mut self, floor: f64) -> Self {
        assert!((0.0..=self.lr).contains(&floor), "Schedule::floor: {floor} is not between 0 and the rate {}", self.lr);
        let mut schedule = &mut self;
        loop {
            schedule.floor = floor;
            match &mut schedule.shape {
                Shape::WarmUp { then: inner, .. } | Shape::Restarts { of: inner, .. } => schedule = inner,
                _ => return self,
            }
        }
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        self.rate(step as f64)
    }

    /// The rate of a step, or of a place between two steps.
    fn rate(&self, step: f64) -> f64 {
        // The part of the fall that is over, in [0, 1].
        let done = |steps: u64| (step / steps as f64).min(1.0);
        match self.shape {
            Shape::Constant => self.lr,
            Shape::Step { every, factor } => (self.lr * factor.powf((step / every as f64).floor())).max(self.floor),
            Shape::Exponential { factor } => (self.lr * factor.powf(step)).max(self.floor),
            Shape::Linear { steps } => self.lr + (self.floor - self.lr) * done(steps),
            Shape::Cosine { steps } => wave(self.lr, self.floor, done(steps)),
            Shape::OneCycle { steps } => {
                let (first, last) = (self.lr / 25.0, self.lr / 25e4);
                let peak = 0.3 * steps as f64 - 1.0;
                let end = (steps - 1) as f64;
                let rate = if step <= peak {
                    wave(first, self.lr, step / peak)
                } else {
                    wave(self.lr, last, ((step - peak) / (end - peak)).min(1.0))
                };
                rate.max(self.floor)
            }
            Shape::WarmUp { ref then, steps } if step < steps as f64 => then.rate(0.0) * (step + 1.0) / steps as f64,
            Shape::WarmUp { ref then, steps } => then.rate(step - steps as f64),
            Shape::Restarts { ref of, steps, growth } => {
                let (steps, growth) = (steps as f64, growth as f64);
                if growth == 1.0 {
                    return of.rate(step % steps);
                }
                let (mut step, mut scale) = (step, 1.0);
                while step >= steps * scale {
                    step -= steps * scale;
                    scale *= growth;
                }
                of.rate(step / scale)
            }
        }
    }

    #[track_caller]
    fn new(lr: f64, shape: Shape) -> Self {
        super::assert_not_negative("Schedule", "lr", lr);
        Self { lr, shape, floor: 0.0 }
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
