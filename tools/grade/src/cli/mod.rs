//! The command line.

mod attack;
mod blind;
mod desk;
mod hint;
mod merge;
mod screen;
mod stubs;
mod watch;

use clap::ArgMatches;
use examiner::{Exercise, Task, list};
use grade::Error;
use grade::command::{command, names, task_of};
use grade::group::end_with_signals;
use grade::process::Limits;
use grade::run::Options;
use grade::workspace::Workspace;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Something could not be done at all: exit code 2.
const USAGE: u8 = 2;

/// What ended the program before it was done, in one paragraph.
#[derive(Debug)]
pub struct Stop(String);

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Ends the program with this message and exit code 2.
fn stop<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop(why.into()))
}

pub fn main() -> ExitCode {
    let matches = command().get_matches();
    if let Err(why) = end_with_signals() {
        screen::warning(&format!("Ctrl-C may leave a compiler running: {why}"));
    }
    match dispatch(&matches) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Stop(why)) => {
            screen::error(&why);
            ExitCode::from(USAGE)
        }
    }
}

fn dispatch(matches: &ArgMatches) -> Result<bool, Stop> {
    match matches.subcommand() {
        Some(("list", _)) => {
            screen::list();
            Ok(true)
        }
        Some(("hint", of)) => {
            let exercise = the_exercise(of).expect("required");
            let Some(task) = the_task(of, exercise)? else {
                return stop(format!(
                    "a hint for which task? {} has {}",
                    exercise.slug,
                    names(exercise)
                ));
            };
            let level = of.get_one::<u8>("level").map(|l| usize::from(*l));
            hint::show(&workspace(matches)?, exercise, task, level)
        }
        Some(("reset", of)) => {
            let exercise = the_exercise(of).expect("required");
            let yes = of.get_flag("yes");
            stubs::reset(&workspace(matches)?, exercise, yes)
        }
        Some(("reveal", of)) => {
            let exercise = the_exercise(of).expect("required");
            desk::reveal(&workspace(matches)?, exercise)
        }
        Some(("stubs", of)) => {
            let workspace = workspace(matches)?;
            if of.get_flag("check") {
                stubs::check(&workspace)
            } else {
                stubs::generate(&workspace, of.get_flag("force"))
            }
        }
        Some(("try", of)) => {
            let exercise = the_exercise(of).expect("required");
            let folder = of.get_one::<PathBuf>("folder").expect("required");
            attack::attack(&workspace(matches)?, exercise, folder)
        }
        Some(("blind", of)) => {
            let exercise = the_exercise(of).expect("required");
            let out = of.get_one::<PathBuf>("folder").expect("required");
            blind::blind(&workspace(matches)?, exercise, out)
        }
        Some(("certify", of)) => {
            let seeds = of.get_one::<u64>("seeds").copied().unwrap_or(2);
            desk::certify(&workspace(matches)?, seeds)
        }
        _ => {
            let chosen = the_exercise(matches);
            let task = match chosen {
                Some(exercise) => the_task(matches, exercise)?,
                None => None,
            };
            let request = desk::Request {
                workspace: workspace(matches)?,
                exercise: chosen,
                task,
                options: options(matches),
                json: matches.get_one::<String>("format").unwrap() == "json",
                out: matches.get_one::<PathBuf>("out").cloned(),
            };
            if matches.get_flag("watch") {
                watch::watch(&request)
            } else {
                desk::grade(&request)
            }
        }
    }
}

fn workspace(matches: &ArgMatches) -> Result<Workspace, Stop> {
    let start = match matches.get_one::<PathBuf>("root") {
        Some(root) => std::path::absolute(root),
        None => std::env::current_dir(),
    };
    match start {
        Ok(start) => Ok(Workspace::find(&start)?),
        Err(e) => stop(format!("the current directory is not readable: {e}")),
    }
}

fn options(matches: &ArgMatches) -> Options {
    let number = |name| *matches.get_one::<u64>(name).expect("has a default");
    Options {
        seed: number("seed"),
        limits: Limits {
            time: Duration::from_secs(number("time")),
            memory: usize::try_from(number("memory") << 20)
                .unwrap_or(usize::MAX),
            ..Limits::default()
        },
        patience: Duration::from_secs(number("build")),
        colour: screen::colour(),
    }
}

fn the_exercise(matches: &ArgMatches) -> Option<&'static Exercise> {
    let slug = matches.get_one::<String>("exercise")?;
    list::find(slug)
}

fn the_task(
    matches: &ArgMatches,
    exercise: &'static Exercise,
) -> Result<Option<&'static Task>, Stop> {
    task_of(matches, exercise).or_else(stop)
}
