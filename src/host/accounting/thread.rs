//! Counters of one thread, which the thread reads itself.

use std::time::Duration;

use libc::c_long;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;

use crate::host::root::SystemRoot;

/// Counters of a thread that is about to wait for the common start.
#[derive(Debug, Clone, Copy)]
pub struct ReadyThread {
    migrations: Option<u64>,
}

/// Counters of a thread that has just started.
#[derive(Debug, Clone, Copy)]
pub struct StartedThread {
    ready: ReadyThread,
    queued: Option<Duration>,
    usage: Option<Usage>,
    cpu: Duration,
}

/// What a thread did between its start and its end. Unknown values are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThreadActivity {
    /// CPU time.
    pub cpu: Duration,
    /// Share of the CPU time that was spent in user mode.
    pub user_share: Option<f64>,
    /// Time in run queues: ready to run, but not running.
    pub queued: Option<Duration>,
    /// Times that it slept or was stopped.
    pub voluntary_switches: Option<u64>,
    /// Times that another thread took its CPU.
    pub involuntary_switches: Option<u64>,
    /// Moves to another CPU.
    pub migrations: Option<u64>,
    /// Page faults without I/O.
    pub minor_faults: Option<u64>,
    /// Page faults with I/O.
    pub major_faults: Option<u64>,
}

impl ReadyThread {
    /// Reads the counters of the calling thread.
    // Not inlined: the engine is compiled for each kind of event and each clock.
    #[inline(never)]
    pub fn read() -> Self {
        let (root, thread) = (SystemRoot::default(), gettid().as_raw());
        Self {
            migrations: migrations(&root, thread),
        }
    }

    /// Reads what must not include the wait for the start, in a few microseconds. The CPU time comes
    /// last, so that it does not include the readings.
    #[inline(never)]
    pub fn start(self) -> StartedThread {
        StartedThread {
            ready: self,
            queued: queued(&SystemRoot::default(), gettid().as_raw()),
            usage: thread_usage(),
            cpu: thread_cpu_time(),
        }
    }
}

impl StartedThread {
    /// Returns what the calling thread did since its start.
    #[inline(never)]
    pub fn end(&self) -> ThreadActivity {
        // The reading of the CPU time brings the usage up to date.
        let cpu = thread_cpu_time().saturating_sub(self.cpu);
        let usage = thread_usage();
        let (root, thread) = (SystemRoot::default(), gettid().as_raw());
        let queued = queued(&root, thread);
        let grown = |count: fn(&Usage) -> c_long| {
            let before = count(&self.usage?);
            u64::try_from(count(&usage?) - before).ok()
        };
        ThreadActivity {
            cpu,
            user_share: usage.and_then(|usage| user_share(self.usage.as_ref(), &usage)),
            queued: difference(self.queued, queued, Duration::checked_sub),
            voluntary_switches: grown(Usage::voluntary_context_switches),
            involuntary_switches: grown(Usage::involuntary_context_switches),
            migrations: difference(
                self.ready.migrations,
                migrations(&root, thread),
                u64::checked_sub,
            ),
            minor_faults: grown(Usage::minor_page_faults),
            major_faults: grown(Usage::major_page_faults),
        }
    }
}

fn difference<T>(
    before: Option<T>,
    after: Option<T>,
    subtract: fn(T, T) -> Option<T>,
) -> Option<T> {
    subtract(after?, before?)
}

/// Returns the CPU time of this thread.
pub fn thread_cpu_time() -> Duration {
    // It cannot fail on Linux: the clock exists since 2.6.12.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn thread_usage() -> Option<Usage> {
    getrusage(UsageWho::RUSAGE_THREAD).ok()
}

/// Returns the share of user mode in the CPU time between two readings.
///
/// Most kernels know the CPU time exactly, but attribute it to user mode or the kernel by what the
/// thread did at each timer tick. A time that is shorter than the resolution of a microsecond has
/// the share of the whole life of the thread.
fn user_share(before: Option<&Usage>, after: &Usage) -> Option<f64> {
    let times = |usage: &Usage| {
        let microseconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64;
        (
            microseconds(usage.user_time()),
            microseconds(usage.system_time()),
        )
    };
    let (user, system) = times(after);
    let (user_before, system_before) = before.map_or((0.0, 0.0), times);
    share(user - user_before, system - system_before).or_else(|| share(user, system))
}

