//! Rules for the earlier results that a resumed job may keep, shared by suites and sweeps.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};

use crate::result::{Host, RunResult, SCHEMA, Status, Tool, Workload};

/// Largest number of results of one job: `--resume` and `compare` keep all of them in memory, about
/// 10 KiB each.
pub const MOST_RESULTS: u64 = 100_000;

/// Largest relative difference in memory size that still means the same machine: the amount that
/// the kernel reserves varies from boot to boot.
const SAME_MEMORY: f64 = 0.01;

/// Fails if a job would have too many results; `instead` is what the user can do about it.
pub fn check_size(results: u64, instead: &str) -> Result<()> {
    ensure!(
        results <= MOST_RESULTS,
        "{results} results are too many: --resume and compare keep all results of a file in memory, \
         at most {MOST_RESULTS}; {instead}"
    );
    Ok(())
}

/// Fails if no job of this program can have produced this result.
pub fn check_possible(result: &RunResult) -> Result<()> {
    ensure!(
        result.schema == SCHEMA,
        "it contains a result with schema {}, not {SCHEMA}",
        result.schema
    );
    ensure!(
        result.status != Status::Complete || result.totals.events > 0,
        "it contains a complete result with 0 events, started at {}: remove it from the file to \
         measure it again",
        result.started_at
    );
    Ok(())
}

/// Properties that must be the same for all results of a job.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// The program.
    pub tool: Option<&'a Tool>,
    /// The machine.
    pub host: Option<&'a Host>,
    /// Test and parameters.
    pub workload: &'a Workload,
    /// Labels given by the user.
    pub labels: &'a BTreeMap<String, String>,
    /// Directory of the test files, if it is the same for all results.
    pub dir: Option<&'a str>,
}

impl Conditions<'_> {
    /// Fails with the first condition that has changed and both its values.
    pub fn check_unchanged(&self, now: &Conditions<'_>, name: &str) -> Result<()> {
        let (then, now) = (self.list(), now.list());
        for then in &then {
            let now = now.iter().find(|now| now.name == then.name);
            let now = now.map_or(&Value::Text(None), |now| &now.value);
            ensure!(
                then.value.is_same(now),
                "{name} was measured with {} {}, not {now}",
                then.name,
                then.value
            );
        }
        Ok(())
    }

    fn list(&self) -> Vec<Condition> {
        let labels = self.labels.iter().map(|(k, v)| format!("{k}={v}"));
        let labels = format!("'{}'", labels.collect::<Vec<_>>().join(" "));
        let mut list = vec![
            Condition::text("wbench version", self.tool.map(|tool| tool.version.clone())),
            Condition::text("labels", Some(labels)),
        ];
        list.extend(of_host(self.host));
        list.extend(of_workload(self.workload));
        list.push(Condition::text("directory", self.dir.map(str::to_owned)));
        list
    }
}

/// A named value.
#[derive(Debug)]
struct Condition {
    name: String,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Text(Option<String>),
    Memory(Option<u64>),
}

impl Condition {
    fn text(name: &str, value: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Value::Text(value),
        }
    }
}

impl Value {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Memory(Some(one)), Self::Memory(Some(other))) => {
                let tolerated = *one.max(other) as f64 * SAME_MEMORY;
                one.abs_diff(*other) as f64 <= tolerated
            }
            (Self::Memory(one), Self::Memory(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(Some(text)) => f.write_str(text),
            Self::Memory(Some(bytes)) => write!(f, "{bytes}"),
            Self::Text(None) | Self::Memory(None) => f.write_str("unknown"),
        }
    }
}

fn of_host(host: Option<&Host>) -> impl Iterator<Item = Condition> {
    let text =
        |name, value: fn(&Host) -> Option<String>| Condition::text(name, host.and_then(value));
    [
        text("host", |host| host.hostname.clone()),
        text("OS", |host| host.os.clone()),
        text("kernel", |host| host.kernel.clone()),
        text("architecture", |host| host.arch.clone()),
        text("CPU", |host| host.cpu_model.clone()),
        text("number of CPUs", |host| Some(host.cpus.to_string())),
        Condition {
            name: "memory size in bytes".to_owned(),
            value: Value::Memory(host.and_then(|host| host.memory_bytes)),
        },
        text("hypervisor", |host| host.virtualization.clone()),
        text("container", |host| host.container.clone()),
        text("CPU quota", |host| Some(limit(host.cgroup.cpu_quota_cpus))),
        text("memory limit", |host| {
            Some(limit(host.cgroup.memory_limit_bytes))
        }),
        text("clock source", |host| host.clocksource.clone()),
        text("CPU frequency governor", |host| host.cpu_governor.clone()),
        text("transparent huge pages", |host| {
            host.transparent_hugepage.clone()
        }),
    ]
    .into_iter()
}

