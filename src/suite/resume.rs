//! What of an interrupted suite counts, and whether it is the same suite at all.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::Member;
use crate::result::{Host, RunResult, Status, SuiteRun, Tool, Workload};

/// Where and by what a suite is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The machine.
    pub host: Host,
    /// The folder of the test files, absolute.
    pub folder: String,
}

/// The results that count: those of complete measurements, each once.
///
/// Fails where one is of another suite: another profile, other parameters or labels, another
/// host, folder or version of the program. `members` are those of the first round.
pub fn counting(
    found: Vec<RunResult>,
    members: &[Member],
    scene: &Scene,
) -> Result<Vec<RunResult>> {
    let mut counting: Vec<RunResult> = Vec::new();
    for result in found {
        let place = check(&result, members, scene)?;
        let again = counting
            .iter()
            .any(|other| other.suite.as_ref() == Some(&place));
        if result.status == Status::Complete && !again {
            counting.push(result);
        }
    }
    Ok(counting)
}

/// The place of a result in this suite.
fn check(result: &RunResult, members: &[Member], scene: &Scene) -> Result<SuiteRun> {
    let Some(place) = &result.suite else {
        bail!("it holds a result that is of no suite");
    };
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
            "it is of another suite: it holds {} of {} at scale {}, and this is {wanted}",
            place.measurement,
            place.profile,
            place.scale,
        );
    };
    let (then, now) = (conditions(result), conditions_now(member, scene));
    let differs = then.iter().zip(&now).find(|(then, now)| then != now);
    if let Some(((field, then), (_, now))) = differs {
        bail!(
            "it is of another suite: {} was measured with {field} {then}, not {now}",
            place.measurement
        );
    }
    Ok(place.clone())
}

/// All that has to be the same, with its name.
fn conditions(result: &RunResult) -> Vec<(String, String)> {
    let folder = result.storage.as_ref().map(|storage| storage.path.as_str());
    of_run(&result.workload, &result.labels, &result.tool)
        .chain(of_host(&result.host))
        .chain(folder.map(|folder| told("the folder", folder)))
        .collect()
}

/// As [`conditions`], for a measurement that is still to be made.
fn conditions_now(member: &Member, scene: &Scene) -> Vec<(String, String)> {
    let folder = member.plan.files.as_ref().map(|_| scene.folder.as_str());
    of_run(
        &Workload::of(&member.plan),
        &member.plan.labels,
        &Tool::this(),
    )
    .chain(of_host(&scene.host))
    .chain(folder.map(|folder| told("the folder", folder)))
    .collect()
}

fn of_run(
    workload: &Workload,
    labels: &BTreeMap<String, String>,
    tool: &Tool,
) -> impl Iterator<Item = (String, String)> {
    // One member a line, in the same order for the same test.
    let json = serde_json::to_string_pretty(workload).unwrap_or_default();
    let members = json.lines().filter_map(|line| line.split_once(": "));
    let params: Vec<_> = members
        .map(|(name, value)| {
            let name = format!("the parameter {}", name.trim().trim_matches('"'));
            told(&name, value.trim_end_matches(','))
        })
        .collect();
    let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    [
        told("the program's version", &tool.version),
        told("the labels", &format!("'{}'", labels.join(" "))),
    ]
    .into_iter()
    .chain(params)
}

fn of_host(host: &Host) -> impl Iterator<Item = (String, String)> {
    let fields = [
        ("the host", &host.hostname),
        ("the kernel", &host.kernel),
        ("the CPU", &host.cpu_model),
        ("the hypervisor", &host.virtualization),
        ("the container", &host.container),
    ]
    .map(|(name, value)| told(name, value.as_deref().unwrap_or("unknown")));
    let cpus = told("the number of CPUs", &host.cpus.to_string());
    fields.into_iter().chain([cpus])
}

fn told(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[cfg(test)]
mod tests {
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

    /// A result of a round of the first member, as this program would have made it.
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
    fn only_what_is_complete_counts_and_each_round_once() {
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
    fn a_result_of_other_conditions_is_refused_with_both() {
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
                "of no suite",
            ),
            (
                &|r| r.host.hostname = Some("other".into()),
                "the host other, not ",
            ),
            (&|r| r.host.kernel = None, "the kernel unknown, not "),
            (&|r| r.host.cpus = 99, "the number of CPUs 99, not "),
            (&|r| r.tool.version = "0.0.1".into(), "version 0.0.1, not "),
            (
                &|r| r.workload.threads = 7,
                "the parameter threads 7, not 1",
            ),
            (
                &|r| _ = r.labels.insert("a".into(), "b".into()),
                "the labels 'a=b'",
            ),
        ] {
            let error = refused(change);
            assert!(error.contains(told), "{error}");
        }
    }
}
