//! One loop, compiled several times, chosen when the program runs.
//!
//! A compiler turns a plain loop over a slice into vector instructions by
//! itself, but only into those that every processor of the target has, and
//! for x86-64 that means four numbers at a time and no fused multiply-add.
//! Asking for more at build time makes a program that crashes on older
//! machines. So hot loops are compiled three times, with the attribute
//! `target_feature` telling the compiler what it may assume, and the right copy
//! is called after looking once at the processor:
//!
//! | [`Level`] | numbers (f32) at a time | multiply-add |
//! |---|---|---|
//! | AVX-512 | 16 | fused |
//! | AVX2 | 8 | fused |
//! | plain | what the target always has | fused on ARM, else two roundings |
//!
//! What makes a loop fit for this:
//!
//! * No branches that depend on the data: an `if` between two values becomes a
//!   masked move, an early exit stops vectorisation.
//! * The body and all it calls are `#[inline(always)]`, so that they are
//!   compiled anew inside each copy.
//! * `f32::mul_add` only where it is an instruction; elsewhere it is a call of
//!   a library function that emulates it, some fifty times slower. That is what
//!   the constant `FMA` and [`mul_add`] are for. Rust never fuses
//!   `a * b + c` on its own.
//! * Sums keep several lanes of running sums (see [`rows`](super::rows)): a
//!   compiler may not change the order of a floating-point sum.
//! * Slices are cut to equal lengths before the loop, so that no bounds are
//!   checked inside.

use std::sync::OnceLock;

/// A set of vector instructions that this processor is known to have. Values
/// only come from [`level`] and [`levels`], which look, so holding one is
/// proof enough to run its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

/// The copies in which a loop exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sixteen f32 at a time, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Eight f32 at a time, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the build target always has.
    Plain,
}

impl Level {
    /// Which copy to call.
    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

/// Whether the plain copy may use `mul_add` as an instruction.
pub(crate) const PLAIN_FMA: bool =
    cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// All levels of this processor, the best first, the plain one last.
pub fn levels() -> &'static [Level] {
    static LEVELS: OnceLock<Vec<Level>> = OnceLock::new();
    LEVELS.get_or_init(|| {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 {
                levels.push(Level(Kind::Avx512));
            }
            if avx2 {
                levels.push(Level(Kind::Avx2));
            }
        }
        levels.push(Level(Kind::Plain));
        levels
    })
}

/// The best level of this processor.
#[inline]
pub fn level() -> Level {
    levels()[0]
}

/// `a·b + c`, rounded once if `FMA`, twice if not.
#[inline(always)]
pub fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Declares `fn name(…)`, which runs `body::<FMA>(…)` compiled for the best
/// [`Level`] of the processor, and `fn name_at(level, …)`, which runs it at a
/// given one (tests go through all of them):
///
/// ```text
/// vectorised! {
///     /// `y_i = max(x_i, 0)`.
///     pub fn relu, relu_at(x: &[f32], y: &mut [f32]) = relu_body;
/// }
///
/// #[inline(always)]
/// fn relu_body<const FMA: bool>(x: &[f32], y: &mut [f32]) {
///     for (x, y) in x.iter().zip(y) {
///         *y = x.max(0.0);
///     }
/// }
/// ```
macro_rules! vectorised {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident, $at:ident(
            $($arg:ident: $ty:ty),* $(,)?
        ) $(-> $ret:ty)? = $body:ident;
    )+) => {$(
        $(#[$meta])*
        #[inline]
        #[track_caller]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            $at($crate::engine::simd::level(), $($arg),*)
        }

        /// The same at a given level.
        #[inline]
        #[track_caller]
        fn $at(
            level: $crate::engine::simd::Level,
            $($arg: $ty),*
        ) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(
                enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
            )]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            use $crate::engine::simd::{Kind, PLAIN_FMA};
            match level.kind() {
                // SAFETY: a `Level` exists only where the processor has it.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                Kind::Plain => $body::<PLAIN_FMA>($($arg),*),
            }
        }
    )+};
}
pub(crate) use vectorised;
