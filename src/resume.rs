//! Rules for the results that a resumed suite or sweep may keep.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::result::{Host, RunResult, SCHEMA, Status, Tool, Workload};

/// Largest number of results of a suite or sweep: `--resume` and `compare` keep all of them in memory, about
/// 10 KiB each.
pub const MOST_RESULTS: u64 = 100_000;

/// Largest relative difference in memory size that still means the same machine: the amount that
/// the kernel reserves varies from boot to boot.
const SAME_MEMORY: f64 = 0.01;

/// Fails if a suite or sweep would have too many results; `instead` is what the user can do about it.
pub fn check_size(results: u64, instead: &str) -> Result<()> {
    ensure!(
        results <= MOST_RESULTS,
        "{results} results are too many: --resume and compare keep all results of a file in memory, \
         at most {MOST_RESULTS}; {instead}"
    );
    Ok(())
}

/// Fails if no suite or sweep of this program can have produced this result.
pub fn check_possible(result: &RunResult) -> Result<()> {
    ensure!(
        result.schema == SCHEMA,
        "it contains a result with schema {}, not {SCHEMA}",
        result.schema
    );
    ensure!(
        result.status != Status::Complete || result.totals.events > 0,
        "it contains a complete result with 0 events, started at {}; remove it from the file to \
         repeat the measurement",
        result.started_at
    );
    Ok(())
}

/// What all results of a suite or sweep have in common.
#[derive(Debug, Clone, Copy)]
pub struct Configuration<'a> {
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

impl Configuration<'_> {
    /// Fails if the configuration has changed, with the first difference and both its values.
    pub fn check_unchanged(&self, now: &Configuration<'_>, name: &str) -> Result<()> {
        match self.difference(now) {
            None => Ok(()),
            Some(Difference { field, then, now }) => {
                bail!("{name} was measured with {field} {then}, not {now}")
            }
        }
    }

    fn difference(&self, now: &Configuration<'_>) -> Option<Difference> {
        let version = |tool: &Tool| tool.version.clone();
        let versions = (self.tool.map(version), now.tool.map(version));
        differ("wbench version", versions.0, versions.1)
            .or_else(|| of_labels(self.labels, now.labels))
            .or_else(|| of_hosts(self.host, now.host))
            .or_else(|| of_workloads(self.workload, now.workload))
            .or_else(|| differ("directory", self.dir, now.dir))
    }
}

/// A field that has changed, with both its values.
#[derive(Debug, PartialEq)]
struct Difference {
    field: String,
    then: String,
    now: String,
}

/// Compares two values of a field; None is an unknown value.
fn differ<T: PartialEq + Display>(
    field: &str,
    then: Option<T>,
    now: Option<T>,
) -> Option<Difference> {
    differ_or("unknown", field, then, now)
}

/// Compares two values of a field; None is shown as `absent`.
fn differ_or<T: PartialEq + Display>(
    absent: &str,
    field: &str,
    then: Option<T>,
    now: Option<T>,
) -> Option<Difference> {
    let shown = |value: Option<T>| value.map_or(absent.to_owned(), |value| value.to_string());
    (then != now).then(|| Difference {
        field: field.to_owned(),
        then: shown(then),
        now: shown(now),
    })
}

type Labels = BTreeMap<String, String>;

fn of_labels(then: &Labels, now: &Labels) -> Option<Difference> {
    let shown = |labels: &Labels| {
        let pairs: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        format!("'{}'", pairs.join(" "))
    };
    (then != now).then(|| Difference {
        field: "labels".to_owned(),
        then: shown(then),
        now: shown(now),
    })
}

