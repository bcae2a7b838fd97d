//! So many instances at a time until all are done, by one thread that waits for their output.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::folders::Folders;
use super::outcome::Planned;
use super::process::{Cut, Process};
use super::{Batch, Instance, Sweep};
use crate::result::{RunResult, Runner, Status, Workload};
use crate::signal;
use crate::start::StartAt;

/// How often to look at what gives no sign: a process that ended and left its output open, a
/// signal. Rare, so that it disturbs nothing that is measured.
const TICK: Duration = Duration::from_millis(200);

/// How often to look for the end of a process that has closed its output.
const SOON: Duration = Duration::from_millis(2);

/// Who is told what goes on.
pub trait Listener {
    /// An instance has its result. An error ends the sweep.
    fn ended(&mut self, instance: Instance, result: RunResult) -> Result<()>;

    /// Something that stays behind has to be named.
    fn left_behind(&mut self, sentence: &str);

    /// Some time has passed.
    fn tick(&mut self);
}

/// Runs the instances of a batch, and returns when none of their processes is left.
///
/// An instance that fails has a result that says so. Those that a signal cuts short have none: they
/// are to be run again. Fails where the listener does, or the system can't wait for processes.
pub fn run(
    sweep: &Sweep,
    batch: &Batch,
    folders: &Folders,
    lead: Duration,
    listener: &mut dyn Listener,
) -> Result<()> {
    let mut pool = Pool {
        sweep,
        folders,
        lead,
        slots: batch.concurrency as usize,
        waiting: batch.instances.iter().copied().collect(),
        running: Vec::new(),
        begun: false,
    };
    let mut end = Ok(());
    while !pool.is_empty() {
        let step = match end.is_err() || signal::is_caught() {
            true => {
                pool.end();
                pool.wait().and_then(|()| pool.collect(listener))
            }
            false => pool
                .fill(listener)
                .and_then(|()| pool.wait())
                .and_then(|()| pool.collect(listener)),
        };
        end = end.and(step);
        listener.tick();
    }
    end
}

struct Pool<'a> {
    sweep: &'a Sweep,
    folders: &'a Folders,
    lead: Duration,
    slots: usize,
    waiting: VecDeque<Instance>,
    running: Vec<Running>,
    begun: bool,
}

/// An instance at work.
struct Running {
    instance: Instance,
    planned: Planned,
    process: Process,
    folder: PathBuf,
    deadline: Option<Instant>,
}

impl Pool<'_> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Starts what there is room for.
    fn fill(&mut self, listener: &mut dyn Listener) -> Result<()> {
        let free = self.slots - self.running.len();
        let in_waves = self.sweep.runner == Runner::Waves;
        let together = self.running.is_empty() && (in_waves || !self.begun);
        if in_waves && !together {
            return Ok(());
        }
        let starting = free.min(self.waiting.len());
        // One alone has nobody to wait for.
        let start_at = (together && starting > 1).then(|| StartAt::after(self.lead));
        for instance in self.waiting.drain(..starting).collect::<Vec<_>>() {
            if signal::is_caught() {
                break;
            }
            self.begun = true;
            self.launch(instance, start_at, listener)?;
        }
        Ok(())
    }

    /// Starts an instance; where that can't be done, it has failed.
    fn launch(
        &mut self,
        instance: Instance,
        start_at: Option<StartAt>,
        listener: &mut dyn Listener,
    ) -> Result<()> {
        let sweep = self.sweep;
        let planned = Planned {
            labels: sweep.labels(instance),
            launch: sweep.launch(instance),
            workload: Workload::of(&sweep.measurement.plan),
            start_at,
            launched: SystemTime::now(),
        };
        let waits = start_at.map_or(Duration::ZERO, |_| self.lead);
        let deadline = sweep
            .timeout
            .map(|timeout| Instant::now() + waits + timeout);
        let folder = match self.folders.make(sweep, instance) {
            Ok(folder) => folder,
            Err(error) => return listener.ended(instance, planned.failed(format!("{error:#}"))),
        };
        let started = start(sweep, instance, &folder, start_at);
        match started {
            Ok(process) => {
                self.running.push(Running {
                    instance,
                    planned,
                    process,
                    folder,
                    deadline,
                });
                Ok(())
            }
            Err(error) => {
                if let Some(sentence) = self.folders.remove(&folder) {
                    listener.left_behind(&sentence);
                }
                listener.ended(instance, planned.failed(format!("{error:#}")))
            }
        }
    }

    /// Nothing more is started, and what runs is asked to end.
    fn end(&mut self) {
        self.waiting.clear();
        for running in &mut self.running {
            running.process.end(Cut::SweepEnds);
        }
    }

    /// Waits until something may have happened.
    fn wait(&self) -> Result<()> {
        let now = Instant::now();
        let processes = self.running.iter().map(|running| &running.process);
        let mut wait = TICK;
        for running in &self.running {
            let steps = [running.deadline, running.process.next_step()];
            let next = steps.into_iter().flatten().min();
            wait = next.map_or(wait, |at| wait.min(at.saturating_duration_since(now)));
            if running.process.outputs().next().is_none() {
                wait = wait.min(SOON);
            }
        }
        let outputs: Vec<BorrowedFd<'_>> = processes.flat_map(Process::outputs).collect();
        let mut outputs: Vec<PollFd<'_>> = outputs
            .into_iter()
            .map(|output| PollFd::new(output, PollFlags::POLLIN))
            .collect();
        // Rounded up, so that a moment is not met with waits of no time.
        let timeout = u16::try_from(wait.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut outputs, PollTimeout::from(timeout)) {
            // A signal: the caller looks for it.
            Err(nix::errno::Errno::EINTR) => Ok(()),
            other => other.map(drop).context("waiting for the instances' output"),
        }
    }

    /// Takes output, sees to deadlines, and tells of those that have ended.
    fn collect(&mut self, listener: &mut dyn Listener) -> Result<()> {
        let now = Instant::now();
        let mut told = Ok(());
        let mut still = Vec::with_capacity(self.running.len());
        for mut running in self.running.drain(..) {
            running.process.read();
            if let Some(timeout) = self.sweep.timeout
                && running.deadline.is_some_and(|at| at <= now)
            {
                running.process.end(Cut::TimedOut(timeout));
                running.deadline = None;
            }
            let ended = match running.process.ended() {
                Ok(None) => {
                    still.push(running);
                    continue;
                }
                Ok(Some(ended)) => Ok(ended),
                Err(error) => Err(error),
            };
            if let Some(sentence) = self.folders.remove(&running.folder) {
                listener.left_behind(&sentence);
            }
            let result = match &ended {
                Ok(ended) => running.planned.result(ended),
                Err(error) => running
                    .planned
                    .failed(format!("it can't be waited for: {error}")),
            };
            let cut_short = ended.is_ok_and(|ended| ended.cut == Some(Cut::SweepEnds))
                && result.status != Status::Complete;
            if !cut_short && told.is_ok() {
                told = listener.ended(running.instance, result);
            }
        }
        self.running = still;
        told
    }
}

fn start(
    sweep: &Sweep,
    instance: Instance,
    folder: &std::path::Path,
    start_at: Option<StartAt>,
) -> Result<Process> {
    let dir = folder
        .to_str()
        .context("the name of the folder is not UTF-8")?;
    let command = sweep.command(instance, dir, start_at)?;
    Process::start(&command)
        .with_context(|| format!("the launcher '{}' can't be started", command[0]))
}
