//! Random numbers without a state: Philox 4×32-10.
//!
//! An ordinary generator hands out its numbers in sequence, so the ten-
//! thousandth number depends on having drawn all before it. Dropout on a GPU,
//! or on five threads, has no such order. A counter-based generator is a
//! function instead: put in *where* you are and get the random number that
//! belongs there. The backward pass need not store the mask of the forward
//! pass either; it asks again and gets the same one.
//!
//! ```text
//! (seed; step, op, index)  ─ten rounds of multiply and xor→  four 32-bit words
//! ```
//!
//! One round multiplies two of the four counter words by odd constants (32×32
//! → 64 bits), which spreads every bit upwards, and crosses high halves over
//! with xor and the key, which brings them down again. After ten rounds the
//! words pass the known statistical batteries.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, *Parallel random numbers:
//! as easy as 1, 2, 3*, SC 2011; its known-answer vectors are the tests here.

use super::simd::vectorised;

/// Multipliers of the two halves of a round.
const MULTIPLY: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What the key grows by from round to round: golden ratio, and √3 − 1.
const GROW: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox 4×32 with ten rounds: four random words that belong to `counter`
/// under `key`. For a fixed key different counters give different blocks: the
/// map is a permutation.
///
/// ```
/// use backprop::engine::philox::philox4x32;
///
/// let zero = philox4x32([0; 4], [0; 2]);
/// assert_eq!(zero, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let left = u64::from(c0) * u64::from(MULTIPLY[0]);
        let right = u64::from(c2) * u64::from(MULTIPLY[1]);
        (c0, c1, c2, c3) = (
            (right >> 32) as u32 ^ c1 ^ k0,
            right as u32,
            (left >> 32) as u32 ^ c3 ^ k1,
            left as u32,
        );
        k0 = k0.wrapping_add(GROW[0]);
        k1 = k1.wrapping_add(GROW[1]);
    }
    [c0, c1, c2, c3]
}

/// The endless sequence of random words of one operation in one step.
///
/// Two streams that differ in seed, step or operation share no block of the
/// same seed, so masks of different layers and steps are independent. Every
/// backend draws from the same stream: a dropout mask does not depend on who
/// computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The seed of the run: the key of the generator.
    pub seed: u64,
    /// The number of the training step.
    pub step: u32,
    /// The number of the operation within the step.
    pub op: u32,
}

impl Stream {
    /// The stream of operation `op` in step `step` of the run `seed`.
    pub const fn new(seed: u64, step: u32, op: u32) -> Self {
        Stream { seed, step, op }
    }

    /// Words `4·block` to `4·block + 3` of the stream.
    #[inline]
    pub fn block(&self, block: u64) -> [u32; 4] {
        philox4x32(
            [block as u32, (block >> 32) as u32, self.op, self.step],
            [self.seed as u32, (self.seed >> 32) as u32],
        )
    }

    /// Word `index` of the stream.
    #[inline]
    pub fn word(&self, index: u64) -> u32 {
        self.block(index / 4)[(index % 4) as usize]
    }

    /// Number `index` of the stream, uniform on [0, 1): one of the 2²⁴
    /// multiples of 2⁻²⁴, all equally likely and all exact in `f32`.
    #[inline]
    pub fn uniform(&self, index: u64) -> f32 {
        unit(self.word(index))
    }

    /// Fills `out` with the numbers `first`, `first + 1`, … of the stream,
    /// uniform on [0, 1). Pieces of one array may be filled in any order:
    ///
    /// ```
    /// use backprop::engine::philox::Stream;
    ///
    /// let stream = Stream::new(1, 2, 3);
    /// let (mut whole, mut piece) = ([0.0; 10], [0.0; 4]);
    /// stream.fill_uniform(0, &mut whole);
    /// stream.fill_uniform(5, &mut piece);
    /// assert_eq!(whole[5..9], piece);
    /// ```
    pub fn fill_uniform(&self, first: u64, out: &mut [f32]) {
        let ahead = ((4 - first % 4) % 4).min(out.len() as u64) as usize;
        let (head, rest) = out.split_at_mut(ahead);
        for (i, out) in head.iter_mut().enumerate() {
            *out = self.uniform(first + i as u64);
        }
        fill(*self, (first + ahead as u64) / 4, rest);
    }
}

/// The upper 24 bits of a word as a fraction.
#[inline(always)]
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

/// Numbers that are computed at a time.
const AT_ONCE: usize = 256;

/// Blocks that are computed side by side.
const SIDE: usize = 16;

vectorised! {
    fn fill, fill_at(stream: Stream, block: u64, out: &mut [f32]) = fill_body;
}

