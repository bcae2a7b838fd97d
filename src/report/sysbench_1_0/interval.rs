//! The line of a report interval.

use crate::cli::sysbench_1_0::General;
use crate::plan::Test;
use crate::report::sysbench::{Text, Verbosity};
use crate::result::Interval;

/// Returns the line of a complete interval.
pub fn interval(
    general: &General,
    test: &Test,
    interval: &Interval,
    percentile_ns: Option<u64>,
) -> String {
    let ms = percentile_ns
        .filter(|_| general.percentile.is_some())
        .unwrap_or(0) as f64
        / 1e6;
    let percentile = general.percentile.unwrap_or(0);
    let line = match test {
        Test::Memory(_) => format!("{:.2} MiB/sec", interval.mib_per_s),
        Test::Fileio(params) => {
            let mib = |requests: Option<f64>| {
                requests.unwrap_or(0.0) * params.request_size() as f64 / f64::from(1 << 20)
            };
            format!(
                "reads: {:.2} MiB/s writes: {:.2} MiB/s fsyncs: {:.2}/s latency (ms,{percentile}%): \
                 {ms:.3}",
                mib(interval.reads_per_s),
                mib(interval.writes_per_s),
                interval.fsyncs_per_s.unwrap_or(0.0)
            )
        }
        Test::Cpu(_) | Test::Threads(_) | Test::Mutex(_) => format!(
            "thds: {} eps: {:.2} lat (ms,{percentile}%): {ms:.2}",
            general.threads, interval.events_per_s
        ),
    };
    let mut text = Text::new(general.verbosity);
    text.push(
        Verbosity::NOTICE,
        format!("[ {:.0}s ] {line}\n", interval.at_s),
    );
    if let (Some(_), Some(backlog)) = (general.rate, interval.backlog_events) {
        let busy = interval.busy_threads.unwrap_or(0);
        let line = format!(
            "[ {:.0}s ] queue length: {backlog} concurrency: {busy}\n",
            interval.at_s
        );
        text.push(Verbosity::NOTICE, line);
    }
    text.text
}
