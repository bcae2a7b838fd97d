//! Pressure stall totals of the machine and of this process's control group (PSI).

use std::path::{Path, PathBuf};

use crate::host::cgroup;
use crate::host::mounts::Mount;
use crate::host::root::{SystemRoot, text};
use crate::result::{Pressure, PressureTotals};

/// The directories of the files.
#[derive(Debug, Clone)]
pub(super) struct PressureFiles {
    system: PathBuf,
    /// Of this process's group.
    cgroup: Option<PathBuf>,
}

/// A reading of all totals, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PressureCounters {
    system: Counters,
    cgroup: Counters,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counters {
    cpu: Stalls,
    io: Stalls,
    memory: Stalls,
}

/// Time in which some or all tasks were stalled.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Stalls {
    some_us: Option<u64>,
    full_us: Option<u64>,
}

impl PressureFiles {
    /// Finds the files. Only version 2 of the control groups has them.
    pub fn find(root: &SystemRoot, mounts: &[Mount]) -> Self {
        Self {
            system: root.path("proc/pressure"),
            cgroup: cgroup::own_directory(root, mounts).map(|directory| root.path(directory)),
        }
    }

    /// Reads the totals.
    pub fn read(&self) -> PressureCounters {
        let cgroup = self
            .cgroup
            .as_deref()
            .map(|directory| Counters::read(|name| directory.join(format!("{name}.pressure"))));
        PressureCounters {
            system: Counters::read(|name| self.system.join(name)),
            cgroup: cgroup.unwrap_or_default(),
        }
    }
}

impl PressureCounters {
    /// Returns the increase since an earlier reading.
    pub fn since(&self, before: &Self) -> Pressure {
        Pressure {
            system: self.system.since(&before.system),
            cgroup: self.cgroup.since(&before.cgroup),
        }
    }
}

impl Counters {
    fn read(file: impl Fn(&str) -> PathBuf) -> Self {
        Self {
            cpu: Stalls::read(&file("cpu")),
            io: Stalls::read(&file("io")),
            memory: Stalls::read(&file("memory")),
        }
    }

    fn since(&self, before: &Self) -> PressureTotals {
        let grown = |after: Option<u64>, before: Option<u64>| {
            Some(after?.checked_sub(before?)? as f64 / 1e6)
        };
        PressureTotals {
            cpu_some_s: grown(self.cpu.some_us, before.cpu.some_us),
            io_some_s: grown(self.io.some_us, before.io.some_us),
            io_full_s: grown(self.io.full_us, before.io.full_us),
            memory_some_s: grown(self.memory.some_us, before.memory.some_us),
            memory_full_s: grown(self.memory.full_us, before.memory.full_us),
        }
    }
}

impl Stalls {
    // Not inlined into its six calls.
    #[inline(never)]
    fn read(file: &Path) -> Self {
        text(file).map_or_else(Self::default, |text| Self::parse(&text))
    }

    fn parse(pressure: &str) -> Self {
        let total = |kind: &str| {
            let line = pressure.lines().find(|line| line.starts_with(kind))?;
            let (_, total) = line.split_once(" total=")?;
            total.parse().ok()
        };
        Self {
            some_us: total("some "),
            full_us: total("full "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    const CPU: &str = "some avg10=13.13 avg60=10.20 avg300=4.46 total=19623732\n\
                       full avg10=0.00 avg60=0.00 avg300=0.00 total=0";

    fn io(some: u64, full: u64) -> String {
        let averages = "avg10=0.00 avg60=0.63 avg300=0.84";
        format!("some {averages} total={some}\nfull {averages} total={full}")
    }

    fn read(fake: &FakeRoot) -> PressureCounters {
        PressureFiles::find(fake.root(), &mounts::read(fake.root())).read()
    }

    fn at(system_io: u64, group_io: u64) -> PressureCounters {
        let fake = FakeRoot::new()
            .file("proc/pressure/cpu", CPU)
            .file("proc/pressure/io", &io(system_io, 7))
            .file("proc/self/cgroup", "0::/job")
            .file("proc/self/mountinfo", V2)
            .file("sys/fs/cgroup/io.pressure", &io(1, 1))
            .file("sys/fs/cgroup/job/io.pressure", &io(group_io, group_io / 2));
        read(&fake)
    }

    #[test]
    fn the_totals_of_the_machine_and_of_the_own_group_are_apart() {
        let pressure = at(5_000_000, 3_000_000).since(&at(1_000_000, 1_000_000));
        assert_eq!(pressure.system.io_some_s, Some(4.0));
        assert_eq!(pressure.system.io_full_s, Some(0.0));
        assert_eq!(pressure.system.cpu_some_s, Some(0.0));
        assert_eq!(pressure.cgroup.io_some_s, Some(2.0));
        assert_eq!(pressure.cgroup.io_full_s, Some(1.0));
    }

    #[test]
    fn what_the_kernel_does_not_report_is_unknown() {
        let pressure = at(2, 2).since(&at(1, 1));
        assert_eq!(pressure.system.memory_some_s, None);
        assert_eq!(pressure.cgroup.cpu_some_s, None);
        let nothing = read(&FakeRoot::new());
        assert_eq!(nothing.since(&nothing), Pressure::default());
        assert_eq!(Stalls::parse("some avg10=0.00 total=x"), Stalls::default());
    }
}
