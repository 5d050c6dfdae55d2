// Forward: a workgroup has 64 queries of a head and goes over the keys that
// they see, 32 at a time.

@group(0) @binding(0) var<storage, read> qkv: array<Number>; // (B T, (H + 2 K) d)
@group(0) @binding(1) var<storage, read_write> y: array<Number>; // (B T, H d)
@group(0) @binding(2) var<storage, read_write> lse: array<f32>; // (B H, T)

// Of what is not seen: below every score that is a number.
const LEAST = -3.4028234e38;

fn load(array: u32, at: u32, column: u32) -> vec4f {
    $wide return qkv[(at + column) / 4u];
    $narrow var v = vec4f();
    $narrow if column + $iu < p.d { v[$i] = qkv[at + column + $iu]; }
    $narrow return v;
}

fn store(at: u32, row: u32, column: u32, v: vec4f) {
    if row < p.t && column < p.d {
        let to = at + row * p.heads * p.d + column;
        $wide y[to / 4u] = v;
        $narrow if column + $iu < p.d { y[to + $iu] = v[$i]; }
    }
}

// The scores of a query that it sees.
fn seen(s: vec4f, query: u32, key: u32) -> vec4f {
    let keys = vec4u(key, key + 8u, key + 16u, key + 24u);
    return select(vec4f(LEAST), s, keys <= vec4u(query));
}

fn most_of(s: vec4f) -> f32 {
    return max(max(s.x, s.y), max(s.z, s.w));
}

fn sum_of(s: vec4f) -> f32 {
    return (s.x + s.y) + (s.z + s.w);
}

@compute @workgroup_size(THREADS)
fn forward(
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
    let shared_by = p.heads / p.keys;
    let stride = (p.heads + 2u * p.keys) * p.d;
    let at = text * p.t * stride;
    let q = Rows(0u, at + h * p.d, stride, p.scale);
    let k = Rows(0u, at + (p.heads + h / shared_by) * p.d, stride, 1.0);
    let v = Rows(0u, at + (p.heads + p.keys + h / shared_by) * p.d, stride, 1.0);
    let x = lane % 8u;
    let row = first + lane / 8u;
    let parts = PARTS + lane / 8u * 8u;
    // Of the rows row + 16 i: the maximum, the sum of this invocation's
    // exponentials, the mixture.
    var most = vec4f(LEAST);
    var sum = vec4f();
    var sums: Sums;
    for (var key = 0u; key < min(first + ROWS, p.t); key += COLUMNS) {
        let s = product(q, first, k, key, lane);
        let s$i = seen(s[$i], row + 16u * $iu, key + x);
        staged[parts + x] = vec4f(most_of(s0), most_of(s1), most_of(s2), most_of(s3));
        workgroupBarrier();
        let before = most;
        most = max(most, staged[parts + $pu]);
        let shrink = exp(before - most);
        // Where all scores so far are -inf, LEAST is the maximum itself.
        let e$i = select(exp(s$i - most[$i]), vec4f(), s$i == vec4f(LEAST));
        sum = sum * shrink + vec4f(sum_of(e0), sum_of(e1), sum_of(e2), sum_of(e3));
        sums.v$i_$n *= shrink[$i];
        mix(&sums, mat4x4f(e0, e1, e2, e3), v, key, block * 32u * N, lane);
    }
    staged[parts + x] = sum;
    workgroupBarrier();
    sum = vec4f();
    sum += staged[parts + $pu];
    let to = text * p.t * p.heads * p.d + h * p.d;
    let column = block * 32u * N + 4u * x;
    store(to, row + 16u * $iu, column + 32u * $nu, sums.v$i_$n / sum[$i]);
    if x == 0u && block == 0u {
        let l = most + log(sum);
        if row + 16u * $iu < p.t { lse[head * p.t + row + 16u * $iu] = l[$i]; }
    }
}
