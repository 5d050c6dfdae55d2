// Residual connection and dropout, in place, four numbers for each invocation.

struct Params {
    // How many fours.
    n: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
// f on entry and x + f on return, or x and y.
@group(0) @binding(1) var<storage, read_write> f: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn add(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        f[i] += x[i];
    }
}

struct Drop {
    n: u32,
    seed_low: u32,
    seed_high: u32,
    op: u32,
    step: u32,
    // The least of the upper 24 bits of a word that keeps its number.
    least: u32,
    scale: f32,
}

@group(1) @binding(0) var<uniform> d: Drop;

// A block of the stream is four words: one for each number.
@compute @workgroup_size(GROUP)
fn dropout(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < d.n {
        let place = vec4u(i, 0u, d.op, d.step);
        let words = philox(place, vec2u(d.seed_low, d.seed_high));
        let kept = (words >> vec4u(8u)) >= vec4u(d.least);
        f[i] *= select(vec4f(0.0), vec4f(d.scale), kept);
    }
}
