//! A process and all that it starts, which end together: when they are done
//! with, when their time is up, and when the grader itself is stopped.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard};

/// The groups that run, by the number of their first process.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(|e| e.into_inner())
}

/// A process in a group of its own. When this goes, so does the group.
#[derive(Debug)]
pub struct Group {
    /// The first process.
    pub child: Child,
}

impl Group {
    /// Starts it.
    ///
    /// # Errors
    /// If the system does not.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        // Held meanwhile: whoever ends all of them finds this one, too.
        let mut running = running();
        let child = command.spawn()?;
        running.push(child.id());
        Ok(Self { child })
    }

    /// Ends the process and those that it started.
    pub fn end(&mut self) {
        kill(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
        running().retain(|id| *id != self.child.id());
    }
}

#[cfg(unix)]
fn kill(group: u32) {
    if let Ok(group) = libc::pid_t::try_from(group) {
        // SAFETY: a plain call. The group is the child's own: `start` made it.
        // After the child was waited for, a group with this number is its own
        // still, or gone.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

#[cfg(not(unix))]
fn kill(_group: u32) {}

/// From now on a signal that ends this program first ends every [`Group`]:
/// these do not hear of Ctrl-C by themselves. The exit code is the one by which
/// a shell knows such an end: 130 after Ctrl-C.
///
/// On other systems than Unix there are no groups, and Ctrl-C reaches all.
///
/// # Errors
/// If the system does not let signals be handled.
pub fn end_with_signals() -> io::Result<()> {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        // What was started to outlive its terminal, does.
        let heard = [SIGHUP, SIGINT, SIGTERM]
            .into_iter()
            .filter(|s| !ignored(*s));
        let mut signals = signal_hook::iterator::Signals::new(heard)?;
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Never given back: nothing starts any more.
                let running = running();
                running.iter().for_each(|id| kill(*id));
                std::process::exit(128 + signal);
            }
        });
    }
    Ok(())
}

/// Whether whoever started this program wants the signal ignored: `nohup` does.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks and changes nothing; the struct is filled if the call says
    // that it went well.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
