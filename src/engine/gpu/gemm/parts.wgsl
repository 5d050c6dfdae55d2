// The second phase of a product whose inner index was cut into pieces: the
// sums over the pieces, added in their order. An invocation for each entry.

struct Params {
    m: u32, n: u32, across: u32,
    // Entries of all matrices of the batch.
    entries: u32,
    parts: u32,
    alpha: f32, beta: f32,
    biased: u32,
    c_offset: u32, c_stride: u32, c_p: u32, c_q: u32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>; // (parts, entries)
@group(0) @binding(1) var<storage, read_write> c: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn add_parts(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group_index(group, groups) * GROUP + lane;
    if at >= p.entries {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < p.parts; part++) {
        sum += sums[part * p.entries + at];
    }
    let j = at % p.n;
    let i = at / p.n % p.m;
    let batch = at / p.n / p.m;
    let to = p.c_offset + batch / p.across * p.c_p + batch % p.across * p.c_q
        + i * p.c_stride + j;
    var value = p.alpha * sum;
    if p.biased == 1u {
        value += bias[j];
    }
    if p.beta != 0.0 {
        value += p.beta * c[to];
    }
    c[to] = value;
}
