//! The server: what it answers, to whom, and what it never shows.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use book::serve::{Site, accept, bind};

struct Running {
    address: SocketAddr,
    site: Arc<Site>,
    _dir: tempfile::TempDir,
}

fn start() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("pages");
    fs::create_dir_all(pages.join("katex/fonts")).unwrap();
    fs::write(pages.join("index.html"), "<p>hello</p>").unwrap();
    fs::write(pages.join("a b.css"), "p{}").unwrap();
    fs::write(pages.join("404.html"), "lost").unwrap();
    fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    let listener = bind(41_000).unwrap();
    let address = listener.local_addr().unwrap();
    let site = Arc::new(Site::new(pages));
    let server = Arc::clone(&site);
    thread::spawn(move || accept(&listener, &server));
    Running {
        address,
        site,
        _dir: dir,
    }
}

impl Running {
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
}

#[test]
fn pages_come_with_their_type_and_the_reload_line() {
    let s = start();
    let page = s.get("/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("text/html") && page.contains("<p>hello</p>"));
    assert!(page.contains("EventSource"), "{page}");
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
        "/%2fetc%2fpasswd",
        "/..%5csecret.txt",
        "/%00",
        "/%zz",
    ] {
        let answer = s.get(path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(answer.ends_with("lost"), "{path}: {answer}");
    }
}

#[test]
fn head_has_no_body_and_post_is_refused() {
    let s = start();
    let port = s.address.port();
    let head = s.send(&format!(
        "HEAD / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    ));
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"));
    let post = s.send(&format!(
        "POST / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    ));
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
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
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("index.html"), "<p>new</p>").unwrap();
    let site = Arc::clone(&s.site);
    let pages = other.path().to_path_buf();
    let change = thread::spawn(move || site.replace(pages));
    // Answers when the build shown (0) is no longer the newest, then ends.
    let stream = s.get("/__changes?0");
    change.join().unwrap();
    assert!(stream.contains("text/event-stream"), "{stream}");
    assert!(stream.contains("data: changed"), "{stream}");
    assert!(s.get("/").contains("<p>new</p>"));
}
