//! From an answer file to the stub that the learner gets.
//!
//! What stands between `// ANSWER` and `// END` is cut. In its place comes
//! what the lines `//~ ...` in between say, or `todo!()` if there is none.
//! The first `//!` lines stay, with a sentence that says how to begin.

/// The stub of an answer file.
///
/// # Errors
/// An unbalanced marker, with its line number.
pub fn from_answer(source: &str) -> Result<String, String> {
    let mut stub = String::new();
    let mut cut: Option<(usize, Vec<String>)> = None;
    for (number, line) in (1..).zip(source.lines()) {
        let marker = line.trim();
        match (&mut cut, marker) {
            (None, "// ANSWER") => cut = Some((number, Vec::new())),
            (None, "// END") => {
                return Err(format!("line {number}: END without ANSWER"));
            }
            (None, _) => {
                stub += line;
                stub.push('\n');
            }
            (Some(_), "// ANSWER") => {
                return Err(format!("line {number}: ANSWER inside ANSWER"));
            }
            (Some((_, given)), "// END") => {
                let indent = &line[..line.len() - line.trim_start().len()];
                if given.is_empty() {
                    given.push("todo!() // TODO".to_owned());
                }
                for text in given {
                    stub += format!("{indent}{text}").trim_end();
                    stub.push('\n');
                }
                cut = None;
            }
            (Some((_, given)), _) => {
                if let Some(text) = marker.strip_prefix("//~") {
                    given.push(text.strip_prefix(' ').unwrap_or(text).into());
                }
            }
        }
    }
    match cut {
        Some((number, _)) => Err(format!("line {number}: ANSWER without END")),
        None => Ok(stub),
    }
}

#[cfg(test)]
mod tests {
    use super::from_answer;

    #[test]
    fn answers_are_cut_and_given_lines_stay() {
        let source = "\
fn f() {
    // ANSWER
    1 + 1
    // END
}
// ANSWER
const A: Option<u8> = Some(3);
//~ const A: Option<u8> = None;
//~
//~ // more
// END
";
        let stub = "\
fn f() {
    todo!() // TODO
}
const A: Option<u8> = None;

// more
";
        assert_eq!(from_answer(source), Ok(stub.to_owned()));
    }

    #[test]
    fn unbalanced_markers_are_refused() {
        for (source, line) in [
            ("// END\n", "line 1"),
            ("x\n// ANSWER\n", "line 2"),
            ("// ANSWER\n// ANSWER\n", "line 2"),
        ] {
            assert!(from_answer(source).unwrap_err().starts_with(line));
        }
    }
}
