//! Matches runs that measured the same thing.

use std::collections::BTreeMap;

use super::natural::natural_order;
use super::run::{PARAMS, Run};

/// Parameters that affect only the report, not the run.
const ONLY_SHOWN: [&str; 1] = ["workload.params.percentile"];

/// The number of threads, a parameter like those of [`PARAMS`].
const THREADS: &str = "workload.threads";

/// Workload key: a test with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// Name of the test.
    pub test: String,
    /// Known parameters, by their names in the result file.
    pub params: BTreeMap<String, String>,
}

impl Work {
    /// The workload key of a run, without the fields by which it is grouped or varied.
    pub fn of(run: &Run, axes: &[&str]) -> Self {
        let axes: Vec<_> = axes
            .iter()
            .filter_map(|name| run.facts.resolve(name))
            .collect();
        let counts = |path: &str| {
            let is_param = path.starts_with(PARAMS) || path == THREADS;
            is_param && !axes.contains(&path) && !ONLY_SHOWN.contains(&path)
        };
        let params = run.facts.iter().filter(|(path, _)| counts(path));
        Self {
            test: run.test.clone(),
            params: params
                .map(|(path, value)| (short(path), value.into()))
                .collect(),
        }
    }

    /// Whether no parameter known to both differs.
    fn agrees(&self, other: &Self) -> bool {
        let mut told = self.params.iter();
        self.test == other.test
            && told.all(|(name, value)| other.params.get(name).is_none_or(|v| v == value))
    }

    /// Order of rows: by test, then by each parameter, numbers by value.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
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

fn short(path: &str) -> String {
    let name = path.strip_prefix(PARAMS).or(path.strip_prefix("workload."));
    name.unwrap_or(path).into()
}

/// Returns the distinct workload keys, and each run's index among them.
///
/// Keys that differ in a parameter stay separate. A key that lacks a parameter, as a text log's
/// may, joins the only key that agrees with it in all parameters known to both. If several keys
/// agree it stays separate, as the match is ambiguous.
pub fn match_up(works: Vec<Work>) -> (Vec<Work>, Vec<usize>) {
    let mut distinct: Vec<&Work> = works.iter().collect();
    // Most complete keys first, so that the others can join them.
    distinct.sort_by(|a, b| {
        let told = b.params.len().cmp(&a.params.len());
        told.then_with(|| a.cmp(b))
    });
    distinct.dedup();
    let mut kept: Vec<&Work> = Vec::new();
    let mut joined: BTreeMap<&Work, &Work> = BTreeMap::new();
    for work in distinct {
        let mut agreeing = kept.iter().filter(|other| work.agrees(other));
        match (agreeing.next(), agreeing.next()) {
            (Some(only), None) => _ = joined.insert(work, only),
            _ => {
                kept.push(work);
                joined.insert(work, work);
            }
        }
    }
    kept.sort_by(|a, b| a.order(b));
    let place: BTreeMap<&Work, usize> = kept.iter().copied().zip(0..).collect();
    let of = works.iter().map(|work| place[joined[work]]).collect();
    (kept.into_iter().cloned().collect(), of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(params: &[(&str, &str)]) -> Work {
        Work {
            test: "fileio".into(),
            params: params
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        }
    }

    #[test]
    fn workload_keys_that_differ_in_a_parameter_stay_separate() {
        let (works, of) = match_up(vec![
            work(&[("mode", "seqrd"), ("threads", "16")]),
            work(&[("mode", "seqrd"), ("threads", "2")]),
            work(&[("mode", "seqrd"), ("threads", "16")]),
        ]);
        assert_eq!(works[0].params["threads"], "2");
        assert_eq!(of, [1, 0, 1]);
    }

    #[test]
    fn an_incomplete_workload_key_joins_the_only_one_that_agrees() {
        let full = work(&[("mode", "seqrd"), ("pin", "false"), ("threads", "1")]);
        let log = work(&[("mode", "seqrd"), ("threads", "1")]);
        assert_eq!(match_up(vec![log.clone(), full.clone()]).1, [0, 0]);
        let pinned = work(&[("mode", "seqrd"), ("pin", "true"), ("threads", "1")]);
        let (works, _) = match_up(vec![log, full, pinned]);
        assert_eq!(works.len(), 3);
    }
}
