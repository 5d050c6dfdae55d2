// SGD and AdamW, in place, four numbers for each invocation; the norm of a
// gradient, and the factor that clips it.

@group(0) @binding(0) var<storage, read_write> w: array<vec4f>;
@group(0) @binding(1) var<storage, read> dw: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> factor: array<f32>; // one
@group(0) @binding(5) var<storage, read> x: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;

struct Sgd {
    // How many fours.
    n: u32,
    lr: f32,
    momentum: f32,
    decay: f32,
}

@group(1) @binding(0) var<uniform> s: Sgd;

@compute @workgroup_size(GROUP)
fn sgd(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < s.n {
        let before = w[i];
        let velocity = s.momentum * v[i] + (dw[i] + s.decay * before);
        v[i] = velocity;
        w[i] = before - s.lr * velocity;
    }
}

struct Adam {
    n: u32,
    // lr·λ: taken off the weight.
    off_weight: f32,
    beta1: f32,
    beta2: f32,
    // 1 - β₁ and 1 - β₂.
    new1: f32,
    new2: f32,
    // lr/(1 - β₁ᵗ) and 1/√(1 - β₂ᵗ): with them m̂ and v̂ need not be formed.
    lr: f32,
    root: f32,
    eps: f32,
}

@group(1) @binding(0) var<uniform> a: Adam;

@compute @workgroup_size(GROUP)
fn adamw(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group_index(group, groups) * GROUP + lane;
    if i < a.n {
        let before = w[i];
        let g = factor[0] * dw[i];
        let mean = a.beta1 * m[i] + a.new1 * g;
        let square = a.beta2 * v[i] + a.new2 * g * g;
        m[i] = mean;
        v[i] = square;
        let step = a.lr * mean / (a.root * sqrt(square) + a.eps);
        w[i] = before - a.off_weight * before - step;
    }
}

struct Sum {
    // How many numbers, workgroups, and fours for each workgroup.
    n: u32,
    groups: u32,
    piece: u32,
    // Whether the numbers are squared.
    squared: u32,
    // Where the sum of the first workgroup goes.
    slot: u32,
    // In `clip`, the norm to clip to.
    most: f32,
}

@group(1) @binding(0) var<uniform> t: Sum;

/// The sum of piece `index` of x. Beyond n there may be anything.
fn sum_of_piece(index: u32, lane: Lane) -> f32 {
    let first = index * t.piece;
    let last = min(first + t.piece, (t.n + 3u) / 4u);
    var sum = vec4f(0.0);
    for (var i = first + lane.index; i < last; i += GROUP) {
        let y = select(x[i], x[i] * x[i], t.squared == 1u);
        let place = 4u * i + vec4u(0u, 1u, 2u, 3u);
        sum += select(vec4f(0.0), y, place < vec4u(t.n));
    }
    return group_sum(sum.x + sum.y + sum.z + sum.w, lane);
}

@compute @workgroup_size(GROUP)
fn sum_pieces(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let index = group_index(group, groups);
    let sum = sum_of_piece(index, lane);
    if lane.index == 0u && index < t.groups {
        sums[t.slot + index] = sum;
    }
}

@compute @workgroup_size(GROUP)
fn clip(lane: Lane) {
    let norm = sqrt(sum_of_piece(0u, lane));
    if lane.index == 0u {
        // Bits of numbers from 0 on are in their order, and those of NaN behind
        // them: the factor of a norm that is NaN is NaN, whatever a compiler
        // makes of a comparison.
        let is_small = bitcast<u32>(norm) <= bitcast<u32>(t.most);
        sums[0] = select(t.most / norm, 1.0, is_small);
    }
}
