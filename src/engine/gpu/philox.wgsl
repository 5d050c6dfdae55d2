// Philox 4×32-10, the same words as engine/philox.rs. A kernel that needs them
// begins with this text.

/// The lower and the upper word of a·b: WGSL has no 64 bits, so halves of 16
/// are multiplied, and no sum overflows.
fn product(a: u32, b: u32) -> vec2u {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let cross = ah * bl + ((al * bl) >> 16u);
    let other = al * bh + (cross & 0xffffu);
    return vec2u(a * b, ah * bh + (cross >> 16u) + (other >> 16u));
}

/// The four words of a counter under a key.
fn philox(counter: vec4u, key: vec2u) -> vec4u {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let left = product(c.x, 0xd2511f53u);
        let right = product(c.z, 0xcd9e8d57u);
        c = vec4u(right.y ^ c.y ^ k.x, right.x, left.y ^ c.w ^ k.y, left.x);
        k += vec2u(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
