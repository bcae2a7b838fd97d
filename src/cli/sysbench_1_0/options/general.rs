//! Options that every test accepts.

use super::{OptionSpec, ValueKind, opt};

/// Options that are no more specific.
pub const GENERAL: &[OptionSpec] = &[
    opt(
        "threads",
        ValueKind::Number,
        Some("1"),
        "number of threads to use",
    ),
    opt(
        "events",
        ValueKind::Number,
        Some("0"),
        "limit for total number of events",
    ),
    opt(
        "time",
        ValueKind::Number,
        Some("10"),
        "limit for total execution time in seconds",
    ),
    opt(
        "forced-shutdown",
        ValueKind::Text,
        Some("off"),
        "number of seconds to wait after the --time limit before forcing shutdown, or 'off' to disable",
    ),
    opt(
        "thread-stack-size",
        ValueKind::Size,
        Some("64K"),
        "size of stack per thread",
    ),
    opt(
        "rate",
        ValueKind::Number,
        Some("0"),
        "average transactions rate. 0 for unlimited rate",
    ),
    opt(
        "report-interval",
        ValueKind::Number,
        Some("0"),
        "periodically report intermediate statistics with a specified interval in seconds. 0 disables intermediate reports",
    ),
    opt(
        "report-checkpoints",
        ValueKind::List,
        Some(""),
        "dump full statistics and reset all counters at specified points in time. The argument is a list of comma-separated values representing the amount of time in seconds elapsed from start of test when report checkpoint(s) must be performed. Report checkpoints are off by default.",
    ),
    opt(
        "debug",
        ValueKind::Switch,
        Some("off"),
        "print more debugging info",
    ),
    opt(
        "validate",
        ValueKind::Switch,
        Some("off"),
        "perform validation checks where possible",
    ),
    opt(
        "help",
        ValueKind::Switch,
        Some("off"),
        "print help and exit",
    ),
    opt(
        "version",
        ValueKind::Switch,
        Some("off"),
        "print version and exit",
    ),
    opt(
        "config-file",
        ValueKind::File,
        None,
        "File containing command line options",
    ),
    opt(
        "tx-rate",
        ValueKind::Number,
        Some("0"),
        "deprecated alias for --rate",
    ),
    opt(
        "max-requests",
        ValueKind::Number,
        Some("0"),
        "deprecated alias for --events",
    ),
    opt(
        "max-time",
        ValueKind::Number,
        Some("0"),
        "deprecated alias for --time",
    ),
    opt(
        "num-threads",
        ValueKind::Number,
        Some("1"),
        "deprecated alias for --threads",
    ),
];

/// Options of the generator of random numbers.
pub const RANDOM: &[OptionSpec] = &[
    opt(
        "rand-type",
        ValueKind::Text,
        Some("special"),
        "random numbers distribution {uniform,gaussian,special,pareto}",
    ),
    opt(
        "rand-spec-iter",
        ValueKind::Number,
        Some("12"),
        "number of iterations used for numbers generation",
    ),
    opt(
        "rand-spec-pct",
        ValueKind::Number,
        Some("1"),
        "percentage of values to be treated as 'special' (for special distribution)",
    ),
    opt(
        "rand-spec-res",
        ValueKind::Number,
        Some("75"),
        "percentage of 'special' values to use (for special distribution)",
    ),
    opt(
        "rand-seed",
        ValueKind::Number,
        Some("0"),
        "seed for random number generator. When 0, the current time is used as a RNG seed.",
    ),
    opt(
        "rand-pareto-h",
        ValueKind::Number,
        Some("0.2"),
        "parameter h for pareto distribution",
    ),
];

/// Options of logging.
pub const LOG: &[OptionSpec] = &[opt(
    "verbosity",
    ValueKind::Number,
    Some("3"),
    "verbosity level {5 - debug, 0 - only critical messages}",
)];

/// Options of statistics.
pub const STATISTICS: &[OptionSpec] = &[
    opt(
        "percentile",
        ValueKind::Number,
        Some("95"),
        "percentile to calculate in latency statistics (1-100). Use the special value of 0 to disable percentile calculations",
    ),
    opt(
        "histogram",
        ValueKind::Switch,
        Some("off"),
        "print latency histogram in report",
    ),
];

/// Options of database tests, which 1.0 accepts with every test.
pub const DATABASE: &[&str] = &[
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
pub const DATABASE_SWITCHES: &[&str] = &[
    "db-debug",
    "mysql-ssl",
    "mysql-compression",
    "mysql-debug",
    "mysql-dry-run",
];
