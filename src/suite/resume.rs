//! What of an interrupted suite counts, and whether it is the same suite at all.

use anyhow::{Result, bail, ensure};

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
    let what = &place.measurement;
    differs(
        what,
        "parameters",
        &result.workload,
        &Workload::of(&member.plan),
    )?;
    differs(what, "labels", &result.labels, &member.plan.labels)?;
    differs(what, "program", &result.tool, &Tool::this())?;
    let (then, now) = (&result.host, &scene.host);
    differs(what, "host", &then.hostname, &now.hostname)?;
    differs(what, "kernel", &then.kernel, &now.kernel)?;
    differs(
        what,
        "CPU",
        &(&then.cpu_model, then.cpus),
        &(&now.cpu_model, now.cpus),
    )?;
    differs(
        what,
        "hypervisor",
        &then.virtualization,
        &now.virtualization,
    )?;
    differs(what, "container", &then.container, &now.container)?;
    if let Some(storage) = &result.storage {
        differs(what, "folder", &storage.path, &scene.folder)?;
    }
    Ok(place.clone())
}

fn differs<T: PartialEq + serde::Serialize>(
    what: &str,
    field: &str,
    then: &T,
    now: &T,
) -> Result<()> {
    let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
    ensure!(
        then == now,
        "it is of another suite: {what} was measured with another {field}: {}, and now {}",
        text(then),
        text(now)
    );
    Ok(())
}
