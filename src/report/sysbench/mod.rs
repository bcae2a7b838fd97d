//! Report of sysbench 0.4.12, reproduced exactly.

pub(super) mod number;

use std::fmt::Write as _;

use anyhow::Result;

use self::number::size;
use super::statistics::mean_and_deviation;
use crate::plan::{FileMode, FileSet, FileioParams, IoMode, OpenFlags, Test};
use crate::result::{EndedBy, Params, RunResult, ThreadTotals, Workload};

/// Version whose output and behavior this module reproduces.
pub const VERSION: &str = "0.4.12";

/// Output level. A line is printed if its level is at most the verbosity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verbosity(pub u8);

impl Verbosity {
    /// Fatal errors.
    pub const FATAL: Self = Self(0);
    /// Warnings about doubtful results.
    pub const WARNING: Self = Self(2);
    /// The report.
    pub const NOTICE: Self = Self(3);
    /// Progress.
    pub const INFO: Self = Self(4);
    /// All output.
    pub const DEBUG: Self = Self(5);
}

/// Text buffer that keeps only lines permitted by the verbosity.
pub(super) struct Text {
    verbosity: Verbosity,
    pub text: String,
}

impl Text {
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            text: String::new(),
        }
    }

    pub fn push(&mut self, level: Verbosity, text: impl AsRef<str>) {
        if level <= self.verbosity {
            self.text.push_str(text.as_ref());
        }
    }

    pub fn notice(&mut self, text: impl AsRef<str>) {
        self.push(Verbosity::NOTICE, text);
    }

    pub fn debug(&mut self, text: impl AsRef<str>) {
        self.push(Verbosity::DEBUG, format!("DEBUG: {}", text.as_ref()));
    }

    pub fn info(&mut self, text: impl AsRef<str>) {
        self.push(Verbosity::INFO, text);
    }
}

/// Returns the version line: that of 0.4.12, then wbench's own.
pub fn version() -> String {
    format!(
        "sysbench {VERSION} ({} {})",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )
}

/// Returns the first line of a report, and an empty line.
pub fn banner() -> String {
    format!(
        "{}:  multi-threaded system evaluation benchmark\n\n",
        version()
    )
}

/// Formats a warning.
pub fn warning(verbosity: Verbosity, message: &str) -> String {
    let mut text = Text::new(verbosity);
    text.push(Verbosity::WARNING, format!("WARNING: {message}\n"));
    text.text
}

/// Returns the text printed before test files are created. Sizes are rounded down.
pub fn preparing(verbosity: Verbosity, set: &FileSet) -> String {
    let mut text = Text::new(verbosity);
    text.info(banner());
    text.info(format!(
        "{} files, {}Kb each, {}Mb total\nCreating files for the test...\n",
        set.files,
        set.file_size >> 10,
        set.total_size() >> 20
    ));
    text.text
}

/// Returns the text printed before test files are removed.
pub fn removing(verbosity: Verbosity) -> String {
    let mut text = Text::new(verbosity);
    text.notice(banner());
    text.notice("Removing test files...\n");
    text.text
}

/// Options of a run that change nothing but the text printed before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrintedOptions {
    /// `--validate`; for tests with nothing to check it has no other effect.
    pub validate: bool,
    /// `--debug`.
    pub debug: bool,
    /// Neither limits of events nor of time.
    pub endless: bool,
}

/// Returns the text printed before a run.
pub fn preamble(verbosity: Verbosity, workload: &Workload, options: PrintedOptions) -> String {
    let Params {
        test, limits, seed, ..
    } = &workload.params;
    let mut text = Text::new(verbosity);
    if options.endless {
        text.push(
            Verbosity::WARNING,
            "WARNING: Both max-requests and max-time are 0, running endless test\n",
        );
    }
    text.notice(banner());
    text.notice("Running the test with following options:\n");
    text.notice(format!("Number of threads: {}\n", workload.threads));
    if options.debug {
        text.notice("Debug mode enabled.\n\n");
    }
    if options.validate {
        text.notice("Additional request validation enabled.\n\n");
    }
    if seed.is_some() {
        text.notice("Initializing random number generator from timer.\n\n");
    }
    if let Some(after) = limits.forced_shutdown() {
        text.notice(format!("Forcing shutdown in {} seconds\n", after.as_secs()));
    }
    text.notice("\n");
    match test {
        Test::Cpu(_) => text.info("Doing CPU performance benchmark\n\n"),
        Test::Memory(memory) => {
            text.info("Doing memory operations speed test\n");
            text.info(format!(
                "Memory block size: {}K\n\n",
                memory.block_size_bytes >> 10
            ));
            text.info(format!(
                "Memory transfer size: {}M\n\n",
                memory.total_size_bytes >> 20
            ));
            text.info(format!("Memory operations type: {}\n", memory.oper.name()));
            text.info(format!("Memory scope type: {}\n", memory.scope.name()));
        }
        Test::Fileio(fileio) => text.info(fileio_options(fileio, limits.max_requests)),
        Test::Threads(threads) => {
            text.info("Doing thread subsystem performance test\n");
            text.info(format!(
                "Thread yields per test: {} Locks used: {}\n",
                threads.yields, threads.locks
            ));
        }
        Test::Mutex(_) => text.info("Doing mutex performance test\n"),
    }
    text.text
}

