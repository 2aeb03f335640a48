//! placeholder
pub trait GemmScalar {}
impl GemmScalar for f32 {}
impl GemmScalar for f64 {}
impl<F: crate::Real, const N: usize> GemmScalar for crate::Dual<F, N> {}
