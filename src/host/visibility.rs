//! What the system does not show, and why: for `wbench env`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::mounts::{self, Mount};
use super::root::SystemRoot;
use crate::error::describe_io;
use crate::result::{Host, Storage};

/// Fields of a result that are unknown on this machine for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotVisible {
    /// Names of the fields.
    pub fields: Vec<String>,
    /// Why they are unknown.
    pub reason: String,
}

/// Where a value comes from.
struct Source {
    field: &'static str,
    /// The file or directory of the kernel that has it; blank if it has none.
    path: &'static str,
    /// Why the value may be missing where the path is missing or says nothing.
    hint: &'static str,
}

/// Returns the fields of a host that are unknown, and the sources of measurements during a run that
/// are missing, each with the reason.
pub fn not_visible(root: &SystemRoot, host: &Host, storage: &Storage) -> Vec<NotVisible> {
    let mounts = mounts::read(root);
    let system = System {
        root,
        mounts: &mounts,
    };
    let mut sources = unknown_of_host(host);
    sources.extend(unknown_of_runs(root, host));
    let unknown = sources
        .into_iter()
        .map(|source| (source.field, system.reason(source.path, source.hint)))
        .chain(unknown_of_storage(&system, storage));
    by_reason(unknown)
}

/// Joins the fields that have the same reason, in the order of the first of each.
fn by_reason<'a>(unknown: impl Iterator<Item = (&'a str, String)>) -> Vec<NotVisible> {
    let mut all: Vec<NotVisible> = Vec::new();
    let mut positions = BTreeMap::new();
    for (field, reason) in unknown {
        let position = *positions.entry(reason.clone()).or_insert(all.len());
        if position == all.len() {
            all.push(NotVisible {
                fields: Vec::new(),
                reason,
            });
        }
        all[position].fields.push(field.to_owned());
    }
    all
}

/// Selects the sources of the unknown values.
macro_rules! missing {
    ($($value:expr => $field:literal, $path:literal, $hint:literal;)+) => {
        [$($value.is_none().then_some(Source { field: $field, path: $path, hint: $hint })),+]
            .into_iter()
            .flatten()
            .collect()
    };
}

fn unknown_of_host(host: &Host) -> Vec<Source> {
    let (topology, confinement, cgroup) = (&host.topology, &host.confinement, &host.cgroup);
    missing! {
        host.os => "host.os", "/etc/os-release", "the root file system has no distribution";
        host.cpu_model => "host.cpu_model", "/proc/cpuinfo", "the CPU has no name";
        topology.cpus => "host.topology.cpus", "/proc/self/status", "the kernel lists no CPUs";
        topology.smt_siblings => "host.topology.smt_siblings",
            "/sys/devices/system/cpu/cpu0/topology", "the kernel does not list the cores";
        topology.numa_nodes => "host.topology.numa_nodes", "/sys/devices/system/node",
            "the kernel was built without CONFIG_NUMA";
        topology.memory_nodes => "host.topology.memory_nodes", "/proc/self/status",
            "the kernel was built without CONFIG_CPUSETS";
        host.mitigations => "host.mitigations", "/sys/devices/system/cpu/vulnerabilities",
            "kernels before 4.15 do not list them";
        host.memory_bytes => "host.memory_bytes", "/proc/meminfo", "there is no total of the memory";
        host.swap_bytes => "host.swap_bytes", "/proc/meminfo", "there is no total of swap space";
        host.ksm => "host.ksm", "/sys/kernel/mm/ksm/run",
            "the kernel was built without CONFIG_KSM";
        host.virtualization => "host.virtualization", "",
            "neither the CPU nor the firmware nor the kernel names a hypervisor, or proves that \
             this is bare metal";
        host.virtualization_extensions => "host.virtualization_extensions", "",
            "only x86-64 CPUs report to programs whether they can run guests";
        host.kvm_nested => "host.kvm_nested", "",
            "the module kvm_intel or kvm_amd is not loaded";
        host.virtio => "host.virtio", "/sys/bus", "the devices cannot be listed";
        host.container => "host.container", "",
            "no trace of a container runtime was found, but nothing proves that this is not a container";
        confinement.seccomp => "host.confinement.seccomp", "/proc/self/status",
            "the kernel was built without CONFIG_SECCOMP";
        confinement.seccomp_filters => "host.confinement.seccomp_filters", "/proc/self/status",
            "kernels before 5.9 do not count the filters of seccomp";
        confinement.lsm_context => "host.confinement.lsm_context", "/proc/self/attr/current",
            "the kernel was built without CONFIG_SECURITY";
        confinement.lsms => "host.confinement.lsms", "/sys/kernel/security/lsm",
            "securityfs is not mounted";
        cgroup.version => "host.cgroup", "/proc/self/cgroup",
            "no hierarchy with the CPU or the memory controller is mounted here";
        cgroup.cpuset_cpus => "host.cgroup.cpuset_cpus", "/proc/self/cgroup",
            "no hierarchy with the cpuset controller is mounted here";
        cgroup.cpuset_mems => "host.cgroup.cpuset_mems", "/proc/self/cgroup",
            "no hierarchy with the cpuset controller is mounted here";
        host.clocksource => "host.clocksource",
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            "the kernel does not name its clock source";
        host.cpu_governor => "host.cpu_governor",
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "no driver controls the frequency, as in most guests, or the CPUs have different ones";
        host.transparent_hugepage => "host.transparent_hugepage",
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "the kernel was built without CONFIG_TRANSPARENT_HUGEPAGE";
    }
}

