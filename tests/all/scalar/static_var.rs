//! Static handles: the numbers of a `Var`, within their scope alone.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use ndarray::{Array1, arr1};
use num_traits::{Float, One, Signed, ToPrimitive, Zero};
use wengert::rules::{BINARY, UNARY};
use wengert::{Dual, Real, StaticVar, Tape, Var, grad, hvp, statics, value_and_grad};

use crate::support::functions::{mixed, rosenbrock};
use crate::support::here::assert_panics_here;
use crate::support::panics::message_of;

/// A handle whose scope has ended.
fn stale() -> StaticVar {
    let mut kept = StaticVar::constant(0.0);
    statics::grad(
        |x| {
            kept = x[0];
            x[0]
        },
        &[1.0],
    );
    kept
}

/// The bits of numbers, so that zeros have a sign and NaN is equal to itself.
fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| if x.is_nan() { f64::NAN } else { *x }.to_bits()).collect()
}

#[test]
fn every_row_gives_the_numbers_of_a_var() {
    // On an input, on a handle with a pending weight, and after a record.
    let weights = [1.0, -3.0, 1e-300, 1e300, f64::INFINITY];
    for row in UNARY {
        let samples = [row.sample.0 * 0.75 + row.sample.1 * 0.25, 0.0];
        for x in row.points.iter().map(|p| p.0).chain(samples) {
            for w in weights {
                let (y, [dx]) = value_and_grad(|[x]| (row.on_var)(x) * w + (row.on_var)(x / w * w), [x]);
                let (z, [dz]) = statics::value_and_grad(|[x]| (row.on_static)(x) * w + (row.on_static)(x / w * w), [x]);
                assert_eq!(bits(&[y, dx]), bits(&[z, dz]), "{} at {x} with weight {w}", row.name);
            }
        }
    }
    for row in BINARY {
        for (a, b) in row.points.iter().map(|p| (p.0, p.1)) {
            for w in weights {
                let (y, g) = value_and_grad(|[a, b]| (row.on_var)(a, b * w / w) * w + a, [a, b]);
                let (z, h) = statics::value_and_grad(|[a, b]| (row.on_static)(a, b * w / w) * w + a, [a, b]);
                assert_eq!(bits(&[y, g[0], g[1]]), bits(&[z, h[0], h[1]]), "{} at {a}, {b}, {w}", row.name);
            }
            // Constants on either side, and one handle on both.
            let g = grad(
                |x| (row.on_var)(x[0], b.into()) + (row.on_var)(a.into(), x[1]) + (row.on_var)(x[0], x[0]),
                &[a, b],
            );
            let h = statics::grad(
                |x| (row.on_static)(x[0], b.into()) + (row.on_static)(a.into(), x[1]) + (row.on_static)(x[0], x[0]),
                &[a, b],
            );
            assert_eq!(bits(&g), bits(&h), "{} at {a}, {b} beside constants", row.name);
        }
    }
}

#[test]
fn every_row_has_the_second_derivatives_of_a_var() {
    for row in UNARY {
        let x = (row.sample.0 * 0.75 + row.sample.1 * 0.25) as f32;
        let want = hvp(|x| row_on_var(row.on_var_dual_f32, x[0]), &[x], &[1.0]);
        let got = statics::hvp(|x| (row.on_static_dual_f32)(x[0]) * 2.0_f32, &[x], &[1.0]);
        assert_eq!(got, want, "{} at {x}", row.name);
    }
    for row in BINARY {
        let at = |(from, to): (f64, f64)| (from * 0.75 + to * 0.25) as f32;
        let x = [at(row.sample.0), at(row.sample.1)];
        let want = hvp(|x| (row.on_var_dual_f32)(x[0], x[1]), &x, &[1.0, -2.0]);
        let got = statics::hvp(|x| (row.on_static_dual_f32)(x[0], x[1]), &x, &[1.0, -2.0]);
        assert_eq!(got, want, "{} at {x:?}", row.name);
    }
}

type OfDual<'t> = Var<'t, Dual<f32>>;

