//! `wbench trial` on a disk that fills up.

use std::process::Command;

use crate::common::storage::Mounted;
use crate::common::{Running, WBENCH, assert_ended, result_in, temp_dir, text, tool, wait_until};

#[test]
fn a_disk_that_fills_up_keeps_the_earlier_blocks_and_the_trial_continues_later() {
    let disk = Mounted::made("ext4", 16 << 20, "nosuid");
    let directory = temp_dir();
    let file = disk.path().join("all.json");
    // Runs of the fourth block wait until the disk is full.
    let launcher = "b=sh -c 'until [ {instance} -lt 4 ] || [ -e full ]; do sleep 0.1; done; exec \
                    $WBENCH {args}'";
    let trial = |options: &str| {
        let mut command = Command::new(WBENCH);
        command
            .args("trial --run-time 0.001 --warmup 0 --max-blocks 6 --json".split(' '))
            .arg(&file)
            .args(options.split_whitespace())
            // Large results, which soon exceed the space reserved for them.
            .args(["--label", &format!("long={}", "x".repeat(60_000))])
            .args(["--launch", "a=", "--launch", launcher, "--"])
            .args("cpu --max-prime 100".split(' '))
            .env("WBENCH", WBENCH)
            .current_dir(directory.path());
        Running::start(command)
    };
    let run = trial("");
    let partial = disk.path().join("all.json.partial");
    let lines = || std::fs::read_to_string(&partial).map_or(0, |text| text.lines().count());
    wait_until("three blocks", || lines() == 6);
    let filler = disk.path().join("filler");
    let filled = tool("dd")
        .args(["if=/dev/zero", "bs=4k", "status=none"])
        .arg(format!("of={}", filler.display()))
        .output()
        .unwrap();
    assert!(!filled.status.success(), "the disk is full");
    std::fs::write(directory.path().join("full"), "").unwrap();
    let output = run.finish();
    assert_ended(&output, 2);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("make room"), "{stderr}");
    assert!(lines() >= 6 && !file.exists());

    std::fs::remove_file(filler).unwrap();
    assert_ended(&trial("--resume").finish(), 2);
    let results = result_in(&file);
    let blocks = results
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["trial"]["block"].as_u64().unwrap());
    assert!(blocks.eq([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]));
}
