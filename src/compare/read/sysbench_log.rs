//! Converts text logs of sysbench 0.4.12 and 1.0 (cpu, memory, fileio) to runs.
//!
//! A log may contain several runs, with other commands' output between them. Parameters missing
//! from a log stay unknown. Latencies have the log's resolution: 0.01 ms.

use std::sync::Arc;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::documents::Fault;
use super::result_file::LARGEST;
use crate::compare::metric::Percentile;
use crate::compare::run::{Durations, Facts, Figures, PARAMS, Run, Source};
use crate::warning::{ComparisonWarning, Reason};

/// Nanoseconds per millisecond.
const NS_PER_MS: f64 = 1e6;

/// What 0.4.12 prints for a percentile beyond the range of its histogram.
const NO_PERCENTILE_MS: f64 = 1e7;

/// Start of the first line of a log.
const BANNER: &str = "sysbench ";

/// Lines that only a run prints: its first, which is missing at low verbosity, and the heading of
/// its statistics.
const RUN: [&str; 2] = [
    "Running the test with following options:",
    "Test execution summary:",
];

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
pub fn runs(text: &str, file: &Arc<str>) -> Vec<Result<Run, Fault>> {
    let mut logs: Vec<Log> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        match (version(text), logs.last_mut()) {
            (Some(version), _) => logs.push(Log {
                version,
                line,
                lines: Vec::new(),
            }),
            (None, Some(log)) => log.lines.push(text.trim()),
            (None, None) => {}
        }
    }
    let last_line = text.lines().count().max(1);
    let runs: Vec<_> = logs
        .iter()
        .filter(|log| log.lines.iter().any(|line| RUN.contains(line)))
        .map(|log| log.run(file))
        .collect();
    match runs.is_empty() {
        false => runs,
        true => vec![Err(Fault {
            line: last_line,
            reason: anyhow!("a log of sysbench without a run"),
        })],
    }
}

/// The lines from one banner to the next.
struct Log<'a> {
    version: &'a str,
    line: usize,
    lines: Vec<&'a str>,
}

