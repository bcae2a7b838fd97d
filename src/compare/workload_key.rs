//! Matches runs that measured the same thing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::fields::{PARAMS, THREADS};
use super::natural::natural_order;
use super::run::ComparedRun;

/// Parameters that affect only the report, not the run.
const REPORT_ONLY: [&str; 1] = ["workload.params.percentile"];

/// The parameters that make two runs comparable: a test with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadKey {
    /// Name of the test.
    pub test: String,
    /// Known parameters, by their names in the result file.
    pub params: BTreeMap<String, String>,
}

impl WorkloadKey {
    /// The workload key of a run, without the fields by which it is grouped or varied.
    pub fn of(run: &ComparedRun, axes: &[&str]) -> Self {
        let axes: Vec<_> = axes
            .iter()
            .filter_map(|name| run.fields.resolve(name))
            .collect();
        let counts = |path: &str| {
            let is_param = path.starts_with(PARAMS) || path == THREADS;
            is_param && !axes.contains(&path) && !REPORT_ONLY.contains(&path)
        };
        let params = run.fields.iter().filter(|(path, _)| counts(path));
        Self {
            test: run.test.clone(),
            params: params
                .map(|(path, value)| (param_name(path).into(), value.into()))
                .collect(),
        }
    }

    /// Whether no parameter known to both differs.
    fn agrees(&self, other: &Self) -> bool {
        let mut params = self.params.iter();
        self.test == other.test
            && params.all(|(name, value)| other.params.get(name).is_none_or(|v| v == value))
    }

    /// Order of rows: by test, then by each parameter, numbers by value.
    fn row_order(&self, other: &Self) -> Ordering {
        let by_params = || {
            let pairs = self.params.iter().zip(&other.params);
            pairs
                .map(|((a, x), (b, y))| a.cmp(b).then_with(|| natural_order(x, y)))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| self.params.len().cmp(&other.params.len()))
        };
        self.test.cmp(&other.test).then_with(by_params)
    }
}

fn param_name(path: &str) -> &str {
    let name = path.strip_prefix(PARAMS).or(path.strip_prefix("workload."));
    name.unwrap_or(path)
}

/// Returns the distinct workload keys, and each run's index among them.
///
/// Keys that differ in a parameter stay separate. A key that lacks a parameter, as a text log's
/// may, joins the only key that agrees with it in all parameters known to both. If several keys
/// agree it stays separate, as the match is ambiguous.
pub fn match_up(keys: &[WorkloadKey]) -> (Vec<WorkloadKey>, Vec<usize>) {
    let mut distinct: Vec<&WorkloadKey> = keys.iter().collect();
    // Most complete keys first, so that the others can join them.
    distinct.sort_unstable_by(|a, b| {
        let by_params = b.params.len().cmp(&a.params.len());
        by_params.then_with(|| a.cmp(b))
    });
    distinct.dedup();
    let mut kept: Vec<&WorkloadKey> = Vec::new();
    let mut joined: BTreeMap<&WorkloadKey, &WorkloadKey> = BTreeMap::new();
    for key in distinct {
        let mut agreeing = kept.iter().filter(|other| key.agrees(other));
        match (agreeing.next(), agreeing.next()) {
            (Some(only), None) => _ = joined.insert(key, only),
            _ => {
                kept.push(key);
                joined.insert(key, key);
            }
        }
    }
    kept.sort_unstable_by(|a, b| a.row_order(b));
    let place: BTreeMap<&WorkloadKey, usize> = kept.iter().copied().zip(0..).collect();
    let places = keys.iter().map(|key| place[joined[key]]).collect();
    (kept.into_iter().cloned().collect(), places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(params: &[(&str, &str)]) -> WorkloadKey {
        WorkloadKey {
            test: "fileio".into(),
            params: params
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        }
    }

    #[test]
    fn workload_keys_that_differ_in_a_parameter_stay_separate() {
        let (keys, places) = match_up(&[
            key(&[("mode", "seqrd"), ("threads", "16")]),
            key(&[("mode", "seqrd"), ("threads", "2")]),
            key(&[("mode", "seqrd"), ("threads", "16")]),
        ]);
        assert_eq!(keys[0].params["threads"], "2");
        assert_eq!(places, [1, 0, 1]);
    }

    #[test]
    fn an_incomplete_workload_key_joins_the_only_one_that_agrees() {
        let full = key(&[("mode", "seqrd"), ("pin", "false"), ("threads", "1")]);
        let log = key(&[("mode", "seqrd"), ("threads", "1")]);
        assert_eq!(match_up(&[log.clone(), full.clone()]).1, [0, 0]);
        let pinned = key(&[("mode", "seqrd"), ("pin", "true"), ("threads", "1")]);
        let (keys, _) = match_up(&[log, full, pinned]);
        assert_eq!(keys.len(), 3);
    }
}
