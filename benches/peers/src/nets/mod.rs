//! One file per library: the training of a [`Net`](suite::Net), as that library's best users would
//! write it.

#[cfg(feature = "burn")]
pub mod burn;
#[cfg(feature = "candle")]
pub mod candle;
#[cfg(feature = "dfdx")]
pub mod dfdx;
pub mod hand;
#[path = "../../../nets/suite.rs"]
pub mod suite;
#[path = "../../../nets/rows.rs"]
pub mod wengert;
