//! What to run: typed, validated, with every default filled in.
//!
//! Both command lines end here, and nothing below knows which of them was typed. The
//! parameters of a test are the very types that stand under `workload.params` in the
//! result file, so that a result can only say what was in force.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::size::Size;
use crate::start::StartAt;

/// One measurement, ready to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The test and its parameters.
    pub test: Test,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// When the run ends.
    pub limits: Limits,
    /// The percentile that a report of one percentile shows, 1 to 100.
    pub percentile: u8,
    /// Seed of the random streams; see [`Seed`].
    pub seed: Seed,
    /// Bind worker i to the i-th CPU that this process may use.
    pub pin: bool,
    /// Which clock times the events.
    pub clock: ClockChoice,
    /// Statistics for each interval of this length.
    pub report_interval: Option<Duration>,
    /// A smallest stack for the worker threads, in bytes.
    pub stack_size: Option<usize>,
    /// Labels for the result file.
    pub labels: BTreeMap<String, String>,
    /// The test files (file I/O only).
    pub files: Option<FilePlan>,
    /// The threads begin at this moment, not as soon as they are ready.
    pub start_at: Option<StartAt>,
}

/// Which test files, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// The folder.
    pub dir: PathBuf,
    /// The set.
    pub set: FileSet,
    /// Each block is sealed, so that a run can tell whether it holds what was written to it.
    pub validate: bool,
    /// Files that are right already are written again all the same.
    pub recreate: bool,
}

/// What becomes of the test files around a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileHandling {
    /// They are there, and stay.
    AsTheyAre,
    /// They are made where they are missing, and removed where they were made.
    Whole,
    /// They are made where they are missing, and stay.
    MakeAndKeep,
}

/// The test and its parameters, as they stand in the result file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Test {
    /// Trial division up to a largest candidate.
    Cpu(CpuParams),
    /// Loads from or stores to a block of memory.
    Memory(MemoryParams),
    /// Reads and writes of a set of files.
    Fileio(FileioParams),
}

impl Test {
    /// The test's name, as `workload.test` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Test::Cpu(_) => "cpu",
            Test::Memory(_) => "memory",
            Test::Fileio(_) => "fileio",
        }
    }
}

/// Parameters of the cpu test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuParams {
    /// Candidates from 3 to below this are tested for primality in each event.
    pub max_prime: NonZeroU64,
}

/// Parameters of the memory test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryParams {
    /// Bytes touched in one event, a multiple of 4.
    pub block_size_bytes: u64,
    /// Bytes touched in the whole run; events are this divided by the block, rounded up.
    pub total_size_bytes: u64,
    /// What is done to the block.
    pub oper: MemoryOper,
    /// One block for all threads, or one each.
    pub scope: MemoryScope,
    /// The order in which the block is touched.
    pub access: MemoryAccess,
    /// The block lies in huge pages.
    pub hugetlb: bool,
}

impl MemoryParams {
    /// How many blocks a test of so many threads touches.
    pub fn blocks(&self, threads: usize) -> usize {
        match (self.oper, self.scope) {
            (MemoryOper::None, _) => 0,
            (_, MemoryScope::Global) => 1,
            (_, MemoryScope::Local) => threads,
        }
    }

    /// Bytes of all blocks that come from ordinary memory: huge pages have limits of their own.
    pub fn ordinary_memory_bytes(&self, threads: usize) -> u64 {
        let blocks = if self.hugetlb {
            0
        } else {
            self.blocks(threads)
        };
        self.block_size_bytes.saturating_mul(blocks as u64)
    }

    /// Checks the sizes against each other and against this machine's word.
    pub fn validated(self) -> Result<Self> {
        ensure!(
            self.block_size_bytes > 0 && self.block_size_bytes.is_multiple_of(4),
            "the memory block size must be a multiple of 4 bytes, at least 4, not {}",
            self.block_size_bytes
        );
        ensure!(
            isize::try_from(self.block_size_bytes).is_ok(),
            "a memory block of {} bytes is beyond what this machine can address",
            self.block_size_bytes
        );
        ensure!(
            self.total_size_bytes > 0,
            "the total memory size must be above 0"
        );
        Ok(self)
    }

