//! `wbench sweep` with launchers that replace directories, failed calls and full disks.

use std::path::Path;
use std::process::Command;

use crate::common::storage::Mounted;
use crate::common::sweep::{TRIVIAL, Workspace, assert_each_once};
use crate::common::{
    Running, WBENCH, assert_ended, names_in, result_in, temp_dir, text, tool, traced, wait_until,
};

/// What a launcher may do to its directory, and what the sweep then reports. PRECIOUS is a
/// directory with unrelated files.
const REPLACED: [(&str, &str); 4] = [
    (
        "rmdir {dir}; ln -s PRECIOUS {dir}",
        "it is now a symbolic link",
    ),
    ("mount --bind PRECIOUS {dir}", "it is now a mount point"),
    (
        "mkdir {dir}/deep; mount --bind PRECIOUS {dir}/deep",
        "it contains deep,",
    ),
    (
        "touch {dir}/test_file.0; mount --bind PRECIOUS/test_file.0 {dir}/test_file.0",
        "it contains test_file.0,",
    ),
];

/// Runs a sweep whose launcher replaces its directory with unrelated files, in a temporary mount
/// namespace, and fails unless all those files survive.
#[track_caller]
fn assert_left_alone(workspace: &Workspace, precious: &Path, before: &[&str]) {
    let files = "fileio prepare --quiet --files 2 --total-size 32K --dir";
    let prepared = Command::new(WBENCH)
        .args(files.split(' '))
        .arg(precious)
        .status();
    assert!(prepared.unwrap().success());
    std::fs::write(precious.join("letter"), "mine").unwrap();
    let names = names_in(precious);
    for (replacement, reason) in REPLACED {
        let replacement = replacement.replace("PRECIOUS", precious.to_str().unwrap());
        let launcher = format!("x=sh -c '{replacement}; exec $WBENCH {{args}}'");
        let sweep = workspace.command("--concurrency 1 --count 1", &[&launcher], TRIVIAL);
        let mut command = tool("unshare");
        command
            .args(["--mount", "--propagation", "private"])
            .args(before)
            .arg(sweep.get_program())
            .args(sweep.get_args())
            .env("WBENCH", WBENCH)
            .current_dir(workspace.path());
        let output = Running::start(command).finish();
        assert_ended(&output, 0);
        assert_eq!(names_in(precious), names, "{replacement}");
        let stderr = text(&output.stderr);
        let message = format!("x-1-1 was not removed: {reason}");
        assert!(stderr.contains(&message), "{message}: {stderr}");
        std::fs::remove_file(workspace.file()).unwrap();
    }
}

#[test]
fn a_launcher_that_replaces_its_directory_causes_no_loss_of_other_files() {
    let workspace = Workspace::new();
    let precious = workspace.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    assert_left_alone(&workspace, &precious, &[]);
    let other = Mounted::tmpfs(1 << 20);
    assert_left_alone(&workspace, &other.path(), &[]);
}

#[test]
fn without_openat2_a_launcher_that_replaces_its_directory_causes_no_loss_of_other_files() {
    tool("strace");
    let workspace = Workspace::new();
    let precious = workspace.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    let strace = "strace -qq -o trace -e trace=openat2 -e inject=openat2:error=ENOSYS";
    let strace: Vec<&str> = strace.split(' ').collect();
    assert_left_alone(&workspace, &precious, &strace);
    let trace = std::fs::read_to_string(workspace.path().join("trace")).unwrap();
    assert!(trace.contains("ENOSYS"), "{trace}");
}

#[test]
fn a_disk_that_fills_up_keeps_the_earlier_results() {
    let disk = Mounted::made("ext4", 16 << 20, "nosuid");
    let workspace = Workspace::new();
    let file = disk.path().join("all.json");
    // Instances from the fourth on wait until the disk is full.
    let launcher = "sh=sh -c 'until [ {instance} -lt 4 ] || [ -e full ]; do sleep 0.1; done; exec \
                    $WBENCH {args}'";
    let sweep = |options: &str| {
        let mut command = Command::new(WBENCH);
        command
            .args("sweep --concurrency 1 --count 12 --json".split(' '))
            .arg(&file)
            .args(options.split_whitespace())
            // Large results, which soon exceed the space reserved for them.
            .args(["--label", &format!("long={}", "x".repeat(60_000))])
            .args(["--launch", launcher, "--"])
            .args(TRIVIAL.split(' '))
            .env("WBENCH", WBENCH)
            .current_dir(workspace.path());
        Running::start(command)
    };
    let run = sweep("");
    let partial = disk.path().join("all.json.partial");
    let lines = || std::fs::read_to_string(&partial).map_or(0, |text| text.lines().count());
    wait_until("some results", || lines() >= 3);
    let filler = disk.path().join("filler");
    let filled = tool("dd")
        .args(["if=/dev/zero", "bs=4k", "status=none"])
        .arg(format!("of={}", filler.display()))
        .output()
        .unwrap();
    assert!(!filled.status.success(), "the disk is full");
    std::fs::write(workspace.path().join("full"), "").unwrap();
    let output = run.finish();
    assert_ended(&output, 1);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("make room") && stderr.contains("--resume"),
        "{stderr}"
    );
    assert!(lines() >= 3);
    assert!(!file.exists());

    std::fs::remove_file(filler).unwrap();
    assert_ended(&sweep("--resume").finish(), 0);
    let results = result_in(&file);
    assert_each_once(results.as_array().unwrap(), &["sh"], &[1], 12);
}

#[test]
fn a_sweep_that_does_not_fit_is_refused_before_anything_starts() {
    let disk = Mounted::tmpfs(64 << 20);
    let workspace = Workspace::new();
    let dir = disk.path();
    let mut command = Command::new(WBENCH);
    command
        .args("sweep --concurrency 1,4 --count 4 --json all.json --dir".split(' '))
        .arg(&dir)
        .args("-- fileio --mode seqrd --files 2 --total-size 20M --flags none".split(' '))
        .current_dir(workspace.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 1);
    let stderr = text(&output.stderr);
    for part in [
        "80.0 MiB of disk",
        "64.0 MiB",
        "--total-size",
        "--overcommit",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(!workspace.file().exists());
    assert!(names_in(&dir).is_empty());

    let measurement = "memory --block-size 64G --total-size 64G";
    let output = workspace.sweep("--concurrency 4 --count 4", &[], measurement);
    assert_ended(&output, 1);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("256.0 GiB") && stderr.contains("--block-size"),
        "{stderr}"
    );
}

#[test]
fn a_created_directory_that_cannot_be_opened_is_removed() {
    let directory = temp_dir();
    let run = traced(
        directory.path(),
        "sweep --concurrency 1 --count 1 --json r.json -- fileio --mode rndrd --files 1 \
         --total-size 16K --events 1",
        &["trace=openat2", "inject=openat2:error=EACCES:when=1"],
    );
    assert_ended(&run.output, 1);
    let message = text(&run.output.stderr);
    assert!(message.contains("cannot create the directory"), "{message}");
    assert_eq!(names_in(directory.path()), [""; 0]);
}
