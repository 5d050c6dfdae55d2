//! What a run shows while it runs: a bar on a terminal, lines elsewhere.

use backprop::training::trainer::{Epoch, Event};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Writes a line to standard output. That nobody reads it is no error.
pub(crate) fn say(line: std::fmt::Arguments) {
    let _ = writeln!(std::io::stdout(), "{line}");
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
        Progress {
            bar,
            plain,
            epochs,
            done,
            smooth: None,
        }
    }

    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Step { loss } => {
                let smooth =
                    self.smooth.map_or(*loss, |s| s + 0.05 * (loss - s));
                self.smooth = Some(smooth);
                self.bar.inc(1);
            }
            Event::Epoch(epoch) => {
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
