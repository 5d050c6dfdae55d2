// The functions of reduce.wgsl where the GPU can add up over a subgroup, of
// whatever size: two barriers instead of ten. Sums of subgroups are added in
// the order of their numbers.

/// Which invocation this is; a kernel takes it as an argument.
struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) within: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

var<workgroup> group_values: array<f32, GROUP>;

fn group_sum(v: f32, lane: Lane) -> f32 {
    let part = subgroupAdd(v);
    if lane.within == 0u {
        group_values[lane.subgroup] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < lane.subgroups; i++) {
        sum += group_values[i];
    }
    workgroupBarrier(); // before the next call writes
    return sum;
}

fn group_max(v: f32, lane: Lane) -> f32 {
    let part = subgroupMax(v);
    if lane.within == 0u {
        group_values[lane.subgroup] = part;
    }
    workgroupBarrier();
    var most = group_values[0];
    for (var i = 1u; i < lane.subgroups; i++) {
        most = max(most, group_values[i]);
    }
    workgroupBarrier();
    return most;
}
