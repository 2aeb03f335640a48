//! The seal of the argument traits: a required method takes a [`Seal`], which nobody outside the crate can
//! name, so that nobody outside can implement the trait, and the traits can grow.

/// An argument that only this crate can name.
#[derive(Clone, Copy, Debug)]
#[allow(unreachable_pub)] // named by public traits
pub struct Seal;

/// A supertrait that only this crate can name, for traits without a required method.
#[allow(unreachable_pub)] // named by public traits
pub trait Sealed {}
