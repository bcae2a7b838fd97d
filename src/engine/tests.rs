//! Tests of the engine with synthetic workloads.

use std::sync::atomic::{AtomicBool, AtomicU64};

use anyhow::anyhow;

use super::Transfer;
use super::*;
use crate::clock::Monotonic;
use crate::plan::Arrival;

type Step = dyn Fn(usize, u64) -> Result<()> + Send + Sync;

/// Events that each call a function with the thread's number and its count of earlier events.
struct Steps {
    events: u64,
    left: AtomicU64,
    prepare: Box<dyn Fn(usize) -> Result<()> + Send + Sync>,
    step: Box<Step>,
    /// Receives whether the run is stopped when a thread waits for its events in flight.
    drain: Box<dyn Fn(bool) + Send + Sync>,
}

impl Steps {
    fn new(events: u64, step: impl Fn(usize, u64) -> Result<()> + Send + Sync + 'static) -> Self {
        Self {
            events,
            left: AtomicU64::new(events),
            prepare: Box::new(|_| Ok(())),
            step: Box::new(step),
            drain: Box::new(|_| ()),
        }
    }
}

struct StepWorker {
    shared: Arc<Steps>,
    thread: usize,
}

impl EventSource for Steps {
    type Worker = StepWorker;

    fn worker(self: Arc<Self>, thread: usize) -> Result<StepWorker> {
        (self.prepare)(thread)?;
        Ok(StepWorker {
            shared: self,
            thread,
        })
    }

    fn progress(&self) -> Progress {
        Progress {
            done: 0,
            total: None,
        }
    }

    fn begin(&self, phase: Phase) -> Result<()> {
        let events = match phase {
            Phase::WarmUp => u64::MAX,
            Phase::Measured => self.events,
        };
        self.left.store(events, Ordering::Relaxed);
        Ok(())
    }
}

impl Worker for StepWorker {
    fn run<T: Timing>(&mut self, events: EventLoop<'_, T>) -> Result<()> {
        events.run(&mut StepEvents {
            worker: self,
            done: 0,
        })
    }
}

struct StepEvents<'a> {
    worker: &'a StepWorker,
    done: u64,
}

impl Events for StepEvents<'_> {
    fn issue<T: Timing>(&mut self, _: &mut Recorder<T>) -> Result<Issued> {
        let StepWorker { shared, thread } = self.worker;
        let take = |left: u64| left.checked_sub(1);
        let taken = shared
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_err() {
            return Ok(Issued::Exhausted);
        }
        (shared.step)(*thread, self.done)?;
        self.done += 1;
        Ok(Issued::Done(Transfer::Write(10)))
    }

    fn upcoming(&mut self) -> Upcoming {
        match self.worker.shared.left.load(Ordering::Relaxed) {
            0 => Upcoming::Exhausted,
            _ => Upcoming::Event,
        }
    }

    fn drain<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<()> {
        (self.worker.shared.drain)(recorder.is_stopped());
        Ok(())
    }
}

fn sleep(duration: Duration) -> Result<()> {
    std::thread::sleep(duration);
    Ok(())
}

fn setup(threads: usize) -> Setup {
    Setup {
        threads,
        ..Setup::default()
    }
}

fn run_steps(setup: Setup, steps: Steps) -> RunOutcome {
    run(setup, Closed(Monotonic), || Ok(steps), &mut Unobserved).unwrap()
}

fn events(measured: &RunOutcome) -> u64 {
    measured.threads.iter().map(|t| t.events).sum()
}

#[test]
fn every_event_is_counted_once_over_all_threads() {
    for threads in [1, 2, 7] {
        let measured = run_steps(setup(threads), Steps::new(1000, |_, _| Ok(())));
        assert_eq!(measured.threads.len(), threads);
        assert_eq!(events(&measured), 1000);
        assert_eq!(measured.all.bytes_written, 10_000);
        assert_eq!(measured.ended_by, EndedBy::Work);
        assert!(measured.error.is_none());
    }
}

#[test]
fn an_error_in_one_thread_stops_all_threads_and_keeps_their_statistics() {
    let fails = |thread, done| match (thread, done) {
        (1, 5) => Err(anyhow!("the sixth event failed")),
        _ => sleep(Duration::from_micros(50)),
    };
    let measured = run_steps(setup(3), Steps::new(u64::MAX, fails));
    assert_eq!(measured.ended_by, EndedBy::Error);
    assert_eq!(
        measured.error.unwrap().to_string(),
        "the sixth event failed"
    );
    assert_eq!(measured.threads[1].events, 5);
}

