// Fill and copy, as kernels: the compute pass goes on. Words and not floats,
// since a GPU may change a NaN or a number near zero on its way; four for each
// invocation, so that enough of them are on their way at a time.

struct Params {
    // How many fours.
    n: u32,
    value: u32,
}

@group(0) @binding(0) var<storage, read_write> to: array<vec4u>;
@group(0) @binding(1) var<storage, read> source: array<vec4u>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn fill(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        to[i] = vec4u(p.value);
    }
}

@compute @workgroup_size(GROUP)
fn copy(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        to[i] = source[i];
    }
}
