// What kernels share. Every kernel begins with this text.

/// Invocations of a workgroup, in one dimension, unless a kernel says more.
const GROUP = 256u;

/// The number of a workgroup. Many of them do not fit one dimension: rows of
/// workgroups are counted on.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.x + group.y * groups.x;
}
