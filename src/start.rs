//! A common start time on the wall clock, for runs in several processes or on several machines.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, ensure};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

/// Largest accepted delay of a start: a later time is taken for a typing error.
pub const FURTHEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Interval at which a wait checks whether it is canceled.
const SLICE: Duration = Duration::from_millis(50);

/// The start time of a run on CLOCK_REALTIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartAt(Duration);

impl StartAt {
    /// Returns the time this long from now.
    pub fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    /// Fails if the time is more than [`FURTHEST`] ahead.
    pub fn validated(self) -> Result<Self> {
        let ahead = self.0.saturating_sub(now());
        ensure!(
            ahead <= FURTHEST,
            "{self} is {:.1} days ahead, expected at most one day",
            ahead.as_secs_f64() / 86400.0
        );
        Ok(self)
    }

    /// Returns whether the start is more than `lead` ahead.
    pub fn is_ahead_by(self, lead: Duration) -> bool {
        now() + lead < self.0
    }

    /// Sleeps until `lead` before the start, or until `is_over` returns true. Returns immediately
    /// if that time has passed.
    pub fn sleep_until(self, lead: Duration, is_over: impl Fn() -> bool) {
        let time = self.0.saturating_sub(lead);
        loop {
            let now = now();
            if now >= time || is_over() {
                return;
            }
            // An absolute time, so that the sleep follows a clock that is set meanwhile. An
            // interrupted sleep needs no handling: the loop checks the time again.
            let until = TimeSpec::from_duration(time.min(now + SLICE));
            let _ = clock_nanosleep(
                ClockId::CLOCK_REALTIME,
                ClockNanosleepFlags::TIMER_ABSTIME,
                &until,
            );
        }
    }

    /// Returns the seconds since the start time; negative if it is still ahead.
    pub fn late_s(self) -> f64 {
        let now = now();
        match now.checked_sub(self.0) {
            Some(late) => late.as_secs_f64(),
            None => -(self.0 - now).as_secs_f64(),
        }
    }
}

fn now() -> Duration {
    // A clock set before 1970 cannot determine when to start.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

impl FromStr for StartAt {
    type Err = Error;

    /// Parses RFC 3339 in UTC, or seconds since 1970; both with up to 9 decimals.
    fn from_str(text: &str) -> Result<Self> {
        let time = match text.contains('T') {
            true => humantime::parse_rfc3339(text)
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok()),
            false => unix_seconds(text),
        };
        time.map(Self).context(
            "expected RFC 3339 in UTC, such as 2026-11-22T20:15:00.5Z, or seconds since 1970, such as \
             1795378500.5",
        )
    }
}

/// Parses seconds exactly to the nanosecond, which a float could not represent.
fn unix_seconds(text: &str) -> Option<Duration> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(seconds) || !all_digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{decimals:0<9}").parse().ok()?;
    // The year 9999 is the last that RFC 3339 can represent.
    let seconds = seconds
        .parse()
        .ok()
        .filter(|&s: &u64| s < 253_402_300_800)?;
    Some(Duration::new(seconds, nanoseconds))
}

impl fmt::Display for StartAt {
    /// Formats as RFC 3339 in UTC, to the nanosecond.
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
        fn a_formatted_time_parses_back(seconds in 0u64..253_402_300_800, nanos in 0u32..1_000_000_000) {
            let time = StartAt(Duration::new(seconds, nanos));
            prop_assert_eq!(time.to_string().parse::<StartAt>().unwrap(), time);
            let unix = format!("{seconds}.{nanos:09}");
            prop_assert_eq!(unix.parse::<StartAt>().unwrap(), time);
        }
    }

    #[test]
    fn an_invalid_time_is_refused() {
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
    fn a_start_days_ahead_is_refused_but_one_in_the_past_is_accepted() {
        let day = Duration::from_secs(86400);
        let error = StartAt::after(2 * day).validated().unwrap_err();
        assert!(error.to_string().contains("2.0 days ahead"), "{error}");
        StartAt::after(day / 2).validated().unwrap();
        StartAt(Duration::from_secs(1)).validated().unwrap();
    }

    #[test]
    fn a_wait_does_not_end_before_its_time() {
        let time = StartAt::after(Duration::from_millis(120));
        time.sleep_until(Duration::ZERO, || false);
        assert!(time.late_s() >= 0.0);
    }

    #[test]
    fn a_canceled_wait_ends_early() {
        let time = StartAt::after(Duration::from_secs(3600));
        time.sleep_until(Duration::ZERO, || true);
        assert!(time.late_s() < 0.0);
    }
}
