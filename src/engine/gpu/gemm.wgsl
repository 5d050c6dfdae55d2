// C = alpha A B + beta C (+ bias), an entry for each invocation.

struct Params {
    m: u32, k: u32, n: u32, across: u32,
    alpha: f32, beta: f32,
    a_offset: u32, a_stride: u32, a_p: u32, a_q: u32, a_share: u32, a_turned: u32,
    b_offset: u32, b_stride: u32, b_p: u32, b_q: u32, b_share: u32, b_turned: u32,
    c_offset: u32, c_stride: u32, c_p: u32, c_q: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn entry(i: u32, j: u32, batch: u32, onto: f32) {
    let bp = batch / p.across;
    let bq = batch % p.across;
    let a_at = p.a_offset + bp * p.a_p + (bq / p.a_share) * p.a_q;
    let b_at = p.b_offset + bp * p.b_p + (bq / p.b_share) * p.b_q;
    let a_step = select(vec2u(p.a_stride, 1u), vec2u(1u, p.a_stride), p.a_turned == 1u);
    let b_step = select(vec2u(p.b_stride, 1u), vec2u(1u, p.b_stride), p.b_turned == 1u);
    var sum = 0.0;
    for (var l = 0u; l < p.k; l++) {
        sum += a[a_at + i * a_step.x + l * a_step.y] * b[b_at + l * b_step.x + j * b_step.y];
    }
    let at = p.c_offset + bp * p.c_p + bq * p.c_q + i * p.c_stride + j;
    var value = p.alpha * sum + onto;
    if p.beta != 0.0 {
        value += p.beta * c[at];
    }
    c[at] = value;
}

@compute @workgroup_size(16, 16)
fn plain(@builtin(global_invocation_id) at: vec3u) {
    if at.y < p.m && at.x < p.n {
        entry(at.y, at.x, at.z, 0.0);
    }
}

@compute @workgroup_size(16, 16)
fn with_bias(@builtin(global_invocation_id) at: vec3u) {
    if at.y < p.m && at.x < p.n {
        entry(at.y, at.x, at.z, bias[at.x]);
    }
}
