//! `--forced-shutdown` of the sysbench dialect.

use crate::common::{assert_ended, temp_dir, text, traced, wbench};

#[test]
fn forced_shutdown_ends_a_run_that_hangs_with_statistics_and_status_2() {
    let directory = temp_dir();
    let set = "--test=fileio --file-num=4 --file-total-size=256K --file-block-size=4K";
    wbench(directory.path(), &format!("{set} prepare"))
        .assert()
        .success();
    let args = format!(
        "{set} --file-test-mode=rndwr --file-fsync-freq=10 --max-requests=0 --max-time=1 \
         --forced-shutdown=1 run"
    );
    // Two rounds of slow fsyncs after 10 writes each, then a write that outlasts the shutdown.
    let run = traced(
        directory.path(),
        &args,
        &[
            "inject=fsync:delay_enter=40ms",
            "inject=pwrite64:delay_enter=4s:when=21",
        ],
    );
    assert_ended(&run.output, 2);
    let report = text(&run.output.stdout);
    assert!(
        report.contains("Forcing shutdown in 2 seconds\n"),
        "{report}"
    );
    assert!(report.contains("FATAL: the run hung"), "{report}");
    let (_, writes) = report
        .split_once("Operations performed:  0 Read, ")
        .expect("statistics");
    let writes: u64 = writes.split(' ').next().unwrap().parse().unwrap();
    assert!((10..=20).contains(&writes), "{report}");
    assert!(
        report.contains(&format!("total number of events:              {writes}\n")),
        "{report}"
    );
    assert!(report.contains("Threads fairness:\n"), "{report}");
}
