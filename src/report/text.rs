//! Human-readable report.

use std::fmt::Write as _;

use super::statistics::mean_and_deviation;
use crate::format::{count, duration, gib, mib_or_gib, significant};
use crate::plan::{Arrival, Test};
use crate::result::{
    Accounting, BlockMemory, ClockInfo, Host, Interval, Latency, LoadLatency, OpenLoop, PageCache,
    RunResult, Start, Status, Storage, SuiteRun, Warning,
};
use crate::size::Size;
use crate::terminal;

/// Width of the name column.
const NAMES: usize = 11;

/// Formats one result.
pub fn report(result: &RunResult) -> String {
    let mut lines = Lines::default();
    lines.plain(&result.workload.title());
    lines.plain("");
    if result.status != Status::Complete {
        let status = match result.status {
            Status::Interrupted => "interrupted: values up to the interruption",
            _ => "FAILED: values up to the error",
        };
        lines.named("status", status);
    }
    if let Some(suite) = &result.suite {
        lines.named("suite", &self::suite(suite));
    }
    if let Some(start) = &result.start {
        lines.named("start", &self::start(start));
    }
    lines.named("rate", &rate(result));
    lines.named("done", &done(result));
    if let Some(open_loop) = &result.open_loop {
        lines.named("open loop", &self::open_loop(open_loop, result));
    }
    lines.distribution("latency", result.latency_ns.as_ref());
    if result.service_latency_ns.is_some() {
        lines.distribution("service", result.service_latency_ns.as_ref());
    }
    if let Some(latency) = &result.load_latency {
        lines.named("per load", &per_load(latency));
    }
    if result.fsync_latency_ns.is_some() {
        lines.distribution("fsync", result.fsync_latency_ns.as_ref());
    }
    if result.threads.len() > 1 {
        lines.named("fairness", &fairness(result));
    }
    if let Some(accounting) = result.accounting.as_ref().filter(|it| it.thread_s > 0.0) {
        lines.named("time", &time(accounting));
    }
    if let Some(harness) = harness(result) {
        lines.named("harness", &harness);
    }
    lines.named("clock", &clock(&result.clock));
    lines.named("host", &host(&result.host));
    if let Some(storage) = &result.storage {
        lines.named("storage", &self::storage(storage));
        if let Some(cache) = &storage.page_cache {
            lines.named("page cache", &page_cache(cache));
        }
    }
    if let Some(memory) = &result.memory {
        lines.named("pages", &pages(memory));
    }
    lines.warnings(&result.warnings);
    lines.0
}

fn start(start: &Start) -> String {
    let late = match start.late_s {
        Some(late_s) => format!("{} late", duration(late_s * 1e9)),
        None => "not reached".to_owned(),
    };
    format!("{}, {late}", start.asked_at)
}

/// Columns of an interval line in addition to events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// No more columns.
    Events,
    /// Bytes.
    Bytes,
    /// Bytes, and reads, writes and fsyncs separately.
    Requests,
}

impl Columns {
    /// Returns the columns for a test.
    pub fn of(test: &Test) -> Self {
        match (test.fileio(), test.moves_bytes()) {
            (Some(_), _) => Self::Requests,
            (None, true) => Self::Bytes,
            (None, false) => Self::Events,
        }
    }
}

/// Formats one interval of a run.
pub fn interval(interval: &Interval, columns: Columns) -> String {
    let mut line = format!(
        "{:>9.3} s  {:>12} events/s",
        interval.at_s,
        significant(interval.events_per_s)
    );
    if columns != Columns::Events {
        _ = write!(line, "  {:>10} MiB/s", significant(interval.mib_per_s));
    }
    if columns == Columns::Requests {
        for (rate, what) in [
            (interval.reads_per_s, "reads/s"),
            (interval.writes_per_s, "writes/s"),
            (interval.fsyncs_per_s, "fsyncs/s"),
        ] {
            let rate = rate.map_or("-".to_owned(), significant);
            _ = write!(line, "  {rate:>10} {what}");
        }
    }
    let p95 = interval.p95_ns.map_or("-".into(), |ns| duration(ns as f64));
    _ = write!(line, "  p95 {p95:>9}");
    if let Some(backlog) = interval.backlog_events {
        _ = write!(line, "  {backlog:>9} waiting");
    }
    line.push('\n');
    line
}

