// Rows of a table, sums of rows for its gradient, and rotary positions.

@group(0) @binding(0) var<storage, read> w: array<f32>; // (V, D)
@group(0) @binding(1) var<storage, read> ids: array<u32>; // (N)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (N, D)

struct Gather {
    // The numbers of y, and of a row.
    n: u32,
    columns: u32,
}

@group(1) @binding(0) var<uniform> g: Gather;

// Four numbers for each invocation, a workgroup's breadth apart.
@compute @workgroup_size(GROUP)
fn gather(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = group_index(group, groups) * (4u * GROUP) + lane;
    let j = first + vec4u(0u, GROUP, 2u * GROUP, 3u * GROUP);
    let n = j / g.columns;
    let id = vec4u(ids[n.x], ids[n.y], ids[n.z], ids[n.w]);
    let at = id * g.columns + (j - n * g.columns);
    let row = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
    for (var k = 0u; k < 4u; k++) {
        if j[k] < g.n {
            y[j[k]] = row[k];
        }
    }
}

// No list: rows are taken, or written, as they come.
const NONE = 0xffffffffu;

struct Add {
    // The numbers of the sums, and of a row.
    n: u32,
    columns: u32,
    // Where in `lists` it says which rows of x are added, at which of them a
    // sum begins, and to which row of `sums` it is added.
    rows: u32,
    starts: u32,
    onto: u32,
}

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> lists: array<u32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> a: Add;

// An invocation for each column of each sum.
@compute @workgroup_size(GROUP)
fn add_rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let j = group_index(group, groups) * GROUP + lane;
    if j >= a.n {
        return;
    }
    let index = j / a.columns;
    let column = j - index * a.columns;
    let last = lists[a.starts + index + 1u];
    var sum = 0.0;
    for (var k = lists[a.starts + index]; k < last; k++) {
        var row = k;
        if a.rows != NONE {
            row = lists[a.rows + k];
        }
        sum += x[row * a.columns + column];
    }
    if a.onto == NONE {
        sums[j] = sum;
    } else {
        sums[lists[a.onto + index] * a.columns + column] += sum;
    }
}

struct Turn {
    // Rows of qkv, and workgroups for each.
    rows: u32,
    breadth: u32,
    columns: u32,
    // Pairs of a row that are turned, and of a head.
    pairs: u32,
    half: u32,
    // Tokens of a text.
    length: u32,
    // -1 turns back.
    sign: f32,
}

@group(0) @binding(6) var<storage, read_write> qkv: array<f32>; // (rows, columns)
// For each place of a text the cosines, then the sines.
@group(0) @binding(7) var<storage, read> turns: array<f32>; // (length, 2·half)
@group(1) @binding(0) var<uniform> t: Turn;

// An invocation for each pair of queries and keys, and whole workgroups for a
// row: all invocations of a group agree which row, and divide less.
@compute @workgroup_size(GROUP)
fn turn(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups);
    let row = index / t.breadth;
    let pair = (index - row * t.breadth) * GROUP + lane;
    if row >= t.rows || pair >= t.pairs {
        return;
    }
    let head = pair / t.half;
    let c = pair - head * t.half;
    let angle = (row % t.length) * 2u * t.half + c;
    let cosine = turns[angle];
    let sine = t.sign * turns[angle + t.half];
    let at = row * t.columns + head * 2u * t.half + c;
    let low = qkv[at];
    let high = qkv[at + t.half];
    qkv[at] = low * cosine - high * sine;
    qkv[at + t.half] = low * sine + high * cosine;
}
