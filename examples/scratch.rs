use std::time::Instant;
use wengert::*;
fn rosen<R: Real>(x: &[R]) -> R {
    let one = R::one();
    let h = R::lit(100.0);
    (0..x.len() - 1)
        .map(|i| {
            let a = x[i + 1] - x[i] * x[i];
            let b = one - x[i];
            h * a * a + b * b
        })
        .sum()
}
fn med(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}
fn bench(name: &str, mut f: impl FnMut() -> f64) {
    let mut acc = 0.0;
    let n = {
        let t = Instant::now();
        let mut k = 0;
        while t.elapsed().as_millis() < 50 {
            acc += f();
            k += 1;
        }
        k / 10 + 1
    };
    let v = (0..31)
        .map(|_| {
            let t = Instant::now();
            for _ in 0..n {
                acc += f();
            }
            t.elapsed().as_nanos() as f64 / n as f64
        })
        .collect();
    println!("{name}: {:.1} ns  ({acc:.1})", med(v));
}
fn main() {
    let tape = Tape::new();
    let [w1, b1, w2, b2] = tape.vars([0.5, -0.3, 1.2, 0.1]);
    let (x, y) = (0.7, 0.9);
    let loss = (w2 * (w1 * x + b1) + b2 - y).powi(2);
    let grad = loss.backward();
    println!("{} {:?} len {}", grad[w1], grad.wrt([w1, b1, w2, b2]), tape.len());
    let mut tape = Tape::new();
    bench("seed", || {
        tape.clear();
        let [w1, b1, w2, b2] = tape.vars(std::hint::black_box([0.5, -0.3, 1.2, 0.1]));
        let (x, y) = std::hint::black_box((0.7, 0.9));
        let loss = (w2 * (w1 * x + b1) + b2 - y).powi(2);
        let g = loss.backward();
        let [a, b, c, d] = g.wrt([w1, b1, w2, b2]);
        a + b + c + d
    });
    let xs: Vec<f64> = (0..1000).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0).collect();
    bench("rosen", || {
        tape.clear();
        let v = tape.vars_from(&xs);
        let g = rosen(v).backward();
        g.wrt(v)[3]
    });
    bench("rosen fuse", || {
        tape.clear();
        let v = tape.vars_from(&xs);
        let s: Var<f64> = v
            .windows(2)
            .map(|w| {
                fuse([w[0], w[1]], |[p, q]| {
                    let a = q - p * p;
                    let b = 1.0 - p;
                    100.0 * a * a + b * b
                })
            })
            .sum();
        let g = s.backward();
        g.wrt(v)[3]
    });
    let n = 200;
    let u0: Vec<f64> = (0..n).map(|i| (6.28 * i as f64 / n as f64).sin() + 0.05).collect();
    let (dx, dt, nu) = (1.0 / n as f64, 1e-4, 1e-2);
    bench("burgers", || {
        tape.clear();
        let v = tape.vars_from(&u0);
        let mut u = v.to_vec();
        let mut w = u.clone();
        for _ in 0..100 {
            for i in 0..n {
                let (l, c, r) = (u[(i + n - 1) % n], u[i], u[(i + 1) % n]);
                w[i] = c + dt * (-c * (r - l) / (2.0 * dx) + nu * (r - 2.0 * c + l) / (dx * dx));
            }
            std::mem::swap(&mut u, &mut w);
        }
        let s = dot(&u, &u);
        let g = s.backward();
        g.wrt(v)[3]
    });
    bench("burgers fuse", || {
        tape.clear();
        let v = tape.vars_from(&u0);
        let mut u = v.to_vec();
        let mut w = u.clone();
        for _ in 0..100 {
            for i in 0..n {
                let (l, c, r) = (u[(i + n - 1) % n], u[i], u[(i + 1) % n]);
                w[i] = fuse([l, c, r], |[l, c, r]| {
                    c + dt * (-c * (r - l) / (2.0 * dx) + nu * (r - 2.0 * c + l) / (dx * dx))
                });
            }
            std::mem::swap(&mut u, &mut w);
        }
        let s = dot(&u, &u);
        let g = s.backward();
        g.wrt(v)[3]
    });
}
