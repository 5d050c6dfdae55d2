//! The kernel of the matrix product, written for a tile and a layout.
//!
//! A workgroup has a tile of C. It goes through the inner index in steps: all
//! its invocations together copy the rows of A and the columns of B that the
//! tile needs to workgroup memory, then each reads what it needs for its own
//! part of the tile, which stays in registers. What differs from a loop over
//! the formula, from the outside in:
//!
//! - Both factors lie in workgroup memory with the inner index outside, four
//!   rows of A or columns of B in a `vec4f`: an invocation with 8×8 entries
//!   reads 4 vectors for 64 multiplications. That order is made while copying,
//!   so that one kernel does for all layouts.
//! - Neighbouring invocations copy neighbours in memory: along the rows or
//!   columns of C, four numbers at a time where the sizes allow, or along the
//!   inner index, each for four rows. In the second case a row of workgroup
//!   memory has a spare vector, so that neighbours write to different banks.
//! - Rows and columns beyond the edge of C are copies of the last one, which
//!   nobody stores: the addresses are known before the loop. Beyond the end of
//!   the inner index there are zeros in both factors.
//! - The steps of the inner index are written out: naga passes no hint to
//!   unroll on to the driver. Accumulators have a name each, since an array
//!   with an index might not stay in registers.
//! - 32 successive invocations have a patch of 8 by 4 parts of the tile: few
//!   different addresses where they run together, and right where they do not.

use std::fmt::Write;

/// The part of C that a workgroup computes.
///
/// There are no others than those in [`gemm`](super): kernels without checks
/// rely on their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows and columns of C.
    pub(super) size: [usize; 2],
    /// How much of the inner index is in workgroup memory at a time.
    pub(super) depth: usize,
    /// Rows and columns of C that an invocation has: multiples of 4.
    pub(super) each: [usize; 2],
}

impl Tile {
    pub(super) const fn new(
        size: [usize; 2],
        depth: usize,
        each: [usize; 2],
    ) -> Tile {
        Tile { size, depth, each }
    }

    /// Rows and columns of C.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Invocations, down and across.
    fn lanes(&self) -> [usize; 2] {
        [self.size[0] / self.each[0], self.size[1] / self.each[1]]
    }

    /// Workgroups for C (m,n).
    pub(super) fn groups(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.size[0]) * n.div_ceil(self.size[1])
    }
}

/// What a kernel is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    pub tile: Tile,
    /// Whether A, and B, are turned.
    pub turned: [bool; 2],
    /// Whether A, B and C are read and written by four.
    pub by_four: [bool; 3],
}

impl Variant {
    /// `gemm 128x128 NT 141`: the tile, the layouts of A and B, and how many
    /// numbers of A, B and C are read or written at a time.
    pub fn name(&self) -> String {
        let [rows, columns] = self.tile.size;
        let [a, b] = self.turned.map(|turned| if turned { 'T' } else { 'N' });
        let [x, y, z] = self.by_four.map(|four| if four { 4 } else { 1 });
        format!("gemm {rows}x{columns} {a}{b} {x}{y}{z}")
    }

    /// Where A or B is copied from memory to memory.
    fn factors(&self) -> [Factor; 2] {
        let tile = self.tile;
        let [down, across] = tile.lanes();
        let factor = |name, extent, i: usize, inner| Factor {
            name,
            extent,
            fours: tile.size[i] / 4,
            depth: tile.depth,
            lanes: down * across,
            inner,
            by_four: self.by_four[i],
        };
        [
            factor('a', 'm', 0, !self.turned[0]),
            factor('b', 'n', 1, self.turned[1]),
        ]
    }