    /// Events in the whole run.
    pub fn events(&self) -> u64 {
        self.total_size_bytes.div_ceil(self.block_size_bytes)
    }
}

/// What one event of the memory test does to its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryOper {
    /// Load every byte.
    Read,
    /// Store every byte.
    Write,
    /// Nothing: an empty event, what remains is the harness.
    None,
}

/// Whose block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryScope {
    /// One block that all threads share.
    Global,
    /// A block for each thread.
    Local,
}

/// The order in which a block is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryAccess {
    /// From start to end, 16 bytes at a time.
    Seq,
    /// block / 4 accesses of 4 bytes, each at a position drawn for it.
    Rnd,
}

/// Parameters of the file I/O test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileioParams {
    /// The pattern of requests.
    pub mode: FileMode,
    /// How a request reaches the kernel.
    pub io_mode: IoMode,
    /// Requests that a thread has in flight at once; 1 where it waits for each.
    #[serde(default = "one_at_a_time")]
    pub depth: NonZeroU32,
    /// Bytes of a request (before merging).
    pub block_size_bytes: u64,
    /// Bytes in all files together, whole blocks only.
    pub total_size_bytes: u64,
    /// Files in the set.
    pub files: NonZeroU32,
    /// Extra flags of open(2).
    pub flags: OpenFlags,
    /// Random modes: an fsync of each file every this many requests; 0 = never.
    pub fsync_freq: u32,
    /// An fsync after each write, as a part of its event.
    pub fsync_all: bool,
    /// An fsync of each file at the end of a writing run.
    pub fsync_end: bool,
    /// Which call flushes a file.
    pub fsync_mode: FsyncMode,
    /// Sequential modes: blocks in one request; 0 and 1 = no merging.
    pub merged_requests: u32,
    /// rndrw: reads for each write.
    pub rw_ratio: f64,
    /// Blocks are sealed when they are written and checked when they are read.
    #[serde(default)]
    pub validate: bool,
    /// The set's pages were dropped from the page cache before the run.
    #[serde(default)]
    pub drop_cache: bool,
}

fn one_at_a_time() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A set of test files: `test_file.0` and up, all of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSet {
    /// Files in the set.
    pub files: NonZeroU32,
    /// Bytes of each file, a whole number of blocks.
    pub file_size: u64,
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes of each file that the asked total would have had beyond whole blocks.
    pub lost: u64,
}

impl FileSet {
    /// Divides a total among files, each rounded down to whole blocks.
    pub fn new(total_size: u64, files: NonZeroU32, block_size: u64) -> Result<Self> {
        ensure!(block_size > 0, "the block size must be above 0");
        ensure!(total_size > 0, "the total size must be above 0");
        let exact = total_size / u64::from(files.get());
        let lost = exact % block_size;
        let file_size = exact - lost;
        if file_size == 0 {
            bail!(
                "a block of {} is larger than a file: {} in {} files leaves {} each; \
                 take a smaller block, fewer files or a larger total",
                Size(block_size),
                Size(total_size),
                files,
                Size(exact)
            );
        }
        ensure!(
            i64::try_from(file_size).is_ok(),
            "a file of {file_size} bytes is beyond what a file system can hold"
        );
        Ok(Self {
            files,
            file_size,
            block_size,
            lost,
        })
    }

    /// What the rounding took away, in a sentence; None where nothing was.
    pub fn rounding(&self) -> Option<String> {
        (self.lost > 0).then(|| {
            format!(
                "files of {} bytes are no whole number of blocks of {}: each is taken as {} bytes",
                self.file_size + self.lost,
                self.block_size,
                self.file_size
            )
        })
    }

    /// Bytes in all files.
    pub fn total_size(&self) -> u64 {
        self.file_size * u64::from(self.files.get())
    }
}

