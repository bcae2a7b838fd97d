//! The study's question on one host: the same measurement natively and in containers at increasing
//! concurrency, in one table and one page.

use std::process::Command;

use crate::common::browser::rendered;
use crate::common::{
    Running, WBENCH, assert_ended, names_in, result_in, temp_dir, text, tool, wbench,
};

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/container/run");

#[test]
fn native_and_container_runs_at_concurrency_one_and_two_give_one_table_and_one_page() {
    // Checked here so that the test, not the launcher, reports it missing.
    tool("runc");
    let directory = temp_dir();
    let container = format!(
        "runc={LAUNCHER} --container-binary {WBENCH} --container-data {{dir}} -- {{args}} --dir /data"
    );
    let mut command = Command::new(WBENCH);
    command
        .args("sweep --concurrency 1,2 --count 4 --json all.json --lead 4".split(' '))
        .args(["--launch", "native=", "--launch", &container, "--"])
        .args("fileio --mode seqrd --files 2 --total-size 4M --flags none".split(' '))
        .current_dir(directory.path());
    let output = Running::start(command).finish();
    assert_ended(&output, 0);
    assert_eq!(names_in(directory.path()), ["all.json"]);
    let array = result_in(&directory.path().join("all.json"));
    let results = array.as_array().unwrap();
    assert_eq!(results.len(), 16);
    for result in results {
        let in_container = result["labels"]["env"] == "runc";
        assert_eq!(
            result["host"]["container"] != "none",
            in_container,
            "{result:#}"
        );
        assert_eq!(
            result["start"].is_null(),
            result["labels"]["concurrency"] == "1" || {
                // Only the first two form a wave.
                result["launch"]["instance"].as_u64().unwrap() > 2
            }
        );
    }

    let compare = "compare all.json --by env --vary concurrency";
    let table = wbench(directory.path(), compare).assert().success();
    let table = text(&table.get_output().stdout);
    for row in [
        "1            native  4",
        "             runc    4",
        "2            native  4",
    ] {
        assert!(table.contains(row), "no '{row}' in {table}");
    }
    let page = format!("{compare} --format html --output page.html");
    wbench(directory.path(), &page).assert().success();
    let url = format!("file://{}", directory.path().join("page.html").display());
    let (shown, _) = rendered(&url, &[]);
    for part in [
        "Comparison of native, runc",
        "by concurrency",
        ">concurrency</text>",
    ] {
        assert!(shown.contains(part), "no '{part}' in the page");
    }
}
