//! Derivatives of functions of static handles.

use ndarray::{Array2, array};
use wengert::{StaticVar, statics};

use crate::support::here::assert_panics_here;

/// A function of numbers that are `'static`, as other crates write it.
fn product<T: num_traits::Num + Copy + 'static>(x: &[T]) -> T {
    x.iter().fold(T::one(), |product, &x| product * x)
}

#[test]
fn gradients_at_slices_arrays_and_vectors() {
    let want = vec![12.0, 8.0, 6.0];
    let x = vec![2.0, 3.0, 4.0];
    assert_eq!(statics::grad(product, &x), want);
    assert_eq!(statics::grad(product, &x[..]), want);
    assert_eq!(statics::grad(product, &[2.0, 3.0, 4.0]), want);
    assert_eq!(statics::value_and_grad(|x| product(&x), [2.0, 3.0, 4.0]), (24.0, [12.0, 8.0, 6.0]));
    assert_eq!(statics::value_and_grad(product, &[2_f32, 3.0]), (6.0, vec![3.0, 2.0]));
}

#[test]
fn jacobians_of_every_shape() {
    // Tall and wide matrices are computed by columns and by rows.
    for (m, n) in [(1, 3), (3, 1), (20, 2), (2, 20), (9, 9), (0, 2), (2, 0)] {
        let x: Vec<f64> = (0..n).map(|j| 0.5 + j as f64).collect();
        let f = |x: &[StaticVar]| -> Vec<StaticVar> {
            (0..m).map(|i| x.iter().map(|&x| x * x * (1.0 + f64::from(i))).sum()).collect()
        };
        let want = Array2::from_shape_fn((m as usize, n), |(i, j)| 2.0 * x[j] * (1.0 + i as f64));
        assert_eq!(statics::jacobian(f, &x), want, "{m} × {n}");
    }
    let constant = statics::jacobian(|x| [StaticVar::constant(1.0), x[0], x[0] * 0.0], &[5.0]);
    assert_eq!(constant, array![[0.0], [1.0], [0.0]]);
    assert_eq!(statics::jacobian(|x| [x[0], x[0].exp()], &[0_f32]), array![[1.0_f32], [1.0]]);
}

#[test]
fn products_with_a_hessian() {
    // x³y has the Hessian [[6xy, 3x²], [3x², 0]].
    let h = |v: [f64; 2]| statics::hvp(|x| x[0].powi(3) * x[1], &[2.0, 5.0], &v);
    assert_eq!(h([1.0, 0.0]), [60.0, 12.0]);
    assert_eq!(h([0.0, 1.0]), [12.0, 0.0]);
    assert_eq!(statics::hvp(|x| x[0] * x[0], &[1_f32], &[3.0]), [6.0]);
    assert_panics_here!(statics::hvp(|x| x[0], &[1.0, 2.0], &[1.0]), "statics::hvp", "1 numbers", "2");
}
