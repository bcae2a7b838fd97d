//! The figures in a log.

use anyhow::{Context, Result};

use super::notation::{leading_number, size};
use super::{Log, LoggedTest, TOTAL_TIME};
use crate::compare::figures::{Durations, Figures};
use crate::histogram::Percentile;

/// Nanoseconds per millisecond.
const NS_PER_MS: f64 = 1e6;

/// What 0.4.12 prints for a percentile beyond the range of its histogram.
const NO_PERCENTILE_MS: f64 = 1e7;

/// What every log ends with.
#[derive(Clone, Copy)]
pub(super) struct LoggedTotals {
    wall_s: f64,
    events: f64,
}

impl Log<'_> {
    /// The totals, without which a log is incomplete.
    pub(super) fn totals(&self) -> Result<LoggedTotals> {
        let incomplete = "the log ends before its statistics: the run did not end";
        Ok(LoggedTotals {
            wall_s: (self.number(TOTAL_TIME).context(incomplete)? - self.checkpoint_s).max(0.0),
            events: self.number("total number of events:").context(incomplete)?,
        })
    }

    pub(super) fn figures(&self, test: LoggedTest, totals: LoggedTotals) -> Figures {
        let LoggedTotals { wall_s, events } = totals;
        let figures = match test {
            LoggedTest::Cpu | LoggedTest::Threads | LoggedTest::Mutex => Figures {
                // 0.4.12 prints no rate, and 1.0 only that of cpu.
                events_per_s: self
                    .number("events per second:")
                    .or_else(|| (wall_s > 0.0).then_some(events / wall_s)),
                ..Figures::default()
            },
            LoggedTest::Memory => self.memory_figures(),
            LoggedTest::Fileio => self.fileio_figures(),
        };
        Figures {
            wall_s: Some(wall_s),
            latency: self.latency(),
            ..figures
        }
    }

    /// `min:`, `avg:` and so on, in milliseconds; 0.4.12 appends the unit.
    fn latency(&self) -> Durations {
        let ns = |prefix| Some(self.number(prefix)? * NS_PER_MS);
        let percentile = self.find(|line| {
            let (name, value) = line.split_once("percentile:")?;
            let percent = leading_number(name.trim_start_matches("approx.").trim_start())?;
            let ms = leading_number(value.trim())?;
            let known = ms < NO_PERCENTILE_MS;
            let ns = known.then_some(ms * NS_PER_MS)?;
            Some((Percentile::of_percent(percent)?, ns))
        });
        Durations {
            mean: ns("avg:"),
            max: ns("max:"),
            percentiles: percentile.into_iter().collect(),
            histogram: None,
        }
    }

    fn memory_figures(&self) -> Figures {
        let performed = self
            .after("Operations performed:")
            .or_else(|| self.after("Total operations:"));
        let moved = self.find(|line| {
            line.split_once(" MB transferred (")
                .or_else(|| line.split_once(" MiB transferred ("))
        });
        Figures {
            events_per_s: performed.and_then(|text| leading_number(text.split_once('(')?.1)),
            // The line is missing if no data is moved.
            mib_per_s: moved.and_then(|(_, rate)| leading_number(rate)),
            ..Figures::default()
        }
    }

    fn fileio_figures(&self) -> Figures {
        let sum = |a: &str, b: &str| Some(self.number(a)? + self.number(b)?);
        let requests = self.find(|line| {
            let number = line.strip_suffix("Requests/sec executed")?;
            number.trim().parse().ok()
        });
        let transferred = self.find(|line| {
            let (_, rate) = line.split_once("Total transferred")?.1.split_once('(')?;
            size(rate.split_once("/sec")?.0)
        });
        Figures {
            events_per_s: requests.or_else(|| sum("reads/s:", "writes/s:")),
            mib_per_s: transferred
                .map(|bytes| bytes / f64::from(1 << 20))
                .or_else(|| sum("read, MiB/s:", "written, MiB/s:")),
            ..Figures::default()
        }
    }
}
