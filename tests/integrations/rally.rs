//! Rally accepts the output of `--format rally` and the task file of packaging/rally.
//!
//! Takes about 40 s, plus a minute if Rally has to be installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use nix::unistd::User;
use serde_json::Value;

use crate::common::browser::rendered;
use crate::common::ssh::Sshd;
use crate::common::{Running, WBENCH, assert_ended, parsed, temp_dir, text, wbench};

/// Small runs of each test, and one with intervals and fsyncs.
const RUNS: [&str; 4] = [
    "cpu --max-prime 300 --events 500",
    "memory --oper read --total-size 10M",
    "fileio --mode rndrd --files 2 --total-size 1M --events 200",
    "fileio --mode rndwr --files 2 --total-size 1M --events 0 --time 0.5 --report-interval 0.1",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the environment in which Rally is installed.
fn in_venv(program: &str) -> Command {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let venv = MADE.get_or_init(|| {
        let setup = Command::new(root().join("tests/setup/rally.sh")).status();
        assert!(setup.unwrap().success(), "tests/setup/rally.sh failed");
        root().join("target/rally/bin")
    });
    Command::new(venv.join(program))
}

/// Rally with its own database in a directory.
struct Rally<'a> {
    directory: &'a Path,
}

impl<'a> Rally<'a> {
    fn new(directory: &'a Path) -> Self {
        let database = directory.join("rally.sqlite");
        let config = format!(
            "[database]\nconnection = sqlite:///{}\n",
            database.display()
        );
        fs::write(directory.join("rally.conf"), config).unwrap();
        let rally = Self { directory };
        assert_ended(&rally.run(&["db", "create"], &[]), 0);
        rally
    }

    fn run(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = in_venv("rally");
        command
            .args(["--config-file", "rally.conf", "--plugin-paths"])
            .arg(root().join("tests/integrations/rally_local_vm.py"))
            .args(args)
            .current_dir(self.directory)
            .env("HOME", self.directory)
            .envs(environment.iter().copied());
        Running::start(command).finish()
    }

    /// What Rally prints about a task, given as text, in an environment; and its exit status.
    fn validation(&self, task: &str, environment: &str) -> (String, Option<i32>) {
        fs::write(self.directory.join("task.yaml"), task).unwrap();
        let args = root().join("packaging/rally/args.yaml");
        let output = self.run(
            &[
                "task",
                "validate",
                "--env",
                environment,
                "--task-args-file",
                args.to_str().unwrap(),
                "task.yaml",
            ],
            &[],
        );
        (
            text(&output.stdout) + &text(&output.stderr),
            output.status.code(),
        )
    }
}

fn task() -> String {
    fs::read_to_string(root().join("packaging/rally/study.yaml")).unwrap()
}

#[test]
fn every_chart_passes_rallys_own_validation_and_is_drawn() {
    let directory = temp_dir();
    let mut outputs = Vec::new();
    for (i, args) in RUNS.iter().enumerate() {
        let done = wbench(directory.path(), args)
            .args(["--format", "rally"])
            .assert()
            .success();
        let output = directory.path().join(format!("{i}.out"));
        fs::write(&output, &done.get_output().stdout).unwrap();
        outputs.push(output);
    }
    let mut check = in_venv("python");
    check
        .arg(root().join("tests/integrations/rally_validate_output.py"))
        .args(&outputs);
    let output = Running::start(check).finish();
    assert_ended(&output, 0);
    assert_eq!(
        text(&output.stdout).trim(),
        "additive:Lines additive:StatsTable complete:Lines complete:Table complete:TextArea"
    );
}

#[test]
fn several_results_are_one_document() {
    let directory = temp_dir();
    let run = "memory --total-size 1M --quiet --json r.json";
    wbench(directory.path(), run).assert().success();
    let charts = |files: &str| {
        let show = format!("show {files} --format rally");
        let shown = wbench(directory.path(), &show).assert().success();
        let document = parsed(&shown.get_output().stdout);
        document["additive"].as_array().unwrap().len()
    };
    assert_eq!(charts("r.json r.json"), 2 * charts("r.json"));
}

