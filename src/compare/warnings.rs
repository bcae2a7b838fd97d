//! Warnings of a comparison: reasons to doubt that groups are comparable, and the warnings of their
//! runs.

use std::collections::{BTreeMap, BTreeSet};

use super::differences::{DifferingField, short_list};
use super::fields::LABELS;
use super::group::Group;
use super::run::ComparedRun;
use crate::format::count;
use crate::result::Warning;
use crate::warning::{Code, ComparisonWarning, DoubtfulField, drift_above_threshold, steal_share};

/// The flags of open(2), which decide whether the page cache or the device is measured.
const FLAGS: &str = "workload.params.flags";

/// Codes whose warnings [`noise`] summarizes for a group.
const SUMMARIZED: [Code; 2] = [Code::ClockDrift, Code::Steal];

/// Warnings of the differences between groups and of the runs of each group.
pub fn of_groups(groups: &[Group<'_>], differences: &[DifferingField]) -> Vec<Warning> {
    let by_path = |path: &str| differences.iter().find(|d| d.field == path);
    let doubtful = DoubtfulField::ALL.into_iter().filter_map(|field| {
        let values = by_group(groups, by_path(field.path())?);
        Some(ComparisonWarning::Different { field, values })
    });
    let flags = by_path(FLAGS).filter(|flags| mixes_direct_and_buffered(flags));
    let flags = flags.map(|it| ComparisonWarning::BufferedAgainstDirect(by_group(groups, it)));
    doubtful
        .chain(flags)
        .chain(groups.iter().flat_map(noise))
        .map(Warning::from)
        .chain(groups.iter().flat_map(of_runs))
        .collect()
}

fn mixes_direct_and_buffered(flags: &DifferingField) -> bool {
    let mut values = flags.values.iter().flatten();
    let is_direct = |value: &String| value == "direct";
    values.clone().any(is_direct) && !values.all(is_direct)
}

/// The values of a field in each group that has it.
fn by_group(groups: &[Group<'_>], difference: &DifferingField) -> String {
    let values = groups.iter().zip(&difference.values);
    let texts: Vec<_> = values
        .filter(|(_, values)| !values.is_empty())
        .map(|(group, values)| format!("{} {}", group.name, short_list(values)))
        .collect();
    texts.join("; ")
}

/// Warnings of steal time and clock drift in a group, by the thresholds for a single run.
fn noise(group: &Group<'_>) -> impl Iterator<Item = ComparisonWarning> {
    let number = |run: &ComparedRun, path| run.fields.get(path)?.parse::<f64>().ok();
    let above = |value: &dyn Fn(&ComparedRun) -> Option<f64>| {
        let values: Vec<f64> = group.runs.iter().filter_map(|run| value(run)).collect();
        let largest = values.iter().copied().reduce(f64::max)?;
        Some((values.len() as u64, largest))
    };
    let steal = above(&|run| {
        let cpus = number(run, "host.cpus").unwrap_or(1.0).max(1.0);
        steal_share(number(run, "noise.steal_s"), run.figures.wall_s?, cpus)
    });
    let drift = above(&|run| drift_above_threshold(number(run, "clock.drift_ppm")).map(f64::abs));
    let group = || group.name.to_owned();
    let steal = steal.map(|(runs, share)| ComparisonWarning::Steal {
        group: group(),
        runs,
        share,
    });
    let drift = drift.map(|(runs, ppm)| ComparisonWarning::ClockDrift {
        group: group(),
        runs,
        ppm,
    });
    [steal, drift].into_iter().flatten()
}

/// The other warnings of the runs, each code once per group.
fn of_runs(group: &Group<'_>) -> impl Iterator<Item = Warning> {
    let mut codes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for warning in group.runs.iter().flat_map(|run| &run.warnings) {
        codes
            .entry(&warning.code)
            .or_default()
            .push(&warning.message);
    }
    codes.retain(|code, _| SUMMARIZED.iter().all(|known| known.as_str() != *code));
    codes.into_iter().map(|(code, messages)| {
        let first = messages[0];
        let varies = match messages.iter().all(|message| *message == first) {
            true => "",
            false => " (in the first run)",
        };
        let runs = count(messages.len() as u64, "run");
        Warning {
            code: code.into(),
            message: format!("{}, {runs}: {first}{varies}", group.name),
        }
    })
}

/// Warns of labels with several values, each in several runs, within one cell of a table: these may
/// be conditions that should not be averaged.
pub fn unused_labels<'a>(
    cells: impl Iterator<Item = &'a [&'a ComparedRun]>,
) -> Option<ComparisonWarning> {
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    for runs in cells {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (label, value) in runs.iter().flat_map(|run| run.fields.below(LABELS)) {
            values.entry(label).or_default().insert(value);
        }
        let is_condition = |values: &BTreeSet<&str>| (2..=runs.len() / 2).contains(&values.len());
        let conditions = values.iter().filter(|(_, values)| is_condition(values));
        labels.extend(conditions.map(|(label, _)| *label));
    }
    let labels: Vec<_> = labels.into_iter().map(str::to_owned).collect();
    (!labels.is_empty()).then_some(ComparisonWarning::UnusedLabels(labels))
}

/// Warns of runs that did not end normally and are included all the same.
pub fn incomplete(groups: &[Group<'_>]) -> impl Iterator<Item = Warning> {
    groups.iter().filter_map(|group| {
        let runs = group.runs.iter().filter(|run| !run.is_complete()).count() as u64;
        (runs > 0).then(|| {
            Warning::from(ComparisonWarning::Incomplete {
                group: group.name.to_owned(),
                runs,
            })
        })
    })
}
