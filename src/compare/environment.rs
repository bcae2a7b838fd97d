//! Differences in environment and parameters between groups or within one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::natural::natural_order;
use super::run::{LABELS, Run};
use crate::format::count;
use crate::result::Warning;
use crate::warning::{Code, ComparisonWarning, DoubtfulField, drift_above_threshold, steal_share};

/// Prefixes of the fields that are compared.
const PREFIXES: [&str; 6] = [
    "host.",
    "clock.",
    "storage.",
    "tool.",
    "workload.params.",
    "workload.threads",
];

/// Fields that vary between runs without being conditions of them: figures measured for each run,
/// and the name of the directory, of which only the device and the file system matter.
const NO_CONDITIONS: [&str; 5] = [
    "clock.hz",
    "clock.read_ns",
    "clock.drift_ppm",
    "storage.page_cache.resident_bytes",
    "storage.path",
];

/// The flags of open(2), which decide whether the page cache or the device is measured.
const FLAGS: &str = "workload.params.flags";

/// The runs of one group that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Name of the group.
    pub name: &'a str,
    /// Runs of the group.
    pub runs: &'a [&'a Run],
}

/// A field whose value is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the field in the result file.
    pub field: String,
    /// The test to which the field belongs, if it is a parameter.
    pub test: Option<String>,
    /// Distinct values in each group, in the groups' order; empty if no run has the field.
    pub values: Vec<Vec<String>>,
}

/// Differences between the runs, and warnings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Environment {
    /// Fields whose values differ, by name.
    pub differences: Vec<Difference>,
    /// Reasons to doubt the comparison.
    pub warnings: Vec<Warning>,
}

