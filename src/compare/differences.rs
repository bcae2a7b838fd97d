//! Fields of the environment and parameters that differ between groups or within one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::group::Group;
use super::natural::natural_order;
use super::run::ComparedRun;

/// Prefixes of the fields that are conditions of a run.
const CONDITIONS: [&str; 7] = [
    "host.",
    "clock.",
    "storage.",
    "memory.page_bytes",
    "tool.",
    "workload.params.",
    "workload.threads",
];

/// Fields with these prefixes that are not conditions: figures measured for each run, and the name
/// of the directory, of which only the device and the file system matter.
const NOT_CONDITIONS: [&str; 5] = [
    "clock.hz",
    "clock.read_ns",
    "clock.drift_ppm",
    "storage.page_cache.resident_bytes",
    "storage.path",
];

/// Maximum number of values that are listed.
const LISTED: usize = 4;

/// A field whose value is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DifferingField {
    /// Name of the field in the result file.
    pub field: String,
    /// The test to which the field belongs, if it is a parameter.
    pub test: Option<String>,
    /// Distinct values in each group, in the groups' order; empty if no run has the field.
    pub values: Vec<Vec<String>>,
}

/// The fields that differ, by name. Ignores the fields in `axes`, by which runs are grouped or
/// varied.
pub fn differences(groups: &[Group<'_>], axes: &[&str]) -> Vec<DifferingField> {
    // Parameters are compared only within the same test.
    let mut fields: BTreeMap<(&str, Option<&str>), Vec<BTreeSet<&str>>> = BTreeMap::new();
    for (place, group) in groups.iter().enumerate() {
        for run in &group.runs {
            for (path, value) in conditions(run, axes) {
                let test = path.starts_with("workload.").then_some(run.test.as_str());
                let values = fields
                    .entry((path, test))
                    .or_insert_with(|| vec![BTreeSet::new(); groups.len()]);
                values[place].insert(value);
            }
        }
    }
    fields
        .into_iter()
        .filter(|(_, values)| differ(values))
        .map(|((field, test), values)| DifferingField {
            field: field.into(),
            test: test.map(Into::into),
            values: values.into_iter().map(sorted).collect(),
        })
        .collect()
}

fn conditions<'a>(run: &'a ComparedRun, axes: &[&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let axes: Vec<_> = axes
        .iter()
        .filter_map(|axis| run.fields.resolve(axis))
        .collect();
    run.fields.iter().filter(move |(path, _)| {
        let is_condition = CONDITIONS.iter().any(|prefix| path.starts_with(prefix));
        is_condition && !NOT_CONDITIONS.contains(path) && !axes.contains(path)
    })
}

fn differ(values: &[BTreeSet<&str>]) -> bool {
    let mut all = values.iter().flatten();
    let first = all.next();
    all.any(|value| Some(value) != first)
}

fn sorted(values: BTreeSet<&str>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
    values.sort_unstable_by(|a, b| natural_order(a, b));
    values
}

/// Lists a few values, or says how many there are.
pub fn short_list(values: &[String]) -> String {
    match values.len() {
        0 => "-".into(),
        1..=LISTED => values.join(", "),
        n => format!("{n} different values"),
    }
}
