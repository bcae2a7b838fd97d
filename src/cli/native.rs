//! The native command line. Its defaults are the parameters of the study that the tool serves.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::LONGEST_SECONDS;
use super::compare::{CompareArgs, CompareJob, ShowArgs, ShowJob};
use crate::output::Destination;
use crate::plan::{
    ClockChoice, CpuParams, FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode, Limits,
    MAX_DEPTH, MemoryAccess, MemoryOper, MemoryParams, MemoryScope, OpenFlags, RunPlan, Seed, Test,
};
use crate::size::Size;

/// Requests in flight where nothing is said: enough for a disk of many queues to show its rate,
/// and few enough for a latency that is not waiting alone.
const DEPTH: u32 = 32;

/// Measures cpu, memory and file I/O the same way on bare metal, in VMs and in containers
#[derive(Debug, Parser)]
#[command(
    name = "wbench",
    version,
    after_help = "\
Examples:
  wbench fileio --mode seqwr            write 8G in 128 files with O_DIRECT, 4K at a time
  wbench memory --oper read --json -    the result as JSON on standard output
  wbench env                            what this machine is, and what may mislead

The command line of sysbench 0.4.12 is understood as well, when it comes first
(wbench --test=cpu run) or when the program is started by the name sysbench.

Exit status: 0 done; 1 failed; 2 a command line that can't be understood;
130 or 143 interrupted by SIGINT or SIGTERM, with the figures up to then."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Count primes by trial division with 64-bit divides
    #[command(after_help = "Example:\n  wbench cpu --threads 4 --time 60 --events 0")]
    Cpu(Box<CpuArgs>),
    /// Load or store every byte of a block of memory, again and again
    #[command(
        after_help = "Example:\n  wbench memory --oper read --block-size 1M --total-size 1T --time 30"
    )]
    Memory(Box<MemoryArgs>),
    /// Read and write a set of files: prepare, run and clean up, or one of these
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "\
Examples:
  wbench fileio --mode rndrd --dir /data         the whole job in /data
  wbench fileio prepare --dir /data              only make the files
  wbench fileio run --mode rndrw --dir /data     only run, on files that are there
  wbench fileio cleanup --dir /data              only remove the files"
    )]
    Fileio(Box<FileioCommand>),
    /// Print what this machine is, the state of its clock, and what may mislead
    #[command(after_help = "Example:\n  wbench env --dir /data")]
    Env(EnvArgs),
    /// Hold results against each other: how much slower, is it real, and what else was different?
    #[command(after_help = "\
Examples:
  wbench compare native/ docker/ kvm/                     folders, the first is the baseline
  wbench compare runs/ --by env --vary concurrency        by a label, along another
  wbench compare old.log new.json --metric rate,p95       a log of sysbench beside a result
  wbench compare main/ branch/ --fail-above 5%            a gate for a pipeline

