//! rustfft: transforms whose length is a power of two, of mixed factors, a prime and a product of primes.

use rustfft::num_complex::Complex;
use rustfft::{FftNum, FftPlanner};

use crate::harness::{Comparison, case, numbers};

/// A combination of the spectrum of the numbers, its power included.
fn spectrum<T: FftNum + Copy>(x: &[T]) -> T {
    let number = |x: f64| T::from_f64(x).unwrap();
    let mut planner = FftPlanner::new();
    let mut data: Vec<Complex<T>> = x.chunks_exact(2).map(|x| Complex::new(x[0], x[1])).collect();
    planner.plan_fft_forward(data.len()).process(&mut data);
    let mut sum = T::zero();
    for (k, z) in data.iter().enumerate() {
        let (a, b) = (number((k as f64).sin()), number((k as f64 * 0.7).cos()));
        sum = sum + z.re * a + z.im * b + z.norm_sqr() * a * number(0.1);
    }
    planner.plan_fft_inverse(data.len()).process(&mut data);
    sum + data[1].re * data[2].im * number(0.01)
}

pub(crate) fn transforms() -> Vec<Comparison> {
    let of_length = |n: usize| case!(spectrum).at(&numbers(2 * n), 1e-9).named(format!("spectrum, n = {n}"));
    [8, 12, 17, 30].map(of_length).into()
}

#[test]
fn spectra() {
    transforms().iter().for_each(|case| _ = case.check());
}
