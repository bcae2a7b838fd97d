//! Trials of environments whose results are scripted: the decision, and what happens to a trial
//! that fails or is interrupted.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::sweep::{error, label};
use crate::common::{
    Running, WBENCH, allowed_cpus, assert_ended, assert_valid, names_in, result_in, temp_dir, text,
    validator, wait_until, wbench,
};

/// Runs that end within hundredths of a second.
const TRIVIAL: &str = "cpu --max-prime 100";

/// A launcher whose rate, an integer, is that of a shell expression of the block in $b and of random
/// numbers from 0 to 999: $n depends on the block, $o also on the environment.
fn rated(env: &str, rate: &str) -> String {
    let hash = "h=$(( (h ^ h >> 15) * 2246822519 & 4294967295 )); h=$(( h ^ h >> 13 ));";
    let own: u32 = env.bytes().map(u32::from).sum();
    format!(
        "{env}=sh -c 'b={{instance}}; \
         h=$(( b * 2654435761 & 4294967295 )); {hash} n=$(( h % 1000 )); \
         h=$(( (b + {own} * 100) * 2654435761 & 4294967295 )); {hash} o=$(( h % 1000 )); \
         $WBENCH {{args}} | \
         sed -E \"s/(\\\"events_per_s\\\": )[0-9.e+-]+/\\1$(({rate}))/\"'"
    )
}

/// A rate with noise of 20 % that all environments of a block have in common, and 0.2 % of their own.
const SAME: &str = "(100000 + 20 * n) * (99900 + o / 5) / 100000";

struct Workspace(TempDir);

impl Workspace {
    fn new() -> Self {
        Self(temp_dir())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, options: &str, launchers: &[&str], measurement: &str) -> Command {
        let mut command = Command::new(WBENCH);
        command
            .args("trial --json all.json --run-time 0.001".split(' '))
            .args(options.split_whitespace())
            .args(launchers.iter().flat_map(|launcher| ["--launch", launcher]))
            .arg("--")
            .args(measurement.split_whitespace())
            .env("WBENCH", WBENCH)
            .current_dir(self.path());
        command
    }

    fn trial(&self, options: &str, launchers: &[&str], measurement: &str) -> Output {
        Running::start(self.command(options, launchers, measurement)).finish()
    }

    fn results(&self) -> Vec<Value> {
        let array = result_in(&self.path().join("all.json"));
        array.as_array().expect("an array").clone()
    }

    /// The environments of each block in the order of their positions.
    fn orders(&self) -> BTreeMap<u64, Vec<String>> {
        let mut blocks: BTreeMap<u64, BTreeMap<u64, String>> = BTreeMap::new();
        for result in self.results() {
            let number = |name: &str| result["trial"][name].as_u64().expect("a number");
            let block = blocks.entry(number("block")).or_default();
            let before = block.insert(number("position"), label(&result, "env").to_owned());
            assert_eq!(before, None, "a position is taken twice");
        }
        let orders = blocks.into_iter();
        orders
            .map(|(block, order)| (block, order.into_values().collect()))
            .collect()
    }
}

#[test]
fn equal_environments_are_equivalent_and_every_environment_runs_once_per_block() {
    let workspace = Workspace::new();
    let launchers = [&*rated("a", SAME), &*rated("b", SAME)];
    let output = workspace.trial("--seed 7", &launchers, TRIVIAL);
    assert_ended(&output, 0);
    let table = text(&output.stdout);
    assert!(table.contains("equivalent"), "{table}");
    assert!(table.contains("one session"), "{table}");
    let orders = workspace.orders();
    let blocks = orders.len() as u64;
    assert!((8..100).contains(&blocks), "{blocks} blocks");
    assert!(orders.keys().copied().eq(1..=blocks));
    for order in orders.values() {
        assert!(*order == ["a", "b"] || *order == ["b", "a"], "{order:?}");
    }
    let swapped = orders.values().filter(|order| order[0] == "b").count();
    assert!(swapped > 0 && swapped < orders.len(), "the order is random");
    let schema = validator();
    for result in workspace.results() {
        assert_valid(&schema, &result, "a result of a trial");
        assert_eq!(result["trial"]["seed"], 7);
        assert_eq!(result["trial"]["baseline"], "a");
        assert_eq!(result["workload"]["params"]["max_time_s"], 0.001);
        let labels = result["labels"].as_object().unwrap();
        assert_eq!(labels.len(), 1, "{labels:?}");
    }
    assert_eq!(names_in(workspace.path()), ["all.json"]);
}