Exit status: 0 compared; 1 worse than --fail-above; 2 could not be told or read")]
    Compare(Box<CompareArgs>),
    /// Print the report of a result file again
    #[command(after_help = "Example:\n  wbench show result.json --format sysbench")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Worker threads
    #[arg(long, default_value = "1", value_name = "N")]
    threads: NonZeroUsize,

    /// The percentile in reports that show one, 1 to 100
    #[arg(long, default_value_t = 95, value_name = "P", value_parser = clap::value_parser!(u8).range(1..=100))]
    percentile: u8,

    /// Seed of the random streams [default: the stream of sysbench 0.4.12]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,

    /// Bind each worker thread to a CPU of its own, as far as there are enough
    #[arg(long)]
    pin: bool,

    /// The clock that times events
    #[arg(long, value_enum, default_value_t, value_name = "CLOCK")]
    clock: ClockChoice,

    /// Print statistics every so many seconds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    report_interval: Option<Duration>,

    /// A label for the result, such as env=kvm; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Write the result as JSON to this file; - for standard output, with nothing else on it
    #[arg(long, value_name = "FILE")]
    json: Option<String>,

    /// Print no report and no progress
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct CpuArgs {
    /// Test the numbers from 3 to below this one for primality in each event
    #[arg(long, default_value = "20000", value_name = "N")]
    max_prime: NonZeroU64,

    /// Stop after so many events, over all threads; 0 = no limit
    #[arg(long, default_value_t = 10000, value_name = "N")]
    events: u64,

    /// Stop after so many seconds; 0 = no limit
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    time: Duration,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct MemoryArgs {
    /// What an event does to its block
    #[arg(long, value_enum, default_value = "write", value_name = "OPER")]
    oper: MemoryOper,

    /// Bytes touched in one event, a multiple of 4 (K, M, G, T: powers of 1024)
    #[arg(long, default_value = "1K", value_name = "SIZE")]
    block_size: Size,

    /// Stop after so many bytes, over all threads
    #[arg(long, default_value = "100G", value_name = "SIZE")]
    total_size: Size,

    /// One block for all threads, or one each
    #[arg(long, value_enum, default_value = "global", value_name = "SCOPE")]
    scope: MemoryScope,

    /// Touch the block in order, or 4 bytes at a time at random positions
    #[arg(long, value_enum, default_value = "seq", value_name = "ACCESS")]
    access: MemoryAccess,

    /// Take the block from the pool of huge pages
    #[arg(long)]
    hugetlb: bool,

    /// Stop after so many events, over all threads; 0 = no limit
    #[arg(long, default_value_t = 0, value_name = "N")]
    events: u64,

    /// Stop after so many seconds; 0 = no limit
    #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = seconds)]
    time: Duration,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct FileioCommand {
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

#[derive(Debug, Args)]
struct EnvArgs {
    /// The folder whose storage is looked at
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,

    /// Write it as JSON to this file; - or nothing for standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Measure.
    Measure {
        /// What.
        plan: Box<RunPlan>,
        /// What becomes of the files (file I/O).
        files: FileHandling,
        /// Where the result goes.
        output: Output,
    },
    /// Make test files.
    Prepare {
        /// Which.
        files: FilePlan,
        /// Say nothing.
        quiet: bool,
    },
    /// Remove test files.
    Cleanup {
        /// Which.
        files: FilePlan,
    },
    /// Print the fingerprint of the machine.
    Env {
        /// The folder whose storage counts.
        dir: PathBuf,
        /// As JSON to here.
        json: Option<Destination>,
    },
    /// Hold results against each other.
    Compare(Box<CompareJob>),
    /// Print reports again.
    Show(ShowJob),
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

/// Where a result goes.
#[derive(Debug, Clone)]
pub struct Output {
    /// As JSON to here.
    pub json: Option<Destination>,
    /// No report and no progress.
    pub quiet: bool,
}

impl Output {
    /// The report for a person goes to standard output.
    pub fn reports(&self) -> bool {
        !self.quiet && self.json != Some(Destination::Stdout)
    }
}

impl Cli {
    /// The command with every default filled in.
    ///
    /// Fails where values that are right one by one don't go together.
    pub fn into_command(self) -> Result<Command> {
        match self.command {
            Subcommands::Cpu(args) => args.into_command(),
            Subcommands::Memory(args) => args.into_command(),
            Subcommands::Fileio(command) => command.into_command(),
            Subcommands::Env(args) => Ok(Command::Env {
                dir: args.dir,
                json: args.json.as_deref().map(Destination::from),
            }),
            Subcommands::Compare(args) => Ok(Command::Compare(Box::new(args.into_job()))),
            Subcommands::Show(args) => Ok(Command::Show(args.into_job())),
        }
    }
}

impl CommonArgs {
    fn into_plan(self, test: Test, limits: Limits, files: Option<FilePlan>) -> (RunPlan, Output) {
        let output = Output {
            json: self.json.as_deref().map(Destination::from),
            quiet: self.quiet,
        };
        let plan = RunPlan {
            test,
            threads: self.threads,
            limits,
            percentile: self.percentile,
            seed: Seed(self.seed),
            pin: self.pin,
            clock: self.clock,
            report_interval: self.report_interval,
            stack_size: None,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            files,
        };
        (plan, output)
    }
}

fn limits(time: Duration, events: u64) -> Limits {
    Limits {
        max_time_s: (!time.is_zero()).then_some(time.as_secs_f64()),
        max_requests: (events > 0).then_some(events),
        forced_shutdown_s: None,
    }
}

impl CpuArgs {
    fn into_command(self) -> Result<Command> {
        let test = Test::Cpu(CpuParams {
            max_prime: self.max_prime,
        });
        let limits = limits(self.time, self.events);
        let (plan, output) = self.common.into_plan(test, limits, None);
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}

impl MemoryArgs {
    fn into_command(self) -> Result<Command> {
        let params = MemoryParams {
            block_size_bytes: self.block_size.0,
            total_size_bytes: self.total_size.0,
            oper: self.oper,
            scope: self.scope,
            access: self.access,
            hugetlb: self.hugetlb,
        };
        let test = Test::Memory(params.validated()?);
        let limits = limits(self.time, self.events);
        let (plan, output) = self.common.into_plan(test, limits, None);
        Ok(measure(plan, FileHandling::AsTheyAre, output))
    }
}

fn measure(plan: RunPlan, files: FileHandling, output: Output) -> Command {
    Command::Measure {
        plan: Box::new(plan),
        files,
        output,
    }
}

impl FileioCommand {
    fn into_command(self) -> Result<Command> {
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
        let (plan, output) = self.common.into_plan(test, limits, Some(files));
        Ok(measure(plan, handling, output))
    }
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text
        .parse()
        .with_context(|| format!("'{text}' is no number of seconds"))?;
    ensure!(
        (0.0..=LONGEST_SECONDS).contains(&seconds),
        "{text} is not between 0 and {LONGEST_SECONDS} seconds"
    );
    ensure!(
        seconds == 0.0 || seconds >= SHORTEST_SECONDS,
        "{text} is neither 0 nor at least {SHORTEST_SECONDS} seconds"
    );
    Ok(Duration::from_secs_f64(seconds))
}

/// The shortest time that can be asked for; what rounds to nothing would be no limit.
const SHORTEST_SECONDS: f64 = 0.001;

fn positive_seconds(text: &str) -> Result<Duration> {
    let interval = seconds(text)?;
    ensure!(!interval.is_zero(), "an interval takes some time");
    Ok(interval)
}

fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .with_context(|| format!("'{text}' is no label: KEY=VALUE is accepted"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn command(line: &str) -> Command {
        Cli::try_parse_from(line.split(' '))
            .unwrap()
            .into_command()
            .unwrap()
    }

    fn plan(line: &str) -> RunPlan {
        match command(line) {
            Command::Measure { plan, .. } => *plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_the_parameters_of_the_study() {
        let cpu = plan("wbench cpu");
        assert_eq!(
            cpu.test,
            Test::Cpu(CpuParams {
                max_prime: NonZeroU64::new(20000).unwrap()
            })
        );
        assert_eq!(
            cpu.limits,
            Limits {
                max_requests: Some(10000),
                ..Limits::default()
            }
        );
        let memory = plan("wbench memory");
        let Test::Memory(params) = memory.test else {
            panic!()
        };
        assert_eq!(
            (params.block_size_bytes, params.total_size_bytes),
            (1024, 100 << 30)
        );
        assert_eq!(
            (params.oper, memory.limits.max_time_s),
            (MemoryOper::Write, Some(300.0))
        );
        let fileio = plan("wbench fileio --mode rndrd");
        let Test::Fileio(params) = fileio.test else {
            panic!()
        };
        assert_eq!(
            (params.block_size_bytes, params.total_size_bytes),
            (4096, 8 << 30)
        );
        assert_eq!((params.files.get(), params.flags), (128, OpenFlags::Direct));
        assert_eq!(
            fileio.limits,
            Limits {
                max_time_s: Some(300.0),
                max_requests: Some(10000),
                forced_shutdown_s: None
            }
        );
        assert_eq!(plan("wbench fileio --mode seqrd").limits.max_requests, None);
    }

    #[test]
    fn zero_lifts_a_limit() {
        assert_eq!(
            plan("wbench fileio --mode rndrd --time 0 --events 0").limits,
            Limits::default()
        );
    }

    #[test]
    fn the_whole_job_needs_a_mode_and_a_step_of_it_does_not() {
        assert!(Cli::try_parse_from(["wbench", "fileio"]).is_err());
        assert!(Cli::try_parse_from(["wbench", "fileio", "run"]).is_err());
        assert!(matches!(
            command("wbench fileio prepare --files 4 --total-size 1M"),
            Command::Prepare { .. }
        ));
        assert!(matches!(
            command("wbench fileio cleanup"),
            Command::Cleanup { .. }
        ));
    }

    #[test]
    fn a_label_has_a_key_and_keeps_all_behind_the_first_equals_sign() {
        assert_eq!(plan("wbench cpu --label a=b=c").labels["a"], "b=c");
        assert!(Cli::try_parse_from(["wbench", "cpu", "--label", "=x"]).is_err());
        assert!(Cli::try_parse_from(["wbench", "cpu", "--label", "x"]).is_err());
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for time in ["-1", "NaN", "inf", "1e99", "1e-12", "ten", ""] {
            assert!(seconds(time).is_err(), "{time}");
        }
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
    }
}
