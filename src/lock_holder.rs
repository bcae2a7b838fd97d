//! The holder of a lock, according to /proc/locks (proc_locks(5)).

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use nix::unistd::{SysconfVar, sysconf};

/// Describes the holder of a file's lock for a message; None if it is not visible from here.
pub fn of(file: &File) -> Option<String> {
    let file = file.metadata().ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| pid_of(line, &file))?;
    Some(match started_at(pid) {
        Some(at) => {
            let at = humantime::format_rfc3339_seconds(at);
            format!("process {pid}, which started at {at}")
        }
        None => format!("process {pid}"),
    })
}

/// Returns the process ID of a line, if that is a lock held on this file.
fn pid_of(line: &str, file: &Metadata) -> Option<u32> {
    // 1: FLOCK  ADVISORY  WRITE 1234 fd:01:1836543 0 EOF
    let mut fields = line.split_ascii_whitespace();
    let is_flock = fields.nth(1)? == "FLOCK";
    let pid = fields.nth(2)?.parse().ok().filter(|&pid| pid > 0)?;
    let (device, inode) = fields.next()?.rsplit_once(':')?;
    let of_file = inode.parse() == Ok(file.ino());
    // Some file systems show a different device here than in stat(2).
    let found = is_flock && of_file && (device == device_of(file) || has_open(pid, file));
    found.then_some(pid)
}

fn device_of(file: &Metadata) -> String {
    let device = file.dev();
    format!("{:02x}:{:02x}", libc::major(device), libc::minor(device))
}

fn has_open(pid: u32, file: &Metadata) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    descriptors.into_iter().flatten().flatten().any(|entry| {
        fs::metadata(entry.path())
            .is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
    })
}

/// Returns the start time of a process, to the second.
fn started_at(pid: u32) -> Option<SystemTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything; the 22nd field is the 20th after it.
    let ticks: u64 = stat
        .rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let seconds = boot.trim().parse::<u64>().ok()? + ticks.checked_div(per_second)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_another_kind_device_or_file_is_ignored() {
        let file = tempfile::tempfile().unwrap().metadata().unwrap();
        let place = format!("{}:{}", device_of(&file), file.ino());
        let line = |rest: &str| format!("1: {rest}");
        assert_eq!(
            pid_of(
                &line(&format!("FLOCK  ADVISORY  WRITE 77 {place} 0 EOF")),
                &file
            ),
            Some(77)
        );
        for rest in [
            format!("POSIX  ADVISORY  WRITE 77 {place} 0 EOF"),
            format!("-> FLOCK  ADVISORY  WRITE 77 {place} 0 EOF"),
            format!("FLOCK  ADVISORY  WRITE 0 {place} 0 EOF"),
            format!("FLOCK  ADVISORY  WRITE 77 {place}1 0 EOF"),
            "FLOCK".to_owned(),
        ] {
            assert_eq!(pid_of(&line(&rest), &file), None, "{rest}");
        }
    }

    #[test]
    fn the_start_time_of_this_process_is_in_the_past() {
        let at = started_at(std::process::id()).unwrap();
        assert!(at < SystemTime::now());
    }
}
