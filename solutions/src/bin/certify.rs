//! Prints the certificate: `cargo grade certify [SEEDS]`.

use solutions::certificate::{self, HEAD};
use std::process::ExitCode;

fn main() -> ExitCode {
    let seeds = match std::env::args().nth(1).map(|n| n.parse()) {
        None => 2,
        Some(Ok(n)) if n > 0 => n,
        Some(_) => {
            eprintln!("certify: give the number of seeds, at least 1");
            return ExitCode::from(2);
        }
    };
    println!("{HEAD}");
    let mut faults = 0;
    for row in certificate::run(seeds) {
        println!("{row}");
        faults += row.faults.len();
        row.faults.iter().for_each(|f| println!("\n{f}"));
    }
    for code in certificate::names_without_twin() {
        println!("\n{code}: no twin has this name");
        faults += 1;
    }
    println!("\n{seeds} seeds, {faults} faults");
    ExitCode::from(u8::from(faults > 0))
}
