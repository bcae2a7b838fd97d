//! What to run: typed, validated, with all defaults filled in.
//!
//! Every command line becomes a plan, and nothing below knows which one it was. The parameter types
//! of a test are those of `workload.params` in the result, so that a result can only state what
//! was in force.

mod cpu;
mod file_set;
mod fileio;
mod limits;
mod memory;
mod mutex;
mod pacing;
mod scale;
mod threads;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::start::StartAt;

pub use cpu::{CpuBound, CpuParams};
pub use file_set::{FileHandling, FilePlan, FileSet};
pub use fileio::{
    FileMode, FileioParams, FsyncMode, IoMode, MAX_DEPTH, MAX_REQUEST, MIN_VALIDATED_BLOCK,
    OpenFlags, RequestStream,
};
pub use limits::Limits;
pub use memory::{
    CHASE_LINE_BYTES, CHASE_LOADS, ChaseParams, MemoryAccess, MemoryOper, MemoryParams,
    MemoryScope, PageSource, Pages,
};
pub use mutex::{MUTEX_BYTES, MutexParams};
pub use pacing::{Arrival, Arrivals};
pub use threads::ThreadsParams;

/// A validated run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The test and its parameters.
    pub test: Test,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Limits that end the run.
    pub limits: Limits,
    /// When events start; None for a closed loop, in which a thread starts its next event when the
    /// last one ends.
    pub arrivals: Option<Arrivals>,
    /// Time at the beginning of the run in which nothing is recorded.
    pub warmup: Option<Duration>,
    /// Percentile shown in reports that show a single one, 1 to 100.
    pub percentile: u8,
    /// Seed of the random number streams.
    pub seed: Seed,
    /// Pin worker i to the i-th CPU that this process may run on.
    pub pin: bool,
    /// Clock that times events.
    pub clock: ClockChoice,
    /// Length of a report interval; None for no intervals.
    pub report_interval: Option<Duration>,
    /// Minimum stack size of worker threads, in bytes.
    pub stack_size: Option<usize>,
    /// Labels of the result.
    pub labels: BTreeMap<String, String>,
    /// The test files (file I/O only).
    pub files: Option<FilePlan>,
    /// When the threads start; None for as soon as they are ready.
    pub start_at: Option<StartAt>,
    /// The time of the run begins when the threads start, as in sysbench 1.0; otherwise the opening
    /// of files and the creation of threads are part of it.
    pub timed_from_start: bool,
}

impl RunPlan {
    /// Parameters and test files of the fileio test; None for another test.
    pub fn fileio(&self) -> Option<(&FileioParams, &FilePlan)> {
        Some((self.test.fileio()?, self.files.as_ref()?))
    }
}

/// A test and its parameters, as in the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Test {
    /// Prime numbers by trial division.
    Cpu(CpuParams),
    /// Reads or writes of a block of memory, or its latency.
    Memory(MemoryParams),
    /// Reads and writes of a set of test files.
    Fileio(FileioParams),
    /// Yields of the CPU with a mutex locked.
    Threads(ThreadsParams),
    /// Locks of mutexes chosen at random.
    Mutex(MutexParams),
}

impl Test {
    /// Names of all tests.
    pub const NAMES: [&str; 5] = ["cpu", "memory", "fileio", "threads", "mutex"];

    /// Name of the test, as in `workload.test`.
    pub fn name(&self) -> &'static str {
        match self {
            Test::Cpu(_) => "cpu",
            Test::Memory(_) => "memory",
            Test::Fileio(_) => "fileio",
            Test::Threads(_) => "threads",
            Test::Mutex(_) => "mutex",
        }
    }

    /// Describes the test and its main parameters in one line.
    pub fn title(&self) -> String {
        match self {
            Test::Cpu(params) => params.title(),
            Test::Memory(params) => params.title(),
            Test::Fileio(params) => params.title(),
            Test::Threads(params) => params.title(),
            Test::Mutex(params) => params.title(),
        }
    }

    /// Whether a run has limits of time and events. A run of the mutex test ends with its locks.
    pub fn has_limits(&self) -> bool {
        !matches!(self, Test::Mutex(_))
    }

    /// Whether events transfer bytes, so that a bandwidth is meaningful.
    pub fn moves_bytes(&self) -> bool {
        match self {
            Test::Cpu(_) | Test::Threads(_) | Test::Mutex(_) => false,
            Test::Memory(params) => params.moves_bytes(),
            Test::Fileio(_) => true,
        }
    }

    /// Whether events do nothing, on purpose.
    pub fn has_empty_events(&self) -> bool {
        self.memory().is_some_and(MemoryParams::has_empty_events)
    }

    /// Whether events never wait: not for a device, a lock or another thread.
    pub fn never_waits(&self) -> bool {
        match self {
            Test::Cpu(_) | Test::Memory(_) => true,
            Test::Fileio(_) | Test::Threads(_) | Test::Mutex(_) => false,
        }
    }

    /// Memory of the buffers of this many threads, in bytes; without huge pages, which have their
    /// own pool.
    pub fn buffer_bytes(&self, threads: usize) -> u64 {
        match self {
            Test::Cpu(_) => 0,
            Test::Memory(params) => params.buffer_bytes(threads),
            Test::Fileio(params) => params.buffer_bytes(threads),
            Test::Threads(params) => params.mutex_bytes(),
            Test::Mutex(params) => params.mutex_bytes(),
        }
    }

    /// Parameters of the memory test; None for another test.
    pub fn memory(&self) -> Option<&MemoryParams> {
        match self {
            Test::Memory(params) => Some(params),
            _ => None,
        }
    }

    /// Parameters of the fileio test; None for another test.
    pub fn fileio(&self) -> Option<&FileioParams> {
        match self {
            Test::Fileio(params) => Some(params),
            _ => None,
        }
    }
}

/// Seed of the random number streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seed(
    /// None: the fixed stream of sysbench 0.4.12; `Some`: seeded as by srand48(3).
    pub Option<u32>,
);

/// Clock that times events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockChoice {
    /// The TSC if it is reliable, else CLOCK_MONOTONIC
    #[default]
    Auto,
    /// The TSC, or an error if it is not reliable
    Tsc,
    /// CLOCK_MONOTONIC
    Monotonic,
}
