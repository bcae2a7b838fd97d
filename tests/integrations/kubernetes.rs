//! The Job of packaging/kubernetes: checked against the published schemas, its container run by
//! runc.
//!
//! Takes about 5 s, plus 15 s if the schemas have to be installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use crate::common::container::{bind_mount, run_bundle};
use crate::common::{Running, WBENCH, assert_ended, parsed, temp_dir, text, tool, wbench};
use serde_json::{Value, json};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes")
}

fn job() -> String {
    fs::read_to_string(packaging().join("job.yaml")).unwrap()
}

/// A program of the environment in which the schemas are installed.
fn in_venv(program: &str) -> Command {
    static SETUP: Once = Once::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    SETUP.call_once(|| {
        let setup = Command::new(root.join("tests/setup/kubernetes.sh")).status();
        assert!(setup.unwrap().success(), "tests/setup/kubernetes.sh failed");
    });
    Command::new(root.join("target/kubernetes/bin").join(program))
}

/// Validates a manifest against the schema of a version.
fn validate(manifest: &str, version: &str) -> Output {
    let directory = temp_dir();
    let file = directory.path().join("job.yaml");
    fs::write(&file, manifest).unwrap();
    let mut validate = in_venv("kubernetes-validate");
    validate.args(["--strict", "-k", version]).arg(file);
    Running::start(validate).finish()
}

#[test]
fn the_job_passes_the_published_schemas_in_strict_mode() {
    let readme = fs::read_to_string(packaging().join("README.md")).unwrap();
    let volume = readme
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let job = job();
    let (before, _) = job
        .split_once("        - name: data\n          emptyDir")
        .unwrap();
    let with_volume = format!("{before}{volume}");
    assert!(with_volume.contains("storageClassName"));
    for version in ["1.29", "1.37"] {
        for manifest in [&job, &with_volume] {
            assert_ended(&validate(manifest, version), 0);
        }
    }
    let wrong = validate(&job.replace("completionMode", "completionsMode"), "1.37");
    assert_ne!(wrong.status.code(), Some(0));
    let message = text(&wrong.stdout) + &text(&wrong.stderr);
    assert!(message.contains("completionsMode"), "{message}");
}

/// The manifest as JSON.
fn manifest() -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = in_venv("python");
    let output = python
        .args(["-c", script])
        .stdin(fs::File::open(packaging().join("job.yaml")).unwrap())
        .output();
    parsed(&output.unwrap().stdout)
}

/// Replaces variables as the cluster would.
fn filled_in(word: &str, start_at: &str) -> String {
    [
        ("$(START_AT)", start_at),
        ("$(ENV)", "kubernetes"),
        ("$(NODE)", "node1"),
        ("$(POD)", "wbench-2-abcde"),
        ("$(INSTANCE)", "2"),
    ]
    .iter()
    .fold(word.to_owned(), |word, (name, value)| {
        word.replace(name, value)
    })
}

#[test]
fn the_container_of_the_job_prints_labeled_results_and_nothing_else() {
    let pod = manifest()["spec"]["template"]["spec"].take();
    let container = &pod["containers"][0];
    let now = Command::new("date").arg("+%s.%N").output().unwrap();
    let now: f64 = text(&now.stdout).trim().parse().unwrap();
    let start_at = format!("{:.3}", now + 3.0);
    let arguments = container["args"].as_array().unwrap().iter();
    let mut args = vec!["/wbench".to_owned()];
    args.extend(arguments.map(|word| filled_in(word.as_str().unwrap(), &start_at)));
    assert!(!args.iter().any(|word| word.contains("$(")), "{args:?}");
    args.extend(["--scale".to_owned(), "0.0005".to_owned()]);

    // As the kubelet derives it from the security contexts.
    assert_eq!(
        container["securityContext"]["capabilities"]["drop"],
        json!(["ALL"])
    );
    assert_eq!(
        container["securityContext"]["allowPrivilegeEscalation"],
        false
    );
    let user = pod["securityContext"]["runAsUser"]
        .as_u64()
        .unwrap()
        .try_into()
        .unwrap();
    let bundle = temp_dir();
    for sub in ["rootfs", "rootfs/data", "data"] {
        fs::create_dir(bundle.path().join(sub)).unwrap();
    }
    fs::copy(WBENCH, bundle.path().join("rootfs/wbench")).unwrap();
    std::os::unix::fs::chown(bundle.path().join("data"), Some(user), Some(user)).unwrap();
    let mut spec = tool("runc");
    spec.arg("spec").current_dir(bundle.path());
    assert_ended(&Running::start(spec).finish(), 0);
    let file = bundle.path().join("config.json");
    let mut config = parsed(&fs::read(&file).unwrap());
    config["process"]["terminal"] = json!(false);
    config["process"]["user"] = json!({"uid": user, "gid": user});
    config["process"]["args"] = json!(args);
    config["process"]["capabilities"] = json!({});
    config["process"]["noNewPrivileges"] = json!(true);
    config["root"]["readonly"] = container["securityContext"]["readOnlyRootFilesystem"].clone();
    let limits = &container["resources"]["limits"];
    assert_eq!(
        (&limits["cpu"], &limits["memory"]),
        (&json!("1"), &json!("512Mi"))
    );
    config["linux"]["resources"]["cpu"] = json!({"quota": 100_000, "period": 100_000});
    config["linux"]["resources"]["memory"] = json!({"limit": 512 << 20});
    let destination = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let data = bind_mount(&bundle.path().join("data"), destination, "rw");
    config["mounts"].as_array_mut().unwrap().push(data);

    let ran = run_bundle(bundle.path(), &config);
    assert_ended(&ran, 0);
    // A pod's log contains both streams.
    assert_eq!(text(&ran.stderr), "");
    let results = parsed(&ran.stdout);
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 7);
    for result in results {
        assert_eq!(result["status"], "complete");
        let labels = json!({
            "env": "kubernetes", "node": "node1", "pod": "wbench-2-abcde", "instance": "2",
        });
        assert_eq!(result["labels"], labels);
        let cgroup = &result["host"]["cgroup"];
        assert_eq!(cgroup["cpu_quota_cpus"], 1.0);
        assert_eq!(cgroup["memory_limit_bytes"], 512 << 20);
    }
    assert!(results[0]["start"]["late_s"].is_number());
    fs::write(bundle.path().join("log.json"), &ran.stdout).unwrap();
    wbench(bundle.path(), "compare log.json --by node")
        .assert()
        .success();
}
