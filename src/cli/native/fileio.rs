//! `wbench fileio` and its steps: their options.

use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
use clap::{Arg, Args, Subcommand, ValueEnum};

use super::Action;
use super::common::{CommonArgs, DirArgs, KeepArgs, LimitArgs, measure, with_default};
use super::numbers::{positive, whole, within};
use crate::plan::{
    FileHandling, FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode, MAX_DEPTH,
    OpenFlags, RequestStream, Test,
};
use crate::size::Size;

/// Default I/O depth: enough to saturate a multi-queue disk, and small enough for a latency that
/// is not all queueing.
const DEPTH: u32 = 32;

/// Default of `--events` in random modes; sequential modes make one pass over the files.
const RANDOM_EVENTS: u64 = 10_000;

#[derive(Debug, Args)]
#[command(mut_arg("mode", |arg| arg.required(true)))]
pub(super) struct FileioCommand {
    #[command(subcommand)]
    step: Option<FileioStep>,

    #[command(flatten)]
    keep: KeepArgs,

    #[command(flatten)]
    args: FileioArgs,
}

fn ignored(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help}; ignored by this step"))
}

#[derive(Debug, Subcommand)]
enum FileioStep {
    /// Create the test files
    #[command(mut_arg("mode", ignored))]
    Prepare(FileioArgs),
    /// Run on existing test files
    #[command(mut_arg("mode", |arg| arg.required(true)))]
    Run(FileioArgs),
    /// Remove the test files that wbench created
    #[command(mut_arg("mode", ignored))]
    Cleanup(FileioArgs),
}

#[derive(Debug, Args)]
#[command(mut_arg("events", |arg| {
    let default = format!("{RANDOM_EVENTS} in random modes; one pass over the files in sequential modes");
    with_default(arg, &default)
}))]
struct FileioArgs {
    /// I/O pattern
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<FileMode>,

    #[command(flatten)]
    dir: DirArgs,

    /// Number of test files
    #[arg(long, default_value = "128", value_name = "N", value_parser = positive::<NonZeroU32>)]
    files: NonZeroU32,

    /// Total size of the test files (K, M, G, T: powers of 1024)
    #[arg(long, default_value = "8G", value_name = "SIZE")]
    total_size: Size,

    /// Block size: bytes per request
    #[arg(long, default_value = "4K", value_name = "SIZE")]
    block_size: Size,

    /// Additional open(2) flags [default: direct; none with --io mmap]
    #[arg(long, value_enum, value_name = "FLAGS")]
    flags: Option<OpenFlags>,

    /// I/O engine
    #[arg(long, value_enum, default_value = "sync", value_name = "IO")]
    io: IoMode,

    /// I/O depth: requests each thread keeps in flight, with --io aio or uring [default: 32]
    #[arg(long, value_name = "N", value_parser = depth)]
    depth: Option<u32>,

    /// Write a header (position, generation, CRC-32) into each block and verify it on each read;
    /// requests to the same block are serialized
    #[arg(long)]
    validate: bool,

    /// Rewrite test files even if they are complete
    #[arg(long)]
    recreate: bool,

    /// Before the run, flush the test files and drop their pages from the page cache
    #[arg(long)]
    drop_cache: bool,

    /// Random modes: fsync all files after every N requests; 0 = never
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = whole::<u32>)]
    fsync_freq: u32,

    /// fsync after each write, as part of its event, and at no other time
    #[arg(long)]
    fsync_all: bool,

    /// fsync all files at the end of a run that writes
    #[arg(long, value_enum, default_value = "on", value_name = "on|off")]
    fsync_end: Switch,

    /// System call that flushes a file
    #[arg(long, value_enum, default_value = "fsync", value_name = "CALL")]
    fsync_mode: FsyncMode,

    /// Sequential modes: merge N blocks into one request; 0 = off
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = whole::<u32>)]
    merged_requests: u32,

    /// rndrw: ratio of reads to writes
    #[arg(long, default_value_t = 1.5, value_name = "RATIO", value_parser = ratio)]
    rw_ratio: f64,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl FileioCommand {
    pub(super) fn into_action(self) -> Result<Action> {
        match self.step {
            None => {
                let handling = match self.keep.keep {
                    true => FileHandling::MakeAndKeep,
                    false => FileHandling::Whole,
                };
                self.args.into_measure(handling)
            }
            Some(FileioStep::Run(run)) => run.into_measure(FileHandling::AsTheyAre),
            Some(FileioStep::Prepare(step)) => Ok(Action::Prepare {
                files: step.files()?,
                quiet: step.common.is_quiet(),
            }),
            Some(FileioStep::Cleanup(step)) => Ok(Action::Cleanup {
                files: step.files()?,
            }),
        }
    }
}

impl FileioArgs {
    fn files(&self) -> Result<FilePlan> {
        Ok(FilePlan {
            dir: self.dir.dir.clone(),
            set: FileSet::new(self.total_size.0, self.files, self.block_size.0)?,
            validate: self.validate,
            recreate: self.recreate,
        })
    }

    fn depth(&self) -> Result<NonZeroU32> {
        ensure!(
            self.depth.is_none() || self.io.is_queued(),
            "--depth requires --io aio or --io uring; the other I/O engines have one request in flight"
        );
        NonZeroU32::new(self.depth.unwrap_or(DEPTH))
            .context("invalid --depth 0: expected at least 1")
    }

    /// The open(2) flags: none by default for mappings, which ignore them.
    fn flags(&self) -> OpenFlags {
        let default = match self.io.ignores_flags() {
            true => OpenFlags::None,
            false => OpenFlags::Direct,
        };
        self.flags.unwrap_or(default)
    }

    fn into_measure(self, handling: FileHandling) -> Result<Action> {
        let mode = self.mode.context("missing --mode")?;
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
            stream: RequestStream::V0_4,
        };
        let limits = self.limits.limits_or(match mode.is_sequential() {
            true => 0,
            false => RANDOM_EVENTS,
        });
        let test = Test::Fileio(params.validated(files.set)?);
        let (plan, output) = self.common.into_plan(test, limits, Some(files))?;
        Ok(measure(plan, handling, output))
    }
}

fn depth(text: &str) -> Result<u32> {
    within(text, 1..=MAX_DEPTH)
}

fn ratio(text: &str) -> Result<f64> {
    let ratio = text.parse().ok();
    ratio.context("expected a number, 0 or more, such as 1.5")
}
