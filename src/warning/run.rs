//! The run itself: its harness, its start, and how it differs from what was requested.

use std::fmt;

use super::{Code, Reason};
use crate::format::{count, duration, significant};
use crate::plan::RunPlan;
use crate::result::{OpenLoop, RunResult};

/// Largest share of the harness in the time of an event without a warning.
pub const HARNESS_SHARE: f64 = 0.1;

/// Smallest share of the events of an open loop that have to start without a warning. At the end of a
/// run that holds its rate a few events may wait, too: as many as there are threads never warn.
pub const RATE_SHARE: f64 = 0.99;

/// Longest delay of a start without a warning, in seconds: threads that wait for a CPU may take
/// as long.
pub const LATE_S: f64 = 0.05;

/// Why a run may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum RunWarning {
    /// The harness takes this share of the time of an event.
    HarnessShare(f64),
    /// Events arrived faster than they were started.
    RateNotHeld {
        /// Rate of the arrivals, per second.
        rate_per_s: f64,
        /// Rate of the events that started, per second.
        reached_per_s: f64,
        /// Number of events that were waiting at the end.
        backlog_events: u64,
    },
    /// Waiting threads yielded their CPU.
    NoSpareCpu {
        /// Worker threads.
        threads: u64,
        /// CPUs that this process may use.
        cpus: f64,
        /// Mean delay of the events that a thread waited for, if any.
        start_delay_ns: Option<f64>,
    },
    /// The run began this many seconds after its start time.
    LateStart(f64),
    /// The files are smaller than requested, as this sentence says.
    RoundedFiles(String),
    /// The measurement is this share of what its profile says.
    Scaled(f64),
}

impl RunWarning {
    /// Returns the warnings of a result that the plan gave.
    pub fn of(result: &RunResult, plan: &RunPlan) -> impl Iterator<Item = Self> {
        let rounding = plan.files.as_ref().and_then(|files| files.set.rounding());
        Self::of_harness(result)
            .into_iter()
            .chain(Self::of_rate(result))
            .chain(Self::of_spare_cpu(result))
            .chain(Self::of_start(result))
            .chain(rounding.map(Self::RoundedFiles))
    }

    fn of_harness(result: &RunResult) -> Option<Self> {
        let overhead = result.harness.event_overhead_ns?;
        // In an open loop, latencies include the wait for the start.
        let service = result.service_latency_ns.as_ref();
        let latency = service.or(result.latency_ns.as_ref())?;
        let work = latency.mean - result.harness.latency_floor_ns?;
        let is_empty = result.workload.params.test.has_empty_events();
        let share = overhead / (overhead + work.max(0.0));
        (share > HARNESS_SHARE && !is_empty).then_some(Self::HarnessShare(share))
    }

    fn of_rate(result: &RunResult) -> Option<Self> {
        let OpenLoop {
            arrived_events,
            backlog_events,
            ..
        } = *result.open_loop.as_ref()?;
        let started = result.totals.events as f64;
        let held = started >= RATE_SHARE * arrived_events as f64
            || backlog_events <= result.workload.threads;
        (!held).then_some(Self::RateNotHeld {
            rate_per_s: result.workload.params.rate_per_s?,
            reached_per_s: result.rates.events_per_s,
            backlog_events,
        })
    }

    fn of_spare_cpu(result: &RunResult) -> Option<Self> {
        let open_loop = result.open_loop.as_ref()?;
        (!open_loop.spins).then_some(Self::NoSpareCpu {
            threads: result.workload.threads,
            cpus: result.host.usable_cpus(),
            start_delay_ns: open_loop.mean_start_delay_ns,
        })
    }

    fn of_start(result: &RunResult) -> Option<Self> {
        let late_s = result.start.as_ref()?.late_s?;
        (late_s > LATE_S).then_some(Self::LateStart(late_s))
    }
}

