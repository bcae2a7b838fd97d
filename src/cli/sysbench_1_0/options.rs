//! Options of sysbench 1.0 that wbench accepts, and the texts that list them.

use std::fmt::Write as _;

/// Kind of an option's value, which also determines its placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// A size with an optional K, M, G or T.
    Size,
    /// A word.
    Text,
    /// Words separated by commas.
    List,
    /// A file name.
    File,
    /// A switch: on without a value.
    Switch,
}

impl Kind {
    fn placeholder(self) -> &'static str {
        match self {
            Self::Number => "=N",
            Self::Size => "=SIZE",
            Self::Text => "=STRING",
            Self::List => "=[LIST,...]",
            Self::File => "=FILENAME",
            Self::Switch => "[=on|off]",
        }
    }
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Name, without the dashes.
    pub name: &'static str,
    /// Kind of its value.
    pub kind: Kind,
    /// Default value; `None` if the usage shows none.
    pub default: Option<&'static str>,
    about: &'static str,
}

const fn opt(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    about: &'static str,
) -> Opt {
    Opt {
        name,
        kind,
        default,
        about,
    }
}

const GENERAL: &[Opt] = &[
    opt(
        "threads",
        Kind::Number,
        Some("1"),
        "number of threads to use",
    ),
    opt(
        "events",
        Kind::Number,
        Some("0"),
        "limit for total number of events",
    ),
    opt(
        "time",
        Kind::Number,
        Some("10"),
        "limit for total execution time in seconds",
    ),
    opt(
        "forced-shutdown",
        Kind::Text,
        Some("off"),
        "number of seconds to wait after the --time limit before forcing shutdown, or 'off' to disable",
    ),
    opt(
        "thread-stack-size",
        Kind::Size,
        Some("64K"),
        "size of stack per thread",
    ),
    opt(
        "rate",
        Kind::Number,
        Some("0"),
        "average transactions rate. 0 for unlimited rate",
    ),
    opt(
        "report-interval",
        Kind::Number,
        Some("0"),
        "periodically report intermediate statistics with a specified interval in seconds. 0 disables intermediate reports",
    ),
    opt(
        "report-checkpoints",
        Kind::List,
        Some(""),
        "dump full statistics and reset all counters at specified points in time. The argument is a list of comma-separated values representing the amount of time in seconds elapsed from start of test when report checkpoint(s) must be performed. Report checkpoints are off by default.",
    ),
    opt(
        "debug",
        Kind::Switch,
        Some("off"),
        "print more debugging info",
    ),
    opt(
        "validate",
        Kind::Switch,
        Some("off"),
        "perform validation checks where possible",
    ),
    opt("help", Kind::Switch, Some("off"), "print help and exit"),
    opt(
        "version",
        Kind::Switch,
        Some("off"),
        "print version and exit",
    ),
    opt(
        "config-file",
        Kind::File,
        None,
        "File containing command line options",
    ),
    opt(
        "tx-rate",
        Kind::Number,
        Some("0"),
        "deprecated alias for --rate",
    ),
    opt(
        "max-requests",
        Kind::Number,
        Some("0"),
        "deprecated alias for --events",
    ),
    opt(
        "max-time",
        Kind::Number,
        Some("0"),
        "deprecated alias for --time",
    ),
    opt(
        "num-threads",
        Kind::Number,
        Some("1"),
        "deprecated alias for --threads",
    ),
];

const RANDOM: &[Opt] = &[
    opt(
        "rand-type",
        Kind::Text,
        Some("special"),
        "random numbers distribution {uniform,gaussian,special,pareto}",
    ),
    opt(
        "rand-spec-iter",
        Kind::Number,
        Some("12"),
        "number of iterations used for numbers generation",
    ),
    opt(
        "rand-spec-pct",
        Kind::Number,
        Some("1"),
        "percentage of values to be treated as 'special' (for special distribution)",
    ),
    opt(
        "rand-spec-res",
        Kind::Number,
        Some("75"),
        "percentage of 'special' values to use (for special distribution)",
    ),
    opt(
        "rand-seed",
        Kind::Number,
        Some("0"),
        "seed for random number generator. When 0, the current time is used as a RNG seed.",
    ),
    opt(
        "rand-pareto-h",
        Kind::Number,
        Some("0.2"),
        "parameter h for pareto distribution",
    ),
];

