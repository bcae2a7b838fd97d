//! The time stamp counter of x86-64.
//!
//! RDTSC is not ordered with the instructions around it. At the end of an event, LFENCE delays it
//! until all earlier instructions have completed and their loads are done (Intel SDM volume 2B,
//! RDTSC; AMD APM volume 3, as Linux makes LFENCE serializing). At the start of an event no fence
//! is needed: RDTSC has no inputs, so it executes as soon as it is reached. At worst it runs ahead
//! of the harness's last instructions, which then count as part of the event: some nanoseconds,
//! reported as `harness.latency_floor_ns`. RDTSCP is not needed, so every CPU and every guest runs
//! the same code.

use std::arch::asm;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use raw_cpuid::{CpuId, Hypervisor};

use super::calibrate::{Reference, calibrated_hz, coarse_raw_step};
use super::permission::rdtsc_was_forbidden;
use super::{Clock, Scale, Ticks};
use crate::host::{self, SystemRoot};
use crate::result::HzFrom;

/// Duration of a calibration: a pair of readings is accurate to about 50 ns, so this gives a few
/// parts per million.
const CALIBRATION: Duration = Duration::from_millis(20);

/// Largest relative difference between the rate that CPUID states and the measured one.
const STATED_TOLERANCE: f64 = 200e-6;

/// Largest apparent difference between the counters of two CPUs, beyond the uncertainty of the
/// pair of readings.
const SKEW_TOLERANCE_NS: f64 = 1000.0;

/// The time stamp counter, invariant and synchronized across CPUs.
#[derive(Debug, Clone, Copy)]
pub struct Tsc {
    scale: Scale,
}

impl Clock for Tsc {
    #[inline(always)]
    fn start(self) -> Ticks {
        let (high, low): (u64, u64);
        // SAFETY: RDTSC changes only EDX and EAX; it faults only if prctl(PR_SET_TSC) forbids it,
        // and then no `Tsc` is created. Without `nomem` the compiler moves no access across it.
        unsafe {
            asm!("rdtsc", out("rdx") high, out("rax") low, options(nostack, preserves_flags));
        }
        Ticks(high << 32 | low)
    }

    #[inline(always)]
    fn stop(self) -> Ticks {
        let (high, low): (u64, u64);
        // SAFETY: as in `start`; LFENCE, part of SSE2, changes no state.
        unsafe {
            asm!(
                "lfence",
                "rdtsc",
                out("rdx") high,
                out("rax") low,
                options(nostack, preserves_flags),
            );
        }
        Ticks(high << 32 | low)
    }

    #[inline(always)]
    fn scale(self) -> Scale {
        self.scale
    }
}

impl Tsc {
    /// Returns the TSC with its rate; fails with the reason if it cannot be trusted.
    pub fn trusted(root: &SystemRoot) -> Result<(Self, HzFrom)> {
        ensure!(
            !rdtsc_was_forbidden(),
            "prctl(PR_SET_TSC) forbids RDTSC to this process"
        );
        let cpuid = CpuId::new();
        ensure!(
            cpuid
                .get_advanced_power_mgmt_info()
                .is_some_and(|power| power.has_invariant_tsc()),
            "CPUID does not report an invariant TSC"
        );
        check_clock_sources(root)?;
        if let Some(step) = coarse_raw_step() {
            bail!(
                "CLOCK_MONOTONIC_RAW moves in steps of {step:?}, too coarse to check the TSC against"
            );
        }
        let provisional = Self {
            scale: Scale::from_hz(1e9),
        };
        let counted = calibrated_hz(provisional, CALIBRATION).context(
            "repeated readings of the TSC and CLOCK_MONOTONIC_RAW contradict each other",
        )?;
        ensure!(
            counted > 1e6,
            "the TSC counts {counted} ticks a second against CLOCK_MONOTONIC_RAW"
        );
        let (hz, hz_from) = match stated_hz(&cpuid) {
            Some((stated, from)) if (counted / stated - 1.0).abs() <= STATED_TOLERANCE => {
                (stated, from)
            }
            _ => (counted, HzFrom::Calibration),
        };
        let tsc = Self {
            scale: Scale::from_hz(hz),
        };
        tsc.runs_alike_on_all_cpus()?;
        Ok((tsc, hz_from))
    }