    /// The WGSL.
    pub fn text(&self) -> String {
        let mut text = include_str!("head.wgsl").to_owned();
        text += match self.by_four[2] {
            true => include_str!("put4.wgsl"),
            false => include_str!("put1.wgsl"),
        };
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let Tile { size, depth, each } = self.tile;
        let [rows, columns] = size;
        let [down, across] = self.tile.lanes();
        let factors = self.factors();
        for (binding, factor) in factors.iter().enumerate() {
            factor.declare(to, binding)?;
        }
        let lanes = down * across;
        let patch = across.min(8);
        let (patch_down, patches) = (32 / patch, across / patch);
        write!(
            to,
            "
@compute @workgroup_size({lanes})
fn product(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {{
    let number = group_index(group, groups);
    if number >= p.groups {{
        return;
    }}
    let across = (p.n + {columns}u - 1u) / {columns}u;
    let down = (p.m + {rows}u - 1u) / {rows}u;
    let parts = max(1u, (p.k + p.piece - 1u) / p.piece);
    let i = number / across % down * {rows}u;
    let j = number % across * {columns}u;
    let part = number / across / down % parts;
    let batch = number / across / down / parts;
    let bp = batch / p.across;
    let bq = batch % p.across;
    let a_at = p.a_offset + bp * p.a_p + bq / p.a_share * p.a_q;
    let b_at = p.b_offset + bp * p.b_p + bq / p.b_share * p.b_q;
    let c_at = p.c_offset + bp * p.c_p + bq * p.c_q + part * p.c_part;
    let y = lane / {patch}u % {patch_down}u + lane / 32u / {patches}u * {patch_down}u;
    let x = lane % {patch}u + lane / 32u % {patches}u * {patch}u;
    let last = min(p.k, (part + 1u) * p.piece);
"
        )?;
        for factor in &factors {
            factor.prepare(to)?;
        }
        let sums = |act: &mut dyn FnMut(usize, usize) -> std::fmt::Result| {
            (0..each[0])
                .try_for_each(|r| (0..each[1] / 4).try_for_each(|s| act(r, s)))
        };
        sums(&mut |r, s| writeln!(to, "    var sum_{r}_{s} = vec4f();"))?;
        writeln!(
            to,
            "    for (var l = part * p.piece; l < last; l += {depth}u) {{"
        )?;
        for factor in &factors {
            factor.load(to)?;
        }
        writeln!(to, "        workgroupBarrier();")?;
        for factor in &factors {
            factor.store(to)?;
        }
        writeln!(to, "        workgroupBarrier();")?;
        for l in 0..depth {
            for (factor, (at, lanes), each) in [
                (&factors[0], ('y', down), each[0]),
                (&factors[1], ('x', across), each[1]),
            ] {
                for s in 0..each / 4 {
                    let name = factor.name;
                    let first = l * factor.stride() + s * lanes;
                    writeln!(
                        to,
                        "        let {name}{l}_{s} = {name}_tile[{first}u + {at}];"
                    )?;
                }
            }
            sums(&mut |r, s| {
                let (a, part) = (r / 4, ['x', 'y', 'z', 'w'][r % 4]);
                writeln!(
                    to,
                    "        sum_{r}_{s} = fma(vec4f(a{l}_{a}.{part}), \
                     b{l}_{s}, sum_{r}_{s});"
                )
            })?;
        }
        writeln!(to, "    }}")?;
        sums(&mut |r, s| {
            let row = r / 4 * 4 * down + r % 4;
            let column = s * 4 * across;
            writeln!(
                to,
                "    put(c_at, i + {row}u + 4u * y, j + {column}u + 4u * x, \
                 sum_{r}_{s});"
            )
        })?;
        writeln!(to, "}}")
    }
}

/// How A or B gets from memory to workgroup memory.
struct Factor {
    name: char,
    /// The size that is not the inner one.
    extent: char,
    /// Vectors of the tile along it.
    fours: usize,
    depth: usize,
    lanes: usize,
    /// Whether neighbours in memory are neighbours of the inner index.
    inner: bool,
    by_four: bool,
}

impl Factor {
    /// From one inner index to the next in workgroup memory, in vectors.
    fn stride(&self) -> usize {
        self.fours + usize::from(self.inner)
    }

    /// Vectors that each invocation copies, and how far one is from the next.
    fn slots(&self) -> impl Iterator<Item = (usize, usize)> {
        let slots = self.fours * self.depth / self.lanes;
        let step = match self.inner {
            true => self.lanes / self.depth,
            false => self.lanes / self.fours,
        };
        (0..slots).map(move |slot| (slot, slot * step))
    }

    fn declare(&self, to: &mut String, binding: usize) -> std::fmt::Result {
        let Factor { name, depth, .. } = self;
        let number = if self.by_four { "vec4f" } else { "f32" };
        let tile = depth * self.stride();
        write!(
            to,
            "
@group(0) @binding({binding}) var<storage, read> {name}: array<{number}>;
var<workgroup> {name}_tile: array<vec4f, {tile}>;
"
        )
    }

    /// What of the addresses does not change in the loop: which inner index
    /// and which vector this invocation copies, and from where.
    fn prepare(&self, to: &mut String) -> std::fmt::Result {
        let Factor {
            name,
            extent,
            fours,
            depth,
            ..
        } = self;
        let first = if *name == 'a' { 'i' } else { 'j' };
        let (inner, four) = match self.inner {
            true => (format!("lane % {depth}u"), format!("lane / {depth}u")),
            false => (format!("lane / {fours}u"), format!("lane % {fours}u")),
        };
        writeln!(to, "    let {name}_inner = {inner};")?;
        writeln!(to, "    let {name}_four = {four};")?;
        if self.by_four {
            return writeln!(
                to,
                "    let {name}_from = {name}_at + \
                 min({first} + 4u * {name}_four, p.{extent} - 4u);"
            );
        }
        if !self.inner {
            return (0..4).try_for_each(|r| {
                writeln!(
                    to,
                    "    let {name}_from_{r} = {name}_at + \
                     min({first} + 4u * {name}_four + {r}u, p.{extent} - 1u);"
                )
            });
        }
        for (slot, step) in self.slots() {
            for r in 0..4 {
                writeln!(
                    to,
                    "    let {name}_from_{slot}_{r} = {name}_at + {name}_inner \
                     + min({first} + 4u * ({name}_four + {step}u) + {r}u, \
                     p.{extent} - 1u) * p.{name}_stride;"
                )?;
            }
        }
        Ok(())
    }

    /// Reads what this invocation copies.
    fn load(&self, to: &mut String) -> std::fmt::Result {
        let name = self.name;
        for (slot, step) in self.slots() {
            let inner = match self.inner {
                true => format!("l + {name}_inner"),
                false => format!("l + {name}_inner + {step}u"),
            };
            let one = |r| match self.inner {
                true => format!("{name}[{name}_from_{slot}_{r} + l]"),
                false => {
                    format!(
                        "{name}[{name}_from_{r} + ({inner}) * p.{name}_stride]"
                    )
                }
            };
            let four = match self.by_four {
                true => format!(
                    "{name}[({name}_from + ({inner}) * p.{name}_stride) / 4u]"
                ),
                false => {
                    format!(
                        "vec4f({}, {}, {}, {})",
                        one(0),
                        one(1),
                        one(2),
                        one(3)
                    )
                }
            };
            writeln!(to, "        var {name}_new_{slot} = vec4f();")?;
            writeln!(to, "        if {inner} < last {{")?;
            writeln!(to, "            {name}_new_{slot} = {four};")?;
            writeln!(to, "        }}")?;
        }
        Ok(())
    }

    /// Writes it to workgroup memory.
    fn store(&self, to: &mut String) -> std::fmt::Result {
        let (name, stride) = (self.name, self.stride());
        for (slot, step) in self.slots() {
            let (inner, four) = match self.inner {
                true => (0, step),
                false => (step, 0),
            };
            writeln!(
                to,
                "        {name}_tile[({name}_inner + {inner}u) * {stride}u + \
                 {name}_four + {four}u] = {name}_new_{slot};"
            )?;
        }
        Ok(())
    }
}
