//! The time window of a result: machine activity and clock behavior during a run, excluding the
//! wait for its start.

use std::time::{Duration, SystemTime};

use crate::clock::TimeSource;
use crate::engine::{Observer, Progress, Snapshot};
use crate::host::accounting::{SystemActivity, SystemCounters, SystemReading};
use crate::host::{NoiseBefore, SystemRoot, noise_start};
use crate::result::{Interval, Noise};

/// Observes the machine during a run, and forwards to another observer.
pub struct Window<'a> {
    time: &'a TimeSource,
    inner: &'a mut dyn Observer,
    started_at: SystemTime,
    /// Noise before the wait.
    before: Option<Noise>,
    noise: NoiseBefore,
    counters: SystemCounters,
    /// Reading at the start of the threads.
    at_start: Option<SystemReading>,
    system: SystemActivity,
}

/// What happened during the window.
pub struct Observed {
    /// When the run started.
    pub started_at: SystemTime,
    /// Other activity of the machine.
    pub noise: Noise,
    /// Activity of the machine and of the control groups between the start of the threads and
    /// their end.
    pub system: SystemActivity,
}

impl<'a> Window<'a> {
    /// Opens the window of a run that begins now.
    ///
    /// `device` is the one below the test files, if there are any.
    pub fn open(time: &'a TimeSource, device: Option<&str>, inner: &'a mut dyn Observer) -> Self {
        Self {
            time,
            inner,
            started_at: SystemTime::now(),
            before: None,
            counters: SystemCounters::find(SystemRoot::default(), device),
            at_start: None,
            system: SystemActivity::default(),
            noise: noise_start(),
        }
    }

    /// Returns when the run started, and what the machine did during it.
    pub fn close(self) -> Observed {
        let noise = self.noise.since();
        let noise = self
            .before
            .map_or(noise.clone(), |before| before.plus(&noise));
        Observed {
            started_at: self.started_at,
            noise,
            system: self.system,
        }
    }
}

impl Observer for Window<'_> {
    fn waiting(&mut self) {
        self.before = Some(self.noise.since());
        self.inner.waiting();
    }

    fn wait_ended(&mut self) {
        self.inner.wait_ended();
        self.noise = noise_start();
        self.time.begin();
    }

    fn ready(&mut self) {
        self.at_start = Some(self.counters.read());
        self.inner.ready();
    }

    fn warmed_up(&mut self) {
        self.before = None;
        self.started_at = SystemTime::now();
        self.noise = noise_start();
        self.time.begin();
        self.inner.warmed_up();
    }

    fn started(&mut self) {
        if self.before.is_some() {
            self.started_at = SystemTime::now();
        }
        self.inner.started();
    }

    fn ended(&mut self) {
        if let Some(at_start) = &self.at_start {
            self.system = self.counters.since(at_start);
        }
        self.inner.ended();
    }

    fn progress_interval(&self) -> Option<Duration> {
        self.inner.progress_interval()
    }

    fn progress(&mut self, elapsed: Duration, progress: Progress) {
        self.inner.progress(elapsed, progress);
    }

    fn interval(&mut self, interval: &Interval, percentile_ns: Option<u64>) {
        self.inner.interval(interval, percentile_ns);
    }

    fn interval_percentile(&self) -> f64 {
        self.inner.interval_percentile()
    }

    fn snapshot_times(&self) -> Option<Vec<Duration>> {
        self.inner.snapshot_times()
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        self.inner.snapshot(snapshot);
    }

    fn rest(&mut self, rest: &Snapshot) {
        self.inner.rest(rest);
    }
}
