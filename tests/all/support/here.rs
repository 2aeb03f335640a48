//! An expected panic at the line of the expression.

/// Asserts that the expression panics at its own line with a message that contains each of the texts.
macro_rules! assert_panics_here {
    ($expression:expr, $($text:expr),+) => {{
        let panic = $crate::support::panics::panic_of(|| $expression);
        $( assert!(panic.message.contains($text), "{panic} lacks {:?}", $text); )+
        assert_eq!((panic.file.as_str(), panic.line), (file!(), line!()), "{}: {panic}", stringify!($expression));
    }};
}
pub(crate) use assert_panics_here;
