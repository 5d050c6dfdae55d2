//! `cargo book`: read, build, check.

use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use anyhow::{Context, Result, ensure};
use book::aside::{self, Aside};
use book::finish::Site;
use book::render;
use book::serve::Options;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// Read the book in your browser, build it, check it.
#[derive(Parser)]
#[command(name = "cargo book", bin_name = "cargo book")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the book on 127.0.0.1 and reload on change (the default).
    Serve(ServeArgs),
    /// Build the pages into target/book.
    Build(BuildArgs),
    /// Find what is wrong with the book; exits with 1 if anything is.
    Check,
    /// Build with the stock mdbook on the PATH too and compare the pages.
    Stock,
    /// Compile the live figures for the page: needs a compiler for
    /// WebAssembly and binaryen.
    Live {
        /// Another place than the book's own.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Write the generated figures and outputs, of all chapters or of one.
    Figures {
        /// A chapter's slug, for example `linear`.
        chapter: Option<String>,
        /// First run anew, in release, what is too long for every check and
        /// stored instead.
        #[arg(long)]
        stored: bool,
    },
}

#[derive(Args)]
struct BuildArgs {
    /// Where the book will be hosted: https://host/folder/, or /folder/.
    /// With a host it has a sitemap, and pages know their own address.
    #[arg(long, value_name = "URL", value_parser = Site::parse)]
    site_url: Option<Site>,
    /// Where its source is kept; paths above listings lead there.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Where its rustdoc is hosted, below the book's own root, as `doc` is;
    /// paths above listings of the crate lead to the source pages there.
    #[arg(long, value_name = "FOLDER")]
    docs: Option<String>,
    /// Another folder than target/book.
    #[arg(long, value_name = "DIR")]
    dest_dir: Option<PathBuf>,
}

#[derive(Args)]
struct ServeArgs {
    /// The first port to try.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Grade an exercise whenever its file is saved.
    #[arg(long)]
    grade: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let root = book::find_root()?;
    if let Err(e) = aside::remove_on_signal() {
        eprintln!("warning: {e:#}");
    }
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => {
            let options = Options {
                port: args.port,
                open: !args.no_open,
                grade: args.grade,
            };
            book::serve::serve(&root, &options)?;
        }
        Command::Build(args) => {
            let options = render::Options {
                out: args.dest_dir.as_deref(),
                site: args.site_url,
                repository: args.repository,
                docs: args.docs,
                ..render::Options::default()
            };
            let built = render::build_with(&root, &options)?;
            for r in &built.reports {
                eprintln!("{}", r.line());
            }
            println!("built {}", built.out.join("index.html").display());
        }
        Command::Check => {
            let problems = book::check::check_project(&root, Cli::command())?;
            for p in &problems {
                println!("{p}");
            }
            if !problems.is_empty() {
                println!("{} problems", problems.len());
                return Ok(ExitCode::FAILURE);
            }
            if book::live::stale(&root)? {
                eprintln!(
                    "warning: {} was made from other sources: `cargo book \
                     live` makes it anew",
                    book::live::MODULE
                );
            }
            println!("the book is in order");
        }
        Command::Stock => {
            let aside = Aside::new(&root)?;
            let done = book::stock::compare(&root, aside.pages())?;
            for d in &done.differences {
                println!("{d}");
            }
            println!(
                "{} files compared, {} differ",
                done.compared,
                done.differences.len()
            );
            if !done.differences.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Live { out } => {
            let length = match &out {
                Some(path) => book::live::compile(&root, path)?,
                None => book::live::write(&root)?,
            };
            let path = out.unwrap_or(book::live::MODULE.into());
            println!("{} bytes in {}", length, path.display());
        }
        Command::Figures { chapter, stored } => {
            if stored {
                run_stored(&root, chapter.as_deref())?;
            }
            let done =
                figures::write(&root, figures::chapters(), chapter.as_deref())?;
            for path in &done.written {
                println!("wrote {}", path.display());
            }
            for path in &done.orphans {
                println!("no chapter owns {}: delete it", path.display());
            }
            println!(
                "{} written, {} unchanged",
                done.written.len(),
                done.unchanged.len()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The runs are built in release, which this tool as a rule is not.
fn run_stored(root: &Path, chapter: Option<&str>) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let words = ["run", "--quiet", "--release", "-p", "figures", "--bin"];
    let status = process::Command::new(cargo)
        .args(words)
        .args(["stored", "--"])
        .args(chapter)
        .current_dir(root)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the stored figures did not run: {status}");
    Ok(())
}
