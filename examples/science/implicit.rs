//! An operation of your own: the solution of a linear system, differentiated through its adjoint.
//!
//! A rod of 40 cells conducts heat between two ends at fixed temperatures; the conductivity of each of the 41 faces is
//! unknown. The temperatures solve a tridiagonal system A(c) t = b by a solver that knows only plain floats. The
//! pullback of the solution needs no look inside the solver: with s = A⁻ᵀ t̄,
//!
//! ```text
//! b̄ = s,    Ā = -s tᵀ    (M. Giles 2008, "Collected matrix derivative results", 2.3.1)
//! ```
//!
//! so one more solve gives the gradient with respect to all 41 conductivities. With the tangent of the solution,
//! ṫ = A⁻¹(ḃ - Ȧ t), the same operation runs on a tape of dual numbers too. That gives Hessian-vector products, with
//! which Newton's method and conjugate gradients find the conductivities from measured temperatures.
//!
//! Where a solution is a root of equations that can be written down, no rule is needed at all: `implicit::root` takes
//! the equations and the solver's result. Both ways give the same derivatives of both orders.
//!
//! ```text
//! cargo run --release --features linalg --example implicit
//! ```

use ndarray::{Array1, Array2, ArrayView1, s};
use wengert::gradcheck::GradCheck;
use wengert::{Dual, Real, Scalar, Tape, Tensor, Var, implicit};

/// Numbers for which a tridiagonal system can be solved; the bands are lower diagonal, diagonal and upper diagonal.
trait Solve: Scalar<Base = f64> {
    fn solve(bands: [ArrayView1<'_, Self>; 3], b: ArrayView1<'_, Self>) -> Array1<Self>;
}

/// The solver from elsewhere: Thomas' algorithm.
impl Solve for f64 {
    fn solve([lower, diagonal, upper]: [ArrayView1<'_, f64>; 3], b: ArrayView1<'_, f64>) -> Array1<f64> {
        let n = b.len();
        let (mut d, mut x) = (diagonal.to_owned(), b.to_owned());
        for i in 1..n {
            let factor = lower[i] / d[i - 1];
            d[i] -= factor * upper[i - 1];
            x[i] -= factor * x[i - 1];
        }
        x[n - 1] /= d[n - 1];
        for i in (0..n - 1).rev() {
            x[i] = (x[i] - upper[i] * x[i + 1]) / d[i];
        }
        x
    }
}

/// The solution and its tangent, ṫ = A⁻¹(ḃ - Ȧ t).
impl Solve for Dual<f64> {
    fn solve(bands: [ArrayView1<'_, Self>; 3], b: ArrayView1<'_, Self>) -> Array1<Self> {
        let (primal, tangent) = (bands.map(|x| x.mapv(Dual::primal)), bands.map(|x| x.mapv(|d| d.tangents()[0])));
        let view = || [primal[0].view(), primal[1].view(), primal[2].view()];
        let t = f64::solve(view(), b.mapv(Dual::primal).view());
        let n = t.len();
        let mut rest = b.mapv(|d| d.tangents()[0]) - &tangent[1] * &t;
        for i in 1..n {
            rest[i] -= tangent[0][i] * t[i - 1];
            rest[i - 1] -= tangent[2][i - 1] * t[i];
        }
        let t_dot = f64::solve(view(), rest.view());
        t.iter().zip(&t_dot).map(|(t, dot)| Dual::new(*t, [*dot])).collect()
    }
}

type Vector<'t, F> = Tensor<'t, F, ndarray::Ix1>;

/// The operation: the solution of A x = b for a symmetric tridiagonal A, given by its diagonal and the n - 1 numbers
/// beside the diagonal.
fn solve<'t, F: Solve>(diagonal: Vector<'t, F>, beside: Vector<'t, F>, b: Vector<'t, F>) -> Vector<'t, F> {
    // The solver takes bands of full length.
    fn run<F: Solve>(diagonal: ArrayView1<'_, F>, beside: ArrayView1<'_, F>, b: ArrayView1<'_, F>) -> Array1<F> {
        let n = diagonal.len();
        let (mut lower, mut upper) = (Array1::zeros(n), Array1::zeros(n));
        lower.slice_mut(s![1..]).assign(&beside);
        upper.slice_mut(s![..n - 1]).assign(&beside);
        F::solve([lower.view(), diagonal, upper.view()], b)
    }
    let x = run(diagonal.value(), beside.value(), b.value());
    diagonal.tape().custom("solve", (diagonal, beside, b), x, |cotangent, (diagonal, beside, _), x| {
        let s = run(diagonal, beside, cotangent); // A is its own transpose
        let of_diagonal = s.iter().zip(x).map(|(s, x)| -*s * *x).collect();
        let of_beside = (1..x.len()).map(|i| -(s[i] * x[i - 1] + s[i - 1] * x[i])).collect();
        (of_diagonal, of_beside, s)
    })
}

/// The temperatures in the cells, from the logarithms of the conductivities of the faces.
fn temperatures<'t, F: Solve>(log_conductivity: Vector<'t, F>) -> Vector<'t, F> {
    let c = log_conductivity.exp();
    let n = c.len() - 1;
    let diagonal = c.slice(s![..n]) + c.slice(s![1..]);
    let ends = Array2::from_shape_fn((n, 2), |(i, end)| F::lit(f64::from(i == [0, n - 1][end]) * [1.0, 0.0][end]));
    let b = c.tape().constant(ends.column(0).to_owned()) * c.at([0]);
    solve(diagonal, -c.slice(s![1..n]), b)
}