/// What results state of a run, not of the machine.
fn unknown_of_runs(root: &SystemRoot, host: &Host) -> Vec<Source> {
    // A kernel that does not count shows zeros.
    let scheduling = root.text("proc/self/schedstat").filter(|it| it != "0 0 0");
    let stat = root.text("proc/stat");
    let pages = root.text("proc/self/smaps");
    let system_pressure = root.text("proc/pressure/cpu");
    let has_groups_pressure = host.cgroup.version.as_deref() == Some("v2");
    let group_pressure = has_groups_pressure.then_some(());
    missing! {
        scheduling => "accounting.contended_s", "/proc/self/schedstat",
            "the kernel was built without CONFIG_SCHED_INFO";
        stat => "accounting.stolen_s", "/proc/stat", "the kernel counts no time of CPUs";
        host.cgroup.version => "accounting.throttled_s", "/proc/self/cgroup",
            "no hierarchy with the CPU or the memory controller is mounted here";
        system_pressure => "accounting.pressure.system", "/proc/pressure/cpu",
            "the kernel was built without CONFIG_PSI, or booted without psi=1";
        group_pressure => "accounting.pressure.cgroup", "",
            "only version 2 of control groups measures pressure";
        pages => "memory", "/proc/self/smaps",
            "the kernel was built without CONFIG_PROC_PAGE_MONITOR";
    }
}

