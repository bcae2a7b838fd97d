//! The native command line. Its defaults are the parameters of the study that the tool serves.

mod common;
mod cpu;
mod env;
mod fileio;
mod memory;
pub mod options;
mod suite;
mod sweep;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use super::compare::{CompareArgs, CompareJob, ShowArgs, ShowJob};
use crate::output::Destination;
use crate::plan::{FileHandling, FilePlan, RunPlan};

pub use common::Output;
pub use suite::SuiteJob;
pub use sweep::SweepJob;

use cpu::CpuArgs;
use env::EnvArgs;
use fileio::FileioCommand;
use memory::MemoryArgs;
use suite::SuiteArgs;
use sweep::SweepArgs;

/// Measures cpu, memory and file I/O the same way on bare metal, in VMs and in containers
#[derive(Debug, Parser)]
#[command(
    name = "wbench",
    version,
    after_help = "\
Examples:
  wbench fileio --mode seqwr            write 8G in 128 files with O_DIRECT, 4K at a time
  wbench memory --oper read --json -    the result as JSON on standard output
  wbench suite --scale 0.01             the study's seven measurements, small, in one table
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
    /// Measure all that a profile says, one after the other: the study in one command
    #[command(after_help = "\
Examples:
  wbench suite --scale 0.01 --dir /data            a first look, in seconds
  wbench suite --dir /data --label env=kvm         the study: up to half an hour
  wbench suite --dir /data --repeat 6 --resume     go on with what is missing of six rounds
  wbench suite --show > mine.toml                  a profile to change, for --profile mine.toml

Exit status: 0 done; 1 a measurement failed, and the others are done; 130 or 143 interrupted by
SIGINT or SIGTERM, with the results up to then, which --resume completes")]
    Suite(Box<SuiteArgs>),
    /// Run many instances at once, by commands that start them, and gather their results
    #[command(after_help = "\
Examples:
  wbench sweep --concurrency 1,2,4,8 --count 8 --dir /data --json all.json -- fileio --mode seqrd
  wbench sweep --concurrency 1,2,4,8 --count 8 --json all.json --launch native= \\
      --launch 'docker=docker run --rm -v {dir}:/data IMAGE wbench {args} --dir /data' \\
      -- fileio --mode seqrd
  wbench compare all.json --by env --vary concurrency     what came of it

Exit status: 0 all done; 1 an instance failed, and the others are done; 130 or 143 interrupted by
SIGINT or SIGTERM, with the results up to then, which --resume completes")]
    Sweep(Box<SweepArgs>),
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
    /// Measure all that a profile says.
    Suite(Box<SuiteJob>),
    /// Run many instances of a measurement at once.
    Sweep(Box<SweepJob>),
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

impl Cli {
    /// Understands words, the first of which is the program's name.
    // One copy of clap's large functions for all who ask.
    #[inline(never)]
    pub fn of(words: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }

    /// The command with every default filled in.
    ///
    /// Fails where values that are right one by one don't go together.
    #[inline(never)]
    pub fn into_command(self) -> Result<Command> {
        match self.command {
            Subcommands::Cpu(args) => args.into_command(),
            Subcommands::Memory(args) => args.into_command(),
            Subcommands::Fileio(command) => command.into_command(),
            Subcommands::Suite(args) => Ok(Command::Suite(Box::new(args.into_job()?))),
            Subcommands::Sweep(args) => Ok(Command::Sweep(Box::new(args.into_job()?))),
            Subcommands::Env(args) => Ok(args.into_command()),
            Subcommands::Compare(args) => Ok(Command::Compare(Box::new(args.into_job()))),
            Subcommands::Show(args) => Ok(Command::Show(args.into_job())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use clap::CommandFactory;

    use super::common::seconds;
    use super::*;
    use crate::plan::{CpuParams, Limits, MemoryOper, OpenFlags, Test};

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
