//! The command line of sysbench 0.4.12.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use super::LONGEST_SECONDS;
use crate::plan::{
    ClockChoice, CpuParams, FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode, Limits,
    MAX_DEPTH, MemoryAccess, MemoryOper, MemoryParams, MemoryScope, OpenFlags, RunPlan, Seed, Test,
};
use crate::report::sysbench::Verbosity;
use crate::size::Size;

/// An option: its name, what it takes, its default, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Opt(
    /// Its name, without the dashes.
    pub &'static str,
    /// What stands behind the `=`; in brackets where that may be left out.
    pub &'static str,
    /// Its default, empty where it has none.
    pub &'static str,
    /// What it means.
    pub &'static str,
);

const GENERAL: &[Opt] = &[
    Opt("num-threads", "N", "1", "number of threads to use"),
    Opt(
        "max-requests",
        "N",
        "10000",
        "limit for total number of requests, 0 for none",
    ),
    Opt(
        "max-time",
        "N",
        "0",
        "limit for total execution time in seconds, 0 for none",
    ),
    Opt(
        "forced-shutdown",
        "off|N|N%",
        "off",
        "time after max-time at which a hanging run is ended",
    ),
    Opt(
        "thread-stack-size",
        "SIZE",
        "32K",
        "size of stack per thread",
    ),
    Opt(
        "init-rng",
        "[on|off]",
        "off",
        "seed the random number generator from the time",
    ),
    Opt("test", "NAME", "", "test to run: cpu, memory, fileio"),
    Opt("debug", "[on|off]", "off", "print more debugging info"),
    Opt(
        "validate",
        "[on|off]",
        "off",
        "check requests where that is possible",
    ),
    Opt(
        "verbosity",
        "N",
        "4",
        "5 debug, 4 info, 3 notice, 2 warning, 1 alert, 0 only critical",
    ),
    Opt(
        "percentile",
        "N",
        "95",
        "percentile of response times to report, 1 to 100",
    ),
    Opt("help", "[on|off]", "off", "print help on general options"),
    Opt("version", "[on|off]", "off", "print version"),
    Opt(
        "batch",
        "[on|off]",
        "off",
        "print statistics during the run",
    ),
    Opt(
        "batch-delay",
        "SECONDS",
        "300",
        "time between two such statistics",
    ),
];

const CPU: &[Opt] = &[Opt(
    "cpu-max-prime",
    "N",
    "10000",
    "upper limit for primes generator",
)];

const MEMORY: &[Opt] = &[
    Opt(
        "memory-block-size",
        "SIZE",
        "1K",
        "size of memory block, a multiple of 4",
    ),
    Opt(
        "memory-total-size",
        "SIZE",
        "100G",
        "total size of data to transfer",
    ),
    Opt(
        "memory-scope",
        "global|local",
        "global",
        "one block for all threads, or one each",
    ),
    Opt(
        "memory-hugetlb",
        "[on|off]",
        "off",
        "allocate memory from the pool of huge pages",
    ),
    Opt(
        "memory-oper",
        "read|write|none",
        "write",
        "type of memory operations",
    ),
    Opt("memory-access-mode", "seq|rnd", "seq", "memory access mode"),
];

const FILEIO: &[Opt] = &[
    Opt("file-num", "N", "128", "number of files"),
    Opt(
        "file-block-size",
        "SIZE",
        "16384",
        "block size of all requests",
    ),
    Opt("file-total-size", "SIZE", "2G", "total size of all files"),
    Opt(
        "file-test-mode",
        "MODE",
        "",
        "seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw",
    ),
    Opt(
        "file-io-mode",
        "MODE",
        "sync",
        "sync, async, mmap (fastmmap, slowmmap)",
    ),
    Opt(
        "file-async-backlog",
        "N",
        "128",
        "asynchronous requests in flight per thread",
    ),
    Opt(
        "file-extra-flags",
        "FLAGS",
        "",
        "additional flags of open(2): sync, dsync, direct",
    ),
    Opt(
        "file-fsync-freq",
        "N",
        "100",
        "fsync() after this many requests, 0 for never",
    ),
    Opt(
        "file-fsync-all",
        "[on|off]",
        "off",
        "fsync() after each write",
    ),
    Opt(
        "file-fsync-end",
        "[on|off]",
        "on",
        "fsync() at the end of the test",
    ),
    Opt("file-fsync-mode", "MODE", "fsync", "fsync, fdatasync"),
    Opt(
        "file-merged-requests",
        "N",
        "0",
        "merge at most this many sequential requests",
    ),
    Opt(
        "file-rw-ratio",
        "N",
        "1.5",
        "reads/writes ratio of the combined test",
    ),
];