/// The same temperatures as the root of the heat balance of each cell: what flows in through one face and out through
/// the other. The solver runs on plain floats alone.
fn temperatures_by_root<'t, F: Solve>(log_conductivity: Vector<'t, F>) -> Vector<'t, F> {
    let p: Vec<Var<'t, F>> = (0..log_conductivity.len()).map(|i| log_conductivity.at([i])).collect();
    let solved = {
        let tape = Tape::new();
        let floats = log_conductivity.value().mapv(Real::to_base);
        temperatures(tape.tensor(&floats)).value().to_vec()
    };
    let t = implicit::root(
        |t, p| {
            let n = t.len();
            let flow = |i: usize| {
                // From cell i - 1 to cell i; the ends have the temperatures 1 and 0.
                let before = if i == 0 { Var::constant(F::one()) } else { t[i - 1] };
                let after = if i == n { Var::constant(F::zero()) } else { t[i] };
                p[i].exp() * (before - after)
            };
            (0..n).map(|i| flow(i) - flow(i + 1)).collect()
        },
        &solved,
        &p,
    );
    log_conductivity.tape().stack_vars(&t.expect("conductivities are positive"))
}

/// The squared misfit of temperatures to the measured ones, plus a small penalty on roughness.
fn misfit<'t, F: Solve>(
    solved: impl Fn(Vector<'t, F>) -> Vector<'t, F>,
    log_conductivity: Vector<'t, F>,
    measured: &Array1<f64>,
) -> Var<'t, F> {
    let n = log_conductivity.len();
    let measured = measured.mapv(F::lit);
    let smooth = log_conductivity.slice(s![1..]) - log_conductivity.slice(s![..n - 1]);
    (solved(log_conductivity) - measured).square().sum() * F::lit(1e4) + smooth.square().sum() * F::lit(1e-3)
}

fn gradient(at: &Array1<f64>, measured: &Array1<f64>) -> (f64, Array1<f64>) {
    let tape = Tape::new();
    let x = tape.tensor(at);
    let loss = misfit(temperatures, x, measured);
    (loss.value(), loss.backward().wrt(x))
}

/// A way from conductivities to temperatures, on a tape of dual numbers.
type Solution = for<'t> fn(Vector<'t, Dual<f64>>) -> Vector<'t, Dual<f64>>;

/// The gradient at a point, and its derivative along a direction, the Hessian-vector product: forward over reverse.
fn gradient_and_product(
    solved: Solution,
    at: &Array1<f64>,
    direction: &Array1<f64>,
    measured: &Array1<f64>,
) -> [Array1<f64>; 2] {
    let dual: Array1<_> = at.iter().zip(direction).map(|(x, d)| Dual::new(*x, [*d])).collect();
    let tape = Tape::new();
    let x = tape.tensor(&dual);
    let gradient = misfit(solved, x, measured).backward().wrt(x);
    [gradient.mapv(Dual::primal), gradient.mapv(|g| g.tangents()[0])]
}

