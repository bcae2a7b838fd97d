//! Converts text logs of sysbench 0.4.12 and 1.0 to runs.
//!
//! A log may contain several runs, with other commands' output between them. Parameters missing
//! from a log stay unknown. Latencies have the log's resolution: 0.01 ms.

mod figures;
mod notation;
mod params;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use self::notation::leading_number;
use super::LineError;
use crate::compare::fields::{Fields, FieldsBuilder, PARAMS, THREADS};
use crate::compare::run::{ComparedRun, Location};
use crate::result::Warning;
use crate::warning::ComparisonWarning;

/// Start of the first line of a log.
const BANNER: &str = "sysbench ";

/// Lines that only a run prints: its first, which is missing at low verbosity, and the heading of
/// its statistics.
const RUN: [&str; 2] = [
    "Running the test with following options:",
    "Test execution summary:",
];

/// End of the line before the report of a checkpoint, after which 1.0 begins its statistics again.
const CHECKPOINT: &str = "Checkpoint report:";

/// Start of the last line of a report.
const REPORT_END: &str = "execution time (avg/stddev):";

/// Start of the line with the time since the start of the run.
const TOTAL_TIME: &str = "total time:";

/// Whether the text is a sysbench log: one of its lines is the banner of a supported version.
pub fn is_log(text: &str) -> bool {
    text.lines().any(|line| version(line).is_some())
}

/// The version in a banner, if supported.
fn version(line: &str) -> Option<&str> {
    let version = line.strip_prefix(BANNER)?.split([' ', ':']).next()?;
    (version == "0.4.12" || version.starts_with("1.0.")).then_some(version)
}

/// All runs in a log, and an error for each that is incomplete or not understood.
pub fn runs(text: &str, file: &Arc<str>) -> Vec<Result<ComparedRun, LineError>> {
    let runs: Vec<_> = logs(text)
        .filter(|log| log.lines.iter().any(|line| RUN.contains(line)))
        .map(|log| log.run(file))
        .collect();
    match runs.is_empty() {
        false => runs,
        true => vec![Err(LineError {
            line: text.lines().count().max(1),
            reason: anyhow!("a log of sysbench without a run"),
        })],
    }
}

fn logs(text: &str) -> impl Iterator<Item = Log<'_>> {
    let mut logs: Vec<Log> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        match (version(text), logs.last_mut()) {
            (Some(version), _) => logs.push(Log {
                version,
                line,
                last_line: line,
                lines: Vec::new(),
                checkpoint_s: 0.0,
                in_checkpoint: false,
            }),
            (None, Some(log)) => log.push(text.trim()),
            (None, None) => {}
        }
    }
    logs.into_iter()
}

/// The test of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggedTest {
    Cpu,
    Memory,
    Fileio,
    Threads,
    Mutex,
}

impl LoggedTest {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Fileio => "fileio",
            Self::Threads => "threads",
            Self::Mutex => "mutex",
        }
    }
}

/// The lines from one banner to the next.
struct Log<'a> {
    version: &'a str,
    /// Line number of the banner.
    line: usize,
    /// Number of the last line.
    last_line: usize,
    /// The lines after the banner, without surrounding spaces and reports of checkpoints.
    lines: Vec<&'a str>,
    /// Time of the last checkpoint in seconds, since which the final report counts.
    checkpoint_s: f64,
    /// Whether the last line belongs to the report of a checkpoint.
    in_checkpoint: bool,
}

impl<'a> Log<'a> {
    /// Appends a line.
    fn push(&mut self, line: &'a str) {
        self.last_line += 1;
        match self.in_checkpoint {
            true => {
                let total_time = line.strip_prefix(TOTAL_TIME).and_then(leading_number);
                self.checkpoint_s = total_time.unwrap_or(self.checkpoint_s);
                self.in_checkpoint = !line.starts_with(REPORT_END);
            }
            false => {
                self.in_checkpoint = line.ends_with(CHECKPOINT);
                if !self.in_checkpoint {
                    self.lines.push(line);
                }
            }
        }
    }