/// All options, under the headings of the usage.
pub const OPTIONS: [(&str, &[Opt]); 4] = [
    ("General options", GENERAL),
    ("cpu options", CPU),
    ("memory options", MEMORY),
    ("fileio options", FILEIO),
];

const COMMANDS: [&str; 5] = ["prepare", "run", "cleanup", "help", "version"];

/// Tests that 0.4.12 has and this program has not.
const OTHER_TESTS: [&str; 3] = ["threads", "mutex", "oltp"];

/// The word is a command of 0.4.12, or begins as one of its options does.
pub fn is_known_word(word: &str) -> bool {
    let option = word.strip_prefix("--").map(|rest| {
        let name = rest.split_once('=').map_or(rest, |(name, _)| name);
        rest.starts_with("test") || find(name).is_some()
    });
    option.unwrap_or_else(|| COMMANDS.contains(&word))
}

fn find(name: &str) -> Option<&'static Opt> {
    all().find(|option| option.0 == name)
}

fn all() -> impl Iterator<Item = &'static Opt> {
    OPTIONS.iter().flat_map(|(_, options)| *options)
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Print this, and fail or not.
    Help,
    /// Print the version.
    Version,
    /// Measure.
    Run {
        /// What.
        plan: Box<RunPlan>,
        /// `--validate` was given; for the tests that have nothing to check it changes one line.
        validate: bool,
    },
    /// Make test files.
    Prepare(FilePlan),
    /// Remove test files.
    Cleanup(FilePlan),
}

/// What is to be done, and how much is to be said of it.
#[derive(Debug)]
pub struct Invocation {
    /// What.
    pub command: Command,
    /// How much.
    pub verbosity: Verbosity,
}

/// Understands the words after the program's name.
pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Invocation> {
    let (values, command) = Values::read(words)?;
    let verbosity = values.verbosity()?;
    let command = match command {
        _ if values.switch("help") => Command::Help,
        _ if values.switch("version") => Command::Version,
        Some("help") => Command::Help,
        Some("version") => Command::Version,
        Some(command) => values.command(command)?,
        None => bail!(
            "no command was given: one of {} is expected (see 'help')",
            COMMANDS.join(", ")
        ),
    };
    Ok(Invocation { command, verbosity })
}

