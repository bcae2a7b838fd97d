//! Options of sysbench 0.4.12 that wbench accepts, and the usage text that lists them.

use super::COMMANDS;

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Name, without the dashes.
    pub name: &'static str,
    /// Placeholder of the value after `=`; in brackets if the value is optional.
    pub takes: &'static str,
    /// Default value; empty if it has no default.
    pub default: &'static str,
    /// Description in the usage text.
    pub about: &'static str,
}

/// Builds a table entry: name, value, default, description.
const fn opt(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    about: &'static str,
) -> Opt {
    Opt {
        name,
        takes,
        default,
        about,
    }
}

/// General options.
pub const GENERAL: &[Opt] = &[
    opt("num-threads", "N", "1", "number of threads to use"),
    opt(
        "max-requests",
        "N",
        "10000",
        "limit for total number of requests",
    ),
    opt(
        "max-time",
        "N",
        "0",
        "limit for total execution time in seconds",
    ),
    opt(
        "forced-shutdown",
        "STRING",
        "off",
        "amount of time to wait after --max-time before forcing shutdown",
    ),
    opt(
        "thread-stack-size",
        "SIZE",
        "32K",
        "size of stack per thread",
    ),
    opt(
        "init-rng",
        "[on|off]",
        "off",
        "initialize random number generator",
    ),
    opt("test", "STRING", "", "test to run"),
    opt("debug", "[on|off]", "off", "print more debugging info"),
    opt(
        "validate",
        "[on|off]",
        "off",
        "perform validation checks where possible",
    ),
    opt("help", "[on|off]", "", "print help and exit"),
    opt("version", "[on|off]", "", "print version and exit"),
    opt(
        "verbosity",
        "N",
        "4",
        "level of output: 5 debug, 4 info, 3 notice, 2 warning, 1 alert, 0 only critical",
    ),
    opt(
        "percentile",
        "N",
        "95",
        "percentile of response times to report, 1 to 100",
    ),
    opt(
        "batch",
        "[on|off]",
        "off",
        "print statistics during the run",
    ),
    opt(
        "batch-delay",
        "N",
        "300",
        "seconds between two such statistics",
    ),
];

const CPU: &[Opt] = &[opt(
    "cpu-max-prime",
    "N",
    "10000",
    "upper limit for primes generator",
)];

const MEMORY: &[Opt] = &[
    opt(
        "memory-block-size",
        "SIZE",
        "1K",
        "size of memory block, a multiple of 4",
    ),
    opt(
        "memory-total-size",
        "SIZE",
        "100G",
        "total size of data to transfer",
    ),
    opt(
        "memory-scope",
        "STRING",
        "global",
        "global: one block for all threads, local: one each",
    ),
    opt(
        "memory-hugetlb",
        "[on|off]",
        "off",
        "allocate memory from the pool of huge pages",
    ),
    opt(
        "memory-oper",
        "STRING",
        "write",
        "type of memory operations: read, write, none",
    ),
    opt(
        "memory-access-mode",
        "STRING",
        "seq",
        "memory access mode: seq, rnd",
    ),
];

const FILEIO: &[Opt] = &[
    opt("file-num", "N", "128", "number of files"),
    opt(
        "file-block-size",
        "SIZE",
        "16384",
        "block size of all requests",
    ),
    opt("file-total-size", "SIZE", "2G", "total size of all files"),
    opt(
        "file-test-mode",
        "STRING",
        "",
        "seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw",
    ),
    opt(
        "file-io-mode",
        "STRING",
        "sync",
        "sync, async, mmap (fastmmap, slowmmap)",
    ),
    opt(
        "file-async-backlog",
        "N",
        "128",
        "asynchronous requests in flight per thread",
    ),
    opt(
        "file-extra-flags",
        "STRING",
        "",
        "additional flags of open(2): sync, dsync, direct",
    ),
    opt(
        "file-fsync-freq",
        "N",
        "100",
        "fsync() after this many requests, 0 for never",
    ),
    opt(
        "file-fsync-all",
        "[on|off]",
        "off",
        "fsync() after each write",
    ),
    opt(
        "file-fsync-end",
        "[on|off]",
        "on",
        "fsync() at the end of the test",
    ),
    opt("file-fsync-mode", "STRING", "fsync", "fsync, fdatasync"),
    opt(
        "file-merged-requests",
        "N",
        "0",
        "merge at most this many sequential requests",
    ),
    opt(
        "file-rw-ratio",
        "N",
        "1.5",
        "reads/writes ratio of the combined test",
    ),
];