impl FileioParams {
    /// Bytes of one full request: the block, or in a sequential mode the merged blocks.
    pub fn request_size(&self) -> u64 {
        match self.mode.is_sequential() {
            true => self.block_size_bytes * u64::from(self.merged_requests.max(1)),
            false => self.block_size_bytes,
        }
    }

    /// Requests meet the page cache.
    pub fn goes_through_cache(&self) -> bool {
        self.flags != OpenFlags::Direct || self.io_mode == IoMode::Mmap
    }

    /// Checks what one option alone can't tell, and puts the options that have no effect
    /// beside others to the values that are in force.
    pub fn validated(mut self, set: FileSet) -> Result<Self> {
        self.total_size_bytes = set.total_size();
        if !self.io_mode.is_queued() {
            self.depth = NonZeroU32::MIN;
        }
        ensure!(
            self.rw_ratio.is_finite() && self.rw_ratio >= 0.0,
            "the read/write ratio must be a number, 0 or more, not {}",
            self.rw_ratio
        );
        let merged = self
            .block_size_bytes
            .checked_mul(u64::from(self.merged_requests.max(1)))
            .filter(|&bytes| bytes <= MAX_REQUEST);
        ensure!(
            merged.is_some(),
            "{} blocks of {} bytes merged are more than one system call moves ({MAX_REQUEST} bytes)",
            self.merged_requests.max(1),
            self.block_size_bytes
        );
        ensure!(
            self.depth.get() <= MAX_DEPTH,
            "a thread has at most {MAX_DEPTH} requests in flight, not {}",
            self.depth
        );
        let in_flight = self.request_size() * u64::from(self.depth.get());
        ensure!(
            !self.io_mode.is_queued() || in_flight <= MAX_IN_FLIGHT,
            "{} requests of {} in flight need more memory than a thread may have for them ({}): \
             take fewer, or smaller blocks",
            self.depth,
            Size(self.request_size()),
            Size(MAX_IN_FLIGHT)
        );
        ensure!(
            !self.validate || self.block_size_bytes >= SMALLEST_SEALED_BLOCK,
            "blocks of {} bytes have no room for what --validate writes into each: {} bytes or \
             more are accepted",
            self.block_size_bytes,
            SMALLEST_SEALED_BLOCK
        );
        if self.fsync_all {
            self.fsync_freq = 0;
            self.fsync_end = false;
        }
        Ok(self)
    }
}

/// The most that one read or write moves on Linux (`MAX_RW_COUNT`, 2 GiB less a page), see
/// the notes of read(2).
pub const MAX_REQUEST: u64 = 0x7fff_f000;

/// The most requests that a thread has in flight: what one io_uring of the kernel takes
/// (IORING_MAX_ENTRIES).
pub const MAX_DEPTH: u32 = 32768;

/// The most memory that a thread has in flight: half of what the kernel takes as one registered
/// buffer of an io_uring (1 GiB), so that reads and writes have room beside each other.
const MAX_IN_FLIGHT: u64 = 512 << 20;

/// The smallest block that `--validate` works with: the unit of a stamp.
pub const SMALLEST_SEALED_BLOCK: u64 = 512;

/// The pattern of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileMode {
    /// Sequential write of files that the run creates
    Seqwr,
    /// Sequential rewrite of existing files
    Seqrewr,
    /// Sequential read
    Seqrd,
    /// Random read
    Rndrd,
    /// Random write
    Rndwr,
    /// Random reads and writes mixed
    Rndrw,
}

impl FileMode {
    /// The requests follow each other through the files.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::Seqwr | Self::Seqrewr | Self::Seqrd)
    }

    /// Some request may be a write.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Seqrd | Self::Rndrd)
    }

    /// Some request may be a read.
    pub fn reads(self) -> bool {
        matches!(self, Self::Seqrd | Self::Rndrd | Self::Rndrw)
    }

    /// The run makes its files itself and needs none before.
    pub fn creates_files(self) -> bool {
        self == Self::Seqwr
    }

    /// The mode's name, as both command lines take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seqwr => "seqwr",
            Self::Seqrewr => "seqrewr",
            Self::Seqrd => "seqrd",
            Self::Rndrd => "rndrd",
            Self::Rndwr => "rndwr",
            Self::Rndrw => "rndrw",
        }
    }
}

