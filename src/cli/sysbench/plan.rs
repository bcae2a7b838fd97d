//! Conversion of option values to a plan.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::values::Values;
use crate::cli::LONGEST_SECONDS;
use crate::plan::{
    ClockChoice, CpuBound, CpuParams, FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode,
    Limits, MemoryAccess, MemoryOper, MemoryParams, MemoryScope, MutexParams, OpenFlags,
    RequestStream, RunPlan, Seed, Test, ThreadsParams,
};

impl Values<'_> {
    pub fn plan(&self, test: &str) -> Result<RunPlan> {
        let mut limits = self.limits()?;
        let (test, files) = match test {
            "cpu" => (Test::Cpu(self.cpu()?), None),
            "memory" => {
                limits.max_requests = None;
                (Test::Memory(self.memory()?), None)
            }
            "threads" => (Test::Threads(self.threads()?), None),
            "mutex" => (Test::Mutex(self.mutex()?), None),
            _ => {
                let files = self.files()?;
                let params = self.fileio(files.set)?;
                if params.mode.is_sequential() || limits.max_requests == Some(0) {
                    limits.max_requests = None;
                }
                (Test::Fileio(params), Some(files))
            }
        };
        let percentile = self.number("percentile", "a number from 1 to 100")?;
        ensure!(
            (1..=100).contains(&percentile),
            "--percentile={percentile}: expected a number from 1 to 100"
        );
        let stack_size = usize::try_from(self.size("thread-stack-size")?)?;
        Ok(RunPlan {
            test,
            threads: NonZeroUsize::try_from(self.positive("num-threads")?)?,
            limits,
            percentile: percentile as u8,
            seed: Seed(self.switch("init-rng").then(seconds_of_now)),
            arrivals: None,
            warmup: None,
            pin: false,
            clock: ClockChoice::Auto,
            report_interval: self.batch()?,
            // A stack smaller than the runtime's default would save only address space.
            stack_size: (stack_size > DEFAULT_STACK).then_some(stack_size),
            labels: BTreeMap::new(),
            files,
            start_at: None,
            timed_from_start: false,
        })
    }

    fn batch(&self) -> Result<Option<Duration>> {
        let delay = self.positive("batch-delay")?.get();
        self.within_reach("batch-delay", delay as f64)?;
        Ok(self.switch("batch").then_some(Duration::from_secs(delay)))
    }

    /// Fails if an option's time exceeds [`LONGEST_SECONDS`].
    fn within_reach(&self, name: &str, seconds: f64) -> Result<f64> {
        ensure!(
            seconds <= LONGEST_SECONDS,
            "--{name}={}: expected at most {LONGEST_SECONDS} seconds",
            self.text(name)
        );
        Ok(seconds)
    }

    fn limits(&self) -> Result<Limits> {
        let max_time = self.limit("max-time")?.unwrap_or(0);
        let max_time = self.within_reach("max-time", max_time as f64)?;
        let forced_shutdown = self.forced_shutdown(max_time)?;
        Ok(Limits {
            max_time_s: (max_time > 0.0).then_some(max_time),
            max_requests: self.limit("max-requests")?,
            // A forced shutdown is relative to the time limit.
            forced_shutdown_s: forced_shutdown.filter(|_| max_time > 0.0),
        })
    }

    /// Returns the time between the time limit and the forced shutdown, in seconds.
    fn forced_shutdown(&self, max_time: f64) -> Result<Option<f64>> {
        let name = "forced-shutdown";
        let text = self.text(name);
        let number = |digits: &str| -> Result<f64> {
            let digits = digits.parse::<u64>().ok().with_context(|| {
                format!("--{name}={text}: expected off, seconds, or a percentage such as 5%")
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
            bound: CpuBound::Integer,
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
            total_size_bytes: self.size_or_zero("memory-total-size")?,
            oper: self.one_of("memory-oper", &opers)?,
            scope: self.one_of("memory-scope", &scopes)?,
            access: self.one_of("memory-access-mode", &modes)?,
            hugetlb: self.switch("memory-hugetlb"),
            equal_shares: false,
            pages: None,
            chase: None,
        }
        .validated()
    }

    fn threads(&self) -> Result<ThreadsParams> {
        Ok(ThreadsParams {
            yields: self.whole("thread-yields")?,
            locks: self.positive_count("thread-locks")?,
        })
    }

    fn mutex(&self) -> Result<MutexParams> {
        // Checked, but without effect: compilers remove the loop of 0.4.12.
        self.whole("mutex-loops")?;
        Ok(MutexParams {
            mutexes: self.positive_count("mutex-num")?,
            locks: self.positive("mutex-locks")?,
            loops: 0,
        })
    }

    /// Returns the files of `prepare` and `cleanup`, for which 0.4.12 checks the options of a run
    /// as well; the mode may be missing.
    pub fn checked_files(&self) -> Result<FilePlan> {
        self.with_default("file-test-mode", FileMode::Seqrd.name())
            .plan("fileio")?;
        self.files()
    }

    fn files(&self) -> Result<FilePlan> {
        let files = self.positive_count("file-num")?;
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
            ("sync", OpenFlags::Sync),
            ("dsync", OpenFlags::Dsync),
            ("direct", OpenFlags::Direct),
        ];
        let fsyncs = [
            ("fsync", FsyncMode::Fsync),
            ("fdatasync", FsyncMode::Fdatasync),
        ];
        let depth = self.count("file-async-backlog")?;
        let ratio = self.text("file-rw-ratio");
        // Of 32 bits, as in 0.4.12: the order of reads and writes depends on it.
        let rw_ratio: f32 = ratio
            .parse()
            .ok()
            .with_context(|| format!("--file-rw-ratio={ratio}: expected a number, 0 or more"))?;
        // On 64-bit hosts 0.4.12 maps whole files in all of its mmap modes.
        let io_modes = [
            ("", IoMode::Sync),
            ("sync", IoMode::Sync),
            ("async", IoMode::Aio),
            ("mmap", IoMode::Mmap),
            ("fastmmap", IoMode::Mmap),
            ("slowmmap", IoMode::Mmap),
        ];
        FileioParams {
            mode: self.one_of("file-test-mode", &modes)?,
            io_mode: self.one_of("file-io-mode", &io_modes)?,
            depth: NonZeroU32::new(depth).unwrap_or(NonZeroU32::MIN),
            block_size_bytes: set.block_size,
            total_size_bytes: set.total_size(),
            files: set.files,
            flags: match self.switch("file-extra-flags") {
                // The option without a value.
                true => OpenFlags::None,
                false => self.one_of("file-extra-flags", &flags)?,
            },
            fsync_freq: self.count("file-fsync-freq")?,
            fsync_all: self.switch("file-fsync-all"),
            fsync_end: self.switch("file-fsync-end"),
            fsync_mode: self.one_of("file-fsync-mode", &fsyncs)?,
            merged_requests: self.count("file-merged-requests")?,
            rw_ratio: f64::from(rw_ratio.min(f32::MAX)),
            validate: self.switch("validate"),
            drop_cache: false,
            stream: RequestStream::V0_4,
        }
        .validated(set)
    }
}

/// Default stack size of the Rust runtime's threads, in bytes.
const DEFAULT_STACK: usize = 2 << 20;

/// Returns the current time in seconds, truncated to the 32 bits of a srand48(3) seed.
fn seconds_of_now() -> u32 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}
