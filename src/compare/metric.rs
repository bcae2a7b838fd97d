//! The figures of a run that can be compared.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, anyhow};
use serde::{Serialize, Serializer};

use super::run::PARAMS;
use super::run::{Durations, Figures, Run};

pub use crate::histogram::Percentile;

/// Which durations a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Durations of events.
    Events,
    /// Durations of fsyncs.
    Fsyncs,
}

/// Which statistic of the durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Arithmetic mean.
    Mean,
    /// Maximum.
    Max,
    /// A percentile.
    At(Percentile),
}

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
    Latency(Of, Point),
}

impl Metric {
    /// All metrics.
    pub fn all() -> Vec<Self> {
        let points = [Point::Mean, Point::Max]
            .into_iter()
            .chain(Percentile::ALL.map(Point::At));
        let latencies = |of| points.clone().map(move |point| Self::Latency(of, point));
        [Self::Rate, Self::Bandwidth, Self::Time]
            .into_iter()
            .chain(latencies(Of::Events))
            .chain(latencies(Of::Fsyncs))
            .collect()
    }

    /// The default metric of a run's test: bandwidth if its events move bytes, else their rate.
    pub fn natural(run: &Run) -> Self {
        let oper = run.facts.get(&format!("{PARAMS}oper"));
        match run.test.as_str() {
            "memory" if oper != Some("none") => Self::Bandwidth,
            "fileio" => Self::Bandwidth,
            _ => Self::Rate,
        }
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
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Rate => figures.events_per_s,
            Self::Bandwidth => figures.mib_per_s,
            Self::Time => figures.wall_s,
            Self::Latency(of, point) => of.durations(figures).at(point),
        }
    }
}

impl Of {
    /// The durations of this kind in a run.
    pub fn durations(self, figures: &Figures) -> &Durations {
        match self {
            Self::Events => &figures.latency,
            Self::Fsyncs => &figures.fsync,
        }
    }
}

impl Durations {
    fn at(&self, point: Point) -> Option<f64> {
        match point {
            Point::Mean => self.mean,
            Point::Max => self.max,
            Point::At(wanted) => {
                let mut told = self.percentiles.iter();
                told.find_map(|&(percentile, ns)| (percentile == wanted).then_some(ns))
            }
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate"),
            Self::Bandwidth => f.write_str("bandwidth"),
            Self::Time => f.write_str("time"),
            Self::Latency(of, point) => {
                let whose = match of {
                    Of::Events => "latency",
                    Of::Fsyncs => "fsync",
                };
                match point {
                    Point::Mean => write!(f, "{whose}-mean"),
                    Point::Max => write!(f, "{whose}-max"),
                    Point::At(percentile) => write!(f, "{whose}-{percentile}"),
                }
            }
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Parses a metric's name; "latency-" may be omitted for percentiles of events.
    fn from_str(text: &str) -> Result<Self> {
        let all = Self::all();
        let named = |name: &str| {
            all.iter()
                .find(|metric| metric.to_string() == name)
                .copied()
        };
        named(text)
            .or_else(|| named(&format!("latency-{text}")))
            .ok_or_else(|| {
                let names: Vec<_> = all.iter().map(ToString::to_string).collect();
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
        let p99_9 = Metric::Latency(Of::Events, Point::At(Percentile::P99_9));
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
