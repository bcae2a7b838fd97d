//! Turns a plan into a result: clock, harness, workload, and machine noise during the run.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Error, Result};

use crate::clock::{EffectiveClock, Nanoseconds, TimeSource};
use crate::engine::statistics::Statistics;
use crate::engine::{self, Closed, Observer, Open, Polling, RunOutcome, Setup, Timing};
use crate::error::describe;
use crate::harness;
use crate::host::accounting::{SystemActivity, time_budget};
use crate::host::{self, SystemRoot};
use crate::plan::{ClockChoice, RunPlan, Test};
use crate::result::{
    Accounting, BlockMemory, EndedBy, Harness, Host, Latency, LoadLatency, Noise, OpenLoop,
    PageCache, Rates, RunResult, SCHEMA, Start, Status, Storage, ThreadTotals, Tool, Totals,
    Workload,
};
use crate::signal::Interrupted;
use crate::warning::{self, HostWarning};
use crate::window::{Observed, Window};
use crate::with_clock;
use crate::workload::cpu::Cpu;
use crate::workload::fileio::Fileio;
use crate::workload::fileio::files::TestFiles;
use crate::workload::fileio::validate::Validator;
use crate::workload::memory::{Block, Memory, pages_below};
use crate::workload::mutex::Mutexes;
use crate::workload::threads::Threads;

/// Evaluates an expression with the timing of a run. An open loop is compiled once, for all clocks: a
/// branch per reading costs it nothing that matters.
macro_rules! with_timing {
    ($setup:expr, $time:expr, $timing:ident => $body:expr) => {
        match $setup.arrivals {
            None => with_clock!($time.clock, clock => {
                let $timing = Closed(clock);
                $body
            }),
            Some(_) => {
                let $timing = Open($time.clock);
                $body
            }
        }
    };
}

/// A run about to start, with its clock established and its harness measured.
#[derive(Debug)]
pub struct Run<'a> {
    plan: &'a RunPlan,
    setup: Setup,
    time: TimeSource,
    host: Host,
    storage: Option<Storage>,
    memory: Option<BlockMemory>,
    /// Effective clock of a CPU before and after the run.
    cpu_clocks: [Option<EffectiveClock>; 2],
    harness: Harness,
}

/// Measures the harness; fails first if the threads of the run cannot be created.
fn measure_harness(setup: Setup, time: &TimeSource) -> Result<Harness> {
    engine::try_threads(setup)?;
    with_timing!(setup, time, timing => harness::measure(setup, timing))
}

/// Adds the effective clock of a CPU before and after the run.
fn with_cpu_clocks(budget: Accounting, clocks: [Option<EffectiveClock>; 2]) -> Accounting {
    let [before, after] = clocks.map(|clock| clock.map(|clock| clock.ghz));
    let errors = clocks.into_iter().flatten().map(|clock| clock.error);
    Accounting {
        cpu_ghz_before: before,
        cpu_ghz_after: after,
        cpu_ghz_error: errors.reduce(f64::max),
        ..budget
    }
}

impl<'a> Run<'a> {
    /// Establishes the clock and measures the harness.
    ///
    /// Fails if the plan requires what this machine cannot provide, such as a trusted TSC or that
    /// many threads.
    pub fn begin(plan: &'a RunPlan) -> Result<Self> {
        let mut run = Self::with(plan, TimeSource::establish(plan.clock)?);
        run.harness = match measure_harness(run.setup, &run.time) {
            // The run that follows ends before its first event, and its result states why.
            Err(error) if error.is::<Interrupted>() => Harness::default(),
            measured => measured?,
        };
        Ok(run)
    }

    fn with(plan: &'a RunPlan, time: TimeSource) -> Self {
        let host = host::fingerprint(&SystemRoot::default());
        let threads = plan.threads.get();
        let spins = plan.arrivals.is_some() && has_spare_cpu(&host, threads);
        let setup = Setup {
            threads,
            stack_size: plan.stack_size,
            pin: plan.pin,
            max_time: plan.limits.max_time(),
            forced_shutdown: plan.limits.forced_shutdown(),
            interval: plan.report_interval,
            start_at: plan.start_at,
            timed_from_start: plan.timed_from_start
                || plan.arrivals.is_some()
                || plan.warmup.is_some(),
            arrivals: plan.arrivals,
            seed: plan.seed,
            polling: match spins {
                true => Polling::Spin,
                false => Polling::Yield,
            },
            warmup: plan.warmup,
        };
        Self {
            plan,
            setup,
            time,
            host,
            storage: plan
                .files
                .as_ref()
                .map(|files| host::storage(&SystemRoot::default(), &files.dir)),
            memory: None,
            cpu_clocks: [None; 2],
            harness: Harness::default(),
        }
    }