    /// The first value that a line has by this function.
    fn find<T>(&self, value: impl Fn(&'a str) -> Option<T>) -> Option<T> {
        self.lines.iter().copied().find_map(value)
    }

    /// Whether a line contains this text.
    fn contains(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// The rest of the first line with this prefix.
    fn after(&self, prefix: &str) -> Option<&'a str> {
        self.find(|line| line.strip_prefix(prefix)).map(str::trim)
    }

    /// The number after this prefix.
    fn number(&self, prefix: &str) -> Option<f64> {
        leading_number(self.after(prefix)?)
    }

    fn run(&self, file: &Arc<str>) -> Result<ComparedRun, LineError> {
        let totals = self.totals().map_err(|reason| LineError {
            line: self.last_line,
            reason,
        })?;
        let test = self.test().map_err(|reason| LineError {
            line: self.line,
            reason,
        })?;
        Ok(ComparedRun {
            location: Location {
                file: Arc::clone(file),
                line: self.line,
            },
            test: test.name().into(),
            status: "complete".into(),
            fields: self.fields(test),
            figures: self.figures(test, totals),
            warnings: self.warnings(test),
        })
    }

    /// The test, by text that is printed at any verbosity, if there is any: 1.0 prints that of
    /// threads and mutex only at verbosity 4, 0.4.12 by default.
    fn test(&self) -> Result<LoggedTest> {
        let marks = [
            (LoggedTest::Cpu, "Maximum prime number checked"),
            (LoggedTest::Cpu, "Prime numbers limit:"),
            (LoggedTest::Memory, "ops/sec)"),
            (LoggedTest::Memory, "Running memory speed test"),
            (LoggedTest::Fileio, "Requests/sec executed"),
            (LoggedTest::Fileio, "fsyncs/s:"),
            (
                LoggedTest::Threads,
                "Doing thread subsystem performance test",
            ),
            (LoggedTest::Mutex, "Doing mutex performance test"),
        ];
        let mut found = marks.iter().filter(|(_, mark)| self.contains(mark));
        let test = found.next().map(|(test, _)| *test);
        test.context(
            "unknown test: expected cpu, memory, fileio, threads or mutex; for the last two run \
             sysbench with --verbosity=4",
        )
    }

    fn fields(&self, test: LoggedTest) -> Fields {
        let mut fields = FieldsBuilder::default();
        fields.insert("status", "complete");
        fields.insert("tool.name", "sysbench");
        fields.insert("tool.version", self.version);
        fields.insert("workload.test", test.name());
        if let Some(threads) = self.number("Number of threads:") {
            fields.insert(THREADS, notation::whole(threads));
        }
        for (name, value) in self.params(test) {
            fields.insert(&format!("{PARAMS}{name}"), value);
        }
        fields.finish()
    }

    fn warnings(&self, test: LoggedTest) -> Vec<Warning> {
        let counts_fsyncs = test == LoggedTest::Fileio && self.version.starts_with("1.");
        let warning = counts_fsyncs.then_some(ComparisonWarning::SysbenchFsyncs);
        warning.map(Warning::from).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_log_is_an_error_at_its_last_line() {
        let log =
            "noise\nsysbench 1.0.20 (using LuaJIT)\n\nRunning the test with following options:\n";
        assert!(is_log(log));
        let runs = runs(log, &"log".into());
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].as_ref().unwrap_err().line, 4);
    }

    #[test]
    fn logs_of_threads_and_mutex_are_recognized_if_they_name_the_test() {
        let log = |lines: &str| {
            format!(
                "sysbench 1.0.20 (using LuaJIT)\n\nRunning the test with following options:\n\
                 Number of threads: 2\n\n{lines}\nGeneral statistics:\n    \
                 total time:                          2.0000s\n    \
                 total number of events:              8\n"
            )
        };
        let run = |lines: &str| runs(&log(lines), &"log".into()).remove(0);
        let threads = run("Doing thread subsystem performance test\n\
             Thread yields per test: 100 Locks used: 4")
        .unwrap();
        assert_eq!(threads.test, "threads");
        assert_eq!(threads.figures.events_per_s, Some(4.0));
        let field = |name: &str| threads.fields.get(&format!("{PARAMS}{name}"));
        assert_eq!((field("yields"), field("locks")), (Some("100"), Some("4")));
        assert_eq!(run("Doing mutex performance test").unwrap().test, "mutex");
        let error = run("").unwrap_err().reason.to_string();
        assert!(error.contains("--verbosity=4"), "{error}");
    }

    const HEAD: &str = "sysbench 1.0.20 (using LuaJIT)\n\n\
                        Running the test with following options:\nPrime numbers limit: 500\n";

    fn report(heading: &str, seconds: u32, events: u32) -> String {
        format!(
            "{heading}\nCPU speed:\n    events per second: {events}\n\nGeneral statistics:\n    \
             total time:     {seconds}.0000s\n    total number of events:    {events}\n\n\
             Latency (ms):\n         avg:      0.0{seconds}\n\nThreads fairness:\n    \
             execution time (avg/stddev):   1.0000/0.00\n\n"
        )
    }

    #[test]
    fn of_a_log_with_checkpoints_the_part_after_the_last_one_counts() {
        let log = HEAD.to_owned()
            + &report("[ 3s ] Checkpoint report:", 3, 30)
            + &report("[ 5s ] Checkpoint report:", 5, 50)
            + &report("", 9, 90);
        let run = runs(&log, &"log".into()).remove(0).unwrap();
        let figures = &run.figures;
        assert_eq!(
            (figures.events_per_s, figures.wall_s, figures.latency.mean),
            (Some(90.0), Some(4.0), Some(90_000.0))
        );
    }

    #[test]
    fn a_log_that_ends_after_a_checkpoint_is_incomplete() {
        let log = HEAD.to_owned() + &report("[ 3s ] Checkpoint report:", 3, 30);
        let error = runs(&log, &"log".into()).remove(0).unwrap_err();
        assert_eq!(error.line, log.lines().count());
        assert!(error.reason.to_string().contains("did not end"));
    }

    #[test]
    fn logs_of_other_versions_are_not_recognized() {
        assert!(!is_log(
            "sysbench 0.5:  multi-threaded system evaluation benchmark\n"
        ));
        assert!(!is_log("we ran sysbench 0.4.12 there"));
    }
}