fn row_on_var<'t>(row: for<'s> fn(OfDual<'s>) -> OfDual<'s>, x: OfDual<'t>) -> OfDual<'t> {
    row(x) * 2.0_f32
}

#[test]
fn functions_of_many_operands_give_the_numbers_of_vars() {
    fn many<R: Real>(x: &[R]) -> R {
        let products: R = x.iter().map(|&x| x * x).sum();
        let [a, b] = [x[0], x[1]];
        products + wengert::dot(x, x) * wengert::norm(x) + wengert::log_sum_exp(x) + Float::mul_add(a, b, a)
            - x.iter().copied().product::<R>() * Float::sin_cos(a).1
            + [R::one(), a, b, a].into_iter().sum::<R>()
    }
    let x = [1.5, -0.25, 3.0, 0.5, 2.0, -1.0, 0.125, 4.0, 1.0];
    let (y, g) = value_and_grad(|x| many(x), &x);
    let (z, h) = statics::value_and_grad(many, &x);
    assert_eq!((y, g), (z, h));
    assert_eq!(many(&x.map(StaticVar::constant)).value(), y);
    let rosenbrocks = (value_and_grad(|x| rosenbrock(x), &x), statics::value_and_grad(rosenbrock, &x));
    assert_eq!(rosenbrocks.0, rosenbrocks.1);
    assert_eq!(hvp(|x| rosenbrock(x), &x, &x), statics::hvp(rosenbrock, &x, &x));
    assert_eq!(wengert::jacobian(|x| mixed(x), &x[..3]), statics::jacobian(mixed, &x[..3]));
    let x = x.map(|x| x as f32);
    assert_eq!(value_and_grad(|x| many(x), &x), statics::value_and_grad(many, &x));
}

/// At the origin the norm of dual numbers is a tensor operation, whose pullback must live as long as the scope.
#[test]
fn the_norm_at_the_origin_has_its_one_sided_hessian() {
    let square = |x: &[StaticVar<Dual<f64>>]| wengert::norm(x) * wengert::norm(x);
    assert_eq!(statics::hvp(square, &[0.0, 0.0], &[3.0, 4.0]), [6.0, 8.0]);
    assert_eq!(statics::hvp(|x| x[0].abs() * x[0].abs(), &[0.0], &[1.0]), [2.0]);
}

#[test]
fn arrays_of_ndarray_hold_handles() {
    let gradient = statics::grad(
        |x| {
            let a = Array1::from(x.to_vec());
            let m = ndarray::Array2::from_shape_fn((2, 2), |(i, j)| x[i] * (1.0 + j as f64));
            (m.dot(&a) * x[0]).sum() + a.dot(&a)
        },
        &[2.0, 3.0],
    );
    // f = x₀ (x₀ + x₁)(x₀ + 2x₁) + x₀² + x₁².
    assert_eq!(gradient, [3.0 * 4.0 + 6.0 * 6.0 + 2.0 * 9.0 + 4.0, 3.0 * 4.0 + 4.0 * 2.0 * 3.0 + 6.0]);
}

#[test]
fn constants_need_no_scope() {
    let x = StaticVar::constant(2.0);
    let y = (x.sin() * x + 1.0).sqrt().max(x) / 3.0 - x.mul_add(x, x);
    let want = (2_f64.sin() * 2.0 + 1.0).sqrt().max(2.0) / 3.0 - 2_f64.mul_add(2.0, 2.0);
    assert!(y.is_constant() && y.value() == want);
    assert_eq!((x.recip() - 0.5).value(), 0.0);
    assert_eq!([x, x, x].iter().sum::<StaticVar>().value(), 6.0);
    assert_eq!(StaticVar::<f64>::default().value(), 0.0);
    // A function that ignores its variables has the gradient 0.
    assert_eq!(statics::value_and_grad(|[_, _]| x, [1.0, 2.0]), (2.0, [0.0, 0.0]));
    assert_eq!(statics::grad(|x| x[0].detach() * x[0], &[3.0]), [3.0]);
    assert_eq!(statics::grad(|_| x, &[] as &[f64]), [] as [f64; 0]);
}

#[test]
fn a_handle_is_refused_when_its_scope_has_ended() {
    let x = stale();
    let c = StaticVar::constant(1.0);
    let mut y = c;
    assert_panics_here!(x + x, "scope", "no open scope");
    assert_panics_here!(x + c, "no open scope");
    assert_panics_here!(c * x, "no open scope");
    assert_panics_here!(x / 2.0, "no open scope");
    assert_panics_here!(2.0 - x, "no open scope");
    assert_panics_here!(-x, "no open scope");
    assert_panics_here!(-&x, "no open scope");
    assert_panics_here!(y += x, "no open scope");
    assert_panics_here!(y *= &x, "no open scope");
    assert_panics_here!(x.value(), "no open scope");
    assert_panics_here!(x.detach(), "no open scope");
    assert_panics_here!(x.to_base(), "no open scope");
    assert_panics_here!(x.to_f64(), "no open scope");
    assert_panics_here!(x.sin(), "no open scope");
    assert_panics_here!(Float::exp(x), "no open scope");
    assert_panics_here!(x.sin_cos(), "no open scope");
    assert_panics_here!(x.powi(2), "no open scope");
    assert_panics_here!(x.powf(c), "no open scope");
    assert_panics_here!(c.atan2(x), "no open scope");
    assert_panics_here!(x.mul_add(c, c), "no open scope");
    assert_panics_here!(Signed::abs(&x), "no open scope");
    assert_panics_here!(x == c, "no open scope");
    assert_panics_here!(c < x, "no open scope");
    assert_panics_here!(x >= 0.0, "no open scope");
    assert_panics_here!(x.partial_cmp(&c), "no open scope");
    assert_panics_here!(x.is_zero(), "no open scope");
    assert_panics_here!(x.is_nan(), "no open scope");
    assert_panics_here!(Float::clamp(x, c, c), "scope");
    assert_panics_here!(wengert::dot(&[c, x], &[c, c]), "no open scope");
    assert_panics_here!(wengert::norm(&[c, x]), "no open scope");
    assert_panics_here!(wengert::log_sum_exp(&[x]), "no open scope");
    // `Iterator::sum` does not track its caller.
    assert!(message_of(|| [c, x].iter().sum::<StaticVar>()).contains("no open scope"));
    assert!(message_of(|| [c, x].iter().product::<StaticVar>()).contains("no open scope"));
    assert_panics_here!(statics::grad(|_| x, &[1.0]), "innermost scope");
    assert_panics_here!(statics::jacobian(|_| [x], &[1.0]), "innermost scope");
    // Text has no number of it, and does not panic.
    assert_eq!((format!("{x}"), format!("{x:e}")), ("stale".to_owned(), "stale".to_owned()));
    assert!(format!("{x:?}").starts_with("StaticVar { stale: true"));
}

#[test]
fn a_handle_is_refused_in_a_later_scope() {
    let x = stale();
    statics::grad(
        |y| {
            assert_panics_here!(x * y[0], "innermost scope of this thread is scope");
            assert_panics_here!(y[0] + x, "innermost scope");
            assert_panics_here!(x.cos(), "innermost scope");
            assert_panics_here!(y[0].max(x), "innermost scope");
            y[0]
        },
        &[1.0],
    );
    // A refused operation changes nothing.
    let g = statics::grad(
        |y| {
            let sum = y[0] * y[1];
            let _ = message_of(|| [sum, x, y[0]].into_iter().sum::<StaticVar>());
            sum + y[0]
        },
        &[2.0, 5.0],
    );
    assert_eq!(g, [6.0, 2.0]);
}

#[test]
fn a_handle_is_refused_on_another_thread() {
    statics::grad(
        |x| {
            let x = x[0];
            thread::scope(|scope| {
                scope.spawn(move || assert_panics_here!(x + 1.0, "no open scope"));
                // A tape of that thread has a slot of the same number.
                scope.spawn(move || {
                    statics::grad(
                        |y| {
                            assert_panics_here!(x * y[0], "innermost scope");
                            y[0]
                        },
                        &[1.0],
                    )
                });
            });
            x
        },
        &[1.0],
    );
}

#[test]
fn an_outer_handle_is_refused_in_an_inner_scope() {
    let g = statics::grad(
        |x| {
            let (outer, value) = (x[0], x[0].value());
            let inner = statics::grad(
                |y| {
                    assert_panics_here!(outer * y[0], "innermost scope", "`.value()` to an inner call");
                    assert_panics_here!(y[1] * outer, "innermost scope", "`.value()` to an inner call");
                    assert_panics_here!(outer.exp(), "innermost scope");
                    y[0].powi(3) * value
                },
                &[2.0, 1.0],
            );
            // The outer scope is open again.
            outer * outer * inner[0]
        },
        &[5.0],
    );
    assert_eq!(g, [2.0 * 5.0 * 12.0 * 5.0]);
    // An inner result is refused outside of the inner scope.
    statics::grad(
        |x| {
            let mut inner = x[0];
            statics::grad(
                |y| {
                    inner = y[0];
                    y[0]
                },
                &[1.0],
            );
            assert_panics_here!(x[0] + inner, "innermost scope");
            x[0]
        },
        &[1.0],
    );
    // Numbers of another kind have scopes of their own.
    let g = statics::grad(
        |x| {
            let h = statics::hvp(|y| y[0].powi(3), &[x[0].value()], &[1.0]);
            let outer = Cell::new(x[0]);
            statics::grad(
                |y| {
                    outer.set(outer.get() * x[0]);
                    y[0]
                },
                &[1_f32],
            );
            outer.get() * h[0]
        },
        &[3.0],
    );
    assert_eq!(g, [6.0 * 18.0]);
}

#[test]
fn scopes_nest_within_sums() {
    let slope = |x: &StaticVar| statics::grad(|y| y[0] * y[0], &[x.value()])[0];
    let g = statics::grad(|x| x.iter().map(|x| *x * slope(x)).sum(), &[1.0, 2.0, 3.0]);
    assert_eq!(g, [2.0, 4.0, 6.0]);
}

#[test]
fn a_panic_ends_its_scopes() {
    let kept = Cell::new(StaticVar::constant(0.0));
    for depth in 1..4 {
        let result = catch_unwind(AssertUnwindSafe(|| nested_panic(depth, &kept)));
        assert!(result.is_err());
        assert_panics_here!(kept.get().sin(), "no open scope");
        // The thread's tapes work on, and have nothing of before.
        assert_eq!(statics::grad(|[x, y]| x * y + kept_is_refused(&kept), [2.0, 3.0]), [3.0, 2.0]);
    }
    // Within an outer scope, which stays open.
    let g = statics::grad(
        |x| {
            let y = x[0] * x[0];
            assert!(catch_unwind(AssertUnwindSafe(|| nested_panic(2, &kept))).is_err());
            y * x[0]
        },
        &[2.0],
    );
    assert_eq!(g, [12.0]);
}

fn kept_is_refused(kept: &Cell<StaticVar>) -> StaticVar {
    assert!(message_of(|| kept.get() + 1.0).contains("innermost scope"));
    StaticVar::zero() * StaticVar::one()
}

/// Opens scopes one in another and panics in the last, without a message.
fn nested_panic(depth: usize, kept: &Cell<StaticVar>) {
    statics::grad(
        |x| {
            kept.set(x[0] * 2.0);
            if depth == 1 {
                std::panic::resume_unwind(Box::new(()));
            }
            nested_panic(depth - 1, kept);
            x[0]
        },
        &[1.0],
    );
}

#[test]
fn each_thread_has_its_own_scopes() {
    let sums: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|k| {
                scope.spawn(move || {
                    let g = |n| statics::grad(|x| (0..n).fold(x[0], |y, _| y * x[1] + x[0]), &[1.0, f64::from(k)]);
                    (1..50).map(|n| g(n)[0]).sum::<f64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let want = |k: f64| (1..50).map(|n| (0..n).fold(1.0, |y, _| y * k + 1.0)).sum::<f64>();
    assert_eq!(sums, [1.0, 2.0, 3.0, 4.0].map(want));
}

#[test]
fn text_and_conversions() {
    statics::grad(
        |x| {
            let y = x[0] * 2.0;
            assert_eq!((format!("{y:.2}"), format!("{y:e}")), ("3.00".to_owned(), "3e0".to_owned()));
            let text = format!("{y:?}");
            assert!(text.starts_with("StaticVar { value: 3.0, slot: 1, weight: 2.0, scope: "), "{text}");
            assert_eq!((y.to_f32(), y.to_i64()), (Some(3.0), Some(3)));
            assert!(y > x[0] && y >= 3.0 && x[0] != y && y == 3.0);
            y
        },
        &[1.5],
    );
    assert_eq!(format!("{:?}", StaticVar::constant(1.0)), "StaticVar { value: 1.0 }");
}

/// The tape of the thread and one of the program do not share slots.
#[test]
fn a_tape_beside_a_scope() {
    let tape = Tape::new();
    let v = tape.var(3.0);
    let g = statics::grad(
        |x| {
            let w = v * v;
            x[0] * x[0] * w.value()
        },
        &[2.0],
    );
    assert_eq!(g, [36.0]);
    assert_eq!((v * v).backward()[v], 6.0);
    let data = arr1(&[StaticVar::constant(1.0), StaticVar::constant(2.0)]);
    assert_eq!((data * StaticVar::constant(2.0)).sum().value(), 6.0);
}
