//! Where the exercises are, and which build they belong to.

use crate::Error;
use std::path::{Path, PathBuf};

/// A package of exercises in its workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the workspace's manifest.
    pub root: PathBuf,
    /// The package's directory below the root: `exercises`.
    pub package: PathBuf,
    /// The package's name.
    pub name: String,
    /// The build that the running program came from.
    pub build: Build,
}

impl Workspace {
    /// The book's exercises at or above `start`.
    ///
    /// # Errors
    /// If there are none.
    pub fn find(start: &Path) -> Result<Self, Error> {
        let root = start.ancestors().find(|d| {
            d.join("Cargo.toml").is_file()
                && d.join("exercises/Cargo.toml").is_file()
        });
        let root = root.ok_or_else(|| Error::NoWorkspace(start.to_owned()))?;
        Ok(Self {
            root: root.to_owned(),
            package: "exercises".into(),
            name: "exercises".into(),
            build: Build::of_this_program(),
        })
    }

    /// The file of an answer (the learner's has the slug for a name), below the
    /// root, with `/` on every system.
    pub fn file(&self, answer: &str) -> String {
        let below = self.package.join(format!("src/{answer}.rs"));
        below.to_string_lossy().replace('\\', "/")
    }

    /// Where the grader keeps its own files: results, hints given.
    pub fn state(&self) -> PathBuf {
        self.root.join(&self.package).join(".grade")
    }
}

/// Which profile and target directory cargo was given.
///
/// Cargo builds the exercises with the same ones, so that nothing is compiled
/// twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// The target directory, if known.
    pub directory: Option<PathBuf>,
    /// The triple, if cargo was given one.
    pub triple: Option<String>,
    /// The profile; `None` is `dev`.
    pub profile: Option<String>,
}

impl Build {
    /// Read off the path of the running program.
    pub fn of_this_program() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        Self::of(&program, |d| d.join(".rustc_info.json").is_file())
    }

    /// Read off a program's path: `target/[TRIPLE/]PROFILE/[deps/]program`.
    fn of(program: &Path, is_target: impl Fn(&Path) -> bool) -> Self {
        let mut below = Vec::new();
        for directory in program.ancestors().skip(1) {
            if is_target(directory) {
                below.retain(|name| name != "deps");
                let profile = below.first().filter(|p| *p != "debug");
                return Self {
                    directory: Some(directory.to_owned()),
                    triple: below.get(1).cloned(),
                    profile: profile.cloned(),
                };
            }
            let name = directory.file_name().unwrap_or_default();
            below.push(name.to_string_lossy().into_owned());
        }
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_read_off_the_path() {
        let build = |program: &str| {
            let b = Build::of(Path::new(program), |d| d.ends_with("target"));
            (b.directory, b.triple, b.profile)
        };
        let target = Some(PathBuf::from("/x/target"));
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(
            build("/x/target/debug/deps/all-1"),
            (target.clone(), None, None)
        );
        assert_eq!(
            build("/x/target/release/grade"),
            (target.clone(), None, some("release"))
        );
        assert_eq!(
            build("/x/target/wasm32/debug/deps/all"),
            (target, some("wasm32"), None)
        );
        assert_eq!(build("/usr/bin/grade"), (None, None, None));
    }

    #[test]
    fn outside_of_the_repository_there_is_nothing_to_grade() {
        let error = Workspace::find(Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("change into it"), "{error}");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = Workspace::find(here).unwrap();
        assert_eq!(found.root.join("tools/grade"), here);
    }
}
