//! The time budget of runs whose time is taken by known causes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::container::{bind_mount, start_bundle};
use crate::common::storage::Mounted;
use crate::common::{
    Running, WBENCH, allowed_cpus, assert_ended, number, parsed, result_in, temp_dir, tool,
    wait_until,
};

/// Largest error of a component, as a share of the time of all threads.
const ERROR: f64 = 0.05;

/// Time for which a process is stopped.
const STOP: Duration = Duration::from_secs(1);

/// A run of the cpu test that prints an interval soon after its start.
const CPU: &str = "cpu --max-prime 1000 --events 0 --report-interval 0.05";

/// A component of the time budget.
fn component(result: &Value, name: &str) -> f64 {
    number(result, &format!("/accounting/{name}"))
}

/// Fails unless a component has this many seconds, within the allowed error.
#[track_caller]
fn assert_component(result: &Value, name: &str, expected_s: f64) {
    let error_s = ERROR * component(result, "thread_s");
    let found_s = component(result, name);
    assert!(
        (found_s - expected_s).abs() <= error_s,
        "{name}: {found_s} s, expected {expected_s} s: {:#}",
        result["accounting"]
    );
}

fn warns(result: &Value, code: &str) -> bool {
    let warnings = result["warnings"].as_array().unwrap();
    warnings.iter().any(|warning| warning["code"] == code)
}

/// Starts a command before most others on a busy machine, on one CPU if one is given.
fn prompt(cpu: Option<usize>, command: &[&str]) -> Command {
    let mut nice = tool("nice");
    nice.args(["-n", "-20"]);
    if let Some(cpu) = cpu {
        nice.args(["taskset", "-c", &cpu.to_string()]);
    }
    nice.args(command);
    nice
}

/// A process that takes all of a CPU that it can get.
fn hog(cpu: usize) -> Running {
    let hog = Running::start(prompt(
        Some(cpu),
        &["sh", "-c", "echo busy; while :; do :; done"],
    ));
    hog.wait_for("busy");
    hog
}

/// CPU time that a process has used.
fn cpu_time(pid: Pid) -> f64 {
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let ran_ns: f64 = schedstat.split(' ').next().unwrap().parse().unwrap();
    ran_ns / 1e9
}

/// Stops a process for a while, and returns for how long all its threads were stopped at least.
fn stop(pid: Pid) -> f64 {
    kill(pid, Signal::SIGSTOP).unwrap();
    wait_until("all threads are stopped", || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().all(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.contains("State:\tT")
        })
    });
    let stopped = Instant::now();
    thread::sleep(STOP);
    let stopped = stopped.elapsed();
    kill(pid, Signal::SIGCONT).unwrap();
    stopped.as_secs_f64()
}

/// A container in which wbench runs.
struct Container {
    bundle: TempDir,
    running: Option<Running>,
}

impl Container {
    /// Starts one with a directory mounted as `/data`, if one is given, and with these limits.
    fn start(args: &str, data: Option<&Path>, resources: &Value) -> Self {
        let bundle = temp_dir();
        let root = bundle.path().join("rootfs");
        for directory in ["data", "proc", "sys"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::hard_link(WBENCH, root.join("wbench")).unwrap();
        let sys = json!({
            "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"],
        });
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            sys,
        ];
        mounts.extend(data.map(|data| bind_mount(data, "/data", "rw")));
        let args: Vec<&str> = ["/wbench"].into_iter().chain(args.split(' ')).collect();
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": args,
                "cwd": "/",
            },
            "root": {"path": "rootfs"},
            "mounts": mounts,
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
                "resources": resources,
            },
        });
        let running = start_bundle(bundle.path(), &config);
        Self {
            bundle,
            running: Some(running),
        }
    }

    /// The process, as seen from outside.
    fn pid(&self) -> Pid {
        let pid = fs::read_to_string(self.bundle.path().join("pid")).unwrap();
        Pid::from_raw(pid.parse().unwrap())
    }

    /// Waits until the run has begun.
    fn wait_for_events(&mut self) {
        let running = self.running.as_mut().unwrap();
        wait_until("an interval is printed", || {
            assert!(running.is_running(), "{}", running.stderr());
            running.stdout().contains("events/s")
        });
    }

    /// The `cpu.stat` of its control group.
    fn cpu_stat(&self) -> PathBuf {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid())).unwrap();
        let mount = |controllers: &str| match controllers {
            "" => "/sys/fs/cgroup".to_owned(),
            controllers => format!("/sys/fs/cgroup/{controllers}"),
        };
        let mut files = groups.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            let of_cpu = controllers.is_empty() || controllers.split(',').any(|it| it == "cpu");
            let file = PathBuf::from(format!("{}{group}/cpu.stat", mount(controllers)));
            (of_cpu && throttled_s(&file).is_some()).then_some(file)
        });
        files.next().expect("a control group with a quota")
    }

    /// Waits for its end. Returns the result, and for how long its control group was throttled since
    /// `began_s`.
    fn finish_with_throttled(mut self, file: &Path, began_s: f64) -> (Value, f64) {
        let mut last_s = began_s;
        let running = self.running.as_mut().unwrap();
        wait_until("the end of the container", || {
            // The control group is removed with its container.
            last_s = throttled_s(file).unwrap_or(last_s);
            !running.is_running()
        });
        (self.finish(), last_s - began_s)
    }

    /// Waits for its end and returns the result.
    fn finish(mut self) -> Value {
        let output = self.running.take().unwrap().finish();
        assert_ended(&output, 0);
        parsed(&fs::read(self.bundle.path().join("rootfs/result")).unwrap())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // After a failed assertion: runc removes the container when its process has ended.
            if let Ok(pid) = fs::read_to_string(self.bundle.path().join("pid")) {
                let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
                drop(running.finish());
            }
        }
    }
}

