//! Forward and reverse mode.                         book: calculus/modes
//!
//!   forward:  y_dot = J x_dot     a tangent goes up:     one column per pass
//!   reverse:  dx = Jᵀ dy          a cotangent comes down: one row per pass
//!
//! where `J` (m,n) is the Jacobian of a function of n numbers that gives m.
//! Neither product needs the matrix.
//!
//! - [`number`]: what a number must be able to do, so that one program runs
//!   on several kinds of them.
//! - [`dual`]: numbers that carry their slope: forward mode.
//! - [`counted`]: numbers that are counted: the cost of a pass.
//! - [`ops`]: products, sums, copies and functions of single numbers, each
//!   with its JVP and its VJP.
//! - [`net`]: a network of two layers, with its VJP; its JVP is its forward.
//! - [`jacobian`]: the whole matrix, column by column or row by row.

pub mod counted;
pub mod dual;
pub mod jacobian;
pub mod net;
pub mod number;
pub mod ops;

pub use counted::{Counted, count};
pub use dual::Dual;
pub use number::Number;
