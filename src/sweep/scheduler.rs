//! Runs the instances of a batch concurrently, from one thread that polls their output.

use std::io;
use std::iter::Peekable;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CpuSet;

use super::directory::{DirectoryHandle, NotRemoved, SweepDirectory};
use super::outcome::LaunchedInstance;
use super::process::{ExitedProcess, Inherited, Process, Termination};
use super::{Instance, LaunchParams, Sweep};
use crate::descriptors::DescriptorLimit;
use crate::error::describe;
use crate::host::CpuList;
use crate::result::{RunResult, Runner, Status, Workload};
use crate::signal;
use crate::start::StartAt;

/// Poll period for conditions without an event: a process that exited but left its output open, a
/// signal. Long, to avoid disturbing the measurements.
const TICK: Duration = Duration::from_millis(200);

/// Poll period for the exit of a process that has closed its output.
const SOON: Duration = Duration::from_millis(2);

/// Observer of a sweep.
pub trait SweepObserver {
    /// An instance has a result. An error ends the sweep.
    fn instance_ended(&mut self, instance: Instance, result: RunResult) -> Result<()>;

    /// A directory was not removed.
    fn not_removed(&mut self, error: &NotRemoved);

    /// Called periodically.
    fn tick(&mut self);
}

/// Directories of instances.
#[derive(Debug, Clone, Copy)]
pub enum InstanceDirectories<'a> {
    /// One for each instance, removed when it has ended.
    Own(&'a SweepDirectory),
    /// One for each environment, in their order, which stay; none if instances need none.
    OfEnvironments(&'a [DirectoryHandle]),
}

/// Parameters of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchParams<'a> {
    /// Sweep that the instances belong to.
    pub sweep: &'a Sweep,
    /// Directories of the instances.
    pub directories: InstanceDirectories<'a>,
    /// File descriptor limit of the instances.
    pub descriptors: DescriptorLimit,
    /// Number of concurrent instances.
    pub concurrency: u32,
    /// Time between the launch of instances and their common start.
    pub lead: Duration,
    /// CPUs of each environment, in their order; none if instances may use all.
    pub cpus: &'a [CpuList],
}

/// Runs instances and returns when all their processes have ended.
///
/// A failed instance has a result with the failure. Instances interrupted by a signal have none, so
/// that they run again. Fails if the observer fails or waiting for processes fails.
pub fn run(
    params: BatchParams<'_>,
    instances: impl Iterator<Item = Instance>,
    observer: &mut dyn SweepObserver,
) -> Result<()> {
    let mut scheduler = Scheduler {
        params,
        waiting: Some(instances.peekable()),
        running: Vec::new(),
        has_started: false,
        observer,
    };
    let mut outcome = Ok(());
    while !scheduler.is_done() {
        let started = match outcome.is_err() || signal::is_caught() {
            true => {
                scheduler.terminate();
                Ok(())
            }
            false => scheduler.start_next(),
        };
        let step = started
            .and_then(|()| scheduler.wait())
            .and_then(|()| scheduler.collect());
        outcome = outcome.and(step);
        scheduler.observer.tick();
    }
    outcome
}

struct Scheduler<'a, I: Iterator<Item = Instance>> {
    params: BatchParams<'a>,
    /// Instances not started yet; None if no more are to be started.
    waiting: Option<Peekable<I>>,
    running: Vec<Running>,
    /// Whether an instance has been started.
    has_started: bool,
    observer: &'a mut dyn SweepObserver,
}

/// A running instance.
struct Running {
    instance: Instance,
    launched: LaunchedInstance,
    process: Process,
    directory: Option<DirectoryHandle>,
    deadline: Option<Instant>,
}

