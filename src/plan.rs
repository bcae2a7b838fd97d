//! What to run: typed, validated, with all defaults filled in.
//!
//! Every command line becomes a plan, and nothing below knows which one it was. The parameter types
//! of a test are those of `workload.params` in the result, so that a result can only state what
//! was in force.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::size::Size;
use crate::start::StartAt;

/// A validated run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The test and its parameters.
    pub test: Test,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Limits that end the run.
    pub limits: Limits,
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
}

/// A set of test files in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// Directory of the files.
    pub dir: PathBuf,
    /// Number and sizes of the files.
    pub set: FileSet,
    /// Each block has a header by which a run verifies its content.
    pub validate: bool,
    /// Rewrite files even if they are complete.
    pub recreate: bool,
}

/// Which steps of a file I/O job to do around a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileHandling {
    /// Run on existing files and keep them.
    AsTheyAre,
    /// Prepare missing files, run, and remove the files that were prepared.
    Whole,
    /// Prepare missing files, run, and keep all files.
    MakeAndKeep,
}

/// A test and its parameters, as in the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Test {
    /// Prime numbers by trial division.
    Cpu(CpuParams),
    /// Reads or writes of a block of memory.
    Memory(MemoryParams),
    /// Reads and writes of a set of test files.
    Fileio(FileioParams),
}

impl Test {
    /// Name of the test, as in `workload.test`.
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
    /// Each event tests the numbers from 3 to `max_prime` - 1 for primality.
    pub max_prime: NonZeroU64,
}

/// Parameters of the memory test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryParams {
    /// Bytes accessed per event, a multiple of 4.
    pub block_size_bytes: u64,
    /// Bytes accessed in the whole run; the number of events is this divided by the block size,
    /// rounded up.
    pub total_size_bytes: u64,
    /// What an event does with its block.
    pub oper: MemoryOper,
    /// Whether threads share one block or have one each.
    pub scope: MemoryScope,
    /// Access pattern within the block.
    pub access: MemoryAccess,
    /// Allocate the block from the huge page pool.
    pub hugetlb: bool,
}

impl MemoryParams {
    /// Number of blocks that a run with this many threads accesses.
    pub fn blocks(&self, threads: usize) -> usize {
        match (self.oper, self.scope) {
            (MemoryOper::None, _) => 0,
            (_, MemoryScope::Global) => 1,
            (_, MemoryScope::Local) => threads,
        }
    }

    /// Bytes of all blocks outside the huge page pool, which has its own limits.
    pub fn ordinary_memory_bytes(&self, threads: usize) -> u64 {
        let blocks = if self.hugetlb {
            0
        } else {
            self.blocks(threads)
        };
        self.block_size_bytes.saturating_mul(blocks as u64)
    }

    /// Checks the sizes.
    ///
    /// Fails if the block size is not a positive multiple of 4, exceeds the address space, or the
    /// total is 0.
    pub fn validated(self) -> Result<Self> {
        ensure!(
            self.block_size_bytes > 0 && self.block_size_bytes.is_multiple_of(4),
            "invalid memory block size {}: expected a multiple of 4, at least 4",
            self.block_size_bytes
        );
        ensure!(
            isize::try_from(self.block_size_bytes).is_ok(),
            "invalid memory block size {}: larger than the address space",
            self.block_size_bytes
        );
        ensure!(
            self.total_size_bytes > 0,
            "invalid total memory size 0: expected at least 1"
        );
        Ok(self)
    }

    /// Number of events in the whole run.
    pub fn events(&self) -> u64 {
        self.total_size_bytes.div_ceil(self.block_size_bytes)
    }
}

/// What an event of the memory test does with its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryOper {
    /// Load every byte
    Read,
    /// Store every byte
    Write,
    /// Nothing: an empty event, to measure the harness
    None,
}

/// Which threads share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryScope {
    /// One block shared by all threads
    Global,
    /// One block per thread
    Local,
}

/// Access pattern within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemoryAccess {
    /// Sequential, 16 bytes per access
    Seq,
    /// Random, 4 bytes per access; a block has size / 4 accesses
    Rnd,
}

