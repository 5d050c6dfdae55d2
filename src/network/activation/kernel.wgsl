// ReLU and tanh, in place, four numbers for each invocation.

struct Params {
    // How many fours.
    n: u32,
}

@group(0) @binding(0) var<storage, read> kept: array<vec4f>;
// x on entry and y on return, or dy and dx.
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

/// Whether x is -0 or below: bits from that of -0 to that of -∞. A compiler
/// may take it that no number is NaN, and turn a comparison of floats round;
/// with bits it may not.
fn below(x: vec4f) -> vec4<bool> {
    return bitcast<vec4u>(x) - 0x80000000u <= vec4u(0x7f800000u);
}

@compute @workgroup_size(GROUP)
fn relu(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let x = y[i];
        y[i] = select(x, vec4f(0.0), below(x));
    }
}

@compute @workgroup_size(GROUP)
fn relu_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let k = kept[i];
        let stops = below(k) | (bitcast<vec4u>(k) == vec4u(0u));
        y[i] = select(y[i], vec4f(0.0), stops);
    }
}

@compute @workgroup_size(GROUP)
fn tanh_forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        y[i] = tanh_of(y[i]);
    }
}

@compute @workgroup_size(GROUP)
fn tanh_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        y[i] *= 1.0 - kept[i] * kept[i];
    }
}
