//! Functions of each element, with broadcasting.

use super::*;

operations! {
    add: PAIRS; |x, y| x + y, value |x, y| x + y;
    sub: PAIRS; |x, y| x - y, value |x, y| x - y;
    mul: PAIRS; |x, y| x * y, value |x, y| x * y;
    div: PAIRS, operands: &[Sample::Between(-2.0, 2.0), Sample::Between(0.5, 2.0)];
        |x, y| x / y, value |x, y| x / y;
    div_alike: PAIRS, operands: POSITIVE; |x, y| x / y, value |x, y| x / y;
    /// Operands between two jumps.
    rem: PAIRS, operands: &[Sample::Between(5.2, 5.8), Sample::Between(2.1, 2.4)]; |x, y| x % y, value |x, y| x % y;
    powf: PAIRS, operands: POSITIVE; |x, y| x.powf(y), value |x, y| zip(x, y, f64::powf);
    log: PAIRS, operands: &[Sample::Between(1.5, 4.0)], first: 1e-8;
        |x, y| x.log(y), value |x, y| zip(x, y, f64::log);
    atan2: PAIRS, operands: POSITIVE; |x, y| x.atan2(y), value |x, y| zip(x, y, f64::atan2);
    hypot: PAIRS, operands: POSITIVE; |x, y| x.hypot(y), value |x, y| zip(x, y, f64::hypot);
    maximum: PAIRS, operands: APART, not: TIES; |x, y| x.maximum(y), value |x, y| zip(x, y, f64::max);
    minimum: PAIRS, operands: APART, not: TIES; |x, y| x.minimum(y), value |x, y| zip(x, y, f64::min);
    copysign: PAIRS, operands: &[Sample::Between(0.2, 2.0), Sample::Between(-2.0, -0.2)];
        |x, y| x.copysign(y), value |x, y| zip(x, y, f64::copysign);
    xlogy: PAIRS, operands: POSITIVE; |x, y| x.xlogy(y), value |x, y| zip(x, y, |x, y| x * y.ln());
    gated_mul: PAIRS; |x, y| x.gated_mul(y), value |x, y| x * y;
    /// Operands, operators and their assigning forms of every kind beside a tensor.
    numbers_beside: ONE, operands: POSITIVE;
        |x| {
            let two = F::lit(2.0);
            let mut y = (x + two) * two - x / two;
            y += two;
            y *= x;
            [y, x.powf(two), x.hypot(F::one()), -x]
        },
        value |x| vec![(x * 1.5 + 6.0) * x, x * x, x.mapv(|x| x.hypot(1.0)), -x];
    /// A scalar variable on either side.
    variables_beside: &[&[&[], &[2, 3]], &[&[], &[]], &[&[], &[0]], &[&[], &[35]]], operands: POSITIVE;
        |v, x| {
            let v = of(v).into_var();
            // Not a node of the tape, but a function of one.
            let w = v.square() + F::one();
            [x * v, v - x, x / w, w / x, x.powf(v), x.atan2(w)]
        },
        value |v, x| {
            let v = v.sum();
            let w = v * v + 1.0;
            vec![x * v, v - x, x / w, w / x, x.mapv(|x| x.powf(v)), x.mapv(|x| x.atan2(w))]
        };
    arrays_beside: &[&[&[3]], &[&[2, 3]], &[&[2, 1]]];
        |x| x * array![F::lit(0.5), F::lit(-2.0), F::lit(3.0)].into_dyn(),
        value |x| x * &array![0.5, -2.0, 3.0];
    neg: ONE; |x| -x, value |x| -x;
    square: ONE; |x| x.square(), value |x| x * x;
    exp: ONE, first: 1e-8; |x| x.exp(), value |x| x.mapv(f64::exp);
    tanh: ONE; |x| x.tanh(), value |x| x.mapv(f64::tanh);
    sqrt: ONE, operands: POSITIVE; |x| x.sqrt(), value |x| x.mapv(f64::sqrt);
    leaky_relu: ONE, operands: APART;
        |x| x.leaky_relu(base::<F>(0.25)), value |x| x.mapv(|x| if x > 0.0 { x } else { x / 4.0 });
    powi: ONE; |x| x.powi(3), value |x| x.mapv(|x| x * x * x);
}
