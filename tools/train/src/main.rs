//! Command line.

use clap::Parser;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let cli = train::Cli::parse(); // exits with 2 on unknown options
    // The first Ctrl-C asks for an orderly end, the second one ends at once.
    let handler = ctrlc::set_handler(|| {
        if STOP.swap(true, SeqCst) {
            std::process::exit(130);
        }
    });
    if let Err(e) = handler {
        eprintln!("warning: Ctrl-C will not save ({e})");
    }
    match train::run(cli, &STOP) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}
