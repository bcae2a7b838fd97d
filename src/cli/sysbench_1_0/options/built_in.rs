//! The tests and their options.

use super::{BuiltInTest, OptionSpec, ValueKind, opt};

/// The tests.
pub const TESTS: &[BuiltInTest] = &[
    BuiltInTest {
        name: "fileio",
        about: "File I/O test",
        options: FILEIO,
    },
    BuiltInTest {
        name: "cpu",
        about: "CPU performance test",
        options: CPU,
    },
    BuiltInTest {
        name: "memory",
        about: "Memory functions speed test",
        options: MEMORY,
    },
    BuiltInTest {
        name: "threads",
        about: "Threads subsystem performance test",
        options: THREADS,
    },
    BuiltInTest {
        name: "mutex",
        about: "Mutex performance test",
        options: MUTEX,
    },
];

const CPU: &[OptionSpec] = &[opt(
    "cpu-max-prime",
    ValueKind::Number,
    Some("10000"),
    "upper limit for primes generator",
)];

const MEMORY: &[OptionSpec] = &[
    opt(
        "memory-block-size",
        ValueKind::Size,
        Some("1K"),
        "size of memory block for test",
    ),
    opt(
        "memory-total-size",
        ValueKind::Size,
        Some("100G"),
        "total size of data to transfer",
    ),
    opt(
        "memory-scope",
        ValueKind::Text,
        Some("global"),
        "memory access scope {global,local}",
    ),
    opt(
        "memory-hugetlb",
        ValueKind::Switch,
        Some("off"),
        "allocate memory from HugeTLB pool",
    ),
    opt(
        "memory-oper",
        ValueKind::Text,
        Some("write"),
        "type of memory operations {read, write, none}",
    ),
    opt(
        "memory-access-mode",
        ValueKind::Text,
        Some("seq"),
        "memory access mode {seq,rnd}",
    ),
];

const FILEIO: &[OptionSpec] = &[
    opt(
        "file-num",
        ValueKind::Number,
        Some("128"),
        "number of files to create",
    ),
    opt(
        "file-block-size",
        ValueKind::Number,
        Some("16384"),
        "block size to use in all IO operations",
    ),
    opt(
        "file-total-size",
        ValueKind::Size,
        Some("2G"),
        "total size of files to create",
    ),
    opt(
        "file-test-mode",
        ValueKind::Text,
        None,
        "test mode {seqwr, seqrewr, seqrd, rndrd, rndwr, rndrw}",
    ),
    opt(
        "file-io-mode",
        ValueKind::Text,
        Some("sync"),
        "file operations mode {sync,async,mmap}",
    ),
    opt(
        "file-async-backlog",
        ValueKind::Number,
        Some("128"),
        "number of asynchronous operatons to queue per thread",
    ),
    opt(
        "file-extra-flags",
        ValueKind::List,
        Some(""),
        "list of additional flags to use to open files {sync,dsync,direct}",
    ),
    opt(
        "file-fsync-freq",
        ValueKind::Number,
        Some("100"),
        "do fsync() after this number of requests (0 - don't use fsync())",
    ),
    opt(
        "file-fsync-all",
        ValueKind::Switch,
        Some("off"),
        "do fsync() after each write operation",
    ),
    opt(
        "file-fsync-end",
        ValueKind::Switch,
        Some("on"),
        "do fsync() at the end of test",
    ),
    opt(
        "file-fsync-mode",
        ValueKind::Text,
        Some("fsync"),
        "which method to use for synchronization {fsync, fdatasync}",
    ),
    opt(
        "file-merged-requests",
        ValueKind::Number,
        Some("0"),
        "merge at most this number of IO requests if possible (0 - don't merge)",
    ),
    opt(
        "file-rw-ratio",
        ValueKind::Number,
        Some("1.5"),
        "reads/writes ratio for combined test",
    ),
];

const THREADS: &[OptionSpec] = &[
    opt(
        "thread-yields",
        ValueKind::Number,
        Some("1000"),
        "number of yields to do per request",
    ),
    opt(
        "thread-locks",
        ValueKind::Number,
        Some("8"),
        "number of locks per thread",
    ),
];

const MUTEX: &[OptionSpec] = &[
    opt(
        "mutex-num",
        ValueKind::Number,
        Some("4096"),
        "total size of mutex array",
    ),
    opt(
        "mutex-locks",
        ValueKind::Number,
        Some("50000"),
        "number of mutex locks to do per thread",
    ),
    opt(
        "mutex-loops",
        ValueKind::Number,
        Some("10000"),
        "number of empty loops to do outside mutex lock",
    ),
];
