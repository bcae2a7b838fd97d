//! Cost of the harness itself, measured on the engine that the run will use.

use std::time::Duration;

use anyhow::Result;

use crate::engine::{self, Setup, Timing, Unobserved};
use crate::histogram::LatencyHistogram;
use crate::host;
use crate::plan::Arrivals;
use crate::result::Harness;
use crate::workload::empty::Empty;

/// Number of short runs; the median counts.
const RUNS: usize = 5;

/// Empty events of one run, and the minimum per thread.
const EVENTS: u64 = 20_000;
const EVENTS_A_THREAD: u64 = 2_000;

/// Rate of an open loop at which every event has already arrived, so that no thread waits.
const HIGHEST_RATE: f64 = 1e12;

/// Runs empty events with the same engine and clock, on at most as many threads as there are CPUs.
///
/// Threads beyond the number of CPUs would only wait for a CPU, for seconds if there are thousands;
/// they add nothing to the cost of an event.
pub fn measure<T: Timing>(setup: Setup, timing: T) -> Result<Harness> {
    // Every field is listed, so that a new one is decided on here.
    let Setup {
        threads,
        stack_size,
        pin,
        arrivals,
        polling,
        seed,
        ..
    } = setup;
    let setup = Setup {
        threads: threads.min(host::cpus() as usize),
        stack_size,
        pin,
        max_time: None,
        forced_shutdown: None,
        interval: None,
        start_at: None,
        timed_from_start: false,
        arrivals: arrivals.map(|arrivals| Arrivals {
            rate_per_s: HIGHEST_RATE,
            max_backlog: None,
            ..arrivals
        }),
        seed,
        polling,
        warmup: None,
    };
    let events = EVENTS.max(EVENTS_A_THREAD.saturating_mul(setup.threads as u64));
    let mut costs = Vec::with_capacity(RUNS);
    let mut durations = LatencyHistogram::default();
    for _ in 0..RUNS {
        let open = || Ok(Empty::new(events, setup.threads));
        let run = engine::run(setup, timing, open, &mut Unobserved)?;
        let before = durations.count();
        durations.add(match T::OPEN_LOOP {
            true => &run.all.service,
            false => &run.all.events,
        });
        // Fewer than requested if a signal arrived; the run that follows will end at once.
        let done = durations.count() - before;
        let cpu_time: Duration = run.cpu_time().unwrap_or_default();
        costs.push(cpu_time.as_nanos() as f64 / done.max(1) as f64);
    }
    costs.sort_by(f64::total_cmp);
    Ok(Harness {
        event_overhead_ns: Some(costs[RUNS / 2]),
        latency_floor_ns: durations.percentile(50.0).map(|ns| ns as f64),
    })
}
