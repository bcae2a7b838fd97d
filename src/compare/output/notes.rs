//! What follows the tables: differences, warnings and a legend, shared by all formats for human
//! readers.

use crate::compare::comparison::{Comparison, Entry};
use crate::compare::differences::{DifferingField, short_list};
use crate::compare::method::Method;
use crate::compare::stats::{ALPHA, CONFIDENCE, EXACT_UP_TO};
use crate::compare::verdict::Verdict;

/// Prefix of the fields with the state of a vulnerability each. CPUs of different makers differ in
/// most of them.
const MITIGATIONS: &str = "host.mitigations.";

/// Most of these fields that have a line each; more share one line.
const LISTED_MITIGATIONS: usize = 3;

/// A heading with lines below it.
pub struct Notes {
    /// The heading.
    pub title: &'static str,
    /// The lines.
    pub lines: Vec<String>,
}

/// The notes that have lines.
pub fn all(comparison: &Comparison) -> impl Iterator<Item = Notes> {
    let warnings = comparison.warnings.iter().map(|w| w.message.clone());
    let notes = [
        Notes {
            title: "What else differed",
            lines: differences(comparison),
        },
        Notes {
            title: "Warnings",
            lines: warnings.chain(excluded(comparison)).collect(),
        },
        Notes {
            title: "How to read it",
            lines: legend(comparison),
        },
    ];
    notes.into_iter().filter(|notes| !notes.lines.is_empty())
}

/// A line for each field that differs; one for all vulnerabilities if many do.
fn differences(comparison: &Comparison) -> Vec<String> {
    let all = comparison.differences.iter();
    let vulnerability = |it: &DifferingField| it.field.strip_prefix(MITIGATIONS).map(str::to_owned);
    let vulnerabilities: Vec<String> = all.clone().filter_map(vulnerability).collect();
    let are_many = vulnerabilities.len() > LISTED_MITIGATIONS;
    let mut lines: Vec<String> = all
        .filter(|it| !are_many || vulnerability(it).is_none())
        .map(|it| difference(comparison, it))
        .collect();
    if are_many {
        let number = vulnerabilities.len();
        let names = vulnerabilities.join(", ");
        lines.push(format!("{MITIGATIONS}*: {number} fields differ: {names}"));
    }
    lines
}

fn difference(comparison: &Comparison, difference: &DifferingField) -> String {
    let field = match &difference.test {
        Some(test) => format!("{} of {test}", difference.field),
        None => difference.field.clone(),
    };
    format!("{field}: {}", values(comparison, &difference.values))
}

fn values(comparison: &Comparison, values: &[Vec<String>]) -> String {
    let mut known = values.iter().filter(|values| !values.is_empty());
    let first = known.next();
    if first.is_some() && known.all(|values| Some(values) == first) && values.len() > 1 {
        return format!("within each group: {}", short_list(&values[0]));
    }
    let named = comparison.groups.iter().zip(values);
    let texts: Vec<_> = named
        .map(|(name, values)| format!("{name}: {}", short_list(values)))
        .collect();
    texts.join("; ")
}

fn excluded(comparison: &Comparison) -> impl Iterator<Item = String> {
    let runs = comparison.excluded.iter();
    runs.map(|run| format!("{}: excluded, because it was {}", run.location, run.status))
}

/// Explains the figures and how they are computed, one sentence each.
fn legend(comparison: &Comparison) -> Vec<String> {
    let mut sentences = Vec::new();
    if let [baseline, _, ..] = comparison.groups.as_slice() {
        sentences.push(about_change(comparison, baseline));
        sentences.push(about_p(comparison));
    }
    sentences.push(format!(
        "median: {} % confidence interval between order statistics (binomial), from 6 runs; sd: \
         sample standard deviation (n - 1)",
        percent_confidence()
    ));
    let mut rows = comparison.rows();
    if rows.any(|row| {
        row.groups_with_runs()
            .any(|(.., entry)| entry.why.is_some())
    }) {
        sentences.push(about_why());
    }
    let mut rows = comparison.rows();
    if rows.any(|row| row.metric.percentile().is_some()) {
        sentences.push(
            "of all events: percentile of the merged histograms of all runs; median, change and p use \
             the percentile of each run"
                .into(),
        );
    }
    let too_few = |entry: &Entry| {
        let comparison = entry.comparison.as_ref();
        comparison.is_some_and(|it| it.verdict() == Verdict::TooFew)
    };
    let mut rows = comparison.rows();
    if rows.any(|row| row.groups_with_runs().any(|(.., entry)| too_few(entry))) {
        sentences.push(
            "needs more runs: with this few, even the largest difference is not significant, and no \
             cause is named"
                .into(),
        );
    }
    sentences
}

fn percent_confidence() -> f64 {
    CONFIDENCE * 100.0
}

fn about_change(comparison: &Comparison, baseline: &str) -> String {
    let confidence = percent_confidence();
    match comparison.method {
        Method::MannWhitney => format!(
            "change: against {baseline}, median of the ratios of all pairs of runs \
             (Hodges-Lehmann), with the {confidence} % confidence interval of the U test"
        ),
        Method::Welch => format!(
            "change: against {baseline}, ratio of the means, with Fieller's {confidence} % \
             confidence interval"
        ),
        Method::Paired => format!(
            "change: against {baseline}, ratio within a block, with a {confidence} % confidence \
             interval that is valid after any number of blocks; of several sessions, their mean, with \
             the interval of Student's t"
        ),
    }
}

fn about_why() -> String {
    format!(
        "why: difference in thread time per event (Welch), and the causes with their shares of it \
         (Fieller; {} % confidence for all components of a row together, Bonferroni); fields that \
         differ are candidates, not causes",
        percent_confidence()
    )
}

fn about_p(comparison: &Comparison) -> String {
    let test = match comparison.method {
        Method::MannWhitney => format!(
            "Mann-Whitney U, exact up to {EXACT_UP_TO} runs without ties, else the normal \
             approximation with corrections for ties and continuity"
        ),
        Method::Welch => "Welch's t".into(),
        Method::Paired => {
            "valid after any number of blocks (betting); of several sessions, Student's t".into()
        }
    };
    let corrected = match comparison.corrected {
        0 | 1 => String::new(),
        m => format!("; corrected by Holm for {m} comparisons"),
    };
    format!("p: two-sided, {test}{corrected}; ~ = not significant at {ALPHA:.2}")
}
