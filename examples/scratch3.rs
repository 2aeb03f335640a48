use wengert::*;
fn main() {
    let mut tape = Tape::new();
    let xs: Vec<f64> = (0..1000).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0).collect();
    let mut acc = 0.0;
    for _ in 0..200 {
        tape.clear();
        let x = tape.vars_from(&xs);
        let s: Var<'_, f64> = (0..x.len() - 1)
            .map(|i| {
                let a = x[i + 1] - x[i] * x[i];
                let b = 1.0 - x[i];
                100.0 * a * a + b * b
            })
            .sum();
        let g = s.backward();
        acc += g[x[3]];
    }
    println!("{acc}");
}
