//! Arguments of operations that move a window over their input.

use crate::kernels::Windows;
use crate::sealed::Seal;

/// Lengths that can be passed for `N` directions: an array of `N` numbers, or one number for all directions.
pub trait Lengths<const N: usize> {
    #[doc(hidden)]
    fn lengths(self, _: Seal) -> [usize; N];

    #[doc(hidden)]
    #[track_caller]
    fn at_least_one(self, what: &str) -> [usize; N]
    where
        Self: Sized,
    {
        let lengths = self.lengths(Seal);
        assert!(!lengths.contains(&0), "{what}: {} is given, but it must be 1 or more", by(&lengths));
        lengths
    }
}

impl<const N: usize> Lengths<N> for usize {
    fn lengths(self, _: Seal) -> [usize; N] {
        [self; N]
    }
}

impl<const N: usize> Lengths<N> for [usize; N] {
    fn lengths(self, _: Seal) -> [usize; N] {
        self
    }
}

/// The lengths in the form "3 x 5", for messages.
pub(super) fn by(lengths: &[usize]) -> String {
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// The positions of a window: steps, zeros around the input, and steps within the window.
#[derive(Clone, Copy)]
pub(super) struct Extent<const N: usize> {
    pub(super) stride: [usize; N],
    pub(super) padding: [usize; N],
    pub(super) dilation: [usize; N],
}

impl<const N: usize> Extent<N> {
    /// The number of positions in each direction of a window of this size, on an input of shape (samples, channels, lengths
    /// of the `N` directions).
    #[track_caller]
    pub(super) fn counts(self, operation: &str, shape: &[usize], size: &[usize]) -> [usize; N] {
        let image = &shape[2..];
        let out: [Option<usize>; N] = std::array::from_fn(|axis| {
            let covered = size[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1)?;
            let padded = self.padding[axis].checked_mul(2)?.checked_add(image[axis])?;
            let room = padded.checked_sub(covered).filter(|_| image[axis] > 0)?;
            Some(room / self.stride[axis] + 1)
        });
        assert!(
            out.iter().all(Option::is_some),
            "{operation}: a window of {} with dilation {} does not fit into {} of shape {shape:?} with padding {}; \
             see `padding`",
            by(size),
            by(&self.dilation),
            by(image),
            by(&self.padding)
        );
        out.map(Option::unwrap_or_default)
    }

    /// The windows of this size on an image, `out` of them in each direction.
    pub(super) fn windows(self, image: &[usize], size: &[usize], out: &[usize]) -> Windows {
        // The kernels take two directions. A single direction is that of the columns; the other then has length
        // `other`.
        let pair = |lengths: &[usize], other: usize| match *lengths {
            [rows, columns] => [rows, columns],
            [columns] => [other, columns],
            _ => unreachable!("a window moves in one or two directions"),
        };
        Windows {
            image: pair(image, 1),
            size: pair(size, 1),
            stride: pair(&self.stride, 1),
            padding: pair(&self.padding, 0),
            dilation: pair(&self.dilation, 1),
            out: pair(out, 1),
        }
    }
}
