//! The time window of a result: machine activity and clock behavior during a run, excluding the
//! wait for its start.

use std::time::{Duration, SystemTime};

use crate::clock::TimeSource;
use crate::engine::{Observer, Progress, Snapshot};
use crate::host::{NoiseBefore, noise_start};
use crate::result::{Interval, Noise};

/// Observes the machine during a run, and forwards to another observer.
pub struct Window<'a> {
    time: &'a TimeSource,
    inner: &'a mut dyn Observer,
    started_at: SystemTime,
    /// Noise before the wait.
    before: Option<Noise>,
    noise: NoiseBefore,
}

impl<'a> Window<'a> {
    /// Opens the window of a run that begins now.
    pub fn open(time: &'a TimeSource, inner: &'a mut dyn Observer) -> Self {
        Self {
            time,
            inner,
            started_at: SystemTime::now(),
            before: None,
            noise: noise_start(),
        }
    }

    /// Returns when the run started, and what else the machine did during it.
    pub fn close(self) -> (SystemTime, Noise) {
        let noise = self.noise.since();
        let noise = self
            .before
            .map_or(noise.clone(), |before| before.plus(&noise));
        (self.started_at, noise)
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

    fn started(&mut self) {
        if self.before.is_some() {
            self.started_at = SystemTime::now();
        }
        self.inner.started();
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
