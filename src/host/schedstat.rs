//! Run queue wait of a thread (runnable but not running), from the scheduler's statistics.

use std::time::Duration;

use nix::unistd::gettid;

use super::root::SystemRoot;

/// Returns how long the calling thread has waited in run queues since it started; None if the
/// kernel does not count it.
pub fn thread_runqueue_wait() -> Option<Duration> {
    runqueue_wait(&SystemRoot::default(), gettid().as_raw())
}

fn runqueue_wait(root: &SystemRoot, thread: i32) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn wait_of(schedstat: &str) -> Option<Duration> {
        let fake = FakeRoot::new().file("proc/self/task/7/schedstat", schedstat);
        runqueue_wait(fake.root(), 7)
    }

    #[test]
    fn the_wait_is_the_second_field_in_nanoseconds() {
        assert_eq!(
            wait_of("2000000 1500000000 3\n"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(wait_of("2000000 0 1\n"), Some(Duration::ZERO));
    }

    #[test]
    fn the_wait_is_unknown_if_the_kernel_does_not_count_it() {
        for schedstat in ["", "0 0 0\n", "1 2", "1 2 x", "1 -2 3"] {
            assert_eq!(wait_of(schedstat), None, "{schedstat:?}");
        }
        assert_eq!(runqueue_wait(FakeRoot::new().root(), 7), None);
    }

    #[test]
    fn the_wait_of_a_thread_never_decreases() {
        let before = thread_runqueue_wait();
        assert!(thread_runqueue_wait() >= before);
    }
}
