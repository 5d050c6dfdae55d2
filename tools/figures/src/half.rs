//! Half precision, IEEE 754 `binary16`: weights in a file for the page.

/// The nearest half-precision number, ties to even; beyond 65,504 by half a
/// step or more it is infinite. Sign, five bits of exponent, ten of fraction.
pub(crate) fn to_half(value: f64) -> u16 {
    let sign = u16::from(value.is_sign_negative()) << 15;
    let size = value.abs();
    if size.is_nan() {
        return sign | 0x7e00;
    }
    if size >= 65_520. {
        return sign | 0x7c00;
    }
    // Below the smallest normal number, 2⁻¹⁴, the steps stay as they are.
    let exponent = ((size.to_bits() >> 52) as i32 - 1023).max(-14);
    let steps = (size / 2f64.powi(exponent - 10)).round_ties_even() as u16;
    // 2048 steps are the next power of two: they carry into the exponent.
    let normal = (exponent + 14) as u16;
    sign | ((normal << 10) + steps)
}

/// The number that these bits are.
pub(crate) fn from_half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1. } else { 1. };
    let (exponent, fraction) = (bits >> 10 & 31, f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0. => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024. + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    sign * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        for (value, bits) in [
            (0., 0),
            (-0., 0x8000),
            (1., 0x3c00),
            (-2., 0xc000),
            (1. / 3., 0x3555),
            (65_504., 0x7bff),
            (65_519.9, 0x7bff),
            (65_520., 0x7c00),
            (2f64.powi(-14), 0x0400),
            (2f64.powi(-24), 1),
            (2f64.powi(-25), 0),
            (1.5 * 2f64.powi(-24), 2),
            // Ties go to the even neighbour.
            (1. + 2f64.powi(-11), 0x3c00),
            (1. + 3. * 2f64.powi(-11), 0x3c02),
            (2. - 2f64.powi(-12), 0x4000),
        ] {
            assert_eq!(to_half(value), bits, "{value}");
        }
        assert!(from_half(to_half(f64::NAN)).is_nan());
        assert_eq!(from_half(0xfc00), f64::NEG_INFINITY);
    }

    #[test]
    fn every_half_goes_to_a_number_and_back() {
        let all = (0..=u16::MAX).filter(|b| !from_half(*b).is_nan());
        let mut count = 0;
        for bits in all {
            assert_eq!(to_half(from_half(bits)), bits);
            count += 1;
        }
        assert_eq!(count, 65_536 - 2 * 1023);
        // In order, each above the one before.
        let order = (0..0x7c00).map(from_half);
        assert!(order.is_sorted_by(|a, b| a < b));
    }
}