/// Parameters of the file I/O test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileioParams {
    /// I/O pattern.
    pub mode: FileMode,
    /// I/O engine.
    pub io_mode: IoMode,
    /// I/O depth: requests that a thread keeps in flight; 1 for synchronous engines.
    #[serde(default = "one_at_a_time")]
    pub depth: NonZeroU32,
    /// Bytes per request, before merging.
    pub block_size_bytes: u64,
    /// Total size of the files, in whole blocks.
    pub total_size_bytes: u64,
    /// Number of files.
    pub files: NonZeroU32,
    /// Additional open(2) flags.
    pub flags: OpenFlags,
    /// Random modes: fsync all files after every N requests; 0 = never.
    pub fsync_freq: u32,
    /// fsync after each write, as part of its event.
    pub fsync_all: bool,
    /// fsync all files at the end of a run that writes.
    pub fsync_end: bool,
    /// System call that flushes a file.
    pub fsync_mode: FsyncMode,
    /// Sequential modes: blocks per request; 0 and 1 = no merging.
    pub merged_requests: u32,
    /// rndrw: ratio of reads to writes.
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

/// A set of test files: `test_file.0` and up, all of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSet {
    /// Files in the set.
    pub files: NonZeroU32,
    /// Size of each file in bytes, a multiple of the block size.
    pub file_size: u64,
    /// Block size in bytes.
    pub block_size: u64,
    /// Bytes by which each file was rounded down to whole blocks.
    pub lost: u64,
}

impl FileSet {
    /// Divides a total size among files, each rounded down to whole blocks.
    ///
    /// Fails if a size is 0, a file would be smaller than a block, or too large for a file system.
    pub fn new(total_size: u64, files: NonZeroU32, block_size: u64) -> Result<Self> {
        ensure!(block_size > 0, "invalid block size 0: expected at least 1");
        ensure!(total_size > 0, "invalid total size 0: expected at least 1");
        let exact = total_size / u64::from(files.get());
        let lost = exact % block_size;
        let file_size = exact - lost;
        if file_size == 0 {
            bail!(
                "a block of {} is larger than a file: {} in {} files is {} per file; choose a \
                 smaller block size, fewer files or a larger total size",
                Size(block_size),
                Size(total_size),
                files,
                Size(exact)
            );
        }
        ensure!(
            i64::try_from(file_size).is_ok(),
            "invalid file size {file_size}: larger than any file system supports; choose more files or \
             a smaller total size"
        );
        Ok(Self {
            files,
            file_size,
            block_size,
            lost,
        })
    }

    /// Describes the rounding to whole blocks; None if nothing was rounded.
    pub fn rounding(&self) -> Option<String> {
        (self.lost > 0).then(|| {
            format!(
                "file size {} is not a multiple of the block size {}: rounded down to {} bytes",
                self.file_size + self.lost,
                self.block_size,
                self.file_size
            )
        })
    }

    /// Total size of all files in bytes.
    pub fn total_size(&self) -> u64 {
        self.file_size * u64::from(self.files.get())
    }
}

impl FileioParams {
    /// Bytes of a full request: one block, or in sequential modes the merged blocks.
    pub fn request_size(&self) -> u64 {
        match self.mode.is_sequential() {
            true => self.block_size_bytes * u64::from(self.merged_requests.max(1)),
            false => self.block_size_bytes,
        }
    }

    /// Whether requests go through the page cache.
    pub fn goes_through_cache(&self) -> bool {
        self.flags != OpenFlags::Direct || self.io_mode == IoMode::Mmap
    }

    /// Whether a write may end in the page cache, so that only an fsync brings it to the device.
    pub fn buffers_writes(&self) -> bool {
        self.flags == OpenFlags::None || self.io_mode == IoMode::Mmap
    }

