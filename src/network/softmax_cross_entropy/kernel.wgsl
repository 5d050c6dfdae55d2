// Softmax and cross-entropy from labels, in place. A line with a number sign
// is written once for each number of an invocation.

const LOWEST = -3.4028234e38;
const IGNORE = 0xffffffffu;

// What becomes of the logits.
const LOGITS = 0u;
const PROBABILITIES = 1u;
const GRADIENT = 2u;

struct Params {
    rows: u32,
    columns: u32,
    // The label and the loss of row 0.
    first: u32,
    becomes: u32,
    smoothing: f32,
    // Of the gradient; in `total`, what the sum is divided by.
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // (rows, columns)
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

/// What an exponential is multiplied by, what is taken off it, and what is
/// taken off at the label besides.
fn weights(sum: f32) -> vec3f {
    if p.becomes == PROBABILITIES {
        return vec3f(1.0 / sum, 0.0, 0.0);
    }
    let rest = p.smoothing / f32(p.columns) * p.scale;
    return vec3f(p.scale / sum, rest, (1.0 - p.smoothing) * p.scale);
}

/// The loss of a row from the sum of its exponentials, x - max at the label,
/// and the sum of x - max.
fn loss(sum: f32, score: f32, spread: f32) -> f32 {
    let loss = log(sum) - (1.0 - p.smoothing) * score;
    if p.smoothing > 0.0 { // a logit of -inf must not meet a factor of 0
        return loss - p.smoothing * spread / f32(p.columns);
    }
    return loss;
}

// A row stays in the registers of LANES invocations.
@compute @workgroup_size(GROUP)
fn narrow(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let row = group_index(group, groups) * ROWS + lane.index / LANES;
    let within = lane.index % LANES;
    let base = row * p.columns;
    var width = 0u; // of a row that is not there
    var label = 0u;
    if row < p.rows {
        width = p.columns;
        label = labels[p.first + row];
    }
    let j# = within + #u * LANES;
    var x# = LOWEST;
    if j# < width { x# = x[base + j#]; }
    var most = LOWEST;
    most = max(most, x#);
    most = row_max(most, lane);
    var e# = 0.0;
    if j# < width { x# -= most; e# = exp(x#); }
    var sum = 0.0;
    sum += e#;
    sum = row_sum(sum, lane);
    var spread = 0.0;
    if p.smoothing > 0.0 {
        if j# < width { spread += x#; }
        spread = row_sum(spread, lane);
    }
    // Who has the logit of the label writes the loss.
    if j# < width && j# == label { losses[p.first + row] = loss(sum, x#, spread); }
    let ignored = label == IGNORE;
    if ignored && within == 0u {
        losses[p.first + row] = 0.0;
    }
    if p.becomes == LOGITS {
        return;
    }
    let w = weights(sum);
    var y# = e# * w.x - w.y;
    if j# == label { y# -= w.z; }
    let none = ignored && p.becomes == GRADIENT;
    if j# < width { x[base + j#] = select(y#, 0.0, none); }
}

// A workgroup for each row, which is read twice: the first time for the
// maximum and the sum of exponentials at once. When a lane meets a larger
// number, the sum it has is scaled down.
@compute @workgroup_size(GROUP)
fn wide(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let row = group_index(group, groups);
    if row >= p.rows {
        return;
    }
    let base = row * p.columns;
    let label = labels[p.first + row];
    var m = LOWEST;
    var sum = 0.0;
    var score = 0.0;
    for (var start = lane.index; start < p.columns; start += EACH * GROUP) {
        let j# = start + #u * GROUP;
        var x# = LOWEST;
        if j# < p.columns { x# = x[base + j#]; }
        var most = m;
        most = max(most, x#);
        sum *= exp(m - most);
        m = most;
        var part = 0.0;
        if j# < p.columns { part += exp(x# - m); }
        sum += part;
        if j# == label { score = x#; }
    }
    let most = group_max(m, lane);
    sum = group_sum(sum * exp(m - most), lane);
    var spread = 0.0;
    if p.becomes != LOGITS || p.smoothing > 0.0 {
        let w = weights(sum);
        let none = label == IGNORE && p.becomes == GRADIENT;
        for (var start = lane.index; start < p.columns; start += EACH * GROUP) {
            let j# = start + #u * GROUP;
            var x# = 0.0;
            if j# < p.columns { x# = x[base + j#] - most; }
            var part = 0.0;
            part += x#;
            spread += part;
            if p.becomes != LOGITS {
                var y# = exp(x#) * w.x - w.y;
                if j# == label { y# -= w.z; }
                if j# < p.columns { x[base + j#] = select(y#, 0.0, none); }
            }
        }
    }
    if p.smoothing > 0.0 {
        spread = group_sum(spread, lane);
    }
    if label == IGNORE {
        if lane.index == 0u {
            losses[p.first + row] = 0.0;
        }
    } else if lane.index == label % GROUP {
        losses[p.first + row] = loss(sum, score - most, spread);
    }
}

// Probabilities become the gradient of the logits, LANES * EACH of a row in
// one go.
@compute @workgroup_size(GROUP)
fn vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (p.columns + LANES * EACH - 1u) / (LANES * EACH);
    let number = group_index(group, groups);
    let row = number / blocks * ROWS + lane / LANES;
    if row >= p.rows {
        return;
    }
    let base = row * p.columns;
    let label = labels[p.first + row];
    let ignored = label == IGNORE;
    let w = weights(1.0);
    let start = number % blocks * LANES * EACH + lane % LANES;
    let j# = start + #u * LANES;
    var y# = 0.0;
    if j# < p.columns { y# = x[base + j#] * w.x - w.y; }
    if j# == label { y# -= w.z; }
    if j# < p.columns { x[base + j#] = select(y#, 0.0, ignored); }
}

// The sum of each LANES * EACH of the losses, divided by `scale`.
@compute @workgroup_size(GROUP)
fn total(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let number = group_index(group, groups);
    let start = number * LANES * EACH + lane.index;
    var sum = 0.0;
    if start + #u * LANES < p.rows { sum += losses[start + #u * LANES]; }
    sum = group_sum(sum, lane);
    if lane.index == 0u && number * LANES * EACH < p.rows {
        sums[number] = sum / p.scale;
    }
}
