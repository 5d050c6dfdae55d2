// LayerNorm and, without CENTRED, RMSNorm. A line with a number sign is
// written once for each number of an invocation.

struct Params {
    rows: u32,
    columns: u32,
    // How many rows in a row LANES invocations take; of `vjp`.
    piece: u32,
    // How many parameters have a gradient: 0, 1 or 2.
    parameters: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // (rows, columns)
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>; // (rows, KEPT)

@group(0) @binding(5) var<storage, read> kept: array<f32>; // (rows, KEPT)
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;
// (parameters, pieces, columns)
@group(0) @binding(8) var<storage, read_write> parts: array<f32>;

@group(0) @binding(9) var<storage, read> sums: array<f32>;
@group(0) @binding(10) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(11) var<storage, read_write> dbeta: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

const KEPT = select(1u, 2u, CENTRED);

@compute @workgroup_size(GROUP)
fn forward(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let row = group_index(group, groups) * ROWS + lane.index / LANES;
    let within = lane.index % LANES;
    let base = row * p.columns;
    let width = select(0u, p.columns, row < p.rows);
    let n = f32(p.columns);
    let j# = within + #u * LANES;
    var x# = 0.0;
    if j# < width { x# = x[base + j#]; }
    var mean = 0.0;
    var rest = 0.0;
    if CENTRED {
        var sum = 0.0;
        sum += x#;
        mean = row_sum(sum, lane) / n;
        // From here on x - mean, which is exact where it matters: near the
        // mean. Its mean is what rounding took off.
        if j# < width { x# -= mean; }
        sum = 0.0;
        sum += x#;
        rest = row_sum(sum, lane) / n;
    }
    var square = 0.0;
    square += x# * x#;
    square = row_sum(square, lane) / n;
    let variance = square - rest * rest;
    // Neither max nor a comparison, which may drop a NaN: bits from those of
    // -0 to those of -inf.
    let below = bitcast<u32>(variance) - 0x80000000u <= 0x7f800000u;
    let r = 1.0 / sqrt(select(variance, 0.0, below) + p.eps);
    var y# = x# * r - rest * r;
    if CENTRED {
        if j# < width { y[base + j#] = gamma[j#] * y# + beta[j#]; }
    } else {
        if j# < width { y[base + j#] = gamma[j#] * y#; }
    }
    if within == 0u && row < p.rows {
        if CENTRED {
            stats[row * KEPT] = mean + rest;
        }
        stats[row * KEPT + KEPT - 1u] = r;
    }
}

/// Numbers of half of the rows of a workgroup.
var<workgroup> pile: array<f32, max(1u, ROWS / 2u * LANES * EACH)>;

// LANES invocations take `piece` rows, one after the other, and keep their part
// of the gradients of the parameters in registers. At the end the ROWS parts
// of a workgroup are added up, in pairs.
@compute @workgroup_size(GROUP)
fn vjp(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    lane: Lane,
) {
    let number = group_index(group, groups);
    if number * ROWS * p.piece >= p.rows {
        return;
    }
    let slot = lane.index / LANES;
    let within = lane.index % LANES;
    let n = f32(p.columns);
    let j# = within + #u * LANES;
    var w# = 0.0;
    if j# < p.columns { w# = gamma[j#]; }
    var dgamma# = 0.0;
    var dbeta# = 0.0;
    for (var i = 0u; i < p.piece; i++) {
        let row = (number * p.piece + i) * ROWS + slot;
        let base = row * p.columns;
        var width = 0u; // of a row that is not there
        var mean = 0.0;
        var r = 0.0;
        if row < p.rows {
            width = p.columns;
            r = kept[row * KEPT + KEPT - 1u];
            if CENTRED {
                mean = kept[row * KEPT];
            }
        }
        var x# = 0.0;
        if j# < width { x# = x[base + j#] - mean; }
        var dy# = 0.0;
        if j# < width { dy# = dy[base + j#]; }
        // The means of x - mean, of g = dy gamma, and of their product.
        var rest = 0.0;
        var along_one = 0.0;
        var along_x = 0.0;
        if CENTRED {
            rest += x#;
            rest = row_sum(rest, lane) / n;
            along_one += dy# * w#;
            along_one = row_sum(along_one, lane) / n;
        }
        along_x += dy# * w# * x#;
        along_x = row_sum(along_x, lane) / n;
        let along_x_hat = r * (along_x - rest * along_one);
        let x_hat# = x# * r - rest * r;
        let dx# = r * (dy# * w# - along_one - x_hat# * along_x_hat);
        if j# < width { dx[base + j#] = dx#; }
        dgamma# += dy# * x_hat#;
        dbeta# += dy#;
    }
    if p.parameters == 0u {
        return;
    }
    let at = slot * LANES * EACH + within;
    for (var half = ROWS / 2u; half > 0u; half /= 2u) {
        let gives = slot >= half && slot < 2u * half;
        let other = at - half * LANES * EACH;
        if gives { pile[other + #u * LANES] = dgamma#; }
        workgroupBarrier();
        if slot < half { dgamma# += pile[at + #u * LANES]; }
        workgroupBarrier();
        if p.parameters == 2u {
            if gives { pile[other + #u * LANES] = dbeta#; }
            workgroupBarrier();
            if slot < half { dbeta# += pile[at + #u * LANES]; }
            workgroupBarrier();
        }
    }
    if slot == 0u {
        let pieces = (p.rows + ROWS * p.piece - 1u) / (ROWS * p.piece);
        let of_gamma = number * p.columns;
        let of_beta = (pieces + number) * p.columns;
        if j# < p.columns { parts[of_gamma + j#] = dgamma#; }
        if p.parameters == 2u {
            if j# < p.columns { parts[of_beta + j#] = dbeta#; }
        }
    }
}

const ACROSS = 32u;

// Adds the parts to the gradients: 32 columns for a workgroup, 8 invocations
// for each. In the second row of workgroups those of beta.
@compute @workgroup_size(GROUP)
fn finish(@builtin(workgroup_id) group: vec3u, lane: Lane) {
    let column = group.x * ACROSS + lane.index % ACROSS;
    var sum = 0.0;
    if column < p.columns {
        for (var i = lane.index / ACROSS; i < p.rows; i += GROUP / ACROSS) {
            sum += sums[(group.y * p.rows + i) * p.columns + column];
        }
    }
    group_values[lane.index] = sum;
    workgroupBarrier();
    if lane.index >= ACROSS || column >= p.columns {
        return;
    }
    sum = 0.0;
    for (var i = lane.index; i < GROUP; i += ACROSS) {
        sum += group_values[i];
    }
    if group.y == 0u {
        dgamma[column] += sum;
    } else {
        dbeta[column] += sum;
    }
}
