//! The commands `wbench compare` and `wbench show`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tempfile::TempDir;

fn wbench(dir: &Path, line: &str) -> Output {
    let mut command = Command::cargo_bin("wbench").unwrap();
    command.current_dir(dir).env_remove("NO_COLOR");
    // A program that blocks on a FIFO would block forever.
    command.timeout(Duration::from_secs(120));
    command.args(line.split_whitespace()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

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
        // Irrelevant to this test, and different on each machine.
        pattern["warnings"] = json!([]);
        pattern["noise"]["steal_s"] = json!(0.0);
        Self { dir, pattern }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The pattern with another rate and further changes.
    fn result(&self, rate: f64, change: impl Fn(&mut Value)) -> Value {
        let mut result = self.pattern.clone();
        result["rates"]["events_per_s"] = json!(rate);
        change(&mut result);
        result
    }

    fn put(&self, file: &str, result: &Value) -> PathBuf {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, serde_json::to_string_pretty(result).unwrap()).unwrap();
        path
    }

    /// Creates a directory with one result for each rate.
    fn group(&self, name: &str, rates: impl IntoIterator<Item = f64>) {
        for (i, rate) in rates.into_iter().enumerate() {
            self.put(&format!("{name}/{i:02}.json"), &self.result(rate, |_| {}));
        }
    }

    fn compare(&self, line: &str) -> Output {
        wbench(self.path(), &format!("compare {line}"))
    }

    fn json(&self, line: &str) -> Value {
        let output = self.compare(&format!("{line} --format json"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

/// Eight distinct values around a center.
fn around(middle: f64) -> Vec<f64> {
    (-4..4)
        .map(|i| middle * (1.0 + 0.003 * f64::from(i)))
        .collect()
}

#[test]
fn each_argument_is_a_group_and_the_first_is_the_baseline() {
    let results = Results::new();
    results.group("native", around(1000.0));
    results.group("same", around(1000.1));
    results.group("kvm", around(650.0));
    let comparison = results.json("native/ same kvm");
    assert_eq!(comparison["baseline"], "native");
    let groups = comparison["rows"][0]["groups"].as_array().unwrap();
    let verdicts: Vec<_> = groups.iter().map(|group| &group["verdict"]).collect();
    assert_eq!(
        verdicts,
        [&Value::Null, &json!("undecided"), &json!("worse")]
    );
    let change = groups[2]["change_percent"]["value"].as_f64().unwrap();
    assert!((change + 35.0).abs() < 0.5, "{change}");
    let swapped = results.json("kvm native");
    let back = &swapped["rows"][0]["groups"][1];
    assert_eq!(back["verdict"], "better");
    let back = back["change_percent"]["value"].as_f64().unwrap();
    assert!(((1.0 + change / 100.0) * (1.0 + back / 100.0) - 1.0).abs() < 1e-9);
}

#[test]
fn identical_groups_do_not_differ_significantly() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let comparison = results.json("a a");
    assert_eq!(comparison["groups"], json!(["a #1", "a #2"]));
    let group = &comparison["rows"][0]["groups"][1];
    assert_eq!(
        (&group["verdict"], &group["p"]["raw"]),
        (&json!("undecided"), &json!(1.0))
    );
    let table = stdout(&results.compare("a a"));
    assert!(table.lines().nth(3).unwrap().ends_with("  ~"), "{table}");
}

#[test]
fn runs_with_different_parameters_are_in_separate_rows() {
    let results = Results::new();
    results.group("a", around(1000.0));
    for (i, rate) in around(300.0).into_iter().enumerate() {
        let other = results.result(rate, |r| r["workload"]["params"]["some_new_one"] = json!(7));
        let usual = results.result(rate, |r| r["workload"]["params"]["some_new_one"] = json!(8));
        results.put(&format!("a/other-{i}.json"), &other);
        results.put(&format!("a/usual-{i}.json"), &usual);
    }
    let rows = results.json("a")["rows"].as_array().unwrap().clone();
    let n: Vec<_> = rows
        .iter()
        .map(|row| row["groups"][0]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(n, [8, 8, 8], "{rows:?}");
}

#[test]
fn one_label_defines_the_groups_and_another_a_second_axis() {
    let results = Results::new();
    for env in ["native", "kvm"] {
        for concurrency in [16, 2] {
            for (i, rate) in around(1000.0 / f64::from(concurrency))
                .into_iter()
                .enumerate()
            {
                let labels = json!({"env": env, "concurrency": concurrency.to_string()});
                let result = results.result(rate, |r| r["labels"] = labels.clone());
                results.put(&format!("all/{env}-{concurrency}-{i}.json"), &result);
            }
        }
    }
    let comparison = results.json("all --by env --baseline native --vary concurrency");
    assert_eq!(comparison["groups"], json!(["native", "kvm"]));
    let axis: Vec<_> = comparison["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["value"])
        .collect();
    assert_eq!(axis, ["2", "16"]);
    let averaged = stdout(&results.compare("all --by env"));
    assert!(
        averaged.contains("--vary concurrency separates them"),
        "{averaged}"
    );
    let threads = results.json("all --by threads");
    assert_eq!(threads["groups"], json!(["1"]));
    let output = results.compare("all --by env --baseline xen");
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains("'xen'") && message.contains("kvm, native"),
        "{message}"
    );
}

#[test]
fn every_field_of_a_result_can_define_groups_and_the_second_axis() {
    let results = Results::new();
    let new = json!({ "a": { "deep": "old" }, "list": [1, 2], "flag": true, "none": null });
    let mut result = results.result(1000.0, |r| r["field_of_the_future"] = new.clone());
    results.put("runs/old.json", &result);
    result["field_of_the_future"]["a"]["deep"] = json!("new");
    results.put("runs/new.json", &result);
    let comparison = results.json("runs --by field_of_the_future.a.deep");
    assert_eq!(comparison["groups"], json!(["new", "old"]));
    let mut fields = Vec::new();
    scalar_fields(&result, "", &mut fields);
    assert!(fields.len() > 60, "{fields:?}");
    for field in fields {
        let output = results.compare(&format!("runs --by {field} --vary {field} --format csv"));
        assert_eq!(output.status.code(), Some(0), "{field}: {output:?}");
    }
}

/// The dotted names of all values except histograms and what arrays contain.
fn scalar_fields(value: &Value, name: &str, fields: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members.iter().filter(|(name, _)| *name != "histogram") {
                let dot = if name.is_empty() { "" } else { "." };
                scalar_fields(value, &format!("{name}{dot}{member}"), fields);
            }
        }
        Value::Array(_) => {}
        _ => fields.push(name.to_owned()),
    }
}

#[test]
fn an_unknown_field_is_named_with_what_exists_instead() {
    let results = Results::new();
    let labeled = results.result(1.0, |r| r["labels"] = json!({ "env": "kvm", "rack": "3" }));
    results.put("runs/0.json", &labeled);
    for option in ["--by", "--vary"] {
        let output = results.compare(&format!("runs {option} host.kernl"));
        assert_eq!(output.status.code(), Some(2), "{option}");
        let message = stderr(&output);
        for part in [
            "'host.kernl'",
            "similar: host.kernel",
            "labels: env, rack",
            "parameters: ",
            "max_prime",
        ] {
            assert!(message.contains(part), "{option}, {part}: {message}");
        }
    }
}

#[test]
fn the_json_document_is_valid_by_its_published_schema() {
    let results = Results::new();
    results.group("a", around(1000.0));
    results.group("b", around(500.0));
    results.group("single", [100.0]);
    let cut = results.result(1.0, |r| r["status"] = json!("interrupted"));
    results.put("a/cut.json", &cut);
    let other = results.result(5.0, |r| r["host"]["kernel"] = json!("other"));
    results.put("b/other.json", &other);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/wbench.compare-2.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for line in [
        "a b single",
        "a b --metric rate,bandwidth,p99 --vary threads --test welch",
    ] {
        let comparison = results.json(line);
        let errors: Vec<_> = validator.iter_errors(&comparison).collect();
        assert!(errors.is_empty(), "{line}: {errors:#?}");
        assert_eq!(comparison["schema"], "wbench.compare/2");
    }
    assert_eq!(results.json("a b")["significance_test"], "mann-whitney");
    let welch = results.json("a b --test welch");
    assert_eq!(welch["significance_test"], "welch");
    assert_eq!(welch["rows"][0]["test"], "cpu");
}

#[test]
fn a_single_run_has_no_p_value_and_the_report_asks_for_more_runs() {
    let results = Results::new();
    results.group("a", [1000.0]);
    results.group("b", [500.0]);
    let group = &results.json("a b")["rows"][0]["groups"][1];
    assert_eq!((&group["n"], &group["p"]), (&json!(1), &Value::Null));
    assert_eq!(group["change_percent"]["value"], -50.0);
    assert!(stdout(&results.compare("a b")).contains("needs more runs"));
}

#[test]
fn a_metric_that_a_test_lacks_has_no_row() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let comparison = results.json("a a --metric bandwidth,rate,fsync-p99");
    let metrics: Vec<_> = comparison["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["metric"])
        .collect();
    assert_eq!(metrics, ["rate"]);
}

#[test]
fn constant_values_do_not_differ_and_need_no_more_runs() {
    let results = Results::new();
    results.group("a", [1000.0; 8]);
    assert_eq!(
        results.json("a a")["rows"][0]["groups"][1]["verdict"],
        "undecided"
    );
    assert_eq!(
        results.compare("a a --fail-above 5%").status.code(),
        Some(0)
    );
}

#[test]
fn the_threshold_check_fails_only_if_a_metric_is_significantly_worse_than_the_threshold() {
    let results = Results::new();
    results.group("base", around(1000.0));
    results.group("much", around(900.0));
    results.group("little", around(970.0));
    results.group("better", around(1500.0));
    results.group(
        "wild",
        [100.0, 150.0, 120.0, 900.0, 2000.0, 3000.0, 1500.0, 2500.0],
    );
    results.group("single", [100.0]);
    let other = results.result(100.0, |r| r["workload"]["params"]["max_prime"] = json!(7));
    results.put("other/0.json", &other);
    for (groups, status) in [
        ("base much", 1),
        ("base little", 0),
        ("base better", 0),
        ("base wild", 0),
        ("base base", 0),
        ("base single", 2),
        ("base other", 2),
        ("base", 2),
        ("base absent", 2),
        ("base better much", 1),
    ] {
        let output = results.compare(&format!("{groups} --fail-above 5%"));
        assert_eq!(
            output.status.code(),
            Some(status),
            "{groups}: {}",
            stderr(&output)
        );
        let output = results.compare(&format!("{groups} --fail-above 50"));
        assert_ne!(
            output.status.code(),
            Some(1),
            "{groups}: {}",
            stderr(&output)
        );
    }
    let output = results.compare("base much --fail-above 5%");
    assert!(
        stderr(&output).contains("worse by 10.0 %"),
        "{}",
        stderr(&output)
    );
    // For a duration, higher is worse.
    for (rate, path) in [(1.0, "fast"), (2.0, "slow")] {
        for (i, value) in around(rate).into_iter().enumerate() {
            let result = results.result(1.0, |r| r["totals"]["wall_s"] = json!(value));
            results.put(&format!("{path}/{i}.json"), &result);
        }
    }
    assert_eq!(
        results
            .compare("fast slow --metric time --fail-above 5%")
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        results
            .compare("slow fast --metric time --fail-above 5%")
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn invalid_input_is_named_with_line_and_reason() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let good = results.result(1000.0, |_| {}).to_string();
    for (file, content, message) in [
        ("empty.json", String::new(), ":1: it is empty"),
        (
            "text.txt",
            "hello\n".into(),
            ":1: neither JSON nor a log of sysbench",
        ),
        (
            "foreign.json",
            "\n{\"a\": 1}".into(),
            ":2: not a result of wbench",
        ),
        (
            "cut.json",
            good[..good.find("\"totals\"").unwrap()].into(),
            ":1: EOF",
        ),
        (
            "second.jsonl",
            format!("{good}\n{{\"schema\": tru}}\n"),
            ":2: expected ident",
        ),
        (
            "future.json",
            good.replace("result/1", "result/2"),
            ":1: schema wbench.result/2 is not supported",
        ),
        (
            "env.json",
            good.replace("result/1", "env/1"),
            ":1: schema wbench.env/1 is not that of a result",
        ),
        (
            "lacks.json",
            good.replace("\"rates\"", "\"rods\""),
            ":1: rates.events_per_s is missing",
        ),
        (
            "log",
            "sysbench 1.0.20 (x)\nRunning the test with following options:\n".into(),
            ":2: the log ends",
        ),
    ] {
        let path = results.path().join(format!("bad/{file}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let output = results.compare(&format!("a bad/{file}"));
        assert_eq!(output.status.code(), Some(2), "{file}");
        let named = format!("bad/{file}{message}");
        assert!(
            stderr(&output).contains(&named),
            "{named}: {}",
            stderr(&output)
        );
    }
    fs::write(results.path().join("bad/bytes"), b"{\"a\":\n\"\xff\"}").unwrap();
    let output = results.compare("a bad");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("10 errors in the input"),
        "{}",
        stderr(&output)
    );
    assert_eq!(results.compare("a bad --skip-bad").status.code(), Some(0));
    assert_eq!(results.compare("bad/log --skip-bad").status.code(), Some(2));
}

#[test]
fn a_directory_without_results_is_an_error_and_never_a_missing_group() {
    let results = Results::new();
    results.group("a", around(100.0));
    fs::create_dir_all(results.path().join("empty/.hidden")).unwrap();
    for line in ["a empty", "empty a", "a empty --fail-above 5%"] {
        let output = results.compare(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let message = stderr(&output);
        assert!(message.contains("empty"), "{message}");
        assert!(message.contains("contains no result files"), "{message}");
    }
    let skipped = results.compare("a empty --skip-bad");
    assert_eq!(skipped.status.code(), Some(0));
    assert!(stderr(&skipped).contains("contains no result files"));
}

#[test]
fn incomplete_runs_are_named_and_excluded_unless_requested() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let cut = results.result(1.0, |r| r["status"] = json!("interrupted"));
    results.put("a/cut.json", &cut);
    let comparison = results.json("a");
    assert_eq!(comparison["rows"][0]["groups"][0]["n"], 8);
    assert_eq!(comparison["left_out"][0]["source"], "a/cut.json");
    let table = stdout(&results.compare("a"));
    assert!(
        table.contains("a/cut.json: excluded, because it was interrupted"),
        "{table}"
    );
    let all = results.json("a --include-incomplete");
    assert_eq!(all["rows"][0]["groups"][0]["n"], 9);
}

#[test]
fn files_arrays_lines_and_standard_input_give_the_same_answer() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let all: Vec<Value> = around(1000.0)
        .into_iter()
        .map(|r| results.result(r, |_| {}))
        .collect();
    results.put("array.json", &json!(all));
    let lines: Vec<_> = all.iter().map(Value::to_string).collect();
    let lines = lines.join("\n");
    fs::write(results.path().join("lines.jsonl"), &lines).unwrap();
    let piped = Command::cargo_bin("wbench").unwrap();
    let piped = { piped }
        .current_dir(results.path())
        .args(["compare", "-", "--format", "json"])
        .write_stdin(lines)
        .output()
        .unwrap();
    let summary = |comparison: &Value| {
        comparison["rows"][0]["groups"][0]
            .to_string()
            .replace("standard input", "")
    };
    let one = |comparison: Value| {
        summary(&comparison)
            .split_once("\"n\"")
            .unwrap()
            .1
            .to_owned()
    };
    let expected = one(results.json("a"));
    assert_eq!(one(results.json("array.json")), expected);
    assert_eq!(one(results.json("lines.jsonl")), expected);
    assert_eq!(
        one(serde_json::from_slice(&piped.stdout).unwrap()),
        expected
    );
}

/// Decodes a histogram with the HdrHistogram library.
fn decode(histogram: &str) -> Histogram<u64> {
    let bytes = BASE64.decode(histogram).unwrap();
    Deserializer::new().deserialize(&mut &bytes[..]).unwrap()
}

#[test]
fn percentiles_of_a_group_cover_all_of_its_events() {
    let results = Results::new();
    let (mut files, mut all) = (Vec::new(), Vec::new());
    for (i, events) in [50, 400, 1000].into_iter().enumerate() {
        let line = format!(
            "cpu --max-prime {} --events {events} -q --json m/{i}.json",
            100 + 900 * i
        );
        fs::create_dir_all(results.path().join("m")).unwrap();
        wbench(results.path(), &line);
        let text = fs::read_to_string(results.path().join(format!("m/{i}.json"))).unwrap();
        let mut result: Value = serde_json::from_str(&text).unwrap();
        let parsed: wbench::result::RunResult = serde_json::from_str(&text).unwrap();
        all.push(decode(&parsed.latency_ns.unwrap().histogram));
        result["workload"] = results.pattern["workload"].clone();
        files.push(results.put(&format!("m/{i}.json"), &result));
    }
    let mut together = all.remove(0);
    all.iter()
        .for_each(|histogram| together.add(histogram).unwrap());
    let comparison = results.json("m --metric p99,p50");
    for (row, percent) in comparison["rows"]
        .as_array()
        .unwrap()
        .iter()
        .zip([99.0, 50.0])
    {
        let group = &row["groups"][0];
        assert_eq!(group["merged"], together.value_at_percentile(percent));
        assert_eq!(group["latency_ns"]["events"], 1450);
    }
}

#[test]
fn machine_formats_contain_every_number_unrounded() {
    let results = Results::new();
    let rates = [1.0 / 3.0, 2.0 / 3.0, 1.0];
    results.group("a", rates);
    let mean = rates.iter().sum::<f64>() / 3.0;
    assert_eq!(results.json("a")["rows"][0]["groups"][0]["mean"], mean);
    let csv = stdout(&results.compare("a --format csv"));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    let line = reader.records().next().unwrap().unwrap();
    let column = head.iter().position(|name| name == "mean").unwrap();
    assert_eq!(line[column].parse::<f64>().unwrap(), mean);
}

#[test]
fn other_differences_are_listed_once_and_suspicious_ones_are_warnings() {
    let results = Results::new();
    results.group("a", around(1000.0));
    for (i, rate) in around(1000.0).into_iter().enumerate() {
        let result = results.result(rate, |r| {
            r["host"]["kernel"] = json!("9.9");
            r["clock"]["source"] = json!("monotonic");
            r["clock"]["drift_ppm"] = json!(-350.0);
            r["noise"]["steal_s"] = json!(1e6);
            r["tool"]["version"] = json!("9.9.9");
        });
        results.put(&format!("b/{i}.json"), &result);
    }
    let text = stdout(&results.compare("a b"));
    assert_eq!(text.matches("host.kernel: a: ").count(), 1, "{text}");
    for comparison in [
        "b: 9.9",
        "different clocks timed the events",
        "different versions of the program measured",
        "the clock drifted in 8 runs, by up to 350 ppm",
        "the hypervisor gave CPU time of this machine to others in 8 runs",
    ] {
        assert!(text.contains(comparison), "{comparison}: {text}");
    }
    let same = stdout(&results.compare("a a"));
    assert!(
        !same.contains("What else differed") && !same.contains("Warnings"),
        "{same}"
    );
}

#[test]
fn vulnerabilities_that_differ_have_a_line_each_unless_they_are_many() {
    let results = Results::new();
    let with = |group: &str, changed: &[&str]| {
        for (i, rate) in around(1000.0).into_iter().enumerate() {
            let result = results.result(rate, |r| {
                r["host"]["mitigations"] =
                    json!({"l1tf": "-", "mds": "-", "srbds": "-", "tsa": "-"});
                for name in changed {
                    r["host"]["mitigations"][name] = json!("Vulnerable");
                }
                r["host"]["topology"]["smt_siblings"] = json!([group, "7"]);
            });
            results.put(&format!("{group}/{i}.json"), &result);
        }
    };
    with("a", &[]);
    with("b", &["l1tf", "mds", "tsa"]);
    with("c", &["l1tf", "mds", "srbds", "tsa"]);
    let few = stdout(&results.compare("a b"));
    assert!(
        few.contains("host.mitigations.mds: a: -; b: Vulnerable"),
        "{few}"
    );
    let siblings = r#"host.topology.smt_siblings: a: ["a","7"]; b: ["b","7"]"#;
    assert!(few.contains(siblings), "{few}");
    let many = stdout(&results.compare("a c"));
    let line = "host.mitigations.*: 4 fields differ: l1tf, mds, srbds, tsa";
    assert!(many.contains(line), "{many}");
    assert!(!many.contains("host.mitigations.mds"), "{many}");
    let fields = results.json("a c").to_string();
    assert!(fields.contains("host.mitigations.mds"), "{fields}");
}

#[test]
fn colors_are_used_only_on_terminals_unless_requested() {
    let results = Results::new();
    results.group("a", around(1000.0));
    results.group("b", around(500.0));
    assert!(!stdout(&results.compare("a b")).contains('\x1b'));
    let colored = stdout(&results.compare("a b --color always"));
    assert!(colored.contains("\x1b[31mworse\x1b[0m"), "{colored:?}");
    assert!(!stdout(&results.compare("a b --color never")).contains('\x1b'));
}

#[test]
fn a_comparison_is_written_to_the_output_file() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let output = results.compare("a --format markdown --output comparison.md");
    assert!(output.stdout.is_empty() && output.status.success());
    let comparison = fs::read_to_string(results.path().join("comparison.md")).unwrap();
    assert_eq!(comparison, stdout(&results.compare("a --format markdown")));
    assert!(comparison.starts_with("### cpu · rate in events/s, more is better\n\n| group | n |"));
}

#[test]
fn show_prints_what_the_run_printed() {
    let dir = tempfile::tempdir().unwrap();
    let run = wbench(dir.path(), "cpu --max-prime 100 --events 50 --json r.json");
    assert_eq!(stdout(&wbench(dir.path(), "show r.json")), stdout(&run));
    let json = stdout(&wbench(dir.path(), "show r.json --format json"));
    assert_eq!(json, fs::read_to_string(dir.path().join("r.json")).unwrap());
    let sysbench = stdout(&wbench(dir.path(), "show r.json --format sysbench"));
    assert!(
        sysbench.contains("    total number of events:              50\n"),
        "{sysbench}"
    );
    let absent = wbench(dir.path(), "show absent.json");
    assert_eq!(absent.status.code(), Some(1));
    assert!(stderr(&absent).contains("absent.json"));
}

#[test]
fn only_regular_files_of_a_directory_are_read() {
    let results = Results::new();
    results.group("a", around(1000.0));
    results.group("b", around(1000.0));
    let b = results.path().join("b");
    mkfifo(&b.join("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(b.join("socket")).unwrap();
    symlink("/dev/null", b.join("device")).unwrap();
    symlink("..", b.join("loop")).unwrap();
    let read = results.compare("a b --format json");
    assert_eq!(read.status.code(), Some(0), "{read:?}");
    let document: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(document["rows"][0]["groups"][1]["n"], 8);
    assert_eq!(
        stderr(&read),
        "wbench: b/device: skipped: a device\n\
         wbench: b/fifo: skipped: a FIFO\n\
         wbench: b/loop: skipped: a symbolic link to a directory\n\
         wbench: b/socket: skipped: a socket\n"
    );
}

#[test]
fn one_unreadable_entry_does_not_hide_the_others_of_its_directory() {
    let results = Results::new();
    results.group("a", around(1000.0));
    results.group("b/one", around(1000.0));
    results.group("b/two", around(1000.0));
    symlink("/no/such/file", results.path().join("b/one/dangling.json")).unwrap();
    let sparse = fs::File::create(results.path().join("b/sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let strict = results.compare("a b --format json");
    assert_eq!(strict.status.code(), Some(2));
    let named = stderr(&strict);
    assert!(
        named.contains("b/one/dangling.json: cannot follow this symbolic link: no such file")
            && named.contains("b/sparse:1: it is not text: a NUL byte"),
        "{named}"
    );
    let tolerant = results.compare("a b --format json --skip-bad");
    assert_eq!(tolerant.status.code(), Some(0));
    assert_eq!(stderr(&tolerant), named);
    let document: Value = serde_json::from_slice(&tolerant.stdout).unwrap();
    assert_eq!(document["rows"][0]["groups"][1]["n"], 16);
}

#[test]
fn a_fifo_given_as_an_argument_is_read() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let (fifo, result) = (results.path().join("fifo"), results.result(500.0, |_| {}));
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let writer = thread::spawn(move || fs::write(fifo, result.to_string()).unwrap());
    let document = results.json("a fifo");
    writer.join().unwrap();
    assert_eq!(document["rows"][0]["groups"][1]["n"], 1);
}

#[test]
fn a_directory_without_results_is_reported_as_such() {
    let results = Results::new();
    fs::create_dir(results.path().join("empty")).unwrap();
    let output = results.compare("empty");
    assert_eq!(output.status.code(), Some(2));
    let named = "wbench: empty: the directory contains no result files\n";
    assert!(stderr(&output).starts_with(named), "{output:?}");
}

/// Sets colors and the window title with 7-bit and 8-bit escapes, reverses the text and breaks the
/// line.
const HOSTILE: &str = "=red\x1b[31m\u{9b}1m\x1b]0;title\x07\nwbench: fine\u{202e}end\x7f";

fn has_active(text: &str) -> bool {
    text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}')
}

#[test]
fn untrusted_text_cannot_control_the_terminal() {
    let results = Results::new();
    results.group("a", around(1000.0));
    let hostile = results.result(1000.0, |result| {
        result["labels"] = json!({ "env": HOSTILE });
        result["host"]["hostname"] = json!(HOSTILE);
        result["host"]["kernel"] = json!(HOSTILE);
        result["warnings"] = json!([{ "code": HOSTILE, "message": HOSTILE }]);
    });
    results.put("b/hostile.json", &hostile);
    results.put(&format!("{}.json", HOSTILE.replace('/', "")), &hostile);
    fs::write(results.path().join(format!("bad{HOSTILE}")), HOSTILE).unwrap();
    symlink("/dev/null", results.path().join(format!("null{HOSTILE}"))).unwrap();
    for format in ["table", "markdown", "csv", "json", "html"] {
        for options in ["--by env", "--by host.kernel --vary env", ""] {
            let output = results.compare(&format!(". a {options} --format {format}"));
            for text in [stdout(&output), stderr(&output)] {
                assert!(!has_active(&text), "{format} {options}: {text:?}");
                // In markup, a line break becomes a space.
                assert!(
                    format == "html" || !text.contains("\nwbench: fine"),
                    "{text}"
                );
            }
        }
    }
    for format in ["text", "sysbench", "json", "rally"] {
        let shown = wbench(
            results.path(),
            &format!("show b/hostile.json --format {format}"),
        );
        assert!(shown.status.success() && !has_active(&stdout(&shown)));
    }
    let table = stdout(&results.compare("b a --by env"));
    let row = table.lines().find(|line| line.contains("=red"));
    let row = row.expect("a row of the hostile group");
    assert!(
        row.contains("\\nwbench: fine\\u{202e}end\\u{7f}") && row.ends_with("needs more runs"),
        "{table}"
    );
    // Machine formats contain the label unchanged.
    let document = results.json("b a --by env");
    assert_eq!(document["groups"][1], HOSTILE);
}

#[test]
fn errors_escape_the_arguments_they_quote() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        vec!["show", HOSTILE],
        vec!["compare", HOSTILE],
        vec!["compare", "a", "--metric", HOSTILE],
        vec!["cpu", "--threads", HOSTILE],
        vec!["cpu", "--label", HOSTILE],
        vec!["suite", "--profile", HOSTILE],
        vec!["fileio", "--mode", "rndrd", "--dir", HOSTILE],
        vec![HOSTILE],
        vec!["--test=cpu", HOSTILE],
    ] {
        let mut command = Command::cargo_bin("wbench").unwrap();
        let output = command.current_dir(dir.path()).args(&arguments).output();
        let output = output.unwrap();
        let text = stderr(&output);
        assert!(!output.status.success() && !text.is_empty(), "{output:?}");
        assert!(!has_active(&text), "{arguments:?}: {text:?}");
    }
}

#[test]
fn csv_neutralizes_formulas_in_labels_and_keeps_numbers() {
    let results = Results::new();
    for (file, label, rate) in [("a", "=cmd|' /C calc'!A0", 1000.0), ("b", "-5", 500.0)] {
        let result = results.result(rate, |result| result["labels"] = json!({ "env": label }));
        results.put(&format!("{file}.json"), &result);
    }
    let text = stdout(&results.compare("a.json b.json --vary env --by env --format csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let column = |name: &str| {
        let place = head.iter().position(|column| column == name).unwrap();
        let fields = records.iter().map(|record| record[place].to_owned());
        fields.collect::<Vec<_>>()
    };
    assert_eq!(column("group"), ["-5", "'=cmd|' /C calc'!A0"]);
    assert_eq!(column("value"), ["-5", "'=cmd|' /C calc'!A0"]);
    let text = stdout(&results.compare("a.json b.json --format csv"));
    let change = text.lines().last().unwrap().split(',').nth(15).unwrap();
    assert_eq!(change.parse::<f64>().unwrap(), -50.0);
}

#[test]
fn a_comparison_needs_no_further_threads() {
    let results = Results::new();
    results.group("a", around(1000.0));
    results.group("b", around(500.0));
    // Another user must be able to reach the program and the results.
    let program = results.path().join("wbench");
    // Copied by another process: processes that other tests start inherit the files this one has
    // open for writing, and a program open for writing cannot be executed.
    let copy = std::process::Command::new("cp")
        .arg(assert_cmd::cargo::cargo_bin("wbench"))
        .arg(&program)
        .status();
    assert!(copy.unwrap().success());
    fs::set_permissions(results.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let limited = |group: &str| {
        // Root has no such limit. The user ID is unique, so that its only process is its own.
        let as_user = match nix::unistd::geteuid().is_root() {
            true => format!(
                "setpriv --reuid={} --clear-groups ",
                2_000_000_000 + std::process::id()
            ),
            false => String::new(),
        };
        let limit = format!("{as_user}prlimit --nproc=1");
        let mut args = limit.split(' ');
        let mut command = std::process::Command::new(args.next().unwrap());
        command.args(args).arg(&program);
        command.args(["compare", "a", group, "--format", "json"]);
        let output = command.current_dir(results.path()).output();
        output.expect("this test needs setpriv and prlimit: install util-linux")
    };
    let (alone, usual) = (limited("b"), results.compare("a b --format json"));
    assert_eq!(alone.status.code(), Some(0), "{alone:?}");
    assert_eq!(stdout(&alone), stdout(&usual));
}

#[test]
fn a_comparison_never_overwrites_its_input() {
    let results = Results::new();
    results.put("runs/a.json", &results.result(1.0, |_| {}));
    results.put("b.json", &results.result(2.0, |_| {}));
    let at = |name: &str| results.path().join(name);
    fs::hard_link(at("b.json"), at("hard.json")).unwrap();
    symlink("b.json", at("soft.json")).unwrap();
    let before = [
        fs::read(at("runs/a.json")).unwrap(),
        fs::read(at("b.json")).unwrap(),
    ];
    for output in [
        "b.json",
        "./b.json",
        "hard.json",
        "soft.json",
        "runs/a.json",
    ] {
        for format in ["table", "json", "html"] {
            let line = format!("compare runs b.json --format {format} --output {output}");
            let done = wbench(results.path(), &line);
            assert_eq!(done.status.code(), Some(2), "{line}");
            assert!(
                stderr(&done).contains("would replace the input"),
                "{}",
                stderr(&done)
            );
            let after = [
                fs::read(at("runs/a.json")).unwrap(),
                fs::read(at("b.json")).unwrap(),
            ];
            assert!(before == after, "{line}");
        }
    }
    let done = wbench(results.path(), "compare runs b.json --output new.txt");
    assert_eq!(done.status.code(), Some(0));
}

#[test]
fn a_histogram_that_claims_gigabytes_is_an_error() {
    let results = Results::new();
    let mut inflated = Vec::new();
    for field in [0x1c84_9313u32, u32::MAX, 0, 3] {
        inflated.extend(field.to_be_bytes());
    }
    for field in [1u64, u64::MAX, 1f64.to_bits()] {
        inflated.extend(field.to_be_bytes());
    }
    // Also a deflate bomb: 64 MiB of counts in 64 KiB.
    inflated.resize(64 << 20, 1);
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(&inflated).unwrap();
    let deflated = deflated.finish().unwrap();
    let mut histogram = 0x1c84_9314u32.to_be_bytes().to_vec();
    histogram.extend((deflated.len() as u32).to_be_bytes());
    histogram.extend(deflated);
    let result = results.result(1.0, |result| {
        result["latency_ns"]["histogram"] = json!(BASE64.encode(&histogram));
    });
    results.put("bomb.json", &result);
    let shown = wbench(results.path(), "show bomb.json --format sysbench");
    assert_eq!(shown.status.code(), Some(1), "{shown:?}");
    let claim = "it claims 4294967295 bytes of counts; at most 506880 are possible";
    assert!(stderr(&shown).contains(claim), "{shown:?}");
    let compared = results.compare("bomb.json --metric p99");
    assert_eq!(compared.status.code(), Some(0));
    assert!(stdout(&compared).contains(claim), "{compared:?}");
}

#[test]
fn impossible_figures_are_named() {
    let results = Results::new();
    results.group("a", around(1000.0));
    for (pointer, value) in [
        ("/rates/events_per_s", "-1e308"),
        ("/rates/mib_per_s", "1e300"),
        ("/totals/wall_s", "-1.0"),
        ("/latency_ns/p99", "1e21"),
    ] {
        let bad = results.result(1.0, |result| {
            *result.pointer_mut(pointer).unwrap() = value.parse::<f64>().unwrap().into();
        });
        results.put("bad.json", &bad);
        let output = results.compare("a bad.json");
        assert_eq!(output.status.code(), Some(2), "{pointer}");
        let field = pointer[1..].replace('/', ".");
        let value = bad.pointer(pointer).unwrap();
        let named =
            format!("bad.json:1: invalid {field} {value}: expected a number from 0 to 1e20");
        assert!(stderr(&output).contains(&named), "{}", stderr(&output));
    }
    let impossible = results.result(1.0, |result| {
        result["workload"]["params"]["max_time_s"] = json!(-1.0);
        result["workload"]["params"]["forced_shutdown_s"] = json!(1e300);
        result["totals"]["bytes_read"] = json!(u64::MAX);
        result["totals"]["bytes_written"] = json!(u64::MAX);
    });
    results.put("impossible.json", &impossible);
    let shown = wbench(results.path(), "show impossible.json --format sysbench");
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
}

#[test]
fn a_refused_number_is_named_with_its_option_and_the_accepted_values() {
    let results = Results::new();
    let zero = results.result(1.0, |result| {
        result["workload"]["params"]["max_prime"] = json!(0);
    });
    results.put("zero.json", &zero);
    let profile = "name = \"x\"\n[[measurement]]\nname = \"a\"\ntest = \"cpu\"\nthreads = 0\n";
    fs::write(results.path().join("zero.toml"), profile).unwrap();
    let one_or_more = "expected a whole number, 1 or more";
    let to_u32 = "expected a whole number from 1 to 4294967295";
    for (line, option, reason) in [
        ("cpu --threads 0", "--threads <N>", one_or_more),
        ("cpu --max-prime 0", "--max-prime <N>", one_or_more),
        (
            "cpu --events x",
            "--events <N>",
            "expected a whole number, 0 or more",
        ),
        (
            "cpu --percentile 0",
            "--percentile <P>",
            "a whole number from 1 to 100",
        ),
        ("suite --repeat 0", "--repeat <N>", to_u32),
        ("suite --threads 0", "--threads <N>", one_or_more),
        (
            "sweep --count 0 --concurrency 1 --json x -- cpu",
            "--count <N>",
            to_u32,
        ),
        (
            "sweep --concurrency 0 --count 1 --json x -- cpu",
            "--concurrency",
            to_u32,
        ),
        ("fileio --mode seqrd --files 0", "--files <N>", to_u32),
        (
            "fileio --mode rndrd --io aio --depth 0",
            "--depth <N>",
            "from 1 to 32768",
        ),
        (
            "suite --profile zero.toml",
            "zero.toml:5: threads: ",
            one_or_more,
        ),
        (
            "show zero.json",
            "workload.params: max_prime is 0",
            "expected a whole number, 1 or more",
        ),
    ] {
        let output = wbench(results.path(), line);
        let message = stderr(&output);
        assert!(!output.status.success(), "{line}");
        assert!(
            message.contains(option) && message.contains(reason),
            "{line}: {message}"
        );
    }
}
