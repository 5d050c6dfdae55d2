//! Files that are written aside, and take their place when they are whole.

use super::Error;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to a file in the folder of `path`, then renames it: whoever
/// reads `path` sees the old content or the new one, whole.
///
/// A file that is replaced keeps its permissions. A symbolic link stays; the
/// file that it leads to is replaced, or made. What an earlier call was killed
/// over is removed from the folder.
///
/// An error if `path` is a folder, a device, a pipe or a socket, which a rename
/// would put a file in the place of; if it names no file; and if the file
/// cannot be written.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut aside = Aside::of(path)?;
        aside.file.write_all(bytes)?;
        aside.file.sync_all()?;
        aside.replace()
    };
    write().map_err(Error::write(path))
}

/// The error that [`write_aside`] would end with, as far as it can be told
/// without writing `path`.
pub fn probe(path: &Path) -> Result<(), Error> {
    Aside::of(path).map(drop).map_err(Error::write(path))
}

/// The file aside; it is removed unless it has taken its place.
struct Aside {
    path: PathBuf,
    file: File,
    target: PathBuf,
    placed: bool,
}

impl Aside {
    fn of(path: &Path) -> io::Result<Aside> {
        let (target, permissions) = target(path)?;
        let folder = folder_of(&target);
        sweep(folder);
        let (path, file) = create(folder)?;
        // Tells a sweep that somebody is writing. Where there are no locks, a
        // sweep removes nothing.
        let _ = file.try_lock();
        let aside = Aside {
            path,
            file,
            placed: false,
            target,
        };
        if let Some(permissions) = permissions {
            aside.file.set_permissions(permissions)?;
        }
        Ok(aside)
    }

    fn replace(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // The error to report is an earlier one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file that `path` leads to, and its permissions if it is there.
fn target(path: &Path) -> io::Result<(PathBuf, Option<Permissions>)> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => {
            Ok((fs::canonicalize(path)?, Some(about.permissions())))
        }
        Ok(about) if about.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::other("this is no ordinary file")),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            // Links do not go round in circles: that is another error.
            let mut target = path.to_owned();
            while let Ok(next) = fs::read_link(&target) {
                target = folder_of(&target).join(next);
            }
            let bytes = target.as_os_str().as_encoded_bytes();
            let end = bytes.last().copied().unwrap_or(b'/');
            if target.file_name().is_none()
                || std::path::is_separator(char::from(end))
            {
                return Err(io::Error::other("this is no name of a file"));
            }
            Ok((target, None))
        }
        Err(e) => Err(e),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Of its own name, which is short, so that any name has room beside it.
const BEFORE: &str = ".backprop-";
const BEHIND: &str = ".tmp";

/// A new file in a folder. What is there already, a link or a device perhaps,
/// is not opened.
fn create(folder: &Path) -> io::Result<(PathBuf, File)> {
    let (id, mut n) = (std::process::id(), 0_u64);
    loop {
        let path = folder.join(format!("{BEFORE}{id}-{n}{BEHIND}"));
        match File::create_new(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => n += 1,
            made => return Ok((path, made?)),
        }
    }
}

fn is_aside(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(BEFORE));
    let number = name.and_then(|name| name.strip_suffix(BEHIND));
    let number = number.and_then(|number| number.split_once('-'));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(|(id, n)| digits(id) && digits(n))
}

