//! Control group limits, version 1 and 2.
//!
//! The limits of all ancestor groups apply to this process too: the tightest one that is visible
//! from here counts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::mounts::Mount;
use super::root::SystemRoot;
use crate::result::{Cgroup, IoLimits};

/// Returns the limits that apply to this process. A memory limit that is not below the machine's
/// memory is ignored, as is the number that means "unlimited" in version 1.
pub(super) fn limits(root: &SystemRoot, mounts: &[Mount], memory_bytes: Option<u64>) -> Cgroup {
    let memberships = root.text("proc/self/cgroup").unwrap_or_default();
    let mut tightest = Cgroup::default();
    let mut versions = BTreeSet::new();
    for membership in memberships.lines().filter_map(Membership::parse) {
        let directories = membership.directories(mounts);
        let cpus = cpuset(root, &directories, &CPUSET_CPUS);
        let mems = cpuset(root, &directories, &CPUSET_MEMS);
        tightest.cpuset_cpus = tightest.cpuset_cpus.or(cpus);
        tightest.cpuset_mems = tightest.cpuset_mems.or(mems);
        for directory in &directories {
            let quota = cpu_quota(root, directory);
            let memory = memory_limit(root, directory);
            tightest.cpu_quota_cpus = tighter(tightest.cpu_quota_cpus, quota);
            tightest.memory_limit_bytes = tighter(tightest.memory_limit_bytes, memory);
            versions.extend(membership.version_of_limits());
        }
    }
    // If version 1 has one of the two controllers, version 2 does not have both.
    tightest.version = versions.into_iter().min().map(Into::into);
    tightest.memory_limit_bytes = tightest
        .memory_limit_bytes
        .filter(|&limit| memory_bytes.is_none_or(|memory| limit < memory));
    tightest
}

/// Files with the CPUs of a cpuset: of version 2, of version 1 since Linux 3.17, and before.
const CPUSET_CPUS: [&str; 3] = [
    "cpuset.cpus.effective",
    "cpuset.effective_cpus",
    "cpuset.cpus",
];

/// The same for the memory nodes.
const CPUSET_MEMS: [&str; 3] = [
    "cpuset.mems.effective",
    "cpuset.effective_mems",
    "cpuset.mems",
];

/// Returns the content of a file of the cpuset: that of the group itself, given first, or of the
/// nearest ancestor that has one.
fn cpuset(root: &SystemRoot, directories: &[PathBuf], names: &[&str]) -> Option<String> {
    directories
        .iter()
        .find_map(|group| names.iter().find_map(|name| root.text(group.join(name))))
}

/// Returns the directories of this process's groups with a version 1 controller or of version 2, and
/// of their ancestors, as far as they are visible.
pub(super) fn directories(root: &SystemRoot, mounts: &[Mount], controller: &str) -> Vec<PathBuf> {
    let memberships = root.text("proc/self/cgroup").unwrap_or_default();
    memberships
        .lines()
        .filter_map(Membership::parse)
        .filter(|it| it.controllers.is_empty() || it.controllers.contains(&controller))
        .flat_map(|membership| membership.directories(mounts))
        .collect()
}

/// Returns the directory of this process's group of version 2, if it is visible.
pub(super) fn own_directory(root: &SystemRoot, mounts: &[Mount]) -> Option<PathBuf> {
    let memberships = root.text("proc/self/cgroup")?;
    let memberships = memberships.lines().filter_map(Membership::parse);
    memberships
        .filter(|membership| membership.controllers.is_empty())
        .find_map(|membership| membership.directories(mounts).into_iter().next())
}

