//! The machine's hardware and the kernel's settings.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::utsname::uname;
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::cpuid;
use super::midr;
use super::root::{SystemRoot, bracketed};

/// The fields of uname(2) that a result contains.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The node name.
    pub name: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The machine's architecture.
    pub arch: Option<String>,
}

impl Node {
    pub(super) fn of_uname() -> Self {
        let Ok(names) = uname() else {
            return Self::default();
        };
        let known = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            // The kernel's default for a node without a name.
            (!name.is_empty() && name != "(none)").then(|| name.into_owned())
        };
        Self {
            name: known(names.nodename()),
            kernel: known(names.release()),
            arch: known(names.machine()),
        }
    }
}

/// Returns the name of the distribution from either path of os-release(5).
pub(super) fn os(root: &SystemRoot) -> Option<String> {
    let text = root
        .text("etc/os-release")
        .or_else(|| root.text("usr/lib/os-release"))?;
    let name = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    let name = unquote(name)?;
    (!name.is_empty()).then_some(name)
}

/// Returns the value of a shell assignment; None if a quote is not closed.
fn unquote(value: &str) -> Option<String> {
    match value.chars().next() {
        Some('\'') => Some(value.strip_prefix('\'')?.strip_suffix('\'')?.to_owned()),
        Some('"') => {
            let escaped = value.strip_prefix('"')?.strip_suffix('"')?;
            let mut chars = escaped.chars();
            let mut plain = String::new();
            while let Some(c) = chars.next() {
                plain.push(if c == '\\' { chars.next()? } else { c });
            }
            Some(plain)
        }
        _ => Some(value.to_owned()),
    }
}

/// Returns the CPU model, from whichever fields this architecture has.
pub(super) fn cpu_model(root: &SystemRoot) -> Option<String> {
    let cpuinfo = root.text("proc/cpuinfo").unwrap_or_default();
    let field = |name| field(&cpuinfo, name).map(str::to_owned);
    field("model name")
        .or_else(cpuid::brand)
        .or_else(|| {
            ["Model Name", "cpu model", "cpu", "Hardware"]
                .into_iter()
                .find_map(field)
        })
        .or_else(|| {
            let implementer = field("CPU implementer")?;
            Some(midr::name(&implementer, &field("CPU part")?))
        })
}

/// Returns the value of the first line `name : value` with a non-empty value.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim();
        (key.trim() == name && !value.is_empty()).then_some(value)
    })
}

/// Returns the number of CPUs that this process may run on, at least 1.
pub fn cpus() -> u32 {
    let allowed = sched_getaffinity(Pid::from_raw(0)).map(|set| {
        (0..CpuSet::count())
            .filter(|&cpu| set.is_set(cpu) == Ok(true))
            .count()
    });
    // The call fails on a machine with more CPUs than the set can hold.
    let online = || sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    allowed
        .ok()
        .and_then(|count| u32::try_from(count).ok())
        .or_else(|| online().and_then(|count| u32::try_from(count).ok()))
        .map_or(1, |count| count.max(1))
}

/// Returns the memory that the kernel manages.
pub(super) fn memory_bytes(root: &SystemRoot) -> Option<u64> {
    meminfo(root, "MemTotal")
}

/// Returns the size of all swap space; 0 without any.
pub(super) fn swap_bytes(root: &SystemRoot) -> Option<u64> {
    meminfo(root, "SwapTotal")
}

