use wengert::*;
fn main() {
    let mut tape = Tape::new();
    let ys: Vec<f64> = (0..1000).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0).collect();
    let mut acc = 0.0;
    let which = std::env::args().nth(1).unwrap();
    for _ in 0..200 {
        tape.clear();
        let v = tape.vars([0.3, 1.7]);
        let s: Var<'_, f64> = match &*which {
            "fuse" => ys
                .iter()
                .map(|&y| {
                    fuse(v, |[mu, sigma]| {
                        let z = (y - mu) / sigma;
                        -0.5 * z.square() - sigma.ln() - 0.918938533204672
                    })
                })
                .sum(),
            "dot" => {
                let x = tape.vars_from(&ys);
                dot(x, x)
            }
            _ => ys
                .iter()
                .map(|&y| {
                    let [mu, sigma] = v;
                    let z = (y - mu) / sigma;
                    -0.5 * z.square() - sigma.ln() - 0.918938533204672
                })
                .sum(),
        };
        let g = s.backward();
        acc += g[v[0]];
    }
    println!("{acc}");
}
