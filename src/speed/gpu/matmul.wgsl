// The lower rungs of the ladder: speed/gpu/matmul.rs says what each changes.

struct Params {
    m: u32, k: u32, n: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>; // (m,k)
@group(0) @binding(1) var<storage, read> b: array<f32>; // (k,n)
@group(0) @binding(2) var<storage, read_write> c: array<f32>; // (m,n)
@group(1) @binding(0) var<uniform> p: Params;

// ANCHOR: naive
@compute @workgroup_size(16, 16)
fn naive(@builtin(global_invocation_id) at: vec3u) {
    let i = at.x;
    let j = at.y;
    if i < p.m && j < p.n {
        c[i * p.n + j] = dot_of(i, j);
    }
}

fn dot_of(i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var l = 0u; l < p.k; l++) {
        sum += a[i * p.k + l] * b[l * p.n + j];
    }
    return sum;
}
// ANCHOR_END: naive

// ANCHOR: coalesced
@compute @workgroup_size(16, 16)
fn coalesced(@builtin(global_invocation_id) at: vec3u) {
    let i = at.y;
    let j = at.x;
    if i < p.m && j < p.n {
        c[i * p.n + j] = dot_of(i, j);
    }
}
// ANCHOR_END: coalesced

fn a_at(i: u32, l: u32) -> f32 {
    if i < p.m && l < p.k {
        return a[i * p.k + l];
    }
    return 0.0;
}

fn b_at(l: u32, j: u32) -> f32 {
    if l < p.k && j < p.n {
        return b[l * p.n + j];
    }
    return 0.0;
}

// ANCHOR: tile
var<workgroup> a_tile: array<array<f32, 16>, 16>;
var<workgroup> b_tile: array<array<f32, 16>, 16>;

@compute @workgroup_size(16, 16)
fn tile(
    @builtin(global_invocation_id) at: vec3u,
    @builtin(local_invocation_id) here: vec3u,
) {
    var sum = 0.0;
    for (var l = 0u; l < p.k; l += 16u) {
        a_tile[here.y][here.x] = a_at(at.y, l + here.x);
        b_tile[here.y][here.x] = b_at(l + here.y, at.x);
        workgroupBarrier();
        for (var s = 0u; s < 16u; s++) {
            sum += a_tile[here.y][s] * b_tile[s][here.x];
        }
        workgroupBarrier();
    }
    if at.y < p.m && at.x < p.n {
        c[at.y * p.n + at.x] = sum;
    }
}
// ANCHOR_END: tile

// ANCHOR: registers
var<workgroup> a_strip: array<array<f32, 64>, 16>; // turned
var<workgroup> b_strip: array<array<f32, 64>, 16>;

@compute @workgroup_size(256)
fn registers(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.y * 64u;
    let j = group.x * 64u;
    let y = lane / 16u * 4u;
    let x = lane % 16u * 4u;
    var row0 = vec4f();
    var row1 = vec4f();
    var row2 = vec4f();
    var row3 = vec4f();
    for (var l = 0u; l < p.k; l += 16u) {
        stage(i, j, l, lane);
        workgroupBarrier();
        for (var s = 0u; s < 16u; s++) {
            let b0 = b_strip[s][x];
            let b1 = b_strip[s][x + 1u];
            let b2 = b_strip[s][x + 2u];
            let b3 = b_strip[s][x + 3u];
            row0 += a_strip[s][y] * vec4f(b0, b1, b2, b3);
            row1 += a_strip[s][y + 1u] * vec4f(b0, b1, b2, b3);
            row2 += a_strip[s][y + 2u] * vec4f(b0, b1, b2, b3);
            row3 += a_strip[s][y + 3u] * vec4f(b0, b1, b2, b3);
        }
        workgroupBarrier();
    }
    put(i + y, j + x, row0);
    put(i + y + 1u, j + x, row1);
    put(i + y + 2u, j + x, row2);
    put(i + y + 3u, j + x, row3);
}
// ANCHOR_END: registers

// ANCHOR: stage
fn stage(i: u32, j: u32, l: u32, lane: u32) {
    for (var t = lane; t < 1024u; t += 256u) {
        a_strip[t % 16u][t / 16u] = a_at(i + t / 16u, l + t % 16u);
        b_strip[t / 64u][t % 64u] = b_at(l + t / 64u, j + t % 64u);
    }
}

fn put(i: u32, j: u32, row: vec4f) {
    for (var r = 0u; r < 4u; r++) {
        if i < p.m && j + r < p.n {
            c[i * p.n + j + r] = row[r];
        }
    }
}
// ANCHOR_END: stage
