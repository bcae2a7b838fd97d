//! Conversion of option values to a plan.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::{Duration, SystemTime};

use super::fileio;
use super::general::General;
use super::options::BuiltInTest;
use super::refusal::{Checked, Refusal};
use super::test_values::TestValues;
use super::values::{GivenOptions, invalid};
use crate::plan::{
    Arrival, Arrivals, ClockChoice, CpuBound, CpuParams, Limits, MemoryAccess, MemoryOper,
    MemoryParams, MemoryScope, MutexParams, RunPlan, Seed, Test, ThreadsParams,
};

/// Default stack size of the Rust runtime's threads, in bytes.
const DEFAULT_STACK: u64 = 2 << 20;

/// A run, and the options of its report.
#[derive(Debug)]
pub struct TestRun {
    /// The validated run.
    pub plan: RunPlan,
    /// The general options.
    pub general: General,
}

/// Number of waiting events at which 1.0 ends a run.
const QUEUE_LENGTH: u64 = 131_072;

/// Events per second that stand for a negative rate, with which the queue of 1.0 is full at once.
const UNREACHABLE: f64 = 1e12;

/// Returns the arrivals for a rate. 1.0 generates them with a Poisson process.
fn arrivals(rate: i32) -> Arrivals {
    Arrivals {
        rate_per_s: match rate {
            1.. => f64::from(rate),
            _ => UNREACHABLE,
        },
        distribution: Arrival::Poisson,
        max_backlog: Some(QUEUE_LENGTH),
    }
}

/// Returns the run of a test.
pub(super) fn run(
    test: &BuiltInTest,
    values: &GivenOptions,
    general: &General,
) -> Checked<TestRun> {
    let test_values = TestValues { test, values };
    let mut limits = Limits {
        max_time_s: general.time.map(|seconds| seconds as f64),
        max_requests: general.events,
        forced_shutdown_s: general.forced_shutdown.map(|seconds| seconds as f64),
    };
    let mut files = None;
    let test = match test.name {
        "fileio" => {
            let test = fileio::run(test, values, general)?;
            files = Some(test.files);
            Test::Fileio(test.params)
        }
        "cpu" => Test::Cpu(test_values.cpu()?),
        "threads" => Test::Threads(test_values.threads()?),
        "mutex" => {
            limits.max_requests = None;
            Test::Mutex(test_values.mutex()?)
        }
        _ => {
            limits.max_requests = None;
            Test::Memory(test_values.memory()?)
        }
    };
    // A stack smaller than the runtime's default would save only address space.
    let stack_size = Some(general.stack_size).filter(|&bytes| bytes > DEFAULT_STACK);
    let plan = RunPlan {
        test,
        threads: NonZeroUsize::new(general.threads).expect("a checked number of threads"),
        limits,
        percentile: general.percentile.unwrap_or(95),
        seed: Seed(Some(
            general.seed.map_or_else(seconds_of_now, |seed| seed as u32),
        )),
        arrivals: general.rate.map(arrivals),
        warmup: None,
        pin: false,
        clock: ClockChoice::Auto,
        report_interval: general.report_interval.map(Duration::from_secs),
        stack_size: stack_size.and_then(|bytes| usize::try_from(bytes).ok()),
        labels: BTreeMap::new(),
        files,
        start_at: None,
        timed_from_start: true,
    };
    Ok(TestRun {
        plan,
        general: general.clone(),
    })
}

impl TestValues<'_> {
    fn cpu(&self) -> Checked<CpuParams> {
        let max_prime = self.number("cpu-max-prime")?;
        let positive = u64::try_from(max_prime).ok().and_then(NonZeroU64::new);
        let Some(max_prime) = positive else {
            return Err(Refusal::fatal(format_args!(
                "Invalid value of cpu-max-prime: {max_prime}."
            )));
        };
        Ok(CpuParams {
            max_prime,
            bound: CpuBound::Double,
        })
    }

    fn threads(&self) -> Checked<ThreadsParams> {
        Ok(ThreadsParams {
            yields: self.count("thread-yields")?.into(),
            locks: self.positive("thread-locks")?,
        })
    }

    fn mutex(&self) -> Checked<MutexParams> {
        Ok(MutexParams {
            mutexes: self.positive("mutex-num")?,
            locks: self.positive("mutex-locks")?.into(),
            loops: self.count("mutex-loops")?.into(),
        })
    }

    fn memory(&self) -> Checked<MemoryParams> {
        let name = "memory-block-size";
        let block_size_bytes = self.size(name)?;
        if block_size_bytes < 8 || !block_size_bytes.is_power_of_two() {
            let option = self.test.option(name);
            return Err(invalid(
                option,
                self.values.text(option).unwrap_or_default(),
            ));
        }
        let scopes = [
            ("global", MemoryScope::Global),
            ("local", MemoryScope::Local),
        ];
        let opers = [
            ("write", MemoryOper::Write),
            ("read", MemoryOper::Read),
            ("none", MemoryOper::None),
        ];
        let modes = [("seq", MemoryAccess::Seq), ("rnd", MemoryAccess::Rnd)];
        let params = MemoryParams {
            block_size_bytes,
            total_size_bytes: self.size("memory-total-size")?,
            scope: self.one_of("memory-scope", &scopes)?,
            oper: self.one_of("memory-oper", &opers)?,
            access: self.one_of("memory-access-mode", &modes)?,
            hugetlb: self.switch("memory-hugetlb"),
            equal_shares: true,
            pages: None,
            chase: None,
        };
        Ok(params.validated()?)
    }
}

/// Returns the current time in seconds, truncated to the 32 bits of a seed.
fn seconds_of_now() -> u32 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}
