//! The command line.

mod attack;
mod blind;
mod desk;
mod hint;
mod merge;
mod screen;
mod stubs;
mod watch;

use clap::builder::PossibleValue;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use examiner::{Exercise, Task, list};
use grade::Error;
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
    let Some(name) = matches.get_one::<String>("task") else {
        return Ok(None);
    };
    // A number is as good as a name.
    let by_number = name
        .parse()
        .ok()
        .and_then(|n: usize| exercise.tasks.get(n.checked_sub(1)?));
    let found = exercise.task(name).or(by_number);
    if found.is_none() {
        return stop(format!(
            "{} has no task {name}; it has {}",
            exercise.slug,
            names(exercise)
        ));
    }
    Ok(found)
}

fn names(exercise: &Exercise) -> String {
    let names: Vec<_> = exercise.tasks.iter().map(|t| t.name).collect();
    names.join(", ")
}

fn command() -> Command {
    let exercise = || {
        let all = list::all().iter();
        let values = all.map(|e| PossibleValue::new(e.slug).alias(e.name()));
        Arg::new("exercise")
            .value_name("EXERCISE")
            .help("Its slug or its last part: network/linear, linear")
            .hide_possible_values(true)
            .value_parser(PossibleValuesParser::new(values))
    };
    let task = || {
        Arg::new("task")
            .value_name("TASK")
            .help("Its name or number")
    };
    let number = |name: &'static str, unit: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(unit)
            .value_parser(value_parser!(u64))
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    let folder = |name: &'static str, value, help: &'static str| {
        Arg::new(name)
            .value_name(value)
            .help(help)
            .required(true)
            .value_parser(value_parser!(PathBuf))
    };
    Command::new("cargo grade")
        .bin_name("cargo grade")
        .about("Grades your answers, names the mistakes, says what is next.")
        .after_help(
            "Exit code: 0 if every task that was graded passed, 1 if not, \
             2 if grading was not possible.",
        )
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .arg(exercise().help(
            "Grade this one and show its reports: network/linear, linear",
        ))
        .arg(task().help("Grade this task of it only, by name or number"))
        .arg(
            flag("watch", "Grade again whenever a file is saved")
                .conflicts_with("format"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .help("What to print")
                .value_parser(["table", "json"])
                .default_value("table"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FILE")
                .help("Write the result there as JSON")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            number("seed", "N")
                .help("Seed of the inputs that the checks draw")
                .default_value("0"),
        )
        .arg(
            number("time", "SECONDS")
                .help("Time limit per task")
                .value_parser(value_parser!(u64).range(1..=86_400))
                .default_value("20"),
        )
        .arg(
            number("build", "SECONDS")
                .help("Time limit of the compiler, per exercise")
                .value_parser(value_parser!(u64).range(1..=86_400))
                .default_value("180"),
        )
        .arg(
            number("memory", "MIB")
                .help("Memory limit per task")
                .value_parser(value_parser!(u64).range(64..=1 << 20))
                .default_value("2048"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .help("The repository, if not at or above this directory")
                .global(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .subcommand(Command::new("list").about("Lists exercises and tasks"))
        .subcommand(
            Command::new("hint")
                .about("Shows a hint; asked again, the next of three")
                .arg(exercise().required(true))
                .arg(task())
                .arg(
                    Arg::new("level")
                        .long("level")
                        .value_name("N")
                        .help("1 a question, 2 where to look, 3 the rule")
                        .value_parser(value_parser!(u8).range(1..=3)),
                ),
        )
        .subcommand(
            Command::new("reset")
                .about("Puts the stub back; your file is kept beside it")
                .arg(exercise().required(true))
                .arg(flag("yes", "Do not ask")),
        )
        .subcommand(
            Command::new("reveal")
                .about("Shows the book's answer, once yours is right")
                .arg(exercise().required(true)),
        )
        .subcommand(
            Command::new("stubs")
                .about("For authors: makes the stubs from the answers")
                .arg(flag("check", "Only compare"))
                .arg(flag("force", "Also overwrite files that were edited")),
        )
        .subcommand(
            Command::new("try")
                .about("For authors: tries the answers of a folder")
                .long_about(
                    "For authors: tries the answers of a folder. Each says \
                     in its first line what it claims to be:\n\n  \
                     //! wrong: TASK, CODE or -, what it does\n  \
                     //! right: TASK, how it differs\n\n\
                     It holds the items of that task and what they need; the \
                     rest is the stub's. Shown is what is not as claimed. \
                     Exit code: 0 without a surprise, 1 with one.",
                )
                .arg(exercise().required(true))
                .arg(folder("folder", "DIR", "The folder with the answers")),
        )
        .subcommand(
            Command::new("blind")
                .about("For authors: writes what an attacker may see")
                .long_about(
                    "For authors: writes what somebody may see who attacks \
                     an exam without sight of it: the chapter's page, the \
                     stub, the chapter's code, the names of mistakes, and how \
                     to write answers for `cargo grade try`.",
                )
                .arg(exercise().required(true))
                .arg(folder("folder", "OUT", "An empty folder, or a new one")),
        )
        .subcommand(
            Command::new("certify")
                .about("For authors: judges answers and known-wrong twins")
                .arg(
                    Arg::new("seeds")
                        .value_name("SEEDS")
                        .help("How many seeds")
                        .value_parser(value_parser!(u64).range(1..))
                        .default_value("2"),
                ),
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
