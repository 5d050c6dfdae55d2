// Tiles of scores: 64 rows and 32 columns, by 128 invocations that stand 8
// across and 16 down. Invocation (x,y) has the entries of the rows y + 16 i
// and the columns x + 8 j, with i and j below 4: so neighbours read different
// banks of workgroup memory.
//
// A line with i, j, p, c or n behind a dollar sign stands for as many lines, for
// i and j below 4, p below 8, the components c, and n below N; one that begins
// with wide or narrow behind it is there if heads do, or do not, consist of
// whole vec4.

const THREADS = 128u;
const ROWS = 64u;
const COLUMNS = 32u;

struct Params {
    // B, H, K, T, d.
    batch: u32,
    heads: u32,
    keys: u32,
    t: u32,
    d: u32,
    // Tiles of rows in a text, blocks of 32 N columns in a head, workgroups.
    tiles: u32,
    blocks: u32,
    groups: u32,
    // 1/sqrt(d).
    scale: f32,
}

@group(1) @binding(0) var<uniform> p: Params;

// All of the workgroup memory, 16 KiB, used in turn: by a product for 64 rows
// of A and 32 rows of B, of 8 vec4 each and one that nobody uses, so that
// neighbouring rows lie in different banks; by a mixture for a tile, 32
// columns of 16 vec4 and one, and 256 vec4 of M.
var<workgroup> staged: array<vec4f, 1024>;

const WIDTH = 8u;
const STRIDE = 9u;
const B = 576u;
const TILE = 17u;
const M = 544u;
// What the 8 invocations of a row tell each other.
const PARTS = 800u;

// T rows of d numbers inside an array, and what they are multiplied with.
struct Rows {
    array: u32,
    at: u32,
    stride: u32,
    scale: f32,
}

fn fetch(a: Rows, row: u32, column: u32) -> vec4f {
    if row < p.t && column < p.d {
        return a.scale * load(a.array, a.at + row * a.stride, column);
    }
    return vec4f();
}

// Puts 256 vec4 of A to `to`, `width` of each row from `row` and `column` on:
// zeros where there are none.
fn stage(a: Rows, row: u32, column: u32, width: u32, stride: u32, to: u32, lane: u32) {
    let next = lane + THREADS;
    let v0 = fetch(a, row + lane / width, column + lane % width * 4u);
    let v1 = fetch(a, row + next / width, column + next % width * 4u);
    staged[to + lane / width * stride + lane % width] = v0;
    staged[to + next / width * stride + next % width] = v1;
}

// Row y + 16 i of A times row x + 8 j of B, at [i][j].
fn product(a: Rows, a_row: u32, b: Rows, b_row: u32, lane: u32) -> mat4x4f {
    let x = lane % 8u;
    let y = lane / 8u;
    var s$i$j = 0.0;
    for (var c = 0u; c < p.d; c += 4u * WIDTH) {
        stage(a, a_row, c, WIDTH, STRIDE, 0u, lane);
        stage(a, a_row + 32u, c, WIDTH, STRIDE, 32u * STRIDE, lane);
        stage(b, b_row, c, WIDTH, STRIDE, B, lane);
        workgroupBarrier();
        let width = min(WIDTH, (p.d - c + 3u) / 4u);
        for (var l = 0u; l < width; l++) {
            let a$i = staged[(y + 16u * $iu) * STRIDE + l];
            let b$j = staged[B + (x + 8u * $ju) * STRIDE + l];
            s$i$j = fma(a$i.$c, b$j.$c, s$i$j);
        }
        workgroupBarrier(); // before something else is staged
    }
    return mat4x4f(
        vec4f(s$i0, s$i1, s$i2, s$i3),
    );
}

// Of the rows y + 16 i, the columns 4 (x + 8 n) to 4 (x + 8 n) + 3 of a block.
struct Sums {
    v$i_$n: vec4f,
}

// Adds the tile `w` times the 32 rows of M from `row` on, `column` and the
// columns after it.
fn mix(sums: ptr<function, Sums>, w: mat4x4f, m: Rows, row: u32, column: u32, lane: u32) {
    let x = lane % 8u;
    let y = lane / 8u;
    staged[(x + 8u * $ju) * TILE + y] = vec4f(w[0][$j], w[1][$j], w[2][$j], w[3][$j]);
    for (var part = 0u; part < COLUMNS; part += 32u / N) {
        stage(m, row + part, column, 8u * N, 8u * N, M, lane);
        workgroupBarrier();
        for (var l = 0u; l < 32u / N; l++) {
            let e = staged[(part + l) * TILE + y];
            let m$n = staged[M + l * 8u * N + x + 8u * $nu];
            (*sums).v$i_$n += e[$i] * m$n;
        }
        workgroupBarrier();
    }
}
