//! `--validate`: writes that the kernel never sees are detected.

use crate::common::storage::Bench;

const SET: &str = "--files 3 --total-size 120K --validate";

#[test]
fn a_lost_acknowledged_write_is_detected_after_the_run() {
    let bench = Bench::prepared(SET);
    // The kernel never sees the 14th write, but the program gets a success status.
    let injections = bench.inject("pwrite64", "retval=4096", 14, 3);
    bench
        .run_under(&injections, &format!("{SET} --mode seqrewr"))
        .failed_with(&["offset 12288", "test_file.1", "stale"], "seqrewr");
    assert_eq!(bench.result()["status"], "failed");
}

#[test]
fn a_lost_write_is_detected_by_the_next_read_of_the_block() {
    let bench = Bench::prepared(SET);
    let injections = bench.inject("pwrite64", "retval=4096", 3, 3);
    bench
        .run_under(
            &injections,
            &format!("{SET} --mode rndrw --rw-ratio 20 --events 3000"),
        )
        .failed_with(&["test_file.", "stale"], "rndrw");
    let events = bench.result()["totals"]["events"].as_u64().expect("events");
    assert!(events < 3000, "found only after {events} events");
}