const THREADS: &[Opt] = &[
    opt(
        "thread-yields",
        "N",
        "1000",
        "number of yields to do per request",
    ),
    opt("thread-locks", "N", "8", "number of locks per thread"),
];

const MUTEX: &[Opt] = &[
    opt("mutex-num", "N", "4096", "total size of mutex array"),
    opt(
        "mutex-locks",
        "N",
        "50000",
        "number of mutex locks to do per thread",
    ),
    opt(
        "mutex-loops",
        "N",
        "10000",
        "number of empty loops to do inside mutex lock",
    ),
];

/// A test.
#[derive(Debug, Clone, Copy)]
pub struct TestOptions {
    /// Name.
    pub name: &'static str,
    /// Heading of its options.
    pub heading: &'static str,
    /// Description in the usage text.
    pub about: &'static str,
    /// Options.
    pub options: &'static [Opt],
}

/// The tests in the order of the usage text.
pub const TESTS: [TestOptions; 5] = [
    TestOptions {
        name: "fileio",
        heading: "fileio options",
        about: "File I/O test",
        options: FILEIO,
    },
    TestOptions {
        name: "cpu",
        heading: "cpu options",
        about: "CPU performance test",
        options: CPU,
    },
    TestOptions {
        name: "memory",
        heading: "memory options",
        about: "Memory functions speed test",
        options: MEMORY,
    },
    TestOptions {
        name: "threads",
        heading: "threads options",
        about: "Threads subsystem performance test",
        options: THREADS,
    },
    TestOptions {
        name: "mutex",
        heading: "mutex options",
        about: "Mutex performance test",
        options: MUTEX,
    },
];

/// Iterates over all options.
pub(super) fn all() -> impl Iterator<Item = &'static Opt> {
    let of_tests = TESTS.iter().flat_map(|test| test.options);
    GENERAL.iter().chain(of_tests)
}

pub(super) fn find(name: &str) -> Option<&'static Opt> {
    all().find(|option| option.name == name)
}

/// Finds a test by its name.
pub(super) fn find_test(name: &str) -> Option<&'static TestOptions> {
    TESTS.iter().find(|test| test.name == name)
}

/// Returns the names of all tests, as in an error message.
pub(super) fn test_names() -> String {
    TESTS.map(|test| test.name).join(", ")
}

/// Returns the usage text: general options, tests and commands.
pub fn usage() -> String {
    let mut text = String::from(
        "Usage:\n  sysbench [general-options]... --test=<test-name> [test-options]... command\n\n",
    );
    text.push_str(&list("General options", GENERAL));
    text.push_str("\nCompiled-in tests:\n");
    for test in TESTS {
        text.push_str(&format!("  {} - {}\n", test.name, test.about));
    }
    text.push_str(&format!("\nCommands: {}\n\n", COMMANDS.join(" ")));
    text.push_str("See 'sysbench --test=<name> help' for a list of options for each test.\n\n");
    text
}

impl TestOptions {
    /// Returns the help text of the test: its options.
    pub fn help(&self) -> String {
        list(self.heading, self.options) + "\n"
    }
}

/// Lists options with their defaults, with the descriptions in one column, as 0.4.12 does.
fn list(heading: &str, options: &[Opt]) -> String {
    let longest = options.iter().map(|option| option.name.len()).max();
    let width = longest.unwrap_or(0) + 9;
    let mut text = format!("{heading}:\n");
    for Opt {
        name,
        takes,
        default,
        about,
    } in options
    {
        let option = format!("--{name}={takes}");
        let default = match *default {
            "" => String::new(),
            default => format!(" [{default}]"),
        };
        text.push_str(&format!("  {option:<width$} {about}{default}\n"));
    }
    text
}
