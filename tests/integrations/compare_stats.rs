//! Compares the statistics with SciPy's on the same samples.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use wbench::compare::stats::{
    ConfidenceInterval, MannWhitney, PartOfWhole, Sample, SignificanceTest, Welch, holm, share,
};

/// Runs a script of this directory on lines of JSON, after creating its environment if necessary,
/// and returns the lines of its output.
pub fn scipy<T: serde::Serialize>(script: &str, inputs: &[T]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let setup = Command::new(root.join("tests/setup/scipy.sh")).status();
    assert!(setup.unwrap().success(), "tests/setup/scipy.sh failed");
    let mut script = Command::new(root.join("target/scipy/bin/python"))
        .arg(root.join("tests/integrations").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = inputs
        .iter()
        .map(|input| serde_json::to_string(input).unwrap())
        .collect();
    let mut stdin = script.stdin.take().unwrap();
    stdin.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Samples of many sizes: distinct or overlapping, with and without ties, of equal and unequal
/// variance.
fn pairs() -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut rng = SmallRng::seed_from_u64(3);
    let mut pairs = Vec::new();
    for n in [2, 3, 4, 5, 6, 8, 9, 12, 20, 31, 32, 33, 50, 200] {
        for (other, factor, digits) in [(n, 1.0, 9), (n + 1, 1.05, 9), (n, 0.9, 1), (2 * n, 1.3, 0)]
        {
            let mut draw = |n: usize, factor: f64| -> Vec<f64> {
                let unit = 10f64.powi(digits);
                let mut value = || factor * (100.0 - 8.0 * (1.0 - rng.random::<f64>()).ln());
                (0..n).map(|_| (value() * unit).round() / unit).collect()
            };
            pairs.push((draw(n, 1.0), draw(other, factor)));
        }
    }
    pairs
}

/// The values as parts, with wholes by the formula of the script.
fn parts_of_wholes(parts: &[f64]) -> Vec<PartOfWhole> {
    let rest = (0..).map(|i| 20.0 * f64::from(i * 7 % 5));
    let parts = parts.iter().zip(rest);
    parts
        .map(|(&part, rest)| PartOfWhole {
            part,
            whole: part + rest + 0.3 * part,
        })
        .collect()
}

/// The interval of a share at the script's significance level.
fn share_interval(a: &[f64], b: &[f64]) -> Option<ConfidenceInterval> {
    share(&parts_of_wholes(a), &parts_of_wholes(b), 0.01)?.interval
}

#[track_caller]
fn same(ours: f64, scipys: &Value, what: &str) {
    let scipys = scipys.as_f64().unwrap();
    let tolerance = 1e-9 * scipys.abs() + 1e-13;
    assert!(
        (ours - scipys).abs() <= tolerance,
        "{what}: {ours} and {scipys}"
    );
}

/// Within the error of a numerical search.
#[track_caller]
fn close(ours: f64, scipys: &Value, what: &str) {
    let scipys = scipys.as_f64().unwrap();
    let difference = (ours - scipys).abs();
    assert!(
        difference <= 1e-7 * (1.0 + scipys.abs()),
        "{what}: {ours} and {scipys}"
    );
}

#[test]
fn every_statistic_equals_that_of_scipy_for_the_same_samples() {
    let pairs = pairs();
    let reference = scipy("scipy_reference.py", &pairs);
    let (mut exact, mut intervals, mut shares) = (0, 0, 0);
    for ((a, b), scipy) in pairs.iter().zip(&reference) {
        let of = format!("{} against {} values", b.len(), a.len());
        match share_interval(a, b) {
            Some(interval) => {
                close(interval.low, &scipy["share_interval"][0], &of);
                close(interval.high, &scipy["share_interval"][1], &of);
                shares += 1;
            }
            None => assert!(scipy["share_interval"].is_null(), "{of}"),
        }
        let (a, b) = (
            Sample::new(a.clone()).unwrap(),
            Sample::new(b.clone()).unwrap(),
        );
        let summary = b.summary();
        same(summary.mean, &scipy["mean"], &of);
        same(summary.stddev.unwrap(), &scipy["stddev"], &of);
        same(summary.median.value, &scipy["median"], &of);
        match summary.median.interval {
            Some(interval) => {
                same(interval.low, &scipy["median_interval"][0], &of);
                same(interval.high, &scipy["median_interval"][1], &of);
            }
            None => assert!(scipy["median_interval"].is_null(), "{of}"),
        }
        let test = MannWhitney::of(&a, &b);
        same(test.u(), &scipy["u"], &of);
        same(test.p(), &scipy["p_mann_whitney"], &of);
        same(Welch::of(&a, &b).unwrap().p(), &scipy["p_welch"], &of);
        let change = SignificanceTest::MannWhitney
            .compare(&a, &b)
            .change
            .unwrap();
        same(change.value, &scipy["shift"], &of);
        exact += usize::from(scipy["exact"] == true);
        if let Some(interval) = scipy.get("shift_interval") {
            match change.interval {
                Some(ours) => {
                    same(ours.low, &interval[0], &of);
                    same(ours.high, &interval[1], &of);
                    intervals += 1;
                }
                None => assert!(interval.is_null(), "{of}"),
            }
        }
    }
    // The samples cover every case that the implementation distinguishes.
    assert!(exact > 10 && pairs.len() - exact > 10 && intervals > 5);
    assert!(shares > 5 && pairs.len() - shares > 5, "{shares}");
    let p: Vec<f64> = reference[..pairs.len()]
        .iter()
        .map(|scipy| scipy["p_mann_whitney"].as_f64().unwrap())
        .collect();
    for (ours, scipys) in holm(&p)
        .iter()
        .zip(reference[pairs.len()]["holm"].as_array().unwrap())
    {
        same(*ours, scipys, "Holm");
    }
}
