//! Progress on standard error, only if that is a terminal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::{Observer, Progress};
use crate::report::text::{self, Columns};
use crate::result::Interval;
use crate::terminal;

/// Refresh period of a bar during a run. The main thread draws it, which measures nothing.
pub(super) const PACE: Duration = Duration::from_millis(250);

/// Resolution of a run's progress bar.
pub(super) const STEPS: u64 = 1000;

/// Destination of interval lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalLines {
    /// To standard output.
    Stdout,
    /// Standard output, after the time in seconds since 1970, as sysbench 0.4.12 does.
    TimedStdout,
    /// Standard error, because standard output contains something else.
    Stderr,
    /// Not printed.
    Nowhere,
}

/// Returns a bar with rate and remaining time for the creation of files.
pub fn preparing(total_bytes: u64, quiet: bool) -> ProgressBar {
    let template = "preparing {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
    bar(total_bytes, template, quiet)
}

/// Returns a bar on standard error, hidden if quiet or not on a terminal.
pub(super) fn bar(length: u64, template: &str, quiet: bool) -> ProgressBar {
    let target = match quiet {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}

/// Shows the progress of a run to the user.
pub struct RunProgress {
    bar: ProgressBar,
    max_time: Option<Duration>,
    lines: IntervalLines,
    columns: Columns,
}

impl RunProgress {
    /// Creates the progress of a run with this time limit.
    pub fn new(
        max_time: Option<Duration>,
        lines: IntervalLines,
        columns: Columns,
        quiet: bool,
    ) -> Self {
        Self {
            bar: bar(STEPS, "running {wide_bar} {percent}% {msg}", quiet),
            max_time,
            lines,
            columns,
        }
    }
}

impl Observer for RunProgress {
    fn progress_interval(&self) -> Option<Duration> {
        (!self.bar.is_hidden()).then_some(PACE)
    }

    fn progress(&mut self, elapsed: Duration, progress: Progress) {
        let by_work = progress
            .total
            .map_or(0.0, |total| progress.done as f64 / total.max(1) as f64);
        let by_time = self
            .max_time
            .map_or(0.0, |max| elapsed.as_secs_f64() / max.as_secs_f64());
        let part = by_work.max(by_time).min(1.0);
        self.bar.set_position((part * STEPS as f64) as u64);
        self.bar
            .set_message(format!("{:.0} s", elapsed.as_secs_f64()));
    }

    fn interval(&mut self, interval: &Interval, _: Option<u64>) {
        let line = text::interval(interval, self.columns);
        self.bar.suspend(|| match self.lines {
            // A failed write must not end the run; printing the report will report it.
            IntervalLines::Stdout => _ = crate::output::print(&line),
            IntervalLines::TimedStdout => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                let seconds = since.map_or(0, |since| since.as_secs());
                _ = crate::output::print(&format!("[{seconds}] {line}"));
            }
            IntervalLines::Stderr => terminal::print_report(&line),
            IntervalLines::Nowhere => {}
        });
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
