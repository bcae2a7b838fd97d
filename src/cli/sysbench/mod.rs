//! The command line of sysbench 0.4.12.

mod options;
mod plan;
mod values;

use anyhow::{Context, Result, bail, ensure};

use crate::plan::{FilePlan, RunPlan};
use crate::report::sysbench::{PrintedOptions, Verbosity};

pub use options::{GENERAL, Opt, TESTS, TestOptions, usage};

use options::{find, find_test, test_names};
use values::Values;

const COMMANDS: [&str; 5] = ["prepare", "run", "cleanup", "help", "version"];

/// Test of 0.4.12 that wbench does not have.
const MISSING_TEST: &str = "oltp";

/// Whether the argument is a command of 0.4.12 or starts like one of its options.
pub fn is_known_argument(argument: &str) -> bool {
    let option = argument.strip_prefix("--").map(|rest| {
        let name = rest.split_once('=').map_or(rest, |(name, _)| name);
        rest.starts_with("test") || find(name).is_some()
    });
    option.unwrap_or_else(|| COMMANDS.contains(&argument))
}

/// Command of an invocation.
#[derive(Debug)]
pub enum Command {
    /// Print the usage, as `--help` does.
    Usage,
    /// Print the options of a test, or else the usage.
    Help(Option<&'static TestOptions>),
    /// Print the version.
    Version,
    /// Run a test.
    Run {
        /// The validated run.
        plan: Box<RunPlan>,
        /// What to print of the options.
        printed: PrintedOptions,
    },
    /// Create test files.
    Prepare(FilePlan),
    /// Remove test files.
    Cleanup(FilePlan),
}

/// Parsed command line.
#[derive(Debug)]
pub struct Invocation {
    /// Command to execute.
    pub command: Command,
    /// Output level.
    pub verbosity: Verbosity,
}

/// Parses the arguments after the program name.
pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Result<Invocation> {
    let (values, command) = Values::read(arguments)?;
    let verbosity = values.verbosity()?;
    let command = match command {
        _ if values.switch("help") => Command::Usage,
        _ if values.switch("version") => Command::Version,
        Some("help") => Command::Help(values.test()?),
        Some("version") => Command::Version,
        Some(command) => values.command(command)?,
        None => bail!(
            "no command was given: one of {} is expected (see 'help')",
            COMMANDS.join(", ")
        ),
    };
    Ok(Invocation { command, verbosity })
}

impl Values<'_> {
    fn verbosity(&self) -> Result<Verbosity> {
        if self.switch("debug") {
            return Ok(Verbosity::DEBUG);
        }
        let level = self.number("verbosity", "a number from 0 to 5")?;
        ensure!(
            level <= 5,
            "--verbosity={level}: expected a number from 0 to 5"
        );
        Ok(Verbosity(level as u8))
    }

    fn command(&self, command: &str) -> Result<Command> {
        let test = self.test()?.with_context(|| {
            format!("--test=NAME is required: expected one of {}", test_names())
        })?;
        match (test.name, command) {
            (_, "run") => Ok(Command::Run {
                plan: Box::new(self.plan(test.name)?),
                printed: PrintedOptions {
                    validate: self.switch("validate"),
                    debug: self.switch("debug"),
                    endless: self.whole("max-requests").ok() == Some(0)
                        && self.whole("max-time").ok() == Some(0),
                },
            }),
            ("fileio", "prepare") => Ok(Command::Prepare(self.checked_files()?)),
            ("fileio", "cleanup") => Ok(Command::Cleanup(self.checked_files()?)),
            (test, command) => bail!("the {test} test has no command '{command}'"),
        }
    }

