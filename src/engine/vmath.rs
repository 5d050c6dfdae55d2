//! exp, tanh, sigmoid and erf over `f32` slices, vectorised.
//!
//! The functions of the standard library are exact to half a unit in the last
//! place but take one number at a time, through a call. Activations, softmax
//! and attention need millions of them per step, and after the matrix product
//! that is where the time goes. The functions here are short formulas without
//! a branch, which the compiler turns into vector instructions, sixteen
//! numbers at a time where the processor can (see [`simd`](super::simd)).
//!
//! # Accuracy
//!
//! The largest error over **all** 2³² arguments, in units in the last place
//! (ulp) of the exact result:
//!
//! | function | bound | found, fused multiply-add | found, without |
//! |---|---|---|---|
//! | [`exp`] | 1.1 ([`EXP_ULP`]) | 1.043 | 1.026 |
//! | [`tanh`] | 2.5 ([`TANH_ULP`]) | 2.499 | 2.499 |
//! | [`sigmoid`] | 2.5 ([`SIGMOID_ULP`]) | 2.402 | 2.402 |
//! | [`erf`] | 1.4 ([`ERF_ULP`]) | 1.079 | 1.351 |
//!
//! ±0, ±∞, NaN, denormal arguments and denormal results are right: NaN in, NaN
//! out; `exp` overflows to ∞ and underflows through the denormals to 0; `tanh`
//! and `erf` keep the sign of zero and never leave [-1, 1]. The error of every
//! argument was measured on each level; the tests go through a million of them
//! that are spread over all exponents, and through all special ones. To go
//! through all again, in about half an hour:
//!
//! ```text
//! VMATH_STRIDE=1 cargo test --release --lib vmath
//! ```
//!
//! # How
//!
//! **exp.** Write `x = n·ln 2 + r` with whole `n` and `|r| ≤ ln 2 / 2`; then
//! `eˣ = 2ⁿ·eʳ`. Adding and subtracting 1.5·2²³ rounds to a whole number, and
//! leaves it in the low bits, from which `2ⁿ` is put together by a shift. For
//! `eʳ` a polynomial of degree 6 is enough. `n·ln 2` is taken off in two parts
//! (Cody and Waite), the first with so few bits that the product is exact.
//! `2ⁿ` is multiplied in two halves, so that neither overflows before the
//! result does.
//!
//! **tanh.** `(1 - e⁻²ˣ) / (1 + e⁻²ˣ)` cancels near 0. With
//! `t = e⁻²ˣ - 1`, computed *without* cancellation as `2ⁿ·(eʳ - 1) + (2ⁿ - 1)`,
//! it reads `-t / (2 + t)` and is right everywhere.
//!
//! **sigmoid.** `1 / (1 + e⁻ˣ)` loses the far left, where `e⁻ˣ` overflows.
//! With `e = e^-|x|` it is `1 / (1 + e)` on the right and `e / (1 + e)` on the
//! left.
//!
//! **erf.** Below 1 an odd polynomial; from 1 on `1 - e^-g(x)` with a
//! polynomial `g ≈ -ln(1 - erf)`. Both are computed and one is taken.
//!
//! The polynomials are minimax, derived by
//! `tests/reference/vmath_coefficients.py`.

use super::simd::{mul_add, vectorised};

/// Error bound of [`exp`] in ulp.
pub const EXP_ULP: f64 = 1.1;
/// Error bound of [`tanh`] in ulp.
pub const TANH_ULP: f64 = 2.5;
/// Error bound of [`sigmoid`] in ulp.
pub const SIGMOID_ULP: f64 = 2.5;
/// Error bound of [`erf`] in ulp.
pub const ERF_ULP: f64 = 1.4;

/// The formulas for one number, to be used inside a loop that
/// [`simd`](super::simd) compiles: a fused kernel computes `exp(x - m)` and its
/// sum in one pass. `FMA` says whether the copy has a fused multiply-add.
pub mod lane {
    use super::mul_add;