/// How a request reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum IoMode {
    /// pread(2) and pwrite(2), one request at a time
    Sync,
    /// Linux native AIO (io_submit(2)), --depth requests in flight
    Aio,
    /// io_uring with registered files and buffers, --depth requests in flight
    Uring,
    /// Loads from and stores to mappings of the files, msync(2) where others fsync
    Mmap,
}

impl IoMode {
    /// A thread has several requests in flight.
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Aio | Self::Uring)
    }
}

/// Extra flags of open(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OpenFlags {
    /// Through the page cache
    None,
    /// O_SYNC: a write returns when data and metadata are on the device
    Sync,
    /// O_DSYNC: a write returns when the data is on the device
    Dsync,
    /// O_DIRECT: past the page cache
    Direct,
}

/// Which call flushes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FsyncMode {
    /// fsync(2): data and metadata
    Fsync,
    /// fdatasync(2): data, and the metadata needed to read it back
    Fdatasync,
}

/// When a run ends, whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Seconds; null = no limit.
    pub max_time_s: Option<f64>,
    /// Events (cpu, random file modes); null = no limit.
    pub max_requests: Option<u64>,
    /// Seconds after `max_time_s` at which a run that still hangs is ended; null = never.
    pub forced_shutdown_s: Option<f64>,
}

impl Limits {
    /// The time limit.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time_s.map(Duration::from_secs_f64)
    }

    /// The moment after the start at which a hanging run is given up.
    pub fn forced_shutdown(&self) -> Option<Duration> {
        Some(self.max_time()? + Duration::from_secs_f64(self.forced_shutdown_s?))
    }
}

/// Seed of the random streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seed(
    /// None: the stream that sysbench 0.4.12 always gives; `Some`: as srand48(3) seeds.
    pub Option<u32>,
);

/// Which clock times the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockChoice {
    /// The TSC where it can be trusted, else CLOCK_MONOTONIC
    #[default]
    Auto,
    /// The TSC, or an error where it can't be trusted
    Tsc,
    /// CLOCK_MONOTONIC
    Monotonic,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonzero(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    proptest! {
        #[test]
        fn a_file_set_is_whole_blocks_and_loses_less_than_a_block_a_file(
            total in 1u64..1 << 45, files in 1u32..5000, block in 1u64..1 << 24
        ) {
            let Ok(set) = FileSet::new(total, nonzero(files), block) else {
                prop_assert!(total / u64::from(files) < block);
                return Ok(());
            };
            prop_assert_eq!(set.file_size % block, 0);
            prop_assert!(set.total_size() <= total);
            prop_assert!(total - set.total_size() < (block + 1) * u64::from(files));
        }
    }

    #[test]
    fn a_block_larger_than_a_file_is_refused_with_the_sizes() {
        let error = FileSet::new(1 << 20, nonzero(128), 16 << 10).unwrap_err();
        assert!(error.to_string().contains("16K"), "{error}");
        assert!(error.to_string().contains("8K"), "{error}");
    }

    #[test]
    fn fsync_all_switches_the_other_fsyncs_off() {
        let set = FileSet::new(1 << 20, nonzero(4), 4096).unwrap();
        let params = FileioParams {
            mode: FileMode::Rndwr,
            io_mode: IoMode::Sync,
            depth: NonZeroU32::MIN,
            block_size_bytes: 4096,
            total_size_bytes: 1 << 20,
            files: nonzero(4),
            flags: OpenFlags::None,
            fsync_freq: 100,
            fsync_all: true,
            fsync_end: true,
            fsync_mode: FsyncMode::Fsync,
            merged_requests: 0,
            rw_ratio: 1.5,
            validate: false,
            drop_cache: false,
        }
        .validated(set)
        .unwrap();
        assert_eq!((params.fsync_freq, params.fsync_end), (0, false));
    }
}
