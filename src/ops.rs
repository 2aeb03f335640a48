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

pub(crate) use operator;