fn fileio_options(params: &FileioParams, max_requests: Option<u64>) -> String {
    let files = u64::from(params.files.get());
    let mut text = format!(
        "Extra file open flags: {}\n{files} files, {} each\n{} total file size\nBlock size {}\n",
        open_flags(params.flags),
        size((params.total_size_bytes / files) as f64),
        size(params.total_size_bytes as f64),
        size(params.block_size_bytes as f64),
    );
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if params.merged_requests > 0 {
        let merged = params.block_size_bytes * u64::from(params.merged_requests);
        line(format!(
            "Merging requests  up to {} for sequential IO.",
            size(merged as f64)
        ));
    }
    if !params.mode.is_sequential() {
        let requests = max_requests.unwrap_or(0);
        line(format!(
            "Number of random requests for random IO: {requests}"
        ));
        let ratio = params.rw_ratio;
        line(format!(
            "Read/Write ratio for combined random IO test: {ratio:.2}"
        ));
    }
    if params.fsync_freq > 0 {
        let freq = params.fsync_freq;
        line(format!(
            "Periodic FSYNC enabled, calling fsync() each {freq} requests."
        ));
    }
    if params.fsync_end {
        line("Calling fsync() at the end of test, Enabled.".into());
    }
    if params.fsync_all {
        line("Calling fsync() after each write operation.".into());
    }
    line(match params.io_mode {
        IoMode::Sync => "Using synchronous I/O mode".into(),
        IoMode::Aio => "Using asynchronous I/O mode".into(),
        IoMode::Uring => "Using io_uring I/O mode".into(),
        IoMode::Mmap => "Using fast mmaped I/O mode".into(),
    });
    if params.validate {
        line("Using checksums validation.".into());
    }
    let mode = match params.mode {
        FileMode::Seqwr => "sequential write (creation)",
        FileMode::Seqrewr => "sequential rewrite",
        FileMode::Seqrd => "sequential read",
        FileMode::Rndrd => "random read",
        FileMode::Rndwr => "random write",
        FileMode::Rndrw => "random r/w",
    };
    line(format!("Doing {mode} test"));
    text
}

/// Returns the open(2) flags O_DSYNC, O_SYNC or O_DIRECT as the x86-64 number that 0.4.12 prints.
fn open_flags(flags: OpenFlags) -> u32 {
    match flags {
        OpenFlags::None => 0,
        OpenFlags::Dsync => 0o10000,
        OpenFlags::Sync => 0o4010000,
        OpenFlags::Direct => 0o40000,
    }
}

/// Returns the text printed when the threads start.
pub fn started(verbosity: Verbosity, threads: u64) -> String {
    let mut text = Text::new(verbosity);
    text.notice("Threads started!\n");
    // The number of threads in a foreign result may be any.
    if verbosity >= Verbosity::DEBUG {
        for thread in 0..threads {
            text.debug(format!("Runner thread started ({thread})!\n"));
        }
    }
    text.text
}

/// Returns the text printed after a run. Fails if the result's histogram cannot be decoded.
pub fn summary(verbosity: Verbosity, result: &RunResult) -> Result<String> {
    let mut text = Text::new(verbosity);
    match result.ended_by {
        EndedBy::Time => text.info("Time limit exceeded, exiting...\n"),
        EndedBy::ForcedShutdown => text.push(
            Verbosity::FATAL,
            "FATAL: the run hung beyond its time limit: shutdown was forced\n",
        ),
        _ => {}
    }
    text.info("Done.\n\n");
    text.notice(test_summary(result));
    text.notice(execution_summary(result)?);
    text.notice(fairness(&result.threads));
    text.debug("Verbose per-thread statistics:\n\n");
    for (number, thread) in result.threads.iter().enumerate() {
        text.debug(thread_statistics(number, thread));
    }
    text.push(Verbosity::DEBUG, "\n");
    Ok(text.text)
}

