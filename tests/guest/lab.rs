//! One binary on this machine, in a container and in a guest: it reports where it ran and does the
//! same work.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{
    Running, Traced, WBENCH, assert_ended, data_call, result_in, temp_dir, text, traced, wbench,
};
use crate::container;
use crate::machine::{GUEST, PROJECT, add_file, add_program, script};

const ENVIRONMENTS: [&str; 3] = ["host", "container", "guest"];

#[test]
fn the_lab_runs_one_binary_in_three_places_and_compares_them_in_one_table() {
    assert!(GUEST.is_dir());
    let lab = temp_dir();
    let mut command = Command::new(Path::new(PROJECT).join("packaging/lab/run"));
    command
        .args([
            "--scale", "0.0002", "--repeat", "1", "--disk", "1G", "--output",
        ])
        .arg(lab.path());
    let output = command.output().unwrap();
    assert_ended(&output, 0);
    let printed = text(&output.stdout);

    let sha256: Vec<&str> = printed.lines().take(3).map(|line| &line[..64]).collect();
    assert!(sha256.iter().all(|sum| *sum == sha256[0]), "{printed}");

    let results = ENVIRONMENTS.map(|env| {
        let runs = result_in(&lab.path().join(env).join("1.json"));
        runs.as_array().expect("an array").clone()
    });
    for (env, runs) in ENVIRONMENTS.iter().zip(&results) {
        assert_eq!(runs.len(), 7, "{env}");
        for run in runs {
            assert_eq!(run["labels"]["env"], **env);
            assert_eq!(run["status"], "complete");
        }
    }
    let [host, container, guest] = &results;
    let place = |runs: &[Value]| {
        let host = &runs[0]["host"];
        (host["virtualization"].clone(), host["container"].clone())
    };
    assert_eq!(place(guest), ("qemu".into(), "none".into()));
    assert_eq!(place(container).1, "oci");
    // The container uses this machine's kernel.
    assert_eq!(place(container).0, place(host).0);
    assert_eq!(container[0]["host"]["kernel"], host[0]["host"]["kernel"]);
    assert_ne!(guest[0]["host"]["kernel"], host[0]["host"]["kernel"]);

    // Tests that do not end by time do the same work; for the others, only their order is the same.
    for other in [container, guest] {
        for (one, another) in host.iter().zip(other) {
            assert_eq!(one["workload"]["params"], another["workload"]["params"]);
            if one["ended_by"] == "work" && another["ended_by"] == "work" {
                for total in ["events", "reads", "writes", "fsyncs", "bytes_read"] {
                    assert_eq!(one["totals"][total], another["totals"][total], "{total}");
                }
            }
        }
        assert_eq!(host[0]["totals"]["events"], other[0]["totals"]["events"]);
        assert_eq!(
            other[0]["ended_by"], "work",
            "the cpu test has no time limit"
        );
    }

    let table = fs::read_to_string(lab.path().join("table.txt")).unwrap();
    for env in ENVIRONMENTS {
        let rows = table
            .lines()
            .filter(|line| line.trim_start().starts_with(&format!("{env} ")));
        assert!(rows.count() >= 7, "{table}");
    }
    assert!(table.contains("host.virtualization"), "{table}");
    let page = fs::read_to_string(lab.path().join("page.html")).unwrap();
    assert!(page.contains("<svg"));
    assert!(lab.path().join("page.png").is_file());
}

/// Options for the files, and for a run on them that ends by its requests, so that it is the same
/// at any disk speed.
const SET: &str = "--files 8 --total-size 2M";
const RUN: &str = "fileio run --mode rndrw --events 300 --fsync-freq 50 --quiet";

/// strace options whose output [`data_call`] parses, with one file per thread.
const STRACE: &str = "-ff -qq -y -s 0 -e trace=pread64,pwrite64,fsync,fdatasync -o";

fn prepared() -> TempDir {
    let dir = temp_dir();
    let prepare = format!("fileio prepare {SET}");
    wbench(dir.path(), &prepare).assert().success();
    dir
}

fn requests_in_the_container() -> Vec<String> {
    let root = temp_dir();
    add_program(root.path(), "strace");
    let (files, data) = (temp_dir(), prepared());
    let args = format!("{STRACE} /data/trace /usr/bin/wbench {RUN} {SET}");
    let args: Vec<&str> = args.split(' ').collect();
    let path = |directory: &TempDir| directory.path().to_str().unwrap().to_owned();
    let options = [
        "--container-program",
        "/usr/bin/strace",
        "--container-add",
        &path(&root),
        "--container-data",
        &path(&data),
    ];
    let output = Running::start(container::launcher(files.path(), &options, &args)).finish();
    assert_ended(&output, 0);
    Traced::read(output, data.path()).data_calls()
}

fn requests_in_the_guest() -> Vec<String> {
    let root = temp_dir();
    add_program(root.path(), "strace");
    // The binary under test, as in the other two places.
    add_file(root.path(), Path::new(WBENCH), Path::new("/usr/bin/wbench"));
    let options = ["--guest-add", root.path().to_str().unwrap()];
    let trace = script(
        &options,
        &format!(
            "wbench fileio prepare {SET}
             strace {STRACE} /tmp/trace wbench {RUN} {SET}
             cat $(ls /tmp/trace.* | sort -t . -k 2 -n | tail -n +2)"
        ),
    );
    trace.lines().filter_map(data_call).collect()
}

#[test]
fn every_request_is_the_same_in_all_three_places() {
    let on_the_host = traced(prepared().path(), &format!("{RUN} {SET}"), &[]);
    assert_ended(&on_the_host.output, 0);
    let on_the_host = on_the_host.data_calls();
    let count = |call: &str| {
        on_the_host
            .iter()
            .filter(|line| line.starts_with(call))
            .count()
    };
    assert_eq!(count("read ") + count("write "), 300);
    assert!(count("fsync ") > 0);
    assert_eq!(requests_in_the_container(), on_the_host);
    assert_eq!(requests_in_the_guest(), on_the_host);
}