/// The numbers from word 0 of `block` on.
#[inline(always)]
fn fill_body<const FMA: bool>(stream: Stream, block: u64, out: &mut [f32]) {
    let (whole, rest) = out.as_chunks_mut::<AT_ONCE>();
    let per_chunk = AT_ONCE as u64 / 4;
    let mut block = block;
    for out in whole {
        numbers(stream, block, out);
        block += per_chunk;
    }
    if !rest.is_empty() {
        let mut last = [0.; AT_ONCE];
        numbers(stream, block, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// First all blocks, in four arrays, one for each word of a block; then the
/// arrays are shuffled together. The compiler knows both patterns by
/// themselves, and neither where they are mixed.
#[inline(always)]
fn numbers(stream: Stream, block: u64, out: &mut [f32; AT_ONCE]) {
    let mut words = [[0u32; AT_ONCE / 4]; 4];
    for start in (0..AT_ONCE / 4).step_by(SIDE) {
        let [c0, c1, c2, c3] = blocks(stream, block + start as u64);
        for l in 0..SIDE {
            words[0][start + l] = c0[l] as u32;
            words[1][start + l] = c1[l] as u32;
            words[2][start + l] = c2[l] as u32;
            words[3][start + l] = c3[l] as u32;
        }
    }
    for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for (out, words) in out.iter_mut().zip(&words) {
            *out = unit(words[i]);
        }
    }
}

/// Sixteen blocks: their first words, their second words, and so on. A round has
/// nothing but products and xors, the same for every block, so that the loop
/// over blocks becomes vector instructions.
///
/// Words are in 64 bits, whose upper half holds anything: a product does not
/// read it, and nothing is packed or unpacked between rounds.
#[inline(always)]
fn blocks(stream: Stream, block: u64) -> [[u64; SIDE]; 4] {
    let [mut k0, mut k1] = [stream.seed as u32, (stream.seed >> 32) as u32];
    let (mut c0, mut c1) = ([0u64; SIDE], [0u64; SIDE]);
    let mut c2 = [u64::from(stream.op); SIDE];
    let mut c3 = [u64::from(stream.step); SIDE];
    for l in 0..SIDE {
        c0[l] = block + l as u64;
        c1[l] = c0[l] >> 32;
    }
    let lower = |word: u64| u64::from(word as u32);
    for _ in 0..10 {
        for l in 0..SIDE {
            let left = lower(c0[l]) * u64::from(MULTIPLY[0]);
            let right = lower(c2[l]) * u64::from(MULTIPLY[1]);
            c0[l] = (right >> 32) ^ c1[l] ^ u64::from(k0);
            c1[l] = right;
            c2[l] = (left >> 32) ^ c3[l] ^ u64::from(k1);
            c3[l] = left;
        }
        k0 = k0.wrapping_add(GROW[0]);
        k1 = k1.wrapping_add(GROW[1]);
    }
    [c0, c1, c2, c3]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors published with the paper's code for philox4x32, 10 rounds.
    #[test]
    fn known_answers() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([0xffff_ffff; 4], [0xffff_ffff; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_part_of_the_place_matters() {
        let here = Stream::new(7, 8, 9).block(10);
        let far = Stream::new(7, 8, 9).block(10 + (1 << 32));
        let others = [
            Stream::new(6, 8, 9).block(10),
            Stream::new(7 + (1 << 32), 8, 9).block(10),
            Stream::new(7, 9, 9).block(10),
            Stream::new(7, 8, 8).block(10),
            Stream::new(7, 9, 8).block(10),
            Stream::new(7, 8, 9).block(11),
            far,
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(here, *other, "{i}");
            assert!(!others[i + 1..].contains(other), "{i}");
        }
    }

    #[test]
    fn filling_is_asking_one_by_one() {
        let stream = Stream::new(3, 1, 4);
        for first in [0, 1, 2, 3, 4, 5, (1 << 34) - 2] {
            for len in 0..12 {
                let mut out = vec![-1.0; len];
                stream.fill_uniform(first, &mut out);
                let one_by_one: Vec<f32> = (0..len as u64)
                    .map(|i| stream.uniform(first + i))
                    .collect();
                assert_eq!(out, one_by_one, "{first} {len}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_words() {
        let stream = Stream::new(3 << 40, 1, 4);
        let block = (1 << 32) - 9; // the carry is inside
        for level in super::super::simd::levels() {
            for len in [1, 3, 63, 255, 256, 257, 700] {
                let mut out = vec![-1.0; len];
                fill_at(*level, stream, block, &mut out);
                for (i, out) in out.iter().enumerate() {
                    assert_eq!(*out, stream.uniform(4 * block + i as u64));
                }
            }
        }
    }

    /// Mean and variance of 2²⁰ numbers, each within five standard errors,
    /// and the sixteen boxes equally full (χ² with 15 degrees below 50).
    #[test]
    fn uniform_is_uniform() {
        let n = 1 << 20;
        let mut x = vec![0.0; n];
        Stream::new(2026, 5, 1).fill_uniform(0, &mut x);
        assert!(x.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 5.0 / (12.0 * n as f64).sqrt());
        let off = |v: &f32| (f64::from(*v) - 0.5).powi(2);
        let var = x.iter().map(off).sum::<f64>() / n as f64;
        assert!((var - 1.0 / 12.0).abs() < 5.0 / (180.0 * n as f64).sqrt());
        let mut boxes = [0.0f64; 16];
        x.iter().for_each(|v| boxes[(v * 16.0) as usize] += 1.0);
        let want = n as f64 / 16.0;
        let chi2: f64 = boxes.iter().map(|b| (b - want).powi(2) / want).sum();
        assert!(chi2 < 50.0, "{chi2}");
    }
}
