//! `cargo book`: read, build, check.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Build, serve and check the book.
#[derive(Parser)]
#[command(name = "cargo book", bin_name = "cargo book")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Build the pages into target/book.
    Build,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    let root = book::find_root()?;
    match args.command {
        Some(Command::Build) | None => {
            let built = book::render::build(&root, None)?;
            for r in &built.reports {
                let kind = if r.error { "error" } else { "warning" };
                eprintln!("{kind}: {}", r.message);
            }
            println!("built {}", built.out.join("index.html").display());
            Ok(ExitCode::SUCCESS)
        }
    }
}
