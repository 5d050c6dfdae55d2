//! What can be typed after `cargo grade`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use examiner::{Exercise, Task, list};

/// The command line. The book holds what its pages tell the reader to type
/// against it.
pub fn command() -> Command {
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

/// The task of `exercise` that was typed, if one was.
///
/// # Errors
/// When it has none of that name or number: a sentence that says which it has.
pub fn task_of(
    matches: &ArgMatches,
    exercise: &'static Exercise,
) -> Result<Option<&'static Task>, String> {
    let Some(name) = matches.get_one::<String>("task") else {
        return Ok(None);
    };
    // A number is as good as a name.
    let by_number = name
        .parse()
        .ok()
        .and_then(|n: usize| exercise.tasks.get(n.checked_sub(1)?));
    match exercise.task(name).or(by_number) {
        Some(task) => Ok(Some(task)),
        None => Err(format!(
            "{} has no task {name}; it has {}",
            exercise.slug,
            names(exercise)
        )),
    }
}

/// The names of the tasks of an exercise.
pub fn names(exercise: &Exercise) -> String {
    let names: Vec<_> = exercise.tasks.iter().map(|t| t.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