fn limit(limit: Option<impl ToString>) -> String {
    limit.map_or("none".to_owned(), |limit| limit.to_string())
}

/// Returns a condition for each member of the workload's JSON.
fn of_workload(workload: &Workload) -> Vec<Condition> {
    let mut list = Vec::new();
    let json = serde_json::to_value(workload).unwrap_or_default();
    members(&json, &mut list);
    list
}

fn members(json: &serde_json::Value, list: &mut Vec<Condition>) {
    for (name, value) in json.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Object(_) => members(value, list),
            value => list.push(Condition::text(
                &format!("parameter {name}"),
                Some(value.to_string()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> RunResult {
        serde_json::from_str(include_str!("../docs/examples/quiet/1.json")).unwrap()
    }

    fn conditions(result: &RunResult) -> Conditions<'_> {
        Conditions {
            tool: Some(&result.tool),
            host: Some(&result.host),
            workload: &result.workload,
            labels: &result.labels,
            dir: Some("/data"),
        }
    }

    #[test]
    fn each_condition_that_has_changed_is_named_with_both_values() {
        let now = example();
        conditions(&now)
            .check_unchanged(&conditions(&now), "a")
            .unwrap();
        type Change = fn(&mut RunResult);
        let changes: [(Change, &str); 15] = [
            (
                |r| r.tool.version = "0.0.1".into(),
                "wbench version 0.0.1, not ",
            ),
            (|r| r.host.hostname = Some("x".into()), "host x, not "),
            (|r| r.host.os = Some("x".into()), "OS x, not "),
            (|r| r.host.kernel = None, "kernel unknown, not "),
            (|r| r.host.arch = Some("x".into()), "architecture x, not "),
            (|r| r.host.cpus = 99, "number of CPUs 99, not "),
            (
                |r| r.host.memory_bytes = Some(7),
                "memory size in bytes 7, not ",
            ),
            (|r| r.host.container = Some("x".into()), "container x, not "),
            (
                |r| r.host.cgroup.cpu_quota_cpus = Some(0.5),
                "CPU quota 0.5, not ",
            ),
            (
                |r| r.host.cgroup.memory_limit_bytes = Some(9),
                "memory limit 9, not ",
            ),
            (
                |r| r.host.clocksource = Some("x".into()),
                "clock source x, not ",
            ),
            (
                |r| r.host.cpu_governor = Some("x".into()),
                "governor x, not ",
            ),
            (|r| r.workload.threads = 7, "parameter threads 7, not 1"),
            (
                |r| r.workload.params.percentile = 7,
                "parameter percentile 7, not ",
            ),
            (
                |r| _ = r.labels.insert("a".into(), "b".into()),
                "labels 'a=b",
            ),
        ];
        for (change, words) in changes {
            let mut then = example();
            change(&mut then);
            let error = conditions(&then).check_unchanged(&conditions(&now), "a");
            let error = error.expect_err(words).to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        let elsewhere = Conditions {
            dir: Some("/other"),
            ..conditions(&now)
        };
        let error = elsewhere
            .check_unchanged(&conditions(&now), "a")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a was measured with directory /other, not /data"
        );
    }

    #[test]
    fn a_small_difference_in_memory_size_is_the_same_machine() {
        let (now, mut then) = (example(), example());
        then.host.memory_bytes = now.host.memory_bytes.map(|bytes| bytes - (8 << 20));
        conditions(&then)
            .check_unchanged(&conditions(&now), "a")
            .unwrap();
    }

    #[test]
    fn a_result_that_no_job_can_have_produced_is_refused() {
        check_possible(&example()).unwrap();
        let mut other = example();
        other.schema = "wbench.result/9".into();
        let error = check_possible(&other).unwrap_err().to_string();
        assert!(error.contains("wbench.result/9"), "{error}");
        let mut empty = example();
        empty.totals.events = 0;
        let error = check_possible(&empty).unwrap_err().to_string();
        assert!(error.contains("0 events"), "{error}");
        empty.status = Status::Failed;
        check_possible(&empty).unwrap();
    }

    #[test]
    fn a_job_too_large_to_resume_is_refused_with_the_limit() {
        check_size(MOST_RESULTS, "less").unwrap();
        let error = check_size(MOST_RESULTS + 1, "use less")
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 100000; use less"), "{error}");
    }
}
