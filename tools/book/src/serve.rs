//! Serves the built book on this machine only, and rebuilds on change.
//!
//! Everything is the standard library: one thread per connection, `GET` and
//! `HEAD`. Open pages ask several times a second whether there is another
//! build, another grade or a fault; that leaves no connection open, of which
//! a browser has six for all of its tabs. Changes are found by looking at
//! modification times, which works on every file system: of the sources twice
//! a second, of the grades when a page asks. Nothing runs on a request: what
//! grades is `cargo grade`, in a terminal or, with `--grade`, when a file is
//! saved.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use examiner::{Exercise, list};
use serde_json::json;

use crate::aside::Aside;
use crate::finish::markup::escape;
use crate::grades::{self, Grades, Stamp};
use crate::render;

/// How often the sources are looked at.
const POLL: Duration = Duration::from_millis(500);
/// How often the learner's files are looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// A client whose request is not there after this long is dropped.
const REQUEST: Duration = Duration::from_secs(10);
/// So is one that has not taken the answer: a page may come a long way, over
/// a tunnel.
const ANSWER: Duration = Duration::from_secs(60);
/// A request head longer than this is refused.
const LONGEST_HEAD: u64 = 16 * 1024;
/// With more connections than this the oldest is closed.
const MOST_OPEN: usize = 64;
/// `cargo grade` has limits of its own; this one is for what waits before it.
const LONGEST_GRADE: Duration = Duration::from_secs(600);

/// Where open pages ask what is new.
const CHANGES: &str = "/__changes";
/// Where they ask for the grades; the question is a slug.
const GRADE: &str = "/__grade";

/// What to serve and how.
pub struct Options {
    /// The first port to try; the next free one is taken.
    pub port: u16,
    /// Whether to open a browser.
    pub open: bool,
    /// Whether to grade an exercise when its file is saved.
    pub grade: bool,
}

/// What is served: the newest whole build, what is wrong with a newer one,
/// and the grades that the pages show.
pub struct Site {
    /// Another one for another server: pages of the last one reload too.
    start: u128,
    shown: Mutex<Shown>,
    grades: Option<Grades>,
    grading: Mutex<Option<&'static str>>,
}

#[derive(Clone, Default)]
struct Shown {
    /// Its folder stays until the last request that reads it is over.
    build: Option<Arc<Aside>>,
    version: u64,
    fault: Option<String>,
}

