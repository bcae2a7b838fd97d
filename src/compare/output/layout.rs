//! Tables and notes as text, shared by all formats for human readers.

use super::title;
use crate::compare::comparison::{Against, Comparison, Corrected, Entry, Section, Table, Verdict};
use crate::compare::environment::short_list;
use crate::compare::metric::{Metric, Point};
use crate::compare::stats::{self, ALPHA, CONFIDENCE, EXACT_UP_TO, Estimate, Interval};
use crate::format::{duration, significant};

/// A table with its title.
pub struct Block {
    /// Title of the table.
    pub title: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// Rows of the table.
    pub rows: Vec<Line>,
}

/// A row.
pub struct Line {
    /// Text of the cells.
    pub cells: Vec<String>,
    /// The verdict in the last cell; `None` for a baseline.
    pub verdict: Option<Verdict>,
    /// Whether the row begins a new value of the second axis.
    pub begins: bool,
}

/// All tables of a comparison.
pub fn blocks(comparison: &Comparison) -> Vec<Block> {
    let sections = comparison.sections.iter();
    sections
        .flat_map(|section| {
            let tables = section.tables.iter();
            tables.map(move |table| block(comparison, section, table))
        })
        .collect()
}

/// The table of one metric.
pub fn block(comparison: &Comparison, section: &Section, table: &Table) -> Block {
    let metric = table.metric;
    let merged = matches!(metric, Metric::Latency(_, Point::At(_)));
    let axis = comparison.vary.as_ref();
    let corrected = comparison.corrected > 1;
    // Percentiles of several runs must not be averaged.
    let middle = match merged {
        true => "of all events",
        false => "mean ± sd",
    };
    let head = axis
        .cloned()
        .into_iter()
        .chain(["group", "n", middle, "median [95 %]", "change [95 %]"].map(Into::into))
        .chain([if corrected { "p (Holm)" } else { "p" }, "verdict"].map(Into::into))
        .collect();
    let rows = section.rows(&comparison.groups, table).flat_map(|row| {
        let at = axis.map(|_| row.point.value.clone().unwrap_or_default());
        row.told()
            .enumerate()
            .map(move |(i, (place, group, entry))| Line {
                cells: at
                    .clone()
                    .map(|at| if i == 0 { at } else { String::new() })
                    .into_iter()
                    .chain(cells(metric, merged, place, group, entry))
                    .collect(),
                verdict: entry.against.as_ref().map(|against| against.verdict),
                begins: i == 0,
            })
    });
    Block {
        title: format!("{} · {}", title::of_section(section), headline(metric)),
        head,
        rows: rows.collect(),
    }
}

/// A metric with its unit and whether more is better.
pub fn headline(metric: Metric) -> String {
    let better = match metric.more_is_better() {
        true => "more",
        false => "less",
    };
    format!("{}, {better} is better", with_unit(metric))
}

/// A metric with its unit; durations are formatted with their own.
pub fn with_unit(metric: Metric) -> String {
    match metric {
        Metric::Latency(..) => metric.to_string(),
        _ => format!("{metric} in {}", metric.unit()),
    }
}

fn cells(metric: Metric, merged: bool, place: usize, group: &str, entry: &Entry) -> Vec<String> {
    let summary = &entry.summary;
    let value = |v: f64| quantity(metric, v);
    let middle = match (merged, summary.stddev) {
        (true, _) => entry.merged.map_or("-".into(), |ns| value(ns as f64)),
        (false, Some(stddev)) => format!("{} ± {}", value(summary.mean), value(stddev)),
        (false, None) => value(summary.mean),
    };
    let against = entry.against.as_ref();
    let change = |against: &Against| match against.change {
        Some(change) => with_interval(change, percent),
        None => "-".into(),
    };
    let p = |against: &Against| against.p.map_or("-".into(), p_value);
    let verdict = |against: &Against| against.verdict.to_string();
    let absent = if place == 0 { "baseline" } else { "-" };
    let of = |told: &dyn Fn(&Against) -> String| against.map_or_else(String::new, told);
    [group.to_owned(), summary.n.to_string()]
        .into_iter()
        .chain([
            middle,
            with_interval(summary.median, value),
            against.map_or_else(|| absent.into(), change),
            of(&p),
            of(&verdict),
        ])
        .collect()
}

fn with_interval(estimate: Estimate, shown: impl Fn(f64) -> String) -> String {
    let value = shown(estimate.value);
    match estimate.interval {
        Some(Interval { low, high }) => format!("{value} [{}, {}]", shown(low), shown(high)),
        None => value,
    }
}