impl<I: Iterator<Item = Instance>> Scheduler<'_, I> {
    fn is_done(&mut self) -> bool {
        let waiting = self.waiting.as_mut();
        let none_waits = waiting.is_none_or(|waiting| waiting.peek().is_none());
        none_waits && self.running.is_empty()
    }

    /// Starts as many instances as concurrency and runner permit.
    fn start_next(&mut self) -> Result<()> {
        let free = self.params.concurrency as usize - self.running.len();
        let in_waves = self.params.sweep.runner == Runner::Waves;
        let together = self.running.is_empty() && (in_waves || !self.has_started);
        if in_waves && !together {
            return Ok(());
        }
        let waiting = self.waiting.iter_mut().flatten();
        let starting: Vec<Instance> = waiting.take(free).collect();
        // A single instance needs no common start.
        let start_at = (together && starting.len() > 1).then(|| StartAt::after(self.params.lead));
        for instance in starting {
            if signal::is_caught() {
                break;
            }
            self.has_started = true;
            self.launch(instance, start_at)?;
        }
        Ok(())
    }

    /// Starts an instance; one that cannot be started has failed.
    fn launch(&mut self, instance: Instance, start_at: Option<StartAt>) -> Result<()> {
        let BatchParams {
            sweep, directories, ..
        } = self.params;
        let launched = LaunchedInstance {
            labels: sweep.labels(instance),
            launch: sweep.launch(instance),
            workload: Workload::of(&sweep.measurement.plan),
            params: LaunchParams {
                cpus: self.params.cpus.get(instance.env).cloned(),
                ..LaunchParams::new(start_at)
            },
            launched_at: SystemTime::now(),
        };
        let deadline = self.deadline(start_at);
        let created = match directories {
            InstanceDirectories::Own(directory) => directory.create_for(sweep, instance),
            InstanceDirectories::OfEnvironments(_) => Ok(None),
        };
        let directory = match created {
            Ok(directory) => directory,
            Err(error) => return self.failed_to_start(instance, launched, &error),
        };
        let used = match directories {
            InstanceDirectories::Own(_) => directory.as_ref(),
            InstanceDirectories::OfEnvironments(of_environments) => {
                of_environments.get(instance.env)
            }
        };
        match self.start(instance, used, &launched.params) {
            Ok(process) => {
                self.running.push(Running {
                    instance,
                    launched,
                    process,
                    directory,
                    deadline,
                });
                Ok(())
            }
            Err(error) => {
                self.remove(directory);
                self.failed_to_start(instance, launched, &error)
            }
        }
    }

    /// Returns when an instance that is started now exceeds the time limit.
    fn deadline(&self, start_at: Option<StartAt>) -> Option<Instant> {
        let wait = start_at.map_or(Duration::ZERO, |_| self.params.lead);
        let timeout = self.params.sweep.timeout?;
        Some(Instant::now() + wait + timeout)
    }

    fn start(
        &self,
        instance: Instance,
        directory: Option<&DirectoryHandle>,
        params: &LaunchParams,
    ) -> Result<Process> {
        let dir = directory.map_or(Some(""), |directory| directory.path().to_str());
        let dir = dir.context("the path of --dir is not UTF-8: use another directory")?;
        let command = self.params.sweep.command(instance, dir, params)?;
        let inherited = Inherited {
            descriptors: self.params.descriptors,
            cpus: params.cpus.as_ref().map(cpu_set).transpose()?,
        };
        Process::start(&command, inherited)
            .with_context(|| format!("cannot start the launcher '{}'", command[0]))
    }

    fn failed_to_start(
        &mut self,
        instance: Instance,
        launched: LaunchedInstance,
        error: &Error,
    ) -> Result<()> {
        let result = launched.failed(describe(error));
        self.observer.instance_ended(instance, result)
    }

    /// Starts no more instances and terminates the running ones.
    fn terminate(&mut self) {
        self.waiting = None;
        for running in &mut self.running {
            running.process.terminate(Termination::SweepEnds);
        }
    }

    /// Waits until output, a deadline or the next poll is due.
    fn wait(&self) -> Result<()> {
        let now = Instant::now();
        let mut wait = TICK;
        for running in &self.running {
            let steps = [running.deadline, running.process.next_step()];
            let next = steps.into_iter().flatten().min();
            wait = next.map_or(wait, |at| wait.min(at.saturating_duration_since(now)));
            if running.process.outputs().next().is_none() {
                wait = wait.min(SOON);
            }
        }
        let processes = self.running.iter().map(|running| &running.process);
        let mut outputs: Vec<PollFd<'_>> = processes
            .flat_map(Process::outputs)
            .map(|output| PollFd::new(output, PollFlags::POLLIN))
            .collect();
        // Rounded up, so that waiting for a deadline does not spin with zero timeouts.
        let timeout = u16::try_from(wait.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut outputs, PollTimeout::from(timeout)) {
            // A signal: the caller checks for it.
            Err(Errno::EINTR) => Ok(()),
            other => other
                .map(drop)
                .context("cannot wait for the output of instances"),
        }
    }

    /// Reads output, enforces deadlines and reports instances that have ended.
    fn collect(&mut self) -> Result<()> {
        let now = Instant::now();
        let mut outcome = Ok(());
        for mut running in std::mem::take(&mut self.running) {
            running.process.read();
            if let Some(timeout) = self.params.sweep.timeout
                && running.deadline.is_some_and(|at| at <= now)
            {
                running.process.terminate(Termination::TimedOut(timeout));
                running.deadline = None;
            }
            match running.process.try_wait().transpose() {
                None => self.running.push(running),
                Some(exited) => {
                    let reported = self.report(running, exited);
                    outcome = outcome.and(reported);
                }
            }
        }
        outcome
    }

    /// Removes the directory of an instance that has ended, and reports its result.
    fn report(&mut self, running: Running, exited: io::Result<ExitedProcess>) -> Result<()> {
        let Running {
            instance,
            launched,
            directory,
            ..
        } = running;
        self.remove(directory);
        let result = match &exited {
            Ok(exited) => launched.result(exited),
            Err(error) => launched.failed(format!("cannot wait for its process: {error}")),
        };
        let is_interrupted = exited
            .is_ok_and(|exited| exited.termination == Some(Termination::SweepEnds))
            && result.status != Status::Complete;
        match is_interrupted {
            true => Ok(()),
            false => self.observer.instance_ended(instance, result),
        }
    }

    /// Removes the directory of an instance that has ended.
    fn remove(&mut self, directory: Option<DirectoryHandle>) {
        if let (Some(directory), InstanceDirectories::Own(parent)) =
            (directory, self.params.directories)
            && let Err(error) = parent.remove(&directory)
        {
            self.observer.not_removed(&error);
        }
    }
}

/// Converts CPUs to the form of sched_setaffinity(2).
fn cpu_set(cpus: &CpuList) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter() {
        set.set(cpu as usize)
            .with_context(|| format!("cannot bind a process to CPU {cpu}"))?;
    }
    Ok(set)
}
