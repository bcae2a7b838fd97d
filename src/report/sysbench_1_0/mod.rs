//! Report of sysbench 1.0, reproduced exactly.

mod distribution;
pub mod fileio;
mod interval;
mod summary;

use super::sysbench::{Text, Verbosity};
use crate::cli::sysbench_1_0::General;
use crate::plan::{MemoryParams, Test};
use crate::result::EndedBy;

pub use interval::interval;
pub use summary::{checkpoint, summary};

/// Version whose output and behavior this module reproduces.
pub const VERSION: &str = "1.0.20";

/// Returns the version line: that of 1.0, then wbench's own.
pub fn version() -> String {
    format!(
        "sysbench {VERSION} ({} {})",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )
}

/// Returns the text printed before a command.
pub fn banner(verbosity: Verbosity) -> String {
    let mut text = Text::new(verbosity);
    text.notice(version() + "\n\n");
    text.text
}

/// Returns the text printed before a run.
pub fn preamble(general: &General, test: &Test, max_events: Option<u64>) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice("Running the test with following options:\n");
    text.notice(format!("Number of threads: {}\n", general.threads));
    if let Some(rate) = general.rate {
        text.notice(format!("Target transaction rate: {rate}/sec\n"));
    }
    if let Some(seconds) = general.report_interval {
        text.notice(format!(
            "Report intermediate results every {seconds} second(s)\n"
        ));
    }
    if !general.report_checkpoints.is_empty() {
        let times: Vec<String> = general
            .report_checkpoints
            .iter()
            .map(u64::to_string)
            .collect();
        let times = times.join(", ");
        text.notice(format!("Report checkpoint(s) at {times} seconds\n"));
    }
    if general.debug {
        text.notice("Debug mode enabled.\n\n");
    }
    if general.validate {
        text.notice("Validation checks: on.\n\n");
    }
    text.notice(match general.seed {
        Some(seed) => format!("Initializing random number generator from seed ({seed}).\n\n"),
        None => "Initializing random number generator from current time\n\n".to_owned(),
    });
    if let (Some(after), Some(time)) = (general.forced_shutdown, general.time) {
        text.notice(format!("Forcing shutdown in {} seconds\n", time + after));
    }
    text.notice("\n");
    match test {
        Test::Cpu(cpu) => {
            text.info("Doing CPU performance benchmark\n\n");
            text.notice(format!("Prime numbers limit: {}\n\n", cpu.max_prime));
        }
        Test::Memory(memory) => text.notice(memory_options(memory)),
        Test::Fileio(params) => {
            text.notice(fileio::options(params, max_events, general.validate));
        }
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

fn memory_options(memory: &MemoryParams) -> String {
    let (oper, scope) = (memory.oper.name(), memory.scope.name());
    format!(
        "Running memory speed test with the following options:\n  \
           block size: {}KiB\n  \
           total size: {}MiB\n  \
           operation: {oper}\n  \
           scope: {scope}\n\n",
        memory.block_size_bytes >> 10,
        memory.total_size_bytes >> 20
    )
}

/// Returns the text printed before the threads are created.
pub fn initializing(general: &General) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice("Initializing worker threads...\n\n");
    text.text
}

/// Returns the text printed when the threads start.
pub fn started(general: &General) -> String {
    let mut text = Text::new(general.verbosity);
    let mut debug = |line: &str| text.push(Verbosity::DEBUG, format!("DEBUG: {line}\n"));
    if general.report_interval.is_some() {
        debug("Reporting thread started");
    }
    if general.rate.is_some() {
        debug("Event generating thread started");
    }
    if !general.report_checkpoints.is_empty() {
        debug("Checkpoints report thread started");
    }
    for thread in 0..general.threads {
        debug(&format!("Worker thread (#{thread}) started"));
        debug(&format!("Worker thread (#{thread}) initialized"));
    }
    text.notice("Threads started!\n\n");
    text.text
}

/// Returns the text printed when all threads have ended: one line per thread, of which 1.0 prints
/// the first and counts the others.
pub fn done(general: &General, test: &Test, ended_by: EndedBy) -> String {
    let mut text = Text::new(general.verbosity);
    let limit = match (ended_by, test) {
        (EndedBy::ForcedShutdown, _) => {
            let message = "FATAL: The --max-time limit has expired, forcing shutdown...\n";
            text.push(Verbosity::FATAL, message);
            return text.text;
        }
        (EndedBy::Time, _) => Some("Time"),
        (EndedBy::Work, Test::Cpu(_) | Test::Fileio(_) | Test::Threads(_)) => Some("Event"),
        _ => None,
    };
    if let Some(limit) = limit {
        text.info(format!("{limit} limit exceeded, exiting...\n"));
        if general.threads > 1 {
            let repeated = general.threads - 1;
            text.info(format!("(last message repeated {repeated} times)\n"));
        }
    }
    text.info("Done.\n\n");
    text.text
}
