//! The report of a run, and of its part before a checkpoint.

use std::fmt::Write as _;

use super::distribution::distribution;
use crate::cli::sysbench_1_0::General;
use crate::engine::Snapshot;
use crate::plan::Test;
use crate::report::statistics::mean_and_deviation;
use crate::report::sysbench::{Text, Verbosity};

/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// Returns the report at a checkpoint, on the part of the run before it.
pub fn checkpoint(general: &General, test: &Test, part: &Snapshot) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice(format!("[ {:.0}s ] Checkpoint report:\n", part.to_s));
    text.text + &statistics(general, test, part, None)
}

/// Returns the report at the end of a run, on the part after the last checkpoint. `unfinished` is
/// the number of events that a forced shutdown ended.
pub fn summary(
    general: &General,
    test: &Test,
    part: &Snapshot,
    unfinished: Option<usize>,
) -> String {
    let mut text = Text::new(general.verbosity);
    if general.histogram {
        text.notice("Latency histogram (values are in milliseconds)\n");
        text.push(Verbosity::FATAL, distribution(&part.all.events));
        text.notice(" \n");
    }
    text.text + &statistics(general, test, part, unfinished)
}

fn statistics(
    general: &General,
    test: &Test,
    part: &Snapshot,
    unfinished: Option<usize>,
) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice(test_statistics(test, part));
    if let Some(count) = unfinished {
        text.notice(format!(
            "\nNumber of unfinished transactions on forced shutdown: {count}\n"
        ));
    }
    text.notice(general_statistics(part));
    text.notice(latency(general, part));
    text.notice(fairness(part));
    if general.debug {
        text.push(Verbosity::DEBUG, threads(part));
    }
    text.text
}

/// Returns a count per second; 0 in no time.
fn per_second(count: f64, part: &Snapshot) -> f64 {
    match part.length_s() {
        length if length > 0.0 => count / length,
        _ => 0.0,
    }
}

fn test_statistics(test: &Test, part: &Snapshot) -> String {
    let all = &part.all;
    let events = all.events.count();
    let rate = per_second(events as f64, part);
    match test {
        Test::Cpu(_) => format!("CPU speed:\n    events per second: {rate:8.2}\n"),
        Test::Memory(memory) => {
            let mut text = format!("Total operations: {events} ({rate:8.2} per second)\n\n");
            if memory.moves_bytes() {
                let mib = events as f64 * memory.block_size_bytes as f64 / MIB;
                let rate = per_second(mib, part);
                _ = write!(text, "{mib:.2} MiB transferred ({rate:.2} MiB/sec)\n\n");
            }
            text
        }
        Test::Threads(_) | Test::Mutex(_) => String::new(),
        Test::Fileio(_) => {
            let rate = |count: u64| per_second(count as f64, part);
            format!(
                "\nFile operations:\n    \
                   reads/s:                      {:.2}\n    \
                   writes/s:                     {:.2}\n    \
                   fsyncs/s:                     {:.2}\n\n\
                 Throughput:\n    \
                   read, MiB/s:                  {:.2}\n    \
                   written, MiB/s:               {:.2}\n",
                rate(all.reads),
                rate(all.writes),
                rate(all.fsyncs.count()),
                rate(all.bytes_read) / MIB,
                rate(all.bytes_written) / MIB,
            )
        }
    }
}

fn general_statistics(part: &Snapshot) -> String {
    format!(
        "
General statistics:
    total time:                          {:.4}s
    total number of events:              {}
",
        part.to_s,
        part.all.events.count()
    )
}

fn latency(general: &General, part: &Snapshot) -> String {
    let events = &part.all.events;
    let ms = |ns: f64| ns / 1e6;
    let (min, max) = events.range().unwrap_or_default();
    let mean = if events.is_empty() {
        0.0
    } else {
        events.mean()
    };
    let mut text = format!(
        "
Latency (ms):
         min:                              {:10.2}
         avg:                              {:10.2}
         max:                              {:10.2}
",
        ms(min.0 as f64),
        ms(mean),
        ms(max.0 as f64)
    );
    _ = match general.percentile {
        Some(percentile) => {
            let value = events.percentile(f64::from(percentile)).unwrap_or(0);
            let value = ms(value as f64);
            writeln!(
                text,
                "        {percentile:3}th percentile:                  {value:10.2}"
            )
        }
        None => writeln!(text, "         percentile stats:               disabled"),
    };
    let sum = ms(events.total_ns() as f64);
    _ = writeln!(
        text,
        "         sum:                              {sum:10.2}"
    );
    text
}

fn fairness(part: &Snapshot) -> String {
    let threads = &part.threads;
    let (events, events_dev) = mean_and_deviation(threads.iter().map(|it| it.events as f64));
    let times = threads.iter().map(|it| it.event_time_s());
    let (time, time_dev) = mean_and_deviation(times);
    format!(
        "
Threads fairness:
    events (avg/stddev):           {events:.4}/{events_dev:.2}
    execution time (avg/stddev):   {time:.4}/{time_dev:.2}

"
    )
}

fn threads(part: &Snapshot) -> String {
    let mut text = "DEBUG: Verbose per-thread statistics:\n\n".to_owned();
    for (number, thread) in part.threads.iter().enumerate() {
        let total = thread.event_time_s();
        let mean = total / thread.events.max(1) as f64;
        _ = write!(
            text,
            "DEBUG:     thread #{number:3}: min: {:.4}s  avg: {mean:.4}s  max: {:.4}s  events: {}\n\
             DEBUG:                  total time taken by event execution: {total:.4}s\n",
            thread.min.as_secs_f64(),
            thread.max.as_secs_f64(),
            thread.events
        );
    }
    text.push('\n');
    text
}
