//! Injected causes of a difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{major, minor, stat};
use nix::unistd::Pid;

use crate::paired::{WBENCH, output};

/// The CPU that runs and busy loops share.
const SHARED_CPU: &str = "0";

/// CPU time per period that the quota allows, and the period, in microseconds.
const QUOTA_US: [u32; 2] = [10_000, 50_000];

/// Where the hierarchies of control groups are mounted.
const HIERARCHIES: &str = "/sys/fs/cgroup";

/// The control group of this process, and its CPU shares; other groups usually have 1024.
const PREFERRED: &str = "wbench-causes";
const SHARES: &str = "32768";

/// The control groups with a quota and with a slow device.
const QUOTA: &str = "wbench-causes/quota";
const SLOW: &str = "wbench-causes-slow";

/// How long a run is stopped.
const STOPPED: Duration = Duration::from_millis(100);

/// CPU time after which a worker thread is stopped.
const STOP_AFTER: Duration = Duration::from_millis(5);

/// Reads per second that the slow device allows.
const READS_PER_S: u32 = 1_000;

/// An injected cause.
#[derive(Debug, Clone, Copy)]
pub enum Injection {
    /// Another process that always runs on the same CPU.
    BusyLoop,
    /// A CPU quota of a control group.
    Quota,
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// A device with a limited number of requests per second.
    SlowDevice,
}

impl Injection {
    /// The component of a time budget in which it shows.
    pub fn component(self) -> &'static str {
        match self {
            Self::BusyLoop => "contended",
            Self::Quota => "throttled",
            Self::Stop | Self::SlowDevice => "blocked",
        }
    }
}

/// Runs wbench on one CPU with space-separated arguments, and under an injection if there is one.
/// Returns its result.
pub fn run(injection: Option<Injection>, dir: &Path, arguments: &str) -> Result<String> {
    match injection {
        None => output(command(dir, arguments, None)),
        Some(Injection::BusyLoop) => {
            let _busy = BusyLoop::start()?;
            output(command(dir, arguments, None))
        }
        Some(Injection::Quota) => {
            let [quota, period] = QUOTA_US;
            let group = ControlGroup::new("cpu", QUOTA)?;
            group.set("cpu.cfs_period_us", &period.to_string())?;
            group.set("cpu.cfs_quota_us", &quota.to_string())?;
            output(command(dir, arguments, Some(&group)))
        }
        Some(Injection::SlowDevice) => {
            let group = ControlGroup::new("blkio", SLOW)?;
            let limit = format!("{} {READS_PER_S}", device(dir)?);
            group.set("blkio.throttle.read_iops_device", &limit)?;
            output(command(dir, arguments, Some(&group)))
        }
        Some(Injection::Stop) => loop {
            let mut child = command(dir, arguments, None)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?;
            let stopped = stop_for_a_while(&mut child)?;
            let done = child.wait_with_output()?;
            ensure!(done.status.success(), "wbench failed");
            if stopped {
                break Ok(String::from_utf8(done.stdout)?);
            }
        },
    }
}

/// The command of a run on the shared CPU, in a control group if there is one.
fn command(dir: &Path, arguments: &str, group: Option<&ControlGroup>) -> Command {
    let mut command = Command::new("taskset");
    command.current_dir(dir).args(["-c", SHARED_CPU]);
    if let Some(group) = group {
        let script = r#"echo $$ >"$0" && exec "$@""#;
        command
            .args(["sh", "-c", script])
            .arg(group.0.join("cgroup.procs"));
    }
    command.arg(WBENCH).args(arguments.split(' '));
    command.args(["--quiet", "--json", "-"]);
    command
}

/// Stops a process when its worker thread has run for a while, and continues it later. Returns whether
/// the thread was still running: on a busy machine this process may look too late.
fn stop_for_a_while(child: &mut Child) -> Result<bool> {
    let id = child.id();
    while cpu_time_of_worker(id)?.is_none_or(|time| time < STOP_AFTER) {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(1));
    }
    let process = Pid::from_raw(id.cast_signed());
    kill(process, Signal::SIGSTOP)?;
    thread::sleep(STOPPED);
    let in_time = cpu_time_of_worker(id)?.is_some();
    kill(process, Signal::SIGCONT)?;
    Ok(in_time)
}

/// CPU time of the worker thread of a process in the measured run; `None` without one.
fn cpu_time_of_worker(id: u32) -> Result<Option<Duration>> {
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        let task = task?;
        if task.file_name() != *id.to_string() {
            // A thread may have ended.
            let times = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let on_cpu = times.split(' ').next().and_then(|ns| ns.parse().ok());
            return Ok(on_cpu.map(Duration::from_nanos));
        }
    }
    Ok(None)
}

/// A process that is always runnable on the shared CPU, until dropped.
struct BusyLoop(Child);

impl BusyLoop {
    fn start() -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", SHARED_CPU, "sh", "-c", "while :; do :; done"]);
        Ok(Self(command.spawn().context("cannot run taskset")?))
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A control group of version 1 below the root of its hierarchy, removed when dropped.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn new(controller: &str, name: &str) -> Result<Self> {
        let hierarchy = Path::new(HIERARCHIES).join(controller);
        if !hierarchy.join("cgroup.procs").exists() {
            bail!("{hierarchy:?} is no control group hierarchy of version 1");
        }
        let path = hierarchy.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {path:?}"))?;
        Ok(Self(path))
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.0.join(file);
        fs::write(&path, value).with_context(|| format!("cannot write {path:?}"))
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.0);
    }
}

/// A control group of this process and all that it starts, which other processes disturb less.
pub struct Preferred {
    _group: ControlGroup,
}

impl Preferred {
    /// Moves this process into the group, until dropped.
    pub fn new() -> Result<Self> {
        let group = ControlGroup::new("cpu", PREFERRED)?;
        group.set("cpu.shares", SHARES)?;
        group.set("cgroup.procs", "0")?;
        Ok(Self { _group: group })
    }
}

impl Drop for Preferred {
    fn drop(&mut self) {
        let root = Path::new(HIERARCHIES).join("cpu/cgroup.procs");
        _ = fs::write(root, "0");
    }
}

/// The device number of the block device below a directory.
fn device(dir: &Path) -> Result<String> {
    let device = stat(dir)?.st_dev;
    Ok(format!("{}:{}", major(device), minor(device)))
}
