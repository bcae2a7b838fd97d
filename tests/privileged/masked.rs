//! The program in a container whose runtime masks parts of /proc and /sys.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::container::run_bundle;
use crate::common::{WBENCH, assert_ended, parsed, temp_dir, text};

/// What is masked: files by /dev/null, directories by an empty file system.
const MASKED: [&str; 5] = [
    "/proc/stat",
    "/proc/meminfo",
    "/proc/pressure",
    "/sys/devices/system/cpu/vulnerabilities",
    "/sys/bus",
];

fn config(args: &str, masked: &[&str]) -> Value {
    let args: Vec<&str> = args.split(' ').collect();
    let namespaces = ["pid", "mount", "ipc", "uts"];
    json!({
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/data", "capabilities": {}},
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"]},
        ],
        "linux": {
            "namespaces": namespaces.map(|kind| json!({"type": kind})),
            "maskedPaths": masked,
        },
    })
}

fn bundle() -> tempfile::TempDir {
    let bundle = temp_dir();
    let root = bundle.path().join("rootfs");
    for directory in ["data", "proc", "sys"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    // A copy could still be open for writing in processes that other tests start.
    fs::hard_link(WBENCH, root.join("wbench")).unwrap();
    bundle
}

fn run(bundle: &Path, args: &str) -> Value {
    let output = run_bundle(bundle, &config(args, &MASKED));
    assert_ended(&output, 0);
    parsed(&output.stdout)
}

#[test]
fn env_names_what_is_masked_and_results_have_null_for_it() {
    let bundle = bundle();
    let environment = run(bundle.path(), "/wbench env --json");
    let entries = environment["not_visible"].as_array().unwrap();
    let masked = |path: &str, field: &str| {
        let reason = format!("{path} is masked, as by a container runtime");
        let entry = entries.iter().find(|entry| entry["reason"] == *reason);
        let entry = entry.unwrap_or_else(|| panic!("no {path} in {environment:#}"));
        let fields = entry["fields"].as_array().unwrap();
        assert!(fields.iter().any(|it| it == field), "{field}: {entry}");
    };
    masked("/proc/stat", "accounting.stolen_s");
    masked("/proc/meminfo", "host.swap_bytes");
    masked("/proc/pressure", "accounting.pressure.system");
    masked(
        "/sys/devices/system/cpu/vulnerabilities",
        "host.mitigations",
    );
    masked("/sys/bus", "host.virtio");

    let result = run(
        bundle.path(),
        "/wbench memory --total-size 1M --json - --quiet",
    );
    assert_eq!(result["status"], "complete");
    for unknown in [
        "/host/memory_bytes",
        "/host/swap_bytes",
        "/host/mitigations",
        "/host/virtio",
        "/noise/steal_s",
        "/accounting/stolen_s",
        "/accounting/pressure/system/cpu_some_s",
    ] {
        assert_eq!(result.pointer(unknown), Some(&Value::Null), "{unknown}");
    }
    // The rest of both file systems is visible.
    assert!(result["accounting"]["contended_s"].is_number());
    assert!(result["host"]["topology"]["smt_siblings"].is_array());
    assert!(result["memory"]["page_bytes"].is_u64());
}

#[test]
fn the_text_of_env_has_a_line_for_each_mask() {
    let bundle = bundle();
    let output = run_bundle(bundle.path(), &config("/wbench env", &MASKED));
    assert_ended(&output, 0);
    let printed = text(&output.stdout);
    for path in MASKED {
        let line = format!(": {path} is masked, as by a container runtime");
        let of_path = |it: &str| it.trim_start().starts_with("not visible") && it.ends_with(&line);
        assert!(printed.lines().any(of_path), "{path}: {printed}");
    }
}
