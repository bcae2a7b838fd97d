//! What the kernel reports about a running process.

use nix::unistd::Pid;

/// The files `status` of the worker threads of a process, of those that measure the harness and of
/// those of a run.
pub fn workers(pid: Pid) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    tasks
        .flatten()
        // Threads that measure the harness come and go.
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter(|status| status.starts_with("Name:\tworker-"))
        .collect()
}

/// CPU time that the worker threads of a process have used, in clock ticks of the kernel.
pub fn worker_ticks(pid: Pid) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .filter(|stat| stat.contains("(worker-"))
        .filter_map(|stat| {
            let (_, fields) = stat.rsplit_once(") ")?;
            // utime is field 14; the state, which follows the name, is field 3.
            fields.split(' ').nth(11)?.parse::<u64>().ok()
        })
        .sum()
}

/// The CPU affinity of a process's worker threads, as the kernel prints it.
pub fn cpus_of_workers(pid: Pid) -> Vec<String> {
    let workers = workers(pid);
    let lists = workers.iter().filter_map(|status| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
    });
    lists.map(|list| list.trim().to_owned()).collect()
}

/// The children of a process, with their states.
pub fn children(parent: i32) -> Vec<(i32, char)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut after = stat.rsplit_once(')')?.1.split_whitespace();
        let state = after.next()?.chars().next()?;
        let of = after.next()?.parse::<i32>().ok()?;
        (of == parent).then_some((pid, state))
    })
    .collect()
}

/// A line of `/proc/PID/status` in KiB; `None` if the process has no memory any more.
pub fn status_kib(pid: i32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
