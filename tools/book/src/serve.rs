//! Serves the built book on this machine only, and rebuilds on change.
//!
//! Everything is the standard library: one thread per connection, `GET` and
//! `HEAD`, and a stream of events that tells open pages to reload, or that
//! there is another grade. Changes are found by looking at modification
//! times, which works on every file system: of the sources twice a second,
//! of the grades ten times. Nothing runs on a request: what grades is
//! `cargo grade`, in a terminal or, with `--grade`, when a file is saved.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use examiner::{Exercise, list};

use crate::grades::{self, Grades};
use crate::render;

/// How often the sources are looked at.
const POLL: Duration = Duration::from_millis(500);
/// How often the grades are looked at, and how often a stream of events asks
/// whether there is something to tell.
const GLANCE: Duration = Duration::from_millis(100);
/// A client that sends nothing for this long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request head longer than this is refused.
const LONGEST_HEAD: u64 = 16 * 1024;

/// Where open pages hear of a new build and of new grades.
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

/// The folder of pages being served, the grades that they show, and how often
/// both have changed.
pub struct Site {
    pages: RwLock<PathBuf>,
    version: AtomicU64,
    grades: Option<Grades>,
    news: AtomicU64,
    grading: Mutex<Option<&'static str>>,
}

impl Site {
    /// A site that serves the files under `pages`.
    pub fn new(pages: PathBuf) -> Self {
        Self {
            pages: RwLock::new(pages),
            version: AtomicU64::new(0),
            grades: None,
            news: AtomicU64::new(0),
            grading: Mutex::new(None),
        }
    }

    /// The same site with grades for its pages.
    pub fn with_grades(mut self, grades: Grades) -> Self {
        self.grades = Some(grades);
        self
    }

    fn grading(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.grading.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn pages(&self) -> PathBuf {
        match self.pages.read() {
            Ok(p) => p.clone(),
            Err(e) => e.into_inner().clone(),
        }
    }

    /// Serves another folder from now on and makes open pages reload.
    pub fn replace(&self, pages: PathBuf) {
        match self.pages.write() {
            Ok(mut p) => *p = pages,
            Err(e) => *e.into_inner() = pages,
        }
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Makes open pages ask for the grades again.
    fn announce(&self) {
        self.news.fetch_add(1, Ordering::SeqCst);
    }
}

/// Builds the book at `root`, serves it, and rebuilds when a source changes.
/// Returns only on failure; Ctrl-C ends it.
///
/// # Errors
/// When the first build fails or no port is free.
pub fn serve(root: &Path, options: &Options) -> Result<()> {
    let out = root.join("target/book-serve");
    let watch = watched(root);
    let mut seen = stamps(&watch);
    let grades = Grades::new(root, |line| eprintln!("warning: {line}"));
    let site = Site::new(build_aside(root, &out, 0)?).with_grades(grades);
    let site = Arc::new(site);
    let listener = bind(options.port)?;
    let url = format!("http://{}/", listener.local_addr()?);
    println!("reading at {url}   (Ctrl-C ends)");
    if options.open {
        open_browser(&url);
    }
    let server = Arc::clone(&site);
    thread::spawn(move || accept(&listener, &server));
    let graded = Arc::clone(&site);
    thread::spawn(move || follow_grades(&graded));
    if options.grade {
        let (saved, root) = (Arc::clone(&site), root.to_path_buf());
        thread::spawn(move || grade_saved(&saved, |e| run_grader(&root, e)));
        println!("an exercise is graded when you save it");
    }
    for turn in 1.. {
        loop {
            thread::sleep(POLL);
            let now = stamps(&watch);
            if now != seen {
                seen = now;
                break;
            }
        }
        match build_aside(root, &out, turn) {
            Ok(pages) => {
                site.replace(pages);
                println!("rebuilt");
            }
            // The last good pages stay; the next change tries again.
            Err(e) => eprintln!("error: {e:#}"),
        }
    }
    Ok(())
}

/// Two folders in turn, so that a page can always be read while the other
/// is being written.
fn build_aside(root: &Path, out: &Path, turn: u32) -> Result<PathBuf> {
    let dir = out.join(["a", "b"][turn as usize % 2]);
    let built = render::build(root, Some(&dir))?;
    for r in &built.reports {
        eprintln!("{}", r.line());
    }
    Ok(built.out)
}

/// The folders and files whose change means a new build. Not the exercises:
/// no page includes them, and while a learner saves, pages stay.
fn watched(root: &Path) -> Vec<PathBuf> {
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

/// Tells open pages whenever a grade or an exercise has changed, for as long
/// as the program runs.
pub fn follow_grades(site: &Site) {
    let Some(grades) = &site.grades else { return };
    let mut seen = grades.stamps();
    loop {
        thread::sleep(GLANCE);
        let now = grades.stamps();
        if now != seen {
            seen = now;
            site.announce();
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
            *site.grading() = Some(exercise.slug);
            site.announce();
            run(exercise);
            *site.grading() = None;
            site.announce();
        }
    }
}

/// `cargo grade SLUG`, which writes to this terminal. That it fails is for
/// its own words to say.
fn run_grader(root: &Path, exercise: &Exercise) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let graded = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--package", "grade", "--", exercise.slug])
        .current_dir(root)
        .stdin(std::process::Stdio::null())
        .status();
    if let Err(e) = graded {
        eprintln!("error: cannot start cargo grade: {e}");
    }
}

fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    let mut all = BTreeMap::new();
    let mut todo = paths.to_vec();
    while let Some(path) = todo.pop() {
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|e| e.path()));
        } else {
            let time = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            all.insert(path, (time, meta.len()));
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
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let site = Arc::clone(site);
        // A broken connection is the browser's business.
        thread::spawn(move || drop(answer(&stream, address, &site)));
    }
}

