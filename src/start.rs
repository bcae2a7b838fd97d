//! A common start: a moment on the clock of the day that runs in many processes, or on many
//! machines, wait for.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, ensure};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

/// A moment further ahead than this is a slip of the pen, not a start.
pub const FURTHEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a wait sleeps before it looks whether it is still wanted.
const SLICE: Duration = Duration::from_millis(50);

/// A moment on CLOCK_REALTIME at which a run is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartAt(Duration);

impl StartAt {
    /// The moment so long from now.
    pub fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    /// Fails where the moment is too far ahead to be meant.
    pub fn validated(self) -> Result<Self> {
        let ahead = self.0.saturating_sub(now());
        ensure!(
            ahead <= FURTHEST,
            "invalid start time {self}: {:.1} days ahead, expected at most one day",
            ahead.as_secs_f64() / 86400.0
        );
        Ok(self)
    }

    /// The time so long before it has not come yet.
    pub fn is_ahead_by(self, lead: Duration) -> bool {
        now() + lead < self.0
    }

    /// Sleeps until so long before the moment, or until `is_over` says that nobody waits for it
    /// any more. Returns at once where it has gone.
    pub fn sleep_until(self, lead: Duration, is_over: impl Fn() -> bool) {
        let moment = self.0.saturating_sub(lead);
        loop {
            let now = now();
            if now >= moment || is_over() {
                return;
            }
            // Absolute, so that a clock that is set meanwhile still means the same moment. An
            // interrupted sleep is as good as one that ended: the loop looks again.
            let until = TimeSpec::from_duration(moment.min(now + SLICE));
            let _ = clock_nanosleep(
                ClockId::CLOCK_REALTIME,
                ClockNanosleepFlags::TIMER_ABSTIME,
                &until,
            );
        }
    }

    /// How long ago it was, in seconds; below 0 where it is yet to come.
    pub fn late_s(self) -> f64 {
        let now = now();
        match now.checked_sub(self.0) {
            Some(late) => late.as_secs_f64(),
            None => -(self.0 - now).as_secs_f64(),
        }
    }
}

fn now() -> Duration {
    // A clock that stands before 1970 tells nothing of when to start.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

impl FromStr for StartAt {
    type Err = Error;

    /// Reads RFC 3339 in UTC, or seconds since 1970; both with up to 9 decimals.
    fn from_str(text: &str) -> Result<Self> {
        let moment = match text.contains('T') {
            true => humantime::parse_rfc3339(text)
                .ok()
                .and_then(|moment| moment.duration_since(UNIX_EPOCH).ok()),
            false => unix_seconds(text),
        };
        moment.map(Self).with_context(|| {
            format!(
                "invalid time '{text}': expected RFC 3339 in UTC, such as 2026-11-22T20:15:00.5Z, \
                 or seconds since 1970, such as 1795378500.5"
            )
        })
    }
}

/// Exact to the nanosecond, which a float would not be.
fn unix_seconds(text: &str) -> Option<Duration> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(seconds) || !all_digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{decimals:0<9}").parse().ok()?;
    // The year 9999 is the last that RFC 3339 can write.
    let seconds = seconds
        .parse()
        .ok()
        .filter(|&s: &u64| s < 253_402_300_800)?;
    Some(Duration::new(seconds, nanoseconds))
}

impl fmt::Display for StartAt {
    /// As RFC 3339 in UTC, to the nanosecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_nanos(UNIX_EPOCH + self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_moment_is_read_as_it_is_written(seconds in 0u64..253_402_300_800, nanos in 0u32..1_000_000_000) {
            let moment = StartAt(Duration::new(seconds, nanos));
            prop_assert_eq!(moment.to_string().parse::<StartAt>().unwrap(), moment);
            let unix = format!("{seconds}.{nanos:09}");
            prop_assert_eq!(unix.parse::<StartAt>().unwrap(), moment);
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "-5",
            "+5",
            "1e9",
            "1.",
            ".5",
            "1.0000000001",
            "253402300800",
            "2026-11-22",
            "2026-11-22T20:15:00",
            "2026-11-22T20:15:00+09:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(text.parse::<StartAt>().is_err(), "{text}");
        }
        let text = "2026-11-22T20:15:00.5Z";
        assert_eq!(
            text.parse::<StartAt>().unwrap(),
            "1795378500.5".parse().unwrap()
        );
    }

    #[test]
    fn a_start_days_ahead_is_refused_and_one_that_has_gone_is_not() {
        let day = Duration::from_secs(86400);
        let error = StartAt::after(2 * day).validated().unwrap_err();
        assert!(error.to_string().contains("2.0 days ahead"), "{error}");
        StartAt::after(day / 2).validated().unwrap();
        StartAt(Duration::from_secs(1)).validated().unwrap();
    }

    #[test]
    fn a_wait_ends_at_its_moment_and_not_before() {
        let moment = StartAt::after(Duration::from_millis(120));
        moment.sleep_until(Duration::ZERO, || false);
        assert!(moment.late_s() >= 0.0);
    }

    #[test]
    fn a_wait_that_nobody_wants_any_more_ends() {
        let moment = StartAt::after(Duration::from_secs(3600));
        moment.sleep_until(Duration::ZERO, || true);
        assert!(moment.late_s() < 0.0);
    }
}
