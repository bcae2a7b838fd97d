//! Many concurrent instances: each is accounted for, whatever happens to it, and nothing is left
//! behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::process::{children, status_kib};
use crate::common::sweep::{TRIVIAL, Workspace, assert_each_once, error, instances, label};
use crate::common::{Running, WBENCH, assert_ended, names_in, number, text, tool, wait_until};

#[test]
fn two_hundred_instances_are_all_accounted_for_and_leave_nothing_behind() {
    let workspace = Workspace::new();
    let measurement = "fileio --mode seqwr --files 1 --total-size 16K --flags none";
    let run = Running::start(workspace.command(
        "--concurrency 32 --count 200 --lead 1",
        &[],
        measurement,
    ));
    let pid = run.pid().as_raw();
    let (mut memory, mut descriptors, mut zombies) = (Vec::new(), 0, 0);
    // Until it is waited for, an ended process remains as a zombie without memory.
    while let Some(resident) = status_kib(pid, "VmRSS") {
        memory.push(resident);
        let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
        descriptors = descriptors.max(open.map_or(0, |open| open.count()));
        let dead = children(pid)
            .iter()
            .filter(|(_, state)| *state == 'Z')
            .count();
        zombies = zombies.max(dead);
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = run.finish();
    assert_ended(&output, 0);
    let results = workspace.results();
    assert_each_once(&results, &["native"], &[32], 200);
    assert!(results.iter().all(|result| result["status"] == "complete"));
    workspace.assert_tidy();
    // An ended instance is a zombie only briefly; zombies never accumulate.
    assert!(zombies <= 32, "{zombies} zombies");
    assert!(descriptors <= 3 * 32 + 16, "{descriptors} descriptors");
    let (early, most) = (memory[memory.len() / 4], *memory.iter().max().unwrap());
    println!(
        "200 instances: memory {early} KiB early, {most} KiB at most, {descriptors} descriptors"
    );
    assert!(
        most < early + 4096,
        "memory grew from {early} to {most} KiB"
    );
}

#[test]
fn the_instances_of_a_wave_wait_for_one_start_and_the_spread_is_reported() {
    let workspace = Workspace::new();
    let output = workspace.sweep("--concurrency 16 --count 32 --runner waves", &[], TRIVIAL);
    assert_ended(&output, 0);
    let results = workspace.results();
    assert_each_once(&results, &["native"], &[16], 32);
    let start_times: BTreeSet<&str> = results
        .iter()
        .map(|result| result["start"]["asked_at"].as_str().unwrap())
        .collect();
    assert_eq!(start_times.len(), 2);
    for start_time in start_times {
        let late: Vec<f64> = results
            .iter()
            .filter(|result| result["start"]["asked_at"] == start_time)
            .map(|result| number(result, "/start/late_s"))
            .collect();
        assert_eq!(late.len(), 16);
        let first = late.iter().copied().fold(f64::INFINITY, f64::min);
        let last = late.iter().copied().fold(0.0, f64::max);
        // The spread depends on the load of the machine.
        println!(
            "16 instances: spread of the starts {:.3} ms",
            (last - first) * 1e3
        );
        assert!(first >= 0.0, "{late:?}");
    }
    let table = text(&output.stdout);
    assert!(table.contains("start spread"), "{table}");
    assert!(table.contains("(max "), "{table}");
    assert!(text(&output.stderr).contains("common start"));
}

#[test]
fn an_ended_instance_is_replaced_at_once_and_only_the_first_wave_starts_together() {
    let workspace = Workspace::new();
    let output = workspace.sweep("--concurrency 3 --count 7 --lead 1", &[], TRIVIAL);
    assert_ended(&output, 0);
    let results = workspace.results();
    assert_each_once(&results, &["native"], &[3], 7);
    let waited = results.iter().filter(|result| !result["start"].is_null());
    assert_eq!(waited.count(), 3);
}

#[test]
fn a_launcher_gets_its_placeholders_filled_in_and_each_instance_a_directory() {
    let workspace = Workspace::new();
    let launcher = "sh=sh -c 'test -d \"$1\" && echo {env} {concurrency} {instance} $1 >> ../log; \
                    exec $WBENCH {args}' name {dir}";
    let launcher = launcher.replace("../log", &workspace.path().join("log").to_string_lossy());
    let measurement = "fileio --mode seqwr --files 1 --total-size 16K --flags none --label a=b";
    let output = workspace.sweep(
        "--concurrency 1 --count 2 --label site=x",
        &[&launcher],
        measurement,
    );
    assert_ended(&output, 0);
    let log = std::fs::read_to_string(workspace.path().join("log")).unwrap();
    let dirs: Vec<&str> = log
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert!(log.starts_with("sh 1 1 /"), "{log}");
    assert_ne!(dirs[0], dirs[1]);
    for (result, dir) in workspace.results().iter().zip(dirs) {
        assert_eq!(result["storage"]["path"], dir);
        assert_eq!((label(result, "a"), label(result, "site")), ("b", "x"));
        assert_eq!(
            result["launch"]["command"],
            launcher.strip_prefix("sh=").unwrap()
        );
        assert!(!Path::new(dir).exists());
    }
}

/// Launchers that fail in different ways, and what their results report.
const FAULTS: [(&str, &[&str]); 9] = [
    (
        "exits=sh -c 'echo no room >&2; exit 1'",
        &["exit status 1", "no room"],
    ),
    (
        "absent=/no/such/launcher {args}",
        &["cannot start the launcher", "/no/such/launcher"],
    ),
    ("garbage=echo hello {args}", &["not a result"]),
    ("silent=true", &["printed no result", "exit status 0"]),
    (
        "half=sh -c '$WBENCH {args} | head -c 700'",
        &["ends within a result"],
    ),
    (
        "other=sh -c '$WBENCH cpu --events 3 --json -'",
        &["another measurement"],
    ),
    (
        "schema=sh -c 'echo \"{\\\"schema\\\": \\\"wbench.result/9\\\"}\"'",
        &["wbench.result/9"],
    ),
    ("killed=sh -c 'kill -9 $$'", &["killed by SIGKILL"]),
    (
        "late=sh -c '$WBENCH {args}; echo broken >&2; exit 3'",
        &["launcher failed", "broken", "exit status 3"],
    ),
];

#[test]
fn a_failed_launcher_is_recorded_with_its_output_and_the_sweep_continues() {
    let workspace = Workspace::new();
    let mut launchers: Vec<&str> = FAULTS.iter().map(|(launcher, _)| *launcher).collect();
    launchers.push("native=");
    let output = workspace.sweep("--concurrency 2 --count 2 --lead 0.5", &launchers, TRIVIAL);
    assert_ended(&output, 1);
    let results = workspace.results();
    assert_eq!(results.len(), 2 * launchers.len());
    for result in &results {
        let env = label(result, "env");
        let fault = FAULTS
            .iter()
            .find(|(launcher, _)| launcher.starts_with(&format!("{env}=")));
        let Some((_, parts)) = fault else {
            assert_eq!(result["status"], "complete", "{env}");
            continue;
        };
        assert_eq!(result["status"], "failed", "{env}");
        assert_eq!(result["workload"]["params"]["max_prime"], 100, "{env}");
        for part in *parts {
            assert!(
                error(result).contains(part),
                "{env}: no '{part}' in {}",
                error(result)
            );
        }
        if env != "late" {
            assert_eq!(result["host"]["cpus"], 0, "{env}");
            assert_eq!(result["totals"]["events"], 0, "{env}");
        }
    }
    let table = text(&output.stdout);
    assert!(table.contains("18 instances failed"), "{table}");
    assert!(table.contains("instance 1 of exits at 2"), "{table}");
    workspace.assert_tidy();

    // `compare` names the failed ones and counts the others.
    let compared = crate::common::wbench(
        workspace.path(),
        "compare all.json --by env --vary concurrency",
    )
    .assert()
    .success();
    let compared = text(&compared.get_output().stdout);
    assert_eq!(
        compared.matches("excluded, because it was failed").count(),
        18,
        "{compared}"
    );
    assert!(compared.contains("native  2"), "{compared}");
}

#[test]
fn a_hung_instance_is_ended_with_its_process_group() {
    let workspace = Workspace::new();
    let launchers = [
        "sleeps=sh -c 'sleep 1000'",
        "deaf=sh -c 'trap \"\" TERM; echo here >&2; while :; do sleep 0.05; done'",
    ];
    let output = workspace.sweep("--concurrency 1 --count 1 --timeout 4", &launchers, TRIVIAL);
    assert_ended(&output, 1);
    let results = workspace.results();
    assert!(
        error(&results[0]).contains("--timeout"),
        "{}",
        error(&results[0])
    );
    assert!(
        error(&results[1]).contains("here"),
        "{}",
        error(&results[1])
    );
    workspace.assert_tidy();
}

#[test]
fn a_process_left_behind_by_an_instance_is_ended_and_the_result_counts() {
    let workspace = Workspace::new();
    let launcher = "open=sh -c '$WBENCH {args}; sleep 1000 &'";
    let output = workspace.sweep("--concurrency 1 --count 1", &[launcher], TRIVIAL);
    assert_ended(&output, 0);
    assert_eq!(workspace.results()[0]["status"], "complete");
    workspace.assert_tidy();
}

#[test]
fn an_instance_that_fails_keeps_its_own_result() {
    let workspace = Workspace::new();
    let launcher = "native=sh -c 'touch {dir}/test_file.0; exec $WBENCH {args}'";
    let measurement = "fileio --mode seqwr --files 1 --total-size 16K --flags none";
    let output = workspace.sweep("--concurrency 1 --count 1", &[launcher], measurement);
    assert_ended(&output, 1);
    let results = workspace.results();
    assert!(
        error(&results[0]).contains("test_file.0"),
        "{}",
        error(&results[0])
    );
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("native-1-1 was not removed: it contains test_file.0"),
        "{stderr}"
    );
}

