use wengert::*;
#[inline(never)]
fn f<'t>(ys: &[f64], v: [Var<'t, f64>; 2], out: &mut [Option<Var<'t, f64>>]) {
    for (y, o) in ys.iter().zip(out) {
        let y = *y;
        *o = Some(fuse(v, |[mu, sigma]| {
            let z = (y - mu) / sigma;
            -0.5 * z.square() - sigma.ln() - 0.918938533204672
        }));
    }
}
fn main() {
    let tape = Tape::new();
    let ys: Vec<f64> = (0..1000).map(|i| ((i * 7919) % 1000) as f64 / 500.0 - 1.0).collect();
    let mut out = vec![None; 1000];
    f(&ys, tape.vars([0.3, 1.7]), &mut out);
    println!("{:?}", out[3]);
}
