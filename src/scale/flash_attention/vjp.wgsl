// VJP. Phase 1: the product <y, dy> of every row. Phase 2: a workgroup has 64
// keys and goes over the queries that see them, of all heads that share them;
// another has 64 queries and goes over the keys that they see. Both compute the
// scores again, and nobody else adds to what a workgroup adds up.

@group(0) @binding(0) var<storage, read> qkv: array<Number>; // (B T, (H + 2 K) d)
@group(0) @binding(1) var<storage, read> dy: array<Number>; // (B T, H d)
@group(0) @binding(2) var<storage, read> lse: array<f32>; // (B H, T)
@group(0) @binding(3) var<storage, read> dots: array<f32>; // (B H, T)
@group(0) @binding(4) var<storage, read_write> dqkv: array<Number>; // like qkv
@group(0) @binding(5) var<storage, read> y: array<Number>; // (B T, H d)
@group(0) @binding(6) var<storage, read_write> to_dots: array<f32>; // (B H, T)

const QKV = 0u;
const DY = 1u;

fn load(array: u32, at: u32, column: u32) -> vec4f {
    if array == DY {
        return load_dy(at, column);
    }
    return load_qkv(at, column);
}

fn load_qkv(at: u32, column: u32) -> vec4f {
    $wide return qkv[(at + column) / 4u];
    $narrow var v = vec4f();
    $narrow if column + $iu < p.d { v[$i] = qkv[at + column + $iu]; }
    $narrow return v;
}

fn load_dy(at: u32, column: u32) -> vec4f {
    $wide return dy[(at + column) / 4u];
    $narrow var v = vec4f();
    $narrow if column + $iu < p.d { v[$i] = dy[at + column + $iu]; }
    $narrow return v;
}

fn store(x: Rows, row: u32, column: u32, v: vec4f) {
    if row < p.t && column < p.d {
        let to = x.at + row * x.stride + column;
        $wide dqkv[to / 4u] = x.scale * v;
        $narrow if column + $iu < p.d { dqkv[to + $iu] = x.scale * v[$i]; }
    }
}

// A head of `qkv`, by its number among the H + 2 K.
fn columns(text: u32, head: u32, scale: f32) -> Rows {
    let stride = (p.heads + 2u * p.keys) * p.d;
    return Rows(QKV, text * p.t * stride + head * p.d, stride, scale);
}

// A head of dy.
fn columns_of_dy(text: u32, head: u32) -> Rows {
    let stride = p.heads * p.d;
    return Rows(DY, text * p.t * stride + head * p.d, stride, 1.0);
}

var<workgroup> parts: array<f32, THREADS>;

// 8 invocations for each row of `y`, in the order in which they lie there.
@compute @workgroup_size(THREADS)
fn rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups) * 16u + lane / 8u;
    var sum = 0.0;
    let there = index < p.batch * p.t * p.heads;
    if there {
        $wide for (var c = lane % 8u; c < p.d / 4u; c += 8u) {
        $wide     sum += dot(y[index * (p.d / 4u) + c], dy[index * (p.d / 4u) + c]);
        $narrow for (var c = lane % 8u; c < p.d; c += 8u) {
        $narrow     sum += y[index * p.d + c] * dy[index * p.d + c];
        }
    }
    parts[lane] = sum;
    workgroupBarrier();
    if lane % 8u == 0u && there {
        sum = 0.0;
        sum += parts[lane + $pu];
        let head = index % p.heads;
        let row = index / p.heads; // of all texts
        to_dots[(row / p.t * p.heads + head) * p.t + row % p.t] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn keys(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups);
    if index >= p.groups {
        return;
    }
    // The first keys are seen by the most queries: they begin.
    let first = index % p.tiles * ROWS;
    let block = index / p.tiles % p.blocks;
    let pair = index / p.tiles / p.blocks; // below B K
    let text = pair / p.keys;
    let g = pair % p.keys;
    let k = columns(text, p.heads + g, 1.0);
    let v = columns(text, p.heads + p.keys + g, 1.0);
    let x = lane % 8u;
    let row = first + lane / 8u;
    let column = block * 32u * N;
    let shared_by = p.heads / p.keys;
    var dk: Sums;
    var dv: Sums;
    for (var h = g * shared_by; h < (g + 1u) * shared_by; h++) {
        let q = columns(text, h, p.scale);
        let dy = columns_of_dy(text, h);
        let kept = (text * p.heads + h) * p.t;
        for (var query = first; query < p.t; query += COLUMNS) {
            let s = product(k, first, q, query, lane);
            let dp = product(v, first, dy, query, lane);
            let queries = query + x + vec4u(0u, 8u, 16u, 24u);
            let at = kept + min(queries, vec4u(p.t - 1u));
            let l = vec4f(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
            let dot = vec4f(dots[at.x], dots[at.y], dots[at.z], dots[at.w]);
            let there = queries < vec4u(p.t);
            let seen$i = there & (queries >= vec4u(row + 16u * $iu));
            let e$i = select(vec4f(), exp(s[$i] - l), seen$i);
            mix(&dv, mat4x4f(e0, e1, e2, e3), dy, query, column, lane);
            let ds$i = select(vec4f(), e$i * (dp[$i] - dot), seen$i);
            mix(&dk, mat4x4f(ds0, ds1, ds2, ds3), q, query, column, lane);
        }
    }
    store(k, row + 16u * $iu, column + 4u * x + 32u * $nu, dk.v$i_$n);
    store(v, row + 16u * $iu, column + 4u * x + 32u * $nu, dv.v$i_$n);
}

@compute @workgroup_size(THREADS)
fn queries(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group_index(group, groups);
    if index >= p.groups {
        return;
    }
    // The last queries see the most keys: they begin.
    let first = (p.tiles - 1u - index % p.tiles) * ROWS;
    let block = index / p.tiles % p.blocks;
    let head = index / p.tiles / p.blocks; // below B H
    let text = head / p.heads;
    let h = head % p.heads;
    let g = h / (p.heads / p.keys);
    let q = columns(text, h, p.scale);
    let k = columns(text, p.heads + g, 1.0);
    let v = columns(text, p.heads + p.keys + g, 1.0);
    let dy = columns_of_dy(text, h);
    let x = lane % 8u;
    let row = first + lane / 8u;
    let column = block * 32u * N;
    let at = head * p.t + min(row + vec4u(0u, 16u, 32u, 48u), vec4u(p.t - 1u));
    let l = vec4f(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
    let dot = vec4f(dots[at.x], dots[at.y], dots[at.z], dots[at.w]);
    var dq: Sums;
    for (var key = 0u; key < min(first + ROWS, p.t); key += COLUMNS) {
        let s = product(q, first, k, key, lane);
        let dp = product(dy, first, v, key, lane);
        let keys = key + x + vec4u(0u, 8u, 16u, 24u);
        let seen$i = keys <= vec4u(row + 16u * $iu);
        let e$i = exp(s[$i] - l[$i]);
        let ds$i = select(vec4f(), e$i * (dp[$i] - dot[$i]), seen$i);
        mix(&dq, mat4x4f(ds0, ds1, ds2, ds3), k, key, column, lane);
    }
    store(q, row + 16u * $iu, column + 4u * x + 32u * $nu, dq.v$i_$n);
}
