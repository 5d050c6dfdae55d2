//! Rows shared out among invocations, and kept in registers.
//!
//! An op on the rows of a matrix reads each number once if a row stays with
//! the invocations that have read it. A register has no index, so the text of
//! such a kernel is written out: see [`Share::text`].

/// How the numbers of a row are shared out: invocation `i` of `lanes` has the
/// numbers `i`, `i + lanes`, … of it, `each` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Invocations that share a row: a power of two, 8 to 256, so that at
    /// least 32 bytes are read side by side.
    pub lanes: usize,
    /// Numbers of an invocation.
    pub each: usize,
}

impl Share {
    /// The least lanes that have 16 numbers each at most, or more of them if
    /// 256 lanes are not enough.
    pub fn of(columns: usize) -> Share {
        let lanes = columns.div_ceil(16).next_power_of_two().clamp(8, 256);
        let each = columns.div_ceil(lanes).max(1);
        Share { lanes, each }
    }

    /// How many rows a workgroup of 256 has.
    pub fn rows(&self) -> usize {
        256 / self.lanes
    }

    /// The text of a kernel: a line with a `#` is written once for each number
    /// of an invocation, with its number 0, 1, … in the place of the `#`.
    /// Before it stand the constants `LANES`, `EACH` and `ROWS`, and the sums
    /// over a row of `share.wgsl`.
    pub fn text(&self, kernel: &str) -> String {
        let Share { lanes, each } = self;
        let rows = self.rows();
        let mut text = format!(
            "const LANES = {lanes}u;\nconst EACH = {each}u;\n\
             const ROWS = {rows}u;\n{}",
            include_str!("share.wgsl")
        );
        for line in kernel.lines() {
            let times = if line.contains('#') { *each } else { 1 };
            for i in 0..times {
                text += &line.replace('#', &i.to_string());
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_holds_its_row_and_little_more() {
        for columns in 1..5000 {
            let Share { lanes, each } = Share::of(columns);
            assert_eq!(lanes * (256 / lanes), 256, "{columns}");
            assert!(each * lanes >= columns && (each - 1) * lanes < columns);
            assert!(each <= 16 || columns > 4096, "{columns}");
        }
        assert_eq!(
            Share::of(768),
            Share {
                lanes: 64,
                each: 12
            }
        );
    }

    #[test]
    fn lines_are_written_out() {
        let text = Share { lanes: 8, each: 2 }.text("a\nb# = #u;\nc");
        assert!(text.ends_with("a\nb0 = 0u;\nb1 = 1u;\nc\n"), "{text}");
    }
}