/// Removes the files aside that nobody writes any more.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return; // then nothing can be written either
    };
    for entry in entries.flatten() {
        // A pipe of that name would keep whoever opens it waiting.
        if is_aside(&entry.file_name())
            && entry.file_type().is_ok_and(|t| t.is_file())
            && File::open(entry.path()).is_ok_and(|f| f.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty folder of its own for each test.
    fn folder(name: &str) -> PathBuf {
        let id = std::process::id();
        let dir = std::env::temp_dir().join(format!("backprop-{id}-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let name = |e: fs::DirEntry| e.file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn refuses(path: &Path, what: &str) {
        for e in [write_aside(path, b"new"), probe(path)] {
            let e = e.unwrap_err().to_string();
            assert!(e.starts_with("cannot write ") && e.contains(what), "{e}");
        }
    }

    #[test]
    fn a_file_is_made_and_replaced() {
        let dir = folder("replaced");
        let file = dir.join("a");
        probe(&file).unwrap();
        assert!(names(&dir).is_empty());
        for text in [&b"old"[..], b"new"] {
            write_aside(&file, text).unwrap();
            assert_eq!(fs::read(&file).unwrap(), text);
        }
        write_aside(&dir.join("no/../a"), b"").unwrap_err();
        fs::create_dir(dir.join("no")).unwrap();
        write_aside(&dir.join("no/../a"), b"there").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"there");
        assert_eq!(names(&dir), ["a", "no"]);
        // The longest name that there can be has room beside it.
        let long = dir.join("x".repeat(255));
        write_aside(&long, b"long").unwrap();
        assert_eq!(fs::read(long).unwrap(), b"long");
        refuses(&dir.join("x".repeat(256)), "long");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_names_no_file_is_refused() {
        let dir = folder("no-file");
        let no_name = "this is no name of a file";
        refuses(Path::new(""), no_name);
        refuses(&dir.join("new/"), no_name);
        refuses(&dir.join("no/.."), no_name);
        refuses(&dir, "directory");
        refuses(&dir.join(".."), "directory");
        fs::write(dir.join("a"), "mine").unwrap();
        refuses(&dir.join("a/b"), "cannot write");
        refuses(&dir.join("a/"), "cannot write");
        assert_eq!(names(&dir), ["a"]);
        fs::remove_dir_all(dir).unwrap();
    }

    /// What a write was killed over goes, what somebody writes or what is
    /// called otherwise stays.
    #[test]
    fn leftovers_are_swept() {
        let dir = folder("swept");
        let others = [".backprop-.tmp", ".backprop-x-1.tmp", "a.tmp"];
        for name in others.iter().chain(&[".backprop-7-0.tmp"]) {
            fs::write(dir.join(name), "").unwrap();
        }
        let busy = Aside::of(&dir.join("b")).unwrap();
        let mut left: Vec<_> = others.map(String::from).into();
        assert!(!dir.join(".backprop-7-0.tmp").exists());
        write_aside(&dir.join("a"), b"").unwrap();
        busy.replace().unwrap();
        left.extend(["a".into(), "b".into()]);
        left.sort();
        assert_eq!(names(&dir), left);
        fs::remove_dir_all(dir).unwrap();
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        use std::process::Command;

        #[test]
        fn permissions_are_kept() {
            let dir = folder("mode");
            let file = dir.join("a");
            fs::write(&file, "old").unwrap();
            for mode in [0o600, 0o640, 0o755] {
                let permissions = Permissions::from_mode(mode);
                fs::set_permissions(&file, permissions).unwrap();
                write_aside(&file, b"new").unwrap();
                let now = fs::metadata(&file).unwrap().permissions().mode();
                assert_eq!(now & 0o777, mode);
            }
            fs::remove_dir_all(dir).unwrap();
        }

        #[test]
        fn names_need_not_be_text() {
            let dir = folder("bytes");
            let file = dir.join(OsString::from_vec(b"caf\xe9".into()));
            write_aside(&file, b"new").unwrap();
            assert_eq!(fs::read(file).unwrap(), b"new");
            fs::remove_dir_all(dir).unwrap();
        }

        #[test]
        fn a_link_stays_and_leads_to_the_file() {
            let dir = folder("link");
            fs::create_dir(dir.join("far")).unwrap();
            fs::write(dir.join("far/file"), "old").unwrap();
            symlink("far/file", dir.join("there")).unwrap();
            symlink("there", dir.join("twice")).unwrap();
            symlink("far/made", dir.join("dangling")).unwrap();
            for (link, file) in [
                ("there", "far/file"),
                ("twice", "far/file"),
                ("dangling", "far/made"),
            ] {
                let link = dir.join(link);
                write_aside(&link, link.as_os_str().as_encoded_bytes())
                    .unwrap();
                assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
                let file = fs::read(dir.join(file)).unwrap();
                assert!(file == link.as_os_str().as_encoded_bytes());
            }
            assert_eq!(names(&dir.join("far")), ["file", "made"]);
            symlink("circle", dir.join("circle")).unwrap();
            refuses(&dir.join("circle"), "cannot write");
            symlink("nowhere/file", dir.join("lost")).unwrap();
            refuses(&dir.join("lost"), "cannot write");
            fs::remove_dir_all(dir).unwrap();
        }

        /// As root, too, who may rename over a device.
        #[test]
        fn what_is_no_ordinary_file_stays() {
            let dir = folder("device");
            let pipe = dir.join("pipe");
            let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            symlink("pipe", dir.join("link")).unwrap();
            refuses(&pipe, "no ordinary file");
            refuses(&dir.join("link"), "no ordinary file");
            assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
            let device = dir.join("device");
            let mut mknod = Command::new("mknod");
            mknod.arg(&device).args(["c", "1", "3"]);
            if mknod.output().is_ok_and(|out| out.status.success()) {
                refuses(&device, "no ordinary file");
                let kind = fs::metadata(&device).unwrap().file_type();
                assert!(kind.is_char_device());
            } else {
                println!("skipped: only root makes devices");
            }
            fs::remove_dir_all(dir).unwrap();
        }

        /// Nothing of another's is opened, whatever it is called.
        #[test]
        fn links_and_pipes_in_the_way_are_left_alone() {
            let dir = folder("way");
            let id = std::process::id();
            let way = |n: u32| dir.join(format!(".backprop-{id}-{n}.tmp"));
            fs::write(dir.join("diary"), "mine").unwrap();
            symlink("diary", way(0)).unwrap();
            let made = Command::new("mkfifo").arg(way(1)).status().unwrap();
            assert!(made.success());
            fs::create_dir(way(2)).unwrap();
            write_aside(&dir.join("a"), b"new").unwrap();
            assert_eq!(fs::read(dir.join("a")).unwrap(), b"new");
            assert_eq!(fs::read(dir.join("diary")).unwrap(), b"mine");
            assert_eq!(names(&dir).len(), 5);
            fs::remove_dir_all(dir).unwrap();
        }
    }
}
