//! The operators + - * / % in every combination, from one macro.

/// Implements the five operators for `$lhs` and `$rhs`, by value and by reference, where
/// `|rule, a, b|` applies the rule of the table.
macro_rules! operators {
    ([$($generics:tt)*] $lhs:ty, $rhs:ty => $out:ty, |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        crate::ops::operator! { Add add [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { Sub sub [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { Mul mul [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { Div div [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { Rem rem [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
    };
}

macro_rules! operator {
    ($Trait:ident $method:ident [$($generics:tt)*] [$lhs:ty] [$rhs:ty] [$out:ty] |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        crate::ops::operator! { @by [$lhs] [$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { @by [&$lhs] [$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { @by [$lhs] [&$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::ops::operator! { @by [&$lhs] [&$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
    };
    (@by [$left:ty] [$right:ty] $Trait:ident $method:ident [$($generics:tt)*] [$lhs:ty] [$rhs:ty] [$out:ty] |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        impl<$($generics)*> std::ops::$Trait<$right> for $left {
            type Output = $out;
            #[inline(always)]
            #[track_caller]
            fn $method(self, right: $right) -> $out {
                let ($rule, $a, $b): (_, $lhs, $rhs) = (crate::rules::$method, self.clone(), right.clone());
                $body
            }
        }
    };
}

/// Calls `$callback` for the dual numbers over each base float, with the base: `[generics] base, number`.
macro_rules! for_each_dual {
    ($callback:ident) => {
        $callback! { [const N: usize] f64, Dual<f64, N> }
        $callback! { [const N: usize] f32, Dual<f32, N> }
        crate::ops::for_each_nested_dual! { $callback }
    };
}

macro_rules! for_each_nested_dual {
    ($callback:ident) => {
        $callback! { [const N: usize, const M: usize] f64, Dual<Dual<f64, M>, N> }
        $callback! { [const N: usize, const M: usize] f32, Dual<Dual<f32, M>, N> }
    };
}

/// Lets base floats stand where `$number` compares, assigns and converts.
macro_rules! base_operands {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<$($generics)*> From<$base> for $number {
            #[inline(always)]
            fn from(x: $base) -> Self {
                crate::Real::from_base(x)
            }
        }
        impl<$($generics)*> PartialEq<$base> for $number {
            #[inline(always)]
            fn eq(&self, other: &$base) -> bool {
                crate::Real::to_base(*self) == *other
            }
        }
        impl<$($generics)*> PartialOrd<$base> for $number {
            #[inline(always)]
            fn partial_cmp(&self, other: &$base) -> Option<std::cmp::Ordering> {
                crate::Real::to_base(*self).partial_cmp(other)
            }
        }
        crate::real::number_traits! { @assign_each [$($generics)*] $number, $base }
    };
}

pub(crate) use {for_each_nested_dual, operator};