fn of_hosts(then: Option<&Host>, now: Option<&Host>) -> Option<Difference> {
    let text = |field, value: fn(&Host) -> Option<&String>| {
        differ(field, then.and_then(value), now.and_then(value))
    };
    let count = |host: &Host| host.cpus;
    let cgroup = |host: Option<&Host>| host.map(|host| host.cgroup.clone()).unwrap_or_default();
    let (cgroup_then, cgroup_now) = (cgroup(then), cgroup(now));
    [
        text("host", |host| host.hostname.as_ref()),
        text("OS", |host| host.os.as_ref()),
        text("kernel", |host| host.kernel.as_ref()),
        text("architecture", |host| host.arch.as_ref()),
        text("CPU", |host| host.cpu_model.as_ref()),
        differ("number of CPUs", then.map(count), now.map(count)),
        of_memory_sizes(
            then.and_then(|host| host.memory_bytes),
            now.and_then(|host| host.memory_bytes),
        ),
        text("hypervisor", |host| host.virtualization.as_ref()),
        text("container", |host| host.container.as_ref()),
        differ_or(
            "none",
            "CPU quota",
            cgroup_then.cpu_quota_cpus,
            cgroup_now.cpu_quota_cpus,
        ),
        differ_or(
            "none",
            "memory limit",
            cgroup_then.memory_limit_bytes,
            cgroup_now.memory_limit_bytes,
        ),
        text("clock source", |host| host.clocksource.as_ref()),
        text("CPU frequency governor", |host| host.cpu_governor.as_ref()),
        text("transparent huge pages", |host| {
            host.transparent_hugepage.as_ref()
        }),
    ]
    .into_iter()
    .flatten()
    .next()
}

/// Compares memory sizes with the tolerance of [`SAME_MEMORY`].
fn of_memory_sizes(then: Option<u64>, now: Option<u64>) -> Option<Difference> {
    if let (Some(then), Some(now)) = (then, now)
        && then.abs_diff(now) as f64 <= then.max(now) as f64 * SAME_MEMORY
    {
        return None;
    }
    differ("memory size in bytes", then, now)
}

fn of_workloads(then: &Workload, now: &Workload) -> Option<Difference> {
    if then == now {
        return None;
    }
    // The JSON documents only name the difference: each field is a parameter.
    let parameters = |workload: &Workload| {
        let document = serde_json::to_value(workload).unwrap_or_default();
        let mut parameters = BTreeMap::new();
        collect(&document, &mut parameters);
        parameters
    };
    let (then, now) = (parameters(then), parameters(now));
    then.iter()
        .find_map(|(name, value)| differ(&format!("parameter {name}"), Some(value), now.get(name)))
}

/// Collects the values of a document by the name of their field.
fn collect(document: &Value, values: &mut BTreeMap<String, Value>) {
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => collect(value, values),
            value => _ = values.insert(name.clone(), value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> RunResult {
        serde_json::from_str(include_str!("../docs/examples/quiet/1.json")).unwrap()
    }

    fn configuration(result: &RunResult) -> Configuration<'_> {
        Configuration {
            tool: Some(&result.tool),
            host: Some(&result.host),
            workload: &result.workload,
            labels: &result.labels,
            dir: Some("/data"),
        }
    }

    #[test]
    fn a_change_of_any_field_is_named_with_both_values() {
        let now = example();
        configuration(&now)
            .check_unchanged(&configuration(&now), "a")
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
        for (change, text) in changes {
            let mut then = example();
            change(&mut then);
            let error = configuration(&then).check_unchanged(&configuration(&now), "a");
            let error = error.expect_err(text).to_string();
            assert!(error.contains(text), "{text}: {error}");
        }
        let elsewhere = Configuration {
            dir: Some("/other"),
            ..configuration(&now)
        };
        let error = elsewhere
            .check_unchanged(&configuration(&now), "a")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a was measured with directory /other, not /data"
        );
    }

    #[test]
    fn values_are_compared_by_type_not_as_text() {
        let (now, mut then) = (example(), example());
        then.labels = [("a".into(), "1 b=2".into())].into();
        let labels = [("a".into(), "1".into()), ("b".into(), "2".into())].into();
        let now = Configuration {
            labels: &labels,
            ..configuration(&now)
        };
        configuration(&then).check_unchanged(&now, "a").unwrap_err();
        let unknown = Configuration {
            dir: None,
            ..configuration(&then)
        };
        let named = Configuration {
            dir: Some("unknown"),
            ..configuration(&then)
        };
        unknown.check_unchanged(&named, "a").unwrap_err();
    }

    #[test]
    fn a_small_difference_in_memory_size_is_the_same_machine() {
        let (now, mut then) = (example(), example());
        then.host.memory_bytes = now.host.memory_bytes.map(|bytes| bytes - (8 << 20));
        configuration(&then)
            .check_unchanged(&configuration(&now), "a")
            .unwrap();
    }

    #[test]
    fn a_result_that_no_run_can_have_produced_is_refused() {
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
    fn too_many_results_to_resume_are_refused_with_the_limit() {
        check_size(MOST_RESULTS, "less").unwrap();
        let error = check_size(MOST_RESULTS + 1, "use less")
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 100000; use less"), "{error}");
    }
}