/// The options that were given; those that were not have their defaults.
struct Values<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Values<'a> {
    /// Divides the words into options and the one command.
    fn read<S: AsRef<str>>(words: &'a [S]) -> Result<(Self, Option<&'a str>)> {
        let mut values = BTreeMap::new();
        let mut command = None;
        for word in words.iter().map(AsRef::as_ref) {
            let Some(option) = word.strip_prefix("--") else {
                ensure!(
                    COMMANDS.contains(&word),
                    "'{word}' is no command: one of {} is expected",
                    COMMANDS.join(", ")
                );
                ensure!(
                    command.is_none(),
                    "more than one command was given: '{word}' is the second"
                );
                command = Some(word);
                continue;
            };
            let (name, value) = option.split_once('=').unwrap_or((option, "on"));
            ensure!(find(name).is_some(), "unknown option --{name} (see 'help')");
            values.insert(name, value);
        }
        Ok((Self(values), command))
    }

    fn text(&self, name: &str) -> &str {
        let default = || find(name).map_or("", |option| option.2);
        self.0.get(name).copied().unwrap_or_else(default)
    }

    /// A flag alone or `=on` is on, anything else off.
    fn switch(&self, name: &str) -> bool {
        self.text(name) == "on"
    }

    fn number(&self, name: &str, accepted: &str) -> Result<u64> {
        let text = self.text(name);
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .with_context(|| format!("--{name}={text}: {accepted} is accepted"))
    }

    fn whole(&self, name: &str) -> Result<u64> {
        self.number(name, "a whole number, 0 or more,")
    }

    fn positive(&self, name: &str) -> Result<NonZeroU64> {
        let accepted = "a whole number, 1 or more,";
        NonZeroU64::new(self.number(name, accepted)?)
            .with_context(|| format!("--{name}={}: {accepted} is accepted", self.text(name)))
    }

    fn size(&self, name: &str) -> Result<u64> {
        let text = self.text(name);
        let Size(bytes) = text.parse().with_context(|| format!("--{name}={text}"))?;
        ensure!(bytes > 0, "--{name}={text}: a size above 0 is accepted");
        Ok(bytes)
    }

    fn one_of<T: Copy>(&self, name: &str, accepted: &[(&str, T)]) -> Result<T> {
        let text = self.text(name);
        let found = accepted.iter().find(|(word, _)| *word == text);
        found.map(|&(_, value)| value).with_context(|| {
            let words: Vec<&str> = accepted.iter().map(|(word, _)| *word).collect();
            let words = words.join(", ");
            match text {
                "" => format!(
                    "--{name} is needed: one of {}",
                    words.trim_start_matches(", ")
                ),
                _ => format!(
                    "--{name}={text}: one of {} is accepted",
                    words.trim_start_matches(", ")
                ),
            }
        })
    }

    fn verbosity(&self) -> Result<Verbosity> {
        if self.switch("debug") {
            return Ok(Verbosity::DEBUG);
        }
        let level = self.number("verbosity", "a number from 0 to 5")?;
        ensure!(
            level <= 5,
            "--verbosity={level}: a number from 0 to 5 is accepted"
        );
        Ok(Verbosity(level as u8))
    }

    fn command(&self, command: &str) -> Result<Command> {
        let test = self.text("test");
        match (test, command) {
            ("cpu" | "memory", "run") | ("fileio", "run") => Ok(Command::Run {
                plan: Box::new(self.plan(test)?),
                validate: self.switch("validate"),
            }),
            ("fileio", "prepare") => Ok(Command::Prepare(self.files()?)),
            ("fileio", "cleanup") => Ok(Command::Cleanup(self.files()?)),
            ("cpu" | "memory", command) => bail!("the {test} test has no command '{command}'"),
            ("", _) => bail!("--test=NAME is needed: one of cpu, memory, fileio"),
            (other, _) if OTHER_TESTS.contains(&other) => bail!(
                "--test={other}: this test of sysbench is not part of this program: one of cpu, memory, fileio is accepted"
            ),
            (other, _) => bail!("--test={other}: one of cpu, memory, fileio is accepted"),
        }
    }

    fn plan(&self, test: &str) -> Result<RunPlan> {
        let mut limits = self.limits()?;
        let (test, files) = match test {
            "cpu" => (Test::Cpu(self.cpu()?), None),
            "memory" => {
                limits.max_requests = None;
                (Test::Memory(self.memory()?), None)
            }
            _ => {
                let files = self.files()?;
                let params = self.fileio(files.set)?;
                if params.mode.is_sequential() {
                    limits.max_requests = None;
                }
                (Test::Fileio(params), Some(files))
            }
        };
        let percentile = self.number("percentile", "a number from 1 to 100")?;
        ensure!(
            (1..=100).contains(&percentile),
            "--percentile={percentile}: a number from 1 to 100 is accepted"
        );
        let stack_size = usize::try_from(self.size("thread-stack-size")?)?;
        Ok(RunPlan {
            test,
            threads: NonZeroUsize::try_from(self.positive("num-threads")?)?,
            limits,
            percentile: percentile as u8,
            seed: Seed(self.switch("init-rng").then(seconds_of_now)),
            pin: false,
            clock: ClockChoice::Auto,
            report_interval: self.batch()?,
            // A smaller stack than the runtime's own would save nothing but address space.
            stack_size: (stack_size > DEFAULT_STACK).then_some(stack_size),
            labels: BTreeMap::new(),
            files,
        })
    }

    fn batch(&self) -> Result<Option<Duration>> {
        let delay = self.positive("batch-delay")?.get();
        self.within_reach("batch-delay", delay as f64)?;
        Ok(self.switch("batch").then_some(Duration::from_secs(delay)))
    }

    /// Fails where an option asks for a time that no clock reaches.
    fn within_reach(&self, name: &str, seconds: f64) -> Result<f64> {
        ensure!(
            seconds <= LONGEST_SECONDS,
            "--{name}={}: at most {LONGEST_SECONDS} seconds are accepted",
            self.text(name)
        );
        Ok(seconds)
    }

    fn limits(&self) -> Result<Limits> {
        let max_time = self.within_reach("max-time", self.whole("max-time")? as f64)?;
        let max_requests = self.whole("max-requests")?;
        let forced_shutdown = self.forced_shutdown(max_time)?;
        Ok(Limits {
            max_time_s: (max_time > 0.0).then_some(max_time),
            max_requests: (max_requests > 0).then_some(max_requests),
            // Without a time limit there is nothing that it could come after.
            forced_shutdown_s: forced_shutdown.filter(|_| max_time > 0.0),
        })
    }

    /// Seconds after the time limit.
    fn forced_shutdown(&self, max_time: f64) -> Result<Option<f64>> {
        let name = "forced-shutdown";
        let text = self.text(name);
        let number = |digits: &str| -> Result<f64> {
            let digits = digits.parse::<u64>().ok().with_context(|| {
                format!("--{name}={text}: off, seconds, or a percentage such as 5% is accepted")
            })?;
            Ok(digits as f64)
        };
        let seconds = match text {
            "off" => return Ok(None),
            "on" => max_time * 0.05,
            _ => match text.strip_suffix('%') {
                Some(digits) => max_time * number(digits)? / 100.0,
                None => number(text)?,
            },
        };
        self.within_reach(name, seconds).map(Some)
    }

    fn cpu(&self) -> Result<CpuParams> {
        Ok(CpuParams {
            max_prime: self.positive("cpu-max-prime")?,
        })
    }

    fn memory(&self) -> Result<MemoryParams> {
        let scopes = [
            ("global", MemoryScope::Global),
            ("local", MemoryScope::Local),
        ];
        let opers = [
            ("read", MemoryOper::Read),
            ("write", MemoryOper::Write),
            ("none", MemoryOper::None),
        ];
        let modes = [("seq", MemoryAccess::Seq), ("rnd", MemoryAccess::Rnd)];
        MemoryParams {
            block_size_bytes: self.size("memory-block-size")?,
            total_size_bytes: self.size("memory-total-size")?,
            oper: self.one_of("memory-oper", &opers)?,
            scope: self.one_of("memory-scope", &scopes)?,
            access: self.one_of("memory-access-mode", &modes)?,
            hugetlb: self.switch("memory-hugetlb"),
        }
        .validated()
    }

    fn files(&self) -> Result<FilePlan> {
        let count = self.positive("file-num")?;
        let files = NonZeroU32::try_from(count)
            .with_context(|| format!("--file-num={count}: at most {} is accepted", u32::MAX))?;
        let (total, block) = (self.size("file-total-size")?, self.size("file-block-size")?);
        Ok(FilePlan {
            dir: PathBuf::from("."),
            set: FileSet::new(total, files, block)?,
            validate: self.switch("validate"),
            recreate: true,
        })
    }

    fn fileio(&self, set: FileSet) -> Result<FileioParams> {
        use FileMode::{Rndrd, Rndrw, Rndwr, Seqrd, Seqrewr, Seqwr};
        let modes = [Seqwr, Seqrewr, Seqrd, Rndrd, Rndwr, Rndrw].map(|mode| (mode.name(), mode));
        let flags = [
            ("", OpenFlags::None),
            ("none", OpenFlags::None),
            ("sync", OpenFlags::Sync),
            ("dsync", OpenFlags::Dsync),
            ("direct", OpenFlags::Direct),
        ];
        let fsyncs = [
            ("fsync", FsyncMode::Fsync),
            ("fdatasync", FsyncMode::Fdatasync),
        ];
        let backlog = self.positive("file-async-backlog")?;
        let depth = NonZeroU32::try_from(backlog).with_context(|| {
            format!("--file-async-backlog={backlog}: at most {MAX_DEPTH} is accepted")
        })?;
        let ratio = self.text("file-rw-ratio");
        // 0.4.12 maps whole files where addresses have 64 bits, whichever of its words was given.
        let io_modes = [
            ("sync", IoMode::Sync),
            ("async", IoMode::Aio),
            ("mmap", IoMode::Mmap),
            ("fastmmap", IoMode::Mmap),
            ("slowmmap", IoMode::Mmap),
        ];
        FileioParams {
            mode: self.one_of("file-test-mode", &modes)?,
            io_mode: self.one_of("file-io-mode", &io_modes)?,
            depth,
            block_size_bytes: set.block_size,
            total_size_bytes: set.total_size(),
            files: set.files,
            flags: self.one_of("file-extra-flags", &flags)?,
            fsync_freq: self.count("file-fsync-freq")?,
            fsync_all: self.switch("file-fsync-all"),
            fsync_end: self.switch("file-fsync-end"),
            fsync_mode: self.one_of("file-fsync-mode", &fsyncs)?,
            merged_requests: self.count("file-merged-requests")?,
            rw_ratio: ratio.parse().ok().with_context(|| {
                format!("--file-rw-ratio={ratio}: a number, 0 or more, is accepted")
            })?,
            validate: self.switch("validate"),
            drop_cache: false,
        }
        .validated(set)
    }

    fn count(&self, name: &str) -> Result<u32> {
        let number = self.whole(name)?;
        u32::try_from(number)
            .with_context(|| format!("--{name}={number}: at most {} is accepted", u32::MAX))
    }
}

