//! Products with Jacobians and Hessians: adjoint to each other, and linear.

use proptest::prelude::*;
use wengert::{Real, hessian, hvp, jvp, value_and_grad, value_grad_hvp, vjp};

use crate::cases::config;
use crate::support::close::largest;
use crate::support::functions::mixed;

fn loss<R: Real>(x: &[R]) -> R {
    mixed(x).into_iter().map(|y| y * y * y).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(config())]

    /// ⟨Jv, w⟩ = ⟨v, Jᵀw⟩; Jᵀ is linear in w; ⟨u, Hv⟩ = ⟨v, Hu⟩, and Hv is a sum of columns of H.
    #[test]
    fn products_are_adjoint_and_linear(
        x in prop::array::uniform3(-2.0..2.0), u in prop::array::uniform3(-2.0..2.0), v in prop::array::uniform3(-2.0..2.0),
        w in prop::array::uniform4(-2.0..2.0), z in prop::array::uniform4(-2.0..2.0),
    ) {
        let (y, pullback) = vjp(|x| mixed(x), &x);
        let (forward_y, jv) = jvp(|x| mixed(x), &x, &v);
        prop_assert_eq!(&y, &forward_y);
        let jtw = pullback.call(&w);
        let scale = 1.0 + largest(jtw.iter().copied()) + largest(jv.iter().copied());
        prop_assert!((dot(&jv, &w) - dot(&v, &jtw)).abs() < 1e-13 * scale * 10.0);
        let sum: Vec<f64> = w.iter().zip(&z).map(|(w, z)| w - 2.0 * z).collect();
        let (jtz, both) = (pullback.call(&z), pullback.call(&sum));
        for i in 0..3 {
            prop_assert!((both[i] - (jtw[i] - 2.0 * jtz[i])).abs() < 1e-12 * (scale + largest(jtz.iter().copied())));
        }

        let (value, gradient, hv) = value_grad_hvp(|x| loss(x), &x, &v);
        let (plain_value, plain_gradient) = value_and_grad(|x| loss(x), &x);
        prop_assert!((value - plain_value).abs() <= 1e-14 * value.abs());
        let h = hessian(|x| loss(x), &x);
        let scale = 1.0 + largest(h.iter().copied());
        let hu = hvp(|x| loss(x), &x, &u);
        prop_assert!((dot(&u, &hv) - dot(&v, &hu)).abs() < 1e-12 * scale * 12.0);
        for i in 0..3 {
            prop_assert!((gradient[i] - plain_gradient[i]).abs() < 1e-13 * scale * 10.0);
            prop_assert!((hv[i] - dot(&h.row(i).to_vec(), &v)).abs() < 1e-13 * scale * 10.0);
        }
    }
}
