//! Macros that give a number type its operators, its functions and the traits of `num_traits`.
//!
//! The type has `value(self)` and `lift(constant)`, and `apply(rule)` and `apply2(rule, other)` if it is
//! differentiable.

/// Implements the five operators for `$lhs` and `$rhs`, by value and by reference; `|rule, a, b| body` applies the rule
/// of the table to the operands.
macro_rules! operators {
    ([$($generics:tt)*] $lhs:ty, $rhs:ty => $out:ty, |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        crate::number::macros::operator! { Add add [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { Sub sub [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { Mul mul [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { Div div [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { Rem rem [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
    };
}

/// Implements one operator for `$lhs` and `$rhs`, by value and by reference.
macro_rules! operator {
    ($Trait:ident $method:ident [$($generics:tt)*] [$lhs:ty] [$rhs:ty] [$out:ty] |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        crate::number::macros::operator! { @by [$lhs] [$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { @by [&$lhs] [$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { @by [$lhs] [&$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
        crate::number::macros::operator! { @by [&$lhs] [&$rhs] $Trait $method [$($generics)*] [$lhs] [$rhs] [$out] |$rule, $a, $b| $body }
    };
    (@by [$left:ty] [$right:ty] $Trait:ident $method:ident [$($generics:tt)*] [$lhs:ty] [$rhs:ty] [$out:ty] |$rule:ident, $a:ident, $b:ident| $body:expr) => {
        impl<$($generics)*> std::ops::$Trait<$right> for $left {
            type Output = $out;
            #[inline(always)]
            #[track_caller]
            fn $method(self, right: $right) -> $out {
                let ($rule, $a, $b): (_, $lhs, $rhs) = (crate::number::rules::$method, self.clone(), right.clone());
                $body
            }
        }
    };
}

/// Calls `$callback! { [generics] base, number }` for the dual numbers over each base float, nested ones included.
macro_rules! for_each_dual {
    ($callback:ident) => {
        $callback! { [const N: usize] f64, Dual<f64, N> }
        $callback! { [const N: usize] f32, Dual<f32, N> }
        crate::number::macros::for_each_nested_dual! { $callback }
    };
}

/// Calls `$callback! { [generics] base, number }` for the dual numbers over dual numbers over each base float.
macro_rules! for_each_nested_dual {
    ($callback:ident) => {
        $callback! { [const N: usize, const M: usize] f64, Dual<Dual<f64, M>, N> }
        $callback! { [const N: usize, const M: usize] f32, Dual<Dual<f32, M>, N> }
    };
}

/// Converts `$base` into `$number`, compares the two, and implements the assigning operators with `$base` on the right.
macro_rules! base_operands {
    ([$($generics:tt)*] $base:ty, $number:ty) => {
        impl<$($generics)*> From<$base> for $number {
            #[inline(always)]
            fn from(x: $base) -> Self {
                crate::number::Real::from_base(x)
            }
        }
        impl<$($generics)*> PartialEq<$base> for $number {
            #[inline(always)]
            fn eq(&self, other: &$base) -> bool {
                crate::number::Real::to_base(*self) == *other
            }
        }
        impl<$($generics)*> PartialOrd<$base> for $number {
            #[inline(always)]
            #[track_caller]
            fn partial_cmp(&self, other: &$base) -> Option<std::cmp::Ordering> {
                crate::number::Real::to_base(*self).partial_cmp(other)
            }
        }
        crate::number::macros::number_traits! { @assign_each [$($generics)*] $number, $base }
    };
}

/// The methods of [`Real`](super::real::Real) that are rows of the table, for a float without derivatives, which
/// evaluates the row's `primal`.
macro_rules! own_rules_of_base {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        $(
            #[inline(always)]
            fn $name(self $(, $p: crate::number::table::parameter!($ty, Self::Base))*) -> Self {
                crate::number::rules::$name::<Self::Base>::new($($p),*).primal(self)
            }
        )+
        $(
            #[inline(always)]
            fn $bname(self, other: Self) -> Self {
                crate::number::rules::$bname.primal(self, other)
            }
        )+
    };
}

/// The methods of `num_traits::Float` that are rows of the table, through `self.apply(rule)`.
macro_rules! std_rules_by_apply {
    (
        unary std { $( [$($_doc:literal)+] [$_formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        unary own { $($_unary:tt)* }
        binary std { $( [$($_bdoc:literal)+] [$_fa:literal] [$_fb:literal] $bname:ident )+ }
        binary own { $($_binary:tt)* }
    ) => {
        $( crate::number::macros::std_rules_by_apply! { @ $name($($p: $ty),*) } )+
        $(
            #[inline(always)]
            #[track_caller]
            fn $bname(self, other: Self) -> Self {
                self.apply2(crate::number::rules::$bname, other)
            }
        )+
    };
    // `Float::clamp` takes bounds of the type itself, unlike the row.
    (@ clamp($($_p:ident : $_ty:ident),*)) => {
        #[inline(always)]
        #[track_caller]
        fn clamp(self, min: Self, max: Self) -> Self {
            debug_assert!(min <= max, "clamp: the lower bound is above the upper one");
            let y = if self < min { min } else if self > max { max } else { self };
            if y.is_nan() { y * Self::nan() } else { y }
        }
    };
    (@ $name:ident($($p:ident : $ty:ident),*)) => {
        #[inline(always)]
        #[track_caller]
        fn $name(self $(, $p: $ty)*) -> Self {
            self.apply(crate::number::rules::$name::new($($p),*))
        }
    };
}

/// All rows of the table as inherent methods, which need no trait in scope, through `self.apply(rule)`.
macro_rules! inherent_rules {
    (
        unary std { $( [$($sdoc:literal)+] [$sformula:literal] $sname:ident($($sp:ident : $sty:ident),*) )+ }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $( [$($bsdoc:literal)+] [$bsfa:literal] [$bsfb:literal] $bsname:ident )+ }
        binary own { $( [$($bdoc:literal)+] [$bfa:literal] [$bfb:literal] $bname:ident )+ }
    ) => {
        $( crate::number::macros::inherent_rules! { @unary [$($sdoc)+] [$sformula] $sname($($sp: $sty),*) } )+
        $( crate::number::macros::inherent_rules! { @unary [$($doc)+] [$formula] $name($($p: $ty),*) } )+
        $( crate::number::macros::inherent_rules! { @binary [$($bsdoc)+] [$bsfa] [$bsfb] $bsname } )+
        $( crate::number::macros::inherent_rules! { @binary [$($bdoc)+] [$bfa] [$bfb] $bname } )+
    };
    (@unary $doc:tt $formula:tt clamp $p:tt) => { crate::number::macros::inherent_rules! { @unary [doc(alias = "clip")] $doc $formula clamp $p } };
    (@unary $doc:tt $formula:tt $name:ident $p:tt) => { crate::number::macros::inherent_rules! { @unary [] $doc $formula $name $p } };
    (@unary [$($alias:meta)?] [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*)) => {
        $( #[$alias] )?
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nDerivative: ", $formula, ".")]
        #[inline(always)]
        #[track_caller]
        pub fn $name(self $(, $p: crate::number::table::parameter!($ty, <Self as crate::number::Real>::Base))*) -> Self {
            self.apply(crate::number::rules::$name::new($($p),*))
        }
    };
    (@binary [$($doc:literal)+] [$fa:literal] [$fb:literal] $name:ident) => {
        $( #[doc = $doc] )+
        #[doc = concat!("\n\nPartials: ", $fa, " and ", $fb, ". The other operand may be a plain number.")]
        #[inline(always)]
        #[track_caller]
        pub fn $name(self, other: impl Into<Self>) -> Self {
            self.apply2(crate::number::rules::$name, other.into())
        }
    };
}

/// The methods of [`Real`](super::real::Real) that are rows of the table, through `self.apply(rule)`.
macro_rules! own_rules_by_apply {
    (
        unary std { $($_unary:tt)* }
        unary own { $( [$($doc:literal)+] [$formula:literal] $name:ident($($p:ident : $ty:ident),*) )+ }
        binary std { $($_binary:tt)* }
        binary own { $( [$($bdoc:literal)+] [$fa:literal] [$fb:literal] $bname:ident )+ }
    ) => {
        $(
            #[inline(always)]
            #[track_caller]
            fn $name(self $(, $p: crate::number::table::parameter!($ty, Self::Base))*) -> Self {
                self.apply(crate::number::rules::$name::new($($p),*))
            }
        )+
        $(
            #[inline(always)]
            #[track_caller]
            fn $bname(self, other: Self) -> Self {
                self.apply2(crate::number::rules::$bname, other)
            }
        )+
    };
}

/// The methods of `num_traits::Float` that are no rows of the table: constants and tests, through `self.value()` and
/// `Self::lift(constant)`, and `abs_sub` and `sin_cos`, from other methods.
///
/// `@untested` leaves out the tests such as `is_nan`, for a type that implements them itself.
macro_rules! float_methods {
    ($V:ty) => {
        crate::number::macros::float_methods! { @untested $V }
        crate::number::macros::float_methods! { @tests: is_nan is_infinite is_finite is_normal is_sign_positive is_sign_negative }
    };
    (@untested $V:ty) => {
        crate::number::macros::float_methods! { @constants $V: nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon }
        #[inline(always)]
        #[track_caller]
        fn classify(self) -> std::num::FpCategory {
            self.value().classify()
        }
        #[inline(always)]
        #[track_caller]
        fn integer_decode(self) -> (u64, i16, i8) {
            self.value().integer_decode()
        }
        #[inline(always)]
        #[track_caller]
        fn abs_sub(self, other: Self) -> Self {
            if self <= other { Self::zero() } else { self - other }
        }
        #[inline(always)]
        #[track_caller]
        fn sin_cos(self) -> (Self, Self) {
            (Float::sin(self), Float::cos(self))
        }
    };
    (@constants $V:ty: $($name:ident)+) => { $(
        #[inline(always)]
        fn $name() -> Self { Self::lift(<$V as Float>::$name()) }
    )+ };
    (@tests: $($name:ident)+) => { $(
        #[inline(always)]
        #[track_caller]
        fn $name(self) -> bool { Float::$name(self.value()) }
    )+ };
}

/// The supertraits of `num_traits::Float` and their like for a number `$T` over `$V`, through `self.value()`,
/// `Self::lift(constant)` and the operators.
///
/// `@uncompared` leaves out the comparisons, for a type that implements them itself.
macro_rules! number_traits {
    ([$($generics:tt)*] $T:ty, $V:ty) => {
        crate::number::macros::number_traits! { @uncompared [$($generics)*] $T, $V }
        crate::number::macros::number_traits! { @compare [$($generics)*] $T, Self, |other| other.value() }
        crate::number::macros::number_traits! { @compare [$($generics)*] $T, $V, |other| *other }
        impl<$($generics)*> num_traits::Signed for $T {
            #[inline(always)]
            #[track_caller]
            fn abs(&self) -> Self { Float::abs(*self) }
            #[inline(always)]
            #[track_caller]
            fn abs_sub(&self, other: &Self) -> Self { Float::abs_sub(*self, *other) }
            #[inline(always)]
            #[track_caller]
            fn signum(&self) -> Self { Float::signum(*self) }
            #[inline(always)]
            #[track_caller]
            fn is_positive(&self) -> bool { Float::is_sign_positive(*self) }
            #[inline(always)]
            #[track_caller]
            fn is_negative(&self) -> bool { Float::is_sign_negative(*self) }
        }
    };
    // All methods, because those that a trait provides hide the caller's line.
    (@compare [$($generics:tt)*] $T:ty, $R:ty, |$other:ident| $value:expr) => {
        impl<$($generics)*> PartialEq<$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn eq(&self, $other: &$R) -> bool { self.value() == $value }
        }
        impl<$($generics)*> PartialOrd<$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn partial_cmp(&self, $other: &$R) -> Option<Ordering> { self.value().partial_cmp(&$value) }
            #[inline(always)]
            #[track_caller]
            fn lt(&self, $other: &$R) -> bool { self.value() < $value }
            #[inline(always)]
            #[track_caller]
            fn le(&self, $other: &$R) -> bool { self.value() <= $value }
            #[inline(always)]
            #[track_caller]
            fn gt(&self, $other: &$R) -> bool { self.value() > $value }
            #[inline(always)]
            #[track_caller]
            fn ge(&self, $other: &$R) -> bool { self.value() >= $value }
        }
    };
    (@uncompared [$($generics:tt)*] $T:ty, $V:ty) => {
        impl<$($generics)*> Zero for $T {
            #[inline(always)]
            fn zero() -> Self { Self::lift(<$V>::zero()) }
            #[inline(always)]
            #[track_caller]
            fn is_zero(&self) -> bool { *self == <$V>::zero() }
        }
        impl<$($generics)*> One for $T {
            #[inline(always)]
            fn one() -> Self { Self::lift(<$V>::one()) }
        }
        impl<$($generics)*> num_traits::Num for $T {
            type FromStrRadixErr = <$V as num_traits::Num>::FromStrRadixErr;
            fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
                <$V>::from_str_radix(text, radix).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::ToPrimitive for $T {
            #[track_caller]
            fn to_i64(&self) -> Option<i64> { self.value().to_i64() }
            #[track_caller]
            fn to_u64(&self) -> Option<u64> { self.value().to_u64() }
            #[track_caller]
            fn to_f32(&self) -> Option<f32> { self.value().to_f32() }
            #[track_caller]
            fn to_f64(&self) -> Option<f64> { self.value().to_f64() }
        }
        impl<$($generics)*> num_traits::NumCast for $T {
            fn from<X: num_traits::ToPrimitive>(x: X) -> Option<Self> {
                <$V as num_traits::NumCast>::from(x).map(Self::lift)
            }
        }
        impl<$($generics)*> num_traits::FromPrimitive for $T {
            crate::number::macros::number_traits! { @from $V: from_i64 i64, from_u64 u64, from_f32 f32, from_f64 f64 }
        }
        impl<$($generics)*> num_traits::Bounded for $T {
            fn min_value() -> Self { Self::lift(<$V as Float>::min_value()) }
            fn max_value() -> Self { Self::lift(<$V as Float>::max_value()) }
        }
        impl<$($generics)*> num_traits::Inv for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn inv(self) -> Self { Float::recip(self) }
        }
        impl<$($generics)*> num_traits::Pow<i32> for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn pow(self, n: i32) -> Self { Float::powi(self, n) }
        }
        impl<$($generics)*> num_traits::Pow<Self> for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn pow(self, exponent: Self) -> Self { Float::powf(self, exponent) }
        }
        impl<$($generics)*> num_traits::MulAdd for $T {
            type Output = Self;
            #[inline(always)]
            #[track_caller]
            fn mul_add(self, b: Self, c: Self) -> Self { Float::mul_add(self, b, c) }
        }
        impl<$($generics)*> num_traits::FloatConst for $T {
            crate::number::macros::number_traits! { @constants $V: E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2
                FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2 TAU LOG10_2 LOG2_10 }
        }
        crate::number::macros::number_traits! { @assign_each [$($generics)*] $T, $T }
        crate::number::macros::number_traits! { @assign_each [$($generics)*] $T, $V }
    };
    (@constants $V:ty: $($name:ident)+) => { $(
        #[inline(always)]
        fn $name() -> Self { Self::lift(<$V>::$name()) }
    )+ };
    (@assign_each $generics:tt $T:ty, $R:ty) => {
        crate::number::macros::number_traits! { @assign_one $generics $T, $R, AddAssign add_assign + }
        crate::number::macros::number_traits! { @assign_one $generics $T, $R, SubAssign sub_assign - }
        crate::number::macros::number_traits! { @assign_one $generics $T, $R, MulAssign mul_assign * }
        crate::number::macros::number_traits! { @assign_one $generics $T, $R, DivAssign div_assign / }
        crate::number::macros::number_traits! { @assign_one $generics $T, $R, RemAssign rem_assign % }
    };
    (@from $V:ty: $($name:ident $X:ident),+) => { $(
        fn $name(x: $X) -> Option<Self> {
            <$V as num_traits::NumCast>::from(x).map(Self::lift)
        }
    )+ };
    (@assign_one [$($generics:tt)*] $T:ty, $R:ty, $Trait:ident $method:ident $op:tt) => {
        impl<$($generics)*> std::ops::$Trait<$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn $method(&mut self, right: $R) { *self = *self $op right; }
        }
        impl<$($generics)*> std::ops::$Trait<&$R> for $T {
            #[inline(always)]
            #[track_caller]
            fn $method(&mut self, right: &$R) { *self = *self $op *right; }
        }
    };
}

pub(crate) use {
    base_operands, float_methods, for_each_dual, for_each_nested_dual, inherent_rules, number_traits, operator,
    operators, own_rules_by_apply, own_rules_of_base, std_rules_by_apply,
};