fn test_summary(result: &RunResult) -> String {
    let totals = &result.totals;
    match &result.workload.params.test {
        Test::Cpu(cpu) => format!(
            "Maximum prime number checked in CPU test: {}\n\n",
            cpu.max_prime
        ),
        Test::Memory(memory) => {
            let mut text = format!(
                "Operations performed: {} ({:8.2} ops/sec)\n\n",
                totals.events, result.rates.events_per_s
            );
            if !memory.has_empty_events() {
                let mib =
                    (totals.bytes_read as f64 + totals.bytes_written as f64) / f64::from(1 << 20);
                let rate = result.rates.mib_per_s;
                _ = write!(text, "{mib:.2} MB transferred ({rate:.2} MB/sec)\n\n");
            }
            text
        }
        Test::Threads(_) | Test::Mutex(_) => String::new(),
        Test::Fileio(_) => {
            let others = totals.fsyncs;
            let bytes = totals.bytes_read.saturating_add(totals.bytes_written);
            format!(
                "Operations performed:  {} Read, {} Write, {others} Other = {} Total\n\
                 Read {}  Written {}  Total transferred {}  ({}/sec)\n\
                 {:8.2} Requests/sec executed\n",
                totals.reads,
                totals.writes,
                totals
                    .reads
                    .saturating_add(totals.writes)
                    .saturating_add(others),
                size(totals.bytes_read as f64),
                size(totals.bytes_written as f64),
                size(bytes as f64),
                size(result.rates.mib_per_s * f64::from(1 << 20)),
                result.rates.events_per_s,
            )
        }
    }
}

fn execution_summary(result: &RunResult) -> Result<String> {
    let totals = &result.totals;
    let ms = |ns: f64| ns / 1e6;
    let percentile = result.workload.params.percentile;
    let (min, avg, max, high) = match &result.latency_ns {
        Some(latency) => {
            let high = ms(latency.percentile(f64::from(percentile))? as f64);
            (
                ms(latency.min as f64),
                ms(latency.mean),
                ms(latency.max as f64),
                format!("         approx. {percentile:3} percentile:         {high:10.2}ms\n"),
            )
        }
        None => (0.0, 0.0, 0.0, String::new()),
    };
    Ok(format!(
        "
Test execution summary:
    total time:                          {:.4}s
    total number of events:              {}
    total time taken by event execution: {:.4}
    per-request statistics:
         min:                            {min:10.2}ms
         avg:                            {avg:10.2}ms
         max:                            {max:10.2}ms
{high}",
        totals.wall_s, totals.events, totals.event_time_s,
    ))
}

fn fairness(threads: &[ThreadTotals]) -> String {
    let (events, events_dev) = mean_and_deviation(threads.iter().map(|t| t.events as f64));
    let (time, time_dev) = mean_and_deviation(threads.iter().map(|t| t.event_time_s));
    format!(
        "
Threads fairness:
    events (avg/stddev):           {events:.4}/{events_dev:3.2}
    execution time (avg/stddev):   {time:.4}/{time_dev:3.2}

"
    )
}

/// Formats the statistics of one thread in two lines of debug output.
fn thread_statistics(number: usize, thread: &ThreadTotals) -> String {
    let seconds = |ns: Option<u64>| ns.unwrap_or(0) as f64 / 1e9;
    let time = thread.event_time_s;
    format!(
        "    thread #{number:3}: min: {:.4}s  avg: {:.4}s  max: {:.4}s  events: {}\n\
         DEBUG:                  total time taken by even execution: {time:.4}s\n",
        seconds(thread.min_ns),
        time / thread.events.max(1) as f64,
        seconds(thread.max_ns),
        thread.events,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_listed_at_the_debug_level_only() {
        let listed = |verbosity, threads| started(verbosity, threads).matches("Runner").count();
        assert_eq!(listed(Verbosity::DEBUG, 3), 3);
        assert_eq!(listed(Verbosity::INFO, u64::MAX), 0);
    }
}
