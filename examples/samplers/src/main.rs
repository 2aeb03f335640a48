//! Eight schools: a hierarchical model, sampled by the No-U-Turn Sampler of the crate nuts-rs.
//!
//! Eight schools coached pupils for a test, with the mean effects y and their standard errors σ (Rubin 1981,
//! "Estimation in parallel randomized experiments"). The model, in the form without funnel:
//!
//! ```text
//! y_j ~ normal(θ_j, σ_j),  θ_j = μ + τ η_j,  η_j ~ normal(0, 1),  μ ~ normal(0, 5),  τ ~ half-Cauchy(0, 5)
//! ```
//!
//! The log-density is one generic function of ten free numbers; an `Evaluator` gives the sampler value and gradient.
//! The means and deviations agree with those that posteriordb publishes for this posterior (Magnusson et al. 2025,
//! "posteriordb: testing, benchmarking and developing Bayesian inference algorithms"), and with a quadrature over μ and
//! τ.
//!
//! ```text
//! cargo run --release --manifest-path examples/samplers/Cargo.toml
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use nuts_rs::{Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::{Evaluator, Real, Var, density, transform};

const EFFECTS: [f64; 8] = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0];
const ERRORS: [f64; 8] = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0];

/// The log-density of the free numbers: μ, ln τ and the eight η.
fn log_posterior<R: Real<Base = f64>>(free: &[R]) -> R {
    let (mu, eta) = (free[0], &free[2..]);
    let (tau, log_jacobian) = transform::positive(free[1]);
    let [zero, one, five] = [0.0, 1.0, 5.0].map(R::lit);
    // The constant of the half-Cauchy distribution, ln 2, is left out.
    let mut sum = density::normal(mu, zero, five) + density::cauchy(tau, zero, five) + log_jacobian;
    for ((&eta, y), error) in eta.iter().zip(EFFECTS).zip(ERRORS) {
        sum += density::normal(eta, zero, one) + density::normal(R::lit(y), mu + tau * eta, R::lit(error));
    }
    sum
}

/// A log-density for nuts-rs, from a function of variables.
struct Posterior<G>(Evaluator<G>);

/// A point whose log-density or gradient is not finite, which the sampler leaves as a divergence.
#[derive(Debug)]
struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log-density or its gradient is not finite")
    }
}

impl Error for NotFinite {}

impl LogpError for NotFinite {
    fn is_recoverable(&self) -> bool {
        true
    }
}

impl<G: for<'t> Fn(&[Var<'t>]) -> Var<'t>> HasDims for Posterior<G> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::from([("unconstrained_parameter".to_owned(), self.0.inputs() as u64)])
    }
}

impl<G: for<'t> Fn(&[Var<'t>]) -> Var<'t>> CpuLogpFunc for Posterior<G> {
    type LogpError = NotFinite;
    type FlowParameters = ();
    type ExpandedVector = Vec<f64>;

    fn dim(&self) -> usize {
        self.0.inputs()
    }

    fn logp(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, NotFinite> {
        let value = self.0.value_and_grad(position, gradient);
        if value.is_finite() && gradient.iter().all(|g| g.is_finite()) { Ok(value) } else { Err(NotFinite) }
    }

    fn expand_vector<R: rand::Rng + ?Sized>(&mut self, _: &mut R, free: &[f64]) -> Result<Vec<f64>, CpuMathError> {
        Ok(free.to_vec())
    }
}

const CHAINS: u64 = 4;
const TUNING: u64 = 1000;
const DRAWS: u64 = 2000;

/// The free numbers of all draws, chain after chain, and the number of divergences.
fn draws() -> Result<(Vec<Vec<f64>>, usize), Box<dyn Error>> {
    let settings = DiagNutsSettings { num_tune: TUNING, num_draws: DRAWS, ..DiagNutsSettings::default() };
    let (mut all, mut divergences) = (Vec::new(), 0);
    for chain in 0..CHAINS {
        let mut rng = StdRng::seed_from_u64(1964 + chain);
        let posterior = Posterior(Evaluator::new(10, |x| log_posterior(x)));
        let mut sampler = settings.new_chain(chain, CpuMath::new(posterior), &mut rng)?;
        sampler.set_position(&[0.1; 10])?;
        for step in 0..TUNING + DRAWS {
            let (draw, progress) = sampler.draw()?;
            if step >= TUNING {
                all.push(draw.to_vec());
                divergences += usize::from(progress.diverging);
            }
        }
    }
    Ok((all, divergences))
}