    /// 1.5·2²³: adding it leaves no room for a fraction.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 to nine bits, and the rest.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    /// `(n, eʳ - 1)` of `x = n·ln 2 + r`.
    #[inline(always)]
    fn split<const FMA: bool>(x: f32) -> (i32, f32) {
        let shifted = mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
        let whole = shifted - ROUND;
        let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let r = mul_add::<FMA>(whole, -LN_2_HIGH, x);
        let r = mul_add::<FMA>(whole, -LN_2_LOW, r);
        let q = 0.001_390_042_6;
        let q = mul_add::<FMA>(q, r, 0.008_366_112);
        let q = mul_add::<FMA>(q, r, 0.041_666_828);
        let q = mul_add::<FMA>(q, r, 0.166_665_48);
        let q = mul_add::<FMA>(q, r, 0.5);
        (n, mul_add::<FMA>(q * r, r, r))
    }

    /// `2ⁿ` for -126 ≤ n ≤ 127.
    #[inline(always)]
    fn power_of_two(n: i32) -> f32 {
        f32::from_bits((n.wrapping_add(127) << 23) as u32)
    }

    /// `eˣ`.
    #[inline(always)]
    pub fn exp<const FMA: bool>(x: f32) -> f32 {
        // Beyond these the result is ∞ or 0 anyway. NaN passes.
        let x = if x > 89.0 { 89.0 } else { x };
        let x = if x < -104.0 { -104.0 } else { x };
        let (n, p) = split::<FMA>(x);
        let half = n >> 1;
        (1.0 + p) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    /// `tanh x`.
    #[inline(always)]
    pub fn tanh<const FMA: bool>(x: f32) -> f32 {
        let y = -2.0 * x.abs();
        let y = if y < -20.0 { -20.0 } else { y };
        let (n, p) = split::<FMA>(y);
        let scale = power_of_two(n);
        let t = mul_add::<FMA>(scale, p, scale - 1.0);
        (-t / (2.0 + t)).copysign(x)
    }

    /// `1 / (1 + e⁻ˣ)`.
    #[inline(always)]
    pub fn sigmoid<const FMA: bool>(x: f32) -> f32 {
        let e = exp::<FMA>(-x.abs());
        let over = if x < 0.0 { e } else { 1.0 };
        over / (1.0 + e)
    }

    /// `erf x = 2/√π · ∫₀ˣ e^(-s²) ds`.
    #[inline(always)]
    pub fn erf<const FMA: bool>(x: f32) -> f32 {
        let a = x.abs();
        let a = if a > 4.0 { 4.0 } else { a }; // erf 4 rounds to 1
        let t = a * a;
        let p = 7.806_903e-5;
        let p = mul_add::<FMA>(p, t, -0.000_799_785_3);
        let p = mul_add::<FMA>(p, t, 0.005_187_162);
        let p = mul_add::<FMA>(p, t, -0.026_853_347);
        let p = mul_add::<FMA>(p, t, 0.112_835_79);
        let p = mul_add::<FMA>(p, t, -0.376_126_26);
        let p = mul_add::<FMA>(p, t, 0.128_379_17);
        let near = mul_add::<FMA>(a, p, a);
        let g = -0.000_185_579_77;
        let g = mul_add::<FMA>(g, a, 0.002_939_64);
        let g = mul_add::<FMA>(g, a, -0.021_805_383);
        let g = mul_add::<FMA>(g, a, 0.103_037_42);
        let g = mul_add::<FMA>(g, a, 0.638_225_7);
        let g = mul_add::<FMA>(g, a, 1.127_04);
        let g = mul_add::<FMA>(g, a, 0.000_353_719_3);
        let (n, p) = split::<FMA>(-g);
        let scale = power_of_two(n);
        let far = 1.0 - mul_add::<FMA>(scale, p, scale);
        (if a < 1.0 { near } else { far }).copysign(x)
    }
}

vectorised! {
    /// `x_i ← e^(x_i)`.
    ///
    /// Error at most [`EXP_ULP`]. Overflows to ∞ above 88.72, is denormal
    /// below -87.33 and 0 below -103.97.
    ///
    /// ```
    /// let mut x = [0.0, 90.0, f32::NEG_INFINITY];
    /// backprop::engine::vmath::exp(&mut x);
    /// assert_eq!(x, [1.0, f32::INFINITY, 0.0]);
    /// ```
    pub fn exp, exp_at(x: &mut [f32]) = exp_body;

    /// `x_i ← tanh x_i`.
    ///
    /// Error at most [`TANH_ULP`], also near 0, where the result is `x_i`.
    ///
    /// ```
    /// let mut x = [0.0, 1e-20, -50.0];
    /// backprop::engine::vmath::tanh(&mut x);
    /// assert_eq!(x, [0.0, 1e-20, -1.0]);
    /// ```
    pub fn tanh, tanh_at(x: &mut [f32]) = tanh_body;

    /// `x_i ← 1 / (1 + e^(-x_i))`.
    ///
    /// Error at most [`SIGMOID_ULP`], also far left, where the result is
    /// nearly `e^(x_i)`.
    ///
    /// ```
    /// let mut x = [0.0, 50.0, -110.0];
    /// backprop::engine::vmath::sigmoid(&mut x);
    /// assert_eq!(x, [0.5, 1.0, 0.0]);
    /// ```
    pub fn sigmoid, sigmoid_at(x: &mut [f32]) = sigmoid_body;

    /// `x_i ← erf x_i = 2/√π · ∫₀^(x_i) e^(-s²) ds`.
    ///
    /// Error at most [`ERF_ULP`].
    ///
    /// ```
    /// let mut x = [0.0, 9.0, -9.0];
    /// backprop::engine::vmath::erf(&mut x);
    /// assert_eq!(x, [0.0, 1.0, -1.0]);
    /// ```
    pub fn erf, erf_at(x: &mut [f32]) = erf_body;
}

#[inline(always)]
fn exp_body<const FMA: bool>(x: &mut [f32]) {
    map(x, lane::exp::<FMA>);
}

#[inline(always)]
fn tanh_body<const FMA: bool>(x: &mut [f32]) {
    map(x, lane::tanh::<FMA>);
}

#[inline(always)]
fn sigmoid_body<const FMA: bool>(x: &mut [f32]) {
    map(x, lane::sigmoid::<FMA>);
}

#[inline(always)]
fn erf_body<const FMA: bool>(x: &mut [f32]) {
    map(x, lane::erf::<FMA>);
}

/// `x_i ← f(x_i)`, sixteen at a time; what is left over is filled up to
/// sixteen, so that a row of ten costs as much as one of sixteen and not as
/// ten single numbers.
#[inline(always)]
fn map(x: &mut [f32], f: impl Fn(f32) -> f32 + Copy) {
    let (blocks, rest) = x.as_chunks_mut::<16>();
    for x in blocks.as_flattened_mut() {
        *x = f(*x);
    }
    if !rest.is_empty() {
        let mut last = [0.0; 16];
        last[..rest.len()].copy_from_slice(rest);
        for x in &mut last {
            *x = f(*x);
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::{Level, levels};

    type Slice = fn(Level, &mut [f32]);
    type Exact = fn(f64) -> f64;

    fn exact_sigmoid(x: f64) -> f64 {
        let e = (-x.abs()).exp();
        if x < 0.0 {
            e / (1.0 + e)
        } else {
            1.0 / (1.0 + e)
        }
    }

    const FUNCTIONS: [(&str, Slice, Exact, f64); 4] = [
        ("exp", exp_at, f64::exp, EXP_ULP),
        ("tanh", tanh_at, f64::tanh, TANH_ULP),
        ("sigmoid", sigmoid_at, exact_sigmoid, SIGMOID_ULP),
        ("erf", erf_at, libm::erf, ERF_ULP),
    ];

    /// `|got - want|` in units of the last place of `want` as an f32. Beyond
    /// the largest f32 the number that follows it stands for ∞.
    fn ulps(got: f32, want: f64) -> f64 {
        let beyond = f64::from(f32::MAX) + f64::from_bits(1127 << 52); // 2¹²⁸
        let got = match got {
            f32::INFINITY => beyond,
            f32::NEG_INFINITY => -beyond,
            got => f64::from(got),
        };
        let want = want.clamp(-beyond, beyond);
        let exponent = want.to_bits() >> 52 & 0x7ff; // 1023 more than it is
        let ulp = f64::from_bits((exponent.clamp(897, 1150) - 23) << 52);
        (got - want).abs() / ulp
    }

    /// Every so many bit patterns are tried: odd, so that all low bits occur.
    /// `VMATH_STRIDE=1` tries all 2³².
    fn stride() -> u64 {
        std::env::var("VMATH_STRIDE")
            .map(|s| s.parse().expect("VMATH_STRIDE is a whole number"))
            .unwrap_or(4099)
    }

    /// The neighbourhood of every power of two, of the borders between the
    /// formulas and of the ends of the range; zeros, denormals, infinities.
    fn special() -> Vec<f32> {
        let mut bits: Vec<u32> = Vec::new();
        for exponent in 0..=255u32 {
            for near in -40i32..=40 {
                bits.push((exponent << 23).wrapping_add_signed(near));
            }
        }
        let borders = [
            1.0,
            4.0,
            10.0,
            20.0,
            89.0,
            104.0,
            88.722_84,
            87.336_54,
            103.972_08,
            0.346_573_6,
            0.173_286_8,
            9.010_913,
            3.919_206,
        ];
        for border in borders {
            let border: f32 = border;
            for near in -300i32..=300 {
                bits.push(border.to_bits().wrapping_add_signed(near));
            }
        }
        // Halfway between two multiples of ln 2, where the rounding flips.
        for n in 0..160 {
            let half = (f64::from(n) + 0.5) * std::f64::consts::LN_2;
            for near in -4i32..=4 {
                let half = (half as f32).to_bits().wrapping_add_signed(near);
                bits.push(half);
            }
        }
        bits.extend(0..2000);
        let signs = [0, 1 << 31];
        let all = bits.iter().flat_map(|b| signs.map(|s| b ^ s));
        all.map(f32::from_bits).collect()
    }

    /// The largest error over `x`, and where.
    fn worst(
        slice: Slice,
        level: Level,
        x: &[f32],
        want: &[f64],
    ) -> (f64, f32) {
        let mut y = x.to_vec();
        slice(level, &mut y);
        let mut worst = (0.0, 0.0);
        for ((x, y), want) in x.iter().zip(&y).zip(want) {
            if x.is_nan() {
                assert!(y.is_nan(), "{level:?}: {x} gives {y}");
                continue;
            }
            let off = ulps(*y, *want);
            assert!(!off.is_nan(), "{level:?}: {x} gives {y}");
            if off > worst.0 {
                worst = (off, *x);
            }
        }
        worst
    }

    #[test]
    fn errors_stay_within_the_bounds() {
        let stride = stride();
        let all = 0..(1u64 << 32).div_ceil(stride);
        let spread = |i| f32::from_bits((i * stride) as u32);
        for (name, slice, exact, bound) in FUNCTIONS {
            let mut tops = vec![(0.0, 0.0); levels().len()];
            let mut go = |x: &[f32]| {
                let want: Vec<f64> =
                    x.iter().map(|x| exact(f64::from(*x))).collect();
                for (level, top) in levels().iter().zip(&mut tops) {
                    let here = worst(slice, *level, x, &want);
                    if here.0 > top.0 {
                        *top = here;
                    }
                }
            };
            go(&special());
            for first in all.clone().step_by(1 << 16) {
                let last = (first + (1 << 16)).min(all.end);
                go(&(first..last).map(spread).collect::<Vec<_>>());
            }
            for (level, (off, x)) in levels().iter().zip(tops) {
                println!("{name} {level:?}: {off} ulp at {x:e}");
                assert!(off <= bound, "{name} at {x:e}: {off} ulp > {bound}");
            }
        }
    }

    /// The bounds mean something: one step further off would be noticed.
    #[test]
    fn the_measure_notices() {
        fn next(x: f32, steps: u32) -> f32 {
            f32::from_bits(x.to_bits() + steps)
        }
        assert_eq!(ulps(next(1.0, 3), 1.0), 3.0);
        assert_eq!(ulps(next(0.0, 2), 0.0), 2.0);
        assert_eq!(ulps(f32::INFINITY, f64::from(f32::MAX)), 1.0);
        assert_eq!(ulps(f32::INFINITY, 1e300), 0.0);
        assert_eq!(ulps(0.5, 0.5 + 2f64.powi(-25)), 0.5);
        let (off, _) = worst(
            |_, x| x.iter_mut().for_each(|x| *x = next(x.exp(), 3)),
            levels()[0],
            &[0.0, 1.0, 2.5],
            &[0f64, 1.0, 2.5].map(f64::exp),
        );
        assert!(off > EXP_ULP);
    }

    #[test]
    fn special_values() {
        let all = |slice: Slice, level, x: f32| {
            let mut x = [x; 19];
            slice(level, &mut x);
            assert!(x.iter().all(|v| v.to_bits() == x[0].to_bits()));
            x[0]
        };
        for level in levels() {
            let at = |slice, x| all(slice, *level, x);
            assert_eq!(at(exp_at, 0.0), 1.0);
            assert_eq!(at(exp_at, -0.0), 1.0);
            assert_eq!(at(exp_at, f32::INFINITY), f32::INFINITY);
            assert_eq!(at(exp_at, f32::MAX), f32::INFINITY);
            assert_eq!(at(exp_at, 88.722_84), f32::INFINITY);
            assert_eq!(at(exp_at, f32::NEG_INFINITY), 0.0);
            assert_eq!(at(exp_at, f32::MIN), 0.0);
            assert_eq!(at(exp_at, -104.0), 0.0);
            assert_eq!(at(exp_at, -103.5), f32::from_bits(1));
            assert_eq!(at(sigmoid_at, 0.0), 0.5);
            assert_eq!(at(sigmoid_at, f32::INFINITY), 1.0);
            assert_eq!(at(sigmoid_at, f32::NEG_INFINITY), 0.0);
            for slice in [tanh_at as Slice, erf_at] {
                assert_eq!(at(slice, f32::INFINITY), 1.0);
                assert_eq!(at(slice, f32::NEG_INFINITY), -1.0);
                assert_eq!(at(slice, 0.0).to_bits(), 0.0f32.to_bits());
                assert_eq!(at(slice, -0.0).to_bits(), (-0.0f32).to_bits());
            }
            let tiny = f32::from_bits(5);
            assert_eq!(at(tanh_at, tiny), tiny);
            assert_eq!(at(erf_at, tiny), f32::from_bits(6)); // 5·1.128
        }
    }

    /// Odd functions are odd to the bit, and none leaves its range.
    #[test]
    fn symmetry_and_range() {
        let special = special();
        let x: Vec<f32> =
            special.iter().copied().filter(|x| !x.is_nan()).collect();
        let minus: Vec<f32> = x.iter().map(|x| -x).collect();
        for level in levels() {
            for slice in [tanh_at as Slice, erf_at] {
                let (mut y, mut z) = (x.clone(), minus.clone());
                slice(*level, &mut y);
                slice(*level, &mut z);
                for (y, z) in y.iter().zip(&z) {
                    assert_eq!(y.to_bits(), (-z).to_bits());
                    assert!(y.abs() <= 1.0);
                }
            }
            let mut y = x.clone();
            sigmoid_at(*level, &mut y);
            assert!(y.iter().all(|y| (0.0..=1.0).contains(y)));
        }
    }

    /// A number's result does not depend on its place in the slice.
    #[test]
    fn every_length() {
        let x: Vec<f32> = (0..100).map(|i| i as f32 * 0.13 - 6.0).collect();
        for (_, slice, _, _) in FUNCTIONS {
            for level in levels() {
                let mut whole = x.clone();
                slice(*level, &mut whole);
                for len in 0..40 {
                    let mut part = x[50..50 + len].to_vec();
                    slice(*level, &mut part);
                    assert_eq!(part, whole[50..50 + len]);
                }
            }
        }
    }
}
