//! Work of a run: totals, rates, threads, intervals, and the overhead of measuring it.

use serde::{Deserialize, Serialize};

/// Totals over all threads of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Wall-clock time from before files are opened and threads created until the last thread has
    /// ended, without the wait for a start time; in an open loop and after a warm-up, from the common
    /// start of the threads.
    pub wall_s: f64,
    /// Number of events.
    pub events: u64,
    /// Sum of the latencies of all events.
    pub event_time_s: f64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Number of read requests.
    pub reads: u64,
    /// Number of write requests.
    pub writes: u64,
    /// Number of fsync, fdatasync or msync calls.
    pub fsyncs: u64,
}

/// Totals divided by the wall-clock time, as in sysbench.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rates {
    /// Events per second.
    pub events_per_s: f64,
    /// Mebibytes (2^20 bytes) read and written per second.
    pub mib_per_s: f64,
}

impl Rates {
    /// Returns the rates over a time; 0 if no time passed.
    pub fn over(events: u64, bytes: u64, seconds: f64) -> Self {
        let per_second = |n: f64| if seconds > 0.0 { n / seconds } else { 0.0 };
        Self {
            events_per_s: per_second(events as f64),
            mib_per_s: per_second(bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// Totals of one worker thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadTotals {
    /// Number of events.
    pub events: u64,
    /// Sum of their latencies.
    pub event_time_s: f64,
    /// Shortest latency; null without events.
    #[serde(default)]
    pub min_ns: Option<u64>,
    /// Longest latency; null without events.
    #[serde(default)]
    pub max_ns: Option<u64>,
}

/// Statistics of one report interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interval {
    /// End of the interval, in seconds since the start of the run.
    pub at_s: f64,
    /// Rate of the events that completed in the interval.
    pub events_per_s: f64,
    /// Mebibytes (2^20 bytes) per second of these events.
    pub mib_per_s: f64,
    /// 95th percentile of their latencies; null if there were none.
    pub p95_ns: Option<u64>,
    /// Rate of read requests; null in results of older versions.
    #[serde(default)]
    pub reads_per_s: Option<f64>,
    /// Rate of write requests; null in results of older versions.
    #[serde(default)]
    pub writes_per_s: Option<f64>,
    /// Rate of fsyncs; null in results of older versions.
    #[serde(default)]
    pub fsyncs_per_s: Option<f64>,
    /// Number of events that had arrived but not started at about the end of the interval; null in a
    /// closed loop.
    #[serde(default)]
    pub backlog_events: Option<u64>,
    /// Number of threads that were in an event then; null in a closed loop.
    #[serde(default)]
    pub busy_threads: Option<u64>,
}

/// Overhead of the measurement, from a short run of empty events with the same engine, clock and
/// number of threads, but at most one per CPU, before the run. It is not subtracted from any number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Harness {
    /// CPU time per event besides its work: claiming it, reading the clock, recording it.
    /// Null if the run ended before it was measured.
    pub event_overhead_ns: Option<f64>,
    /// Median latency of the empty events: the part that every latency includes.
    #[serde(default)]
    pub latency_floor_ns: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_over_no_time_are_zero() {
        assert_eq!(Rates::over(5, 1 << 20, 0.0), Rates::default());
        assert_eq!(Rates::over(5, 1 << 20, 0.5).mib_per_s, 2.0);
    }
}
