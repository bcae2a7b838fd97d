//! Parameters of the fileio test.

use std::num::NonZeroU32;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::FileSet;
use crate::format::count;
use crate::size::Size;

/// Maximum bytes of one read or write on Linux (`MAX_RW_COUNT`, 2 GiB minus a page; read(2), notes).
pub const MAX_REQUEST: u64 = 0x7fff_f000;

/// Maximum I/O depth: the entries of one io_uring (IORING_MAX_ENTRIES in the kernel).
pub const MAX_DEPTH: u32 = 32768;

/// Maximum bytes a thread keeps in flight: half of the largest registered io_uring buffer (1 GiB),
/// as reads and writes have separate buffers.
const MAX_IN_FLIGHT: u64 = 512 << 20;

/// Minimum block size with `--validate`, in bytes: one stamped sector.
pub const MIN_VALIDATED_BLOCK: u64 = 512;

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
    /// Blocks get a header when they are written, which is checked when they are read.
    #[serde(default)]
    pub validate: bool,
    /// The set's pages were dropped from the page cache before the run.
    #[serde(default)]
    pub drop_cache: bool,
    /// Order and positions of the requests.
    #[serde(default)]
    pub stream: RequestStream,
}

/// Order and positions of the requests: those of a version of sysbench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum RequestStream {
    /// Sequential modes pass through the files once; threads share random positions; fsyncs are not
    /// events
    #[default]
    #[serde(rename = "sysbench-0.4.12")]
    V0_4,
    /// Sequential modes begin again until a limit ends the run; each thread has its own random
    /// positions; fsyncs during the run are events
    #[serde(rename = "sysbench-1.0")]
    V1_0,
}

fn one_at_a_time() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl FileioParams {
    /// Bytes of a full request: one block, or in sequential modes the merged blocks.
    pub fn request_size(&self) -> u64 {
        match self.mode.is_sequential() {
            true => self.block_size_bytes * u64::from(self.merged_requests.max(1)),
            false => self.block_size_bytes,
        }
    }

    /// Memory of the request buffers in bytes: reads and writes have separate ones.
    pub fn buffer_bytes(&self, threads: usize) -> u64 {
        (2 * self.bytes_in_flight()).saturating_mul(threads as u64)
    }

    /// Bytes that a thread keeps in flight at most.
    fn bytes_in_flight(&self) -> u64 {
        self.request_size() * u64::from(self.depth.get())
    }

    /// Describes the test in one line.
    pub fn title(&self) -> String {
        let kind = match self.mode.creates_files() {
            true => "new file",
            false => "file",
        };
        let fsync = match self.fsync_mode {
            FsyncMode::Fsync => "",
            FsyncMode::Fdatasync => ", fdatasync",
        };
        let validate = if self.validate { ", validated" } else { "" };
        format!(
            "fileio {}: {} in {}, {} requests, {}, {}{fsync}{validate}",
            self.mode.name(),
            Size(self.total_size_bytes),
            count(self.files.get().into(), kind),
            Size(self.request_size()),
            self.flags.title(),
            self.io_mode.title(self.depth),
        )
    }

    /// Whether requests go through the page cache.
    pub fn goes_through_cache(&self) -> bool {
        self.flags != OpenFlags::Direct || self.io_mode == IoMode::Mmap
    }

    /// Whether flags were given that the I/O engine ignores.
    pub fn has_ignored_flags(&self) -> bool {
        self.io_mode.ignores_flags() && self.flags != OpenFlags::None
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
        ensure!(
            !self.io_mode.is_queued() || self.bytes_in_flight() <= MAX_IN_FLIGHT,
            "{} requests of {} in flight exceed the buffer limit of {} per thread; choose a smaller \
             depth or block size",
            self.depth,
            Size(self.request_size()),
            Size(MAX_IN_FLIGHT)
        );
        ensure!(
            !self.validate || self.block_size_bytes >= MIN_VALIDATED_BLOCK,
            "invalid block size {} with --validate: expected at least {} bytes, for the header of \
             each block",
            self.block_size_bytes,
            MIN_VALIDATED_BLOCK
        );
        if self.fsync_all {
            self.fsync_freq = 0;
            self.fsync_end = false;
        }
        Ok(self)
    }
}

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

    /// Whether open(2) flags have no effect on requests, as with mappings.
    pub fn ignores_flags(self) -> bool {
        self == Self::Mmap
    }

    fn title(self, depth: NonZeroU32) -> String {
        match self {
            Self::Sync => "sync I/O".to_owned(),
            Self::Aio => format!("native AIO, depth {depth}"),
            Self::Uring => format!("io_uring, depth {depth}"),
            Self::Mmap => "memory-mapped".to_owned(),
        }
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

impl OpenFlags {
    fn title(self) -> &'static str {
        match self {
            Self::None => "buffered",
            Self::Sync => "O_SYNC",
            Self::Dsync => "O_DSYNC",
            Self::Direct => "O_DIRECT",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: NonZeroU32 = NonZeroU32::new(4).unwrap();

    #[test]
    fn fsync_all_disables_the_other_fsyncs() {
        let set = FileSet::new(1 << 20, FILES, 4096).unwrap();
        let params = FileioParams {
            mode: FileMode::Rndwr,
            io_mode: IoMode::Sync,
            depth: NonZeroU32::MIN,
            block_size_bytes: 4096,
            total_size_bytes: 1 << 20,
            files: FILES,
            flags: OpenFlags::None,
            fsync_freq: 100,
            fsync_all: true,
            fsync_end: true,
            fsync_mode: FsyncMode::Fsync,
            merged_requests: 0,
            rw_ratio: 1.5,
            validate: false,
            drop_cache: false,
            stream: RequestStream::V0_4,
        }
        .validated(set)
        .unwrap();
        assert_eq!((params.fsync_freq, params.fsync_end), (0, false));
    }
}