const LOG: &[Opt] = &[opt(
    "verbosity",
    Kind::Number,
    Some("3"),
    "verbosity level {5 - debug, 0 - only critical messages}",
)];

const STATISTICS: &[Opt] = &[
    opt(
        "percentile",
        Kind::Number,
        Some("95"),
        "percentile to calculate in latency statistics (1-100). Use the special value of 0 to disable percentile calculations",
    ),
    opt(
        "histogram",
        Kind::Switch,
        Some("off"),
        "print latency histogram in report",
    ),
];

const CPU: &[Opt] = &[opt(
    "cpu-max-prime",
    Kind::Number,
    Some("10000"),
    "upper limit for primes generator",
)];

const MEMORY: &[Opt] = &[
    opt(
        "memory-block-size",
        Kind::Size,
        Some("1K"),
        "size of memory block for test",
    ),
    opt(
        "memory-total-size",
        Kind::Size,
        Some("100G"),
        "total size of data to transfer",
    ),
    opt(
        "memory-scope",
        Kind::Text,
        Some("global"),
        "memory access scope {global,local}",
    ),
    opt(
        "memory-hugetlb",
        Kind::Switch,
        Some("off"),
        "allocate memory from HugeTLB pool",
    ),
    opt(
        "memory-oper",
        Kind::Text,
        Some("write"),
        "type of memory operations {read, write, none}",
    ),
    opt(
        "memory-access-mode",
        Kind::Text,
        Some("seq"),
        "memory access mode {seq,rnd}",
    ),
];

const FILEIO: &[Opt] = &[
    opt(
        "file-num",
        Kind::Number,
        Some("128"),
        "number of files to create",
    ),
    opt(
        "file-block-size",
        Kind::Number,
        Some("16384"),
        "block size to use in all IO operations",
    ),
    opt(
        "file-total-size",
        Kind::Size,
        Some("2G"),
        "total size of files to create",
    ),
    opt(
        "file-test-mode",
        Kind::Text,
        None,
        "test mode {seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw}",
    ),
    opt(
        "file-io-mode",
        Kind::Text,
        Some("sync"),
        "file operations mode {sync,async,mmap}",
    ),
    opt(
        "file-async-backlog",
        Kind::Number,
        Some("128"),
        "number of asynchronous operatons to queue per thread",
    ),
    opt(
        "file-extra-flags",
        Kind::List,
        Some(""),
        "list of additional flags to use to open files {sync,dsync,direct}",
    ),
    opt(
        "file-fsync-freq",
        Kind::Number,
        Some("100"),
        "do fsync() after this number of requests (0 - don't use fsync())",
    ),
    opt(
        "file-fsync-all",
        Kind::Switch,
        Some("off"),
        "do fsync() after each write operation",
    ),
    opt(
        "file-fsync-end",
        Kind::Switch,
        Some("on"),
        "do fsync() at the end of test",
    ),
    opt(
        "file-fsync-mode",
        Kind::Text,
        Some("fsync"),
        "which method to use for synchronization {fsync, fdatasync}",
    ),
    opt(
        "file-merged-requests",
        Kind::Number,
        Some("0"),
        "merge at most this number of IO requests if possible (0 - don't merge)",
    ),
    opt(
        "file-rw-ratio",
        Kind::Number,
        Some("1.5"),
        "reads/writes ratio for combined test",
    ),
];

const THREADS: &[Opt] = &[
    opt(
        "thread-yields",
        Kind::Number,
        Some("1000"),
        "number of yields to do per request",
    ),
    opt(
        "thread-locks",
        Kind::Number,
        Some("8"),
        "number of locks per thread",
    ),
];

const MUTEX: &[Opt] = &[
    opt(
        "mutex-num",
        Kind::Number,
        Some("4096"),
        "total size of mutex array",
    ),
    opt(
        "mutex-locks",
        Kind::Number,
        Some("50000"),
        "number of mutex locks to do per thread",
    ),
    opt(
        "mutex-loops",
        Kind::Number,
        Some("10000"),
        "number of empty loops to do outside mutex lock",
    ),
];

