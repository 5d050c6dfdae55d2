// Sum and maximum over the LANES invocations that share a row. Every
// invocation of the workgroup calls them together, and all of a row get the
// result. The order of additions depends on nothing but LANES.

fn row_sum(v: f32, lane: Lane) -> f32 {
    if LANES == GROUP {
        return group_sum(v, lane);
    }
    let within = lane.index % LANES;
    group_values[lane.index] = v;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if within < half {
            group_values[lane.index] += group_values[lane.index + half];
        }
    }
    workgroupBarrier();
    let sum = group_values[lane.index - within];
    workgroupBarrier(); // before the next call writes
    return sum;
}

fn row_max(v: f32, lane: Lane) -> f32 {
    if LANES == GROUP {
        return group_max(v, lane);
    }
    let within = lane.index % LANES;
    group_values[lane.index] = v;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if within < half {
            let other = group_values[lane.index + half];
            group_values[lane.index] = max(group_values[lane.index], other);
        }
    }
    workgroupBarrier();
    let most = group_values[lane.index - within];
    workgroupBarrier();
    return most;
}
