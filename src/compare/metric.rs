//! The figures of a run that can be compared.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, anyhow};
use serde::{Serialize, Serializer};

use super::figures::{Durations, Figures};
use crate::histogram::Percentile;

/// A figure of a run that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Events per second.
    Rate,
    /// Bytes per second.
    Bandwidth,
    /// Duration of the run.
    Time,
    /// A statistic of durations.
    Latency(Timed, Statistic),
}

/// What a duration is the duration of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// An event; in an open loop from its arrival.
    Event,
    /// An event of an open loop, from its start.
    Service,
    /// An fsync.
    Fsync,
}

/// A statistic of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Maximum.
    Max,
    /// A percentile.
    Percentile(Percentile),
}

impl Metric {
    /// All metrics.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |timed| Statistic::all().map(move |statistic| Self::Latency(timed, statistic));
        [Self::Rate, Self::Bandwidth, Self::Time]
            .into_iter()
            .chain(Timed::ALL.into_iter().flat_map(of))
    }

    /// Whether larger values are better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::Rate | Self::Bandwidth)
    }

    /// Unit of the metric's values.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Rate => "events/s",
            Self::Bandwidth => "MiB/s",
            Self::Time => "s",
            Self::Latency(..) => "ns",
        }
    }

    /// The metric's value in a run; `None` if unknown.
    pub fn value(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Rate => figures.events_per_s,
            Self::Bandwidth => figures.mib_per_s,
            Self::Time => figures.wall_s,
            Self::Latency(timed, statistic) => statistic.value(timed.durations(figures)),
        }
    }

    /// The percentile that the metric is, and of which durations.
    pub fn percentile(self) -> Option<(Timed, Percentile)> {
        match self {
            Self::Latency(timed, Statistic::Percentile(percentile)) => Some((timed, percentile)),
            _ => None,
        }
    }
}

impl Timed {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Event, Self::Service, Self::Fsync];

    /// The durations of this kind in a run.
    pub fn durations(self, figures: &Figures) -> &Durations {
        match self {
            Self::Event => &figures.latency,
            Self::Service => &figures.service,
            Self::Fsync => &figures.fsync,
        }
    }
}

impl Statistic {
    /// All statistics.
    pub fn all() -> impl Iterator<Item = Self> {
        let percentiles = Percentile::ALL.into_iter().map(Self::Percentile);
        [Self::Mean, Self::Max].into_iter().chain(percentiles)
    }

    fn value(self, durations: &Durations) -> Option<f64> {
        match self {
            Self::Mean => durations.mean,
            Self::Max => durations.max,
            Self::Percentile(percentile) => durations.percentile(percentile),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate"),
            Self::Bandwidth => f.write_str("bandwidth"),
            Self::Time => f.write_str("time"),
            Self::Latency(timed, statistic) => write!(f, "{timed}-{statistic}"),
        }
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "latency",
            Self::Service => "service",
            Self::Fsync => "fsync",
        })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::Percentile(percentile) => percentile.fmt(f),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Parses a metric's name; "latency-" may be omitted for percentiles of events.
    fn from_str(text: &str) -> Result<Self> {
        let named = |name: &str| Self::all().find(|metric| metric.to_string() == name);
        named(text)
            .or_else(|| named(&format!("latency-{text}")))
            .ok_or_else(|| {
                let names: Vec<_> = Self::all().map(|metric| metric.to_string()).collect();
                anyhow!(
                    "unknown metric '{text}': expected one of {}",
                    names.join(", ")
                )
            })
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_parsed_from_the_name_it_displays() {
        for metric in Metric::all() {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        let p99_9 = Metric::Latency(Timed::Event, Statistic::Percentile(Percentile::P99_9));
        assert_eq!("p99.9".parse::<Metric>().unwrap(), p99_9);
        let error = "speed".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("'speed'") && error.contains("bandwidth"));
    }

    #[test]
    fn larger_rates_are_better_and_larger_times_are_worse() {
        for metric in Metric::all() {
            assert_eq!(metric.more_is_better(), metric.unit().ends_with("/s"));
        }
    }
}
