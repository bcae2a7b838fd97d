//! CLOCK_MONOTONIC, and CLOCK_MONOTONIC_RAW as the reference for other clocks.

use std::sync::atomic::{Ordering, compiler_fence};

use nix::time::{ClockId, clock_gettime};

use super::{Clock, Scale, Ticks};

/// CLOCK_MONOTONIC in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic;

impl Clock for Monotonic {
    #[inline(always)]
    fn start(self) -> Ticks {
        let now = Ticks(read(ClockId::CLOCK_MONOTONIC));
        compiler_fence(Ordering::SeqCst);
        now
    }

    #[inline(always)]
    fn stop(self) -> Ticks {
        compiler_fence(Ordering::SeqCst);
        Ticks(read(ClockId::CLOCK_MONOTONIC))
    }

    #[inline(always)]
    fn scale(self) -> Scale {
        Scale::from_hz(1e9)
    }
}

/// Reads CLOCK_MONOTONIC_RAW in nanoseconds: the hardware's time, not slewed by NTP.
pub(super) fn read_raw() -> u64 {
    read(ClockId::CLOCK_MONOTONIC_RAW)
}

#[inline(always)]
fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("every Linux since 2.6.28 has this clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
