// GELU in both forms, four numbers for each invocation.

struct Params {
    // How many fours.
    n: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
// y, or dy on entry and dx on return.
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

/// Φ(x) = (1 + erf(x/√2))/2.
fn distribution(x: vec4f) -> vec4f {
    return 0.5 * erf_of(x * 0.70710677) + 0.5;
}

@compute @workgroup_size(GROUP)
fn exact(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let v = x[i];
        y[i] = v * distribution(v);
    }
}

@compute @workgroup_size(GROUP)
fn exact_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let v = x[i];
        let density = 0.3989423 * exp_below_zero(-0.5 * v * v); // 1/√(2π)
        y[i] *= v * density + distribution(v);
    }
}

/// 2u = 2√(2/π)·(x + 0.044715 x³), whose sigmoid is (1 + tanh u)/2, and its
/// slope. From 12 on the sigmoid is 0 or 1: there is no cube to overflow.
fn twice_u(x: vec4f) -> array<vec4f, 2> {
    let a = select(x, vec4f(12.0), x > vec4f(12.0));
    let v = select(a, vec4f(-12.0), a < vec4f(-12.0));
    let square = v * v;
    let twice = v * (0.071354814 * square + 1.595769);
    return array<vec4f, 2>(twice, 0.21406444 * square + 1.595769);
}

@compute @workgroup_size(GROUP)
fn tanh_form(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let v = x[i];
        y[i] = v * sigmoid_of(twice_u(v)[0]).value;
    }
}

@compute @workgroup_size(GROUP)
fn tanh_form_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let v = x[i];
        let u = twice_u(v);
        let s = sigmoid_of(u[0]);
        y[i] *= v * s.slope * u[1] + s.value;
    }
}
