//! Report of `wbench env`: the machine, its clock and storage, and what of them is not visible.

use serde::Serialize;

use super::text::{self, Lines};
use crate::format::{count, gib, mib_or_gib};
use crate::host::NotVisible;
use crate::result::{Cgroup, ClockInfo, Confinement, Host, Storage, Tool, Topology, Warning};

/// Most cores that the report lists.
const LISTED_CORES: usize = 8;

/// What `wbench env` prints.
#[derive(Debug, Serialize)]
pub struct Environment {
    /// Identifier of the schema of the JSON document.
    pub schema: &'static str,
    /// The program.
    pub tool: Tool,
    /// The machine.
    pub host: Host,
    /// The clock.
    pub clock: ClockInfo,
    /// Effective clock of the CPU that this runs on; null if it cannot be measured.
    pub cpu_ghz: Option<f64>,
    /// Relative error bound of `cpu_ghz`.
    pub cpu_ghz_error: Option<f64>,
    /// The storage of the directory.
    pub storage: Storage,
    /// Whether O_DIRECT works in the directory; null if that cannot be tested.
    pub direct_io: Option<bool>,
    /// Fields of a result that would be null here, with the reason.
    pub not_visible: Vec<NotVisible>,
    /// Reasons why a number measured here may mislead.
    pub warnings: Vec<Warning>,
}

/// Formats the environment.
pub fn environment(environment: &Environment) -> String {
    let Environment {
        host,
        clock,
        storage,
        ..
    } = environment;
    let mut lines = Lines::default();
    lines.named("host", known(&host.hostname));
    lines.named("os", known(&host.os));
    let kernel = format!("{} {}", known(&host.kernel), known(&host.arch));
    lines.named("kernel", &kernel);
    let cpu = format!("{} x {}", host.cpus, known(&host.cpu_model));
    lines.named("cpu", &cpu);
    lines.named("cores", &cores(&host.topology));
    lines.named("core clock", &core_clock(environment));
    lines.named("governor", known(&host.cpu_governor));
    lines.named("mitigations", &mitigations(host));
    lines.named("memory", &memory(host));
    let huge_pages = format!("transparent: {}", known(&host.transparent_hugepage));
    lines.named("huge pages", &huge_pages);
    lines.named("hypervisor", &hypervisor(host));
    lines.named("virtio", &virtio(host.virtio.as_deref()));
    lines.named("container", known(&host.container));
    lines.named("confinement", &confinement(&host.confinement));
    lines.named("cgroup", &cgroup(&host.cgroup));
    let clocksource = format!("{} (kernel)", known(&host.clocksource));
    lines.named("clocksource", &clocksource);
    lines.named("clock", &text::clock(clock));
    lines.named("storage", &text::storage(storage));
    let direct = match environment.direct_io {
        Some(true) => "supported in this directory",
        Some(false) => "not supported in this directory",
        None => "unknown: this directory is not writable",
    };
    lines.named("O_DIRECT", direct);
    for NotVisible { fields, reason } in &environment.not_visible {
        lines.named("not visible", &format!("{}: {reason}", fields.join(", ")));
    }
    lines.warnings(&environment.warnings);
    lines.0
}

fn known(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("unknown")
}

fn cores(topology: &Topology) -> String {
    let cores = topology.smt_siblings.as_ref().map_or_else(
        || "unknown cores".to_owned(),
        |cores| {
            let number = count(cores.len() as u64, "core");
            match cores.iter().all(|core| !core.contains([',', '-'])) {
                true => format!("{number} without SMT"),
                false if cores.len() > LISTED_CORES => format!("{number} with SMT"),
                false => format!("{number} with the threads {}", cores.join(" ")),
            }
        },
    );
    format!(
        "CPUs {}, {cores}, NUMA nodes {}, memory of nodes {}",
        known(&topology.cpus),
        known(&topology.numa_nodes),
        known(&topology.memory_nodes)
    )
}

fn core_clock(environment: &Environment) -> String {
    match (environment.cpu_ghz, environment.cpu_ghz_error) {
        (Some(ghz), Some(error)) => format!("{ghz:.3} GHz, error up to {:.1} %", error * 100.0),
        _ => "unknown".to_owned(),
    }
}

/// Names the vulnerabilities by the first word of the kernel's sentence, after that for guests of
/// KVM, if there is one.
fn mitigations(host: &Host) -> String {
    let Some(all) = &host.mitigations else {
        return "unknown".to_owned();
    };
    let names = |state: &str| {
        let is_in = |text: &str| text.trim_start_matches("KVM: ").starts_with(state);
        let found = all.iter().filter(|(_, text)| is_in(text));
        let names: Vec<&str> = found.map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let parts: Vec<String> = [
        ("mitigated", "Mitigation"),
        ("vulnerable", "Vulnerable"),
        ("unknown", "Unknown"),
    ]
    .into_iter()
    .map(|(label, state)| (label, names(state)))
    .filter(|(_, names)| !names.is_empty())
    .map(|(label, names)| format!("{label}: {names}"))
    .collect();
    match parts.is_empty() {
        true => "none needed".to_owned(),
        false => parts.join("; "),
    }
}

fn memory(host: &Host) -> String {
    let size = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |b| gib(b as f64));
    let swap = match host.swap_bytes {
        Some(0) => "no swap".to_owned(),
        swap => format!("swap {}", size(swap)),
    };
    let ksm = match host.ksm {
        Some(true) => "KSM merges pages",
        Some(false) => "KSM off",
        None => "KSM unknown",
    };
    format!("{}, {swap}, {ksm}", size(host.memory_bytes))
}

fn hypervisor(host: &Host) -> String {
    let extensions = match host.virtualization_extensions {
        Some(true) => ", the CPU can run guests",
        Some(false) => ", the CPU cannot run guests",
        None => "",
    };
    let nested = match host.kvm_nested {
        Some(true) => ", KVM allows nested guests",
        Some(false) => ", KVM allows no nested guests",
        None => "",
    };
    format!("{}{extensions}{nested}", known(&host.virtualization))
}

fn virtio(devices: Option<&[String]>) -> String {
    match devices {
        None => "unknown".to_owned(),
        Some([]) => "none".to_owned(),
        Some(devices) => devices.join("; "),
    }
}

fn confinement(confinement: &Confinement) -> String {
    let filters = match confinement.seccomp_filters {
        Some(filters @ 1..) => format!(" ({})", count(filters, "filter")),
        _ => String::new(),
    };
    let modules = confinement.lsms.as_ref();
    let modules = modules.map_or(String::new(), |names| format!(", security modules {names}"));
    format!(
        "seccomp {}{filters}, security context {}{modules}",
        known(&confinement.seccomp),
        known(&confinement.lsm_context)
    )
}

fn cgroup(cgroup: &Cgroup) -> String {
    let Some(version) = &cgroup.version else {
        return "unknown".to_owned();
    };
    let quota = cgroup.cpu_quota_cpus;
    let quota = quota.map_or("no CPU quota".into(), |cpus| format!("{cpus} CPUs"));
    let limit = cgroup.memory_limit_bytes;
    let limit = limit.map_or("no memory limit".into(), |bytes| mib_or_gib(bytes as f64));
    let cpuset = cgroup.cpuset_cpus.as_ref();
    let cpuset = cpuset.map_or(String::new(), |cpus| format!(", cpuset {cpus}"));
    format!("{version}, {quota}, {limit}{cpuset}")
}
