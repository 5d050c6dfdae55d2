//! Tables of the benches on a GPU: for a reader, or for `record_gpu.py`.

use backprop::engine::gpu::Capabilities;
use serde_json::Value;

/// Where the rows of a table go.
#[derive(Clone, Copy)]
pub struct Report {
    /// A line of JSON for each row, and nothing else; or else Markdown.
    pub json: bool,
}

impl Report {
    /// Says which GPU it is, and what its times are worth.
    pub fn about(self, gpu: &Capabilities) {
        self.say(&gpu.to_string());
        if gpu.kind == "software" {
            self.say("software: its times say nothing about a GPU");
        }
    }

    /// The head of a table.
    pub fn head(self, cells: &[&str]) {
        self.say(&format!("\n| {} |", cells.join(" | ")));
        self.say(&format!("|{}", "---|".repeat(cells.len())));
    }

    /// A row of it, in words and in numbers.
    pub fn row(self, cells: &[String], numbers: &Value) {
        match self.json {
            true => println!("{numbers}"),
            false => println!("| {} |", cells.join(" | ")),
        }
    }

    /// What only a reader wants to know.
    pub fn say(self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }
}
