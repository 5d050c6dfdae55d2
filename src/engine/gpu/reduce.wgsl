// Sum and maximum over a workgroup of GROUP invocations: a tree in workgroup
// memory. Every invocation calls them together, each with its own v, and all
// get the result. The order of additions depends on nothing but GROUP.
//
// The workgroup has one dimension. The result is the same everywhere, but WGSL
// does not know it: no barrier may stand under a condition on it.

/// Which invocation this is; a kernel takes it as an argument.
struct Lane {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> group_values: array<f32, GROUP>;

fn group_sum(v: f32, lane: Lane) -> f32 {
    group_values[lane.index] = v;
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.index < half {
            group_values[lane.index] += group_values[lane.index + half];
        }
    }
    workgroupBarrier();
    let sum = group_values[0];
    workgroupBarrier(); // before the next call writes
    return sum;
}

fn group_max(v: f32, lane: Lane) -> f32 {
    group_values[lane.index] = v;
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.index < half {
            let other = group_values[lane.index + half];
            group_values[lane.index] = max(group_values[lane.index], other);
        }
    }
    workgroupBarrier();
    let most = group_values[0];
    workgroupBarrier();
    return most;
}