impl Site {
    /// A site that has no pages yet.
    pub fn new(grades: Option<Grades>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            start: now.map_or(0, |t| t.as_nanos()),
            shown: Mutex::default(),
            grades,
            grading: Mutex::new(None),
        }
    }

    /// Serves `build` from now on and makes open pages reload. Of one that
    /// failed the pages say why, and stay those of the last.
    pub fn update(&self, build: Result<Aside>) {
        let mut shown = lock(&self.shown);
        let old = match build {
            Ok(build) => {
                shown.version += 1;
                shown.fault = None;
                shown.build.replace(Arc::new(build))
            }
            Err(e) => {
                let older = match shown.build {
                    Some(_) => "\nThe page is that of the last good build.",
                    None => "",
                };
                shown.fault = Some(format!("error: {e:#}{older}"));
                None
            }
        };
        // To remove a folder takes a while.
        drop(shown);
        drop(old);
    }

    fn shown(&self) -> Shown {
        lock(&self.shown).clone()
    }

    /// What pages of the build `shown` know it by.
    fn name(&self, shown: &Shown) -> String {
        format!("{}-{}", self.start, shown.version)
    }

    /// Whether somebody has removed the pages. They are told once.
    fn has_lost_pages(&self) -> bool {
        let mut shown = lock(&self.shown);
        let lost = |b: &mut Arc<Aside>| !b.pages().is_dir();
        shown.build.take_if(lost).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds the book at `root`, serves it, and rebuilds when a source changes.
/// Returns only on failure; Ctrl-C ends it. What is wrong with the book is
/// said here and in the pages, and waits to be mended.
///
/// # Errors
/// When no port is free.
pub fn serve(root: &Path, options: &Options) -> Result<()> {
    let sources = sources(root);
    // Before the build: what is saved meanwhile is built next.
    let seen = stamps(&sources);
    let grades = Grades::new(root, |line| eprintln!("warning: {line}"));
    let site = Arc::new(Site::new(Some(grades)));
    let build = || {
        let built = build_aside(root);
        if let Err(e) = &built {
            eprintln!("error: {e:#}");
        }
        built
    };
    site.update(build());
    let listener = bind(options.port)?;
    let url = format!("http://{}/", listener.local_addr()?);
    println!("reading at {url}   (Ctrl-C ends)");
    if options.open {
        open_browser(&url);
    }
    let server = Arc::clone(&site);
    thread::spawn(move || accept(&listener, &server));
    if options.grade {
        let (saved, root) = (Arc::clone(&site), root.to_path_buf());
        thread::spawn(move || grade_saved(&saved, |e| run_grader(&root, e)));
        println!("an exercise is graded when you save it");
    }
    follow_sources(&site, &sources, seen, || {
        let built = build();
        if built.is_ok() {
            println!("rebuilt");
        }
        built
    });
    Ok(())
}

fn build_aside(root: &Path) -> Result<Aside> {
    // The server outlives what no one has thought of.
    panic::catch_unwind(AssertUnwindSafe(|| {
        let aside = Aside::new(root)?;
        let built = render::build(root, Some(aside.pages()))?;
        for r in &built.reports {
            eprintln!("{}", r.line());
        }
        Ok(aside)
    }))
    .unwrap_or_else(|_| bail!("the build panicked: the terminal says where"))
}

/// The folders and files whose change means a new build. Not the exercises:
/// no page includes them, and while a learner saves, pages stay.
fn sources(root: &Path) -> Vec<PathBuf> {
    [
        "book.toml",
        "book",
        "src",
        "solutions/src",
        "tools/figures/src",
    ]
    .iter()
    .map(|p| root.join(p))
    .collect()
}

/// Builds again whenever one of `sources` is no longer as it was `seen`, or
/// the pages are gone, for as long as the program runs.
pub fn follow_sources(
    site: &Site,
    sources: &[PathBuf],
    mut seen: Stamps,
    mut build: impl FnMut() -> Result<Aside>,
) {
    loop {
        thread::sleep(POLL);
        let now = stamps(sources);
        if now != seen || site.has_lost_pages() {
            seen = now;
            site.update(build());
        }
    }
}

/// Hands every exercise whose file is saved to `run`, one after the other,
/// for as long as the program runs. What is saved while another is graded
/// comes next, as it is then: the newest text wins.
pub fn grade_saved(site: &Site, mut run: impl FnMut(&'static Exercise)) {
    let Some(grades) = &site.grades else { return };
    let stamp = |e: &'static Exercise| grades::stamp(&grades.source(e));
    let mut done: Vec<_> = list::all().iter().map(|e| stamp(e)).collect();
    let mut seen = done.clone();
    loop {
        thread::sleep(GLANCE);
        let both = done.iter_mut().zip(&mut seen);
        for (exercise, (done, seen)) in list::all().iter().zip(both) {
            let now = stamp(exercise);
            // An editor may write in two steps: wait until it is quiet.
            let quiet = std::mem::replace(seen, now) == now;
            if !quiet || now == *done || now.is_none() {
                continue;
            }
            *done = now;
            *lock(&site.grading) = Some(exercise.slug);
            run(exercise);
            *lock(&site.grading) = None;
        }
    }
}

/// `cargo grade SLUG`, which writes to this terminal. That it fails is for
/// its own words to say.
fn run_grader(root: &Path, exercise: &Exercise) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut grade = Command::new(cargo);
    grade
        .args(["run", "--quiet", "--package", "grade", "--", exercise.slug])
        .current_dir(root)
        .stdin(Stdio::null());
    if let Err(e) = run_within(&mut grade, LONGEST_GRADE) {
        eprintln!("error: cargo grade {}: {e}", exercise.slug);
    }
}

/// Runs a command to its end, or stops it: what hangs is in nobody's way.
fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    let mut child = command.spawn().context("cannot start")?;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("stopped, it has not ended within {limit:?}");
        }
        thread::sleep(GLANCE);
    }
    Ok(())
}

