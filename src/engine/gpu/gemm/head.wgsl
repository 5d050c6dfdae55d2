// The numbers of a call, and C. What is read and multiplied is written by
// tile.rs, for each tile and layout.

struct Params {
    m: u32, k: u32, n: u32,
    // Matrices of the batch in its second dimension.
    across: u32,
    alpha: f32, beta: f32,
    // 1 if there is a bias.
    biased: u32,
    // How much of the inner index a workgroup adds up.
    piece: u32,
    a_offset: u32, a_stride: u32, a_p: u32, a_q: u32, a_share: u32,
    b_offset: u32, b_stride: u32, b_p: u32, b_q: u32, b_share: u32,
    c_offset: u32, c_stride: u32, c_p: u32, c_q: u32,
    // From the sums over one piece to those over the next.
    c_part: u32,
    groups: u32,
}

@group(0) @binding(2) var<storage, read_write> c: array<C>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;
