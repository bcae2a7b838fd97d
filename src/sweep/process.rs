//! Process of one instance: in its own group, its output captured, its termination guaranteed.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid};

use crate::descriptors::DescriptorLimit;

/// Limit of standard output in bytes: a result with its intervals is far smaller.
const MOST_OUTPUT: usize = 16 << 20;

/// Bytes kept from the end of standard error.
const TAIL: usize = 4096;

/// Time from SIGTERM to SIGKILL, for printing a result and removing files.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait for output that descendants of an exited process hold open.
const DRAIN: Duration = Duration::from_secs(1);

/// A running process. Drop kills it and its group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Pipe<std::process::ChildStdout>,
    stderr: Pipe<std::process::ChildStderr>,
    cut: Option<Cut>,
    /// When to kill its group.
    kill_at: Option<Instant>,
    /// When to stop waiting for output after the process has exited.
    drain_until: Option<Instant>,
    reaped: bool,
}

/// Why a process was terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It exceeded this time limit.
    TimedOut(Duration),
    /// It printed more than [`MOST_OUTPUT`].
    TooMuch,
    /// The sweep ends.
    SweepEnds,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status.
    pub status: ExitStatus,
    /// Why it was terminated; None if it ended by itself.
    pub cut: Option<Cut>,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts a non-empty command in its own process group with this file descriptor limit.
    pub fn start(command: &[String], descriptors: DescriptorLimit) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let sweep = getpid();
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // SAFETY: between fork and exec, prctl, getppid and setrlimit are plain system calls, and no
        // memory is allocated.
        unsafe {
            command.pre_exec(move || {
                descriptors.set()?;
                end_with(sweep)
            })
        };
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let process = Self {
            child,
            stdout: Pipe::new(stdout),
            stderr: Pipe::new(stderr),
            cut: None,
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
        let (out, err) = (self.stdout.from.as_ref(), self.stderr.from.as_ref());
        out.map(AsFd::as_fd).into_iter().chain(err.map(AsFd::as_fd))
    }

    /// Reads the available output without blocking.
    pub fn read(&mut self) {
        if self.stdout.read(MOST_OUTPUT) == Room::Full {
            self.end(Cut::TooMuch);
        }
        while self.stderr.read(2 * TAIL) == Room::Full {
            let text = &mut self.stderr.text;
            text.drain(..text.len() - TAIL);
        }
    }

    /// Asks the process and its group to end, unless it has already ended. The first reason is
    /// kept.
    pub fn end(&mut self, cut: Cut) {
        if self.cut.is_none() && self.drain_until.is_none() {
            self.cut = Some(cut);
            self.kill_at = Some(Instant::now() + GRACE);
            self.signal(Signal::SIGTERM);
        }
    }

    /// Returns when [`Self::ended`] must be called next, regardless of output.
    pub fn next_step(&self) -> Option<Instant> {
        [self.kill_at, self.drain_until].into_iter().flatten().min()
    }

    /// Checks whether the process has ended and enforces its deadlines. Once it has ended, kills
    /// what remains of its group.
    pub fn ended(&mut self) -> io::Result<Option<Ended>> {
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
        Ok(Some(Ended {
            status,
            cut: self.cut,
            stdout: std::mem::take(&mut self.stdout.text),
            stderr: self.stderr.tail(),
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
pub fn end_with_this_process(command: &mut Command) {
    let this = nix::unistd::getpid();
    // SAFETY: between fork and exec, prctl and getppid are plain system calls, and no memory is
    // allocated.
    unsafe { command.pre_exec(move || end_with(this)) };
}

/// Runs in the child: makes it end with the sweep, for whatever reason that ends.
fn end_with(sweep: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The sweep may have ended before prctl.
    match getppid() == sweep {
        true => Ok(()),
        false => Err(Errno::ECANCELED.into()),
    }
}

/// Read end of a pipe, and the output read so far.
#[derive(Debug)]
struct Pipe<F> {
    from: Option<F>,
    text: Vec<u8>,
}

/// Whether more output may be read.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Left,
    Full,
}

impl<F: Read + AsFd + AsRawFd> Pipe<F> {
    fn new(from: Option<F>) -> Self {
        Self {
            from,
            text: Vec::new(),
        }
    }

    fn make_nonblocking(&self) -> io::Result<()> {
        if let Some(from) = &self.from {
            fcntl(from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(())
    }

    /// Reads available output up to a length of `most` bytes; closes the pipe at its end.
    fn read(&mut self, most: usize) -> Room {
        let mut part = [0; 16 << 10];
        while let Some(from) = &mut self.from {
            if self.text.len() >= most {
                return Room::Full;
            }
            match from.read(&mut part) {
                Ok(n @ 1..) => self.text.extend_from_slice(&part[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => self.from = None,
            }
        }
        Room::Left
    }

    /// Returns the last lines, without a line truncated at the front.
    fn tail(&self) -> String {
        let from = self.text.len().saturating_sub(TAIL);
        let text = String::from_utf8_lossy(&self.text[from..]);
        let whole = match (from, text.split_once('\n')) {
            (1.., Some((_, rest))) if !rest.is_empty() => rest,
            _ => &text,
        };
        whole.trim().to_owned()
    }
}

impl Ended {
    /// Describes how the process ended.
    pub fn in_words(&self) -> String {
        match (self.cut, self.status.code(), self.status.signal()) {
            (Some(Cut::TimedOut(time)), _, _) => {
                format!("ended after {} s (--timeout)", time.as_secs_f64())
            }
            (Some(Cut::TooMuch), _, _) => {
                format!(
                    "ended because it printed more than {} MiB",
                    MOST_OUTPUT >> 20
                )
            }
            (Some(Cut::SweepEnds), _, _) => "ended with the sweep".to_owned(),
            (None, Some(code), _) => format!("exit status {code}"),
            (None, None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("killed by {signal}"),
                Err(_) => format!("killed by signal {number}"),
            },
            (None, None, None) => "ended in an unknown way".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors() -> DescriptorLimit {
        crate::descriptors::raise_limit(0, "none", "").unwrap()
    }

    fn sh(script: &str) -> Process {
        let words = ["sh", "-c", script].map(str::to_owned);
        Process::start(&words, descriptors()).unwrap()
    }

    #[track_caller]
    fn end_of(mut process: Process) -> Ended {
        let start = Instant::now();
        loop {
            process.read();
            if let Some(ended) = process.ended().unwrap() {
                return ended;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it hangs");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn output_and_the_end_of_standard_error_are_captured() {
        let ended = end_of(sh("seq 1 20000 >&2; echo out; exit 3"));
        assert_eq!(ended.stdout, b"out\n");
        assert_eq!(ended.in_words(), "exit status 3");
        assert!(ended.stderr.ends_with("\n19999\n20000"), "{}", ended.stderr);
        assert!((TAIL / 2..=TAIL).contains(&ended.stderr.len()));
    }

    #[test]
    fn excessive_output_terminates_the_process() {
        let ended = end_of(sh("yes"));
        assert_eq!(ended.cut, Some(Cut::TooMuch));
        assert!(ended.stdout.len() < MOST_OUTPUT + (1 << 20));
    }

    #[test]
    fn a_process_asked_to_end_may_still_print() {
        let mut process =
            sh("trap 'echo bye; exit 1' TERM; echo ready; while :; do sleep 0.01; done");
        while process.stdout.text.is_empty() {
            process.read();
        }
        process.end(Cut::SweepEnds);
        let ended = end_of(process);
        assert_eq!(ended.stdout, b"ready\nbye\n");
        assert_eq!(ended.cut, Some(Cut::SweepEnds));
    }

    #[test]
    fn background_processes_neither_delay_the_end_nor_outlive_it() {
        let ended = end_of(sh("sleep 1000 & echo $!"));
        let left: i32 = String::from_utf8(ended.stdout)
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
                "{left} is still there"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let command = ["/no/such/program".to_owned()];
        let error = Process::start(&command, descriptors()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
