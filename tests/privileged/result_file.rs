//! The result file on full disks, on mounts and in directories of other users.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::result_file::{ENDLESS, SHORT, large_labels, run};
use crate::common::storage::{Bound, Mounted};
use crate::common::{
    Running, WBENCH, assert_ended, assert_valid, names_in, number, result_in, temp_dir, text, tool,
    traced, validator, wbench,
};

#[test]
fn results_of_interrupted_and_failed_runs_are_valid_too() {
    let validator = validator();
    let directory = temp_dir();
    let run = Running::wbench(
        directory.path(),
        "cpu --max-prime 500 --events 0 --report-interval 0.05 --json r.json",
    );
    run.wait_for("events/s");
    run.signal(nix::sys::signal::Signal::SIGINT);
    assert_ended(&run.finish(), 130);
    let interrupted = result_in(&directory.path().join("r.json"));
    assert_eq!(interrupted["status"], "interrupted");
    assert_valid(&validator, &interrupted, "interrupted");

    let args = "fileio --mode seqrd --files 2 --total-size 64K --json r.json";
    let run = traced(directory.path(), args, &["inject=pread64:error=EIO:when=1"]);
    assert_ended(&run.output, 1);
    let failed = result_in(&directory.path().join("r.json"));
    assert_eq!(failed["status"], "failed");
    assert_valid(&validator, &failed, "failed");
}

#[test]
fn a_result_that_cannot_be_written_leaves_the_old_one_and_the_report_is_still_printed() {
    // The first write is that of the result, as the report follows it; likewise sync and rename.
    for inject in [
        "inject=write:error=EIO:when=1",
        "inject=fsync:error=EIO:when=1",
        "inject=/^rename:error=EIO:when=1",
    ] {
        let directory = temp_dir();
        fs::write(directory.path().join("r.json"), "old").unwrap();
        let args = "cpu --max-prime 100 --events 3 --json r.json";
        let run = traced(directory.path(), args, &[inject]);
        assert_ended(&run.output, 1);
        let message = text(&run.output.stderr);
        assert!(message.contains("r.json"), "{inject}: {message}");
        assert_eq!(names_in(directory.path()), ["r.json"], "{inject}");
        assert_eq!(fs::read(directory.path().join("r.json")).unwrap(), b"old");
        let report = text(&run.output.stdout);
        assert!(
            report.contains("events/s"),
            "{inject}: the figures are lost"
        );
    }
}

#[test]
fn a_result_is_synced_before_it_is_renamed() {
    let directory = temp_dir();
    let args = "cpu --max-prime 100 --events 3 --json r.json";
    let run = traced(directory.path(), args, &[]);
    assert_ended(&run.output, 0);
    let calls = run.calls_of_the_main_thread();
    let place = |what: &str| {
        calls
            .iter()
            .position(|line| line.starts_with(what))
            .unwrap_or_else(|| panic!("no {what}"))
    };
    assert!(place("write(") < place("fsync(") && place("fsync(") < place("rename"));
    assert!(calls[place("rename")].contains("r.json"));
}

#[test]
fn a_result_survives_test_files_that_fill_its_disk() {
    for large in [false, true] {
        let disk = Mounted::tmpfs(16 << 20);
        let args = "fileio --mode seqwr --files 1 --total-size 64M --block-size 64K --flags none \
                     --json r.json";
        let mut command = wbench(&disk.path(), args);
        if large {
            command.args(large_labels());
        }
        let output = command.output().unwrap();
        assert_ended(&output, 1);
        assert!(text(&output.stderr).contains("no space left"));
        let result = result_in(&disk.path().join("r.json"));
        assert_eq!(result["status"], "failed");
        assert!(number(&result, "/totals/events") > 0.0);
        assert_eq!(names_in(&disk.path()), ["r.json"]);
    }
}

