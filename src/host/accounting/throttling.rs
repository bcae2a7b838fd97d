//! Time that control groups held threads back, from the `cpu.stat` of each group on the path to
//! the root that is visible from here.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::cgroup;
use crate::host::mounts::Mount;
use crate::host::root::{SystemRoot, text};

/// The files of this process's groups.
#[derive(Debug, Clone, Default)]
pub(super) struct ThrottlingFiles(Vec<PathBuf>);

/// Throttled time of each group, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ThrottledTimes(Vec<Option<Duration>>);

impl ThrottlingFiles {
    /// Finds the files.
    pub fn find(root: &SystemRoot, mounts: &[Mount]) -> Self {
        let files = cgroup::directories(root, mounts, "cpu")
            .into_iter()
            .map(|directory| root.path(directory).join("cpu.stat"))
            .filter(|file| file.exists());
        Self(files.collect())
    }

    /// Reads the times.
    pub fn read(&self) -> ThrottledTimes {
        ThrottledTimes(self.0.iter().map(|file| throttled(&text(file)?)).collect())
    }
}

impl ThrottledTimes {
    /// Returns the time by which a CPU quota held CPUs back since an earlier reading, summed over
    /// the CPUs; `None` if no group is visible.
    ///
    /// Several groups may hold back the same CPU at the same time, such as a pod and its only
    /// container with equal quotas. The group that was throttled the longest counts, so that no
    /// time counts twice.
    pub fn since(&self, before: &Self) -> Option<Duration> {
        if self.0.is_empty() {
            return None;
        }
        let levels = self.0.iter().zip(&before.0);
        let grown = levels.filter_map(|(after, before)| {
            let (after, before) = after.as_ref().zip(before.as_ref())?;
            after.checked_sub(*before)
        });
        // A group without the field has no quota: it is a root, or lacks the controller.
        Some(grown.max().unwrap_or_default())
    }
}

/// Parses the throttled time: in version 1 in nanoseconds, in version 2 in microseconds.
fn throttled(stat: &str) -> Option<Duration> {
    stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let value = || value.trim().parse().ok();
        match name {
            "throttled_time" => value().map(Duration::from_nanos),
            "throttled_usec" => value().map(Duration::from_micros),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

    fn read(fake: &FakeRoot) -> ThrottledTimes {
        ThrottlingFiles::find(fake.root(), &mounts::read(fake.root())).read()
    }

    fn v2(container: &str, pod: &str) -> ThrottledTimes {
        let fake = FakeRoot::new()
            .file("proc/self/cgroup", "0::/pod/container")
            .file("proc/self/mountinfo", V2)
            .file("sys/fs/cgroup/cpu.stat", "usage_usec 5\nuser_usec 4")
            .file("sys/fs/cgroup/pod/cpu.stat", pod)
            .file("sys/fs/cgroup/pod/container/cpu.stat", container);
        read(&fake)
    }

    #[test]
    fn the_group_that_was_throttled_the_longest_counts() {
        let at = |container, pod| {
            v2(
                &format!("nr_throttled 9\nthrottled_usec {container}"),
                &format!("throttled_usec {pod}\nnr_bursts 0"),
            )
        };
        let since = at(1_000_000, 500_000).since(&at(900_000, 100_000));
        assert_eq!(since, Some(Duration::from_micros(400_000)));
    }

    #[test]
    fn groups_without_a_controller_do_not_throttle() {
        let idle = v2("usage_usec 5", "usage_usec 6");
        assert_eq!(idle.since(&idle), Some(Duration::ZERO));
    }

    #[test]
    fn version_1_counts_nanoseconds() {
        let at = |time| {
            let fake = FakeRoot::new()
                .file("proc/self/cgroup", "2:cpuset:/other\n1:cpu:/job\n0::/")
                .file("proc/self/mountinfo", V1)
                .file("sys/fs/cgroup/cpu/cpu.stat", "throttled_time 0")
                .file(
                    "sys/fs/cgroup/cpu/job/cpu.stat",
                    &format!("nr_periods 3\nnr_throttled 1\nthrottled_time {time}"),
                );
            read(&fake)
        };
        let since = at(7_000_000).since(&at(1_000_000));
        assert_eq!(since, Some(Duration::from_millis(6)));
    }

    #[test]
    fn throttling_is_unknown_if_no_group_is_visible() {
        let nothing = read(&FakeRoot::new());
        assert_eq!(nothing.since(&nothing), None);
    }
}