fn unknown_of_storage(system: &System<'_>, storage: &Storage) -> Vec<(&'static str, String)> {
    let Some(filesystem) = &storage.filesystem else {
        let hint = "the file system is not among the mounts";
        return vec![("storage", system.reason("/proc/self/mountinfo", hint))];
    };
    let Some(device) = &storage.device else {
        let reason = format!("the file system ({filesystem}) has no block device that is visible");
        return vec![("storage.device", reason)];
    };
    let directory = format!("/sys/class/block/{}", device.replace('/', "!"));
    let queue = |field, is_unknown: bool, file| {
        let reason = || system.reason(&format!("{directory}/{file}"), "the driver does not tell");
        is_unknown.then(|| (field, reason()))
    };
    let no_driver = "the device is not one of hardware, or its driver is not visible";
    [
        storage
            .driver
            .is_none()
            .then(|| ("storage.driver", no_driver.to_owned())),
        queue("storage.queues", storage.queues.is_none(), "mq"),
        queue(
            "storage.scheduler",
            storage.scheduler.is_none(),
            "queue/scheduler",
        ),
        queue(
            "storage.rotational",
            storage.rotational.is_none(),
            "queue/rotational",
        ),
        queue(
            "storage.write_cache",
            storage.write_cache.is_none(),
            "queue/write_cache",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The files of the system, and what is mounted over them.
struct System<'a> {
    root: &'a SystemRoot,
    mounts: &'a [Mount],
}

impl System<'_> {
    /// Returns why a path does not give a value: it is masked, missing, or may not be read; else
    /// the hint.
    fn reason(&self, path: &str, hint: &str) -> String {
        if path.is_empty() {
            return hint.to_owned();
        }
        for file_system in ["/proc", "/sys"] {
            let is_below = Path::new(path).starts_with(file_system);
            if is_below && self.root.entries(file_system).is_empty() {
                return format!("{file_system} is not mounted");
            }
        }
        if let Some(mask) = self.mask(Path::new(path)) {
            return format!("{} is masked, as by a container runtime", mask.display());
        }
        let target = self.root.path(path);
        let error = match target.is_dir() {
            true => std::fs::read_dir(&target).err(),
            false => std::fs::read(&target).err(),
        };
        match error {
            None => format!("{path} does not say: {hint}"),
            Some(error) if error.kind() == ErrorKind::NotFound => {
                format!("{path} does not exist: {hint}")
            }
            Some(error) => format!("cannot read {path}: {}", describe_io(&error)),
        }
    }

    /// Returns the mount point that hides this path of /proc or /sys: /dev/null over a file, or an
    /// empty file system over a directory.
    fn mask(&self, path: &Path) -> Option<PathBuf> {
        let hides = |mount: &&Mount| {
            let is_null = mount.root.file_name().is_some_and(|name| name == "null");
            let is_empty = mount.filesystem == "tmpfs"
                && ["/proc/", "/sys/"]
                    .iter()
                    .any(|of| starts_with(&mount.point, of))
                && !mount.point.starts_with("/sys/fs/cgroup");
            path.starts_with(&mount.point) && (is_null || is_empty)
        };
        let mask = self.mounts.iter().rev().find(hides)?;
        Some(mask.point.clone())
    }
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    /// Mounts of a container of runc that masks what it masks by default, and /proc/stat.
    const RUNC: &str = "\
700 600 0:90 / /proc rw,nosuid - proc proc rw
701 600 0:91 / /sys ro,nosuid - sysfs sysfs ro
702 701 0:92 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755
703 700 0:6 /null /proc/stat rw - devtmpfs devtmpfs rw
704 700 0:93 / /proc/pressure ro - tmpfs tmpfs ro
705 701 0:94 / /sys/firmware ro - tmpfs tmpfs ro
706 600 0:95 / /data rw - tmpfs tmpfs rw";

    /// The reason why a field of an unknown host is unknown.
    fn reason(fake: &FakeRoot, field: &str) -> Option<String> {
        let storage = Storage {
            filesystem: Some("tmpfs".into()),
            ..Storage::default()
        };
        let found = not_visible(fake.root(), &Host::default(), &storage);
        let named = |it: &NotVisible| it.fields.iter().any(|name| name == field);
        found.into_iter().find(named).map(|it| it.reason)
    }

    #[test]
    fn a_path_that_a_container_masks_is_named_as_masked() {
        let fake = FakeRoot::new()
            .file("proc/self/mountinfo", RUNC)
            .file("proc/stat", "")
            .directory("proc/pressure")
            .directory("sys/fs/cgroup");
        let masked = |path: &str| Some(format!("{path} is masked, as by a container runtime"));
        assert_eq!(reason(&fake, "accounting.stolen_s"), masked("/proc/stat"));
        assert_eq!(
            reason(&fake, "accounting.pressure.system"),
            masked("/proc/pressure")
        );
    }

    #[test]
    fn a_file_that_does_not_exist_is_named_with_what_it_depends_on() {
        let fake = FakeRoot::new()
            .file("proc/self/mountinfo", RUNC)
            .file("proc/self/schedstat", "0 0 0")
            .directory("sys/kernel");
        assert_eq!(
            reason(&fake, "host.ksm").unwrap(),
            "/sys/kernel/mm/ksm/run does not exist: the kernel was built without CONFIG_KSM"
        );
        assert_eq!(
            reason(&fake, "accounting.contended_s").unwrap(),
            "/proc/self/schedstat does not say: the kernel was built without CONFIG_SCHED_INFO"
        );
    }

    #[test]
    fn without_proc_or_sys_all_that_they_have_is_unknown_for_this_reason() {
        let found = not_visible(
            FakeRoot::new().root(),
            &Host::default(),
            &Storage::default(),
        );
        let fields = |reason: &str| {
            let all = found.iter().find(|it| it.reason == reason);
            all.map(|it| it.fields.join(" ")).unwrap_or_default()
        };
        let proc = fields("/proc is not mounted");
        for field in ["host.memory_bytes", "accounting.contended_s", "storage"] {
            assert!(proc.split(' ').any(|it| it == field), "{field}: {proc}");
        }
        assert!(fields("/sys is not mounted").contains("host.mitigations"));
    }

    #[test]
    fn what_is_known_is_not_listed() {
        let known = Host {
            ksm: Some(false),
            ..Host::default()
        };
        let fake = FakeRoot::new().directory("sys/kernel");
        let of = |host: &Host| not_visible(fake.root(), host, &Storage::default());
        let has_ksm = |found: Vec<NotVisible>| {
            let mut fields = found.into_iter().flat_map(|it| it.fields);
            fields.any(|field| field == "host.ksm")
        };
        assert!(has_ksm(of(&Host::default())));
        assert!(!has_ksm(of(&known)));
    }

    #[test]
    fn a_file_system_without_a_device_is_the_reason_that_the_device_is_unknown() {
        let fake = FakeRoot::new();
        assert_eq!(
            reason(&fake, "storage.device").unwrap(),
            "the file system (tmpfs) has no block device that is visible"
        );
    }
}
