//! Reading sysbench logs, and checking the numbers read.

use wbench::compare::metric::Metric;
use wbench::compare::read::read_bytes;
use wbench::compare::run::ComparedRun;

/// The runs in a log.
pub fn read_runs(log: &str) -> Vec<ComparedRun> {
    let reading = read_bytes(log.as_bytes(), &"log".into());
    assert!(reading.errors.is_empty(), "{}\n{log}", reading.errors[0]);
    reading.runs
}

/// The only run in a log.
pub fn read_one_run(log: &str) -> ComparedRun {
    let mut runs = read_runs(log);
    assert_eq!(runs.len(), 1, "{log}");
    runs.remove(0)
}

/// The number between two strings of a log.
pub fn number_between(log: &str, before: &str, after: &str) -> Option<f64> {
    let (_, rest) = log.split_once(before)?;
    rest.split_once(after)?.0.trim().parse().ok()
}

/// Fails unless a metric of the run has this value.
#[track_caller]
pub fn assert_metric(run: &ComparedRun, metric: &str, expected: Option<f64>) {
    let expected = expected.unwrap_or_else(|| panic!("the log has no {metric}"));
    let metric: Metric = metric.parse().unwrap();
    let read = metric.value(&run.figures).unwrap_or(f64::NAN);
    assert!(
        (read - expected).abs() <= 1e-9 * expected,
        "{metric}: {read}, {expected}"
    );
}

/// Fails unless a parameter of the run has this value.
#[track_caller]
pub fn assert_param(run: &ComparedRun, name: &str, expected: &str) {
    let read = run.fields.get(&format!("workload.{name}"));
    assert_eq!(read, Some(expected), "{name}");
}

/// Checks what all logs of a version contain.
pub fn assert_common(run: &ComparedRun, log: &str, ms_end: &str) {
    assert_metric(run, "time", number_between(log, "total time:", "s\n"));
    let ms = |name: &str| Some(number_between(log, name, ms_end)? * 1e6);
    assert_metric(run, "latency-mean", ms("avg:"));
    assert_metric(run, "latency-max", ms("max:"));
    // Not printed at a low verbosity.
    if let Some(threads) = number_between(log, "Number of threads:", "\n") {
        assert_param(run, "threads", &threads.to_string());
    }
}
