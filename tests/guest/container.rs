//! A runc container: its launcher, and what wbench reports about it.

use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{Running, WBENCH, assert_ended, names_in, number, parsed, temp_dir, text};
use crate::machine::{PROJECT, documents};

/// `packaging/container/run`, with its files in this directory.
pub fn launcher(files: &Path, options: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(Path::new(PROJECT).join("packaging/container/run"));
    command
        .env("WBENCH_CONTAINERS", files)
        .args(["--container-binary", WBENCH])
        .args(options)
        .arg("--")
        .args(args);
    command
}

fn run(options: &[&str], args: &[&str]) -> Output {
    let files = temp_dir();
    let output = Running::start(launcher(files.path(), options, args)).finish();
    assert_eq!(names_in(files.path()), [""; 0]);
    output
}

fn warning_codes(document: &Value) -> Vec<&str> {
    let warnings = document["warnings"].as_array().expect("warnings");
    let codes = warnings.iter().map(|warning| warning["code"].as_str());
    codes.map(|code| code.expect("a code")).collect()
}

#[test]
fn a_container_is_recognized_with_its_limits() {
    let options = ["--container-cpus", "0.5", "--container-memory", "201326592"];
    let output = run(&options, &["env", "--json"]);
    assert_ended(&output, 0);
    let env = parsed(&output.stdout);
    assert_eq!(env["host"]["container"], "oci");
    assert_eq!(number(&env, "/host/cgroup/cpu_quota_cpus"), 0.5);
    assert_eq!(
        number(&env, "/host/cgroup/memory_limit_bytes"),
        201_326_592.0
    );
    assert!(env["host"]["cgroup"]["version"].is_string());
    assert!(warning_codes(&env).contains(&"cpu-quota"), "{env:#}");
    assert_eq!(env["storage"]["path"], "/data");
    assert!(env["storage"]["device"].is_string(), "{env:#}");
}

#[test]
fn without_limits_none_are_reported() {
    let output = run(&[], &["env", "--json"]);
    assert_ended(&output, 0);
    let env = parsed(&output.stdout);
    assert_eq!(env["host"]["cgroup"]["cpu_quota_cpus"], Value::Null);
    assert!(!warning_codes(&env).contains(&"cpu-quota"), "{env:#}");
}

#[test]
fn a_block_above_the_memory_limit_is_reported_before_the_kernel_kills_the_test() {
    let limit = ["--container-memory", "67108864"];
    let args = ["memory", "--block-size", "256M", "--total-size", "1G"];
    let output = run(&limit, &args);
    // A machine with swap continues, slowly.
    assert!(matches!(output.status.code(), Some(137 | 0)), "{output:?}");
    let errors = text(&output.stderr);
    assert!(
        errors.contains("allows 64M of memory, but the test touches 256M"),
        "{errors}"
    );
}

#[test]
fn sigterm_ends_the_test_in_the_container_with_its_result() {
    let files = temp_dir();
    let args = [
        "cpu",
        "--time",
        "1000",
        "--events",
        "0",
        "--report-interval",
        "0.1",
    ];
    let running = Running::start(launcher(files.path(), &[], &args));
    running.wait_for("events/s");
    running.signal(Signal::SIGTERM);
    let output = running.finish();
    assert_ended(&output, 143);
    assert!(text(&output.stdout).contains("interrupted"), "{output:?}");
    assert_eq!(names_in(files.path()), [""; 0]);
}

#[test]
fn the_lowest_limit_of_nested_version_2_cgroups_applies() {
    // A guest has only version 2, whatever this machine has.
    let [outside, inside] = documents(
        &[],
        "cd /sys/fs/cgroup
         echo '+cpu +memory' >cgroup.subtree_control
         mkdir -p slice/scope
         echo '+cpu +memory' >slice/cgroup.subtree_control
         echo '50000 100000' >slice/cpu.max
         echo 300M >slice/memory.max
         echo '200000 100000' >slice/scope/cpu.max
         echo 200M >slice/scope/memory.max
         wbench env --json
         echo $$ >slice/scope/cgroup.procs
         wbench env --json",
    )
    .try_into()
    .unwrap();
    let limits = |env: &Value| {
        let mut cgroup = env["host"]["cgroup"].clone();
        // The guest has one CPU.
        assert_eq!(cgroup["cpuset_cpus"], "0", "{env:#}");
        for cpuset in ["cpuset_cpus", "cpuset_mems"] {
            cgroup.as_object_mut().expect("an object").remove(cpuset);
        }
        cgroup
    };
    let unlimited = serde_json::json!({
        "version": "v2", "cpu_quota_cpus": null, "memory_limit_bytes": null,
    });
    assert_eq!(limits(&outside), unlimited);
    let tightest = serde_json::json!({
        "version": "v2", "cpu_quota_cpus": 0.5, "memory_limit_bytes": 200 << 20,
    });
    assert_eq!(limits(&inside), tightest);
    assert!(warning_codes(&inside).contains(&"cpu-quota"), "{inside:#}");
}
