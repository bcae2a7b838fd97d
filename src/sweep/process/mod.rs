//! Process of one instance: in its own group, its output captured, its termination guaranteed.

mod pipe;

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid};

use crate::descriptors::DescriptorLimit;
use pipe::Pipe;

/// Limit of standard output in bytes: a result with its intervals is far smaller.
const MAX_OUTPUT: usize = 16 << 20;

/// Bytes kept from the end of standard error.
const TAIL: usize = 4096;

/// Time between SIGTERM and SIGKILL, for printing a result and removing files.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait for output that descendants of an exited process hold open.
const DRAIN: Duration = Duration::from_secs(1);

/// A running process. Drop kills it and its group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Pipe<std::process::ChildStdout>,
    stderr: Pipe<std::process::ChildStderr>,
    termination: Option<Termination>,
    /// When to kill its group.
    kill_at: Option<Instant>,
    /// When to stop waiting for output after the process has exited.
    drain_until: Option<Instant>,
    reaped: bool,
}

/// What a process and its children inherit.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    /// File descriptor limit.
    pub descriptors: DescriptorLimit,
    /// CPUs that it is bound to; None for those of this process.
    pub cpus: Option<CpuSet>,
}

impl Inherited {
    /// Applies to the calling process: only system calls, safe between fork and exec.
    fn set(&self) -> io::Result<()> {
        self.descriptors.set()?;
        if let Some(cpus) = &self.cpus {
            sched_setaffinity(Pid::from_raw(0), cpus)?;
        }
        Ok(())
    }
}

/// Why a process was terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// It exceeded this time limit.
    TimedOut(Duration),
    /// It printed more than [`MAX_OUTPUT`].
    ExcessiveOutput,
    /// The sweep was interrupted or failed.
    SweepEnds,
}

/// A process that has exited, and what it printed.
#[derive(Debug)]
pub struct ExitedProcess {
    /// Exit status.
    pub status: ExitStatus,
    /// Why it was terminated; None if it ended on its own.
    pub termination: Option<Termination>,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts a non-empty command in its own process group.
    pub fn start(command: &[String], inherited: Inherited) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let sweep = getpid();
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // SAFETY: between fork and exec, prctl, getppid, setrlimit and sched_setaffinity are plain
        // system calls, and no memory is allocated.
        unsafe {
            command.pre_exec(move || {
                inherited.set()?;
                terminate_with(sweep)
            })
        };
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Self {
            child,
            stdout: Pipe::new(stdout),
            stderr: Pipe::new(stderr),
            termination: None,
            kill_at: None,
            drain_until: None,
            reaped: false,
        };
        process.stdout.make_nonblocking()?;
        process.stderr.make_nonblocking()?;
        Ok(process)
    }

    /// Returns the pipes to poll for input.
    pub fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let descriptors = [self.stdout.descriptor(), self.stderr.descriptor()];
        descriptors.into_iter().flatten()
    }

    /// Reads the available output without blocking.
    pub fn read(&mut self) {
        if self.stdout.read(MAX_OUTPUT) {
            self.terminate(Termination::ExcessiveOutput);
        }
        self.stderr.read_tail(TAIL);
    }

    /// Terminates the process and its group, unless it has already exited. The first reason is kept.
    pub fn terminate(&mut self, termination: Termination) {
        if self.termination.is_none() && self.drain_until.is_none() {
            self.termination = Some(termination);
            self.kill_at = Some(Instant::now() + GRACE);
            self.signal(Signal::SIGTERM);
        }
    }

    /// Returns when [`Self::try_wait`] must be called next, regardless of output.
    pub fn next_step(&self) -> Option<Instant> {
        [self.kill_at, self.drain_until].into_iter().flatten().min()
    }

    /// Checks whether the process has exited and enforces its deadlines. Once it has, kills what
    /// remains of its group.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitedProcess>> {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.signal(Signal::SIGKILL);
        }
        if !self.has_exited()? {
            return Ok(None);
        }
        let open = self.outputs().next().is_some();
        let until = *self.drain_until.get_or_insert(now + DRAIN);
        if open && now < until {
            return Ok(None);
        }
        // Not reaped yet, so its PID still identifies its group.
        self.signal(Signal::SIGKILL);
        let status = self.child.wait()?;
        self.reaped = true;
        Ok(Some(ExitedProcess {
            status,
            termination: self.termination,
            stdout: std::mem::take(&mut self.stdout.data),
            stderr: self.stderr.tail(TAIL),
        }))
    }

    fn has_exited(&self) -> io::Result<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid()), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails only if no process of the group is left.
        let _ = killpg(self.pid(), signal);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Makes a command's process receive SIGTERM when this process ends for any reason.
