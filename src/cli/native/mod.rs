//! The native command line. Its defaults are the parameters of the KEK study (HEPiX 2015).

mod block_sizes;
mod common;
mod cpu;
mod env;
mod fileio;
mod launched;
mod memory;
mod mutex;
mod numbers;
pub mod options;
mod suite;
mod sweep;
mod threads;
mod trial;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Error, Result};
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::compare::{CompareArgs, CompareJob};
use super::show::{ShowArgs, ShowJob};
use crate::error::describe;
use crate::output::Destination;
use crate::plan::{FileHandling, FilePlan, RunPlan};

pub use common::Output;
pub use memory::{SeriesJob, SeriesPoint};
pub use suite::SuiteJob;
pub use sweep::SweepJob;
pub use trial::TrialJob;

use cpu::CpuArgs;
use env::EnvArgs;
use fileio::FileioCommand;
use memory::MemoryArgs;
use mutex::MutexArgs;
use suite::SuiteArgs;
use sweep::SweepArgs;
use threads::ThreadsArgs;
use trial::TrialArgs;

/// Measure CPU, memory and file I/O the same way on bare metal, in VMs and in containers
#[derive(Debug, Parser)]
#[command(
    name = "wbench",
    version,
    after_help = "\
Examples:
  wbench fileio --mode seqwr            write 8G in 128 files with O_DIRECT, in 4K requests
  wbench memory --oper read --json -    print the result as JSON on standard output
  wbench suite --scale 0.01             a quick trial of all tests, scaled down, in one table
  wbench env                            describe this machine, with warnings

wbench also accepts the command line of sysbench 0.4.12: wbench --test=cpu run. Started under
the name sysbench, it accepts those of 0.4.12 and 1.0: sysbench cpu run.

Exit status: 0 success; 1 failure; 2 invalid command line; 128 + N interrupted by signal N
(129 SIGHUP, 130 SIGINT, 131 SIGQUIT, 143 SIGTERM), with the results measured up to then."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Count primes by trial division with 64-bit divide instructions
    #[command(after_help = "Example:\n  wbench cpu --threads 4 --time 60 --events 0")]
    Cpu(Box<CpuArgs>),
    /// Read or write a block of memory repeatedly, or measure its latency
    #[command(after_help = "\
Examples:
  wbench memory --oper read --block-size 1M --total-size 1T --time 30
  wbench memory --oper chase --block-size 64M --time 5         latency of dependent loads
  wbench memory --oper chase --block-size 4K..256M --time 1    latency of all caches")]
    Memory(Box<MemoryArgs>),
    /// Read and write a set of files: prepare, run and clean up, or a single step
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "\
Examples:
  wbench fileio --mode rndrd --dir /data         prepare, run and clean up in /data
  wbench fileio prepare --dir /data              create the test files
  wbench fileio run --mode rndrw --dir /data     run on existing test files
  wbench fileio cleanup --dir /data              remove the test files"
    )]
    Fileio(Box<FileioCommand>),
    /// Yield the CPU with a mutex locked: the cost of the scheduler, sleeping and waking
    #[command(after_help = "\
Examples:
  wbench threads --threads 4                 4 threads that contend for 8 mutexes
  wbench threads --threads 2 --locks 1       2 threads that contend for one mutex")]
    Threads(Box<ThreadsArgs>),
    /// Lock and unlock mutexes chosen at random: the cost of locks
    #[command(after_help = "\
Examples:
  wbench mutex --threads 4                              4 threads, 4096 mutexes
  wbench mutex --threads 4 --mutexes 1 --loops 0        4 threads that contend for one mutex")]
    Mutex(Box<MutexArgs>),
    /// Run all measurements of a profile in sequence, by default those of the KEK study
    #[command(after_help = "\
Examples:
  wbench suite --scale 0.01 --dir /data            a quick trial
  wbench suite --dir /data --repeat 6              the study, six times
  wbench suite --dir /data --repeat 6 --resume     run what is missing of six rounds
  wbench suite --show > mine.toml                  a profile to edit, for --profile mine.toml

