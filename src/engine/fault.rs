//! What can stop a device that is not the CPU.

/// Why a device does not go on.
///
/// A device that has failed stays so: its ops do nothing, what
/// [`Device::read_into`](crate::device::Device::read_into) reads is NaN, and
/// this says why. A training loop asks when it meets a number that is not
/// finite.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The device is gone: unplugged, reset by the driver, or destroyed.
    #[error(
        "the GPU was lost ({0}). What was computed since the last checkpoint \
         is gone: start again from there with --resume, or on the CPU"
    )]
    Lost(String),
    /// The device has no memory left.
    #[error(
        "the GPU has no memory left. Use a smaller batch \
         or context, or --checkpoint"
    )]
    OutOfMemory,
    /// More is asked for than the device allows at once.
    #[error(
        "{what}: {need} are needed, and this GPU allows {limit}. Use a smaller \
         batch, context or model"
    )]
    Limit {
        /// What was asked for, and in which unit.
        what: String,
        /// How much.
        need: u64,
        /// How much there can be.
        limit: u64,
    },
    /// No answer came in time.
    #[error(
        "the GPU did not answer within {0} seconds. Another program may keep \
         it busy, or the driver hangs: start again from the last checkpoint"
    )]
    TimedOut(f64),
    /// A call that the device refuses.
    #[error(
        "the GPU refused a call, a bug in this crate or in the driver: {0}"
    )]
    Refused(String),
}
