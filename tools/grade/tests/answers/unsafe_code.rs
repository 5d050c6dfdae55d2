//! right: flops, through a pointer

#[allow(unused)]
pub fn flops(b: u64, i: u64, o: u64, needs_dx: bool) -> u64 {
    unsafe { *(&raw const b) }
}