impl Environment {
    /// Examines all groups, ignoring the fields in `axes`, by which runs are grouped or varied.
    pub fn of(groups: &[Group<'_>], axes: &[&str]) -> Self {
        let differences = differences(groups, axes);
        Self {
            warnings: suspicions(groups, &differences)
                .chain(noise(groups))
                .map(Warning::from)
                .chain(of_results(groups))
                .collect(),
            differences,
        }
    }
}

fn differences(groups: &[Group<'_>], axes: &[&str]) -> Vec<Difference> {
    // Parameters are compared only within the same test.
    let mut fields: BTreeMap<(&str, Option<&str>), Vec<BTreeSet<&str>>> = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        for run in group.runs {
            let axes: Vec<_> = axes
                .iter()
                .filter_map(|axis| run.facts.resolve(axis))
                .collect();
            for (path, value) in run.facts.iter() {
                let looked_at = PREFIXES.iter().any(|prefix| path.starts_with(prefix));
                if looked_at && !NO_CONDITIONS.contains(&path) && !axes.contains(&path) {
                    let test = path.starts_with("workload.").then_some(run.test.as_str());
                    let values = fields
                        .entry((path, test))
                        .or_insert_with(|| vec![BTreeSet::new(); groups.len()]);
                    values[place].insert(value);
                }
            }
        }
    }
    let differs =
        |values: &Vec<BTreeSet<&str>>| values.iter().flatten().collect::<BTreeSet<_>>().len() > 1;
    let sorted = |values: BTreeSet<&str>| {
        let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
        values.sort_by(|a, b| natural_order(a, b));
        values
    };
    fields
        .into_iter()
        .filter(|(_, values)| differs(values))
        .map(|((field, test), values)| Difference {
            field: field.into(),
            test: test.map(Into::into),
            values: values.into_iter().map(sorted).collect(),
        })
        .collect()
}

fn suspicions(
    groups: &[Group<'_>],
    differences: &[Difference],
) -> impl Iterator<Item = ComparisonWarning> {
    let of_fields = DoubtfulField::ALL.into_iter().filter_map(|field| {
        let difference = differences.iter().find(|d| d.field == field.path())?;
        let values = by_group(groups, &difference.values);
        Some(ComparisonWarning::Different { field, values })
    });
    let flags = differences
        .iter()
        .find(|d| d.field == FLAGS)
        .and_then(|flags| {
            let direct = |values: &Vec<String>| values.iter().any(|v| v == "direct");
            let buffered = |values: &Vec<String>| values.iter().any(|v| v != "direct");
            let mixed = flags.values.iter().any(direct) && flags.values.iter().any(buffered);
            mixed.then(|| ComparisonWarning::BufferedAgainstDirect(by_group(groups, &flags.values)))
        });
    of_fields.chain(flags).collect::<Vec<_>>().into_iter()
}

fn by_group(groups: &[Group<'_>], values: &[Vec<String>]) -> String {
    let told = groups
        .iter()
        .zip(values)
        .filter(|(_, values)| !values.is_empty());
    let words: Vec<_> = told
        .map(|(group, values)| format!("{} {}", group.name, short_list(values)))
        .collect();
    words.join("; ")
}

/// Lists up to four values, or says how many there are.
pub fn short_list(values: &[String]) -> String {
    match values.len() {
        0 => "-".into(),
        1..=4 => values.join(", "),
        n => format!("{n} different values"),
    }
}

/// Warnings about steal time and clock drift, by group.
fn noise<'a>(groups: &'a [Group<'a>]) -> impl Iterator<Item = ComparisonWarning> + 'a {
    groups
        .iter()
        .flat_map(|group| {
            let number = |run: &Run, path| run.facts.get(path).and_then(|v| v.parse::<f64>().ok());
            let steal = |run: &&Run| {
                let cpus = number(run, "host.cpus").unwrap_or(1.0).max(1.0);
                steal_share(number(run, "noise.steal_s"), run.figures.wall_s?, cpus)
            };
            let drift =
                |run: &&Run| drift_above_threshold(number(run, "clock.drift_ppm")).map(f64::abs);
            let stolen: Vec<f64> = group.runs.iter().filter_map(steal).collect();
            let drifted: Vec<f64> = group.runs.iter().filter_map(drift).collect();
            let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
            let stolen = (!stolen.is_empty()).then(|| ComparisonWarning::Steal {
                group: group.name.to_owned(),
                runs: stolen.len() as u64,
                share: most(&stolen),
            });
            let drifted = (!drifted.is_empty()).then(|| ComparisonWarning::ClockDrift {
                group: group.name.to_owned(),
                runs: drifted.len() as u64,
                ppm: most(&drifted),
            });
            [stolen, drifted]
        })
        .flatten()
}

/// Warnings that [`noise`] reports with numbers.
const WITH_NUMBERS: [Code; 2] = [Code::ClockDrift, Code::Steal];

/// The other warnings of the results, each code once per group.
fn of_results<'a>(groups: &'a [Group<'a>]) -> impl Iterator<Item = Warning> + 'a {
    groups.iter().flat_map(|group| {
        let mut reasons: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for (code, message) in group.runs.iter().flat_map(|run| &run.warnings) {
            reasons.entry(code).or_insert((0, message)).0 += 1;
        }
        reasons.retain(|code, _| WITH_NUMBERS.iter().all(|known| known.as_str() != *code));
        reasons.into_iter().map(|(code, (runs, message))| Warning {
            code: code.into(),
            message: format!("{}, {}: {message}", group.name, count(runs, "run")),
        })
    })
}

/// Warns of labels with several values, each in several runs, within one table cell: these may be
/// conditions that should not be averaged.
pub fn unused_labels<'a>(cells: impl Iterator<Item = &'a [&'a Run]>) -> Option<ComparisonWarning> {
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    for runs in cells {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (path, value) in runs.iter().flat_map(|run| run.facts.iter()) {
            if let Some(label) = path.strip_prefix(LABELS) {
                values.entry(label).or_default().insert(value);
            }
        }
        let parts = |values: &BTreeSet<&str>| (2..=runs.len() / 2).contains(&values.len());
        labels.extend(
            values
                .iter()
                .filter(|(_, v)| parts(v))
                .map(|(label, _)| *label),
        );
    }
    let labels: Vec<_> = labels.into_iter().map(str::to_owned).collect();
    (!labels.is_empty()).then_some(ComparisonWarning::UnusedLabels(labels))
}

/// Warns of runs that did not end normally and are included all the same.
pub fn incomplete<'a>(groups: &'a [Group<'a>]) -> impl Iterator<Item = ComparisonWarning> + 'a {
    groups.iter().filter_map(|group| {
        let runs = group.runs.iter().filter(|run| !run.is_complete()).count() as u64;
        (runs > 0).then(|| ComparisonWarning::Incomplete {
            group: group.name.to_owned(),
            runs,
        })
    })
}