/// Files with their time and length.
pub type Stamps = BTreeMap<PathBuf, Stamp>;

/// All files under `paths` as they are now.
pub fn stamps(paths: &[PathBuf]) -> Stamps {
    let mut all = BTreeMap::new();
    let mut todo = paths.to_vec();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|e| e.path()));
        } else {
            let stamp = grades::stamp(&path);
            all.insert(path, stamp);
        }
    }
    all
}

/// A listener on the loopback address: `port`, or the next free one of the
/// hundred above it.
///
/// # Errors
/// When all are taken.
pub fn bind(port: u16) -> Result<TcpListener> {
    for p in port..=port.saturating_add(100) {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, p)) {
            return Ok(listener);
        }
    }
    bail!(
        "ports {port} to {} are taken: give another with --port",
        port.saturating_add(100)
    )
}

/// Answers connections until the listener fails.
pub fn accept(listener: &TcpListener, site: &Arc<Site>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let open = Arc::new(Mutex::new(BTreeMap::new()));
    for (n, stream) in (0_u64..).zip(listener.incoming()) {
        let Ok(stream) = stream.map(Arc::new) else {
            // Too many open files, say: that passes.
            thread::sleep(GLANCE);
            continue;
        };
        let mut all = lock(&open);
        all.insert(n, Arc::clone(&stream));
        // Browsers open some that they never use.
        if all.len() > MOST_OPEN
            && let Some((_, oldest)) = all.pop_first()
        {
            let _ = oldest.shutdown(Shutdown::Both);
        }
        drop(all);
        let (site, others) = (Arc::clone(site), Arc::clone(&open));
        let started = thread::Builder::new().spawn(move || {
            // A broken connection is the browser's business.
            let _ = answer(&stream, address, &site);
            lock(&others).remove(&n);
        });
        if started.is_err() {
            lock(&open).remove(&n);
        }
    }
}

fn answer(
    stream: &TcpStream,
    address: SocketAddr,
    site: &Site,
) -> io::Result<()> {
    let head = read_head(Until::after(REQUEST, stream))?;
    let reply = reply(&head, address.port(), site);
    let body = !head.starts_with("HEAD ");
    reply.write(Until::after(ANSWER, stream), body)
}

/// A stream that fails when its time is over, however it is spent.
struct Until<'a> {
    end: Instant,
    stream: &'a TcpStream,
}

impl<'a> Until<'a> {
    fn after(time: Duration, stream: &'a TcpStream) -> Self {
        let end = Instant::now() + time;
        Self { end, stream }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Until<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(to)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A request up to its empty line; without one when it ends before or is too
/// long.
fn read_head(stream: impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST_HEAD));
    loop {
        let start = head.len();
        let read = reader.read_until(b'\n', &mut head)?;
        if read == 0 || matches!(&head[start..], b"\r\n" | b"\n") {
            return Ok(String::from_utf8_lossy(&head).into_owned());
        }
    }
}

struct Reply {
    status: &'static str,
    kind: &'static str,
    text: Vec<u8>,
    /// Where it is instead.
    location: Option<String>,
}