    /// Returns a warning if the kernel may kill the run before it can report a result.
    pub fn memory_warning(&self) -> Option<HostWarning> {
        HostWarning::of_memory(&self.host, &self.plan.test, self.setup.threads)
    }

    /// Runs the workload. An error or a signal is part of the result.
    pub fn measure(
        mut self,
        files: Option<Arc<TestFiles>>,
        observer: &mut dyn Observer,
    ) -> RunResult {
        if let Err(error) = self.inspect_page_cache(files.as_deref()) {
            return self.not_run(&error);
        }
        // Before and after everything that is timed or counted.
        let pinned = engine::first_pinned_cpu(self.plan.pin);
        self.cpu_clocks[0] = self.cpu_clock(pinned);
        let storage = self.storage.as_ref();
        let device = storage.and_then(|storage| storage.device.as_deref());
        let mut window = Window::open(&self.time, device, observer);
        let outcome = with_timing!(self.setup, self.time, timing => {
            self.run(timing, files, &mut window)
        });
        let observed = window.close();
        match outcome {
            Ok((outcome, blocks)) => {
                // A CPU that has just worked: others may have slowed down.
                let cpu = pinned.or(outcome.last_cpu);
                self.cpu_clocks[1] = cpu.and_then(|cpu| self.cpu_clock(Some(cpu)));
                self.memory = (!blocks.is_empty()).then(|| pages_below(&blocks));
                self.result(observed, outcome)
            }
            Err(error) => self.not_run(&error),
        }
    }

    /// Measures the effective clock of this CPU, or of the one that this thread runs on.
    fn cpu_clock(&self, cpu: Option<usize>) -> Option<EffectiveClock> {
        with_clock!(self.time.clock, clock => EffectiveClock::measure(clock, cpu))
    }

    /// Drops the set's pages from the page cache if the plan says so, and determines how much of
    /// the set is cached, and whether it has holes.
    fn inspect_page_cache(&mut self, files: Option<&TestFiles>) -> Result<()> {
        let (Some(files), Some(params)) = (files, self.plan.test.fileio()) else {
            return Ok(());
        };
        if params.mode.creates_files() {
            return Ok(());
        }
        if let Some(storage) = &mut self.storage {
            storage.unwritten = Some(files.have_holes()?);
        }
        if params.drop_cache {
            files.drop_cache()?;
        }
        if params.goes_through_cache()
            && let (Some(storage), Some(resident_bytes)) =
                (&mut self.storage, files.resident_bytes()?)
        {
            let limits = [self.host.memory_bytes, self.host.cgroup.memory_limit_bytes];
            storage.page_cache = Some(PageCache {
                set_bytes: files.set().total_size(),
                resident_bytes,
                memory_bytes: limits.into_iter().flatten().min(),
            });
        }
        Ok(())
    }

    /// Runs the workload. Returns also the blocks of the memory test, which are still mapped.
    fn run<T: Timing>(
        &self,
        timing: T,
        files: Option<Arc<TestFiles>>,
        observer: &mut dyn Observer,
    ) -> Result<(RunOutcome, Arc<[Block]>)> {
        let (plan, setup) = (self.plan, self.setup);
        let threads = setup.threads;
        let max_requests = plan.limits.max_requests;
        let mut blocks = Arc::default();
        let outcome = match &plan.test {
            Test::Cpu(params) => {
                let open = || Ok(Cpu::new(params, max_requests, threads));
                engine::run(setup, timing, open, observer)
            }
            Test::Memory(params) => {
                let events = [params.events(threads), max_requests]
                    .into_iter()
                    .flatten()
                    .min();
                let memory = Memory::new(params, plan.seed, events, threads)?;
                blocks = memory.blocks();
                engine::run(setup, timing, || Ok(memory), observer)
            }
            Test::Threads(params) => {
                let workload = Threads::new(params, max_requests, threads)?;
                engine::run(setup, timing, || Ok(workload), observer)
            }
            Test::Mutex(params) => {
                let workload = Mutexes::new(params, plan.seed, max_requests, threads)?;
                engine::run(setup, timing, || Ok(workload), observer)
            }
            Test::Fileio(params) => {
                let files = files.context("the fileio test has no files")?;
                let validator = params
                    .validate
                    .then(|| Arc::new(Validator::new(files.set())));
                let open = || {
                    let (files, validator) = (files.clone(), validator.clone());
                    Fileio::open(params, plan.seed, max_requests, files, validator)
                };
                let mut outcome = engine::run(setup, timing, open, observer)?;
                if let Some(validator) = validator {
                    outcome.verify(|| validator.verify(&files));
                }
                Ok(outcome)
            }
        };
        Ok((outcome?, blocks))
    }

