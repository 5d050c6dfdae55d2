//! `cargo demo [CHAPTER [OUTPUT]]` prints exactly what a chapter prints.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

/// Runs what a chapter of the book shows and prints what the chapter prints.
/// Without a chapter, lists what there is.
#[derive(Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo")]
struct Arguments {
    /// `linear` or `network/linear`
    chapter: Option<String>,
    /// One output of the chapter instead of all
    output: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = figures::demo(
        &root,
        figures::chapters(),
        arguments.chapter.as_deref(),
        arguments.output.as_deref(),
    );
    match text {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            // The reader of a pipe may leave early: `cargo demo x | head`.
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("cannot print: {e}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