/// Lines of a report: a name and a value each.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    fn plain(&mut self, line: &str) {
        _ = writeln!(self.0, "{}", terminal::line(line));
    }

    pub(super) fn named(&mut self, name: &str, value: &str) {
        _ = writeln!(self.0, "  {name:NAMES$} {}", terminal::line(value));
    }

    fn distribution(&mut self, name: &str, latency: Option<&Latency>) {
        let Some(latency) = latency else {
            return self.named(name, "no events");
        };
        self.named(
            name,
            &format!(
                "mean {}, stddev {}, min {}, max {}",
                duration(latency.mean),
                duration(latency.stddev),
                duration(latency.min as f64),
                duration(latency.max as f64)
            ),
        );
        let line: Vec<String> = latency
            .percentiles
            .iter()
            .map(|(percentile, &ns)| format!("{percentile} {}", duration(ns as f64)))
            .collect();
        self.named("", &line.join(", "));
    }

    pub(super) fn warnings(&mut self, warnings: &[Warning]) {
        if !warnings.is_empty() {
            self.plain("");
        }
        for warning in warnings {
            self.named("WARNING", &warning.message);
        }
    }
}

fn suite(position: &SuiteRun) -> String {
    let scale = match position.scale {
        1.0 => String::new(),
        scale => format!(", scale {scale}"),
    };
    format!(
        "{} of {}, round {}{scale}",
        position.measurement, position.profile, position.round
    )
}

/// Formats the rates that are meaningful for the test.
pub(super) fn rate(result: &RunResult) -> String {
    let events = format!("{} events/s", significant(result.rates.events_per_s));
    match result.workload.params.test.moves_bytes() {
        true => format!("{events}, {} MiB/s", significant(result.rates.mib_per_s)),
        false => events,
    }
}

fn done(result: &RunResult) -> String {
    let totals = &result.totals;
    let mut text = format!(
        "{} in {} s",
        count(totals.events, "event"),
        significant(totals.wall_s)
    );
    if result.workload.params.test.fileio().is_some() {
        _ = write!(
            text,
            ": {}, {}, {}",
            count(totals.reads, "read"),
            count(totals.writes, "write"),
            count(totals.fsyncs, "fsync")
        );
    }
    text
}

fn open_loop(open_loop: &OpenLoop, result: &RunResult) -> String {
    let params = &result.workload.params;
    let rate = significant(params.rate_per_s.unwrap_or(0.0));
    let arrival = match params.arrival {
        Some(Arrival::Uniform) => "uniform",
        _ => "Poisson",
    };
    format!(
        "{rate} events/s ({arrival}): {} arrived, {} waiting at the end; longest wait {}",
        open_loop.arrived_events,
        open_loop.backlog_events,
        duration(open_loop.longest_wait_ns as f64)
    )
}

fn fairness(result: &RunResult) -> String {
    let (events, events_dev) = mean_and_deviation(result.threads.iter().map(|t| t.events as f64));
    let (time, time_dev) = mean_and_deviation(result.threads.iter().map(|t| t.event_time_s));
    format!(
        "per thread: {} events (stddev {}), event time {} s (stddev {})",
        significant(events),
        significant(events_dev),
        significant(time),
        significant(time_dev)
    )
}

fn harness(result: &RunResult) -> Option<String> {
    let overhead = result.harness.event_overhead_ns?;
    let floor = result.harness.latency_floor_ns?;
    Some(format!(
        "{overhead:.0} ns per event, of which {floor:.0} ns are part of its latency"
    ))
}

/// Formats the shares of the time of the worker threads, without those below 0.1 %.
fn time(accounting: &Accounting) -> String {
    let share = |name: &str, seconds: f64| {
        let percent = format!("{:.1}", 100.0 * seconds / accounting.thread_s);
        (!matches!(&*percent, "0.0" | "-0.0")).then(|| format!("{percent} % {name}"))
    };
    let components = accounting.components();
    let known = components.iter().filter_map(|&(name, s)| share(name, s?));
    let rest = accounting
        .unexplained_s
        .and_then(|s| share("unexplained", s));
    let mut text = known.chain(rest).collect::<Vec<_>>().join(", ");
    let unknown: Vec<&str> = components
        .iter()
        .filter(|(_, seconds)| seconds.is_none())
        .map(|&(name, _)| name)
        .collect();
    if !unknown.is_empty() {
        _ = write!(text, " (unknown: {})", unknown.join(", "));
    }
    text
}