fn hessian_times(at: &Array1<f64>, direction: &Array1<f64>, measured: &Array1<f64>) -> Array1<f64> {
    let [_, product] = gradient_and_product(temperatures, at, direction, measured);
    product
}

/// The solution of H p = -g by conjugate gradients, up to the first direction of negative curvature.
fn newton_step(at: &Array1<f64>, g: &Array1<f64>, measured: &Array1<f64>) -> Array1<f64> {
    let (mut step, mut residual) = (Array1::zeros(g.len()), -g);
    let mut direction = residual.clone();
    for _ in 0..2 * g.len() {
        let product = hessian_times(at, &direction, measured);
        let (size, curvature) = (residual.dot(&residual), direction.dot(&product));
        if curvature <= 0.0 || size.sqrt() < 1e-10 * g.dot(g).sqrt() {
            break;
        }
        step.scaled_add(size / curvature, &direction);
        residual.scaled_add(-size / curvature, &product);
        direction = &residual + &direction * (residual.dot(&residual) / size);
    }
    if step.dot(g) < 0.0 { step } else { -g }
}

fn main() {
    let truth = Array1::from_shape_fn(41, |i| 0.8 * (i as f64 * 0.25).sin());
    let measured = {
        let tape = Tape::new();
        temperatures(tape.tensor(&truth)).value().to_owned()
    };
    let mut at = Array1::zeros(41);

    // The gradient against finite differences, and a Hessian-vector product against differences of the gradient.
    GradCheck::new().check_tensor(|x| temperatures(x).square().sum(), &truth).expect("the pullback is right");
    let direction = Array1::from_shape_fn(41, |i| (i as f64).cos());
    let (h, exact) = (1e-5, hessian_times(&truth, &direction, &measured));
    let moved = |step: f64| gradient(&(&truth + &direction * step), &measured).1;
    let difference = (moved(h) - moved(-h)) / (2.0 * h);
    let error = (&difference - &exact).iter().fold(0.0_f64, |worst, d| worst.max(d.abs()));
    println!("gradient: checked; Hessian times a vector: differs from differences by {error:.1e}");
    assert!(error < 1e-5 * exact.dot(&exact).sqrt());

    // The same derivatives from the equations, by the implicit function theorem.
    let [by_rule, by_root] = [temperatures as Solution, temperatures_by_root]
        .map(|solved| gradient_and_product(solved, &at, &direction, &measured));
    for (name, rule, root) in
        [("gradient", &by_rule[0], &by_root[0]), ("Hessian times a vector", &by_rule[1], &by_root[1])]
    {
        let error = (rule - root).iter().fold(0.0_f64, |worst, d| worst.max(d.abs())) / rule.dot(rule).sqrt();
        println!("{name}: that of the call differs from that of the operation by {error:.1e}");
        assert!(error < 1e-12);
    }

    println!("\n{:>4}  {:>12}  {:>12}  {:>10}", "step", "misfit", "|gradient|", "worst face");
    for step in 0.. {
        let (loss, g) = gradient(&at, &measured);
        // A common factor of all conductivities changes no temperature.
        let shift = (&truth - &at).mean().expect("not empty");
        let worst = (&truth - &at - shift).iter().fold(0.0_f64, |worst, d| worst.max(d.abs()));
        println!("{step:>4}  {loss:>12.4e}  {:>12.4e}  {worst:>10.4}", g.dot(&g).sqrt());
        if g.dot(&g).sqrt() < 1e-6 || step == 30 {
            break;
        }
        let direction = newton_step(&at, &g, &measured);
        // Backtracking along a descent direction.
        let lower = |scale: &f64| gradient(&(&at + &direction * *scale), &measured).0 < loss;
        let scale = (0..40).map(|k| 0.5_f64.powi(k)).find(lower).unwrap_or(0.0);
        at.scaled_add(scale, &direction);
    }
}