Exit status: 0 success; 1 at least one measurement failed; 2 invalid command line; 128 + N
interrupted by signal N: the results so far are saved, --resume runs the rest")]
    Suite(Box<SuiteArgs>),
    /// Run many instances of a measurement concurrently, in one or more environments
    #[command(after_help = "\
Examples:
  wbench sweep --concurrency 1,2,4,8 --count 8 --dir /data --json all.json -- fileio --mode seqrd
  wbench sweep --concurrency 1,2,4,8 --count 8 --json all.json --launch native= \\
      --launch 'docker=docker run --rm -v {dir}:/data IMAGE wbench {args} --dir /data' \\
      -- fileio --mode seqrd
  wbench compare all.json --by env --vary concurrency

Exit status: 0 success; 1 at least one instance failed; 2 invalid command line; 128 + N
interrupted by signal N: the results so far are saved, --resume runs the rest")]
    Sweep(Box<SweepArgs>),
    /// Decide whether environments differ: paired runs in random order until it is certain
    #[command(after_help = "\
Examples:
  wbench trial --json all.json --launch native= \\
      --launch 'docker=docker run --rm IMAGE wbench {args}' -- cpu
  wbench trial --aa --margin 1% --launch native= \\
      --launch 'docker=docker run --rm IMAGE wbench {args}' -- memory --oper read
  wbench compare all.json --by env

Exit status: 0 nothing is slower than the baseline by more than the margin; 1 something is;
2 undecided, failed or invalid command line; 128 + N interrupted by signal N: the blocks so far
are saved, --resume continues")]
    Trial(Box<TrialArgs>),
    /// Describe this machine, its clock and its storage, with warnings about misleading results
    #[command(after_help = "Example:\n  wbench env --dir /data")]
    Env(EnvArgs),
    /// Compare results: size and significance of differences, and what else differed
    #[command(after_help = "\
Examples:
  wbench compare native/ docker/ kvm/                     three directories, the first is the baseline
  wbench compare runs/ --by env --vary concurrency        group by a label, vary another
  wbench compare old.log new.json --metric rate,p95       a sysbench log and a result
  wbench compare main/ branch/ --fail-above 5%            a threshold for CI

Exit status: 0 success; 1 a change is worse than --fail-above; 2 inconclusive, unreadable input
or invalid command line")]
    Compare(Box<CompareArgs>),
    /// Print the report of a result file
    #[command(after_help = "Example:\n  wbench show result.json --format sysbench")]
    Show(ShowArgs),
}

/// What a command line asks for, with all defaults filled in.
#[derive(Debug)]
pub enum Action {
    /// Run one measurement.
    Measure {
        /// What to measure.
        plan: Box<RunPlan>,
        /// Which steps of a file I/O job to do.
        files: FileHandling,
        /// Where the result goes.
        output: Output,
    },
    /// Run the memory test with several block sizes.
    Series(Box<SeriesJob>),
    /// Create test files.
    Prepare {
        /// The file set.
        files: FilePlan,
        /// Print no progress.
        quiet: bool,
    },
    /// Remove test files.
    Cleanup {
        /// The file set.
        files: FilePlan,
    },
    /// Run all measurements of a profile.
    Suite(Box<SuiteJob>),
    /// Run many instances of a measurement concurrently.
    Sweep(Box<SweepJob>),
    /// Compare environments until the comparison is decided.
    Trial(Box<TrialJob>),
    /// Describe the machine.
    Env {
        /// The directory whose storage to describe.
        dir: PathBuf,
        /// Where to write JSON; None for text.
        json: Option<Destination>,
    },
    /// Compare results.
    Compare(Box<CompareJob>),
    /// Print reports of result files.
    Show(ShowJob),
}

impl Cli {
    /// Parses arguments, of which the first is the program's name.
    // Never inlined: one copy of clap's large functions for all callers.
    #[inline(never)]
    pub fn of(args: Vec<OsString>) -> Result<Self, clap::Error> {
        let matches = with_negative_numbers(Self::command()).try_get_matches_from(args)?;
        Self::from_arg_matches(&matches)
    }