/// Returns the limits for a device `major:minor`; `None` if no group that can limit it is visible.
pub(super) fn io_limits(root: &SystemRoot, mounts: &[Mount], number: &str) -> Option<IoLimits> {
    let memberships = root.text("proc/self/cgroup")?;
    let mut limits = None;
    for membership in memberships.lines().filter_map(Membership::parse) {
        let directories = membership.directories(mounts);
        // In version 1, the limits of ancestors do not apply.
        let of_group = match &membership.controllers[..] {
            [] => directories
                .iter()
                .map(|it| io_max(root, it, number))
                .collect(),
            names if names.contains(&"blkio") => {
                let own = directories.first();
                own.map(|it| blkio_throttle(root, it, number))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        };
        for found in of_group {
            let so_far: IoLimits = limits.unwrap_or_default();
            limits = Some(IoLimits {
                read_bytes_per_s: tighter(so_far.read_bytes_per_s, found.read_bytes_per_s),
                write_bytes_per_s: tighter(so_far.write_bytes_per_s, found.write_bytes_per_s),
                reads_per_s: tighter(so_far.reads_per_s, found.reads_per_s),
                writes_per_s: tighter(so_far.writes_per_s, found.writes_per_s),
            });
        }
    }
    limits
}

/// Reads the limits of a group of version 2; "max" is no limit.
fn io_max(root: &SystemRoot, directory: &Path, number: &str) -> IoLimits {
    let text = root.text(directory.join("io.max")).unwrap_or_default();
    let value = |name: &str| {
        let limits = line_of_device(&text, number)?;
        let mut limits = limits.split(' ');
        limits.find_map(|limit| limit.strip_prefix(name)?.parse().ok())
    };
    IoLimits {
        read_bytes_per_s: value("rbps="),
        write_bytes_per_s: value("wbps="),
        reads_per_s: value("riops="),
        writes_per_s: value("wiops="),
    }
}

/// Reads the limits of a group of version 1.
fn blkio_throttle(root: &SystemRoot, directory: &Path, number: &str) -> IoLimits {
    let value = |name: &str| {
        let text = root.text(directory.join(format!("blkio.throttle.{name}_device")))?;
        line_of_device(&text, number)?.parse().ok()
    };
    IoLimits {
        read_bytes_per_s: value("read_bps"),
        write_bytes_per_s: value("write_bps"),
        reads_per_s: value("read_iops"),
        writes_per_s: value("write_iops"),
    }
}

/// Returns the rest of the line that begins with a device number.
fn line_of_device<'a>(text: &'a str, number: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(number)?.strip_prefix(' '))
}

fn tighter<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// The group of this process in one hierarchy: a line of /proc/self/cgroup.
struct Membership<'a> {
    /// The controllers of a version 1 hierarchy; empty in version 2.
    controllers: Vec<&'a str>,
    /// The group, relative to the root of the hierarchy or of the cgroup namespace.
    path: &'a Path,
}

impl<'a> Membership<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?.split(',').filter(|name| !name.is_empty());
        Some(Self {
            controllers: controllers.collect(),
            path: Path::new(fields.next()?),
        })
    }

    /// Returns the directories of the group and of its ancestors, as far as they are mounted here.
    fn directories(&self, mounts: &[Mount]) -> Vec<PathBuf> {
        mounts
            .iter()
            .filter(|mount| self.is_mounted_by(mount))
            .filter_map(|mount| Some((mount, self.path.strip_prefix(&mount.root).ok()?)))
            .flat_map(|(mount, below)| below.ancestors().map(|group| mount.point.join(group)))
            .collect()
    }

    /// Returns the version of the hierarchy if it can have CPU or memory limits.
    fn version_of_limits(&self) -> Option<&'static str> {
        let of_interest = |name: &str| matches!(name, "cpu" | "memory");
        match self.controllers.is_empty() {
            true => Some("v2"),
            false => self
                .controllers
                .iter()
                .any(|name| of_interest(name))
                .then_some("v1"),
        }
    }

    fn is_mounted_by(&self, mount: &Mount) -> bool {
        match self.controllers.first() {
            Some(controller) => mount.filesystem == "cgroup" && mount.has_option(controller),
            None => mount.filesystem == "cgroup2",
        }
    }
}

fn cpu_quota(root: &SystemRoot, directory: &Path) -> Option<f64> {
    let (quota, period) = match root.text(directory.join("cpu.max")) {
        Some(text) => {
            let (quota, period) = text.split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        }
        None => (
            root.text(directory.join("cpu.cfs_quota_us"))?,
            root.text(directory.join("cpu.cfs_period_us"))?,
        ),
    };
    // "max" or -1 means no quota; neither parses as a u64.
    let quota: u64 = quota.parse().ok()?;
    let period: u64 = period.parse().ok().filter(|&period| period > 0)?;
    Some(quota as f64 / period as f64)
}

