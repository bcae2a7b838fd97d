//! Laws of the open loop, on a simulated clock, so that the load of the machine does not matter.

use std::cell::Cell;

use super::*;
use crate::clock::{Clock, Scale};
use crate::histogram::LatencyHistogram;

/// Time of an event in nanoseconds.
const SERVICE: u64 = 1000;

/// Time that a reading of the clock takes in nanoseconds, 2 % of an event: a thread that waits needs
/// no more readings than the test has time for.
const READING: u64 = 20;

thread_local!(static NOW: Cell<u64> = const { Cell::new(0) });

/// A clock that advances with each reading, and when an event says so.
#[derive(Clone, Copy)]
struct SimulatedClock;

impl SimulatedClock {
    fn advance(ns: u64) {
        NOW.set(NOW.get() + ns);
    }
}

impl Clock for SimulatedClock {
    fn start(self) -> Ticks {
        Self::advance(READING);
        Ticks(NOW.get())
    }

    fn stop(self) -> Ticks {
        self.start()
    }

    fn scale(self) -> Scale {
        Scale::from_hz(1e9)
    }
}

/// Events of constant duration on one thread; one of them is stopped.
fn steps(events: u64, stop: Option<(u64, u64)>) -> Steps {
    Steps::new(events, move |_, done| {
        SimulatedClock::advance(SERVICE);
        if let Some((number, ns)) = stop
            && done == number
        {
            SimulatedClock::advance(ns);
        }
        Ok(())
    })
}

/// Runs events that keep the thread busy for this share of the time.
fn run_open(distribution: Arrival, utilization: f64, steps: Steps) -> RunOutcome {
    let rate = utilization / (SERVICE + READING) as f64 * 1e9;
    let setup = Setup {
        arrivals: Some(arrivals(distribution, rate)),
        timed_from_start: true,
        polling: Polling::Spin,
        ..setup(1)
    };
    run(setup, Open(SimulatedClock), || Ok(steps), &mut Unobserved).unwrap()
}

/// M/D/1: Poisson arrivals, constant service time, one server. The mean wait is that of Pollaczek and
/// Khinchine: utilization x service time / (2 x (1 - utilization)).
#[test]
fn the_mean_wait_of_poisson_arrivals_is_that_of_queueing_theory() {
    for utilization in [0.5, 0.7, 0.9] {
        let measured = run_open(Arrival::Poisson, utilization, steps(200_000, None));
        let service = measured.all.service.mean();
        let wait = measured.all.events.mean() - service;
        let expected = utilization * service / (2.0 * (1.0 - utilization));
        assert!(
            (wait / expected - 1.0).abs() < 0.1,
            "at {utilization}: {wait} ns, expected {expected}"
        );
    }
}

#[test]
fn events_that_arrive_while_a_thread_is_free_do_not_wait() {
    let measured = run_open(Arrival::Uniform, 0.7, steps(10_000, None));
    let all = &measured.all;
    assert_eq!(all.waits.awaited, 10_000);
    assert!(all.waits.longest.0 <= READING, "{:?}", all.waits);
    assert_eq!(measured.backlog, Some(0));
}

/// A stop of length L delays all events that arrive until the backlog is gone: an event that arrives t
/// after its beginning waits L - t x (1 - utilization), so that their waits are uniform up to L, and
/// these events arrive within L / (1 - utilization).
#[test]
fn a_stop_delays_every_event_that_arrives_during_it_and_a_closed_loop_sees_one() {
    let (utilization, events, stop) = (0.7, 100_000, 2_000_000);
    let open = run_open(
        Arrival::Uniform,
        utilization,
        steps(events, Some((5000, stop))),
    );
    let service = SERVICE as f64;
    let interval = (service + READING as f64) / utilization;
    let delayed = stop as f64 / (1.0 - utilization) / interval / events as f64;
    let p99_9 = stop as f64 * (1.0 - 0.001 / delayed) + service;
    let near = |value: u64, expected: f64| (value as f64 / expected - 1.0).abs() < 0.01;
    let figures = |histogram: &LatencyHistogram| {
        let longest = histogram.range().unwrap().1.0;
        (histogram.percentile(99.9).unwrap(), longest)
    };
    let (found_p99_9, found_longest) = figures(&open.all.events);
    assert!(near(found_p99_9, p99_9), "{found_p99_9}, expected {p99_9}");
    assert!(
        near(found_longest, stop as f64 + service),
        "{found_longest}"
    );
    assert!(near(open.all.waits.longest.0, stop as f64));
    // Without the wait, only the stopped event is slow, as in a closed loop.
    let closed = run(
        setup(1),
        Closed(SimulatedClock),
        || Ok(steps(events, Some((5000, stop)))),
        &mut Unobserved,
    );
    for histogram in [&open.all.service, &closed.unwrap().all.events] {
        let (p99_9, longest) = figures(histogram);
        assert!(near(p99_9, service + READING as f64), "{p99_9}");
        assert!(near(longest, stop as f64 + service), "{longest}");
    }
}

#[test]
fn events_beyond_capacity_wait_ever_longer_and_none_is_skipped() {
    let measured = run_open(Arrival::Uniform, 2.0, steps(10_000, None));
    // Half of the arrivals could be served: as many wait at the end.
    let backlog = measured.backlog.unwrap() as f64;
    assert!((backlog / 10_000.0 - 1.0).abs() < 0.01, "{backlog}");
    let longest = measured.all.waits.longest.0 as f64;
    let expected = 10_000.0 * (SERVICE + READING) as f64 / 2.0;
    assert!((longest / expected - 1.0).abs() < 0.01, "{longest}");
}
