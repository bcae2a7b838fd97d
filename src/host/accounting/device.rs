//! Activity of the device below the test files, and the limits of the control groups on it.

use std::path::PathBuf;

use crate::host::cgroup;
use crate::host::mounts::Mount;
use crate::host::root::{SystemRoot, text};
use crate::result::{DeviceActivity, IoLimits};

/// Size of a sector in /sys/block, whatever the device's own is.
const SECTOR: u64 = 512;

/// Where the counters of a device are.
#[derive(Debug, Clone)]
pub(super) struct DeviceFiles {
    name: String,
    /// Its directory in /sys.
    directory: PathBuf,
    /// `None` if no control group is visible.
    limits: Option<IoLimits>,
}

/// A reading of the counters, see Documentation/block/stat.rst of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceCounters {
    reads: u64,
    merged_reads: u64,
    sectors_read: u64,
    read_ms: u64,
    writes: u64,
    merged_writes: u64,
    sectors_written: u64,
    write_ms: u64,
    busy_ms: u64,
    /// Kernels before 5.5 do not count flushes.
    flushes: Option<u64>,
}

impl DeviceFiles {
    /// Finds the files of a device and reads the limits.
    pub fn find(root: &SystemRoot, mounts: &[Mount], name: &str) -> Self {
        // /sys has no slash in names such as cciss/c0d0.
        let directory = root.path("sys/class/block").join(name.replace('/', "!"));
        let number = text(&directory.join("dev"));
        Self {
            limits: number.and_then(|number| cgroup::io_limits(root, mounts, &number)),
            name: name.to_owned(),
            directory,
        }
    }

    /// Reads the counters; `None` if the kernel does not count.
    pub fn read(&self) -> Option<DeviceCounters> {
        let counts = text(&self.directory.join("queue/iostats"))? != "0";
        let stat = counts.then(|| text(&self.directory.join("stat")))??;
        DeviceCounters::parse(&stat)
    }

    /// Returns the activity between two readings; `None` if a counter went backward.
    pub fn activity(
        &self,
        before: &DeviceCounters,
        after: &DeviceCounters,
    ) -> Option<DeviceActivity> {
        let grown =
            |counter: fn(&DeviceCounters) -> u64| counter(after).checked_sub(counter(before));
        let seconds = |counter| grown(counter).map(|ms| ms as f64 / 1e3);
        Some(DeviceActivity {
            name: self.name.clone(),
            reads: grown(|it| it.reads)?,
            writes: grown(|it| it.writes)?,
            flushes: after
                .flushes
                .zip(before.flushes)
                .and_then(|(after, before)| after.checked_sub(before)),
            bytes_read: grown(|it| it.sectors_read)? * SECTOR,
            bytes_written: grown(|it| it.sectors_written)? * SECTOR,
            merged_reads: grown(|it| it.merged_reads)?,
            merged_writes: grown(|it| it.merged_writes)?,
            read_time_s: seconds(|it| it.read_ms)?,
            write_time_s: seconds(|it| it.write_ms)?,
            busy_s: seconds(|it| it.busy_ms)?,
            limits: self.limits,
        })
    }
}