/// Returns the share of one time in the sum of two; `None` if they add up to nothing.
fn share(one: f64, other: f64) -> Option<f64> {
    let (one, other) = (one.max(0.0), other.max(0.0));
    (one + other > 0.0).then(|| one / (one + other))
}

/// Returns how long a thread has waited in run queues since it was created; `None` if the kernel
/// does not count it.
fn queued(root: &SystemRoot, thread: i32) -> Option<Duration> {
    // Not /proc/thread-self, which kernels before 3.17 lack.
    let schedstat = root.text(format!("proc/self/task/{thread}/schedstat"))?;
    let mut counts = schedstat.split_ascii_whitespace().map(str::parse::<u64>);
    let (_ran_ns, waited_ns, timeslices) = (
        counts.next()?.ok()?,
        counts.next()?.ok()?,
        counts.next()?.ok()?,
    );
    // A kernel that does not count shows zeros; a thread that reads this has had a time slice.
    (timeslices > 0).then(|| Duration::from_nanos(waited_ns))
}

/// Returns how often a thread was moved to another CPU since it was created; `None` if the kernel
/// does not show it (CONFIG_SCHED_DEBUG, before Linux 6.15).
fn migrations(root: &SystemRoot, thread: i32) -> Option<u64> {
    let sched = root.text(format!("proc/self/task/{thread}/sched"))?;
    let line = sched.lines().find(|line| {
        line.strip_prefix("se.nr_migrations")
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    })?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn queued_of(schedstat: &str) -> Option<Duration> {
        let fake = FakeRoot::new().file("proc/self/task/7/schedstat", schedstat);
        queued(fake.root(), 7)
    }

    #[test]
    fn the_wait_is_the_second_field_in_nanoseconds() {
        assert_eq!(
            queued_of("2000000 1500000000 3\n"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(queued_of("2000000 0 1\n"), Some(Duration::ZERO));
    }

    #[test]
    fn the_wait_is_unknown_if_the_kernel_does_not_count_it() {
        for schedstat in ["", "0 0 0\n", "1 2", "1 2 x", "1 -2 3"] {
            assert_eq!(queued_of(schedstat), None, "{schedstat:?}");
        }
        assert_eq!(queued(FakeRoot::new().root(), 7), None);
    }

    #[test]
    fn migrations_are_read_from_the_scheduler_statistics() {
        let of = |sched: &str| {
            let fake = FakeRoot::new().file("proc/self/task/7/sched", sched);
            migrations(fake.root(), 7)
        };
        let sched = "\
cat (14681, #threads: 1)
-------------------------------------------------------------------
se.exec_start                                :        276906.810215
se.sum_exec_runtime                          :             1.481977
se.nr_migrations                             :                   12
nr_switches                                  :                    1";
        assert_eq!(of(sched), Some(12));
        assert_eq!(of("se.nr_migrations_cold : 3"), None);
        assert_eq!(of("se.nr_migrations : -"), None);
        assert_eq!(migrations(FakeRoot::new().root(), 7), None);
    }

    #[test]
    fn the_share_of_user_mode_is_unknown_only_without_any_cpu_time() {
        assert_eq!(share(3.0, 1.0), Some(0.75));
        // The kernel may correct one of the two downward.
        assert_eq!(share(5.0, -1.0), Some(1.0));
        assert_eq!(share(0.0, 0.0), None);
    }

    #[test]
    fn a_thread_that_computes_has_cpu_time_and_one_that_sleeps_has_a_voluntary_switch() {
        let activity = |work: fn()| {
            let thread = std::thread::spawn(move || {
                let started = ReadyThread::read().start();
                work();
                started.end()
            });
            thread.join().unwrap()
        };
        let computed = activity(|| {
            let before = thread_cpu_time();
            while thread_cpu_time() - before < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
        });
        assert!(computed.cpu >= Duration::from_millis(5));
        assert!(computed.user_share.is_some());
        assert_eq!(computed.voluntary_switches, Some(0));
        let slept = activity(|| std::thread::sleep(Duration::from_millis(1)));
        assert!(slept.voluntary_switches >= Some(1), "{slept:?}");
    }
}