/// Mean, standard deviation and the standard error of the mean, from the means of 20 batches of each chain.
fn summary(draws: &[f64]) -> [f64; 3] {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let variance = |x: &[f64]| x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / (x.len() - 1) as f64;
    let batches: Vec<f64> = draws.chunks(DRAWS as usize / 20).map(mean).collect();
    [mean(draws), variance(draws).sqrt(), (variance(&batches) / batches.len() as f64).sqrt()]
}

/// Mean and standard deviation of μ and of τ by quadrature, where the eight θ are integrated by hand: y_j is normal
/// with mean μ and variance σ_j² + τ², so that μ given τ is normal too.
fn by_quadrature() -> [[f64; 2]; 2] {
    let (mut weight, mut sums) = (0.0, [[0.0; 2]; 2]);
    let step = 1e-3;
    for k in 0..14_000 {
        // τ = sinh s, so that the steps grow with τ.
        let s = (f64::from(k) + 0.5) * step;
        let tau = s.sinh();
        let (mut precision, mut linear, mut ln) = (1.0 / 25.0, 0.0, density::cauchy(tau, 0.0, 5.0) + s.cosh().ln());
        for (y, error) in EFFECTS.into_iter().zip(ERRORS) {
            let variance = error * error + tau * tau;
            precision += 1.0 / variance;
            linear += y / variance;
            ln -= 0.5 * (variance.ln() + y * y / variance);
        }
        let mean = linear / precision;
        let w = (ln + 0.5 * (linear * mean - precision.ln())).exp();
        weight += w;
        let moments = [[mean, mean * mean + 1.0 / precision], [tau, tau * tau]];
        for (sum, moment) in sums.as_flattened_mut().iter_mut().zip(moments.as_flattened()) {
            *sum += w * moment;
        }
    }
    sums.map(|[first, second]| [first / weight, (second / weight - (first / weight).powi(2)).sqrt()])
}

fn main() -> Result<(), Box<dyn Error>> {
    let (draws, divergences) = draws()?;
    let of = |f: &dyn Fn(&[f64]) -> f64| summary(&draws.iter().map(|x| f(x)).collect::<Vec<_>>());
    let exact = by_quadrature();
    println!("{} draws in {CHAINS} chains, {divergences} divergences\n", draws.len());
    println!("{:<8} {:>8} {:>10} {:>8}   {:>20}   {:>20}", "", "mean", "its error", "sd", "quadrature", "posteriordb");
    let rows = [("mu", of(&|x| x[0]), [4.4, 3.3]), ("tau", of(&|x| x[1].exp()), [3.6, 3.2])];
    for ((name, [mean, sd, error], [published_mean, published_sd]), [true_mean, true_sd]) in rows.into_iter().zip(exact)
    {
        println!(
            "{name:<8} {mean:>8.2} {error:>10.2} {sd:>8.2}   {true_mean:>10.2} ± {true_sd:<7.2}   {published_mean:>10.2} ± \
             {published_sd:<7.2}"
        );
        assert!((mean - true_mean).abs() < 4.0 * error, "{name}: the mean is off");
        assert!((sd / true_sd - 1.0).abs() < 0.15, "{name}: the deviation is off");
        assert!((true_mean - published_mean).abs() < 0.1 && (true_sd - published_sd).abs() < 0.1, "{name}: quadrature");
    }
    for school in 0..8 {
        let [mean, sd, error] = of(&|x| x[0] + x[1].exp() * x[2 + school]);
        println!("theta {school}  {mean:>8.2} {error:>10.2} {sd:>8.2}");
    }
    assert!(divergences < draws.len() / 200, "{divergences} divergences");
    Ok(())
}
