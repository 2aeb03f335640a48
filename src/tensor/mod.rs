//! Arrays on the tape: [`Tensor`] and its operations.
//!
//! A tensor is a view: an ndarray view of its values, and the slot of the first element of the storage that the view
//! looks into. A slot is the index of a number in the tape's buffer of adjoints. Values and slots run in parallel, so
//! a change of the view (transpose, slice, broadcast, ...) changes the view of the adjoints too, and records nothing.
//! The slot of a constant is `SINK`.
//!
//! # Where an operation is
//!
//! | file | holds |
//! |---|---|
//! | `handle` | [`Tensor`], the node it points to, `Tensor::result`, `at`, `detach`, `seed`, `backward_with` |
//! | `constant` | `Tape::tensor`, `Tape::constant`; [`Embed`], [`IntoConstant`] |
//! | `elementwise` | the functions of the table and the operators, with broadcasting; [`Operand`] |
//! | `products`, `contract` | `dot`, `matmul`; [`Dot`]; `einsum`, `tensordot`, `outer` |
//! | `dense` | `affine`, `dense`; [`Activation`] |
//! | `reduce` | `sum`, `mean`, `product`, `max`, `min`, `var`, `std`, `norm`, `log_sum_exp`, each also along an axis; `argmax_axis` |
//! | `softmax` | `softmax`, `softmax_where`, `log_softmax` |
//! | `scan`, `order` | `cumsum`, `cumprod`; `sort`, `top_k`, `median`, `quantile` |
//! | `loss/` | `mse`, `mae`, `huber`, `bce_with_logits`, `softmax_cross_entropy`, [`Losses`] of every kind with `mean`, `sum` and `each`; `accuracy`; [`Target`] |
//! | `normalize` | `layer_norm`, `rms_norm`, `channel_norm` |
//! | `jet` | [`Jet`]: derivatives with respect to the input, inside of the loss |
//! | `flat` | the operands of `reduce`, `softmax`, `loss` and `normalize` as slices, and the folds that these files share |
//! | `conv`, `pool`, `upsample` | convolutions, also transposed, pooling, also adaptive, upsampling; [`Conv`], [`Pool`], [`Interpolation`] |
//! | `window_args` | the lengths that `Conv` and `Pool` take; [`Lengths`] |
//! | `shape` | views, which record nothing: `reshape`, `t`, `slice`, `split`, `broadcast`, `iter`, ... |
//! | `copy` | `gather`, `select`, `pad`, `keep_where`, `concatenate`, `stack`, `stack_vars` |
//! | `arrange` | `scatter_add`, `index_add`, `repeat`, `roll`, `tril`, `triu` |
//! | `custom` | `Tape::custom`, `apply_rule`, `straight_through`, `clip_cotangent`; [`CustomInputs`] |
//! | `linalg/` | with the feature `linalg`: `solve`, `inv`, determinants, `factorize`, `cholesky`, `solve_triangular`, `qr`, `eigh`, `svd` |
//!
//! # How an operation is written
//!
//! One function checks the arguments, computes the primal and, beside the primal, gives its pullback to
//! `Tensor::result`, which records both. A loop over numbers is a function of `kernels`; its reverse stands beside it.
//!
//! ```text
//! /// 2x.
//! #[track_caller]                                              // tables name the caller's line
//! pub fn doubled(self) -> Self {
//!     let (tape, node) = (self.tape, self.node);
//!     let x = node.to_slice(tape, "double");                   // row-major, copied only if need be
//!     let y = tape.arena().alloc_slice_fill_iter(x.iter().map(|&x| x + x));
//!     let kind = OperationKind::unary("doubled", node.source());
//!     Self::result(tape, kind, self.dim(), y, node.is_constant(), move |cotangents| {
//!         node.accumulate_with(cotangents, |dy, dx| {
//!             for (dx, &dy) in dx.iter_mut().zip(dy) {
//!                 *dx += dy + dy;
//!             }
//!         });
//!     })
//! }
//! ```
//!
//! A pullback
//!
//! - adds to adjoints and never overwrites them: other operations add to the same slots;
//! - treats operands one after the other: they may share slots, as in `x * x`;
//! - multiplies cotangents and partials with `gated_mul`, in which 0 times infinity or NaN is 0 (matrix products are
//!   plain);
//! - captures only values that are `Copy` and live in the arena, whose contents are never dropped (`custom` alone keeps
//!   more).

mod arrange;
mod constant;
mod contract;
mod conv;
mod copy;
mod custom;
mod dense;
mod elementwise;
mod flat;
mod handle;
mod jet;
#[cfg(feature = "linalg")]
mod linalg;
mod loss;
mod normalize;
mod order;
mod pool;
mod products;
mod reduce;
mod scan;
mod shape;
mod softmax;
mod upsample;
mod window_args;

pub use constant::{Embed, IntoConstant};
pub use conv::Conv;
pub use custom::CustomInputs;
pub use dense::Activation;
pub use elementwise::Operand;
pub use handle::Tensor;
pub use jet::Jet;
#[cfg(feature = "linalg")]
pub use linalg::{Columns, Diag, Eigh, LinalgError, Lu, Matrices, Qr, Svd, Uplo};
pub use loss::{
    AbsoluteError, BceWithLogits, ClassTarget, CrossEntropy, Huber, KlDivergence, Loss, Losses, SquaredError, Target,
};
pub use pool::Pool;
pub use products::Dot;
pub use upsample::Interpolation;
pub use window_args::Lengths;
