// Weights at few bits, four for each invocation, and the step between two
// codes.

@group(0) @binding(0) var<storage, read> w: array<vec4f>;
@group(0) @binding(1) var<storage, read> step: array<f32>; // one
@group(0) @binding(2) var<storage, read> dw_hat: array<vec4f>;
// The weight at few bits, or the gradient that is added to.
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

struct Params {
    // How many fours.
    n: u32,
    // The largest code.
    q: f32,
    bits: u32,
}

@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn quantise(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let x = w[i];
        let s = step[0];
        let by = select(s, 1.0, s == 0.0);
        // Ties to even. Where a weight is NaN, s is, and s times anything.
        let code = clamp(round(x / by), vec4f(-p.q), vec4f(p.q));
        let sign = select(vec4f(-1.0), vec4f(1.0), x >= vec4f(0.0));
        y[i] = s * select(code, sign, p.bits == 1u);
    }
}

@compute @workgroup_size(GROUP)
fn quantise_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < p.n {
        let passes = abs(w[i]) <= vec4f(p.q * step[0]);
        y[i] += select(vec4f(0.0), dw_hat[i], passes);
    }
}

struct Sum {
    // How many numbers, workgroups, and fours for each workgroup.
    n: u32,
    groups: u32,
    piece: u32,
    factor: f32,
}

@group(1) @binding(0) var<uniform> t: Sum;

/// The sum of |w| over each piece, times the factor. Beyond n there may be
/// anything.
@compute @workgroup_size(GROUP)
fn sum_of_sizes(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let index = group_index(group, groups);
    let first = index * t.piece;
    let last = min(first + t.piece, (t.n + 3u) / 4u);
    var sum = vec4f(0.0);
    for (var i = first + lane.index; i < last; i += GROUP) {
        let place = 4u * i + vec4u(0u, 1u, 2u, 3u);
        sum += select(vec4f(0.0), abs(w[i]), place < vec4u(t.n));
    }
    let whole = group_sum(sum.x + sum.y + sum.z + sum.w, lane);
    if lane.index == 0u && index < t.groups {
        sums[index] = t.factor * whole;
    }
}