#[test]
fn an_error_ends_the_run_before_its_thread_waits_for_events_in_flight() {
    for fails in [false, true] {
        let mut steps = Steps::new(1, move |_, _| match fails {
            true => Err(anyhow!("the event failed")),
            false => Ok(()),
        });
        let stopped = Arc::new(AtomicBool::new(!fails));
        let seen = stopped.clone();
        steps.drain = Box::new(move |stopped| seen.store(stopped, Ordering::Relaxed));
        run_steps(setup(1), steps);
        assert_eq!(stopped.load(Ordering::Relaxed), fails);
    }
}

#[test]
fn a_thread_that_cannot_start_does_not_block_the_others_at_the_barrier() {
    let mut steps = Steps::new(1000, |_, _| Ok(()));
    steps.prepare = Box::new(|thread| match thread {
        1 => Err(anyhow!("no buffer")),
        _ => Ok(()),
    });
    let measured = run_steps(setup(2), steps);
    assert_eq!(measured.error.unwrap().to_string(), "no buffer");
    assert_eq!(measured.ended_by, EndedBy::Error);
}

#[test]
fn a_panic_in_one_thread_ends_the_run_with_an_error() {
    let panics = |thread, done| match (thread, done) {
        (1, 5) => panic!("in a test"),
        _ => Ok(()),
    };
    let measured = run_steps(setup(2), Steps::new(u64::MAX, panics));
    assert_eq!(measured.ended_by, EndedBy::Error);
    assert_eq!(
        measured.error.unwrap().to_string(),
        "a worker thread panicked"
    );
}

#[test]
fn a_workload_that_cannot_be_opened_is_an_error() {
    let open = || Err::<Steps, _>(anyhow!("no such file"));
    let error = run(setup(1), Closed(Monotonic), open, &mut Unobserved).unwrap_err();
    assert_eq!(error.to_string(), "no such file");
}

#[test]
fn no_event_begins_after_the_time_limit() {
    let limited = Setup {
        max_time: Some(Duration::from_millis(20)),
        ..setup(2)
    };
    let nap = Duration::from_millis(3);
    let measured = run_steps(limited, Steps::new(u64::MAX, move |_, _| sleep(nap)));
    assert_eq!(measured.ended_by, EndedBy::Time);
    assert!(measured.wall.0 >= 20_000_000);
    // The last event began before the limit: at most 7 naps of 3 ms can begin within 20 ms.
    assert!(measured.threads.iter().all(|t| t.events <= 7));
}

#[test]
fn the_intervals_contain_all_events_and_the_last_ends_with_the_run() {
    let limited = Setup {
        max_time: Some(Duration::from_millis(105)),
        interval: Some(Duration::from_millis(20)),
        ..setup(2)
    };
    let nap = Duration::from_millis(1);
    let measured = run_steps(limited, Steps::new(u64::MAX, move |_, _| sleep(nap)));
    let last = measured.intervals.last().unwrap();
    assert!((last.at_s - measured.wall.as_secs_f64()).abs() < 1e-9);
    let mut from = 0.0;
    let mut counted = 0.0;
    for interval in &measured.intervals {
        counted += interval.events_per_s * (interval.at_s - from);
        from = interval.at_s;
    }
    assert_eq!(counted.round() as u64, events(&measured));
}

#[test]
fn a_hung_thread_is_abandoned_and_all_statistics_are_kept() {
    let forced = Setup {
        max_time: Some(Duration::from_secs(2)),
        forced_shutdown: Some(Duration::from_millis(2500)),
        ..setup(2)
    };
    let hangs = |thread, done| {
        let long = thread == 1 && done == 1;
        sleep(match long {
            true => Duration::from_secs(3600),
            false => Duration::from_micros(100),
        })
    };
    let measured = run_steps(forced, Steps::new(u64::MAX, hangs));
    assert_eq!(measured.ended_by, EndedBy::ForcedShutdown);
    assert!(measured.threads[0].events > 0);
    assert!(measured.wall.0 >= 2_500_000_000);
    assert!(measured.activity.is_none());
}