pub fn terminate_with_parent(command: &mut Command) {
    let this = getpid();
    // SAFETY: between fork and exec, prctl and getppid are plain system calls, and no memory is
    // allocated.
    unsafe { command.pre_exec(move || terminate_with(this)) };
}

/// Runs in the child: makes it receive SIGTERM when the sweep ends for any reason.
fn terminate_with(sweep: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The sweep may have ended before prctl.
    match getppid() == sweep {
        true => Ok(()),
        false => Err(Errno::ECANCELED.into()),
    }
}

impl ExitedProcess {
    /// Describes how the process ended.
    pub fn describe(&self) -> String {
        match (self.termination, self.status.code(), self.status.signal()) {
            (Some(Termination::TimedOut(time)), _, _) => {
                format!("terminated after {} s (--timeout)", time.as_secs_f64())
            }
            (Some(Termination::ExcessiveOutput), _, _) => {
                format!(
                    "terminated because it printed more than {} MiB",
                    MAX_OUTPUT >> 20
                )
            }
            (Some(Termination::SweepEnds), _, _) => "terminated with the sweep".to_owned(),
            (None, Some(code), _) => format!("exit status {code}"),
            (None, None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("killed by {signal}"),
                Err(_) => format!("killed by signal {number}"),
            },
            (None, None, None) => "unknown exit status".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited() -> Inherited {
        Inherited {
            descriptors: crate::descriptors::raise_limit(0, "none", "").unwrap(),
            cpus: None,
        }
    }

    fn sh(script: &str) -> Process {
        let command = ["sh", "-c", script].map(str::to_owned);
        Process::start(&command, inherited()).unwrap()
    }

    #[track_caller]
    fn wait_for(mut process: Process) -> ExitedProcess {
        let start = Instant::now();
        loop {
            process.read();
            if let Some(exited) = process.try_wait().unwrap() {
                return exited;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the process hangs"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn output_and_the_end_of_standard_error_are_captured() {
        let exited = wait_for(sh("seq 1 20000 >&2; echo out; exit 3"));
        assert_eq!(exited.stdout, b"out\n");
        assert_eq!(exited.describe(), "exit status 3");
        assert!(
            exited.stderr.ends_with("\n19999\n20000"),
            "{}",
            exited.stderr
        );
        assert!((TAIL / 2..=TAIL).contains(&exited.stderr.len()));
    }

    #[test]
    fn excessive_output_terminates_the_process() {
        let exited = wait_for(sh("yes"));
        assert_eq!(exited.termination, Some(Termination::ExcessiveOutput));
        assert!(exited.stdout.len() < MAX_OUTPUT + (1 << 20));
    }

    #[test]
    fn a_process_asked_to_end_may_still_print() {
        let mut process =
            sh("trap 'echo bye; exit 1' TERM; echo ready; while :; do sleep 0.01; done");
        while process.stdout.data.is_empty() {
            process.read();
        }
        process.terminate(Termination::SweepEnds);
        let exited = wait_for(process);
        assert_eq!(exited.stdout, b"ready\nbye\n");
        assert_eq!(exited.termination, Some(Termination::SweepEnds));
    }

    #[test]
    fn background_processes_neither_delay_the_end_nor_outlive_it() {
        let exited = wait_for(sh("sleep 1000 & echo $!"));
        let left: i32 = String::from_utf8(exited.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{left}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let start = Instant::now();
        while !gone() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{left} is still running"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let command = ["/no/such/program".to_owned()];
        let error = Process::start(&command, inherited()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
