//! Tables of the benches on a GPU, on the terminal and on disk.

use backprop::engine::gpu::Capabilities;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Says which GPU it is, and what its times are worth.
pub fn about(gpu: &Capabilities) {
    println!("{gpu}");
    if gpu.kind == "software" {
        println!("software: its times say nothing about a GPU");
    }
}

/// The head of a table.
pub fn head(cells: &[&str]) {
    println!();
    line(&cells.iter().map(ToString::to_string).collect::<Vec<_>>());
    println!("|{}", "---|".repeat(cells.len()));
}

/// A line of it.
pub fn line(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Writes `facts`, with what a reader must know of where they are from, to
/// `benches/results/gpu-TABLE-ADAPTER.json`: aside first, then renamed. An
/// empty TABLE is left out.
pub fn save(bench: &str, table: &str, gpu: &Capabilities, facts: Value) {
    let said = |program: &str, words: &[&str]| {
        let out = Command::new(program).args(words).output();
        let out = out.map(|o| o.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    let words = std::env::args().skip(1).filter(|w| w != "--bench");
    let words = words.collect::<Vec<_>>().join(" ");
    let changes = ["status", "--porcelain", ":!benches/results"];
    let mut result = json!({
        "gpu": gpu.name,
        "kind": gpu.kind,
        "driver": gpu.driver,
        "api": gpu.api,
        "machine": {
            "cores": std::thread::available_parallelism()
                .map_or(0, usize::from),
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
        },
        "date": said("date", &["-u", "+%F"]),
        "commit": said("git", &["rev-parse", "HEAD"]),
        "changed": !said("git", &changes).is_empty(),
        "command":
            format!("cargo bench --features gpu --bench {bench} -- {words}"),
        "rustc": said("rustc", &["--version"]),
    });
    for (key, value) in facts.as_object().expect("facts have names") {
        result[key] = value.clone();
    }
    let slug = format!("gpu {table} {}", gpu.name)
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/results")
        .join(format!("{slug}.json"));
    let text = serde_json::to_string_pretty(&result).expect("plain JSON");
    let aside = path.with_extension("json.tmp");
    std::fs::write(&aside, text + "\n")
        .and_then(|()| std::fs::rename(&aside, &path))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    println!("written to {}", path.display());
}