#[test]
fn a_result_has_reserved_space_on_a_disk_that_remaining_files_fill() {
    let disk = Mounted::tmpfs(16 << 20);
    let args = "fileio run --mode seqwr --files 1 --total-size 64M --block-size 4K --flags none \
                 --json r.json";
    let output = run(&disk.path(), args);
    assert_ended(&output, 1);
    assert_eq!(result_in(&disk.path().join("r.json"))["status"], "failed");
    assert_eq!(names_in(&disk.path()), ["r.json", "test_file.0"]);
}

#[test]
fn a_full_disk_is_detected_before_the_run() {
    let disk = Mounted::tmpfs(1 << 20);
    let _ = fs::write(disk.path().join("other"), vec![0; 2 << 20]);
    let args = "cpu --events 0 --time 0 --json r.json";
    let output = run(&disk.path(), args);
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(
        message.contains("r.json") && message.contains("make room"),
        "{message}"
    );
    assert_eq!(names_in(&disk.path()), ["other"]);
}

#[test]
fn a_mounted_file_is_written_in_place_with_a_warning() {
    let directory = temp_dir();
    let file = directory.path().join("r.json");
    // Longer than a result, so that the file must be truncated.
    fs::write(&file, "old".repeat(100_000)).unwrap();
    let mounted = Bound::on(&file);
    let output = run(directory.path(), &format!("{SHORT} --json r.json"));
    assert_ended(&output, 0);
    assert!(text(&output.stderr).contains("r.json is a mount point"));
    drop(mounted);
    assert_eq!(result_in(&file)["status"], "complete");
    assert_eq!(names_in(directory.path()), ["r.json"]);
}

#[test]
fn the_results_of_a_suite_can_be_written_to_a_mounted_file() {
    let directory = temp_dir();
    let file = directory.path().join("all.json");
    fs::write(&file, "").unwrap();
    let profile = "name = \"p\"\n[[measurement]]\nname = \"cpu\"\ntest = \"cpu\"\nevents = 10\n";
    fs::write(directory.path().join("p.toml"), profile).unwrap();
    let mounted = Bound::on(&file);
    let suite = "suite --profile p.toml --quiet --json all.json";
    let output = run(directory.path(), suite);
    assert_ended(&output, 0);
    assert!(text(&output.stderr).contains("mount point"));
    assert_ended(&run(directory.path(), suite), 1);
    assert_ended(&run(directory.path(), &format!("{suite} --resume")), 0);
    drop(mounted);
    assert_eq!(result_in(&file).as_array().unwrap().len(), 1);
    assert_eq!(names_in(directory.path()), ["all.json", "p.toml"]);
}

#[test]
fn a_target_that_cannot_be_replaced_is_detected_before_the_run() {
    for attribute in ["+i", "+a"] {
        let directory = temp_dir();
        let file = directory.path().join("r.json");
        fs::write(&file, "precious").unwrap();
        let chattr = |attribute: &str| {
            let done = tool("chattr").arg(attribute).arg(&file).status().unwrap();
            assert!(done.success(), "this test needs chattr and root");
        };
        chattr(attribute);
        let output = run(directory.path(), &format!("{ENDLESS} r.json"));
        chattr(&attribute.replace('+', "-"));
        assert_ended(&output, 1);
        let message = text(&output.stderr);
        assert!(
            message.contains("r.json: operation not permitted (EPERM); name another file"),
            "{message}"
        );
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert_eq!(names_in(directory.path()), ["r.json"]);
    }
}

#[test]
fn another_users_file_in_a_sticky_directory_is_detected_before_the_run() {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let binary = directory.path().join("wbench");
    fs::copy(WBENCH, &binary).unwrap();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let file = directory.path().join("r.json");
    fs::write(&file, "precious").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    let as_nobody = |args: &str| {
        let mut command = tool("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args(args.split_whitespace())
            .current_dir(directory.path());
        Running::start(command).finish()
    };
    let output = as_nobody(&format!("{ENDLESS} r.json"));
    assert_ended(&output, 1);
    let message = text(&output.stderr);
    assert!(
        message.contains("r.json: operation not permitted (EPERM); name another file"),
        "{message}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    // The owner's file may be replaced there.
    for _ in 0..2 {
        assert_ended(&as_nobody(&format!("{SHORT} --json own.json")), 0);
    }
}
