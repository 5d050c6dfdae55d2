
alias C = f32;

// Four entries of a row of C, or those that are there.
fn put(at: u32, i: u32, j: u32, sum: vec4f) {
    put_one(at, i, j, sum.x);
    put_one(at, i, j + 1u, sum.y);
    put_one(at, i, j + 2u, sum.z);
    put_one(at, i, j + 3u, sum.w);
}

fn put_one(at: u32, i: u32, j: u32, sum: f32) {
    if i >= p.m || j >= p.n {
        return;
    }
    var value = p.alpha * sum;
    if p.biased == 1u {
        value += bias[j];
    }
    let to = at + i * p.c_stride + j;
    if p.beta != 0.0 {
        value += p.beta * c[to];
    }
    c[to] = value;
}
