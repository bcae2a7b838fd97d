//! The list of all codes.

/// Declares the codes once: the variants, their names and the list of all.
macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// The code of a warning: stable, for programs. The manual has a row for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])+ $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as results and comparisons contain it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    // The machine.
    /// The control group allows less CPU time than the threads can use.
    CpuQuota = "cpu-quota",
    /// Threads have to share CPUs.
    MoreThreadsThanCpus = "more-threads-than-cpus",
    /// The CPU frequency governor is not "performance".
    CpuGovernor = "cpu-governor",
    /// The test touches more memory than the control group allows.
    MemoryLimit = "memory-limit",
    /// The hypervisor ran others on this machine's CPUs.
    Steal = "steal",
    /// Worker threads waited for a CPU while others ran.
    RunqueueWait = "runqueue-wait",
    /// A CPU quota held worker threads back.
    Throttled = "throttled",
    /// Worker threads of a test that never waits slept.
    Blocked = "blocked",
    /// The effective clock of the CPU changed during the run.
    CpuClock = "cpu-clock",
    /// The blocks are not in pages of the size that was requested.
    BlockPages = "block-pages",
    // The clock.
    /// The clock drifted against CLOCK_MONOTONIC_RAW.
    ClockDrift = "clock-drift",
    /// The TSC was wanted but cannot be trusted.
    ClockFallback = "clock-fallback",
    // The storage.
    /// Reads come from memory, or may.
    PageCache = "page-cache",
    /// Writes were not followed by an fsync within the run.
    UnflushedWrites = "unflushed-writes",
    /// Flags of open(2) have no effect on mapped files.
    MappedFlags = "mapped-flags",
    /// The file system is in memory.
    FilesInMemory = "files-in-memory",
    /// The file system is an overlay.
    FilesInOverlay = "files-in-overlay",
    /// O_DIRECT reaches the page cache below a loop device.
    BufferedLoop = "buffered-loop",
    /// Parts of the files were never written.
    UnwrittenFiles = "unwritten-files",
    /// The device read or wrote more than the test asked for.
    DeviceExcess = "device-excess",
    /// The requests reached a limit of the control group for the device.
    IoLimit = "io-limit",
    /// O_DIRECT does not work in the directory.
    NoDirectIo = "no-direct-io",
    /// No file can be created in the directory.
    NotWritable = "not-writable",
    // The run.
    /// The harness takes much of the time of an event.
    HarnessShare = "harness-share",
    /// Events of an open loop arrived faster than they were started.
    RateNotHeld = "rate-not-held",
    /// Threads of an open loop yielded their CPU while they waited.
    NoSpareCpu = "no-spare-cpu",
    /// The run began after its start time.
    LateStart = "late-start",
    /// Files are smaller than requested.
    RoundedFiles = "rounded-files",
    /// The measurement is smaller than its profile says.
    Scaled = "scaled",
    // The comparison.
    /// Clocks of different sources timed the events.
    DifferentClockSource = "different-clock-source",
    /// The kernels had different clock sources.
    DifferentHostClocksource = "different-host-clocksource",
    /// Different programs measured.
    DifferentToolName = "different-tool-name",
    /// Different versions of the program measured.
    DifferentToolVersion = "different-tool-version",
    /// Some runs used the page cache, others bypassed it.
    BufferedAgainstDirect = "buffered-against-direct",
    /// Latencies of sysbench 1.0 include fsyncs.
    SysbenchFsyncs = "sysbench-fsyncs",
    /// A histogram cannot be decoded.
    BadHistogram = "bad-histogram",
    /// Runs with different labels are averaged.
    UnusedLabel = "unused-label",
    /// Runs that did not complete are included.
    Incomplete = "incomplete",
}
