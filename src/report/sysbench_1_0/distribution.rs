//! The latency histogram of 1.0.

use std::fmt::Write as _;

use crate::histogram::LatencyHistogram;

/// Number of buckets, from [`FIRST_MS`] to [`LAST_MS`] in equal ratios.
const BUCKETS: usize = 1024;

/// Value of the first bucket in milliseconds.
const FIRST_MS: f64 = 0.001;

/// Value of the last bucket in milliseconds.
const LAST_MS: f64 = 100_000.0;

/// Length of the bar of the highest count.
const BAR: u64 = 40;

/// Returns the bucket with the nearest value.
fn bucket(ms: f64) -> usize {
    let position = (ms / FIRST_MS).ln() / (LAST_MS / FIRST_MS).ln() * (BUCKETS - 1) as f64;
    (position.max(0.0).round() as usize).min(BUCKETS - 1)
}

fn value(bucket: usize) -> f64 {
    FIRST_MS * (LAST_MS / FIRST_MS).powf(bucket as f64 / (BUCKETS - 1) as f64)
}

/// Returns a line for each bucket that is not empty, with a heading; nothing if all are.
pub fn distribution(events: &LatencyHistogram) -> String {
    let mut counts = vec![0; BUCKETS];
    for (duration, count) in events.counts() {
        counts[bucket(duration.0 as f64 / 1e6)] += count;
    }
    let highest = counts.iter().copied().max().unwrap_or(0);
    if highest == 0 {
        return String::new();
    }
    let mut text = "       value  ------------- distribution ------------- count\n".to_owned();
    for (bucket, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let length = (count as f64 / highest as f64 * BAR as f64).round() as usize;
        let bar = "*".repeat(length);
        _ = writeln!(text, "{:12.3} |{bar:<40} {count}", value(bucket));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanoseconds;

    #[test]
    fn the_values_of_the_buckets_are_those_of_1_0() {
        // From reports of 1.0.
        for printed in ["0.218", "0.222", "0.226", "0.230", "20.366", "45.793"] {
            let ms: f64 = printed.parse().unwrap();
            assert_eq!(format!("{:.3}", value(bucket(ms))), printed);
        }
        assert_eq!((bucket(0.0), bucket(1e9)), (0, BUCKETS - 1));
    }

    #[test]
    fn the_longest_bar_is_that_of_the_highest_count() {
        let mut events = LatencyHistogram::default();
        for us in [218, 222, 222, 222, 222, 300] {
            events.record(Nanoseconds(us * 1000));
        }
        assert_eq!(
            distribution(&events),
            "       value  ------------- distribution ------------- count\n       \
             0.218 |**********                               1\n       \
             0.222 |**************************************** 4\n       \
             0.301 |**********                               1\n"
        );
        assert_eq!(distribution(&LatencyHistogram::default()), "");
    }
}
