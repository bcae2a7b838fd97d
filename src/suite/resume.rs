//! Which results of an interrupted suite count, and whether it is the same suite.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};

use super::Member;
use crate::result::{Host, RunResult, Status, SuiteRun, Tool, Workload};
use crate::resume::{Conditions, check_possible};

/// Where a suite runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Host fingerprint.
    pub host: Host,
    /// Absolute path of the directory of the test files.
    pub folder: String,
}

/// Returns the results that count: those of complete runs, each run once.
///
/// Fails if a result belongs to another suite: another profile, other parameters or labels, another
/// host, directory or program version. `members` are those of the first round.
pub fn counting(
    found: Vec<RunResult>,
    members: &[Member],
    scene: &Scene,
) -> Result<Vec<RunResult>> {
    let mut seen = HashSet::new();
    let mut counting = Vec::with_capacity(found.len());
    for result in found {
        let place = check(&result, members, scene)?;
        if result.status == Status::Complete && seen.insert((place.measurement, place.round)) {
            counting.push(result);
        }
    }
    Ok(counting)
}

/// Returns which run of this suite a result belongs to; fails if none.
fn check(result: &RunResult, members: &[Member], scene: &Scene) -> Result<SuiteRun> {
    check_possible(result)?;
    let Some(place) = &result.suite else {
        bail!("it contains a result that is not part of a suite");
    };
    ensure!(
        place.round > 0,
        "it contains a result of {} with round 0: rounds are counted from 1",
        place.measurement
    );
    let same = members.iter().find(|member| {
        let first = SuiteRun {
            round: member.place.round,
            ..place.clone()
        };
        first == member.place
    });
    let Some(member) = same else {
        let profile = members.first().map(|member| &member.place);
        let wanted = profile.map_or(String::new(), |p| {
            format!("{} at scale {}", p.profile, p.scale)
        });
        bail!(
            "it is of another suite: it contains {} of {} at scale {}, and this is {wanted}",
            place.measurement,
            place.profile,
            place.scale,
        );
    };
    check_conditions(result, member, scene)?;
    Ok(place.clone())
}

fn check_conditions(result: &RunResult, member: &Member, scene: &Scene) -> Result<()> {
    let then = Conditions {
        tool: Some(&result.tool),
        host: Some(&result.host),
        workload: &result.workload,
        labels: &result.labels,
        dir: result.storage.as_ref().map(|storage| &*storage.path),
    };
    let (tool, workload) = (Tool::this(), Workload::of(&member.plan));
    let now = Conditions {
        tool: Some(&tool),
        host: Some(&scene.host),
        workload: &workload,
        labels: &member.plan.labels,
        dir: member.plan.files.as_ref().map(|_| &*scene.folder),
    };
    then.check_unchanged(&now, &member.place.measurement)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;
    use std::path::Path;

    use super::*;
    use crate::plan::RunPlan;
    use crate::suite::profile::{DEFAULT, Source};
    use crate::suite::{Changes, members};

    fn cpu() -> Vec<Member> {
        let profile = Source::find(Path::new(DEFAULT)).unwrap().profile().unwrap();
        let changes = Changes {
            scale: 1.0,
            dir: ".".into(),
            threads: None,
            pin: false,
            clock: None,
            report_interval: None,
            labels: BTreeMap::new(),
        };
        let mut members = members(&profile, &changes, NonZeroU32::MIN).unwrap();
        members.truncate(1);
        members
    }

    /// Returns a result of the plan in this round, as this program would record it.
    fn result(plan: &RunPlan, place: &SuiteRun, round: u32) -> RunResult {
        let example = include_str!("../../docs/examples/quiet/1.json");
        let mut result: RunResult = serde_json::from_str(example).unwrap();
        result.tool = Tool::this();
        result.labels = BTreeMap::new();
        result.workload = Workload::of(plan);
        let place = place.clone();
        result.suite = Some(SuiteRun { round, ..place });
        result
    }

    fn scene(result: &RunResult) -> Scene {
        Scene {
            host: result.host.clone(),
            folder: "/data".into(),
        }
    }

    #[test]
    fn only_complete_results_count_and_each_round_once() {
        let members = cpu();
        let of = |round| result(&members[0].plan, &members[0].place, round);
        let interrupted = RunResult {
            status: Status::Interrupted,
            ..of(2)
        };
        let found = vec![of(1), interrupted, of(1), of(3)];
        let counted = counting(found, &members, &scene(&of(1))).unwrap();
        assert_eq!(counted, [of(1), of(3)]);
    }

    #[test]
    fn a_result_of_another_suite_is_refused_and_the_difference_named() {
        let members = cpu();
        let good = result(&members[0].plan, &members[0].place, 1);
        let scene = scene(&good);
        let refused = |change: &dyn Fn(&mut RunResult)| {
            let mut other = good.clone();
            change(&mut other);
            let error = counting(vec![other], &members, &scene).unwrap_err();
            error.to_string()
        };
        for (change, told) in [
            (
                (&|r: &mut RunResult| r.suite = None) as &dyn Fn(&mut RunResult),
                "not part of a suite",
            ),
            (
                &|r| r.host.hostname = Some("other".into()),
                "host other, not ",
            ),
            (&|r| r.suite.as_mut().unwrap().round = 0, "round 0"),
            (&|r| r.suite.as_mut().unwrap().scale = 0.5, "at scale 0.5"),
            (&|r| r.totals.events = 0, "0 events"),
            (&|r| r.schema = "x/1".into(), "schema x/1"),
        ] {
            let error = refused(change);
            assert!(error.contains(told), "{error}");
        }
    }
}