    /// Checks the parameters against each other, and sets those that have no effect to the values
    /// in force.
    ///
    /// Fails if a value is out of range or a request is larger than the kernel accepts.
    pub fn validated(mut self, set: FileSet) -> Result<Self> {
        self.total_size_bytes = set.total_size();
        if !self.io_mode.is_queued() {
            self.depth = NonZeroU32::MIN;
        }
        ensure!(
            self.rw_ratio.is_finite() && self.rw_ratio >= 0.0,
            "invalid read/write ratio {}: expected a number, 0 or more",
            self.rw_ratio
        );
        let merged = self
            .block_size_bytes
            .checked_mul(u64::from(self.merged_requests.max(1)))
            .filter(|&bytes| bytes <= MAX_REQUEST);
        ensure!(
            merged.is_some(),
            "{} merged blocks of {} bytes exceed the {MAX_REQUEST} bytes of one system call; merge fewer \
             blocks",
            self.merged_requests.max(1),
            self.block_size_bytes
        );
        ensure!(
            self.depth.get() <= MAX_DEPTH,
            "invalid I/O depth {}: expected at most {MAX_DEPTH}",
            self.depth
        );
        let in_flight = self.request_size() * u64::from(self.depth.get());
        ensure!(
            !self.io_mode.is_queued() || in_flight <= MAX_IN_FLIGHT,
            "{} requests of {} in flight exceed the buffer limit of {} per thread; choose a smaller \
             depth or block size",
            self.depth,
            Size(self.request_size()),
            Size(MAX_IN_FLIGHT)
        );
        ensure!(
            !self.validate || self.block_size_bytes >= SMALLEST_SEALED_BLOCK,
            "invalid block size {} with --validate: expected at least {} bytes, for the header of \
             each block",
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

/// Maximum bytes of one read or write on Linux (`MAX_RW_COUNT`, 2 GiB minus a page; read(2), notes).
pub const MAX_REQUEST: u64 = 0x7fff_f000;

/// Maximum I/O depth: the entries of one io_uring (IORING_MAX_ENTRIES in the kernel).
pub const MAX_DEPTH: u32 = 32768;

/// Maximum bytes a thread keeps in flight: half of the largest registered io_uring buffer (1 GiB),
/// as reads and writes have separate buffers.
const MAX_IN_FLIGHT: u64 = 512 << 20;

/// Minimum block size with `--validate`, in bytes: one stamped sector.
pub const SMALLEST_SEALED_BLOCK: u64 = 512;

/// I/O pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileMode {
    /// Sequential write to files that the run creates
    Seqwr,
    /// Sequential rewrite of existing files
    Seqrewr,
    /// Sequential read
    Seqrd,
    /// Random read
    Rndrd,
    /// Random write
    Rndwr,
    /// Mixed random reads and writes
    Rndrw,
}

impl FileMode {
    /// Whether requests are sequential.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::Seqwr | Self::Seqrewr | Self::Seqrd)
    }

    /// Whether requests may be writes.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Seqrd | Self::Rndrd)
    }

    /// Whether requests may be reads.
    pub fn reads(self) -> bool {
        matches!(self, Self::Seqrd | Self::Rndrd | Self::Rndrw)
    }

    /// Whether the run itself creates its files.
    pub fn creates_files(self) -> bool {
        self == Self::Seqwr
    }

    /// Name of the mode, the same in every dialect.
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

/// I/O engine.
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
    /// Loads from and stores to memory-mapped files, with msync(2) instead of fsync(2)
    Mmap,
}

impl IoMode {
    /// Whether a thread keeps several requests in flight.
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Aio | Self::Uring)
    }
}

/// Additional open(2) flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OpenFlags {
    /// None: buffered I/O through the page cache
    None,
    /// O_SYNC: a write returns when data and metadata are on stable storage
    Sync,
    /// O_DSYNC: a write returns when the data is on stable storage
    Dsync,
    /// O_DIRECT: bypass the page cache
    Direct,
}

/// System call that flushes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FsyncMode {
    /// fsync(2): data and metadata
    Fsync,
    /// fdatasync(2): data, and the metadata needed to read it back
    Fdatasync,
}

/// Limits of a run; the first one reached ends it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Time limit in seconds; null = no limit.
    pub max_time_s: Option<f64>,
    /// Maximum number of events; null = no limit.
    pub max_requests: Option<u64>,
    /// Seconds after `max_time_s` at which a hung run is abandoned; null = never.
    pub forced_shutdown_s: Option<f64>,
}

impl Limits {
    /// The time limit.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time_s.map(seconds)
    }

    /// Time after the start at which a hung run is abandoned.
    pub fn forced_shutdown(&self) -> Option<Duration> {
        let after = seconds(self.forced_shutdown_s?);
        Some(self.max_time()?.saturating_add(after))
    }
}

/// The longest duration if a result file contains a number that is none.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonzero(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    proptest! {
        #[test]
        fn a_file_set_is_whole_blocks_and_loses_less_than_a_block_per_file(
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
    fn fsync_all_disables_the_other_fsyncs() {
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
