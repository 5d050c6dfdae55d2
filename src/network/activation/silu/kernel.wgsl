// SwiGLU, four numbers of y for each invocation. The rows of x are [g | u] and
// need not begin at a multiple of four, so the four are a workgroup's breadth
// apart: neighbours read and write neighbours.

struct Params {
    // The numbers of y, and of a row of y.
    n: u32,
    f: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // (N, 2F)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (N, F)
@group(0) @binding(2) var<storage, read> dy: array<f32>; // (N, F)
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // (N, 2F)
@group(1) @binding(0) var<uniform> p: Params;

fn four(group: vec3u, groups: vec3u, lane: u32) -> vec4u {
    let first = group_index(group, groups) * (4u * GROUP) + lane;
    return first + vec4u(0u, GROUP, 2u * GROUP, 3u * GROUP);
}

fn x_at(i: vec4u) -> vec4f {
    return vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
}

@compute @workgroup_size(GROUP)
fn swiglu(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let j = four(group, groups, lane);
    let at = j + j / p.f * p.f;
    let g = x_at(at);
    let value = g * sigmoid_of(g).value * x_at(at + p.f);
    for (var k = 0u; k < 4u; k++) {
        if j[k] < p.n {
            y[j[k]] = value[k];
        }
    }
}

@compute @workgroup_size(GROUP)
fn swiglu_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let j = four(group, groups, lane);
    let at = j + j / p.f * p.f;
    let g = x_at(at);
    let s = sigmoid_of(g);
    let d = vec4f(dy[j.x], dy[j.y], dy[j.z], dy[j.w]);
    let dg = d * x_at(at + p.f) * (g * s.slope + s.value);
    let du = d * g * s.value;
    for (var k = 0u; k < 4u; k++) {
        if j[k] < p.n {
            dx[at[k]] = dg[k];
            dx[at[k] + p.f] = du[k];
        }
    }
}
