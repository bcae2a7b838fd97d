//! The device below the test files: whether what it did is what the test asked for.

use std::fmt;

use super::{Code, Reason};
use crate::format::{mib_or_gib, thousands};
use crate::result::{DeviceActivity, RunResult, Totals};

/// Largest share of the bytes that the test asked for that the device may move in addition without
/// a warning.
pub const DEVICE_EXCESS_SHARE: f64 = 0.5;

/// Bytes that the device may always move in addition: metadata, and what other processes do.
pub const DEVICE_EXCESS_BYTES: u64 = 4 << 20;

/// Smallest share of a limit of the control group that gives a warning.
pub const IO_LIMIT_SHARE: f64 = 0.9;

/// Why the activity of the device may mislead.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceWarning {
    /// The device moved more bytes than the test asked for.
    Excess {
        /// Name of the device.
        device: String,
        /// "read" or "wrote".
        verb: &'static str,
        /// What the device moved.
        device_bytes: u64,
        /// What the test asked for.
        test_bytes: u64,
    },
    /// Requests reached a limit of the control group.
    Limit {
        /// Name of the device.
        device: String,
        /// What is limited, with its unit.
        what: &'static str,
        /// The limit per second.
        limit: u64,
        /// The share of it that was used.
        share: f64,
    },
}

impl DeviceWarning {
    /// Returns the warnings of a run.
    pub fn of(result: &RunResult) -> Vec<Self> {
        let device = result.accounting.as_ref().and_then(|it| it.device.as_ref());
        device.map_or_else(Vec::new, |device| {
            let excess = Self::of_excess(device, &result.totals);
            excess
                .chain(Self::of_limits(device, result.totals.wall_s))
                .collect()
        })
    }

    fn of_excess(device: &DeviceActivity, totals: &Totals) -> impl Iterator<Item = Self> {
        let directions = [
            ("read", device.bytes_read, totals.bytes_read),
            ("wrote", device.bytes_written, totals.bytes_written),
        ];
        let device = device.name.clone();
        directions
            .into_iter()
            .filter(|&(_, device_bytes, test_bytes)| {
                let excess = device_bytes.saturating_sub(test_bytes);
                test_bytes > 0
                    && excess > DEVICE_EXCESS_BYTES
                    && excess as f64 > DEVICE_EXCESS_SHARE * test_bytes as f64
            })
            .map(move |(verb, device_bytes, test_bytes)| Self::Excess {
                device: device.clone(),
                verb,
                device_bytes,
                test_bytes,
            })
    }

    fn of_limits(device: &DeviceActivity, wall_s: f64) -> impl Iterator<Item = Self> {
        let limits = device.limits.unwrap_or_default();
        let used = [
            ("bytes read", device.bytes_read, limits.read_bytes_per_s),
            (
                "bytes written",
                device.bytes_written,
                limits.write_bytes_per_s,
            ),
            ("read requests", device.reads, limits.reads_per_s),
            ("write requests", device.writes, limits.writes_per_s),
        ];
        let device = device.name.clone();
        used.into_iter().filter_map(move |(what, used, limit)| {
            let limit = limit?;
            let share = used as f64 / (limit as f64 * wall_s);
            (share.is_finite() && share >= IO_LIMIT_SHARE).then(|| Self::Limit {
                device: device.clone(),
                what,
                limit,
                share,
            })
        })
    }
}

impl Reason for DeviceWarning {
    fn code(&self) -> Code {
        match self {
            Self::Excess { .. } => Code::DeviceExcess,
            Self::Limit { .. } => Code::IoLimit,
        }
    }
}

impl fmt::Display for DeviceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excess {
                device,
                verb,
                device_bytes,
                test_bytes,
            } => write!(
                f,
                "{device} {verb} {} during the run, but the test asked for {}: read-ahead, the \
                 file system's own data, larger blocks of the device, or other processes",
                mib_or_gib(*device_bytes as f64),
                mib_or_gib(*test_bytes as f64)
            ),
            Self::Limit {
                device,
                what,
                limit,
                share,
            } => write!(
                f,
                "the run used {:.0} % of the {} {what} per second that the control group allows on \
                 {device}: this is the speed of the limit, not of the device",
                share * 100.0,
                thousands(*limit)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::IoLimits;

    fn vda(bytes_read: u64, bytes_written: u64, limits: IoLimits) -> DeviceActivity {
        DeviceActivity {
            name: "vda".into(),
            reads: bytes_read / 4096,
            writes: bytes_written / 4096,
            flushes: None,
            bytes_read,
            bytes_written,
            merged_reads: 0,
            merged_writes: 0,
            read_time_s: 0.0,
            write_time_s: 0.0,
            busy_s: 0.0,
            limits: Some(limits),
        }
    }

    fn asked(bytes_read: u64, bytes_written: u64) -> Totals {
        Totals {
            bytes_read,
            bytes_written,
            ..Totals::default()
        }
    }

    #[test]
    fn more_bytes_on_the_device_than_asked_for_are_a_warning_above_both_thresholds() {
        let excess = |device, test| {
            let device = vda(device, 0, IoLimits::default());
            DeviceWarning::of_excess(&device, &asked(test, 0)).count()
        };
        const MIB: u64 = 1 << 20;
        let threshold = (100.0 * DEVICE_EXCESS_SHARE) as u64 * MIB;
        assert_eq!(excess(100 * MIB + threshold, 100 * MIB), 0);
        assert_eq!(excess(100 * MIB + threshold + 1, 100 * MIB), 1);
        assert_eq!(excess(MIB + DEVICE_EXCESS_BYTES, MIB), 0);
        assert_eq!(excess(MIB + DEVICE_EXCESS_BYTES + 1, MIB), 1);
        // Reads that came from the page cache.
        assert_eq!(excess(0, 100 * MIB), 0);
        // The test did not read at all.
        assert_eq!(excess(100 * MIB, 0), 0);
    }

    #[test]
    fn the_warning_of_an_excess_names_the_direction_and_both_amounts() {
        let device = vda(0, 3 << 30, IoLimits::default());
        let found: Vec<_> = DeviceWarning::of_excess(&device, &asked(0, 1 << 30)).collect();
        let sentence = found[0].to_string();
        assert!(sentence.starts_with("vda wrote 3"), "{sentence}");
        assert!(sentence.contains("asked for 1"), "{sentence}");
    }

    #[test]
    fn a_rate_near_a_limit_of_the_control_group_is_a_warning() {
        let limits = IoLimits {
            reads_per_s: Some(100),
            write_bytes_per_s: Some(1 << 20),
            ..IoLimits::default()
        };
        let reached = |reads: u64, bytes_written| {
            let device = vda(reads * 4096, bytes_written, limits);
            let found = DeviceWarning::of_limits(&device, 10.0);
            found.map(|it| it.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(reached(899, 9 << 20).len(), 1);
        let at_limit = reached(990, 1 << 20);
        assert_eq!(at_limit.len(), 1);
        assert!(
            at_limit[0].contains("99 % of the 100 read requests"),
            "{at_limit:?}"
        );
        assert_eq!(DeviceWarning::of_limits(&vda(1, 1, limits), 0.0).count(), 0);
    }
}