impl DeviceCounters {
    fn parse(stat: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = stat
            .split_ascii_whitespace()
            .map(|number| number.parse().ok())
            .collect();
        let numbers = numbers?;
        let [
            reads,
            merged_reads,
            sectors_read,
            read_ms,
            writes,
            merged_writes,
            sectors_written,
            write_ms,
            _in_flight,
            busy_ms,
            _in_queue_ms,
        ] = *numbers.first_chunk()?;
        Some(Self {
            reads,
            merged_reads,
            sectors_read,
            read_ms,
            writes,
            merged_writes,
            sectors_written,
            write_ms,
            busy_ms,
            flushes: numbers.get(15).copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const STAT: &str = "    4187      970   341706     1410     2315     1934   181832    11512        0     3228    13208        0        0        0        0      414      285";

    fn vda(stat: &str) -> FakeRoot {
        FakeRoot::new()
            .file("sys/class/block/vda/stat", stat)
            .file("sys/class/block/vda/queue/iostats", "1")
            .file("sys/class/block/vda/dev", "254:0")
    }

    fn files(fake: &FakeRoot) -> DeviceFiles {
        DeviceFiles::find(fake.root(), &mounts::read(fake.root()), "vda")
    }

    #[test]
    fn the_activity_is_the_increase_of_the_counters_in_bytes_and_seconds() {
        let before = files(&vda(STAT)).read().unwrap();
        let later = "5187 971 343706 1910 2325 1936 181852 12512 3 4228 14208 0 0 0 0 424 385";
        let fake = vda(later);
        let files = files(&fake);
        let activity = files.activity(&before, &files.read().unwrap()).unwrap();
        let expected = DeviceActivity {
            name: "vda".into(),
            reads: 1000,
            writes: 10,
            flushes: Some(10),
            bytes_read: 2000 * 512,
            bytes_written: 20 * 512,
            merged_reads: 1,
            merged_writes: 2,
            read_time_s: 0.5,
            write_time_s: 1.0,
            busy_s: 1.0,
            limits: None,
        };
        assert_eq!(activity, expected);
    }

    #[test]
    fn flushes_are_unknown_in_the_files_of_older_kernels() {
        let older = DeviceCounters::parse("1 2 3 4 5 6 7 8 9 10 11").unwrap();
        assert_eq!((older.busy_ms, older.flushes), (10, None));
    }

    #[test]
    fn the_activity_is_unknown_if_the_kernel_does_not_count() {
        let off = vda(STAT).file("sys/class/block/vda/queue/iostats", "0");
        assert_eq!(files(&off).read(), None);
        for stat in ["", "1 2 3", "1 2 3 4 5 6 7 8 9 10 x"] {
            assert_eq!(files(&vda(stat)).read(), None, "{stat}");
        }
        assert_eq!(files(&FakeRoot::new()).read(), None);
        let after = files(&vda(STAT)).read().unwrap();
        let before = DeviceCounters {
            reads: after.reads + 1,
            ..after
        };
        assert_eq!(files(&vda(STAT)).activity(&before, &after), None);
    }

    #[test]
    fn the_limits_are_the_tightest_on_the_path_to_the_root() {
        let fake = vda(STAT)
            .file("proc/self/cgroup", "0::/pod/job")
            .file(
                "proc/self/mountinfo",
                "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
            )
            .file(
                "sys/fs/cgroup/pod/io.max",
                "8:0 rbps=1 wbps=1 riops=1 wiops=1\n254:0 rbps=max wbps=4096 riops=100 wiops=max",
            )
            .file(
                "sys/fs/cgroup/pod/job/io.max",
                "254:0 rbps=max wbps=8192 riops=50 wiops=max",
            );
        let limits = IoLimits {
            read_bytes_per_s: None,
            write_bytes_per_s: Some(4096),
            reads_per_s: Some(50),
            writes_per_s: None,
        };
        assert_eq!(files(&fake).limits, Some(limits));
    }

    #[test]
    fn the_limits_of_version_1_are_those_of_the_own_group() {
        let fake = vda(STAT)
            .file("proc/self/cgroup", "5:blkio:/job")
            .file(
                "proc/self/mountinfo",
                "37 31 0:34 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio",
            )
            .file(
                "sys/fs/cgroup/blkio/blkio.throttle.read_bps_device",
                "254:0 1",
            )
            .file(
                "sys/fs/cgroup/blkio/job/blkio.throttle.write_iops_device",
                "8:0 7\n254:0 200",
            );
        let limits = IoLimits {
            writes_per_s: Some(200),
            ..IoLimits::default()
        };
        assert_eq!(files(&fake).limits, Some(limits));
        let unlimited = vda(STAT).file("proc/self/cgroup", "0::/").file(
            "proc/self/mountinfo",
            "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
        );
        assert_eq!(files(&unlimited).limits, Some(IoLimits::default()));
    }
}