    /// Returns the test, if one was given. Fails if wbench does not have it.
    fn test(&self) -> Result<Option<&'static TestOptions>> {
        match self.text("test") {
            "" => Ok(None),
            MISSING_TEST => bail!(
                "--test={MISSING_TEST}: this test of sysbench is not part of this program; choose one of {}",
                test_names()
            ),
            name => find_test(name)
                .map(Some)
                .with_context(|| format!("--test={name}: expected one of {}", test_names())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::options::all;
    use super::*;
    use crate::plan::{CpuBound, CpuParams, IoMode, OpenFlags, Seed, Test};

    fn invocation(line: &str) -> Result<Invocation> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn plan(line: &str) -> RunPlan {
        match invocation(line).unwrap().command {
            Command::Run { plan, .. } => *plan,
            other => panic!("{other:?}"),
        }
    }

    fn error(line: &str) -> String {
        format!("{:#}", invocation(line).map(|i| i.command).expect_err(line))
    }

    #[test]
    fn options_and_command_come_in_any_order_and_the_last_of_a_repeated_option_counts() {
        let plan = plan("--cpu-max-prime=7 run --test=memory --test=cpu --cpu-max-prime=9");
        assert_eq!(
            plan.test,
            Test::Cpu(CpuParams {
                max_prime: NonZeroU64::new(9).unwrap(),
                bound: CpuBound::Integer,
            })
        );
    }

    #[test]
    fn a_flag_is_on_without_a_value_or_with_on_and_off_otherwise() {
        for (flag, on) in [
            ("--init-rng", true),
            ("--init-rng=on", true),
            ("--init-rng=yes", false),
            ("", false),
        ] {
            assert_eq!(
                plan(&format!("--test=cpu {flag} run")).seed.0.is_some(),
                on,
                "{flag}"
            );
        }
    }

    #[test]
    fn a_value_in_a_separate_argument_is_taken_for_a_command() {
        assert!(error("--test cpu run").contains("'cpu'"));
    }

    #[test]
    fn whole_numbers_take_no_suffix_and_invalid_ones_are_not_read_as_zero() {
        for value in ["10m", "2K", "-", "", "1.5", "0x10", "99999999999999999999"] {
            let error = error(&format!("--test=cpu --max-requests={value} run"));
            assert!(
                error.contains("--max-requests") && error.contains(value),
                "{error}"
            );
            assert!(error.contains("whole number"), "{error}");
        }
    }

    #[test]
    fn forced_shutdown_takes_seconds_or_a_percentage_of_the_time_limit() {
        let seconds = |value: &str| {
            plan(&format!(
                "--test=cpu --max-time=40 --forced-shutdown{value} run"
            ))
            .limits
            .forced_shutdown_s
        };
        assert_eq!(seconds("=off"), None);
        assert_eq!(seconds("=7"), Some(7.0));
        assert_eq!(seconds("=10%"), Some(4.0));
        assert_eq!(seconds(""), Some(2.0));
        assert!(error("--test=cpu --max-time=40 --forced-shutdown=x run").contains("percentage"));
    }

    #[test]
    fn the_defaults_are_those_of_0_4_12() {
        let plan = plan("--test=fileio --file-test-mode=rndrw run");
        let Test::Fileio(params) = plan.test else {
            panic!()
        };
        assert_eq!(
            (
                params.files.get(),
                params.block_size_bytes,
                params.total_size_bytes
            ),
            (128, 16384, 2 << 30)
        );
        assert_eq!(
            (params.fsync_freq, params.fsync_end, params.rw_ratio),
            (100, true, 1.5)
        );
        assert_eq!(
            (params.flags, plan.limits.max_requests, plan.percentile),
            (OpenFlags::None, Some(10000), 95)
        );
        assert_eq!(plan.seed, Seed(None));
    }

    #[test]
    fn values_that_0_4_12_accepts_are_accepted() {
        let fileio = |option: &str| {
            let line = format!("--test=fileio --file-test-mode=rndrw {option} run");
            match plan(&line).test {
                Test::Fileio(params) => params,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(fileio("--file-extra-flags").flags, OpenFlags::None);
        assert_eq!(fileio("--file-io-mode=").io_mode, IoMode::Sync);
        assert_eq!(fileio("--file-async-backlog=0").depth.get(), 1);
        assert!(fileio("--file-rw-ratio=inf").rw_ratio > 1e30);
        for option in ["--max-requests=-1", "--max-time=-1"] {
            let limits = plan(&format!("--test=cpu --max-requests=9 {option} run")).limits;
            assert_eq!(limits.max_time_s, None, "{option}");
        }
        assert_eq!(
            plan("--test=cpu --max-requests=-1 run").limits.max_requests,
            None
        );
    }

    #[test]
    fn no_requests_are_no_limit_for_memory_and_fileio_only() {
        for (test, max_requests) in [
            ("cpu", Some(0)),
            ("threads", Some(0)),
            ("mutex", Some(0)),
            ("memory", None),
            ("fileio --file-test-mode=rndrd", None),
        ] {
            let plan = plan(&format!("--test={test} --max-requests=0 run"));
            assert_eq!(plan.limits.max_requests, max_requests, "{test}");
        }
    }

    #[test]
    fn the_ratio_of_reads_to_writes_is_a_32_bit_number() {
        let plan = plan("--test=fileio --file-test-mode=rndrw --file-rw-ratio=1.6 run");
        let Test::Fileio(params) = plan.test else {
            panic!()
        };
        assert_eq!(params.rw_ratio, f64::from(1.6f32));
    }

    #[test]
    fn errors_of_test_options_name_the_accepted_values() {
        for (line, part) in [
            ("--test=fileio --file-test-mode=seq run", "seqrewr"),
            ("--test=fileio run", "--file-test-mode"),
            (
                "--test=fileio --file-test-mode=rndrd --file-extra-flags=odirect run",
                "direct",
            ),
            ("--test=memory --memory-oper=copy run", "read, write, none"),
            ("--test=oltp run", "not part of this program"),
            (
                "--test=fileio --file-test-mode=rndrd --file-io-mode=fast run",
                "async",
            ),
            (
                "--test=fileio --file-test-mode=rndrd --file-async-backlog=-1 run",
                "--file-async-backlog",
            ),
            (
                "--test=fileio --file-test-mode=rndrd --file-extra-flags=none run",
                "one of sync, dsync, direct",
            ),
            (
                "--test=fileio --file-rw-ratio=much prepare",
                "--file-rw-ratio",
            ),
            ("--test=fileio --num-threads=0 cleanup", "--num-threads"),
            ("--test=fileio --file-num=99999999999 prepare", "--file-num"),
            ("--test=cpu --no-such=1 run", "--no-such"),
        ] {
            assert!(error(line).contains(part), "{line}: {}", error(line));
        }
    }

    #[test]
    fn the_usage_and_the_help_of_the_tests_name_every_option() {
        let text = TESTS.iter().fold(usage(), |text, test| text + &test.help());
        assert!(all().all(|option| text.contains(&format!("--{}=", option.name))));
    }

    #[test]
    fn help_for_a_test_lists_its_options_in_the_columns_of_0_4_12() {
        for line in ["--test=mutex help", "help --test=mutex"] {
            let Command::Help(Some(test)) = invocation(line).unwrap().command else {
                panic!("{line}");
            };
            assert_eq!(
                test.help(),
                "mutex options:\n  \
                 --mutex-num=N        total size of mutex array [4096]\n  \
                 --mutex-locks=N      number of mutex locks to do per thread [50000]\n  \
                 --mutex-loops=N      number of empty loops to do inside mutex lock [10000]\n\n"
            );
        }
        assert!(matches!(
            invocation("help").unwrap().command,
            Command::Help(None)
        ));
        assert!(error("--test=oltp help").contains("not part of this program"));
    }
}