/// Formats a metric's value for human readers.
pub fn quantity(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Latency(..) => duration(value),
        _ => significant(value),
    }
}

fn percent(ratio: f64) -> String {
    format!("{:+.1} %", 100.0 * ratio)
}

fn p_value(p: Corrected) -> String {
    match p.holm {
        p if p < 0.001 => "<0.001".into(),
        p => format!("{p:.3}"),
    }
}

/// Explains the figures and how they are computed, one sentence each.
fn legend(comparison: &Comparison) -> Vec<String> {
    let confidence = CONFIDENCE * 100.0;
    let baseline = comparison.groups.first();
    let mut sentences = Vec::new();
    if let Some(baseline) = baseline.filter(|_| comparison.groups.len() > 1) {
        sentences.push(match comparison.test {
            stats::Test::MannWhitney => format!(
                "change: against {baseline}, median of the ratios of all pairs of runs \
                 (Hodges-Lehmann), with the {confidence} % confidence interval of the U test"
            ),
            stats::Test::Welch => format!(
                "change: against {baseline}, ratio of the means, with Fieller's {confidence} % confidence interval"
            ),
        });
        let test = match comparison.test {
            stats::Test::MannWhitney => format!(
                "Mann-Whitney U, exact up to {EXACT_UP_TO} runs without ties, else the normal \
                 approximation with corrections for ties and continuity"
            ),
            stats::Test::Welch => "Welch's t".into(),
        };
        let corrected = match comparison.corrected {
            0 | 1 => String::new(),
            m => format!("; corrected by Holm for {m} comparisons"),
        };
        sentences.push(format!(
            "p: two-sided, {test}{corrected}; ~ = not significant at {ALPHA:.2}"
        ));
    }
    sentences.push(format!(
        "median: {confidence} % confidence interval between order statistics (binomial), from 6 runs; \
         sd: sample standard deviation (n - 1)"
    ));
    let merged = comparison
        .rows()
        .any(|row| matches!(row.metric, Metric::Latency(_, Point::At(_))));
    if merged {
        sentences.push(
            "of all events: percentile of the merged histograms of all runs; median, change and p use \
             the percentile of each run"
                .into(),
        );
    }
    let few = |entry: &Entry| {
        entry
            .against
            .is_some_and(|against| against.verdict == Verdict::TooFew)
    };
    let mut entries = comparison
        .rows()
        .flat_map(|row| row.told().map(|(.., entry)| entry));
    if entries.any(few) {
        sentences.push(
            "needs more runs: with this few, even the largest difference is not significant".into(),
        );
    }
    sentences
}

fn difference(comparison: &Comparison, values: &[Vec<String>]) -> String {
    let mut told = values.iter().filter(|values| !values.is_empty());
    let first = told.next();
    if first.is_some() && told.all(|values| Some(values) == first) && values.len() > 1 {
        return format!("within each group: {}", short_list(&values[0]));
    }
    let named = comparison.groups.iter().zip(values);
    let words: Vec<_> = named
        .map(|(name, values)| format!("{name}: {}", short_list(values)))
        .collect();
    words.join("; ")
}

fn left_out(comparison: &Comparison) -> Vec<String> {
    let runs = comparison.left_out.iter();
    runs.map(|run| format!("{}: excluded, because it was {}", run.source, run.status))
        .collect()
}

/// A heading with its lines, shown only if there are any.
pub struct Part {
    /// The heading.
    pub title: &'static str,
    /// Lines below the heading.
    pub lines: Vec<String>,
}

/// The sections below the tables.
pub fn parts(comparison: &Comparison) -> Vec<Part> {
    let environment = &comparison.environment;
    let differences = environment.differences.iter();
    let warnings = environment.warnings.iter();
    let parts = [
        Part {
            title: "What else differed",
            lines: differences
                .map(|d| match &d.test {
                    Some(test) => format!(
                        "{} of {test}: {}",
                        d.field,
                        difference(comparison, &d.values)
                    ),
                    None => format!("{}: {}", d.field, difference(comparison, &d.values)),
                })
                .collect(),
        },
        Part {
            title: "Warnings",
            lines: warnings
                .map(|w| w.message.clone())
                .chain(left_out(comparison))
                .collect(),
        },
        Part {
            title: "How to read it",
            lines: legend(comparison),
        },
    ];
    parts
        .into_iter()
        .filter(|part| !part.lines.is_empty())
        .collect()
}
