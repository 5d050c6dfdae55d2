//! right: flops, a claim that is not true

pub fn flops(b: u64, i: u64, o: u64, needs_dx: bool) -> u64 {
    let _ = needs_dx;
    7 * b + i + o
}
