//! One task, one process.

use crate::Error;
use examiner::run::{HANDOVER, Handback, Handover};
use examiner::{Verdict, memory};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
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
}

/// One test of a test binary, under a handover.
#[derive(Debug)]
pub struct Job<'a> {
    /// The test binary.
    pub binary: &'a Path,
    /// Where it runs: the package's directory.
    pub directory: &'a Path,
    /// Where the verdict file may be.
    pub scratch: &'a Path,
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
    ///
    /// # Errors
    /// If the verdict file cannot be made or the binary cannot be started.
    pub fn run(&self) -> Result<(End, String), Error> {
        let nonce = nonce();
        let name = format!("{}-{}.verdict", std::process::id(), &nonce[..8]);
        let verdict = Removed(self.scratch.join(name));
        File::create_new(&verdict.0)
            .map_err(Error::file("cannot write", &verdict.0))?;
        let handover = Handover {
            nonce: nonce.clone(),
            seed: self.seed,
            verdict: verdict.0.clone(),
            memory: self.limits.memory,
        };
        let mut child = self
            .start()
            .map_err(Error::file("cannot start", self.binary))?;
        // Held open to the end: the process ends when this does.
        let mut stdin = child.stdin.take().expect("piped");
        let mut line =
            serde_json::to_string(&handover).expect("a handover is JSON");
        line.push('\n');
        // A process that is gone already shows in how it ended.
        let _ = stdin.write_all(line.as_bytes());
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let stdout = Capture::start(stdout, self.limits.output);
        let stderr = Capture::start(stderr, self.limits.output);
        let status = wait(&mut child, self.limits.time);
        // Also its children, which may hold the pipes open.
        kill(&mut child);
        drop(stdin);
        let stdout = stdout.finish();
        let stderr = stderr.finish();
        let written = read_start(&verdict.0);
        let end = match self.handed_back(&written, &nonce) {
            Some(verdict) => End::Judged(verdict),
            None => end(status, &written, &stderr),
        };
        Ok((end, self.printed(&stdout, &stderr)))
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(self.binary);
        command
            .args([self.task, "--exact", "--test-threads=1", "--nocapture"])
            .current_dir(self.directory)
            .env(HANDOVER, "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }

    /// The verdict, if one under the right seal for this task was written.
    fn handed_back(&self, written: &str, nonce: &str) -> Option<Verdict> {
        let task = format!("{}/{}", self.slug, self.task);
        written
            .lines()
            .filter_map(|l| serde_json::from_str::<Handback>(l).ok())
            .find(|h| h.task == task && h.is_sealed_by(nonce))
            .map(|h| h.verdict)
    }

    /// What the learner's code printed, without the test harness's own words.
    fn printed(&self, stdout: &str, stderr: &str) -> String {
        let head = format!("test {} ... ", self.task);
        let stdout = stdout.split_once(&head).map_or("", |(_, rest)| rest);
        format!("{}\n{}", stdout.trim(), stderr.trim())
            .trim()
            .to_owned()
    }
}

/// The beginning of a file that an answer may have made huge.
fn read_start(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(4 << 20).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a process without a verdict ended.
fn end(status: Option<ExitStatus>, written: &str, stderr: &str) -> End {
    let Some(status) = status else {
        return End::TimedOut;
    };
    let refused = written.lines().find_map(|l| {
        let mut numbers = l.strip_prefix(memory::REFUSED)?.split_whitespace();
        let asked = numbers.next()?.parse().ok()?;
        let held = numbers.next()?.parse().ok()?;
        Some(End::OutOfMemory { asked, held })
    });
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

/// Ends the process and those that it started.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: a plain call. The group is the child's own: `start` made it.
        // After the child was waited for, a group with this number is its own
        // still, or gone.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads a pipe on a thread of its own and keeps the beginning.
struct Capture {
    text: Receiver<Vec<u8>>,
    most: usize,
}

impl Capture {
    fn start(mut pipe: impl Read + Send + 'static, most: usize) -> Self {
        let (send, text) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            let mut kept = 0;
            while let Ok(n) = pipe.read(&mut buffer)
                && n > 0
            {
                // One byte more than is kept, to know that there was more.
                let n = n.min(most + 1 - kept);
                kept += n;
                if n > 0 && send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { text, most }
    }

    /// All that was kept. Should a process that left the group still hold the
    /// pipe, it is not waited for.
    fn finish(self) -> String {
        let mut all = Vec::new();
        let end = Instant::now() + Duration::from_millis(500);
        loop {
            let patience = end.saturating_duration_since(Instant::now());
            match self.text.recv_timeout(patience) {
                Ok(bytes) => all.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        let cut = all.len() > self.most;
        all.truncate(self.most);
        let mut text = String::from_utf8_lossy(&all).into_owned();
        if cut {
            text += "\n... (more was printed)";
        }
        text
    }
}

/// A file that is removed when this goes.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// 32 hexadecimal digits that nobody can guess: the standard library draws
/// the keys of its hash maps from the system's random source.
fn nonce() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