/// Returns whether the kernel merges equal pages (`run` of KSM; 2 stops it and undoes the merges).
pub(super) fn ksm(root: &SystemRoot) -> Option<bool> {
    match root.text("sys/kernel/mm/ksm/run")?.as_str() {
        "0" | "2" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Returns the kernel's estimate of the memory available without swapping.
pub(super) fn memory_available(root: &SystemRoot) -> Option<u64> {
    meminfo(root, "MemAvailable")
}

fn meminfo(root: &SystemRoot, name: &str) -> Option<u64> {
    bytes_in(root, "proc/meminfo", name)
}

/// Returns the value of the line `name: 123 kB` of a file, in bytes.
pub(super) fn bytes_in(root: &SystemRoot, file: &str, name: &str) -> Option<u64> {
    let text = root.text(file)?;
    let kib: u64 = field(&text, name)?
        .strip_suffix("kB")?
        .trim_end()
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

/// Returns the kernel's current clock source.
pub fn clocksource(root: &SystemRoot) -> Option<String> {
    root.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
}

/// Returns the clock sources available to the kernel, separated by spaces.
pub fn clocksources(root: &SystemRoot) -> Option<String> {
    root.text("sys/devices/system/clocksource/clocksource0/available_clocksource")
}

/// Returns the frequency governor if all CPUs that have one have the same.
pub(super) fn cpu_governor(root: &SystemRoot) -> Option<String> {
    let mut governors = root
        .entries("sys/devices/system/cpu")
        .into_iter()
        .filter_map(|cpu| super::root::text(&cpu.join("cpufreq/scaling_governor")));
    let first = governors.next()?;
    governors.all(|other| other == first).then_some(first)
}

/// Returns the policy for transparent huge pages.
pub(super) fn transparent_hugepage(root: &SystemRoot) -> Option<String> {
    let choices = root.text("sys/kernel/mm/transparent_hugepage/enabled")?;
    bracketed(&choices).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn os_of(line: &str) -> Option<String> {
        os(FakeRoot::new().file("etc/os-release", line).root())
    }

    #[test]
    fn the_distribution_is_its_unquoted_pretty_name() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"";
        assert_eq!(os_of(debian).unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os_of("PRETTY_NAME='Void Linux'").unwrap(), "Void Linux");
        assert_eq!(os_of("PRETTY_NAME=Buildroot").unwrap(), "Buildroot");
        assert_eq!(os_of(r#"PRETTY_NAME="a \"b\" \$c""#).unwrap(), "a \"b\" $c");
    }

    #[test]
    fn a_missing_or_invalid_distribution_name_is_unknown() {
        for line in [
            "NAME=x",
            "PRETTY_NAME=",
            "PRETTY_NAME=\"open",
            "PRETTY_NAME=\"",
        ] {
            assert_eq!(os_of(line), None, "{line}");
        }
    }

    #[test]
    fn os_release_is_read_from_usr_lib_if_etc_has_none() {
        let fake = FakeRoot::new().file("usr/lib/os-release", "PRETTY_NAME=\"Fedora Linux 41\"");
        assert_eq!(os(fake.root()).unwrap(), "Fedora Linux 41");
    }

    fn model_of(cpuinfo: &str) -> Option<String> {
        cpu_model(FakeRoot::new().file("proc/cpuinfo", cpuinfo).root())
    }

    #[test]
    fn the_cpu_model_of_the_kernel_takes_precedence() {
        let dell = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 79\n\
                    model name\t: Intel(R) Xeon(R) CPU E5-2640 v4 @ 2.40GHz\n";
        assert_eq!(
            model_of(dell).unwrap(),
            "Intel(R) Xeon(R) CPU E5-2640 v4 @ 2.40GHz"
        );
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[test]
    fn an_arm_server_is_identified_by_the_numbers_of_its_cores() {
        let graviton = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c";
        let model = model_of(graviton);
        assert_eq!(model.unwrap(), "Neoverse-N1");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_cpu_model_falls_back_to_the_brand_string() {
        assert_eq!(model_of("processor\t: 0"), cpuid::brand());
    }

    #[test]
    fn memory_is_the_total_in_bytes() {
        let memory = |text| memory_bytes(FakeRoot::new().file("proc/meminfo", text).root());
        assert_eq!(
            memory("MemTotal:       65779640 kB\nMemFree: 1 kB"),
            Some(65_779_640 << 10)
        );
        assert_eq!(memory("MemTotal: many kB"), None);
        assert_eq!(memory("MemTotal: 18446744073709551615 kB"), None);
        assert_eq!(memory("MemFree: 1 kB"), None);
    }

    #[test]
    fn swap_is_the_total_and_0_without_any() {
        let swap = |text| swap_bytes(FakeRoot::new().file("proc/meminfo", text).root());
        assert_eq!(
            swap("MemTotal: 9 kB\nSwapTotal:     2097148 kB"),
            Some(2_097_148 << 10)
        );
        assert_eq!(swap("SwapTotal:           0 kB"), Some(0));
        assert_eq!(swap("MemTotal: 9 kB"), None);
    }

    #[test]
    fn ksm_merges_pages_only_while_it_runs() {
        let of = |run| ksm(FakeRoot::new().file("sys/kernel/mm/ksm/run", run).root());
        assert_eq!(
            [of("0"), of("1"), of("2")],
            [Some(false), Some(true), Some(false)]
        );
        assert_eq!(of("x"), None);
    }

    fn governed(governors: &[&str]) -> Option<String> {
        let mut fake = FakeRoot::new().file("sys/devices/system/cpu/online", "0-3");
        for (cpu, governor) in governors.iter().enumerate() {
            let path = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
            fake = fake.file(&path, governor);
        }
        cpu_governor(fake.root())
    }

    #[test]
    fn a_governor_is_reported_only_if_all_cpus_have_it() {
        assert_eq!(governed(&["performance"; 4]).unwrap(), "performance");
        assert_eq!(governed(&["performance", "powersave"]), None);
        assert_eq!(governed(&[]), None);
    }

    #[test]
    fn the_active_clock_source_and_huge_page_policy_are_read() {
        let fake = FakeRoot::new()
            .file(
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "kvm-clock",
            )
            .file(
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never",
            );
        assert_eq!(clocksource(fake.root()).unwrap(), "kvm-clock");
        assert_eq!(transparent_hugepage(fake.root()).unwrap(), "madvise");
    }
}
