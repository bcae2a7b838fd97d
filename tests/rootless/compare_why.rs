//! What `wbench compare` says about the causes of a difference.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The times of a run in seconds.
#[derive(Clone, Copy)]
struct Times {
    user: f64,
    system: f64,
    contended: f64,
}

const QUIET: Times = Times {
    user: 1.0,
    system: 0.01,
    contended: 0.002,
};

/// Waits for a CPU, and needs slightly more time in the kernel.
const BUSY: Times = Times {
    user: 1.0,
    system: 0.06,
    contended: 0.952,
};

/// A directory of results derived from one real run.
struct Results {
    dir: TempDir,
    pattern: Value,
}

impl Results {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = wbench(dir.path(), "cpu --max-prime 100 --events 100 --json -");
        let mut pattern: Value = serde_json::from_slice(&run.stdout).unwrap();
        pattern["warnings"] = json!([]);
        pattern["noise"]["steal_s"] = json!(0.0);
        Self { dir, pattern }
    }

    /// A run of 1000 events; `i` selects one of several small deviations of each time.
    fn result(&self, times: Times, i: usize) -> Value {
        let vary = |seconds: f64, step: usize| seconds * (1.0 + 0.004 * ((i * step) % 7) as f64);
        let user = vary(times.user, 3);
        let system = vary(times.system, 2);
        let contended = vary(times.contended, 5);
        let thread_s = user + system + contended + 0.001;
        let mut result = self.pattern.clone();
        result["totals"]["events"] = json!(1000);
        result["rates"]["events_per_s"] = json!(1000.0 / thread_s);
        result["accounting"] = json!({
            "thread_s": thread_s, "user_s": user, "system_s": system, "contended_s": contended,
            "throttled_s": 0.0, "blocked_s": 0.0, "stolen_s": null, "unexplained_s": 0.001,
            "cpu_ghz_before": null, "cpu_ghz_after": null, "cpu_ghz_error": null,
        });
        result
    }

    fn group(&self, name: &str, times: Times, n: usize) {
        self.changed(name, times, n, |_| {});
    }

    fn changed(&self, name: &str, times: Times, n: usize, change: impl Fn(&mut Value)) {
        fs::create_dir_all(self.dir.path().join(name)).unwrap();
        for i in 0..n {
            let mut result = self.result(times, i);
            change(&mut result);
            let path = self.dir.path().join(format!("{name}/{i}.json"));
            fs::write(path, result.to_string()).unwrap();
        }
    }

    fn compare(&self, line: &str) -> Output {
        wbench(self.dir.path(), &format!("compare {line}"))
    }

    fn text(&self, line: &str) -> String {
        let output = self.compare(line);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn why(&self, line: &str) -> Value {
        let text = self.text(&format!("{line} --format json"));
        let comparison: Value = serde_json::from_str(&text).unwrap();
        comparison["rows"][0]["groups"][1]["why"].clone()
    }
}

fn wbench(dir: &Path, line: &str) -> Output {
    let mut command = Command::cargo_bin("wbench").unwrap();
    command.current_dir(dir).args(line.split_whitespace());
    command.output().unwrap()
}

#[test]
fn a_line_below_the_row_names_the_causes_with_their_shares() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    results.group("busy", BUSY, 6);
    let table = results.text("quiet busy");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[3].ends_with("worse"), "{table}");
    let (difference, causes) = lines[4].split_once(": 9").expect(&table);
    assert!(difference.starts_with("    why: +1.0"), "{table}");
    assert!(difference.contains(" ms/event [+"), "{table}");
    let (contended, system) = causes.split_once("), ").expect(&table);
    assert!(
        contended.ends_with("] waiting for a CPU (contended"),
        "{table}"
    );
    assert!(
        system.starts_with("5 % [") && system.ends_with("] system"),
        "{table}"
    );
    // The other direction has the same causes.
    let table = results.text("busy quiet");
    let line = table.lines().nth(4).unwrap();
    assert!(
        line.contains("why: -1.0") && line.contains("(contended)"),
        "{table}"
    );
}

