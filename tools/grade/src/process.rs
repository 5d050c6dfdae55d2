//! One task, one process.

use crate::group::Group;
use crate::text::{self, harmless};
use examiner::run::{HANDOVER, Handback, Handover};
use examiner::{Verdict, memory};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::mem;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// What a task's process may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall time.
    pub time: Duration,
    /// Bytes held at once.
    pub memory: usize,
    /// Bytes that are kept of what it prints.
    pub output: usize,
}

impl Default for Limits {
    /// 20 seconds, 2 GiB, 16 KiB.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            memory: memory::LIMIT,
            output: 16 << 10,
        }
    }
}

/// How a task's process ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With a verdict under the right seal.
    Judged(Verdict),
    /// Killed after the time limit.
    TimedOut,
    /// It asked for more memory than it may hold: the request and what it
    /// held, in bytes.
    OutOfMemory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes held at the time.
        held: usize,
    },
    /// Endless recursion, most likely.
    StackOverflow,
    /// By a signal or with an error, and without a verdict.
    Crashed(String),
    /// As if all were well, but without a verdict.
    EndedEarly,
    /// It could not be started: what the system says.
    NotStarted(String),
}

/// One test of a test binary, under a handover.
#[derive(Debug)]
pub struct Job<'a> {
    /// The test binary.
    pub binary: &'a Path,
    /// Where it runs: the package's directory.
    pub directory: &'a Path,
    /// The exercise.
    pub slug: &'a str,
    /// The task, which is the name of the test.
    pub task: &'a str,
    /// Of the inputs that the check draws.
    pub seed: u64,
    /// What it may use.
    pub limits: Limits,
}

impl Job<'_> {
    /// Runs it; also returns what it printed.
    pub fn run(&self) -> (End, String) {
        let nonce = nonce();
        let handover = Handover {
            nonce: nonce.clone(),
            seed: self.seed,
            memory: self.limits.memory,
        };
        let mut group = match self.start() {
            Ok(group) => group,
            Err(why) => {
                return (End::NotStarted(why.to_string()), String::new());
            }
        };
        let child = &mut group.child;
        // Held open to the end: the process ends when this does.
        let mut stdin = child.stdin.take().expect("piped");
        let mut line =
            serde_json::to_string(&handover).expect("a handover is JSON");
        line.push('\n');
        // A process that is gone already shows in how it ended.
        let _ = stdin.write_all(line.as_bytes());
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let most = self.limits.output;
        let task = format!("{}/{}", self.slug, self.task);
        let stdout = Capture::start(stdout, most, move |line| {
            Said::read(line, &task, &nonce)
        });
        let stderr = Capture::start(stderr, most, |_| None);
        let status = wait(child, self.limits.time);
        // Also its children, which may hold the pipes open.
        group.end();
        drop(stdin);
        let (stdout, said) = stdout.finish();
        let (stderr, _) = stderr.finish();
        let refused = said.iter().find_map(Said::refused);
        let verdict = said.into_iter().find_map(Said::verdict);
        let end = match verdict {
            Some(verdict) => End::Judged(text::verdict(verdict)),
            None => end(status, refused, &stderr),
        };
        (end, self.printed(&stdout, &stderr))
    }

    fn start(&self) -> std::io::Result<Group> {
        let mut command = Command::new(self.binary);
        command
            .args([self.task, "--exact", "--test-threads=1", "--nocapture"])
            .current_dir(self.directory)
            .env(HANDOVER, "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Group::start(&mut command)
    }

    /// What the learner's code printed, without the test harness's own words.
    fn printed(&self, stdout: &str, stderr: &str) -> String {
        let head = format!("test {} ... ", self.task);
        let stdout = stdout.split_once(&head).map_or("", |(_, rest)| rest);
        let all = format!("{}\n{}", stdout.trim(), stderr.trim());
        harmless(all.trim())
    }
}

/// What the harness says in between what the learner's code prints.
#[derive(Debug)]
enum Said {
    /// The verdict, under the right seal.
    Verdict(Verdict),
    /// Memory was refused: so much, while so much was held.
    Refused(usize, usize),
}

impl Said {
    fn read(line: &str, task: &str, nonce: &str) -> Option<Self> {
        if let Some(numbers) = line.strip_prefix(memory::REFUSED) {
            let mut numbers = numbers.split_whitespace();
            let asked = numbers.next()?.parse().ok()?;
            let held = numbers.next()?.parse().ok()?;
            return Some(Self::Refused(asked, held));
        }
        if !line.starts_with(Handback::MARK) {
            return None;
        }
        let handback: Handback = serde_json::from_str(line).ok()?;
        let honest = handback.task == task && handback.is_sealed_by(nonce);
        honest.then_some(Self::Verdict(handback.verdict))
    }

    fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Verdict(verdict) => Some(verdict),
            Self::Refused(..) => None,
        }
    }

    fn refused(&self) -> Option<End> {
        match *self {
            Self::Refused(asked, held) => {
                Some(End::OutOfMemory { asked, held })
            }
            Self::Verdict(_) => None,
        }
    }
}

/// How a process without a verdict ended.
fn end(status: Option<ExitStatus>, refused: Option<End>, stderr: &str) -> End {
    let Some(status) = status else {
        return End::TimedOut;
    };
    let code = status.code().map(|c| c as u32);
    if status.success() {
        End::EndedEarly
    } else if let Some(refused) = refused {
        refused
    } else if stderr.contains("has overflowed its stack")
        || code == Some(0xC000_00FD)
    {
        End::StackOverflow
    } else {
        End::Crashed(status.to_string())
    }
}

/// Waits at most that long; `None` if the process still runs then.
fn wait(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let passed = start.elapsed();
        if passed >= time {
            return None;
        }
        // Often first, then less so.
        let nap = (passed / 8)
            .clamp(Duration::from_micros(500), Duration::from_millis(20));
        std::thread::sleep(nap);
    }
}

/// Reads a pipe on a thread of its own, keeps the beginning, and picks the
/// lines out that are not for the learner, wherever they come.
struct Capture {
    pieces: Receiver<Piece>,
    most: usize,
}

enum Piece {
    Printed(Vec<u8>),
    Picked(Said),
}

/// A line that is longer was not written by the harness.
const LONGEST: usize = 4 << 20;

/// How many lines are picked: the harness writes two at most.
const PICKED: usize = 64;

impl Capture {
    fn start(
        mut pipe: impl Read + Send + 'static,
        most: usize,
        pick: impl Fn(&str) -> Option<Said> + Send + 'static,
    ) -> Self {
        let (send, pieces) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            let mut line = Vec::new();
            // One byte more than is kept, to know that there was more.
            let (mut room, mut picked) = (most + 1, 0);
            let mut take = |line: &mut Vec<u8>| {
                let text = str::from_utf8(line).ok();
                let found = text.filter(|_| picked < PICKED);
                let found = found.and_then(|l| pick(l.trim_end()));
                let piece = match found {
                    Some(found) => {
                        picked += 1;
                        line.clear();
                        Piece::Picked(found)
                    }
                    None => {
                        let mut line = mem::take(line);
                        line.truncate(room);
                        room -= line.len();
                        if line.is_empty() {
                            return true;
                        }
                        Piece::Printed(line)
                    }
                };
                send.send(piece).is_ok()
            };
            while let Ok(n) = pipe.read(&mut buffer)
                && n > 0
            {
                for part in buffer[..n].split_inclusive(|b| *b == b'\n') {
                    line.extend_from_slice(part);
                    let whole = part.ends_with(b"\n") || line.len() > LONGEST;
                    if whole && !take(&mut line) {
                        return;
                    }
                }
            }
            take(&mut line);
        });
        Self { pieces, most }
    }

    /// All that was kept, and what was picked. Should a process that left the
    /// group still hold the pipe, it is not waited for.
    fn finish(self) -> (String, Vec<Said>) {
        let (mut all, mut picked) = (Vec::new(), Vec::new());
        let end = Instant::now() + Duration::from_secs(2);
        loop {
            let patience = end.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(patience) {
                Ok(Piece::Printed(bytes)) => all.extend(bytes),
                Ok(Piece::Picked(found)) => picked.push(found),
                Err(_) => break,
            }
        }
        let cut = all.len() > self.most;
        all.truncate(self.most);
        let mut text = String::from_utf8_lossy(&all).into_owned();
        if cut {
            text += "\n... (more was printed)";
        }
        (text, picked)
    }
}

/// 32 hexadecimal digits that nobody can guess: the standard library draws
/// the keys of its hash maps from the system's random source.
fn nonce() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// From now on nobody but root reads the memory of this process, where the
/// nonces are: as a rule other processes of the same user may.
pub(crate) fn close_memory() {
    #[cfg(target_os = "linux")]
    // SAFETY: a plain call with numbers.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0)
    };
}