#[test]
fn the_time_in_which_the_observer_gets_ready_is_not_part_of_the_run() {
    const DELAY: Duration = Duration::from_millis(100);
    #[derive(Default)]
    struct Slow {
        ended: bool,
    }
    impl Observer for Slow {
        fn ready(&mut self) {
            std::thread::sleep(DELAY);
        }
        fn ended(&mut self) {
            self.ended = true;
        }
    }
    let mut slow = Slow::default();
    let began = Instant::now();
    let steps = Steps::new(10, |_, _| Ok(()));
    let measured = run(setup(2), Closed(Monotonic), || Ok(steps), &mut slow).unwrap();
    let elapsed = began.elapsed();
    assert!(slow.ended);
    let wall = Duration::from_nanos(measured.wall.0);
    assert!(wall + DELAY <= elapsed, "{wall:?} of {elapsed:?}");
    let activity = measured.activity.unwrap();
    assert_eq!(activity.len(), 2);
    assert!(activity.iter().all(|(time, _)| *time <= wall));
}

#[test]
fn an_observer_is_notified_of_the_start_before_any_interval() {
    #[derive(Default)]
    struct Heard(Vec<&'static str>);
    impl Observer for Heard {
        fn started(&mut self) {
            self.0.push("started");
        }
        fn interval(&mut self, _: &Interval, _: Option<u64>) {
            self.0.push("interval");
        }
    }
    let setup = Setup {
        max_time: Some(Duration::from_millis(30)),
        interval: Some(Duration::from_millis(10)),
        ..setup(1)
    };
    let mut heard = Heard::default();
    let nap = Duration::from_millis(1);
    let steps = Steps::new(u64::MAX, move |_, _| sleep(nap));
    let measured = run(setup, Closed(Monotonic), || Ok(steps), &mut heard).unwrap();
    assert_eq!(heard.0[0], "started");
    assert_eq!(heard.0.len(), 1 + measured.intervals.len());
}

#[test]
fn the_wait_for_a_start_time_is_not_part_of_the_run() {
    #[derive(Default)]
    struct Wait {
        began: Option<Instant>,
        waited: Duration,
    }
    impl Observer for Wait {
        fn waiting(&mut self) {
            self.began = Some(Instant::now());
        }
        fn wait_ended(&mut self) {
            self.waited = self.began.expect("the wait began").elapsed();
        }
    }
    // On a busy machine the threads may not be ready before the start time.
    for ahead in [200, 2_000, 20_000] {
        let setup = Setup {
            start_at: Some(StartAt::after(Duration::from_millis(ahead))),
            ..setup(2)
        };
        let mut wait = Wait::default();
        let began = Instant::now();
        let steps = Steps::new(10, |_, _| Ok(()));
        let measured = run(setup, Closed(Monotonic), || Ok(steps), &mut wait).unwrap();
        let elapsed = began.elapsed();
        if wait.began.is_some() {
            let wall = Duration::from_nanos(measured.wall.0);
            assert!(wall + wait.waited <= elapsed);
            // The time of a thread begins with the start time, that of the run with the first thread.
            let late = Duration::from_secs_f64(measured.late_s.unwrap());
            let activity = measured.activity.unwrap();
            let limit = wall + late + Duration::from_micros(1);
            assert!(activity.iter().all(|(time, _)| *time <= limit));
            return;
        }
    }
    panic!("the threads took 20 s to get ready");
}

#[test]
fn a_failure_to_create_a_thread_ends_the_existing_ones() {
    // Far more than the address space.
    let setup = Setup {
        stack_size: Some(1 << 46),
        ..setup(3)
    };
    let steps = Steps::new(10, |_, _| Ok(()));
    let error = run(setup, Closed(Monotonic), || Ok(steps), &mut Unobserved).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("cannot create worker thread"), "{message}");
    assert!(try_threads(setup).is_err());
}