#[test]
fn the_json_document_has_all_components_which_add_up_to_the_difference() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    results.changed("busy", BUSY, 6, |it| {
        it["host"]["kernel"] = json!("another")
    });
    let why = results.why("quiet busy");
    assert_eq!(why["causes"], json!(["contended", "system"]));
    assert_eq!(why["candidates"], json!(["host.kernel"]));
    let components = why["components"].as_array().unwrap();
    let names: Vec<_> = components.iter().map(|it| &it["component"]).collect();
    // Steal time is unknown, so that it is part of the rest.
    let expected = [
        "user",
        "system",
        "contended",
        "throttled",
        "blocked",
        "unexplained",
    ];
    assert_eq!(names, expected);
    let sum: f64 = components
        .iter()
        .map(|it| it["group_ns"].as_f64().unwrap() - it["baseline_ns"].as_f64().unwrap())
        .sum();
    let difference = why["difference_ns"]["value"].as_f64().unwrap();
    assert!((sum - difference).abs() < 1e-6 * difference, "{why}");
    assert!((1.0e6..1.1e6).contains(&difference), "{why}");
}

#[test]
fn the_json_document_is_valid_by_its_published_schema() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    results.group("busy", BUSY, 6);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/wbench.compare-2.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document = results.text("quiet busy --format json");
    let document: Value = serde_json::from_str(&document).unwrap();
    let errors: Vec<_> = validator.iter_errors(&document).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(document["rows"][0]["groups"][1]["why"].is_object());
}

#[test]
fn every_format_names_the_causes() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    results.group("busy", BUSY, 6);
    let markdown = results.text("quiet busy --format markdown");
    assert!(markdown.contains("\n\n- busy, why: +1.0"), "{markdown}");
    let csv = results.text("quiet busy --format csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    let at = |name: &str| head.iter().position(|it| it == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(&rows[0][at("causes")], "");
    assert!(rows[1][at("causes")].starts_with("contended=0.9"), "{csv}");
    assert!(rows[1][at("causes")].contains(" system=0.0"), "{csv}");
    let difference: f64 = rows[1][at("time_per_event_difference_ns")].parse().unwrap();
    assert!((1.0e6..1.1e6).contains(&difference), "{csv}");
    let html = results.text("quiet busy --format html");
    assert!(html.contains("<tr class=\"why\">"), "{html}");
    assert!(html.contains("waiting for a CPU (contended)"), "{html}");
    // The chart is readable without seeing it.
    assert!(html.contains("aria-label=\"quiet: 1.0"), "{html}");
}

#[test]
fn without_a_significant_difference_or_a_time_budget_there_is_no_explanation() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    results.group("same", QUIET, 6);
    results.group("few", QUIET, 1);
    results.group("busy", BUSY, 6);
    let old = |it: &mut Value| _ = it.as_object_mut().unwrap().remove("accounting");
    results.changed("old", BUSY, 6, old);
    results.changed("null", BUSY, 6, |it| it["accounting"] = Value::Null);
    for line in [
        "quiet same",
        "quiet old",
        "old quiet",
        "quiet null",
        "few busy",
    ] {
        assert_eq!(results.why(line), Value::Null, "{line}");
        assert!(!results.text(line).contains("why:"), "{line}");
    }
    // A percentile is not a sum of components.
    assert_eq!(results.why("quiet busy --metric p99"), Value::Null);
    assert_ne!(results.why("quiet busy"), Value::Null);
    // The chart shows the groups that have a budget.
    let html = results.text("quiet old --format html");
    assert!(
        html.contains("aria-label=\"quiet: ") && !html.contains("; old: "),
        "{html}"
    );
}

#[test]
fn a_difference_without_a_certain_cause_says_so() {
    let results = Results::new();
    results.group("quiet", QUIET, 6);
    // The time of an event differs, but no run knows where it went.
    results.changed("unknown", BUSY, 6, |it| {
        it["accounting"]["contended_s"] = Value::Null
    });
    let table = results.text("quiet unknown");
    let line = table.lines().nth(4).unwrap();
    assert!(
        line.contains(": 5 % [") && line.ends_with("] unexplained"),
        "{table}"
    );
    // Only a single thread became slower: the mean hides it.
    results.changed("rate", QUIET, 6, |it| {
        it["rates"]["events_per_s"] = json!(1.0)
    });
    let table = results.text("quiet rate");
    let line = table.lines().nth(4).unwrap();
    assert!(line.ends_with(": no cause is certain"), "{table}");
}

#[test]
fn a_negative_time_is_an_error_that_names_the_field() {
    let results = Results::new();
    results.group("quiet", QUIET, 2);
    results.changed("bad", BUSY, 1, |it| it["accounting"]["user_s"] = json!(-1));
    let output = results.compare("quiet bad");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    let expected = "bad/0.json:1: invalid accounting.user_s -1: expected a number from 0";
    assert!(message.contains(expected), "{message}");
}