/// Options of database tests, which 1.0 accepts with every test.
const DATABASE: &[&str] = &[
    "db-driver",
    "db-ps-mode",
    "mysql-host",
    "mysql-port",
    "mysql-socket",
    "mysql-user",
    "mysql-password",
    "mysql-db",
    "mysql-ssl-cipher",
    "mysql-ignore-errors",
    "pgsql-host",
    "pgsql-port",
    "pgsql-user",
    "pgsql-password",
    "pgsql-db",
];

/// Switches of database tests.
const DATABASE_SWITCHES: &[&str] = &[
    "db-debug",
    "mysql-ssl",
    "mysql-compression",
    "mysql-debug",
    "mysql-dry-run",
];

/// A test and its options.
#[derive(Debug)]
pub struct TestOptions {
    /// Name of the test.
    pub name: &'static str,
    about: &'static str,
    options: &'static [Opt],
}

/// The tests.
pub const TESTS: &[TestOptions] = &[
    TestOptions {
        name: "fileio",
        about: "File I/O test",
        options: FILEIO,
    },
    TestOptions {
        name: "cpu",
        about: "CPU performance test",
        options: CPU,
    },
    TestOptions {
        name: "memory",
        about: "Memory functions speed test",
        options: MEMORY,
    },
    TestOptions {
        name: "threads",
        about: "Threads subsystem performance test",
        options: THREADS,
    },
    TestOptions {
        name: "mutex",
        about: "Mutex performance test",
        options: MUTEX,
    },
];

impl TestOptions {
    /// Returns an option of the test.
    pub fn find(&self, name: &str) -> Option<&'static Opt> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Returns an option that the test has.
    pub fn option(&self, name: &str) -> &'static Opt {
        self.find(name).expect("the name of an option of the test")
    }

    /// Returns the text of the test's `help` command.
    pub fn help(&self) -> String {
        format!("{} options:\n{}\n", self.name, list(self.options))
    }
}

/// Returns an option of all tests.
pub fn find_general(name: &str) -> Option<&'static Opt> {
    let groups = [GENERAL, RANDOM, LOG, STATISTICS];
    groups
        .into_iter()
        .flatten()
        .find(|option| option.name == name)
}

/// Kind of an option that is accepted and has no effect.
pub fn ignored_kind(name: &str) -> Option<Kind> {
    match name {
        _ if DATABASE.contains(&name) => Some(Kind::Text),
        _ if DATABASE_SWITCHES.contains(&name) => Some(Kind::Switch),
        _ => None,
    }
}

/// Returns the text of `--help`.
pub fn usage() -> String {
    let mut text = "Usage:\n  sysbench [options]... [testname] [command]\n\n\
                    Commands implemented by most tests: prepare run cleanup help\n\n"
        .to_owned();
    _ = write!(
        text,
        "General options:\n{}\n\
         Pseudo-Random Numbers Generator options:\n{}\n\
         Log options:\n{}\n{}\n\
         Compiled-in tests:\n",
        list(GENERAL),
        list(RANDOM),
        list(LOG),
        list(STATISTICS)
    );
    for test in TESTS {
        _ = writeln!(text, "  {} - {}", test.name, test.about);
    }
    text.push_str("\nSee 'sysbench <testname> help' for a list of options for each test.\n\n");
    text
}

/// Returns one line per option, the descriptions aligned.
fn list(options: &[Opt]) -> String {
    let heads = options
        .iter()
        .map(|it| format!("{}{}", it.name, it.kind.placeholder()));
    let heads: Vec<String> = heads.collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (head, option) in heads.iter().zip(options) {
        _ = write!(text, "  --{head:width$} {}", option.about);
        match option.default {
            Some(default) => _ = writeln!(text, " [{default}]"),
            None => text.push('\n'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_test_is_that_of_1_0() {
        assert_eq!(
            TESTS[1].help(),
            "cpu options:\n  --cpu-max-prime=N upper limit for primes generator [10000]\n\n"
        );
        let memory = TESTS[2].help();
        assert!(
            memory.contains(
                "  --memory-hugetlb[=on|off]   allocate memory from HugeTLB pool [off]\n"
            )
        );
    }

    #[test]
    fn the_usage_lists_every_test() {
        let usage = usage();
        for test in TESTS {
            assert!(usage.contains(&format!("  {} - ", test.name)), "{usage}");
        }
    }
}
