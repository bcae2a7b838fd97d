//! The program in a root that contains nothing else.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Running, WBENCH, assert_ended, errors, number, parsed, temp_dir, text, tool};

/// A root that contains only the program and an empty directory for files.
fn empty_root() -> TempDir {
    let root = temp_dir();
    let program = root.path().join("wbench");
    // A copy could still be open for writing in processes that other tests start: "text file busy".
    fs::hard_link(WBENCH, &program).unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    root
}

fn in_root(root: &Path, args: &str) -> Output {
    let mut command = match nix::unistd::geteuid().is_root() {
        true => tool("chroot"),
        false => {
            let mut unshare = tool("unshare");
            unshare.args(["--map-root-user", "--root"]);
            unshare
        }
    };
    command.arg(root).arg("/wbench").args(args.split(' '));
    Running::start(command).finish()
}

fn result_in_root(root: &Path, args: &str) -> Value {
    let output = in_root(root, &format!("{args} --json -"));
    assert_ended(&output, 0);
    parsed(&output.stdout)
}

#[test]
fn every_test_works_in_a_root_with_nothing_but_the_program() {
    let root = empty_root();
    for (args, events) in [
        ("cpu --max-prime 100 --events 1", 1),
        ("cpu --max-prime 100 --events 100 --threads 2 --pin", 100),
        ("memory --total-size 1M --oper read", 1024),
        ("threads --yields 10 --events 20 --threads 2", 20),
        ("mutex --locks 10 --loops 0 --threads 2", 2),
        (
            "fileio --mode rndrw --files 2 --total-size 64K --events 20 --dir /data",
            20,
        ),
    ] {
        let result = result_in_root(root.path(), args);
        assert_eq!(result["status"], "complete", "{args}");
        assert_eq!(result["totals"]["events"], events, "{args}");
    }
    assert_eq!(fs::read_dir(root.path().join("data")).unwrap().count(), 0);
}

#[test]
fn unknown_values_are_null_and_never_guessed() {
    let root = empty_root();
    let result = result_in_root(
        root.path(),
        "fileio --mode seqrd --files 2 --total-size 64K --dir /data",
    );
    for unknown in [
        "/host/os",
        "/host/clocksource",
        "/host/cpu_governor",
        "/host/transparent_hugepage",
        "/host/container",
        "/host/topology/cpus",
        "/host/topology/smt_siblings",
        "/host/topology/numa_nodes",
        "/host/mitigations",
        "/host/swap_bytes",
        "/host/ksm",
        "/host/virtio",
        "/host/confinement/seccomp",
        "/host/confinement/lsm_context",
        "/host/cgroup/cpuset_cpus",
        "/storage/driver",
        "/storage/filesystem",
        "/storage/device",
        "/storage/scheduler",
        "/storage/rotational",
        "/noise/steal_s",
        "/noise/runqueue_wait_s",
        "/accounting/contended_s",
        "/accounting/throttled_s",
        "/accounting/stolen_s",
        "/accounting/migrations",
        "/accounting/pressure/system/cpu_some_s",
        "/accounting/device",
    ] {
        assert_eq!(result.pointer(unknown), Some(&Value::Null), "{unknown}");
    }
    // What comes from system calls is available.
    assert!(number(&result, "/host/cpus") >= 1.0);
    assert!(result["host"]["kernel"].is_string());
    assert!(number(&result, "/noise/user_s") >= 0.0);
    let known = ["user_s", "system_s", "unexplained_s"]
        .map(|name| number(&result, &format!("/accounting/{name}")));
    let sum: f64 = known.iter().sum();
    let thread_s = number(&result, "/accounting/thread_s");
    assert!((sum - thread_s).abs() < 1e-6, "{result:#}");
}

#[test]
fn the_pages_of_the_memory_test_are_unknown_without_proc() {
    let root = empty_root();
    let result = result_in_root(root.path(), "memory --total-size 1M");
    assert_eq!(result["memory"]["page_bytes"], Value::Null);
    assert_eq!(result["memory"]["mapped_bytes"], Value::Null);
}

#[test]
fn env_says_that_proc_and_sys_are_not_mounted() {
    let root = empty_root();
    let output = in_root(root.path(), "env --dir /data --json");
    assert_ended(&output, 0);
    let environment = parsed(&output.stdout);
    let reason = |field: &str| {
        let entries = environment["not_visible"].as_array().unwrap();
        let names = |entry: &&Value| {
            let fields = entry["fields"].as_array().unwrap();
            fields.iter().any(|it| it == field)
        };
        entries.iter().find(names).expect(field)["reason"].clone()
    };
    for field in ["host.memory_bytes", "accounting.contended_s", "storage"] {
        assert_eq!(reason(field), "/proc is not mounted", "{field}");
    }
    for field in ["host.mitigations", "host.ksm", "host.virtio"] {
        assert_eq!(reason(field), "/sys is not mounted", "{field}");
    }
}

#[test]
fn text_reports_work_in_an_empty_root() {
    let root = empty_root();
    for args in [
        "cpu --max-prime 100 --events 10",
        "env --dir /data",
        "--test=cpu --cpu-max-prime=100 --max-requests=10 run",
    ] {
        let output = in_root(root.path(), args);
        assert_ended(&output, 0);
        assert_eq!(errors(&output.stderr), "", "{args}");
        assert!(!output.stdout.is_empty(), "{args}");
    }
}

#[test]
fn huge_pages_are_refused_with_a_reason_if_the_pool_is_not_visible() {
    let root = empty_root();
    let output = in_root(root.path(), "memory --hugetlb --total-size 1M");
    assert_ended(&output, 1);
    assert!(text(&output.stderr).contains("/proc/meminfo"));
}
