//! The grade in the page: what the server tells of the files that
//! `cargo grade` leaves, to whom, and when.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use book::grades::Grades;
use book::serve::{Site, accept, bind, grade_saved};
use examiner::arrays::{Arrays, Window};
use examiner::{Exercise, Report, list};
use grade::kept::{self, Kept, KeptTask, SCHEMA};
use serde_json::Value;

const SOURCE: &str = "// an answer\n";

/// A server with grades for the exercises of a folder.
struct Running {
    address: SocketAddr,
    site: Arc<Site>,
    said: Arc<Mutex<Vec<String>>>,
    root: tempfile::TempDir,
}

fn exercise() -> &'static Exercise {
    list::find("linear").unwrap()
}

fn start() -> Running {
    let root = tempfile::tempdir().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let grades = Grades::new(root.path(), move |line| {
        log.lock().unwrap().push(line.to_owned());
    });
    let listener = bind(43_000).unwrap();
    let address = listener.local_addr().unwrap();
    let site = Arc::new(Site::new(Some(grades)));
    let running = Running {
        address,
        site: Arc::clone(&site),
        said,
        root,
    };
    running.save(SOURCE);
    thread::spawn(move || accept(&listener, &site));
    running
}

impl Running {
    /// Writes the learner's file.
    fn save(&self, text: &str) {
        let file = format!("exercises/src/{}.rs", exercise().slug);
        let file = self.root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Writes the file of the grade.
    fn keep(&self, text: &str) {
        let state = self.root.path().join("exercises/.grade");
        let file = kept::file(&state, exercise());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn request(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).unwrap();
        let port = self.address.port();
        let head = format!("Host: 127.0.0.1:{port}\r\n{headers}");
        let request = format!("GET {path} HTTP/1.1\r\n{head}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let mut answer = String::new();
        let mut stream = self.request(path, headers);
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The grade that the page of the exercise asks for.
    fn grade(&self) -> Value {
        let path = format!("/__grade?{}", exercise().slug);
        let answer = self.get(&path, "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("application/json"), "{head}");
        assert!(!body.contains('<'), "{body}");
        serde_json::from_str(body).unwrap()
    }
}

fn task(k: usize, status: &str, report: Option<Report>) -> KeptTask {
    KeptTask {
        task: exercise().tasks[k].name.into(),
        source: kept::fingerprint(SOURCE.as_bytes()),
        status: status.into(),
        remark: String::new(),
        printed: String::new(),
        report,
    }
}

fn text(tasks: Vec<KeptTask>) -> String {
    let kept = Kept {
        schema: SCHEMA.into(),
        exercise: exercise().slug.into(),
        errors: String::new(),
        tasks,
    };
    serde_json::to_string(&kept).unwrap()
}

#[test]
fn without_a_grade_there_is_nothing_to_show() {
    let s = start();
    let grade = s.grade();
    assert_eq!(grade["exercises"], serde_json::json!({}));
    assert_eq!(grade["here"], Value::Null);
    assert_eq!(grade["done"], 0);
}

#[test]
fn states_points_and_what_changed_since() {
    let s = start();
    let mut old = task(1, "wrong", None);
    old.source = "0".into();
    let none = task(2, "not attempted", None);
    s.keep(&text(vec![task(0, "passed", None), old, none]));
    let grade = s.grade();
    let points = exercise().tasks[0].points;
    let sum = &grade["exercises"][exercise().slug];
    assert_eq!(sum["passed"], 1);
    assert_eq!(sum["points"], points);
    assert_eq!(grade["points"], points);
    let tasks = grade["here"]["tasks"].as_array().unwrap();
    let states: Vec<_> = (tasks.iter())
        .map(|t| (t["state"].as_str().unwrap(), t["changed"] == true))
        .collect();
    let expected = [("passed", false), ("wrong", true), ("not begun", false)];
    assert_eq!(states, expected);
    s.save("// another answer\n");
    let grade = s.grade();
    assert_eq!(grade["here"]["tasks"][0]["changed"], true);
}

#[test]
fn an_exercise_is_done_when_all_of_its_tasks_are() {
    let s = start();
    let all = 0..exercise().tasks.len();
    s.keep(&text(all.map(|k| task(k, "passed", None)).collect()));
    assert_eq!(s.grade()["done"], 1);
}

#[test]
fn a_script_in_a_panic_stays_text() {
    let s = start();
    let evil = "a panic: <script>alert(1)</script>";
    let report = Report::new("y against the rule", evil, "");
    s.keep(&text(vec![task(0, "wrong", Some(report))]));
    let grade = s.grade();
    let report = grade["here"]["tasks"][0]["report"].as_array().unwrap();
    let got = report.iter().find(|e| e["label"] == "got").unwrap();
    assert_eq!(got["text"], evil);
}

#[test]
fn a_mistake_leads_to_its_section() {
    let s = start();
    let mistake = list::mistakes().next().unwrap();
    let report =
        Report::new("y", "1", "2").name(mistake, examiner::Evidence::Structure);
    s.keep(&text(vec![task(0, "wrong", Some(report))]));
    let grade = s.grade();
    let report = grade["here"]["tasks"][0]["report"].as_array().unwrap();
    let entry = report.iter().find(|e| e["label"] == "mistake").unwrap();
    let section = mistake.page.replace(".md#", ".html#");
    assert_eq!(entry["code"], mistake.code);
    assert_eq!(entry["link"], format!("/{section}"));
}

#[test]
fn a_wrong_array_comes_with_its_heat_maps() {
    let s = start();
    let window = |numbers: &str| Window {
        shape: vec![2, 2],
        start: [0, 0],
        columns: 2,
        numbers: numbers.into(),
    };
    let report = Report::new("dw", "[..]", "[..]");
    let report = report.drawn(Some(Arrays {
        got: window("1 2 3 4"),
        expected: window("1 3 2 4"),
        difference: Some(window("0 -1 1 0")),
    }));
    s.keep(&text(vec![task(0, "wrong", Some(report))]));
    let grade = s.grade();
    let maps = grade["here"]["tasks"][0]["maps"].as_array().unwrap();
    assert_eq!(maps.len(), 3);
    assert_eq!(maps[2]["title"], "difference (2,2)");
    assert!(maps[2]["svg"].as_str().unwrap().contains(">−1</text>"));
}

#[test]
fn a_damaged_or_foreign_file_is_ignored_with_a_word() {
    let s = start();
    for damaged in ["{\"schema\":", "{\"schema\": \"another/1\"}", "\u{0}"] {
        s.keep(damaged);
        for _ in 0..2 {
            assert_eq!(s.grade()["here"], Value::Null, "{damaged}");
        }
        let said = std::mem::take(&mut *s.said.lock().unwrap());
        assert_eq!(said.len(), 1, "said once: {said:?}");
        assert!(said[0].contains("linear.json is ignored: "), "{said:?}");
    }
    s.keep(&text(vec![task(0, "passed", None)]));
    assert_eq!(s.grade()["here"]["tasks"][0]["state"], "passed");
}

#[test]
fn a_result_reaches_an_open_page() {
    let s = start();
    let told = || {
        let answer = s.get("/__changes", "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let news: Value = serde_json::from_str(body).unwrap();
        news["grades"].as_str().unwrap().to_owned()
    };
    let before = told();
    assert_eq!(told(), before);
    s.keep(&text(vec![task(0, "passed", None)]));
    let graded = told();
    assert_ne!(graded, before);
    // And when the answer changes, for then the grade is an old one.
    s.save("// changed\n");
    assert_ne!(told(), graded);
}

#[test]
fn pages_of_other_servers_are_refused() {
    let s = start();
    s.keep(&text(vec![task(0, "passed", None)]));
    let own = format!("Origin: http://127.0.0.1:{}\r\n", s.address.port());
    for path in ["/__grade", "/__changes"] {
        for headers in ["", &own, "Sec-Fetch-Site: same-origin\r\n"] {
            let answer = s.get(path, headers);
            assert!(answer.starts_with("HTTP/1.1 200"), "{headers}: {answer}");
        }
    }
    for path in ["/__grade", "/__changes"] {
        for headers in [
            "Origin: http://evil.example\r\n",
            "Origin: null\r\n",
            "origin: http://127.0.0.1:1\r\n",
            "Origin: http://localhost\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            let answer = s.get(path, headers);
            assert!(answer.starts_with("HTTP/1.1 403"), "{headers}: {answer}");
            assert!(!answer.contains("points"), "{answer}");
        }
    }
}

#[test]
fn what_is_saved_is_graded_and_the_newest_text_wins() {
    let s = start();
    let (begun, runs) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let site = Arc::clone(&s.site);
    let path = s.root.path().join("exercises/src/network/linear.rs");
    thread::spawn(move || {
        grade_saved(&site, |exercise| {
            let text = fs::read_to_string(&path).unwrap();
            if begun.send((exercise.slug, text)).is_err() {
                return;
            }
            let _ = wait.recv();
        });
    });
    thread::sleep(Duration::from_millis(300));
    let next = || runs.recv_timeout(Duration::from_secs(5)).unwrap();
    s.save("first, and long");
    assert_eq!(next(), (exercise().slug, "first, and long".into()));
    // One at a time, and the page hears of it.
    s.save("second");
    s.save("third, the newest");
    assert!(runs.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(s.grade()["grading"], exercise().slug);
    go.send(()).unwrap();
    assert_eq!(next().1, "third, the newest");
    go.send(()).unwrap();
    assert!(runs.recv_timeout(Duration::from_millis(500)).is_err());
    assert_eq!(s.grade()["grading"], Value::Null);
}