    /// Returns the result of a plan whose run could not begin, with the reason.
    ///
    /// Fails if no clock is found at all.
    pub fn refused(plan: &'a RunPlan, error: &Error) -> Result<RunResult> {
        let time = TimeSource::establish(plan.clock)
            .or_else(|_| TimeSource::establish(ClockChoice::Monotonic))?;
        Ok(Self::with(plan, time).not_run(error))
    }

    /// Returns the result of a run that never began.
    pub fn not_run(self, error: &Error) -> RunResult {
        let interrupted = error.is::<Interrupted>();
        let nothing = RunOutcome {
            wall: Nanoseconds(0),
            late_s: None,
            all: Statistics::default(),
            threads: Vec::new(),
            activity: None,
            last_cpu: None,
            backlog: None,
            intervals: Vec::new(),
            ended_by: if interrupted {
                EndedBy::Signal
            } else {
                EndedBy::Error
            },
            error: None,
        };
        let unobserved = Observed {
            started_at: SystemTime::now(),
            noise: Noise::default(),
            system: SystemActivity::default(),
        };
        let mut result = self.result(unobserved, nothing);
        result.error = Some(describe(error));
        result
    }

    fn result(self, observed: Observed, outcome: RunOutcome) -> RunResult {
        let all = &outcome.all;
        let wall_s = outcome.wall.as_secs_f64();
        let events = all.events.count();
        let error = match (&outcome.error, outcome.ended_by) {
            (Some(error), _) => Some(describe(error)),
            (None, EndedBy::ForcedShutdown) => {
                Some("the run hung beyond its time limit and was abandoned".to_owned())
            }
            _ => None,
        };
        let mut result = RunResult {
            schema: SCHEMA.into(),
            tool: Tool::this(),
            started_at: humantime::format_rfc3339_seconds(observed.started_at).to_string(),
            labels: self.plan.labels.clone(),
            suite: None,
            launch: None,
            trial: None,
            clock: self.time.info(),
            workload: Workload::of(self.plan),
            storage: self.storage,
            memory: self.memory,
            load_latency: None,
            status: match outcome.ended_by {
                EndedBy::Work | EndedBy::Time => Status::Complete,
                EndedBy::Signal => Status::Interrupted,
                EndedBy::Error | EndedBy::ForcedShutdown => Status::Failed,
            },
            ended_by: outcome.ended_by,
            error,
            start: self.plan.start_at.map(|start_at| Start {
                asked_at: start_at.to_string(),
                late_s: outcome.late_s,
            }),
            totals: Totals {
                wall_s,
                events,
                event_time_s: all.events.total_ns() as f64 / 1e9,
                bytes_read: all.bytes_read,
                bytes_written: all.bytes_written,
                reads: all.reads,
                writes: all.writes,
                fsyncs: all.fsyncs.count(),
            },
            rates: Rates::over(events, all.bytes_read + all.bytes_written, wall_s),
            harness: self.harness,
            open_loop: outcome
                .backlog
                .map(|backlog| OpenLoop::of(all, backlog, self.setup.polling == Polling::Spin)),
            latency_ns: Latency::of(&all.events),
            service_latency_ns: Latency::of(&all.service),
            fsync_latency_ns: Latency::of(&all.fsyncs),
            threads: outcome
                .threads
                .iter()
                .map(|thread| ThreadTotals {
                    events: thread.events,
                    event_time_s: thread.event_time_s(),
                    min_ns: (thread.events > 0).then_some(thread.min.0),
                    max_ns: (thread.events > 0).then_some(thread.max.0),
                })
                .collect(),
            noise: Noise {
                runqueue_wait_s: outcome.queued_time().map(|wait| wait.as_secs_f64()),
                ..observed.noise
            },
            accounting: outcome.activity.as_ref().map(|threads| {
                let budget = time_budget(threads, &observed.system, self.host.cpus);
                with_cpu_clocks(budget, self.cpu_clocks)
            }),
            intervals: outcome.intervals,
            warnings: Vec::new(),
            host: self.host,
        };
        result.load_latency = LoadLatency::of(
            &self.plan.test,
            // Without the waits of an open loop.
            result
                .service_latency_ns
                .as_ref()
                .or(result.latency_ns.as_ref()),
            result.accounting.as_ref(),
        );
        result.warnings = warning::of_result(&result, self.plan);
        result
    }
}

/// Returns whether a CPU is left when each thread has one.
fn has_spare_cpu(host: &Host, threads: usize) -> bool {
    threads as f64 <= host.usable_cpus() - 1.0
}
