//! `cargo book figures --stored` starts this, in release: it runs what is too
//! long for every check, and stores the numbers with where they come from.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use serde_json::{Value, json};

/// Runs the stored figures anew, of all chapters or of one.
#[derive(Parser)]
#[command(name = "cargo book figures --stored")]
struct Arguments {
    /// A chapter's slug, for example `mlp`.
    chapter: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let only = Arguments::parse().chapter;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let all = figures::chapters();
    let done = figures::run_stored(&root, all, only.as_deref(), &origin())?;
    for path in &done.written {
        println!("ran and wrote {}", path.display());
    }
    for path in &done.unchanged {
        println!("ran, and nothing changed: {}", path.display());
    }
    Ok(())
}

/// Machine, commit, whether the code differs from it, date.
fn origin() -> Value {
    let said = |program: &str, words: &[&str]| {
        let out = Command::new(program).args(words).output();
        let out = out.map(|o| o.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(std::env::consts::ARCH, |(_, name)| name);
    let generated = format!(":(top,exclude){}", figures::GENERATED);
    let changes = ["status", "--porcelain", ":/", &generated];
    json!({
        "machine": {
            "cpu": cpu,
            "cores": std::thread::available_parallelism()
                .map_or(0, usize::from),
            "os": std::env::consts::OS,
        },
        "date": said("date", &["-u", "+%F"]),
        "commit": said("git", &["rev-parse", "HEAD"]),
        "changed": !said("git", &changes).is_empty(),
    })
}
