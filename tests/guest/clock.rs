//! The clock on an emulated CPU: which one is chosen, why, and whether wrong rates are detected.

use serde_json::Value;

use crate::common::number;
use crate::machine::{document, documents};

/// QEMU's emulated TSC does not stop, but QEMU does not report it as invariant by default.
const INVARIANT_TSC: &str = "max,x-force-features=on,+invtsc";

fn has_warning(document: &Value, code: &str) -> bool {
    let warnings = document["warnings"].as_array().expect("warnings");
    warnings.iter().any(|warning| warning["code"] == code)
}

#[test]
fn without_an_invariant_tsc_the_kernels_clock_is_used_and_its_drift_detected() {
    let [env, bent] = documents(
        &[],
        "wbench env --json
         adjtimex -t 10100 >/dev/null
         wbench cpu --max-prime 100 --events 0 --time 1 --json -",
    )
    .try_into()
    .unwrap();
    assert_eq!(env["clock"]["source"], "monotonic");
    let reason = "CPUID does not report an invariant TSC";
    assert_eq!(env["clock"]["reason"], reason);
    assert!(has_warning(&env, "clock-fallback"));
    assert!(!has_warning(&env, "clock-drift"), "{env:#}");
    // A tick of 10100 us instead of 10000 us.
    let drift = number(&bent, "/clock/drift_ppm");
    assert!((drift - 10_000.0).abs() < 500.0, "{drift}");
    assert!(has_warning(&bent, "clock-drift"));
}

#[test]
fn an_invariant_tsc_is_used() {
    // On a busy host, a guest runs in bursts that its kernel may take for an unstable TSC.
    let options = [
        "--guest-cpu",
        INVARIANT_TSC,
        "--guest-append",
        "tsc=reliable",
    ];
    let result = document(
        &options,
        &[
            "cpu",
            "--max-prime",
            "100",
            "--events",
            "0",
            "--time",
            "1",
            "--json",
            "-",
        ],
    );
    assert_eq!(result["host"]["clocksource"], "tsc");
    assert_eq!(result["clock"]["source"], "tsc");
    assert_eq!(result["clock"]["reason"], Value::Null);
    assert_eq!(result["clock"]["hz_from"], "calibration");
    assert!(!has_warning(&result, "clock-fallback"));
    // Its times agree with the kernel's clock, which ended the run after a second.
    let drift = number(&result, "/clock/drift_ppm");
    assert!(drift.abs() < 5_000.0, "{drift}");
}

#[test]
fn a_tsc_that_the_kernel_reports_as_unstable_is_not_used() {
    let options = [
        "--guest-cpu",
        INVARIANT_TSC,
        "--guest-append",
        "tsc=unstable",
    ];
    let env = document(&options, &["env", "--json"]);
    assert_eq!(env["clock"]["source"], "monotonic");
    let reason = "the kernel does not list the TSC as an available clock source";
    assert_eq!(env["clock"]["reason"], reason);
    assert_ne!(env["host"]["clocksource"], "tsc");
}

#[test]
fn a_tsc_is_not_checked_against_a_clock_source_that_counts_timer_interrupts() {
    let options = [
        "--guest-cpu",
        INVARIANT_TSC,
        "--guest-append",
        "clocksource=jiffies",
    ];
    let env = document(&options, &["env", "--json"]);
    assert_eq!(env["host"]["clocksource"], "jiffies");
    assert_eq!(env["clock"]["source"], "monotonic");
    let reason = env["clock"]["reason"].as_str().unwrap();
    assert!(reason.contains("clock source is jiffies"), "{reason}");
}

#[test]
fn a_clock_source_change_during_a_run_is_detected() {
    // The kernel is given a wrong TSC frequency: its clock is wrong until it uses the HPET.
    let mut documents = documents(
        &[
            "--guest-cpu",
            INVARIANT_TSC,
            "--guest-append",
            "tsc_early_khz=1234567 tsc=reliable",
        ],
        "source=/sys/devices/system/clocksource/clocksource0/current_clocksource
         [ $(cat $source) = tsc ]
         wbench cpu --max-prime 100 --events 0 --time 3 --json /tmp/result --quiet &
         sleep 1
         echo hpet >$source
         wait
         cat /tmp/result",
    );
    let result = documents.remove(0);
    assert_eq!(result["clock"]["source"], "tsc");
    assert!(has_warning(&result, "clock-drift"), "{result:#}");
    let drift = number(&result, "/clock/drift_ppm");
    assert!(drift.abs() > 10_000.0, "{drift}");
}