#[test]
fn two_documents_on_standard_output_are_refused_and_quiet_keeps_the_requested_one() {
    let directory = temp_dir();
    let refused = wbench(directory.path(), "cpu --json - --format rally")
        .assert()
        .code(1);
    let message = text(&refused.get_output().stderr);
    assert!(message.contains("--json - and --format"), "{message}");
    let args = "cpu --max-prime 100 --events 10 --quiet";
    let quiet = wbench(directory.path(), args).assert().success();
    assert!(quiet.get_output().stdout.is_empty());
    let done = wbench(directory.path(), args)
        .args(["--format", "rally"])
        .assert()
        .success();
    assert!(parsed(&done.get_output().stdout)["additive"].is_array());
}

#[test]
fn a_failure_ends_with_a_status_that_rally_counts_as_a_failed_iteration() {
    let directory = temp_dir();
    let args = "fileio run --mode rndrd --format rally";
    let failed = wbench(directory.path(), args).assert().code(1);
    let document = parsed(&failed.get_output().stdout);
    for chart in document["additive"].as_array().unwrap() {
        assert_eq!(chart["data"], serde_json::json!([]), "{chart:#}");
    }
    let complete = document["complete"].to_string();
    assert!(complete.contains("test_file.0 is missing"), "{complete}");
    assert!(!failed.get_output().stderr.is_empty());
}

#[test]
fn rally_accepts_the_task_as_far_as_it_validates_without_a_cloud() {
    let directory = temp_dir();
    let rally = Rally::new(directory.path());
    let cloud = r#"{"existing@openstack": {"auth_url": "http://127.0.0.1:1/v3", "region_name": "r",
        "admin": {"username": "u", "password": "p", "project_name": "p"}}}"#;
    fs::write(directory.path().join("cloud.json"), cloud).unwrap();
    let create = [
        "env",
        "create",
        "--name",
        "cloud",
        "--spec",
        "cloud.json",
        "--no-use",
    ];
    assert_ended(&rally.run(&create, &[]), 0);

    let (message, _) = rally.validation(&task(), "cloud");
    assert!(
        message.contains("Completed: Task validation of syntax"),
        "{message}"
    );
    assert!(
        message.contains("Completed: Task validation of required platforms"),
        "{message}"
    );
    assert!(
        message.contains("Unable to establish connection to http://127.0.0.1:1/v3"),
        "{message}"
    );
    // 7 measurements at 6 concurrencies, 32 instances each.
    assert_eq!(
        message.matches("VMTasks.boot_runcommand_delete:").count(),
        42,
        "{message}"
    );
    assert_eq!(message.matches("times: 32").count(), 42, "{message}");
    for k in [1, 2, 4, 8, 16, 32] {
        assert_eq!(
            message.matches(&format!("concurrency: {k}\n")).count(),
            7,
            "{k}: {message}"
        );
    }
    // Errors are detected at that stage.
    let (message, _) = rally.validation(&task().replace("interpreter:", "interpretor:"), "cloud");
    assert!(
        !message.contains("Completed: Task validation of syntax"),
        "{message}"
    );
    assert!(message.contains("interpretor"), "{message}");
}

/// The task with connections to this machine as VMs: it needs no cloud.
fn local_task() -> String {
    let task = task();
    let (before, contexts) = task.split_once("    contexts:\n").unwrap();
    let (_, after) = contexts.split_once("    sla:\n").unwrap();
    let task = format!("{before}    sla:\n{after}");
    task.replace("VMTasks.", "LocalVMTasks.")
}