fn memory_limit(root: &SystemRoot, directory: &Path) -> Option<u64> {
    /// The largest limit that version 1 can store: LONG_MAX rounded down to a page, which is at
    /// most 64 KiB.
    const UNLIMITED: u64 = i64::MAX as u64 - 0xffff;
    let own = root
        .text(directory.join("memory.max"))
        .or_else(|| root.text(directory.join("memory.limit_in_bytes")))
        .and_then(|text| text.parse().ok());
    tighter(own, hierarchical_memory_limit(root, directory)).filter(|&limit| limit < UNLIMITED)
}

/// Returns the tightest limit on the path to the root, which version 1 reports even if the
/// ancestor groups are not visible.
fn hierarchical_memory_limit(root: &SystemRoot, directory: &Path) -> Option<u64> {
    let stat = root.text(directory.join("memory.stat"))?;
    let limit = stat
        .lines()
        .find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?;
    limit.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const GIB: u64 = 1 << 30;
    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    fn found(fake: &FakeRoot) -> (Option<f64>, Option<u64>) {
        let root = fake.root();
        let limits = limits(root, &mounts::read(root), Some(64 * GIB));
        (limits.cpu_quota_cpus, limits.memory_limit_bytes)
    }

    fn process(cgroup: &str, mountinfo: &str) -> FakeRoot {
        FakeRoot::new()
            .file("proc/self/cgroup", cgroup)
            .file("proc/self/mountinfo", mountinfo)
    }

    #[test]
    fn a_login_session_without_limits_reports_none() {
        let slice = "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
        let fake = process("0::/user.slice/user-1000.slice/session-3.scope", V2)
            .file(&format!("{slice}/cpu.max"), "max 100000")
            .file(&format!("{slice}/memory.max"), "max");
        assert_eq!(found(&fake), (None, None));
    }

    #[test]
    fn a_version_2_container_finds_its_limits_at_the_root_of_its_namespace() {
        let fake = process("0::/", V2)
            .file("sys/fs/cgroup/cpu.max", "150000 100000")
            .file("sys/fs/cgroup/memory.max", "536870912");
        assert_eq!(found(&fake), (Some(1.5), Some(GIB / 2)));
    }

    #[test]
    fn each_limit_is_the_tightest_on_the_path() {
        let fake = process("0::/kubepods.slice/pod1.slice/cri-containerd-abc.scope", V2)
            .file("sys/fs/cgroup/kubepods.slice/cpu.max", "800000 100000")
            .file("sys/fs/cgroup/kubepods.slice/memory.max", "34359738368")
            .file(
                "sys/fs/cgroup/kubepods.slice/pod1.slice/cpu.max",
                "50000 100000",
            )
            .file("sys/fs/cgroup/kubepods.slice/pod1.slice/memory.max", "max")
            .file(
                "sys/fs/cgroup/kubepods.slice/pod1.slice/cri-containerd-abc.scope/cpu.max",
                "200000 100000",
            )
            .file(
                "sys/fs/cgroup/kubepods.slice/pod1.slice/cri-containerd-abc.scope/memory.max",
                "1073741824",
            )
            .file(
                "sys/fs/cgroup/kubepods.slice/pod2.slice/cpu.max",
                "1000 100000",
            );
        assert_eq!(found(&fake), (Some(0.5), Some(GIB)));
    }

    const DOCKER_V1: &str = "\
10:memory:/docker/4f5e
5:cpu,cpuacct:/docker/4f5e
1:name=systemd:/docker/4f5e
0::/system.slice/containerd.service";

    #[test]
    fn a_version_1_container_finds_its_group_through_the_root_of_the_mount() {
        let fake = process(
            DOCKER_V1,
            "40 39 0:30 /docker/4f5e /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
             41 39 0:31 /docker/4f5e /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        )
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648");
        assert_eq!(found(&fake), (Some(2.5), Some(2 * GIB)));
    }

    #[test]
    fn a_version_1_group_is_also_found_below_the_mount_of_the_host() {
        let fake = process(
            DOCKER_V1,
            "40 39 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             41 39 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
        )
        .file(
            "sys/fs/cgroup/cpu,cpuacct/docker/4f5e/cpu.cfs_quota_us",
            "-1",
        )
        .file(
            "sys/fs/cgroup/cpu,cpuacct/docker/4f5e/cpu.cfs_period_us",
            "100000",
        )
        .file(
            "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us",
            "300000",
        )
        .file(
            "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us",
            "100000",
        )
        .file(
            "sys/fs/cgroup/memory/docker/4f5e/memory.limit_in_bytes",
            "9223372036854771712",
        );
        assert_eq!(found(&fake), (Some(3.0), None));
    }

    #[test]
    fn version_1_reports_a_tighter_memory_limit_of_an_invisible_ancestor() {
        let stat = "cache 1\nhierarchical_memory_limit 1073741824\nhierarchical_memsw_limit 7";
        let fake = process(
            "4:memory:/",
            "41 39 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        )
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648")
        .file("sys/fs/cgroup/memory/memory.stat", stat);
        assert_eq!(found(&fake), (None, Some(GIB)));
    }

    #[test]
    fn limits_are_known_only_if_a_hierarchy_that_has_them_is_visible() {
        let version = |cgroup: &str, mountinfo: &str| {
            let fake = process(cgroup, mountinfo);
            limits(fake.root(), &mounts::read(fake.root()), None).version
        };
        assert_eq!(version("0::/", V2).unwrap(), "v2");
        assert_eq!(version("0::/", ""), None);
        let pids = "39 38 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids";
        assert_eq!(version("5:pids:/", pids), None);
        let both = format!("{V2}\n41 39 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu");
        assert_eq!(version("3:cpu:/\n0::/", &both).unwrap(), "v1");
    }

    #[test]
    fn a_memory_limit_that_the_machine_cannot_reach_is_ignored() {
        for unreachable in ["9223372036854771712", "68719476736", "137438953472"] {
            let fake = process("0::/", V2).file("sys/fs/cgroup/memory.max", unreachable);
            assert_eq!(found(&fake), (None, None), "{unreachable}");
        }
    }

    #[test]
    fn a_mount_that_does_not_contain_the_group_is_ignored() {
        let elsewhere = "30 24 0:26 /other /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let fake = process("0::/mine", elsewhere).file("sys/fs/cgroup/cpu.max", "1000 100000");
        assert_eq!(found(&fake), (None, None));
    }

    fn cpuset_of(fake: &FakeRoot) -> (Option<String>, Option<String>) {
        let root = fake.root();
        let found = limits(root, &mounts::read(root), None);
        (found.cpuset_cpus, found.cpuset_mems)
    }

    #[test]
    fn a_version_2_cpuset_is_that_of_the_nearest_group_that_has_one() {
        let fake = process("0::/slice/scope", V2)
            .file("sys/fs/cgroup/cpuset.cpus.effective", "0-7")
            .file("sys/fs/cgroup/cpuset.mems.effective", "0-1")
            .file("sys/fs/cgroup/slice/cpuset.cpus.effective", "2-3")
            .file("sys/fs/cgroup/slice/scope/cpu.max", "max 100000");
        let expected = (Some("2-3".to_owned()), Some("0-1".to_owned()));
        assert_eq!(cpuset_of(&fake), expected);
    }

    #[test]
    fn a_version_1_cpuset_is_the_effective_one() {
        let fake = process(
            "8:pids:/\n3:cpuset:/docker/4f5e\n0::/",
            "34 31 0:31 /docker/4f5e /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n\
             39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
        )
        .file("sys/fs/cgroup/cpuset/cpuset.cpus", "0-15")
        .file("sys/fs/cgroup/cpuset/cpuset.effective_cpus", "0-1")
        .file("sys/fs/cgroup/cpuset/cpuset.mems", "0");
        let expected = (Some("0-1".to_owned()), Some("0".to_owned()));
        assert_eq!(cpuset_of(&fake), expected);
    }

    #[test]
    fn without_a_visible_cpuset_it_is_unknown() {
        assert_eq!(cpuset_of(&process("0::/", V2)), (None, None));
    }

    #[test]
    fn invalid_contents_are_ignored() {
        for cpu_max in ["", "100000", "100000 0", "x y", "-5 100000"] {
            let fake = process("0::/", V2)
                .file("sys/fs/cgroup/cpu.max", cpu_max)
                .file("sys/fs/cgroup/memory.max", "-1");
            assert_eq!(found(&fake), (None, None), "{cpu_max}");
        }
    }
}