#[test]
fn nothing_of_a_warm_up_is_counted_and_the_work_begins_anew_after_it() {
    let done = Arc::new(AtomicU64::new(0));
    let count = done.clone();
    let step = move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_micros(50))
    };
    for arrivals in [None, Some(arrivals(Arrival::Uniform, 1e6))] {
        done.store(0, Ordering::Relaxed);
        let warmup = Duration::from_millis(30);
        let setup = Setup {
            warmup: Some(warmup),
            interval: Some(Duration::from_millis(10)),
            timed_from_start: true,
            arrivals,
            ..setup(2)
        };
        let began = Instant::now();
        let steps = Steps::new(100, step.clone());
        let measured = match arrivals {
            None => run_steps(setup, steps),
            Some(_) => run(setup, Open(Monotonic), || Ok(steps), &mut Unobserved).unwrap(),
        };
        let elapsed = began.elapsed();
        assert_eq!(measured.ended_by, EndedBy::Work);
        assert_eq!((events(&measured), measured.all.events.count()), (100, 100));
        assert!(done.load(Ordering::Relaxed) > 100);
        assert!(Duration::from_nanos(measured.wall.0) + warmup <= elapsed);
        let in_intervals: f64 = std::iter::once(0.0)
            .chain(measured.intervals.iter().map(|it| it.at_s))
            .zip(&measured.intervals)
            .map(|(from, it)| it.events_per_s * (it.at_s - from))
            .sum();
        assert_eq!(in_intervals.round() as u64, 100);
    }
}

#[test]
fn the_time_limit_of_a_run_begins_after_its_warm_up() {
    let setup = Setup {
        warmup: Some(Duration::from_millis(30)),
        max_time: Some(Duration::from_millis(40)),
        timed_from_start: true,
        ..setup(2)
    };
    let nap = Duration::from_millis(1);
    let measured = run_steps(setup, Steps::new(u64::MAX, move |_, _| sleep(nap)));
    assert_eq!(measured.ended_by, EndedBy::Time);
    assert!(measured.wall.0 >= 40_000_000);
}

#[test]
fn an_error_in_a_warm_up_ends_the_run() {
    let fails = |thread, done| match (thread, done) {
        (1, 5) => Err(anyhow!("the sixth event failed")),
        _ => sleep(Duration::from_micros(50)),
    };
    let setup = Setup {
        warmup: Some(Duration::from_secs(3600)),
        ..setup(3)
    };
    let measured = run_steps(setup, Steps::new(u64::MAX, fails));
    assert_eq!(measured.ended_by, EndedBy::Error);
    assert_eq!(events(&measured), 0);
    assert_eq!(
        measured.error.unwrap().to_string(),
        "the sixth event failed"
    );
}

#[test]
fn a_rate_beyond_capacity_ends_at_the_time_limit_with_its_backlog() {
    let setup = Setup {
        max_time: Some(Duration::from_millis(20)),
        timed_from_start: true,
        arrivals: Some(arrivals(Arrival::Poisson, 1e12)),
        ..setup(2)
    };
    let nap = Duration::from_millis(1);
    let steps = Steps::new(u64::MAX, move |_, _| sleep(nap));
    let measured = run(setup, Open(Monotonic), || Ok(steps), &mut Unobserved).unwrap();
    assert_eq!(measured.ended_by, EndedBy::Time);
    assert!(measured.error.is_none());
    // Arrivals end at the time limit: 2e10, with a standard deviation of 1.4e5.
    let arrived = measured.backlog.unwrap() + events(&measured);
    assert!((arrived as f64 - 2e10).abs() < 1e6, "{arrived}");
}

#[test]
fn a_backlog_above_its_limit_is_an_error() {
    let limited = Arrivals {
        max_backlog: Some(1000),
        ..arrivals(Arrival::Uniform, 1e9)
    };
    let setup = Setup {
        arrivals: Some(limited),
        timed_from_start: true,
        ..setup(1)
    };
    let nap = Duration::from_millis(1);
    let steps = Steps::new(u64::MAX, move |_, _| sleep(nap));
    let measured = run(setup, Open(Monotonic), || Ok(steps), &mut Unobserved).unwrap();
    assert_eq!(measured.ended_by, EndedBy::Error);
    assert!(measured.error.unwrap().is::<BacklogExceeded>());
}

#[test]
fn an_open_loop_does_not_wait_for_an_arrival_after_its_last_event() {
    let setup = Setup {
        arrivals: Some(arrivals(Arrival::Uniform, 1e-3)),
        timed_from_start: true,
        ..setup(1)
    };
    let steps = Steps::new(0, |_, _| Ok(()));
    let measured = run(setup, Open(Monotonic), || Ok(steps), &mut Unobserved).unwrap();
    assert_eq!((measured.ended_by, events(&measured)), (EndedBy::Work, 0));
}

fn arrivals(distribution: Arrival, rate_per_s: f64) -> Arrivals {
    Arrivals {
        rate_per_s,
        distribution,
        max_backlog: None,
    }
}

mod open_loop;
