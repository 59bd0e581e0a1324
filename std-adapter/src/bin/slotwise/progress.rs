//! How far long work has come, on a terminal only.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line at the bottom of the terminal; nothing at all when standard error is not one.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar up to `total` parts of something, for instance the 16,384 slots. `prints` says that the verb writes
    /// lines while it works: then there is no bar when they go to the same terminal.
    pub(crate) fn bar(total: u64, prints: bool) -> Self {
        Self::new(Some(total), prints, "{bar:30} {percent:>3}%  {msg}  [{elapsed_precise}]")
    }

    /// For work whose end is not known.
    pub(crate) fn spinner(prints: bool) -> Self {
        Self::new(None, prints, "{spinner} {msg}  [{elapsed_precise}]")
    }

    fn new(total: Option<u64>, prints: bool, template: &str) -> Self {
        let shown = io::stderr().is_terminal() && !(prints && io::stdout().is_terminal());
        let target = if shown { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if shown {
            bar.enable_steady_tick(Duration::from_millis(125));
        }
        Self(bar)
    }

    /// Moves to `done` parts and shows `message`, which is only built when somebody sees it.
    pub(crate) fn at(&self, done: u64, message: impl FnOnce() -> String) {
        if !self.0.is_hidden() {
            self.0.set_message(message());
            self.0.set_position(done);
        }
    }

    /// Prints a line to standard error without tearing the bar.
    pub(crate) fn note(&self, line: &str) {
        self.0.suspend(|| eprintln!("slotwise: {line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
