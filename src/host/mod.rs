//! The environment of a run: the fingerprint of the machine, the storage below a directory, and
//! the other activity of the machine during the run.
//!
//! A value that the kernel does not report is None, never a guess. The files of the kernel and of
//! the distribution are read below a [`SystemRoot`].

pub mod accounting;
mod block;
mod cgroup;
mod confinement;
mod container;
mod cpu_list;
mod cpuid;
mod dmi;
#[cfg(test)]
pub(crate) mod fake;
mod huge_pages;
mod machine;
mod midr;
mod mitigations;
mod mounts;
mod noise;
mod process;
mod root;
mod smaps;
mod storage;
mod topology;
mod virtio;
mod virtualization;
mod visibility;

use crate::result::Host;

pub use cpu_list::CpuList;
pub use huge_pages::{default_huge_pages, free_huge_pages, transparent_page_bytes};
pub use machine::{clocksource, clocksources, cpus};
pub use mounts::is_mount_point;
pub use noise::{NoiseBefore, noise_start};
pub use process::{address_space_bytes, mappings, mappings_limit};
pub use root::SystemRoot;
pub use smaps::{base_page_bytes, pages_below};
pub use storage::{free_bytes, storage};
pub use visibility::{NotVisible, not_visible};

/// Returns the memory available now: the kernel's estimate, capped by the control group's limit.
pub fn memory_available(root: &SystemRoot) -> Option<u64> {
    let mounts = mounts::read(root);
    let limit = cgroup::limits(root, &mounts, machine::memory_bytes(root)).memory_limit_bytes;
    let available = machine::memory_available(root);
    available.into_iter().chain(limit).min()
}

/// Describes the machine that this process runs on, with any hypervisor and container in between.
pub fn fingerprint(root: &SystemRoot) -> Host {
    let mounts = mounts::read(root);
    let node = machine::Node::of_uname();
    let memory_bytes = machine::memory_bytes(root);
    Host {
        hostname: node.name,
        os: machine::os(root),
        kernel: node.kernel,
        arch: node.arch,
        cpu_model: machine::cpu_model(root),
        cpus: machine::cpus(),
        topology: topology::topology(root),
        mitigations: mitigations::mitigations(root),
        memory_bytes,
        swap_bytes: machine::swap_bytes(root),
        ksm: machine::ksm(root),
        virtualization: virtualization::hypervisor(root, cpuid::hypervisor()).map(Into::into),
        virtualization_extensions: cpuid::virtualization_extensions(),
        kvm_nested: virtualization::kvm_nested(root),
        virtio: virtio::devices(root),
        container: container::runtime(root, &mounts, |name| std::env::var(name).ok()),
        confinement: confinement::confinement(root),
        cgroup: cgroup::limits(root, &mounts, memory_bytes),
        clocksource: machine::clocksource(root),
        cpu_governor: machine::cpu_governor(root),
        transparent_hugepage: machine::transparent_hugepage(root),
    }
}

#[cfg(test)]
mod tests {
    use super::fake::FakeRoot;
    use super::*;

    #[test]
    fn the_fingerprint_of_this_machine_has_what_every_linux_reports() {
        let host = fingerprint(&SystemRoot::default());
        assert!(host.cpus >= 1);
        assert!(host.memory_bytes.is_some());
        assert!(host.kernel.is_some());
        assert!(host.arch.is_some());
    }

    #[test]
    fn an_empty_root_gives_unknown_values_and_no_limits() {
        let fake = FakeRoot::new();
        let host = fingerprint(fake.root());
        assert_eq!(host.os, None);
        assert_eq!(host.memory_bytes, None);
        assert_eq!(host.cgroup, Default::default());
        assert_eq!(host.clocksource, None);
        assert_eq!(host.cpu_governor, None);
        assert_eq!(host.transparent_hugepage, None);
        assert_eq!(host.topology, Default::default());
        assert_eq!(host.mitigations, None);
        assert_eq!(host.swap_bytes, None);
        assert_eq!(host.ksm, None);
        assert_eq!(host.kvm_nested, None);
        assert_eq!(host.virtio, None);
        assert_eq!(host.confinement, Default::default());
    }

    #[test]
    fn invalid_contents_give_unknown_values_without_a_panic() {
        let mut fake = FakeRoot::new();
        for path in [
            "etc/os-release",
            "proc/cpuinfo",
            "proc/meminfo",
            "proc/self/cgroup",
            "proc/self/attr/current",
            "proc/self/mountinfo",
            "proc/self/status",
            "run/.containerenv",
            "run/systemd/container",
            "sys/bus/virtio/devices/virtio0/device",
            "sys/class/dmi/id/sys_vendor",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "sys/hypervisor/type",
            "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
            "sys/devices/system/node/node0/cpulist",
            "sys/kernel/mm/ksm/run",
            "sys/kernel/mm/transparent_hugepage/enabled",
            "sys/module/kvm_intel/parameters/nested",
        ] {
            fake = fake.file(path, "\u{fffd}:\"= - ][ \\ :::\n\0\n-\n\"");
        }
        let host = fingerprint(fake.root());
        assert_eq!(host.os, None);
        assert_eq!(host.memory_bytes, None);
        assert_eq!(host.cgroup, Default::default());
        assert_eq!(host.container, None);
        assert_eq!(host.transparent_hugepage, None);
        assert_eq!(host.topology, Default::default());
        assert_eq!(host.swap_bytes, None);
        assert_eq!(host.ksm, None);
        assert_eq!(host.kvm_nested, None);
        assert_eq!(host.virtio, None);
        assert_eq!(host.confinement.seccomp, None);
    }
}