impl Reason for RunWarning {
    fn code(&self) -> Code {
        match self {
            Self::HarnessShare(_) => Code::HarnessShare,
            Self::RateNotHeld { .. } => Code::RateNotHeld,
            Self::NoSpareCpu { .. } => Code::NoSpareCpu,
            Self::LateStart(_) => Code::LateStart,
            Self::RoundedFiles(_) => Code::RoundedFiles,
            Self::Scaled(_) => Code::Scaled,
        }
    }
}

impl fmt::Display for RunWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HarnessShare(share) => write!(
                f,
                "the harness took {:.0} % of the time of each event: larger events, such as larger \
                 blocks, measure the work better",
                share * 100.0
            ),
            Self::RateNotHeld {
                rate_per_s,
                reached_per_s,
                backlog_events,
            } => write!(
                f,
                "the rate was not held: {} of {} events/s started, and {} waited at the end; \
                 latencies grow with the length of the run",
                significant(*reached_per_s),
                significant(*rate_per_s),
                count(*backlog_events, "event")
            ),
            Self::NoSpareCpu {
                threads,
                cpus,
                start_delay_ns,
            } => {
                write!(
                    f,
                    "beside {} no CPU is left for the kernel and other processes (usable CPUs: \
                     {cpus}): threads yield their CPU while they wait for arrivals",
                    count(*threads, "thread")
                )?;
                match start_delay_ns {
                    Some(ns) => write!(f, "; events start {} late on average", duration(*ns)),
                    None => Ok(()),
                }
            }
            Self::LateStart(late_s) => write!(
                f,
                "started {late_s:.3} s after its --start-at: runs that were to start with it had the \
                 machine to themselves until then"
            ),
            Self::RoundedFiles(sentence) => f.write_str(sentence),
            Self::Scaled(scale) => write!(
                f,
                "scaled to {scale} of the profile (times, events, totals and file sets): a first \
                 look, not comparable with a full run"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result of an open loop.
    fn open_loop(threads: u64, started: u64, backlog_events: u64) -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.workload.threads = threads;
        result.workload.params.rate_per_s = Some(100.0);
        result.totals.events = started;
        result.open_loop = Some(OpenLoop {
            arrived_events: started + backlog_events,
            backlog_events,
            longest_wait_ns: 5000,
            mean_start_delay_ns: Some(1500.0),
            spins: true,
        });
        result
    }

    #[test]
    fn a_rate_is_not_held_if_more_than_a_hundredth_of_the_events_wait_and_more_than_threads() {
        let threads = 4;
        for (started, backlog, held) in [
            (9900, 100, true),
            (9899, 101, false),
            (10, 4, true),
            (10, 5, false),
            (0, 0, true),
        ] {
            let found = RunWarning::of_rate(&open_loop(threads, started, backlog));
            assert_eq!(found.is_none(), held, "{started} and {backlog}");
        }
        let warning = RunWarning::of_rate(&open_loop(1, 100, 900)).unwrap();
        assert_eq!(warning.code(), Code::RateNotHeld);
        let sentence = warning.to_string();
        assert!(sentence.contains("of 100.0 events/s started"), "{sentence}");
        assert!(sentence.contains("900 events waited"), "{sentence}");
    }

    #[test]
    fn a_closed_loop_has_no_warning_about_its_rate_and_spare_cpus() {
        let mut result = open_loop(1, 0, 1000);
        result.open_loop = None;
        assert_eq!(RunWarning::of_rate(&result), None);
        assert_eq!(RunWarning::of_spare_cpu(&result), None);
    }

    #[test]
    fn threads_that_yield_are_a_warning_with_cpus_and_delay() {
        let mut result = open_loop(4, 10, 0);
        assert_eq!(RunWarning::of_spare_cpu(&result), None);
        result.host.cpus = 8;
        result.host.cgroup.cpu_quota_cpus = Some(2.5);
        result.open_loop.as_mut().unwrap().spins = false;
        let sentence = RunWarning::of_spare_cpu(&result).unwrap().to_string();
        assert!(sentence.contains("4 threads"), "{sentence}");
        assert!(sentence.contains("usable CPUs: 2.5"), "{sentence}");
        assert!(sentence.contains("start 1.500 us late"), "{sentence}");
    }
}
