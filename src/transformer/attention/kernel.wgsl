// Causal softmax of rows of scores, in place, and its VJP: a workgroup for
// each row. Row r is query r % t of its head and sees the keys up to itself.

struct Params {
    rows: u32,
    t: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // (rows, t) scores, or dp
@group(0) @binding(1) var<storage, read> y: array<f32>; // (rows, t) p
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn softmax(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let row = group_index(group, groups);
    if row >= p.rows {
        return;
    }
    let start = row * p.t;
    let seen = row % p.t + 1u;
    var most = x[start]; // key 0 is seen by all
    for (var j = lane.index; j < seen; j += GROUP) {
        most = max(most, x[start + j]);
    }
    most = group_max(most, lane);
    storageBarrier(); // x[start] was read by all
    var sum = 0.0;
    for (var j = lane.index; j < seen; j += GROUP) {
        let e = exp(x[start + j] - most);
        x[start + j] = e;
        sum += e;
    }
    sum = group_sum(sum, lane);
    // Whatever a product has written behind the mask is not read.
    for (var j = lane.index; j < p.t; j += GROUP) {
        if j < seen {
            x[start + j] /= sum;
        } else {
            x[start + j] = 0.0;
        }
    }
}

@compute @workgroup_size(GROUP)
fn softmax_vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let row = group_index(group, groups);
    if row >= p.rows {
        return;
    }
    let start = row * p.t;
    let seen = row % p.t + 1u;
    var dot = 0.0;
    for (var j = lane.index; j < seen; j += GROUP) {
        dot += y[start + j] * x[start + j];
    }
    dot = group_sum(dot, lane);
    for (var j = lane.index; j < p.t; j += GROUP) {
        if j < seen {
            x[start + j] = y[start + j] * (x[start + j] - dot);
        } else {
            x[start + j] = 0.0;
        }
    }
}
