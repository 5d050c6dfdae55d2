//! The server: what it answers, to whom, and what it never shows.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use book::aside::Aside;
use book::serve::{Site, accept, bind, follow_sources, stamps};
use serde_json::Value;

struct Running {
    address: SocketAddr,
    site: Arc<Site>,
    dir: tempfile::TempDir,
}

/// A server that has no pages yet.
fn start_empty() -> Running {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    let listener = bind(41_000).unwrap();
    let address = listener.local_addr().unwrap();
    let site = Arc::new(Site::new(None));
    let server = Arc::clone(&site);
    thread::spawn(move || accept(&listener, &server));
    Running { address, site, dir }
}

fn start() -> Running {
    let s = start_empty();
    s.site.update(Ok(s.build("hello")));
    s
}

impl Running {
    /// A build of which the first page says `words`.
    fn build(&self, words: &str) -> Aside {
        let build = Aside::new(self.dir.path()).unwrap();
        let pages = build.pages();
        fs::create_dir_all(pages.join("katex/fonts")).unwrap();
        fs::write(pages.join("index.html"), format!("<p>{words}</p>")).unwrap();
        fs::write(pages.join("katex/index.html"), "<p>katex</p>").unwrap();
        fs::write(pages.join("a b.css"), "p{}").unwrap();
        fs::write(pages.join("größe.txt"), "groß").unwrap();
        fs::write(pages.join("404.html"), "lost").unwrap();
        fs::write(pages.parent().unwrap().join("secret.txt"), "secret")
            .unwrap();
        build
    }

    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        let port = self.address.port();
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        ))
    }

    /// What open pages ask for.
    fn news(&self) -> Value {
        let answer = self.get("/__changes");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

#[test]
fn pages_come_with_their_type_and_the_reload_line() {
    let s = start();
    let page = s.get("/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("text/html") && page.contains("<p>hello</p>"));
    let build = s.news()["build"].as_str().unwrap().to_owned();
    assert!(page.contains(&format!("'{build}'")), "{page}");
    let style = s.get("/a%20b.css?v=1");
    assert!(
        style.contains("text/css") && style.ends_with("p{}"),
        "{style}"
    );
}

#[test]
fn listens_on_the_loopback_address_only() {
    let s = start();
    assert!(s.address.ip().is_loopback());
}

#[test]
fn a_taken_port_gives_the_next() {
    let first = bind(42_000).unwrap();
    let second = bind(first.local_addr().unwrap().port()).unwrap();
    assert!(
        second.local_addr().unwrap().port()
            > first.local_addr().unwrap().port()
    );
}

#[test]
fn a_foreign_host_is_refused() {
    let s = start();
    for host in ["evil.example", "127.0.0.1.evil.example:41000", ""] {
        let answer = s.send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        assert!(!answer.contains("hello"));
    }
    let answer = s.send("GET / HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn nothing_outside_the_pages_is_shown() {
    let s = start();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/katex/../../secret.txt",
        "//etc/passwd",
        "//..//secret.txt",
        "/%2fetc%2fpasswd",
        "/..%5csecret.txt",
        "/%00",
        "/%zz",
    ] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(answer.contains("\r\n\r\nlost"), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
}

#[test]
fn a_page_has_one_address() {
    let s = start();
    for path in ["/?a=b", "/#c", "/?a#c", "/index.html?"] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("hello"), "{path}: {answer}");
    }
    for path in ["/größe.txt", "/gr%C3%B6%c3%9fe.txt"] {
        let answer = s.get(path);
        assert!(answer.ends_with("groß"), "{path}: {answer}");
    }
    assert!(s.get("/katex/").contains("<p>katex</p>"));
    // Elsewhere the links of the page would lead astray.
    for (path, place) in [
        ("/katex", "/katex/"),
        ("//", "/"),
        ("//katex///index.html", "/katex/index.html"),
        ("/katex//", "/katex/"),
    ] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 301"), "{path}: {answer}");
        let line = format!("\r\nLocation: {place}\r\n");
        assert!(answer.contains(&line), "{path}: {answer}");
    }
    for path in ["/index.html/", "/katex/fonts", "//evil.example/", ""] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[test]
fn head_has_no_body_and_post_is_refused() {
    let s = start();
    let own = format!("Host: localhost:{}\r\n", s.address.port());
    for (path, headers, status) in [
        ("/", own.as_str(), "200"),
        ("/katex", &own, "301"),
        ("/nothing.html", &own, "404"),
        ("/__changes", &own, "200"),
        ("/__changes?x", &own, "400"),
        ("/", "Host: evil.example\r\n", "403"),
    ] {
        let head = s.send(&format!("HEAD {path} HTTP/1.1\r\n{headers}\r\n"));
        let line = format!("HTTP/1.1 {status}");
        assert!(head.starts_with(&line), "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
    let empty = start_empty();
    let own = format!("Host: localhost:{}\r\n", empty.address.port());
    let head = empty.send(&format!("HEAD / HTTP/1.1\r\n{own}\r\n"));
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let own = format!("Host: localhost:{}\r\n", s.address.port());
    let post = s.send(&format!("POST / HTTP/1.1\r\n{own}\r\n"));
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[test]
fn whoever_asks_wrongly_gets_an_answer() {
    let s = start();
    for path in ["/__changes?0", "/__changes?x"] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    let mut stream = TcpStream::connect(s.address).unwrap();
    stream.write_all(b"GET / HTTP").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn idle_connections_give_way() {
    let s = start();
    let mut idle: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(s.address).unwrap())
        .collect();
    assert!(s.get("/").contains("hello"));
    // The oldest were closed; the youngest may still ask.
    let limit = Some(Duration::from_secs(5));
    idle[0].set_read_timeout(limit).unwrap();
    assert_eq!(idle[0].read(&mut [0]).unwrap(), 0);
    let last = idle.last_mut().unwrap();
    let port = s.address.port();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    last.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("hello"), "{answer}");
}

#[test]
fn an_endless_head_is_refused() {
    let s = start();
    let mut stream = TcpStream::connect(s.address).unwrap();
    let line = format!("X: {}\r\n", "a".repeat(1000));
    for _ in 0..40 {
        if stream.write_all(line.as_bytes()).is_err() {
            return; // closed on us: refused
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[test]
fn a_new_build_tells_open_pages() {
    let s = start();
    let shown = s.news()["build"].clone();
    assert_eq!(s.news()["build"], shown);
    s.site.update(Ok(s.build("new")));
    assert_ne!(s.news()["build"], shown);
    assert!(s.get("/").contains("<p>new</p>"));
    // Another server is another build.
    assert_ne!(start().news()["build"], shown);
}

#[test]
fn pages_stay_while_builds_fail() {
    let s = start();
    let shown = s.news()["build"].clone();
    assert_eq!(s.news()["fault"], Value::Null);
    for _ in 0..3 {
        // Half of a build, and then nothing.
        drop(s.build("half"));
        s.site.update(Err(anyhow!("a </script> is missing")));
        assert!(s.get("/").contains("hello"));
    }
    let news = s.news();
    assert_eq!(news["build"], shown);
    let fault = news["fault"].as_str().unwrap();
    assert!(fault.contains("error: a </script> is missing\n"), "{fault}");
    s.site.update(Ok(s.build("mended")));
    assert_eq!(s.news()["fault"], Value::Null);
    assert!(s.get("/").contains("mended"));
}

#[test]
fn without_a_build_the_page_says_why() {
    let s = start_empty();
    s.site.update(Err(anyhow!("no <chapter>")));
    let page = s.get("/network/linear.html");
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    assert!(page.contains(">error: no &lt;chapter&gt;</pre>"), "{page}");
    let shown = s.news()["build"].clone();
    assert!(page.contains(shown.as_str().unwrap()), "{page}");
    s.site.update(Ok(s.build("hello")));
    assert_ne!(s.news()["build"], shown);
    assert!(s.get("/").contains("hello"));
}

#[test]
fn a_request_reads_one_build_to_its_end() {
    let s = start();
    thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..100).all(|_| {
                        s.get("/").contains("HTTP/1.1 200")
                            && s.get("/a%20b.css").ends_with("p{}")
                    })
                })
            })
            .collect();
        for n in 0..50 {
            s.site.update(Ok(s.build(&n.to_string())));
        }
        assert!(asked.into_iter().all(|a| a.join().unwrap()));
    });
    let builds = s.dir.path().join("target/book-builds");
    let folders = fs::read_dir(builds).unwrap();
    let folders = folders.filter(|e| e.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 1, "only what is shown is left");
}

#[test]
fn what_is_saved_during_a_build_is_built_next() {
    let s = start();
    let file = s.dir.path().join("a.md");
    fs::write(&file, "first").unwrap();
    let sources = vec![file.clone()];
    let (send, builds) = mpsc::channel();
    let (site, seen) = (Arc::clone(&s.site), stamps(&sources));
    let dir = s.dir.path().to_path_buf();
    fs::write(&file, "the second").unwrap();
    thread::spawn(move || {
        follow_sources(&site, &sources, seen, || {
            let text = fs::read_to_string(&file)?;
            if text == "the second" {
                fs::write(&file, "the third one")?;
            }
            let build = Aside::new(&dir)?;
            fs::create_dir(build.pages())?;
            fs::write(build.pages().join("index.html"), &text)?;
            let _ = send.send(text);
            Ok(build)
        });
    });
    let next = || builds.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(next(), "the second");
    assert_eq!(next(), "the third one");
    // Nothing has changed, but somebody has tidied up.
    while !s.get("/").contains("the third one") {}
    fs::remove_dir_all(s.dir.path().join("target")).unwrap();
    assert_eq!(next(), "the third one");
    while !s.get("/").contains("the third one") {}
}
