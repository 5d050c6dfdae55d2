//! `cargo grade`: grades the exercises and says what to do next.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