impl<'a> Log<'a> {
    /// The rest of the first line with this prefix.
    fn after(&self, start: &str) -> Option<&'a str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix(start))
            .map(str::trim)
    }

    fn number(&self, start: &str) -> Option<f64> {
        leading_number(self.after(start)?)
    }

    fn run(&self, file: &Arc<str>) -> Result<Run, Fault> {
        let fault = |reason| Fault {
            line: self.line,
            reason,
        };
        let wall_s = self.number("total time:");
        let events = self.number("total number of events:");
        let (Some(wall_s), Some(events)) = (wall_s, events) else {
            return Err(Fault {
                line: self.line + self.lines.len(),
                reason: anyhow!("the log ends before its statistics: the run has no end"),
            });
        };
        let test = self.test();
        let test =
            test.ok_or_else(|| fault(anyhow!("unknown test: expected cpu, memory or fileio")))?;
        let counted = (wall_s > 0.0).then_some(events / wall_s);
        let figures = match test {
            Test::Cpu => Figures {
                events_per_s: self.number("events per second:").or(counted),
                ..Figures::default()
            },
            Test::Memory => self.memory_figures(),
            Test::Fileio => self.fileio_figures(),
        };
        let mut facts = Facts::default();
        facts.insert(
            "tool",
            &json!({"name": "sysbench", "version": self.version}),
        );
        if let Some(threads) = self.number("Number of threads:") {
            facts.insert("workload.threads", &whole(threads));
        }
        for (name, value) in self.params(test) {
            facts.insert(&format!("{PARAMS}{name}"), &value);
        }
        Ok(Run {
            source: Source {
                file: Arc::clone(file),
                line: self.line,
            },
            test: test.name().into(),
            status: "complete".into(),
            facts,
            figures: Figures {
                wall_s: Some(wall_s),
                latency: self.latency(),
                ..figures
            },
            warnings: self.warnings(test),
        })
    }

    fn test(&self) -> Option<Test> {
        // Checks text that is printed at any verbosity.
        let has = |words| self.lines.iter().any(|line| line.contains(words));
        if has("Maximum prime number checked") || has("Prime numbers limit:") {
            Some(Test::Cpu)
        } else if has("ops/sec)") || has("Running memory speed test") {
            Some(Test::Memory)
        } else {
            (has("Requests/sec executed") || has("fsyncs/s:")).then_some(Test::Fileio)
        }
    }

    fn warnings(&self, test: Test) -> Vec<(String, String)> {
        let counts_fsyncs = test == Test::Fileio && self.version.starts_with("1.");
        let warning = counts_fsyncs.then_some(ComparisonWarning::SysbenchFsyncs);
        warning
            .map(|it| (it.code().as_str().to_owned(), it.to_string()))
            .into_iter()
            .collect()
    }

    /// `min:`, `avg:` and so on, in milliseconds; 0.4.12 appends the unit.
    fn latency(&self) -> Durations {
        let told = |start| Some(self.number(start)? * NS_PER_MS);
        let percentile = self.lines.iter().find_map(|line| {
            let (name, value) = line.split_once("percentile:")?;
            let percent = leading_number(name.trim_start_matches("approx.").trim_start())?;
            let ms = leading_number(value.trim())?;
            let known = ms < NO_PERCENTILE_MS;
            Some((
                Percentile::of_percent(percent)?,
                known.then_some(ms * NS_PER_MS)?,
            ))
        });
        Durations {
            mean: told("avg:"),
            max: told("max:"),
            percentiles: percentile.into_iter().collect(),
            histogram: None,
        }
    }

    fn memory_figures(&self) -> Figures {
        let done = self
            .after("Operations performed:")
            .or_else(|| self.after("Total operations:"));
        let moved = self.lines.iter().find_map(|line| {
            line.split_once(" MB transferred (")
                .or_else(|| line.split_once(" MiB transferred ("))
        });
        Figures {
            events_per_s: done.and_then(|done| leading_number(done.split_once('(')?.1)),
            // The line is missing if no data is moved.
            mib_per_s: moved.and_then(|(_, rate)| leading_number(rate)),
            ..Figures::default()
        }
    }

    fn fileio_figures(&self) -> Figures {
        let sum = |a: &str, b: &str| Some(self.number(a)? + self.number(b)?);
        let requests = self.lines.iter().find_map(|line| {
            line.strip_suffix("Requests/sec executed")?
                .trim()
                .parse()
                .ok()
        });
        let transferred = self.lines.iter().find_map(|line| {
            let (_, rate) = line.split_once("Total transferred")?.1.split_once('(')?;
            size(rate.split_once("/sec")?.0)
        });
        Figures {
            events_per_s: requests.or_else(|| sum("reads/s:", "writes/s:")),
            mib_per_s: transferred
                .map(|bytes| bytes / f64::from(1 << 20))
                .or_else(|| sum("read, MiB/s:", "written, MiB/s:")),
            ..Figures::default()
        }
    }

    /// The parameters in the log, by their names in the result file.
    fn params(&self, test: Test) -> Vec<(&'static str, Value)> {
        let params = match test {
            Test::Cpu => vec![(
                "max_prime",
                self.number("Maximum prime number checked in CPU test:")
                    .or_else(|| self.number("Prime numbers limit:"))
                    .map(whole),
            )],
            Test::Memory => self.memory_params(),
            Test::Fileio => self.fileio_params(),
        };
        let told = |(name, value): (_, Option<Value>)| Some((name, value?));
        params.into_iter().filter_map(told).collect()
    }

    fn memory_params(&self) -> Vec<(&'static str, Option<Value>)> {
        let either = |old, new| self.after(old).or_else(|| self.after(new));
        let bytes = |old, new| either(old, new).and_then(size).map(whole);
        let word = |old, new| either(old, new).map(Value::from);
        vec![
            (
                "block_size_bytes",
                bytes("Memory block size:", "block size:"),
            ),
            (
                "total_size_bytes",
                bytes("Memory transfer size:", "total size:"),
            ),
            ("oper", word("Memory operations type:", "operation:")),
            ("scope", word("Memory scope type:", "scope:")),
        ]
    }

    fn fileio_params(&self) -> Vec<(&'static str, Option<Value>)> {
        let has = |start| self.after(start).is_some();
        let mode = self.after("Doing ").and_then(mode);
        let sequential = mode.is_some_and(|mode| mode.starts_with("seq"));
        let block = self.after("Block size").and_then(size);
        let merged = self
            .after("Merging requests  up to")
            .and_then(|line| size(line.split(' ').next()?));
        let merged = match (merged, block) {
            (Some(merged), Some(block)) if block > 0.0 => whole(merged / block),
            _ => json!(0),
        };
        let requests = self
            .number("Number of random requests for random IO:")
            .or_else(|| self.number("Number of IO requests:"))
            .map(|n| if n > 0.0 { whole(n) } else { Value::Null });
        let files = self.lines.iter().find_map(|line| {
            let (count, _) = line.split_once(" files, ")?;
            count.parse::<u32>().ok()
        });
        let total = self
            .lines
            .iter()
            .find_map(|line| size(line.strip_suffix(" total file size")?));
        let periodic = self.after("Periodic FSYNC enabled, calling");
        let frequency = periodic.and_then(|line| leading_number(line.split_once("each ")?.1));
        let data_only = periodic.is_some_and(|line| line.starts_with("fdatasync"))
            || has("Calling fdatasync()");
        let ratio = self.number("Read/Write ratio for combined random IO test:");
        let call = if data_only { "fdatasync" } else { "fsync" };
        let ends = has("Calling fsync() at the end of test, Enabled")
            || has("Calling fdatasync() at the end of test, Enabled");
        let all =
            has("Calling fsync() after each write") || has("Calling fdatasync() after each write");
        // At low verbosity a log has no parameters at all.
        let told = has("Extra file open flags:");
        vec![
            ("mode", mode.map(Value::from)),
            (
                "io_mode",
                self.after("Using ").and_then(io_mode).map(Value::from),
            ),
            ("block_size_bytes", block.map(whole)),
            ("total_size_bytes", total.map(whole)),
            ("files", files.map(Value::from)),
            (
                "flags",
                self.after("Extra file open flags:")
                    .and_then(flags)
                    .map(Value::from),
            ),
            ("fsync_freq", told.then(|| whole(frequency.unwrap_or(0.0)))),
            ("fsync_all", told.then(|| all.into())),
            ("fsync_end", told.then(|| ends.into())),
            ("fsync_mode", told.then(|| call.into())),
            ("merged_requests", sequential.then_some(merged)),
            (
                "rw_ratio",
                (!sequential).then(|| ratio.map(Value::from)).flatten(),
            ),
            ("max_requests", (!sequential).then_some(requests).flatten()),
        ]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Cpu,
    Memory,
    Fileio,
}

