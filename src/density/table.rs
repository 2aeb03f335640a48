//! The rows of the table of log-densities, as tokens.
//!
//! | field | meaning |
//! |---|---|
//! | doc, name, operands | those of the function: counts in brackets, then numbers of the type `R: Real` |
//! | `value` | the log-density |
//! | `formula`, `parameters` | the log-density and the domain of the parameters, as text for the docs |
//! | `sample` | counts and numbers at which the function is smooth |
//!
//! The file imports nothing. Code that needs every row passes the name of a macro to [`for_each_density`].
//!
//! # Adding a distribution
//!
//! Add one row below, and one to `tests/oracle/densities.py`; no other file changes. Outside of the support the value
//! is `impossible(..)`, whose derivatives are 0; parameters that no density has give NaN. A comparison of an operand is
//! a branch of a [`Program`](crate::Program): compare only where the result differs.

/// Calls `$emit!` with all rows.
macro_rules! for_each_density {
    ($emit:ident) => {
        $emit! {
            scalar {
                /// Normal distribution with mean μ and standard deviation σ.
                fn normal[](x, mu, sigma) {
                    value: if x.is_infinite() {
                        impossible(x, &[sigma])
                    } else {
                        -(((x - mu) / sigma).square() * R::lit(0.5) + Float::ln(sigma)) - R::lit(LN_SQRT_TAU)
                    },
                    formula: "-½((x - μ)/σ)² - ln σ - ½ ln 2π", parameters: "σ > 0", sample: ([], [0.7, -0.4, 1.3]),
                }
                /// Log-normal distribution: ln x is normal with mean μ and standard deviation σ.
                fn log_normal[](x, mu, sigma) {
                    value: if x <= R::zero() || x.is_infinite() {
                        impossible(x, &[sigma])
                    } else {
                        let ln_x = Float::ln(x);
                        -(((ln_x - mu) / sigma).square() * R::lit(0.5) + ln_x + Float::ln(sigma)) - R::lit(LN_SQRT_TAU)
                    },
                    formula: "-½((ln x - μ)/σ)² - ln x - ln σ - ½ ln 2π for x > 0", parameters: "σ > 0",
                    sample: ([], [0.7, -0.4, 1.3]),
                }
                /// Student's t distribution with ν degrees of freedom, location μ and scale σ; a normal one for ν = ∞.
                fn student_t[](x, nu, mu, sigma) {
                    value: if !(nu > R::zero()) {
                        invalid(nu)
                    } else if x.is_infinite() {
                        impossible(x, &[sigma])
                    } else if nu.is_infinite() {
                        normal(x, mu, sigma)
                    } else {
                        let tail = ln_1p_square(x - mu, sigma * Float::sqrt(nu)) * (nu + R::one()) * R::lit(0.5);
                        gamma_ratio(nu) - R::lit(LN_SQRT_TAU) - Float::ln(sigma) - tail
                    },
                    formula: "ln Γ(½(ν + 1)) - ln Γ(½ν) - ½ ln νπ - ln σ - ½(ν + 1) ln(1 + ((x - μ)/σ)²/ν)",
                    parameters: "ν > 0, σ > 0", sample: ([], [0.7, 3.5, -0.4, 1.3]),
                }
                /// Cauchy distribution with location μ and scale σ.
                fn cauchy[](x, mu, sigma) {
                    value: if x.is_infinite() {
                        impossible(x, &[sigma])
                    } else {
                        -(ln_1p_square(x - mu, sigma) + Float::ln(sigma)) - R::lit(LN_PI)
                    },
                    formula: "-ln πσ - ln(1 + ((x - μ)/σ)²)", parameters: "σ > 0", sample: ([], [0.7, -0.4, 1.3]),
                }
                /// Exponential distribution with rate λ, whose mean is 1/λ.
                fn exponential[](x, rate) {
                    value: if !(rate > R::zero()) {
                        invalid(rate)
                    } else if x < R::zero() || x.is_infinite() {
                        impossible(x, &[])
                    } else {
                        Float::ln(rate) - rate * x
                    },
                    formula: "ln λ - λx for x ≥ 0", parameters: "λ > 0", sample: ([], [0.7, 1.3]),
                }
                /// Gamma distribution with shape α and rate β, whose mean is α/β.
                fn gamma[](x, shape, rate) {
                    value: if !(shape > R::zero() && rate > R::zero()) {
                        invalid(shape * rate)
                    } else if x < R::zero() || x.is_infinite() || (x == R::zero() && shape > R::one()) {
                        impossible(x, &[])
                    } else {
                        let powers = shape * Float::ln(rate) + (shape - R::one()).xlogy(x);
                        powers - rate * x - shape.ln_gamma()
                    },
                    formula: "α ln β - ln Γ(α) + (α - 1) ln x - βx for x ≥ 0", parameters: "α > 0, β > 0",
                    sample: ([], [0.7, 2.5, 1.3]),
                }
                /// Beta distribution with the shapes α and β, on the interval from 0 to 1.
                fn beta[](x, a, b) {
                    value: if !(a > R::zero() && b > R::zero()) || x.is_nan() {
                        invalid(a * b * x)
                    } else if x < R::zero()
                        || x > R::one()
                        || (x == R::zero() && a > R::one())
                        || (x == R::one() && b > R::one())
                    {
                        impossible(x, &[])
                    } else {
                        let powers = (a - R::one()).xlogy(x) + (b - R::one()).gated_mul(Float::ln_1p(-x));
                        powers + (a + b).ln_gamma() - a.ln_gamma() - b.ln_gamma()
                    },
                    formula: "(α - 1) ln x + (β - 1) ln(1 - x) + ln Γ(α + β) - ln Γ(α) - ln Γ(β) for 0 ≤ x ≤ 1",
                    parameters: "α > 0, β > 0", sample: ([], [0.7, 2.5, 1.3]),
                }
                /// Poisson distribution with mean λ, of a count k.
                fn poisson[k](rate) {
                    value: if rate < R::zero() {
                        invalid(rate)
                    } else if rate.is_infinite() || (k > 0 && rate == R::zero()) {
                        impossible(rate, &[])
                    } else {
                        times(k, rate, Float::ln) - rate - R::lit(ln_factorial(k))
                    },
                    formula: "k ln λ - λ - ln k!", parameters: "λ ≥ 0", sample: ([3], [1.3]),
                }
                /// Binomial distribution: k successes in n trials, each of probability p.
                fn binomial[k, n](p) {
                    value: if !(p >= R::zero() && p <= R::one()) {
                        invalid(p)
                    } else if k > n || (k > 0 && p == R::zero()) || (k < n && p == R::one()) {
                        impossible(p, &[])
                    } else {
                        let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
                        times(k, p, Float::ln) + times(n - k, -p, Float::ln_1p) + R::lit(ways)
                    },
                    formula: "ln n!/(k! (n - k)!) + k ln p + (n - k) ln(1 - p) for k ≤ n", parameters: "0 ≤ p ≤ 1",
                    sample: ([2, 5], [0.7]),
                }
            }
            vector {
                /// Categorical distribution: category k, of weights that need not sum to 1.
                ///
                /// # Panics
                ///
                /// If there is no category k.
                fn categorical(k: usize, weights: &[R]) {
                    value: {
                        assert_category("categorical", k, weights.len());
                        if weights.iter().any(|&w| !(w >= R::zero())) {
                            invalid(weights.iter().copied().sum())
                        } else if weights[k] == R::zero() {
                            impossible(weights[k], &[weights.iter().copied().sum()])
                        } else {
                            Float::ln(weights[k]) - ln_sum(weights)
                        }
                    },
                    formula: "ln wₖ - ln Σwᵢ", parameters: "wᵢ ≥ 0", sample: ([1], [0.7, 0.4, 1.3]),
                    call: |counts, w| categorical(counts[0] as usize, w),
                }
                /// Categorical distribution: category k, of the logarithms of weights, as a network ends with. Nothing
                /// overflows.
                ///
                /// # Panics
                ///
                /// If there is no category k.
                fn categorical_logits(k: usize, logits: &[R]) {
                    value: {
                        assert_category("categorical_logits", k, logits.len());
                        let own = logits[k];
                        if own == R::neg_infinity() {
                            if logits.iter().all(|&s| s == own) { invalid(own) } else { impossible(own, &[]) }
                        } else {
                            // ln(e^a + e^b) = a + softplus(b - a), from a = 0 on.
                            let others = logits.iter().enumerate().filter(|&(i, _)| i != k);
                            -others.fold(own.gated_mul(R::zero()), |sum, (_, &s)| sum + (s - own - sum).softplus())
                        }
                    },
                    formula: "sₖ - ln Σe^sᵢ", parameters: "sᵢ < ∞", sample: ([1], [0.7, -0.4, 1.3]),
                    call: |counts, s| categorical_logits(counts[0] as usize, s),
                }
                /// Multivariate normal distribution of n numbers with mean μ and covariance Σ, of shape (n, n), of
                /// which the lower triangle is read. Of a covariance that is not positive definite the value is NaN.
                ///
                /// # Panics
                ///
                /// If the shapes differ.
                fn multivariate_normal(x: &[R], mu: &[R], covariance: ArrayView2<'_, R>) {
                    value: {
                        assert_orders("multivariate_normal", x.len(), mu.len(), covariance.shape());
                        multivariate_normal_cholesky(x, mu, cholesky(covariance).view())
                    },
                    formula: "-½(x - μ)ᵀΣ⁻¹(x - μ) - ½ ln det Σ - ½n ln 2π", parameters: "Σ positive definite",
                    sample: ([], [0.7, -0.3, 0.2, 0.4, 1.3, 0.5, 0.5, 0.9]),
                    call: |_, x| multivariate_normal(&x[..2], &x[2..4], matrix(&x[4..])),
                }
                /// Multivariate normal distribution of n numbers with mean μ and covariance L Lᵀ, by the lower triangle
                /// L, of shape (n, n), with a positive diagonal. [`transform`](crate::transform) has triangles of
                /// correlations.
                ///
                /// # Panics
                ///
                /// If the shapes differ.
                fn multivariate_normal_cholesky(x: &[R], mu: &[R], cholesky: ArrayView2<'_, R>) {
                    value: {
                        assert_orders("multivariate_normal_cholesky", x.len(), mu.len(), cholesky.shape());
                        if x.iter().any(|x| x.is_infinite()) {
                            impossible(x.iter().copied().sum(), &cholesky.diag().to_vec())
                        } else {
                            let z = substituted(cholesky, x.iter().zip(mu).map(|(&x, &mu)| x - mu));
                            let ln_det: R = cholesky.diag().iter().map(|&l| Float::ln(l)).sum();
                            -(R::dot_of(&z, &z) * R::lit(0.5) + ln_det) - R::lit(x.len() as f64 * LN_SQRT_TAU)
                        }
                    },
                    formula: "-½‖L⁻¹(x - μ)‖² - Σ ln Lᵢᵢ - ½n ln 2π", parameters: "Lᵢᵢ > 0",
                    sample: ([], [0.7, -0.3, 0.2, 0.4, 1.3, 0.0, 0.5, 0.9]),
                    call: |_, x| multivariate_normal_cholesky(&x[..2], &x[2..4], matrix(&x[4..])),
                }
            }
        }
    };
}

pub(super) use for_each_density;
