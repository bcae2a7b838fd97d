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

const GENERAL: &[Opt] = &[
    opt("num-threads", "N", "1", "number of threads to use"),
    opt(
        "max-requests",
        "N",
        "10000",
        "limit for total number of requests, 0 for none",
    ),
    opt(
        "max-time",
        "N",
        "0",
        "limit for total execution time in seconds, 0 for none",
    ),
    opt(
        "forced-shutdown",
        "off|N|N%",
        "off",
        "time after max-time at which a hanging run is ended",
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
        "seed the random number generator from the time",
    ),
    opt("test", "NAME", "", "test to run: cpu, memory, fileio"),
    opt("debug", "[on|off]", "off", "print more debugging info"),
    opt(
        "validate",
        "[on|off]",
        "off",
        "check requests where that is possible",
    ),
    opt(
        "verbosity",
        "N",
        "4",
        "5 debug, 4 info, 3 notice, 2 warning, 1 alert, 0 only critical",
    ),
    opt(
        "percentile",
        "N",
        "95",
        "percentile of response times to report, 1 to 100",
    ),
    opt("help", "[on|off]", "off", "print help on general options"),
    opt("version", "[on|off]", "off", "print version"),
    opt(
        "batch",
        "[on|off]",
        "off",
        "print statistics during the run",
    ),
    opt(
        "batch-delay",
        "SECONDS",
        "300",
        "time between two such statistics",
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
        "global|local",
        "global",
        "one block for all threads, or one each",
    ),
    opt(
        "memory-hugetlb",
        "[on|off]",
        "off",
        "allocate memory from the pool of huge pages",
    ),
    opt(
        "memory-oper",
        "read|write|none",
        "write",
        "type of memory operations",
    ),
    opt("memory-access-mode", "seq|rnd", "seq", "memory access mode"),
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
        "MODE",
        "",
        "seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw",
    ),
    opt(
        "file-io-mode",
        "MODE",
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
        "FLAGS",
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
    opt("file-fsync-mode", "MODE", "fsync", "fsync, fdatasync"),
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

/// All options by heading of the usage text.
pub const OPTIONS: [(&str, &[Opt]); 4] = [
    ("General options", GENERAL),
    ("cpu options", CPU),
    ("memory options", MEMORY),
    ("fileio options", FILEIO),
];

/// Iterates over all options.
pub(super) fn all() -> impl Iterator<Item = &'static Opt> {
    OPTIONS.iter().flat_map(|(_, options)| *options)
}

pub(super) fn find(name: &str) -> Option<&'static Opt> {
    all().find(|option| option.name == name)
}

/// Returns the usage text with every option and its default.
pub fn usage() -> String {
    let mut text = String::from(
        "Usage:\n  sysbench [general-options]... --test=<test-name> [test-options]... command\n",
    );
    for (title, options) in OPTIONS {
        text.push_str(&format!("\n{title}:\n"));
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
            text.push_str(&format!("  {option:<36} {about}{default}\n"));
        }
    }
    text.push_str(&format!("\nCommands: {}\n", COMMANDS.join(" ")));
    text
}