impl Test {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Fileio => "fileio",
        }
    }
}

/// The access pattern after "Doing".
fn mode(words: &str) -> Option<&'static str> {
    let mode = match words.strip_suffix(" test")? {
        "sequential write (creation)" | "sequential write" => "seqwr",
        "sequential rewrite" => "seqrewr",
        "sequential read" => "seqrd",
        "random read" => "rndrd",
        "random write" => "rndwr",
        "random r/w" => "rndrw",
        _ => return None,
    };
    Some(mode)
}

/// The I/O mode after "Using", as in sysbench's option.
fn io_mode(words: &str) -> Option<&'static str> {
    let mode = match words.strip_suffix(" I/O mode")? {
        "synchronous" => "sync",
        "asynchronous" => "aio",
        mapped if mapped.contains("mmap") => "mmap",
        _ => return None,
    };
    Some(mode)
}

/// The flags of open(2): 1.0 prints their names, 0.4.12 their sum on x86.
fn flags(words: &str) -> Option<&'static str> {
    let flags = match words {
        "0" | "(none)" => "none",
        "1052672" | "sync" => "sync",
        "4096" | "dsync" => "dsync",
        "16384" | "directio" | "direct" => "direct",
        _ => return None,
    };
    Some(flags)
}

/// The number at the start of a text; `None` if missing or impossible for a run.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let number = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    number
        .parse()
        .ok()
        .filter(|number: &f64| *number <= LARGEST)
}

/// Parses a size in bytes, such as 4Kb, 64M, 16KiB or 1.5Gb (powers of 1024).
fn size(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let unit = text[digits..]
        .trim_end_matches(['b', 'B'])
        .trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    Some(leading_number(&text[..digits])? * 1024f64.powi(power))
}

/// A count as in the result file: an integer.
fn whole(number: f64) -> Value {
    // Saturates at `u64::MAX`: no run's files are that large.
    Value::from(number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_in_the_notation_of_both_versions() {
        for (text, bytes) in [
            ("0b", 0.0),
            ("4Kb", 4096.0),
            ("64M", 67108864.0),
            ("16KiB", 16384.0),
            ("8MiB", 8388608.0),
            ("1.5Gb", 1610612736.0),
            (" 20Kb", 20480.0),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "K", "4Q", "4 apples"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_its_digits_end() {
        assert_eq!(leading_number("  0.21ms"), Some(0.21));
        assert_eq!(leading_number("5485017.18 ops/sec)"), Some(5485017.18));
        assert_eq!(leading_number("200"), Some(200.0));
        assert_eq!(leading_number("ms"), None);
        assert_eq!(leading_number("1.2.3"), None);
    }

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
    fn logs_of_other_versions_are_not_recognised() {
        assert!(!is_log(
            "sysbench 0.5:  multi-threaded system evaluation benchmark\n"
        ));
        assert!(!is_log("we ran sysbench 0.4.12 there"));
    }
}
