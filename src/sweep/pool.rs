//! Runs the instances of a batch concurrently, from one thread that polls their output.

use std::iter::Peekable;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::directory::{Directory, Stays};
use super::folders::Folders;
use super::outcome::Planned;
use super::process::{Cut, Process};
use super::{Instance, Sweep, Ticket};
use crate::descriptors::DescriptorLimit;
use crate::result::{RunResult, Runner, Status, Workload};
use crate::signal;
use crate::start::StartAt;

/// Poll period for conditions without an event: a process that exited but left its output open, a
/// signal. Long, to avoid disturbing the measurements.
const TICK: Duration = Duration::from_millis(200);

/// Poll period for the exit of a process that has closed its output.
const SOON: Duration = Duration::from_millis(2);

/// Observer of a batch.
pub trait Listener {
    /// An instance has a result. An error ends the sweep.
    fn ended(&mut self, instance: Instance, result: RunResult) -> Result<()>;

    /// A directory was not removed.
    fn left_behind(&mut self, stays: &Stays);

    /// Called periodically.
    fn tick(&mut self);
}

/// Parameters of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Sweep that the instances belong to.
    pub sweep: &'a Sweep,
    /// Where the directories of instances are created.
    pub folders: &'a Folders,
    /// File descriptor limit of the instances.
    pub descriptors: DescriptorLimit,
    /// Number of concurrent instances.
    pub concurrency: u32,
    /// Time between the launch of instances and their common start.
    pub lead: Duration,
}

/// Runs instances and returns when all their processes have ended.
///
/// A failed instance has a result with the failure. Instances interrupted by a signal have none, so
/// that they run again. Fails if the listener fails or waiting for processes fails.
pub fn run(
    setup: Setup<'_>,
    instances: impl Iterator<Item = Instance>,
    listener: &mut dyn Listener,
) -> Result<()> {
    let mut pool = Pool {
        setup,
        waiting: Some(instances.peekable()),
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

struct Pool<'a, I: Iterator<Item = Instance>> {
    setup: Setup<'a>,
    /// Instances not started yet; None if no more are to be started.
    waiting: Option<Peekable<I>>,
    running: Vec<Running>,
    begun: bool,
}

/// A running instance.
struct Running {
    instance: Instance,
    planned: Planned,
    process: Process,
    folder: Option<Directory>,
    deadline: Option<Instant>,
}

impl<I: Iterator<Item = Instance>> Pool<'_, I> {
    fn is_empty(&mut self) -> bool {
        let waiting = self.waiting.as_mut();
        let none_waits = waiting.is_none_or(|waiting| waiting.peek().is_none());
        none_waits && self.running.is_empty()
    }

    /// Starts as many instances as concurrency permits.
    fn fill(&mut self, listener: &mut dyn Listener) -> Result<()> {
        let free = self.setup.concurrency as usize - self.running.len();
        let in_waves = self.setup.sweep.runner == Runner::Waves;
        let together = self.running.is_empty() && (in_waves || !self.begun);
        if in_waves && !together {
            return Ok(());
        }
        let waiting = self.waiting.iter_mut().flatten();
        let starting: Vec<Instance> = waiting.take(free).collect();
        // A single instance needs no common start.
        let start_at = (together && starting.len() > 1).then(|| StartAt::after(self.setup.lead));
        for instance in starting {
            if signal::is_caught() {
                break;
            }
            self.begun = true;
            self.launch(instance, start_at, listener)?;
        }
        Ok(())
    }

    /// Starts an instance; one that cannot be started has failed.
    fn launch(
        &mut self,
        instance: Instance,
        start_at: Option<StartAt>,
        listener: &mut dyn Listener,
    ) -> Result<()> {
        let Setup { sweep, folders, .. } = self.setup;
        let planned = Planned {
            labels: sweep.labels(instance),
            launch: sweep.launch(instance),
            workload: Workload::of(&sweep.measurement.plan),
            ticket: Ticket::new(start_at),
            launched: SystemTime::now(),
        };
        let waits = start_at.map_or(Duration::ZERO, |_| self.setup.lead);
        let deadline = sweep
            .timeout
            .map(|timeout| Instant::now() + waits + timeout);
        let folder = match folders.make(sweep, instance) {
            Ok(folder) => folder,
            Err(error) => return listener.ended(instance, planned.failed(format!("{error:#}"))),
        };
        match self.start(instance, folder.as_ref(), &planned.ticket) {
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
                remove(folders, folder, listener);
                listener.ended(instance, planned.failed(format!("{error:#}")))
            }
        }
    }

    fn start(
        &self,
        instance: Instance,
        folder: Option<&Directory>,
        ticket: &Ticket,
    ) -> Result<Process> {
        let dir = folder.map_or(Some(""), |folder| folder.path().to_str());
        let dir = dir.context("the path of --dir is not UTF-8: use another directory")?;
        let command = self.setup.sweep.command(instance, dir, ticket)?;
        Process::start(&command, self.setup.descriptors)
            .with_context(|| format!("cannot start the launcher '{}'", command[0]))
    }

    /// Stops starting instances and asks running ones to end.
    fn end(&mut self) {
        self.waiting = None;
        for running in &mut self.running {
            running.process.end(Cut::SweepEnds);
        }
    }

    /// Waits until output, a deadline or the next poll is due.
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
        // Rounded up, so that waiting for a deadline does not spin with zero timeouts.
        let timeout = u16::try_from(wait.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut outputs, PollTimeout::from(timeout)) {
            // A signal: the caller checks for it.
            Err(nix::errno::Errno::EINTR) => Ok(()),
            other => other.map(drop).context("waiting for the instances' output"),
        }
    }

    /// Reads output, enforces deadlines and reports instances that have ended.
    fn collect(&mut self, listener: &mut dyn Listener) -> Result<()> {
        let now = Instant::now();
        let mut told = Ok(());
        let mut still = Vec::with_capacity(self.running.len());
        for mut running in self.running.drain(..) {
            running.process.read();
            if let Some(timeout) = self.setup.sweep.timeout
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
            remove(self.setup.folders, running.folder, listener);
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

/// Removes the directory of an ended instance; the listener reports what stays.
fn remove(folders: &Folders, folder: Option<Directory>, listener: &mut dyn Listener) {
    if let Some(folder) = folder
        && let Err(stays) = folders.remove(&folder)
    {
        listener.left_behind(&stays);
    }
}