impl Reply {
    fn new(
        status: &'static str,
        kind: &'static str,
        text: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            status,
            kind,
            text: text.into(),
            location: None,
        }
    }

    fn refusal(status: &'static str, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// A page that stays fresh, as one of the build with that name.
    fn page(status: &'static str, mut text: Vec<u8>, build: &str) -> Self {
        let script = include_str!("served.html").replace("BUILD", build);
        text.extend_from_slice(script.as_bytes());
        Self::new(status, HTML, text)
    }

    fn write(&self, mut to: impl Write, body: bool) -> io::Result<()> {
        let (status, kind) = (self.status, self.kind);
        let location = self.location.as_ref();
        let location = location.map(|l| format!("Location: {l}\r\n"));
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n{}Cache-Control: no-cache\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.text.len(),
            location.unwrap_or_default(),
        );
        to.write_all(head.as_bytes())?;
        if body {
            to.write_all(&self.text)?;
        }
        Ok(())
    }
}

fn reply(head: &str, port: u16, site: &Site) -> Reply {
    if !head.ends_with("\n\n") && !head.ends_with("\n\r\n") {
        let text = "a request ends with an empty line, within 16 KiB";
        return Reply::refusal("400 Bad Request", text);
    }
    let mut lines = head.lines();
    let mut request = lines.next().unwrap_or("").split(' ');
    let method = request.next().unwrap_or("");
    let target = request.next().unwrap_or("");
    let lines: Vec<_> = lines.filter_map(|l| l.split_once(':')).collect();
    let header = |wanted: &str| {
        let mut all = lines.iter();
        let found = all.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let host = header("host").unwrap_or("");
    // Another site's name that resolves to this machine must not read it.
    if !is_ours(host, port) {
        let text = "this server answers to localhost only";
        return Reply::refusal("403 Forbidden", text);
    }
    if method != "GET" && method != "HEAD" {
        let status = "405 Method Not Allowed";
        return Reply::refusal(status, "GET and HEAD only");
    }
    let target = target.split('#').next().unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // What a learner did is for the pages of this server alone: a page of
    // another one may not read it, nor a page that embeds it.
    let foreign = header("origin").is_some_and(|o| !is_our_origin(o, port))
        || header("sec-fetch-site")
            .is_some_and(|site| !["same-origin", "none"].contains(&site));
    if [CHANGES, GRADE].contains(&path) && foreign {
        let text = "for pages of this server only";
        return Reply::refusal("403 Forbidden", text);
    }
    if path == CHANGES {
        if !query.is_empty() {
            let text = format!("write {CHANGES}: it takes no question");
            return Reply::refusal("400 Bad Request", &text);
        }
        let kind = "application/json";
        return Reply::new("200 OK", kind, changes(site).to_string());
    }
    if let Some(grades) = site.grades.as_ref().filter(|_| path == GRADE) {
        let here = list::all().iter().find(|e| e.slug == query).copied();
        let grading = *lock(&site.grading);
        let text = grades.json(here, grading);
        return Reply::new("200 OK", "application/json", text);
    }
    let shown = site.shown();
    let name = site.name(&shown);
    let Some(build) = &shown.build else {
        let fault = shown.fault.as_deref().unwrap_or("no pages yet");
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <title>error</title>\
             <pre class=\"served-fault\" role=\"alert\">{}</pre>",
            escape(fault)
        );
        return Reply::page("503 Service Unavailable", page.into(), &name);
    };
    let pages = build.pages();
    let found = find(pages, path)
        .and_then(|(file, at)| Some((fs::read(&file).ok()?, file, at)));
    let Some((text, file, address)) = found else {
        let text = fs::read(pages.join("404.html"))
            .unwrap_or_else(|_| b"no such page\n".to_vec());
        return Reply::page("404 Not Found", text, &name);
    };
    // The links of a page begin at its address.
    if address != path {
        let mut moved = Reply::refusal("301 Moved Permanently", &address);
        moved.location = Some(address);
        return moved;
    }
    match media_type(&file) {
        HTML => Reply::page("200 OK", text, &name),
        kind => Reply::new("200 OK", kind, text),
    }
}