#[test]
fn only_wbench_test_files_are_removed_with_a_directory_and_others_are_named() {
    let workspace = Workspace::new();
    // As a killed instance leaves them.
    let files = "$WBENCH fileio prepare --quiet --files 2 --total-size 32K --dir {dir}";
    let launcher = format!(
        "native=sh -c '{files}; [ {{instance}} = 1 ] || {{ echo mine > {{dir}}/notes; mkdir \
         {{dir}}/deep; }}; exec $WBENCH {{args}}'"
    );
    let output = workspace.sweep("--quiet --concurrency 1 --count 2", &[&launcher], TRIVIAL);
    assert_ended(&output, 0);
    let stderr = text(&output.stderr);
    for part in [
        "native-1-2 was not removed: it contains deep, notes, not created by wbench",
        "was not removed: it contains native-1-2,",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(!stderr.contains("native-1-1"), "{stderr}");
    let data = workspace.path().join("data");
    let sweep = data.join(names_in(&data).remove(0));
    assert_eq!(names_in(&sweep), ["native-1-2"]);
    assert_eq!(names_in(&sweep.join("native-1-2")), ["deep", "notes"]);
}

#[test]
fn a_stale_result_is_not_counted() {
    let workspace = Workspace::new();
    let launchers = [
        "old=sh -c 'test -e old || $WBENCH {args} > old; cat old'",
        "start=sh -c '$WBENCH {args} | sed s/asked_at[^2]*20../asked_at\\\":\\\"2001/'",
        "began=sh -c '$WBENCH {args} | sed s/started_at[^2]*20../started_at\\\":\\\"2001/'",
    ];
    let options = "--concurrency 2 --count 2 --lead 0.5 --runner waves";
    let output = workspace.sweep(options, &launchers[1..], TRIVIAL);
    assert_ended(&output, 1);
    for (result, part) in workspace.results().iter().zip([
        "another start time: 2001",
        "another start time: 2001",
        "before its launch",
        "before its launch",
    ]) {
        assert_eq!(result["status"], "failed");
        assert!(error(result).contains(part), "{part}: {}", error(result));
    }
    std::fs::remove_file(workspace.file()).unwrap();

    let output = workspace.sweep("--concurrency 1 --count 4", &launchers[..1], TRIVIAL);
    assert_ended(&output, 1);
    let results = workspace.results();
    assert_eq!(results[0]["status"], "complete");
    assert!(results[0]["labels"]["nonce"].is_null());
    for result in &results[1..] {
        assert_eq!(result["status"], "failed");
        assert!(
            error(result).contains("result of another launch"),
            "{}",
            error(result)
        );
    }
}

#[test]
fn failures_are_printed_even_with_quiet() {
    let workspace = Workspace::new();
    let launchers = ["native=", "broken=sh -c 'echo no room >&2; exit 3'"];
    let output = workspace.sweep("--quiet --concurrency 1 --count 1", &launchers, TRIVIAL);
    assert_ended(&output, 1);
    assert_eq!(text(&output.stdout), "");
    let stderr = text(&output.stderr);
    for part in ["1 instance failed", "instance 1 of broken at 1", "no room"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// A sweep of 16 concurrent instances with a file descriptor limit.
fn sweep_with_descriptors(workspace: &Workspace, limit: &str) -> Output {
    let launcher = "sh=sh -c 'ulimit -Sn >> limits; exec $WBENCH {args}'";
    let sweep = workspace.command(
        "--quiet --concurrency 16 --count 16 --lead 1",
        &[launcher],
        TRIVIAL,
    );
    let mut command = tool("sh");
    command
        .args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"])
        .arg(sweep.get_program())
        .args(sweep.get_args())
        .env("WBENCH", WBENCH)
        .current_dir(workspace.path());
    Running::start(command).finish()
}

#[test]
fn the_descriptor_limit_is_raised_for_the_sweep_and_not_for_its_instances() {
    let workspace = Workspace::new();
    assert_ended(&sweep_with_descriptors(&workspace, "-Sn 40"), 0);
    assert_each_once(&workspace.results(), &["sh"], &[16], 16);
    let limits = std::fs::read_to_string(workspace.path().join("limits")).unwrap();
    assert_eq!(limits, "40\n".repeat(16));

    let workspace = Workspace::new();
    let output = sweep_with_descriptors(&workspace, "-n 40");
    assert_ended(&output, 1);
    let stderr = text(&output.stderr);
    for part in [
        "16 concurrent instances",
        "hard limit is 40",
        "--concurrency",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert_eq!(names_in(workspace.path()), ["data"]);
}

#[test]
fn resume_refuses_results_from_different_conditions() {
    let workspace = Workspace::new();
    let options = "--concurrency 1 --count 2";
    assert_ended(&workspace.sweep(options, &[], TRIVIAL), 0);
    let whole = workspace.results();
    let resume = format!("{options} --resume");
    for (pointer, value, part) in [
        ("/launch/host/hostname", "x".into(), "host x, not"),
        ("/launch/host/kernel", "1.0".into(), "kernel 1.0, not"),
        ("/launch/tool/version", "9".into(), "wbench version 9, not"),
        ("/host/hostname", "x".into(), "host x, not"),
        ("/host/kernel", "1.0".into(), "kernel 1.0, not"),
        ("/tool/version", "9".into(), "wbench version 9, not"),
        (
            "/schema",
            "wbench.result/9".into(),
            "schema wbench.result/9",
        ),
        ("/launch/instance", 0.into(), "another sweep"),
        ("/totals/events", 0.into(), "0 events"),
    ] {
        let mut other = whole.clone();
        *other[0].pointer_mut(pointer).expect(pointer) = value;
        let text_before = serde_json::to_string(&other).unwrap();
        std::fs::write(workspace.file(), &text_before).unwrap();
        let refused = workspace.sweep(&resume, &[], TRIVIAL);
        assert_ended(&refused, 1);
        let stderr = text(&refused.stderr);
        assert!(stderr.contains(part), "{pointer}: {stderr}");
        let text_after = std::fs::read_to_string(workspace.file()).unwrap();
        assert_eq!(text_after, text_before);
    }
}

/// Rounds of a sweep that may be interrupted by a signal; the last round is not.
const INTERRUPTED_ROUNDS: u32 = 6;

/// Seed of the random pauses: WBENCH_TEST_SEED to reproduce a test, otherwise different each time.
fn seed() -> u32 {
    let seed = match std::env::var("WBENCH_TEST_SEED") {
        Ok(seed) => seed.parse().expect("WBENCH_TEST_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos(),
    };
    println!("WBENCH_TEST_SEED={seed}");
    seed
}

#[test]
fn a_signal_ends_the_children_and_resume_completes_each_instance_once() {
    let seed = seed();
    let workspace = Workspace::new();
    let options = "--concurrency 1,3 --count 6 --lead 0.5";
    let measurement = "cpu --max-prime 1000 --events 0 --time 0.3";
    let launchers = ["native=", "sh=sh -c '$WBENCH {args}'"];
    let mut random = u64::from(seed);
    let mut interrupted = 0;
    for round in 0..=INTERRUPTED_ROUNDS {
        let resumed = format!("{options}{}", if round == 0 { "" } else { " --resume" });
        let run = Running::start(workspace.command(&resumed, &launchers, measurement));
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let pause = Duration::from_millis(300 + (random >> 33) % 2500);
        let pid = run.pid().as_raw();
        let began = Instant::now();
        let ended = || status_kib(pid, "VmRSS").is_none();
        // On a busy machine a round may complete nothing: the last one has all the time it needs.
        while (round == INTERRUPTED_ROUNDS || began.elapsed() < pause) && !ended() {
            assert!(
                began.elapsed() < crate::common::PATIENCE,
                "seed {seed}: it hangs"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let was_at_work: Vec<i32> = children(pid).iter().map(|(pid, _)| *pid).collect();
        if !ended() {
            run.signal(Signal::SIGINT);
        }
        let output = run.finish();
        for child in was_at_work {
            assert!(
                !Path::new(&format!("/proc/{child}")).exists(),
                "{child} lives on"
            );
        }
        assert!(
            names_in(&workspace.path().join("data")).is_empty(),
            "seed {seed}"
        );
        if output.status.code() == Some(0) {
            break;
        }
        assert_ended(&output, 130);
        interrupted += 1;
        // A signal that arrives before the first result leaves no file.
        if workspace.file().exists() {
            let results = workspace.results();
            let once: BTreeSet<_> = instances(&results).into_iter().collect();
            assert_eq!(once.len(), results.len(), "seed {seed}");
            assert!(results.iter().all(|result| result["status"] == "complete"));
        }
    }
    println!("interrupted {interrupted} times");
    assert!(interrupted > 0, "seed {seed}");
    let results = workspace.results();
    assert_each_once(&results, &["native", "sh"], &[1, 3], 6);
    assert!(results.iter().all(|result| result["status"] == "complete"));
    workspace.assert_tidy();
}

#[test]
fn resume_repeats_failed_instances_and_refuses_another_sweep() {
    let workspace = Workspace::new();
    let flag = workspace.path().join("flag");
    let launcher = format!(
        "sh=sh -c 'test -e {} && exec $WBENCH {{args}}'",
        flag.display()
    );
    let launchers = [launcher.as_str(), "native="];
    let options = "--concurrency 2 --count 2 --lead 0.5";
    assert_ended(&workspace.sweep(options, &launchers, TRIVIAL), 1);
    let refused = workspace.sweep(options, &launchers, TRIVIAL);
    assert_ended(&refused, 1);
    assert!(text(&refused.stderr).contains("--resume"));

    let resume = format!("{options} --resume");
    for (options, launchers, measurement, reason) in [
        (
            &*resume,
            &["sh=true", "native="][..],
            TRIVIAL,
            "the launcher of sh has changed",
        ),
        (
            &*resume,
            &launchers[..],
            "cpu --events 9",
            "the measurement of",
        ),
        (&*resume, &launchers[1..], TRIVIAL, "another sweep"),
        (
            "--concurrency 2 --count 3 --resume",
            &launchers[..],
            TRIVIAL,
            "--count",
        ),
        (
            "--concurrency 1 --count 2 --resume",
            &launchers[..],
            TRIVIAL,
            "another sweep",
        ),
        (
            "--concurrency 2 --count 2 --resume --label a=b",
            &launchers[..],
            TRIVIAL,
            "labels ",
        ),
    ] {
        let before = workspace.results();
        let refused = workspace.sweep(options, launchers, measurement);
        assert_ended(&refused, 1);
        let stderr = text(&refused.stderr);
        assert!(stderr.contains(reason), "{reason}: {stderr}");
        assert_eq!(workspace.results(), before);
        assert!(!workspace.path().join("all.json.partial").exists());
    }

    std::fs::write(&flag, "").unwrap();
    assert_ended(&workspace.sweep(&resume, &launchers, TRIVIAL), 0);
    assert_each_once(&workspace.results(), &["sh", "native"], &[2], 2);
}

#[test]
fn arguments_that_do_not_form_a_sweep_are_refused() {
    let workspace = Workspace::new();
    let refused =
        |options: &str, launchers: &[&str], measurement: &str, code: i32, reason: &str| {
            let output = workspace.sweep(options, launchers, measurement);
            assert_ended(&output, code);
            let stderr = text(&output.stderr);
            assert!(stderr.contains(reason), "{reason}: {stderr}");
            assert_eq!(names_in(workspace.path()), ["data"]);
        };
    let fine = "--concurrency 1 --count 1";
    refused(fine, &[], "cpu --max-prime x", 2, "--max-prime");
    refused(
        fine,
        &[],
        "compare a b",
        1,
        "cpu, memory, fileio, threads, mutex",
    );
    for option in ["--json -", "--quiet", "--start-at 1", "--format text"] {
        let measurement = format!("cpu {option}");
        let name = option.split(' ').next().unwrap();
        refused(fine, &[], &measurement, 1, &format!("remove {name} from"));
    }
    refused(fine, &[], "cpu --label env=x", 1, "--label env");
    refused(
        "--concurrency 1 --count 1 --label instance=x",
        &[],
        "cpu",
        1,
        "--label instance",
    );
    refused(fine, &[], "fileio --mode seqrd --keep", 1, "--keep");
    refused(fine, &[], "fileio run --mode seqrd", 1, "remove 'run' from");
    refused(fine, &["a=x", "a=y"], "cpu", 1, "environment a twice");
    refused(fine, &["a/b=x"], "cpu", 2, "invalid environment name");
    refused(fine, &["a=sh -c 'x"], "cpu", 2, "within quotes");
    refused(
        "--concurrency 2 --count 1",
        &[],
        "cpu",
        1,
        "exceeds --count 1",
    );
    refused(
        "--concurrency 1 --count 4294967295",
        &[],
        "cpu",
        1,
        "4294967295 results are too many",
    );
    refused(
        "--concurrency 1,2 --count 50001",
        &[],
        "cpu",
        1,
        "at most 100000",
    );
    refused(
        "--concurrency 2 --count 2 --lead 100000",
        &[],
        "cpu",
        2,
        "at most 86400 seconds",
    );
    refused(fine, &[], "cpu --label nonce=x", 1, "--label nonce");
    refused("--concurrency 2,2 --count 4", &[], "cpu", 1, "2 twice");
}

#[test]
fn the_instances_of_a_killed_sweep_end_with_it() {
    let workspace = Workspace::new();
    let measurement = "cpu --max-prime 1000 --events 0 --time 1000";
    let run =
        Running::start(workspace.command("--concurrency 2 --count 2 --lead 1", &[], measurement));
    let pid = run.pid().as_raw();
    let partial = workspace.path().join("all.json.partial");
    wait_until("two instances", || {
        partial.exists() && children(pid).len() == 2
    });
    let at_work = children(pid);
    run.signal(Signal::SIGKILL);
    run.finish();
    for (child, _) in at_work {
        wait_until("the end of an instance", || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
    }
}

#[test]
fn a_second_sweep_on_results_in_use_is_refused_before_it_starts_anything() {
    let workspace = Workspace::new();
    let flag = workspace.path().join("go-on");
    let launcher = format!(
        "sh=sh -c 'touch started-{{instance}}; until [ -e {} ]; do sleep 0.1; done; exec {WBENCH} \
         {{args}}'",
        flag.display()
    );
    let start = |options: &str| {
        let mut command = Command::new(WBENCH);
        command
            .args("sweep --concurrency 1 --count 2 --json all.json".split(' '))
            .args(options.split_whitespace())
            .args(["--launch", &launcher, "--"])
            .args(TRIVIAL.split(' '))
            .current_dir(workspace.path());
        Running::start(command)
    };
    let first = start("");
    let started = workspace.path().join("started-1");
    wait_until("the first instance", || started.exists());
    let before = names_in(workspace.path());
    for options in ["", "--resume"] {
        let output = start(options).finish();
        assert_ended(&output, 1);
        let holder = format!("all.json.partial is in use by process {},", first.pid());
        let stderr = text(&output.stderr);
        assert!(
            stderr.starts_with("wbench: ") && stderr.contains(&holder),
            "{stderr}"
        );
        assert_eq!(names_in(workspace.path()), before);
    }
    std::fs::write(&flag, "").unwrap();
    assert_ended(&first.finish(), 0);
    assert_each_once(&workspace.results(), &["sh"], &[1], 2);
}

#[test]
fn a_sweep_killed_during_its_trial_leaves_no_test_files() {
    let workspace = Workspace::new();
    let data = workspace.data();
    let test_files = || -> usize {
        let sweeps = names_in(&data).into_iter();
        let trials = sweeps.map(|name| data.join(name).join("trial"));
        let entries = trials.filter_map(|trial| std::fs::read_dir(trial).ok());
        entries.map(Iterator::count).sum()
    };
    let measurement = "fileio --mode rndrd --total-size 64G --events 1";
    let options = "--concurrency 1 --count 1 --overcommit";
    let mut run = Running::start(workspace.command(options, &[], measurement));
    wait_until("a test file of the trial", || test_files() > 0);
    run.kill();
    wait_until("the end of the trial", || test_files() == 0);
}

#[test]
fn a_sweep_removes_what_a_killed_sweep_left() {
    let workspace = Workspace::new();
    let data = workspace.data();
    let launcher = "sh=sh -c '$WBENCH fileio prepare --quiet --files 2 --total-size 32K --dir {dir}; \
                    touch ../prepared; exec sleep 1000'";
    let launcher = launcher.replace(
        "../prepared",
        &workspace.path().join("prepared").to_string_lossy(),
    );
    let options = "--concurrency 1 --count 1";
    let mut run = Running::start(workspace.command(options, &[&launcher], TRIVIAL));
    wait_until("test files", || workspace.path().join("prepared").exists());
    let mut other = Command::new(WBENCH);
    other
        .args("sweep --dir data --json other.json --concurrency 1 --count 1".split(' '))
        .args(["--launch", "sh=true {dir}", "--"])
        .args(TRIVIAL.split(' '))
        .current_dir(workspace.path());
    let stderr = text(&Running::start(other).finish().stderr);
    let holder = format!("running (process {},", run.pid());
    assert!(stderr.contains(&holder), "{stderr}");
    assert_eq!(names_in(&data).len(), 1);
    run.kill();
    std::fs::remove_file(workspace.path().join("all.json.partial")).unwrap();
    std::fs::write(data.join("notes"), "mine").unwrap();

    let output = workspace.sweep(options, &["sh=true {dir}"], TRIVIAL);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("left by a killed sweep"), "{stderr}");
    assert_eq!(names_in(&data), ["notes"]);
}
