//! `packaging/guest/run`: a guest as a command.

use std::fs;
use std::path::Path;
use std::thread;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::common::{Running, assert_ended, names_in, temp_dir, text, wait_until};
use crate::machine::{GUEST, boot, document, launcher};

#[test]
fn arguments_output_and_exit_status_are_passed_through_unchanged() {
    let args = ["a b", "it's", "", "\"$HOME\" `x` \\n", "two\nlines\n", "-e"];
    let program = "for word; do printf '[%s]' \"$word\"; done; echo printed >&2; exit 7";
    let output = boot(
        &["--guest-program", "/bin/sh"],
        &[&["-c", program, "name"], &args[..]].concat(),
    );
    assert_ended(&output, 7);
    let expected: String = args.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(text(&output.stdout), expected);
    let errors = text(&output.stderr);
    assert!(errors.ends_with("printed\n"), "{errors}");
    assert!(errors.contains("emulated"), "{errors}");
}

#[test]
fn wbench_measures_on_the_guests_own_disk() {
    let args = "fileio --mode rndrw --files 4 --total-size 4M --events 100 --json -";
    let args: Vec<&str> = args.split(' ').collect();
    let options = ["--guest-filesystem", "ext4", "--guest-disk", "1G"];
    let result = document(&options, &args);
    assert_eq!(result["status"], "complete");
    assert_eq!(result["totals"]["events"], 100);
    assert_eq!(result["storage"]["filesystem"], "ext4");
    assert_eq!(result["storage"]["device"], "vda");
    assert_eq!(result["storage"]["path"], "/data");
}

/// A directory with the same guest that no other test uses.
fn guest_alone() -> TempDir {
    let alone = temp_dir();
    for entry in fs::read_dir(&*GUEST).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() {
            fs::hard_link(&file, alone.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    alone
}

/// The processes with this path in their command line.
fn processes_at(path: &Path) -> Vec<String> {
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    let path = path.to_str().unwrap();
    commands.filter(|command| command.contains(path)).collect()
}

#[test]
fn concurrent_guests_do_not_interfere_and_leave_nothing_behind() {
    let alone = guest_alone();
    let before = names_in(alone.path());
    let run = |name: &str| {
        let program = "echo $0 >name; sync; sleep 1; cat *";
        let mut command = launcher(&["--guest-program", "/bin/sh"], &["-c", program, name]);
        command.env("WBENCH_GUEST", alone.path());
        command.output().unwrap()
    };
    thread::scope(|scope| {
        let runs = ["one", "two"].map(|name| (name, scope.spawn(move || run(name))));
        for (name, run) in runs {
            let output = run.join().unwrap();
            assert_ended(&output, 0);
            assert_eq!(text(&output.stdout), format!("{name}\n"));
        }
    });
    assert_eq!(names_in(alone.path()), before);
    assert_eq!(processes_at(alone.path()), [""; 0]);
}

#[test]
fn output_is_unbuffered_and_sigterm_ends_the_guest_and_leaves_nothing_behind() {
    let alone = guest_alone();
    let before = names_in(alone.path());
    let program = ["-c", "echo ready; sleep 1000"];
    let mut command = launcher(&["--guest-program", "/bin/sh"], &program);
    command.env("WBENCH_GUEST", alone.path());
    let running = Running::start(command);
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    assert_ended(&running.finish(), 143);
    assert_eq!(names_in(alone.path()), before);
    assert_eq!(processes_at(alone.path()), [""; 0]);
}

#[test]
fn killing_the_launcher_ends_its_guest() {
    let alone = guest_alone();
    let mut command = launcher(&["--guest-program", "/bin/sh"], &["-c", "sleep 1000"]);
    command.env("WBENCH_GUEST", alone.path());
    let running = Running::start(command);
    let qemu = || {
        let processes = processes_at(alone.path());
        processes.iter().any(|process| process.starts_with("qemu"))
    };
    wait_until("QEMU at work", qemu);
    running.signal(Signal::SIGKILL);
    wait_until("the end of QEMU", || !qemu());
}

#[track_caller]
fn assert_fails(options: &[&str], code: i32, message: &str) {
    let output = boot(options, &["cpu", "--time", "1000", "--events", "0"]);
    assert_ended(&output, code);
    assert_eq!(text(&output.stdout), "");
    let errors = text(&output.stderr);
    assert!(errors.contains(message), "{errors}");
}

#[test]
fn a_kernel_panic_is_reported_with_its_message() {
    let panic = ["--guest-append", "rdinit=/none root=/dev/none"];
    assert_fails(&panic, 125, "kernel panic: VFS: Unable to mount root fs");
}

#[test]
fn a_hung_guest_times_out() {
    let limit = ["--guest-boot-limit", "1"];
    assert_fails(&limit, 124, "did not start wbench within 1 s");
    assert_fails(&["--guest-limit", "1"], 124, "did not finish within 1 s");
}

#[test]
fn an_error_from_qemu_is_reported() {
    let model = ["--guest-cpu", "abacus"];
    assert_fails(&model, 125, "unable to find CPU model 'abacus'");
}

#[test]
fn invalid_options_are_reported_before_booting() {
    assert_fails(&["--guest-color", "red"], 2, "--guest-color");
    assert_fails(&["--guest-filesystem", "fat"], 2, "xfs or ext4");
    assert_fails(&["--guest-add", "/no/such"], 2, "/no/such");
    let empty = temp_dir();
    let mut command = launcher(&[], &["env"]);
    command.env("WBENCH_GUEST", empty.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 125);
    assert!(text(&output.stderr).contains("make guest"));
    assert_eq!(names_in(empty.path()), [""; 0]);
}