/// Time for which a control group was throttled so far.
fn throttled_s(cpu_stat: &Path) -> Option<f64> {
    let text = fs::read_to_string(cpu_stat).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let unit = match name {
            "throttled_time" => 1e9,
            "throttled_usec" => 1e6,
            _ => return None,
        };
        Some(value.parse::<f64>().ok()? / unit)
    })
}

#[test]
fn a_process_that_was_stopped_was_blocked() {
    let directory = temp_dir();
    let file = directory.path().join("r.json");
    let args = format!("{CPU} --time 5 --threads 2 --json {}", file.display());
    let mut command = vec![WBENCH];
    command.extend(args.split(' '));
    let run = Running::start(prompt(None, &command));
    run.wait_for("events/s");
    let stopped_s = stop(run.pid());
    assert_ended(&run.finish(), 0);
    let result = result_in(&file);
    assert_component(&result, "blocked_s", 2.0 * stopped_s);
    assert_component(&result, "unexplained_s", 0.0);
    assert!(warns(&result, "blocked"), "{result:#}");
}

#[test]
fn the_time_that_other_processes_use_a_cpu_is_contended() {
    let directory = temp_dir();
    let file = directory.path().join("r.json");
    let cpu = allowed_cpus()[0];
    let args = format!("{CPU} --time 1000 --json {}", file.display());
    let mut command = vec![WBENCH];
    command.extend(args.split(' '));
    let run = Running::start(prompt(Some(cpu), &command));
    run.wait_for("events/s");
    // All that the hogs ever use lies within the run.
    let hogs = [hog(cpu), hog(cpu)];
    let used_s = || hogs.iter().map(|hog| cpu_time(hog.pid())).sum::<f64>();
    wait_until("the hogs have used the CPU", || used_s() > 2.0);
    let hogs_s = used_s();
    drop(hogs);
    run.signal(Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    let result = result_in(&file);
    let thread_s = component(&result, "thread_s");
    let contended_s = component(&result, "contended_s");
    assert!(contended_s >= hogs_s - ERROR * thread_s, "{result:#}");
    let own_s = component(&result, "user_s") + component(&result, "system_s");
    assert_component(&result, "stolen_s", thread_s - own_s - contended_s);
    assert_component(&result, "blocked_s", 0.0);
    assert_component(&result, "throttled_s", 0.0);
    assert!(warns(&result, "runqueue-wait"), "{result:#}");
}

/// A CPU quota of this share of a CPU, with precedence over most others on a busy machine.
fn quota(share: f64) -> Value {
    let period = 100_000;
    json!({
        "quota": (share * f64::from(period)) as u32, "period": period, "shares": 262_144,
    })
}

#[test]
fn a_quota_of_a_container_throttles() {
    let limits = json!({"cpu": quota(0.2)});
    let mut container = Container::start(&format!("{CPU} --time 6 --json /result"), None, &limits);
    container.wait_for_events();
    let file = container.cpu_stat();
    let began_s = throttled_s(&file).unwrap();
    let (result, throttled_s) = container.finish_with_throttled(&file, began_s);
    assert_component(&result, "throttled_s", throttled_s);
    let thread_s = component(&result, "thread_s");
    assert_component(&result, "throttled_s", 0.8 * thread_s);
    assert_component(&result, "user_s", 0.2 * thread_s);
    assert_component(&result, "unexplained_s", 0.0);
    assert!(warns(&result, "throttled"), "{result:#}");
    assert!(!warns(&result, "runqueue-wait"), "{result:#}");
}

#[test]
fn several_causes_at_once_are_distinguished() {
    let cpu = allowed_cpus()[0];
    let mut limits = json!({"cpu": quota(0.5)});
    limits["cpu"]["cpus"] = cpu.to_string().into();
    let mut container = Container::start(&format!("{CPU} --time 8 --json /result"), None, &limits);
    container.wait_for_events();
    let file = container.cpu_stat();
    let began_s = throttled_s(&file).unwrap();
    // It takes the CPU for a quarter of the time, so that the container still uses its quota.
    let hog = "import time
print('busy', flush=True)
while True:
    end = time.monotonic() + 0.01
    while time.monotonic() < end: pass
    time.sleep(0.03)";
    let mut real_time = tool("chrt");
    real_time.args([
        "-f",
        "1",
        "taskset",
        "-c",
        &cpu.to_string(),
        "python3",
        "-c",
        hog,
    ]);
    let hog = Running::start(real_time);
    hog.wait_for("busy");
    let stopped_s = stop(container.pid());
    let (result, throttled_s) = container.finish_with_throttled(&file, began_s);
    drop(hog);
    assert_component(&result, "blocked_s", stopped_s);
    assert_component(&result, "throttled_s", throttled_s);
    let rest: f64 = ["user_s", "system_s", "stolen_s", "blocked_s", "throttled_s"]
        .map(|name| component(&result, name))
        .iter()
        .sum();
    assert_component(
        &result,
        "contended_s",
        component(&result, "thread_s") - rest,
    );
    for code in ["blocked", "throttled", "runqueue-wait"] {
        assert!(warns(&result, code), "{code}: {:#}", result["accounting"]);
    }
}

/// Major and minor number of the device of a file system.
fn device_number(directory: &Path) -> (u64, u64) {
    let device = fs::metadata(directory).unwrap().dev();
    (nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

#[test]
fn a_slowed_device_blocks_and_its_limit_is_reported() {
    let disk = Mounted::made("ext4", 64 << 20, "rw");
    disk.bypass_the_page_cache();
    let (major, minor) = device_number(&disk.path());
    let limits = json!({
        "cpu": {"shares": 262_144},
        "blockIO": {"throttleReadIOPSDevice": [{"major": major, "minor": minor, "rate": 50}]},
    });
    let args = "fileio --mode rndrd --files 2 --total-size 16M --dir /data --events 0 --time 5 \
                --report-interval 1 --json /result";
    let args = args.split_whitespace().collect::<Vec<_>>().join(" ");
    let container = Container::start(&args, Some(&disk.path()), &limits);
    let result = container.finish();
    let thread_s = component(&result, "thread_s");
    let blocked_s = component(&result, "blocked_s");
    assert!(blocked_s > thread_s / 2.0, "{result:#}");
    // All but a little of the time of the thread is the latency of an event.
    let used = [
        "user_s",
        "system_s",
        "contended_s",
        "throttled_s",
        "stolen_s",
    ];
    let used_s: f64 = used.map(|name| component(&result, name)).iter().sum();
    assert_component(
        &result,
        "blocked_s",
        number(&result, "/totals/event_time_s") - used_s,
    );
    let device = &result["accounting"]["device"];
    assert_eq!(device["name"], result["storage"]["device"]);
    assert_eq!(device["limits"]["reads_per_s"], 50);
    assert_eq!(device["limits"]["writes_per_s"], Value::Null);
    assert!(
        number(device, "/reads") >= number(&result, "/totals/reads"),
        "{result:#}"
    );
    // The kernel holds the requests back above the device.
    assert!(
        number(device, "/read_time_s") < blocked_s / 2.0,
        "{result:#}"
    );
    assert!(warns(&result, "io-limit"), "{result:#}");
}
