//! Figures as text, rounded for human readers.

use crate::compare::metric::Metric;
use crate::compare::stats::{ConfidenceInterval, Estimate};
use crate::compare::verdict::CorrectedP;
use crate::format::{duration, significant};

/// Formats a metric's value. Durations have their unit.
pub fn quantity(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Latency(..) => duration(value),
        _ => significant(value),
    }
}

/// Formats an estimate, followed by its confidence interval if it has one.
pub fn estimate(estimate: Estimate, format: impl Fn(f64) -> String) -> String {
    let value = format(estimate.value);
    match estimate.interval {
        Some(ConfidenceInterval { low, high }) => {
            format!("{value} [{}, {}]", format(low), format(high))
        }
        None => value,
    }
}

/// Formats a relative change in percent.
pub fn percent(change: f64) -> String {
    format!("{:+.1} %", 100.0 * change)
}

/// Formats a p-value, corrected.
pub fn p_value(p: CorrectedP) -> String {
    match p.holm {
        p if p < 0.001 => "<0.001".into(),
        p => format!("{p:.3}"),
    }
}

/// A metric with its unit; durations are formatted with their own.
pub fn with_unit(metric: Metric) -> String {
    match metric {
        Metric::Latency(..) => metric.to_string(),
        _ => format!("{metric} in {}", metric.unit()),
    }
}