#[test]
fn rally_runs_the_task_over_ssh_and_its_report_shows_the_figures() {
    let directory = temp_dir();
    let name = directory.path().display();
    for sub in ["ssh", "bin", "vms"] {
        fs::create_dir(directory.path().join(sub)).unwrap();
    }
    std::os::unix::fs::symlink(WBENCH, directory.path().join("bin/wbench")).unwrap();
    // Each connection has its own directory, as each VM has its own disk.
    let config = format!(
        "SetEnv PATH={name}/bin:/usr/bin:/bin\n\
         ForceCommand cd \"$(mktemp -d {name}/vms/XXXXXX)\" && eval \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    let sshd = Sshd::on_loopback(&directory.path().join("ssh"), &config);
    let rally = Rally::new(directory.path());
    assert_ended(&rally.run(&["env", "create", "--name", "local"], &[]), 0);
    fs::write(directory.path().join("task.yaml"), local_task()).unwrap();
    let user = User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let arguments = format!(
        "{{image: none, flavor: none, username: {user}, env: ssh, concurrency: [2], times: 4, \
          only: [memory-read, rndwr], memory_size: 100M, files_size: 2M, max_time: 0.3, \
          dir: .}}"
    );
    fs::write(directory.path().join("args.yaml"), arguments).unwrap();
    let (port, key) = (sshd.port.to_string(), sshd.key.display().to_string());
    let start = [
        "task",
        "start",
        "--env",
        "local",
        "--task-args-file",
        "args.yaml",
        "task.yaml",
    ];
    let done = rally.run(&start, &[("SSHD_PORT", &port), ("SSHD_KEY", &key)]);
    assert_ended(&done, 0);

    let results = parsed(&rally.run(&["task", "results"], &[]).stdout);
    let workloads = results.as_array().unwrap();
    assert_eq!(workloads.len(), 2);
    let iterations = workloads
        .iter()
        .flat_map(|it| it["result"].as_array().unwrap());
    let outputs: Vec<&Value> = iterations.map(|it| &it["output"]).collect();
    assert_eq!(outputs.len(), 8);
    // The results themselves can be extracted and contain the figures in the charts.
    fs::write(directory.path().join("results.json"), results.to_string()).unwrap();
    let readme = fs::read_to_string(root().join("packaging/rally/README.md")).unwrap();
    let filter = readme.split("jq -c '").nth(1).unwrap();
    let mut jq = crate::common::tool("jq");
    jq.args(["-c", filter.split('\'').next().unwrap(), "results.json"])
        .current_dir(directory.path());
    let had_back = Running::start(jq).finish().stdout;
    let had_back = text(&had_back);
    assert_eq!(had_back.lines().count(), outputs.len());
    for (output, result) in outputs.iter().zip(had_back.lines()) {
        let charted = &output["additive"][0]["data"][0];
        assert_eq!(charted[0], "rate, events/s");
        assert_eq!(
            charted[1],
            parsed(result.as_bytes())["rates"]["events_per_s"]
        );
    }
    fs::write(directory.path().join("runs.json"), had_back).unwrap();
    let line = "compare runs.json --by env --vary concurrency";
    wbench(directory.path(), line).assert().success();

    let report = ["task", "report", "--html-static", "--out", "report.html"];
    assert_ended(&rally.run(&report, &[]), 0);
    let page = directory.path().join("report.html");
    let aggregated = look(
        &page,
        "LocalVMTasks.boot_runcommand_delete-2/output/additive",
    );
    for shown in [
        "fileio rndwr: 2M in 128 files",
        "bandwidth, MiB/s",
        "fsync p99, us",
        "nv-lineChart",
    ] {
        assert!(aggregated.contains(shown), "{shown}: {aggregated}");
    }
    let alone = look(&page, "LocalVMTasks.boot_runcommand_delete/output/complete");
    for shown in [
        "memory: read 1K blocks",
        "label env=ssh",
        "latency",
        "wbench.result/1",
    ] {
        assert!(alone.contains(shown), "{shown}: {alone}");
    }
}

/// The browser's rendering of an element of a page.
fn look(page: &Path, place: &str) -> String {
    let url = format!("file://{}#/{place}", page.display());
    let (dom, _) = rendered(&url, &["--virtual-time-budget=8000"]);
    // The source of the page does not prove what is displayed.
    let scripts = dom
        .split("<script")
        .map(|part| part.split_once("</script>").map_or(part, |it| it.1));
    scripts.collect()
}