    /// Returns the action with all defaults filled in.
    ///
    /// Fails if arguments that are valid one by one contradict each other.
    #[inline(never)]
    pub fn into_action(self) -> Result<Action> {
        match self.command {
            Subcommands::Cpu(args) => args.into_action(),
            Subcommands::Memory(args) => args.into_action(),
            Subcommands::Fileio(command) => command.into_action(),
            Subcommands::Threads(args) => args.into_action(),
            Subcommands::Mutex(args) => args.into_action(),
            Subcommands::Suite(args) => Ok(Action::Suite(Box::new(args.into_job()?))),
            Subcommands::Sweep(args) => Ok(Action::Sweep(Box::new(args.into_job()?))),
            Subcommands::Trial(args) => {
                // Exit status 1 is reserved for a slower environment.
                let job = args.into_job().map_err(as_usage_error)?;
                Ok(Action::Trial(Box::new(job)))
            }
            Subcommands::Env(args) => Ok(args.into_action()),
            Subcommands::Compare(args) => Ok(Action::Compare(Box::new(args.into_job()))),
            Subcommands::Show(args) => Ok(Action::Show(args.into_job())),
        }
    }
}

/// Turns an error in arguments that are valid one by one into one of the command line, with its exit
/// status.
fn as_usage_error(error: Error) -> Error {
    match error.downcast::<clap::Error>() {
        Ok(error) => error.into(),
        Err(error) => {
            let message = format!("{}\n", describe(&error));
            clap::Error::raw(ErrorKind::ValueValidation, message).into()
        }
    }
}

/// Passes negative numbers to the parsers of the options, whose errors state what is accepted.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let accept = |arg: Arg| match arg.is_positional() || !arg.get_action().takes_values() {
        true => arg,
        false => arg.allow_negative_numbers(true),
    };
    command
        .mut_args(accept)
        .mut_subcommands(with_negative_numbers)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::common::seconds;
    use super::*;
    use crate::plan::{CpuBound, CpuParams, Limits, MemoryOper, OpenFlags, Test};

    fn command(line: &str) -> Action {
        Cli::try_parse_from(line.split(' '))
            .unwrap()
            .into_action()
            .unwrap()
    }

    fn plan(line: &str) -> RunPlan {
        match command(line) {
            Action::Measure { plan, .. } => *plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_parameters_of_the_study() {
        let cpu = plan("wbench cpu");
        assert_eq!(
            cpu.test,
            Test::Cpu(CpuParams {
                max_prime: NonZeroU64::new(20000).unwrap(),
                bound: CpuBound::Integer,
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
    fn zero_means_no_limit() {
        assert_eq!(
            plan("wbench fileio --mode rndrd --time 0 --events 0").limits,
            Limits::default()
        );
    }

    #[test]
    fn the_whole_job_and_run_require_a_mode_prepare_and_cleanup_do_not() {
        assert!(Cli::try_parse_from(["wbench", "fileio"]).is_err());
        assert!(Cli::try_parse_from(["wbench", "fileio", "run"]).is_err());
        assert!(matches!(
            command("wbench fileio prepare --files 4 --total-size 1M"),
            Action::Prepare { .. }
        ));
        assert!(matches!(
            command("wbench fileio cleanup"),
            Action::Cleanup { .. }
        ));
    }

    #[test]
    fn a_label_splits_at_its_first_equals_sign() {
        assert_eq!(plan("wbench cpu --label a=b=c").labels["a"], "b=c");
        assert!(Cli::try_parse_from(["wbench", "cpu", "--label", "=x"]).is_err());
        assert!(Cli::try_parse_from(["wbench", "cpu", "--label", "x"]).is_err());
    }

    #[test]
    fn invalid_times_are_refused() {
        for time in ["-1", "NaN", "inf", "1e99", "1e-12", "ten", ""] {
            assert!(seconds(time).is_err(), "{time}");
        }
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
    }
}
