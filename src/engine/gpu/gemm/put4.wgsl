
alias C = vec4f;

// Four entries of a row of C, all there if one of them is.
fn put(at: u32, i: u32, j: u32, sum: vec4f) {
    if i >= p.m || j >= p.n {
        return;
    }
    var value = p.alpha * sum;
    if p.biased == 1u {
        value += vec4f(bias[j], bias[j + 1u], bias[j + 2u], bias[j + 3u]);
    }
    let to = (at + i * p.c_stride + j) / 4u;
    if p.beta != 0.0 {
        value += p.beta * c[to];
    }
    c[to] = value;
}
