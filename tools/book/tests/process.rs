//! `cargo book` as processes: several in one repository, ended in every way,
//! on a book that does not build.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BOOK: &str = r#"
[book]
title = "Small"
src = "book/src"
[build]
build-dir = "target/book"
create-missing = false
"#;

/// Long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Project {
    dir: tempfile::TempDir,
}

struct Server {
    process: Child,
    host: String,
}

impl Project {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Self { dir };
        project.write("book.toml", BOOK);
        project.write("book/src/SUMMARY.md", "- [A](a.md)\n");
        project.write("book/src/a.md", "# A\n\nThe first words.\n");
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn tool(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
        command.args(words).current_dir(self.dir.path());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn serve(&self) -> Server {
        let words = ["serve", "--no-open", "--port", "44000"];
        let mut process = self.tool(&words).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect(&line);
        let host = address.split('/').next().unwrap().to_owned();
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Server { process, host }
    }

    /// The folders of builds.
    fn builds(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.dir.path().join("target/book-builds"));
        let all = all.into_iter().flatten().map(|e| e.unwrap().path());
        all.filter(|p| p.is_dir()).collect()
    }
}

impl Server {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(&mut self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, happens: impl Fn() -> bool) {
    let start = Instant::now();
    while !happens() {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_book_that_does_not_build_is_served_until_it_does() {
    let p = Project::new();
    p.write("book/src/SUMMARY.md", "");
    let s = p.serve();
    let page = s.get("/");
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    assert!(page.contains("SUMMARY.md lists no chapter"), "{page}");
    p.write("book/src/SUMMARY.md", "# Summary\n\n- [A](a.md)\n");
    until("the pages", || s.get("/a.html").contains("first words"));
    // And a later one says in the pages what is wrong.
    p.write("book/src/SUMMARY.md", "# Summary\n\n- [A](gone.md)\n");
    until("the fault", || s.get("/__changes").contains("`gone.md`"));
    assert!(s.get("/a.html").contains("first words"));
    p.write("book/src/SUMMARY.md", "- [A](a.md)\n");
    until("no fault", || {
        s.get("/__changes").contains("\"fault\":null")
    });
}

#[test]
fn whoever_builds_at_the_same_time_does_not_meet() {
    let p = Project::new();
    let (first, second) = (p.serve(), p.serve());
    assert_ne!(first.host, second.host);
    let whole = |s: &Server| s.get("/a.html").contains("words.");
    let mut tool = p.tool(&["build"]).spawn().unwrap();
    for n in 0..3 {
        p.write("book/src/a.md", &format!("# A\n\nThe {n}th words.\n"));
        let words = format!("The {n}th words.");
        until("both are built", || {
            assert!(whole(&first) && whole(&second), "a page is missing");
            first.get("/a.html").contains(&words)
                && second.get("/a.html").contains(&words)
        });
    }
    assert!(tool.wait().unwrap().success());
    until("two folders are left", || p.builds().len() == 2);
}

#[test]
fn folders_go_with_the_server_however_it_ends() {
    let p = Project::new();
    for signal in ["INT", "TERM", "HUP"] {
        let mut s = p.serve();
        assert_eq!(p.builds().len(), 1, "{signal}");
        s.end(signal);
        assert_eq!(p.builds(), Vec::<PathBuf>::new(), "{signal}");
    }
    let mut killed = p.serve();
    killed.end("KILL");
    let left = p.builds();
    assert_eq!(left.len(), 1);
    let s = p.serve();
    assert_eq!(p.builds().len(), 1);
    assert_ne!(p.builds(), left);
    // And what is taken from it comes again.
    fs::remove_dir_all(p.dir.path().join("target")).unwrap();
    until("the pages", || s.get("/a.html").contains("first words"));
    assert!(Path::new(&p.builds()[0]).join("pages/a.html").is_file());
}