    /// Fails if the counter of a CPU is skewed against the first one, by CLOCK_MONOTONIC_RAW.
    fn runs_alike_on_all_cpus(self) -> Result<()> {
        // A separate thread visits the CPUs: if its affinity could not be restored, the workers
        // would inherit a single CPU.
        let readings = thread::scope(|scope| {
            let visitor = thread::Builder::new()
                .spawn_scoped(scope, move || self.readings_on_all_cpus())
                .context("cannot create the thread that compares the TSC between CPUs")?;
            visitor
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        skew_within_tolerance(&readings, self.scale)
    }

    /// Reads the counter of each CPU that the thread may use; leaves the thread pinned to one.
    fn readings_on_all_cpus(self) -> Result<Vec<(usize, Reference)>> {
        let this_thread = Pid::from_raw(0);
        let allowed = sched_getaffinity(this_thread)?;
        let mut readings = Vec::new();
        for cpu in (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)) {
            let mut one = CpuSet::new();
            one.set(cpu)?;
            // No events run on a CPU that has gone offline.
            if sched_setaffinity(this_thread, &one).is_ok() {
                readings.push((cpu, Reference::take(self)));
            }
        }
        Ok(readings)
    }
}

fn skew_within_tolerance(readings: &[(usize, Reference)], scale: Scale) -> Result<()> {
    let Some(((first_cpu, first), others)) = readings.split_first() else {
        return Ok(());
    };
    let ns = |ticks: f64| ticks / scale.hz() * 1e9;
    for (cpu, other) in others {
        let by_raw = (other.raw_ns as f64) - (first.raw_ns as f64);
        let by_tsc = ns(other.ticks.0 as f64 - first.ticks.0 as f64);
        let open = ns((first.width + other.width) as f64) / 2.0 + by_raw.abs() * STATED_TOLERANCE;
        let skew = (by_tsc - by_raw).abs();
        ensure!(
            skew <= SKEW_TOLERANCE_NS + open,
            "the TSCs of CPU {first_cpu} and CPU {cpu} are {skew:.0} ns apart"
        );
    }
    Ok(())
}

/// Fails if the kernel does not trust the TSC or has no clock to check it against.
fn check_clock_sources(root: &SystemRoot) -> Result<()> {
    // The kernel removes a TSC that it found unstable from the list.
    ensure!(
        host::clocksources(root).is_none_or(|sources| lists_tsc(&sources)),
        "the kernel does not list the TSC as an available clock source"
    );
    match host::clocksource(root) {
        Some(source) if source.ends_with("jiffies") => bail!(
            "the kernel's clock source is {source}, which counts timer interrupts, too coarse to \
             check the TSC against"
        ),
        _ => Ok(()),
    }
}

/// For some seconds after boot, while it calibrates the TSC, the kernel lists it as "tsc-early".
fn lists_tsc(sources: &str) -> bool {
    sources
        .split_whitespace()
        .any(|source| source == "tsc" || source == "tsc-early")
}

/// Returns the rate that CPUID states: leaf 15h (crystal and ratio), or leaf 40000010h in kHz,
/// defined by VMware and adopted by KVM and others. Hyper-V uses that range for something else.
fn stated_hz(cpuid: &CpuId<impl raw_cpuid::CpuIdReader>) -> Option<(f64, HzFrom)> {
    let from_leaf_15h = cpuid
        .get_tsc_info()
        .and_then(|info| info.tsc_frequency())
        .map(|hz| (hz as f64, HzFrom::CpuidTsc));
    let from_hypervisor = || {
        let info = cpuid.get_hypervisor_info()?;
        if info.identify() == Hypervisor::HyperV {
            return None;
        }
        let khz = info.tsc_frequency().filter(|&khz| khz > 0)?;
        Some((f64::from(khz) * 1e3, HzFrom::CpuidHypervisor))
    };
    from_leaf_15h.or_else(from_hypervisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn at(ticks: u64, raw_ns: u64) -> Reference {
        Reference {
            ticks: Ticks(ticks),
            raw_ns,
            width: 100,
        }
    }

    #[test]
    fn counters_that_agree_with_the_raw_clock_are_synchronized() {
        let scale = Scale::from_hz(2e9);
        let readings = [(0, at(1000, 0)), (1, at(1000 + 200_000, 100_000))];
        assert!(skew_within_tolerance(&readings, scale).is_ok());
    }

    #[test]
    fn a_cpu_with_a_skewed_counter_is_named() {
        let scale = Scale::from_hz(2e9);
        let readings = [(0, at(1_000_000, 0)), (3, at(1_000_000 - 20_000, 1_000))];
        let error = skew_within_tolerance(&readings, scale)
            .unwrap_err()
            .to_string();
        assert!(error.contains("CPU 0 and CPU 3"), "{error}");
    }

    #[test]
    fn a_counter_just_over_the_tolerance_is_skewed() {
        let scale = Scale::from_hz(1e9);
        let readings = [(0, at(0, 0)), (1, at(1_000_000 + 2_500, 1_000_000))];
        assert!(skew_within_tolerance(&readings, scale).is_err());
    }

    #[test]
    fn the_tsc_is_found_in_the_kernels_list_under_either_name() {
        assert!(lists_tsc("kvm-clock tsc hpet acpi_pm"));
        assert!(lists_tsc("tsc-early hpet acpi_pm"));
        assert!(!lists_tsc("kvm-clock hpet acpi_pm"));
        assert!(!lists_tsc(""));
    }

    fn clock_sources(current: &str, available: &str) -> Result<()> {
        let sources = "sys/devices/system/clocksource/clocksource0";
        let fake = FakeRoot::new()
            .file(&format!("{sources}/current_clocksource"), current)
            .file(&format!("{sources}/available_clocksource"), available);
        check_clock_sources(fake.root())
    }

    #[test]
    fn the_tsc_is_not_checked_against_a_clock_source_that_counts_timer_interrupts() {
        for source in ["jiffies", "refined-jiffies"] {
            let reason = clock_sources(source, "tsc hpet").unwrap_err().to_string();
            assert!(reason.contains(&format!("is {source},")), "{reason}");
        }
        for source in ["tsc", "tsc-early", "hpet", "acpi_pm", "kvm-clock"] {
            clock_sources(source, "tsc hpet").unwrap();
        }
    }

    #[test]
    fn a_tsc_missing_from_the_kernels_list_is_not_trusted_but_a_missing_list_is_accepted() {
        assert!(clock_sources("hpet", "hpet acpi_pm").is_err());
        check_clock_sources(FakeRoot::new().root()).unwrap();
    }

    #[test]
    fn readings_never_decrease_within_a_thread() {
        let Ok((tsc, _)) = Tsc::trusted(&SystemRoot::default()) else {
            return; // no trusted TSC on this machine
        };
        let mut last = tsc.start();
        for _ in 0..100_000 {
            let now = tsc.stop();
            assert!(now >= last);
            last = now;
        }
    }
}
