// The sum of rows, for the gradient of a bias: an invocation for each column
// and piece of the rows. Neighbours read neighbours.

struct Params {
    rows: u32,
    columns: u32,
    // How many rows a piece has.
    piece: u32,
    // Whether the sum is added to what is there.
    add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // (rows, columns)
@group(0) @binding(1) var<storage, read_write> sums: array<f32>; // (pieces, columns)
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(GROUP)
fn add_rows(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = group.x * GROUP + lane;
    if column >= p.columns {
        return;
    }
    let last = min((group.y + 1u) * p.piece, p.rows);
    var sum = 0.0;
    for (var row = group.y * p.piece; row < last; row++) {
        sum += x[row * p.columns + column];
    }
    let at = group.y * p.columns + column;
    if p.add == 1u {
        sum += sums[at];
    }
    sums[at] = sum;
}