/// The stack that the Rust runtime gives a thread.
const DEFAULT_STACK: usize = 2 << 20;

/// The time in seconds, as far as a seed of srand48(3) holds it.
fn seconds_of_now() -> u32 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}

/// The usage, with every option and its default.
pub fn usage() -> String {
    let mut text = String::from(
        "Usage:\n  sysbench [general-options]... --test=<test-name> [test-options]... command\n",
    );
    for (title, options) in OPTIONS {
        text.push_str(&format!("\n{title}:\n"));
        for Opt(name, takes, default, about) in options {
            let option = format!("--{name}={takes}");
            let default = match *default {
                "" => String::new(),
                default => format!(" [{default}]"),
            };
            text.push_str(&format!("  {option:<36} {about}{default}\n"));
        }
    }
    text.push_str(&format!("\nCommands: {}\n", COMMANDS.join(" ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
                max_prime: NonZeroU64::new(9).unwrap()
            })
        );
    }

    #[test]
    fn a_flag_is_on_alone_or_with_on_and_off_with_anything_else() {
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
    fn a_value_in_an_argument_of_its_own_is_read_as_a_command() {
        assert!(error("--test cpu run").contains("'cpu'"));
    }

    #[test]
    fn whole_numbers_take_no_suffix_and_nothing_is_read_as_zero() {
        for value in ["10m", "2K", "-1", "", "1.5", "0x10", "99999999999999999999"] {
            let error = error(&format!("--test=cpu --max-requests={value} run"));
            assert!(
                error.contains("--max-requests") && error.contains(value),
                "{error}"
            );
            assert!(error.contains("whole number"), "{error}");
        }
    }

    #[test]
    fn forced_shutdown_takes_seconds_or_a_share_of_the_time_limit() {
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
    fn the_test_options_name_what_they_accept() {
        for (line, word) in [
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
                "--test=fileio --file-test-mode=rndrd --file-async-backlog=0 run",
                "--file-async-backlog",
            ),
            ("--test=fileio --file-num=99999999999 prepare", "--file-num"),
            ("--test=cpu --no-such=1 run", "--no-such"),
        ] {
            assert!(error(line).contains(word), "{line}: {}", error(line));
        }
    }

    #[test]
    fn the_usage_names_every_option() {
        let text = usage();
        assert!(all().all(|option| text.contains(&format!("--{}=", option.0))));
    }
}
