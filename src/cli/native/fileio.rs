//! The words of the file I/O test and of its steps.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::Command;
use super::common::{CommonArgs, limits, measure, seconds};
use crate::plan::{
    FileHandling, FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode, MAX_DEPTH,
    OpenFlags, Test,
};
use crate::size::Size;

/// Requests in flight where nothing is said: enough for a disk of many queues to show its rate,
/// and few enough for a latency that is not waiting alone.
const DEPTH: u32 = 32;

#[derive(Debug, Args)]
pub(super) struct FileioCommand {
    #[command(subcommand)]
    step: Option<FileioStep>,

    /// The pattern of requests
    #[arg(long, value_enum, value_name = "MODE", required = true)]
    mode: Option<FileMode>,

    /// Keep the files that the job made
    #[arg(long)]
    keep: bool,

    #[command(flatten)]
    args: FileioArgs,
}

#[derive(Debug, Subcommand)]
enum FileioStep {
    /// Make the files: --dir, --files, --total-size, --block-size, --validate and --recreate matter
    Prepare(OptionalMode),
    /// Measure, on files that are there
    Run(RequiredMode),
    /// Remove the files that this program made: --dir and --files matter
    Cleanup(OptionalMode),
}

#[derive(Debug, Args)]
struct OptionalMode {
    /// The pattern of requests; makes no difference to this step
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<FileMode>,

    #[command(flatten)]
    args: FileioArgs,
}

#[derive(Debug, Args)]
struct RequiredMode {
    /// The pattern of requests
    #[arg(long, value_enum, value_name = "MODE")]
    mode: FileMode,

    #[command(flatten)]
    args: FileioArgs,
}

#[derive(Debug, Args)]
struct FileioArgs {
    /// The folder of the test files
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,

    /// Files in the set
    #[arg(long, default_value = "128", value_name = "N")]
    files: NonZeroU32,

    /// Bytes in all files together (K, M, G, T: powers of 1024)
    #[arg(long, default_value = "8G", value_name = "SIZE")]
    total_size: Size,

    /// Bytes of a request
    #[arg(long, default_value = "4K", value_name = "SIZE")]
    block_size: Size,

    /// Extra flags of open(2) [default: direct; none with --io mmap]
    #[arg(long, value_enum, value_name = "FLAGS")]
    flags: Option<OpenFlags>,

    /// How a request reaches the kernel
    #[arg(long, value_enum, default_value = "sync", value_name = "IO")]
    io: IoMode,

    /// Requests that each thread has in flight, with --io aio and --io uring [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEPTH)))]
    depth: Option<u32>,

    /// Seal each block that is written (place, generation, CRC-32) and check each that is read;
    /// requests to one block wait for each other then
    #[arg(long)]
    validate: bool,

    /// Write the files again even where they are right already
    #[arg(long)]
    recreate: bool,

    /// Before the run, write the set to its device and drop its pages from the page cache
    #[arg(long)]
    drop_cache: bool,

    /// Random modes: fsync each file after every N requests; 0 = never
    #[arg(long, default_value_t = 100, value_name = "N")]
    fsync_freq: u32,

    /// fsync after each write, as a part of its event; no other fsyncs then
    #[arg(long)]
    fsync_all: bool,

    /// fsync each file at the end of a run that writes
    #[arg(long, value_enum, default_value = "on", value_name = "on|off")]
    fsync_end: Switch,

    /// Which call flushes a file
    #[arg(long, value_enum, default_value = "fsync", value_name = "CALL")]
    fsync_mode: FsyncMode,

    /// Sequential modes: make one request of N blocks; 0 = of one
    #[arg(long, default_value_t = 0, value_name = "N")]
    merged_requests: u32,

    /// rndrw: reads for each write
    #[arg(long, default_value_t = 1.5, value_name = "RATIO")]
    rw_ratio: f64,

    /// Stop after so many requests, over all threads; 0 = no limit
    /// [default: 10000 in random modes, all of the files once in sequential ones]
    #[arg(long, value_name = "N")]
    events: Option<u64>,

    /// Stop after so many seconds; 0 = no limit
    #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = seconds)]
    time: Duration,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl FileioCommand {
    pub(super) fn into_command(self) -> Result<Command> {
        match self.step {
            None => {
                let mode = self.mode.context("--mode is missing")?;
                let handling = match self.keep {
                    true => FileHandling::MakeAndKeep,
                    false => FileHandling::Whole,
                };
                self.args.into_measure(mode, handling)
            }
            Some(FileioStep::Run(run)) => run.args.into_measure(run.mode, FileHandling::AsTheyAre),
            Some(FileioStep::Prepare(step)) => Ok(Command::Prepare {
                files: step.args.files()?,
                quiet: step.args.common.quiet,
            }),
            Some(FileioStep::Cleanup(step)) => Ok(Command::Cleanup {
                files: step.args.files()?,
            }),
        }
    }
}

impl FileioArgs {
    fn files(&self) -> Result<FilePlan> {
        Ok(FilePlan {
            dir: self.dir.clone(),
            set: FileSet::new(self.total_size.0, self.files, self.block_size.0)?,
            validate: self.validate,
            recreate: self.recreate,
        })
    }

    fn depth(&self) -> Result<NonZeroU32> {
        ensure!(
            self.depth.is_none() || self.io.is_queued(),
            "--depth goes with --io aio and --io uring: the others wait for each request"
        );
        NonZeroU32::new(self.depth.unwrap_or(DEPTH)).context("--depth is at least 1")
    }

    /// A mapping knows no flags of open(2).
    fn flags(&self) -> OpenFlags {
        let default = match self.io {
            IoMode::Mmap => OpenFlags::None,
            IoMode::Sync | IoMode::Aio | IoMode::Uring => OpenFlags::Direct,
        };
        self.flags.unwrap_or(default)
    }

    fn into_measure(self, mode: FileMode, handling: FileHandling) -> Result<Command> {
        let files = self.files()?;
        let params = FileioParams {
            mode,
            io_mode: self.io,
            depth: self.depth()?,
            block_size_bytes: self.block_size.0,
            total_size_bytes: self.total_size.0,
            files: self.files,
            flags: self.flags(),
            fsync_freq: self.fsync_freq,
            fsync_all: self.fsync_all,
            fsync_end: self.fsync_end == Switch::On,
            fsync_mode: self.fsync_mode,
            merged_requests: self.merged_requests,
            rw_ratio: self.rw_ratio,
            validate: self.validate,
            drop_cache: self.drop_cache,
        };
        let all_once = if mode.is_sequential() { 0 } else { 10_000 };
        let limits = limits(self.time, self.events.unwrap_or(all_once));
        let test = Test::Fileio(params.validated(files.set)?);
        let (plan, output) = self.common.into_plan(test, limits, Some(files))?;
        Ok(measure(plan, handling, output))
    }
}