/// What open pages ask for:
///
/// - `build`: the name of the newest one;
/// - `grades`: differs whenever what a page shows of them may differ, or
///   `null`;
/// - `fault`: why what is saved does not build, or `null`.
fn changes(site: &Site) -> serde_json::Value {
    let shown = site.shown();
    let grades = site.grades.as_ref().map(|grades| {
        let mut all = DefaultHasher::new();
        (grades.stamps(), *lock(&site.grading)).hash(&mut all);
        format!("{:x}", all.finish())
    });
    json!({
        "build": site.name(&shown),
        "grades": grades,
        "fault": shown.fault,
    })
}

fn is_ours(host: &str, port: u16) -> bool {
    ["localhost", "127.0.0.1"]
        .iter()
        .any(|name| host == format!("{name}:{port}") || host == *name)
}

/// Unlike a host, an origin without a port is another server's.
fn is_our_origin(origin: &str, port: u16) -> bool {
    ["localhost", "127.0.0.1"]
        .iter()
        .any(|name| origin == format!("http://{name}:{port}"))
}

/// The file that the path of a request names under `pages`, if there is one,
/// and its address: one slash between names, and one behind a folder. Never
/// a file outside.
fn find(pages: &Path, path: &str) -> Option<(PathBuf, String)> {
    let mut address = path.to_owned();
    while address.contains("//") {
        address = address.replace("//", "/");
    }
    let inside = percent_decode(address.strip_prefix('/')?)?;
    let inside = Path::new(&inside);
    if !(inside.components()).all(|c| matches!(c, Component::Normal(_))) {
        return None;
    }
    let mut file = pages.join(inside);
    if file.is_dir() {
        file.push("index.html");
        if !address.ends_with('/') {
            address.push('/');
        }
    } else if address.ends_with('/') {
        return None;
    }
    // A link must not lead outside either.
    let (file, pages) = (file.canonicalize().ok()?, pages.canonicalize().ok()?);
    let found = file.is_file() && file.starts_with(pages);
    found.then_some((file, address))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b => b,
        });
    }
    String::from_utf8(bytes).ok().filter(|s| !s.contains('\0'))
}

const HTML: &str = "text/html; charset=utf-8";

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()).unwrap_or("") {
        "html" => HTML,
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" | "" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Asks the desktop to show `url`; a machine without one is no error.
fn open_browser(url: &str) {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut c = Command::new("cmd");
        c.args(["/C", "start", ""]);
        c
    } else {
        Command::new("xdg-open")
    };
    let quiet = Stdio::null;
    let started = command
        .arg(url)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()
        .context("no browser");
    match started {
        // Waits for it, so that no zombie is left.
        Ok(mut child) => drop(thread::spawn(move || child.wait())),
        Err(_) => println!("open that address in your browser"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn a_byte_now_and_then_is_no_request() {
        let (mut client, server) = pair();
        thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let limit = Duration::from_millis(200);
        assert!(read_head(Until::after(limit, &server)).is_err());
    }

    #[test]
    fn an_answer_that_nobody_takes_ends() {
        let (_client, server) = pair();
        let reply = Reply::new("200 OK", HTML, vec![0; 64 << 20]);
        let limit = Duration::from_millis(200);
        assert!(reply.write(Until::after(limit, &server), true).is_err());
        // Nor does one that is taken byte by byte go on.
        let (mut client, server) = pair();
        thread::spawn(move || {
            while client.read_exact(&mut [0; 1 << 16]).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(reply.write(Until::after(limit, &server), true).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_never_ends_is_stopped() {
        let mut endless = Command::new("sleep");
        let limit = Duration::from_millis(200);
        let e = run_within(endless.arg("3600"), limit).unwrap_err();
        assert!(e.to_string().contains("has not ended"), "{e}");
        assert!(run_within(&mut Command::new("true"), limit * 100).is_ok());
    }
}