pub(super) fn clock(clock: &ClockInfo) -> String {
    let mut text = format!(
        "{} at {:.3} MHz, {:.0} ns per reading",
        clock.source,
        clock.hz / 1e6,
        clock.read_ns
    );
    if let Some(drift) = clock.drift_ppm {
        _ = write!(text, ", {drift:+.1} ppm against CLOCK_MONOTONIC_RAW");
    }
    text
}

fn host(host: &Host) -> String {
    let unknown = "unknown";
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| unknown.into());
    format!(
        "{}: {} x {}, Linux {}, hypervisor {}, container {}",
        known(&host.hostname),
        host.cpus,
        known(&host.cpu_model),
        known(&host.kernel),
        known(&host.virtualization),
        known(&host.container)
    )
}

pub(super) fn storage(storage: &Storage) -> String {
    let mut text = storage.path.clone();
    let properties = [
        storage.filesystem.clone(),
        storage.device.clone(),
        storage.driver.clone().map(|name| format!("driver {name}")),
        storage.queues.map(|queues| count(queues, "queue")),
        storage
            .scheduler
            .clone()
            .map(|name| format!("scheduler {name}")),
        storage
            .rotational
            .map(|r| if r { "rotational" } else { "not rotational" }.to_owned()),
        storage.write_cache.clone(),
    ];
    for property in properties.into_iter().flatten() {
        _ = write!(text, ", {property}");
    }
    text
}

fn page_cache(cache: &PageCache) -> String {
    let share = 100.0 * cache.resident_bytes as f64 / cache.set_bytes.max(1) as f64;
    let memory = cache
        .memory_bytes
        .map_or("unknown".to_owned(), |bytes| gib(bytes as f64));
    format!(
        "{share:.0} % of the files ({} of {}) before the run, memory {memory}",
        mib_or_gib(cache.resident_bytes as f64),
        mib_or_gib(cache.set_bytes as f64)
    )
}

fn per_load(latency: &LoadLatency) -> String {
    let ns = |value: f64| format!("{} ns", significant(value));
    let cycles = latency.median_cycles.map_or(String::new(), |cycles| {
        format!(" ({} cycles)", significant(cycles))
    });
    let walk = latency
        .walk_ns
        .map_or(String::new(), |walk| format!(", page walk {}", ns(walk)));
    format!(
        "median {}{cycles}, mean {}, min {}{walk}; {}",
        ns(latency.median_ns),
        ns(latency.mean_ns),
        ns(latency.min_ns),
        count(latency.lines, "line")
    )
}

fn pages(memory: &BlockMemory) -> String {
    let size = |bytes: u64| Size(bytes).to_string();
    let known = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), size);
    let mut text = format!(
        "{}: pages of {}",
        known(memory.mapped_bytes),
        known(memory.page_bytes)
    );
    if let (Some(huge), Some(possible @ 1..)) = (memory.huge_bytes, memory.huge_possible_bytes) {
        let share = 100.0 * huge as f64 / possible as f64;
        _ = write!(
            text,
            ", {share:.0} % of {} in transparent huge pages",
            size(possible)
        );
    }
    if let Some(swapped @ 1..) = memory.swapped_bytes {
        _ = write!(text, ", {} swapped out", size(swapped));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Accounting {
        Accounting {
            thread_s: 10.0,
            user_s: Some(9.0),
            system_s: Some(0.12),
            contended_s: Some(0.004),
            throttled_s: Some(0.0),
            blocked_s: Some(0.9),
            stolen_s: Some(0.0),
            unexplained_s: Some(-0.024),
            ..Accounting::default()
        }
    }

    #[test]
    fn the_time_budget_has_the_shares_of_its_components_from_a_tenth_of_a_percent() {
        let expected = "90.0 % user, 1.2 % system, 9.0 % blocked, -0.2 % unexplained";
        assert_eq!(time(&budget()), expected);
    }

    #[test]
    fn components_that_the_system_does_not_report_are_named() {
        let unknown = Accounting {
            contended_s: None,
            blocked_s: None,
            unexplained_s: Some(0.88),
            ..budget()
        };
        let expected = "90.0 % user, 1.2 % system, 8.8 % unexplained \
                        (unknown: waiting for a CPU, blocked)";
        assert_eq!(time(&unknown), expected);
    }
}