#[test]
fn the_seed_decides_the_order() {
    let orders = |seed: u32| {
        let workspace = Workspace::new();
        let launchers = [&*rated("a", "b"), "b=", "c="];
        let options = format!("--max-blocks 4 --warmup 0 --seed {seed}");
        assert_ended(&workspace.trial(&options, &launchers, TRIVIAL), 2);
        workspace.orders()
    };
    assert_eq!(orders(1), orders(1));
    assert_ne!(orders(1), orders(2));
}

#[test]
fn a_slower_environment_gives_exit_status_1_and_a_faster_one_0() {
    for (rate, decision, status) in [
        ("(100000 + 20 * n) * 95 / 100", "slower", 1),
        ("(100000 + 20 * n) / 100", "slower", 1),
        ("(100000 + 20 * n) * 105 / 100", "faster", 0),
    ] {
        let workspace = Workspace::new();
        let launchers = [&*rated("a", SAME), &*rated("b", rate)];
        let output = workspace.trial("--warmup 0", &launchers, TRIVIAL);
        assert_ended(&output, status);
        let table = text(&output.stdout);
        assert!(table.contains(&format!("  {decision}\n")), "{table}");
        let blocks = workspace.orders().len();
        assert!(blocks < 30, "{decision} after {blocks} blocks");
        let decided = format!("block {blocks}: b, rate: {decision}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(&decided), "{stderr}");
    }
}

#[test]
fn the_baseline_and_the_metric_can_be_chosen() {
    let workspace = Workspace::new();
    let launchers = [
        &*rated("a", "(100000 + 20 * n) * 90 / 100"),
        &*rated("b", SAME),
    ];
    let options = "--baseline b --metric rate,latency-mean --max-blocks 20";
    let output = workspace.trial(options, &launchers, TRIVIAL);
    let table = text(&output.stdout);
    assert!(table.contains("change from b [95 %]"), "{table}");
    assert!(table.contains("latency-mean"), "{table}");
    assert!(table.contains("together for all 2 comparisons"), "{table}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("a, rate: slower, -"), "{stderr}{table}");
    assert_ended(&output, 1);
}

#[test]
fn a_trial_without_a_decision_ends_with_its_blocks_and_exit_status_2() {
    let workspace = Workspace::new();
    let noise = "(100000 + 20 * n) * (95000 + o * 10) / 100000";
    let launchers = [&*rated("a", SAME), &*rated("b", noise)];
    let output = workspace.trial("--max-blocks 14 --warmup 0", &launchers, TRIVIAL);
    assert_ended(&output, 2);
    assert_eq!(workspace.results().len(), 28);
    assert!(text(&output.stdout).contains("undecided"));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("block 10: 0 of 1 decided"), "{stderr}");
}

#[test]
fn a_trial_stops_at_its_time_limit() {
    let workspace = Workspace::new();
    let output = workspace.trial("--max-time 0.001", &["a=", "b="], TRIVIAL);
    assert_ended(&output, 2);
    assert_eq!(workspace.results().len(), 2, "the first block is complete");
}

#[test]
fn a_block_with_a_failed_run_is_dropped_as_a_whole_and_named() {
    let workspace = Workspace::new();
    let failing = rated("b", SAME).replacen(
        "$WBENCH",
        "[ $b = 5 ] && echo gone >&2 && exit 3; $WBENCH",
        1,
    );
    let launchers = [&*rated("a", SAME), &*failing];
    let output = workspace.trial("--seed 3", &launchers, TRIVIAL);
    assert_ended(&output, 0);
    let table = text(&output.stdout);
    assert!(
        table.contains("1 block dropped, because a run failed"),
        "{table}"
    );
    assert!(table.contains("block 5, b: "), "{table}");
    assert!(table.contains("gone"), "{table}");
    let blocks = workspace.orders().len();
    assert!(table.contains(&format!("{} blocks", blocks - 1)), "{table}");
    let results = workspace.results();
    let failed: Vec<_> = results
        .iter()
        .filter(|it| it["status"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(error(failed[0]).contains("gone"));
    assert_eq!(failed[0]["trial"]["block"], 5);
}

#[test]
fn a_trial_fails_if_more_than_a_tenth_of_its_blocks_fail() {
    for (when, blocks) in [("$((b % 4)) = 3", 11), ("1 = 1", 2)] {
        let workspace = Workspace::new();
        let failing =
            rated("b", SAME).replacen("$WBENCH", &format!("[ {when} ] && exit 3; $WBENCH"), 1);
        let launchers = [&*rated("a", SAME), &*failing];
        let output = workspace.trial("", &launchers, TRIVIAL);
        assert_ended(&output, 2);
        let stderr = text(&output.stderr);
        assert!(stderr.contains("the trial failed: "), "{stderr}");
        assert_eq!(workspace.orders().len(), blocks, "{when}");
    }
}

#[test]
fn a_copy_that_differs_from_the_baseline_comes_first_in_the_report() {
    let workspace = Workspace::new();
    let rate = "(100000 + 20 * n) * (95000 + 1000 * $(echo {env} | wc -c)) / 100000";
    let output = workspace.trial("--aa", &[&rated("a", rate), &rated("b", SAME)], TRIVIAL);
    assert_ended(&output, 2);
    let report = text(&output.stdout);
    assert!(
        report.starts_with("WARNING: a is not equivalent to its own copy (a-copy, rate: "),
        "{report}"
    );
    assert!(report.contains("do not trust"), "{report}");

    let workspace = Workspace::new();
    let output = workspace.trial("--aa", &[&rated("a", SAME)], TRIVIAL);
    assert_ended(&output, 0);
    assert!(!text(&output.stdout).contains("WARNING"));
}

#[test]
fn an_interrupted_trial_continues_with_whole_blocks_in_the_same_order() {
    let launchers = [&*rated("a", SAME), &*rated("b", SAME)];
    let whole = Workspace::new();
    assert_ended(&whole.trial("--seed 11", &launchers, TRIVIAL), 0);

    let workspace = Workspace::new();
    let hanging = launchers.map(|launcher| {
        launcher.replacen(
            "$WBENCH",
            "[ -e go ] || [ $b -lt 4 ] || { touch here; sleep 1000; }; $WBENCH",
            1,
        )
    });
    let hanging = hanging.each_ref().map(String::as_str);
    let run = Running::start(workspace.command("--seed 11", &hanging, TRIVIAL));
    wait_until("the fourth block runs", || {
        workspace.path().join("here").exists()
    });
    run.signal(Signal::SIGINT);
    let output = run.finish();
    assert_ended(&output, 130);
    assert!(text(&output.stderr).contains("--resume continues"));
    assert!(workspace.orders().keys().copied().eq(1..=3));

    std::fs::write(workspace.path().join("go"), "").unwrap();
    let refused = workspace.trial("--resume --seed 12", &hanging, TRIVIAL);
    assert_ended(&refused, 2);
    assert!(text(&refused.stderr).contains("seed 11, not 12"));
    let refused = workspace.trial("--resume --aa", &hanging, TRIVIAL);
    assert_ended(&refused, 2);
    assert!(text(&refused.stderr).contains("block 1 has results of 2 environments, not of 3"));
    let refused = workspace.trial("--resume", &hanging, "cpu --max-prime 101");
    assert_ended(&refused, 2);
    assert!(text(&refused.stderr).contains("measurement"));

    let output = workspace.trial("--resume", &hanging, TRIVIAL);
    assert_ended(&output, 0);
    assert_eq!(workspace.orders(), whole.orders());
    let again = workspace.trial("--resume", &hanging, TRIVIAL);
    assert_ended(&again, 0);
    assert_eq!(again.stdout, output.stdout, "nothing is left to run");
}

#[test]
fn the_files_of_an_environment_are_created_once_and_removed_at_the_end() {
    let workspace = Workspace::new();
    let log = workspace.path().join("log");
    let launcher = format!(
        "sh=sh -c 'ls {{dir}} | wc -l >> {}; exec $WBENCH {{args}}'",
        log.display()
    );
    let measurement = "fileio --mode rndrw --files 2 --total-size 64K --flags none";
    let output = workspace.trial("--max-blocks 3", &["native=", &launcher], measurement);
    assert_ended(&output, 2);
    let counts = std::fs::read_to_string(log).unwrap();
    let counts: Vec<&str> = counts.split_whitespace().collect();
    assert_eq!(counts, ["0", "2", "2", "2"], "warm-up and three blocks");
    assert_eq!(names_in(workspace.path()), ["all.json", "log"]);
    let paths: Vec<_> = workspace.results();
    let paths = paths
        .iter()
        .map(|it| it["storage"]["path"].as_str().unwrap());
    assert!(paths.clone().any(|path| path.ends_with("/native")));
    assert!(paths.clone().any(|path| path.ends_with("/sh")));
}

#[test]
fn invalid_trials_are_refused_with_exit_status_2() {
    let workspace = Workspace::new();
    for (options, launchers, measurement, message) in [
        ("", &["a="][..], TRIVIAL, "add another --launch"),
        (
            "--baseline c",
            &["a=", "b="],
            TRIVIAL,
            "expected one of a, b",
        ),
        ("", &["a=", "a="], TRIVIAL, "defines environment a twice"),
        ("--margin 0", &["a=", "b="], TRIVIAL, "more than 0%"),
        (
            "--as-is --run-time 5",
            &["a=", "b="],
            TRIVIAL,
            "cannot be used",
        ),
        ("", &["a=", "b="], "cpu --label env=x", "reserved"),
        ("", &["a=", "b="], "fileio run --mode rndrd", "remove 'run'"),
        ("--metric speed", &["a=", "b="], TRIVIAL, "unknown metric"),
        ("--dir absent", &["a=", "b="], TRIVIAL, "absent"),
    ] {
        let output = workspace.trial(options, launchers, measurement);
        assert_ended(&output, 2);
        let stderr = text(&output.stderr);
        assert!(stderr.contains(message), "{options}: {stderr}");
    }
    assert!(names_in(workspace.path()).is_empty());
}

#[test]
fn a_metric_that_the_results_do_not_have_fails_the_trial_with_its_name() {
    let workspace = Workspace::new();
    let output = workspace.trial("--metric fsync-p99", &["a=", "b="], TRIVIAL);
    assert_ended(&output, 2);
    assert!(text(&output.stdout).contains("its result has no fsync-p99"));
}

#[test]
fn a_duet_runs_both_environments_at_the_same_time_on_cpus_of_their_own() {
    let cpus = allowed_cpus().len();
    let workspace = Workspace::new();
    let launcher = "b=sh -c 'echo {cpus} >> log; exec $WBENCH {args}'";
    let options = "--duet --lead 1 --max-blocks 5 --warmup 0 --seed 2";
    let output = workspace.trial(options, &["a=", launcher], TRIVIAL);
    assert_ended(&output, 2);
    if cpus < 2 {
        assert!(text(&output.stderr).contains("disjoint CPUs"));
        return;
    }
    let log = std::fs::read_to_string(workspace.path().join("log")).unwrap();
    let mut blocks: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for result in workspace.results() {
        assert_eq!(result["status"], "complete", "{result}");
        assert_eq!(result["host"]["topology"]["cpus"], result["trial"]["cpus"]);
        let block = result["trial"]["block"].as_u64().unwrap();
        blocks.entry(block).or_default().push(result);
    }
    let mut of_b = Vec::new();
    for block in blocks.values() {
        assert_eq!(block[0]["start"]["asked_at"], block[1]["start"]["asked_at"]);
        assert_ne!(block[0]["trial"]["cpus"], block[1]["trial"]["cpus"]);
        let b = block.iter().find(|it| label(it, "env") == "b").unwrap();
        of_b.push(b["trial"]["cpus"].as_str().unwrap());
    }
    assert!(log.lines().eq(of_b.iter().copied()), "{log}");
    of_b.sort_unstable();
    of_b.dedup();
    assert_eq!(of_b.len(), 2, "the CPUs are exchanged");
    let resumed = workspace.trial(&format!("{options} --resume"), &["a=", launcher], TRIVIAL);
    assert_ended(&resumed, 2);
    assert_eq!(workspace.results().len(), 10);
}

#[test]
fn sessions_are_values_of_a_sample_and_the_environments_restart_between_them() {
    let workspace = Workspace::new();
    let launchers = [&*rated("a", SAME), &*rated("b", SAME)];
    let options = ["--sessions", "3", "--max-blocks", "10", "--between"];
    let trial = |between: &str, more: &str| {
        let mut command = workspace.command(more, &launchers, TRIVIAL);
        let measurement: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let (before, after) =
            measurement.split_at(measurement.iter().position(|it| it == "--").unwrap());
        command = Command::new(WBENCH);
        command.args(before).args(options).arg(between).args(after);
        command.env("WBENCH", WBENCH).current_dir(workspace.path());
        Running::start(command).finish()
    };
    let output = trial("sh -c 'echo broken >&2; exit 3'", "");
    assert_ended(&output, 2);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("cannot begin session 2: --between"),
        "{stderr}"
    );
    assert!(stderr.contains("broken"), "{stderr}");

    let output = trial("sh -c 'echo restarted >> log'", "--resume");
    assert_ended(&output, 0);
    let log = std::fs::read_to_string(workspace.path().join("log")).unwrap();
    assert_eq!(log.lines().count(), 2);
    let table = text(&output.stdout);
    assert!(table.contains("mean over 3 sessions"), "{table}");
    assert!(!table.contains("one session"), "{table}");
    let sessions = workspace.results();
    let sessions = sessions
        .iter()
        .map(|it| it["trial"]["session"].as_u64().unwrap());
    let sessions: Vec<_> = sessions.collect();
    assert!(
        sessions.is_sorted() && sessions.ends_with(&[3]),
        "{sessions:?}"
    );
    let blocks = workspace.orders();
    assert!(blocks.keys().copied().eq(1..=blocks.len() as u64));
}

#[test]
fn compare_pairs_the_runs_of_a_trial_unless_told_otherwise() {
    let workspace = Workspace::new();
    let rate = "(100000 + 20 * n) * 97 / 100";
    let launchers = [&*rated("z", SAME), &*rated("a", rate)];
    assert_ended(&workspace.trial("", &launchers, TRIVIAL), 1);
    let compare = |options: &str| {
        let run = wbench(workspace.path(), &format!("compare all.json {options}"));
        let output = { run }.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let document: Value = serde_json::from_str(&compare("--format json")).unwrap();
    assert_eq!(document["significance_test"], "paired");
    assert_eq!(document["baseline"], "z");
    let paired = compare("");
    assert!(paired.contains("  worse\n"), "{paired}");
    assert!(
        paired.contains("valid after any number of blocks"),
        "{paired}"
    );
    // The common noise of 20 % hides the difference of 3 % if the runs are independent samples.
    let independent = compare("--by env --baseline z");
    assert!(independent.contains("Mann-Whitney"), "{independent}");
    assert!(!independent.contains("worse"), "{independent}");
    assert_eq!(compare("--by env --baseline z --test paired"), paired);

    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/quiet");
    let run = wbench(
        workspace.path(),
        &format!("compare {example} --test paired"),
    );
    let output = { run }.output().unwrap();
    assert_ended(&output, 2);
    assert!(text(&output.stderr).contains("is not part of one"));
}

#[test]
fn a_clock_that_is_set_back_during_a_block_drops_this_block_only() {
    let workspace = Workspace::new();
    let past = "if [ $b = 4 ]; then sed -E \"s/(\\\"started_at\\\": \\\")[^\\\"]*/\\12001-01-01T00:00:00Z/\"; \
                else cat; fi | sed";
    let stepped = rated("b", SAME).replacen("sed", past, 1);
    let output = workspace.trial("--seed 5", &[&rated("a", SAME), &stepped], TRIVIAL);
    assert_ended(&output, 0);
    let table = text(&output.stdout);
    assert!(table.contains("1 block dropped"), "{table}");
    assert!(table.contains("block 4, b: "), "{table}");
    assert!(table.contains("the clock of its host is wrong"), "{table}");
}
