//! Dense layers and products of small matrices, of every size at which their loops change, exactly.

use ndarray::{Array1, Array2};
use wengert::Tape;

use super::whole;

#[test]
fn affine_layers() {
    for m in [1, 2, 3, 8, 20] {
        for k in [1, 2, 4, 9] {
            for n in [1, 2, 7, 8, 9, 16, 17, 33] {
                let matrix = |rows, columns, seed| {
                    Array2::from_shape_fn((rows, columns), |(i, j)| whole(i * columns + j + seed))
                };
                let (x, w, dy) = (matrix(m, k, 0), matrix(k, n, 9), matrix(m, n, 4));
                let b = Array1::from_shape_fn(n, |j| whole(j + 2));
                let tape = Tape::new();
                let (s, t, u) = (tape.tensor(&x), tape.tensor(&w), tape.tensor(&b));
                let entry = |f: &dyn Fn(usize) -> f64, n: usize| (0..n).map(f).sum::<f64>();
                let product = Array2::from_shape_fn((m, n), |(i, j)| entry(&|l| x[[i, l]] * w[[l, j]], k));
                let of_x = Array2::from_shape_fn((m, k), |(i, l)| entry(&|j| dy[[i, j]] * w[[l, j]], n));
                let of_w = Array2::from_shape_fn((k, n), |(l, j)| entry(&|i| x[[i, l]] * dy[[i, j]], m));
                let of_b = Array1::from_shape_fn(n, |j| entry(&|i| dy[[i, j]], m));
                let case = format!("[{m}, {k}] by [{k}, {n}]");
                let y = s.affine(t, u);
                assert!(y.value() == &product + &b, "{case}: the layer");
                let gradient = y.backward_with(&dy);
                assert!(gradient.wrt(s) == of_x && gradient.wrt(t) == of_w && gradient.wrt(u) == of_b, "{case}");
                let y = s.dot(t);
                assert!(y.value() == product, "{case}: the product");
                let gradient = y.backward_with(&dy);
                assert!(gradient.wrt(s) == of_x && gradient.wrt(t) == of_w, "{case}: the product's gradient");
                // Constants beside variables.
                let constant = tape.constant(&w);
                let gradient = s.affine(constant, u).backward_with(&dy);
                assert!(gradient.wrt(s) == of_x && gradient.wrt(u) == of_b, "{case}: with constant weights");
                let gradient = tape.constant(&x).affine(t, tape.constant(&b)).backward_with(&dy);
                assert!(gradient.wrt(t) == of_w, "{case}: of the weights alone");
            }
        }
    }
}