fn answer(stream: &TcpStream, address: SocketAddr, site: &Site) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST_HEAD));
    loop {
        let start = head.len();
        if reader.read_until(b'\n', &mut head)? == 0 {
            return respond(stream, "400 Bad Request", "text/plain", b"", true);
        }
        if matches!(&head[start..], b"\r\n" | b"\n") {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
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
    let body = method != "HEAD";
    // Another site's name that resolves to this machine must not read it.
    if !is_ours(host, address.port()) {
        let text = b"this server answers to localhost only\n";
        return respond(stream, "403 Forbidden", "text/plain", text, body);
    }
    if method != "GET" && method != "HEAD" {
        let text = b"GET and HEAD only\n";
        let status = "405 Method Not Allowed";
        return respond(stream, status, "text/plain", text, body);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // What a learner did is for the pages of this server alone: a page of
    // another one may not read it, nor a page that embeds it.
    let foreign = header("origin")
        .is_some_and(|o| !is_our_origin(o, address.port()))
        || header("sec-fetch-site")
            .is_some_and(|site| !["same-origin", "none"].contains(&site));
    if [CHANGES, GRADE].contains(&path) && foreign {
        let text = b"for pages of this server only\n";
        return respond(stream, "403 Forbidden", "text/plain", text, body);
    }
    if path == CHANGES {
        return tell_changes(stream, site, query.parse()?);
    }
    if let Some(grades) = site.grades.as_ref().filter(|_| path == GRADE) {
        let here = list::all().iter().find(|e| e.slug == query).copied();
        let grading = *site.grading();
        let text = grades.json(here, grading);
        let kind = "application/json";
        return respond(stream, "200 OK", kind, text.as_bytes(), body);
    }
    let version = site.version.load(Ordering::SeqCst);
    let pages = site.pages();
    match find(&pages, path) {
        Some(file) => {
            let kind = media_type(&file);
            let mut text = fs::read(&file)?;
            if kind.starts_with("text/html") {
                text.extend_from_slice(reload(version).as_bytes());
            }
            respond(stream, "200 OK", kind, &text, body)
        }
        None => {
            let text = fs::read(pages.join("404.html"))
                .unwrap_or_else(|_| b"no such page\n".to_vec());
            let kind = "text/html; charset=utf-8";
            respond(stream, "404 Not Found", kind, &text, body)
        }
    }
}

/// What a page of build `version` does to stay fresh. The stream goes to
/// whoever listens in the page, which so knows that this server serves it.
fn reload(version: u64) -> String {
    format!(
        "<script>(function () {{ \
         const news = new EventSource('{CHANGES}?{version}'); \
         news.onmessage = function () {{ location.reload(); }}; \
         document.dispatchEvent(new CustomEvent('served', {{ detail: news }}));\
         }})();</script>"
    )
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

fn respond(
    mut stream: &TcpStream,
    status: &str,
    kind: &str,
    text: &[u8],
    body: bool,
) -> Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        text.len()
    )?;
    if body {
        stream.write_all(text)?;
    }
    Ok(())
}

/// Server-sent events for a page of build `shown`: one message when there is
/// another build, an event `grade` at once and whenever there is another
/// grade, a comment now and then so that a closed page is noticed.
fn tell_changes(mut stream: &TcpStream, site: &Site, shown: u64) -> Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
          Cache-Control: no-cache\r\nConnection: close\r\n\r\n",
    )?;
    let mut told = None;
    for tick in 0_u64.. {
        if site.version.load(Ordering::SeqCst) != shown {
            stream.write_all(b"data: changed\n\n")?;
            break;
        }
        let news = site.news.load(Ordering::SeqCst);
        if site.grades.is_some() && told != Some(news) {
            stream.write_all(
                format!("event: grade\ndata: {news}\n\n").as_bytes(),
            )?;
            told = Some(news);
        }
        if tick % 50 == 0 {
            stream.write_all(b": here\n\n")?;
        }
        thread::sleep(GLANCE);
    }
    Ok(())
}

/// The file that the path of a request names under `pages`, if there is
/// one. Never a file outside.
fn find(pages: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_decode(path.strip_prefix('/')?)?;
    let path = Path::new(&path);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_)));
    if !inside {
        return None;
    }
    let mut file = pages.join(path);
    if file.is_dir() {
        file.push("index.html");
    }
    // A link must not lead outside either.
    let (file, pages) = (file.canonicalize().ok()?, pages.canonicalize().ok()?);
    (file.is_file() && file.starts_with(pages)).then_some(file)
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

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()).unwrap_or("") {
        "html" => "text/html; charset=utf-8",
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
        std::process::Command::new("open")
    } else if cfg!(windows) {
        let mut c = std::process::Command::new("cmd");
        c.args(["/C", "start", ""]);
        c
    } else {
        std::process::Command::new("xdg-open")
    };
    let quiet = std::process::Stdio::null;
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
