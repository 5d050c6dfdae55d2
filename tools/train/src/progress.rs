//! What a run shows while it runs: a bar on a terminal, lines elsewhere.

use backprop::training::classifier::{Epoch, Event};
use backprop::training::language::Report;
use backprop::training::policy;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Writes a line to standard output. That nobody reads it is no error.
pub(crate) fn say(line: std::fmt::Arguments) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A bar on standard error; hidden, and `true`, if that is no terminal.
fn bar(step: u64, steps: u64) -> (ProgressBar, bool) {
    let plain = !std::io::stderr().is_terminal();
    let target = match plain {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr_with_hz(15),
    };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let style = "{bar:30} {pos}/{len} steps  {msg}  {eta} left";
    bar.set_style(
        ProgressStyle::with_template(style).expect("a valid template"),
    );
    bar.set_position(step);
    (bar, plain)
}

/// Shows steps and epochs on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    epochs: u64,
    done: u64,
    smooth: Option<f64>,
}

impl Progress {
    /// `step` of `steps` are done already, `done` of `epochs` as well.
    pub(crate) fn new(step: u64, steps: u64, done: u64, epochs: u64) -> Self {
        let (bar, plain) = bar(step, steps);
        Progress {
            bar,
            plain,
            epochs,
            done,
            smooth: None,
        }
    }

    pub(crate) fn show(&mut self, event: Event) {
        match event {
            Event::Step { loss, .. } => {
                let smooth =
                    self.smooth.map_or(loss, |s| s + 0.05 * (loss - s));
                self.smooth = Some(smooth);
                self.bar.inc(1);
            }
            Event::Report(epoch) => {
                self.done += 1;
                self.epoch(epoch);
            }
        }
    }

    fn epoch(&self, e: &Epoch) {
        let percent = 100. * e.test_accuracy;
        let (loss, test) = (self.smooth.unwrap_or(e.running_loss), e.test_loss);
        if !self.plain {
            self.bar.set_message(format!(
                "loss {loss:.3}  test {test:.3}, {percent:.1} % right"
            ));
            return;
        }
        // About ten lines for a run, whatever its length.
        let every = self.epochs.div_ceil(10);
        if self.done.is_multiple_of(every) || self.done == self.epochs {
            let _ = writeln!(
                std::io::stderr(),
                "epoch {:>3}/{}  train loss {:.4}  test loss {:.4}  \
                 test accuracy {percent:.2} %",
                self.done,
                self.epochs,
                e.train_loss,
                e.test_loss,
            );
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The same for a language model: loss, speed, the norm of the gradient, and
/// at each report a line of what the model writes.
pub(crate) struct Written {
    bar: ProgressBar,
    plain: bool,
    steps: u64,
    /// Tokens of a step, and steps since `started`.
    tokens: u64,
    taken: u64,
    started: Instant,
    smooth: Option<f64>,
    norm: f64,
}

impl Written {
    pub(crate) fn new(step: u64, steps: u64, tokens: u64) -> Self {
        let (bar, plain) = bar(step, steps);
        Written {
            bar,
            plain,
            steps,
            tokens,
            taken: 0,
            started: Instant::now(),
            smooth: None,
            norm: f64::NAN,
        }
    }

    pub(crate) fn step(&mut self, loss: f64, norm: f64) {
        let smooth = self.smooth.map_or(loss, |s| s + 0.05 * (loss - s));
        self.smooth = Some(smooth);
        (self.norm, self.taken) = (norm, self.taken + 1);
        if !self.plain {
            let speed = self.speed();
            self.bar.set_message(format!(
                "loss {smooth:.3}  norm {norm:.2}  {speed} tokens/s"
            ));
        }
        self.bar.inc(1);
    }

    /// Tokens in a second since the last report.
    fn speed(&self) -> u64 {
        let seconds = self.started.elapsed().as_secs_f64();
        ((self.taken * self.tokens) as f64 / seconds.max(1e-9)) as u64
    }

    pub(crate) fn report(&mut self, report: &Report, glimpse: &str) {
        let (step, width) = (report.step, self.steps.to_string().len());
        let loss = match self.smooth {
            None => String::new(),
            Some(loss) => format!("  loss {loss:.3}"),
        };
        let mut line = format!(
            "step {step:>width$}/{}{loss}  validation {:.3}",
            self.steps, report.validation
        );
        if self.taken > 0 {
            let speed = self.speed();
            line += &format!("  norm {:.2}  {speed} tokens/s", self.norm);
        }
        let glimpse = glimpse.trim().replace('\n', " / ");
        let lines = format!("{line}\n    {glimpse}");
        match self.plain {
            true => {
                let _ = writeln!(std::io::stderr(), "{lines}");
            }
            false => self.bar.println(lines),
        }
        (self.taken, self.started) = (0, Instant::now());
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The same for a policy: the exact expected return, beside the best possible.
pub(crate) struct Returned {
    bar: ProgressBar,
    plain: bool,
    steps: u64,
    best: f64,
}

impl Returned {
    pub(crate) fn new(step: u64, steps: u64, best: f64) -> Self {
        let (bar, plain) = bar(step, steps);
        Returned {
            bar,
            plain,
            steps,
            best,
        }
    }

    pub(crate) fn show(&self, event: policy::Event) {
        let policy::Event::Report(report) = event else {
            return self.bar.inc(1);
        };
        let (value, best) = (report.value, self.best);
        let line = format!("return {value:.3}, at best {best:.3}");
        // About ten lines for a run, whatever its length.
        let every = self.steps.div_ceil(10).max(1);
        let (step, width) = (report.step, self.steps.to_string().len());
        if !self.plain {
            self.bar.set_message(line);
        } else if step.is_multiple_of(every) || step == self.steps {
            let at = format!("step {step:>width$}/{}", self.steps);
            let _ = writeln!(std::io::stderr(), "{at}  {line}");
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
