//! Which runs measured the same thing.

use std::collections::BTreeMap;

use super::natural::natural_order;
use super::run::{PARAMS, Run};

/// Parameters that say how a run is shown, not what is run.
const ONLY_SHOWN: [&str; 1] = ["workload.params.percentile"];

/// The number of threads is a parameter like those of [`PARAMS`].
const THREADS: &str = "workload.threads";

/// A test with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// The test.
    pub test: String,
    /// Each parameter that is told, by its name in the result file.
    pub params: BTreeMap<String, String>,
}

impl Work {
    /// What a run did, without the fields that it is grouped or varied by.
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

    /// Nothing that both tell is different.
    fn agrees(&self, other: &Self) -> bool {
        let mut told = self.params.iter();
        self.test == other.test
            && told.all(|(name, value)| other.params.get(name).is_none_or(|v| v == value))
    }

    /// As rows are ordered: by test, then by each parameter, numbers by size.
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

/// The different works of some runs, and the place of each run's among them.
///
/// Works that differ in a parameter stay apart. One that doesn't tell a parameter, as a text log
/// may not, joins the only one that agrees with it in all that both tell; where there are several
/// it stays apart, as nobody knows which.
pub fn match_up(works: Vec<Work>) -> (Vec<Work>, Vec<usize>) {
    let mut distinct: Vec<&Work> = works.iter().collect();
    // Those that tell most come first, so that the others find them.
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
    fn works_that_differ_in_a_parameter_stay_apart() {
        let (works, of) = match_up(vec![
            work(&[("mode", "seqrd"), ("threads", "16")]),
            work(&[("mode", "seqrd"), ("threads", "2")]),
            work(&[("mode", "seqrd"), ("threads", "16")]),
        ]);
        assert_eq!(works[0].params["threads"], "2");
        assert_eq!(of, [1, 0, 1]);
    }

    #[test]
    fn what_tells_less_joins_the_only_one_that_agrees() {
        let full = work(&[("mode", "seqrd"), ("pin", "false"), ("threads", "1")]);
        let log = work(&[("mode", "seqrd"), ("threads", "1")]);
        assert_eq!(match_up(vec![log.clone(), full.clone()]).1, [0, 0]);
        let pinned = work(&[("mode", "seqrd"), ("pin", "true"), ("threads", "1")]);
        let (works, _) = match_up(vec![log, full, pinned]);
        assert_eq!(works.len(), 3);
    }
}
