//! A folder for each build, which nobody else writes.
//!
//! Two builds in one folder, of one process or of two, empty it under each
//! other, and a server reads its pages until the next build is whole. So
//! every build gets a new folder below `target/book-builds`, which goes when
//! nobody reads it any more. What is killed cannot tidy up; but its lock ends
//! with it, and the next build removes every folder whose lock nobody holds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// The file in each folder, and beside them all, that is locked.
const LOCK: &str = "lock";

/// The folders of this process.
static OURS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn ours() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder for one build, removed when this is dropped.
pub struct Aside {
    dir: PathBuf,
    pages: PathBuf,
    lock: Option<File>,
}

impl Aside {
    /// A new folder in the project at `root`. What processes left that were
    /// killed is removed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(root: &Path) -> Result<Self> {
        let all = root.join("target/book-builds");
        Self::below(&all).with_context(|| {
            format!("cannot make a folder for the build in {}", all.display())
        })
    }

    fn below(all: &Path) -> io::Result<Self> {
        fs::create_dir_all(all)?;
        // One at a time, or a folder that is being made looks like one that
        // was left. Where a file system has no locks, nothing is removed.
        let turn = File::create(all.join(LOCK))?;
        if turn.lock().is_ok() {
            remove_left(all);
        }
        // A name is never used again: who removes a folder late removes no
        // other.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = all.join(format!("{}-{count}", process::id()));
            match fs::create_dir(&dir) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                made => break made.map(|()| dir)?,
            }
        };
        ours().insert(dir.clone());
        let mut made = Self {
            pages: dir.join("pages"),
            dir,
            lock: None,
        };
        let lock = File::create(made.dir.join(LOCK))?;
        let _ = lock.lock();
        made.lock = Some(lock);
        Ok(made)
    }

    /// The folder to build into; the build makes it.
    pub fn pages(&self) -> &Path {
        &self.pages
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Some systems keep a file, and its folder, while it is open.
        self.lock = None;
        let _ = fs::remove_dir_all(&self.dir);
        ours().remove(&self.dir);
    }
}

fn remove_left(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let dir = entry.path();
        let held = File::open(dir.join(LOCK))
            .is_ok_and(|lock| lock.try_lock().is_err());
        if dir.is_dir() && !held {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Removes the folders of this process on Ctrl-C and when it is asked to end
/// or its terminal is closed; then it ends.
///
/// # Errors
/// When the system refuses. The folders then wait for the next build.
pub fn remove_on_signal() -> Result<()> {
    ctrlc::set_handler(|| {
        // Held to the end: no folder is begun meanwhile.
        let ours = ours();
        for dir in ours.iter() {
            // A build may still be writing into it.
            for _ in 0..100 {
                let _ = fs::remove_dir_all(dir);
                if !dir.exists() {
                    break;
                }
            }
        }
        process::exit(130);
    })
    .context("Ctrl-C will leave folders in target/book-builds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(root: &Path) -> usize {
        let all = fs::read_dir(root.join("target/book-builds")).unwrap();
        all.filter(|e| e.as_ref().unwrap().path().is_dir()).count()
    }

    #[test]
    fn each_build_has_a_folder_while_it_lasts() {
        let root = tempfile::tempdir().unwrap();
        let first = Aside::new(root.path()).unwrap();
        let second = Aside::new(root.path()).unwrap();
        assert_ne!(first.pages(), second.pages());
        assert_eq!(folders(root.path()), 2);
        drop(first);
        assert_eq!(folders(root.path()), 1);
        assert!(second.pages().parent().unwrap().is_dir());
        drop(second);
        assert_eq!(folders(root.path()), 0);
    }

    #[test]
    fn what_was_left_is_removed_and_what_is_held_stays() {
        let root = tempfile::tempdir().unwrap();
        let held = Aside::new(root.path()).unwrap();
        let all = held.dir.parent().unwrap();
        fs::create_dir_all(all.join("1-0/pages")).unwrap();
        fs::write(all.join("1-0").join(LOCK), "").unwrap();
        fs::create_dir(all.join("1-1")).unwrap();
        let next = Aside::new(root.path()).unwrap();
        assert!(held.dir.is_dir() && next.dir.is_dir());
        assert_eq!(folders(root.path()), 2);
    }
}
