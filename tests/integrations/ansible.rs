//! Runs the playbook of packaging/ansible against hosts that are network namespaces with sshd.
//!
//! Takes about 40 s, plus 20 s if Ansible has to be installed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::ssh::Sshd;
use crate::common::{
    Running, WBENCH, assert_ended, names_in, number, result_in, temp_dir, text, tool, wbench,
};
use tempfile::TempDir;

const HOSTS: [&str; 3] = ["first", "second", "third"];

/// Hosts, each with its own network, sshd, storage and directories.
struct Fleet {
    directory: TempDir,
    _servers: Vec<Sshd>,
    /// Where Ansible runs, next to the hosts' namespaces: this machine's network stays untouched.
    controller: Namespace,
    _hosts: Vec<Namespace>,
}

impl Fleet {
    fn start() -> Self {
        static SETUP: Once = Once::new();
        SETUP.call_once(|| {
            let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/ansible.sh");
            let setup = Command::new(setup).status();
            assert!(setup.unwrap().success(), "tests/setup/ansible.sh failed");
        });
        let controller = Namespace::new();
        let directory = temp_dir();
        let (mut servers, mut namespaces, mut lines) = (Vec::new(), Vec::new(), String::new());
        for (i, host) in HOSTS.iter().enumerate() {
            let home = directory.path().join(host);
            for sub in ["ssh", "data", "bin"] {
                fs::create_dir_all(home.join(sub)).unwrap();
            }
            let namespace = Namespace::new();
            let address = format!("10.0.{i}.2");
            let ends = [format!("10.0.{i}.1/24"), format!("{address}/24")];
            controller.connect(&namespace, &format!("host{i}"), &ends);
            let path = format!("SetEnv PATH={}/bin:/usr/bin:/bin\n", home.display());
            let server = Sshd::in_namespace(&home.join("ssh"), &namespace.0, &path);
            let key = server.key.display();
            _ = writeln!(
                lines,
                "    {host}: {{ansible_host: {address}, ansible_ssh_private_key_file: {key}}}"
            );
            servers.push(server);
            namespaces.push(namespace);
        }
        let inventory = format!(
            "wbench:\n  hosts:\n{lines}  vars:\n    \
             home: {home}/{{{{ inventory_hostname }}}}\n    \
             ansible_become: false\n    \
             ansible_remote_tmp: '{{{{ home }}}}/tmp'\n    \
             ansible_async_dir: '{{{{ home }}}}/async'\n    \
             ansible_python_interpreter: /usr/bin/python3\n    \
             wbench_program: {WBENCH}\n    \
             wbench_path: '{{{{ home }}}}/wbench'\n    \
             wbench_dir: '{{{{ home }}}}/data'\n    \
             wbench_work: '{{{{ home }}}}/work'\n    \
             wbench_results: {home}/results\n    \
             wbench_labels: {{site: two words}}\n    \
             wbench_command: [suite, --resume, --scale, 0.0005]\n    \
             wbench_margin: 8\n    \
             wbench_poll: 1\n",
            home = directory.path().display()
        );
        fs::write(directory.path().join("hosts.yml"), inventory).unwrap();
        Self {
            directory,
            _servers: servers,
            controller,
            _hosts: namespaces,
        }
    }

    fn home(&self, host: &str) -> std::path::PathBuf {
        self.directory.path().join(host)
    }

    fn play(&self, options: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Socket paths must be short.
        let sockets = tempfile::tempdir().unwrap();
        let mut play = tool("ip");
        play.args(["netns", "exec", &self.controller.0])
            .arg(root.join("target/ansible/bin/ansible-playbook"))
            .args(["-i", "hosts.yml"])
            .args(options)
            .arg(root.join("packaging/ansible/wbench.yml"))
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("ANSIBLE_HOST_KEY_CHECKING", "false")
            .env("ANSIBLE_PIPELINING", "true")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", sockets.path())
            .env(
                "ANSIBLE_SSH_ARGS",
                "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=auto \
                 -o ControlPersist=20s",
            );
        Running::start(play).finish()
    }

    /// The first of the seven results from a host.
    fn result(&self, host: &str) -> serde_json::Value {
        let results = self.directory.path().join("results/run1");
        let mut suite = result_in(&results.join(host).join("result.json"));
        let suite = suite.as_array_mut().unwrap();
        assert_eq!(suite.len(), 7);
        assert!(suite.iter().all(|result| result["status"] == "complete"));
        suite.remove(0)
    }
}

/// A network namespace; dropping it removes its interfaces too.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wbench-{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        Self(name)
    }

    /// Creates a veth pair with an interface of this name at each end.
    fn connect(&self, other: &Self, interface: &str, addresses: &[String; 2]) {
        let (here, there) = (self.0.as_str(), other.0.as_str());
        let link = ["-n", here, "link", "add", interface, "type", "veth"];
        ip(&[&link[..], &["peer", "name", interface, "netns", there]].concat());
        for (namespace, address) in [here, there].into_iter().zip(addresses) {
            ip(&["-n", namespace, "address", "add", address, "dev", interface]);
            ip(&["-n", namespace, "link", "set", interface, "up"]);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = tool("ip").args(["netns", "delete", &self.0]).status();
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let output = tool("ip").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "ip {args:?}: {}",
        text(&output.stderr)
    );
}

/// Checks a count in the recap of a host, such as `changed=0`.
#[track_caller]
fn assert_recap(output: &Output, host: &str, count: &str) {
    let message = text(&output.stdout);
    let recap = message
        .split("PLAY RECAP")
        .nth(1)
        .unwrap_or_else(|| panic!("{message}"));
    let line = recap.lines().find(|line| line.starts_with(host));
    let line = line.unwrap_or_else(|| panic!("{message}"));
    assert!(
        line.split_whitespace().any(|word| word == count),
        "{count}: {line}\n{message}"
    );
}

#[test]
fn all_hosts_start_at_the_same_time_and_a_repeated_play_does_only_what_is_missing() {
    let fleet = Fleet::start();
    assert_ended(&fleet.play(&["--check"]), 0);
    for host in HOSTS {
        assert!(!fleet.home(host).join("wbench").exists());
    }

    // A failing host keeps no other host from its result.
    fs::remove_dir(fleet.home("second").join("data")).unwrap();
    let failed = fleet.play(&[]);
    assert_eq!(failed.status.code(), Some(2), "{}", text(&failed.stdout));
    assert_eq!(
        names_in(&fleet.directory.path().join("results/run1")),
        ["first", "third"]
    );
    let results = ["first", "third"].map(|host| fleet.result(host));
    for (host, result) in ["first", "third"].iter().zip(&results) {
        assert_eq!(result["workload"]["test"], "cpu");
        let labels = serde_json::json!({"host": host, "run": "run1", "site": "two words"});
        assert_eq!(result["labels"], labels);
        assert_eq!(result["start"]["asked_at"], results[0]["start"]["asked_at"]);
        assert!(number(result, "/start/late_s") >= 0.0);
        assert_eq!(names_in(&fleet.home(host).join("data")), [""; 0]);
    }

    fs::create_dir(fleet.home("second").join("data")).unwrap();
    let repeated = fleet.play(&[]);
    assert_ended(&repeated, 0);
    assert!(text(&repeated.stdout).contains("The last of 3 hosts started"));
    for (host, result) in ["first", "third"].iter().zip(&results) {
        assert_recap(&repeated, host, "changed=0");
        assert_eq!(&fleet.result(host), result);
    }
    assert_eq!(fleet.result("second")["labels"]["host"], "second");
    let directory = fleet.directory.path();
    wbench(directory, "compare results/run1 --by host")
        .assert()
        .success();
}

#[test]
fn a_host_with_a_wrong_clock_is_refused_before_anything_changes() {
    let fleet = Fleet::start();
    let bin = fleet.home("third").join("bin");
    let ahead = "#!/bin/sh\necho $(($(/bin/date +%s) + 3600)).0\n";
    fs::write(bin.join("date"), ahead).unwrap();
    fs::set_permissions(bin.join("date"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = fleet.play(&[]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    let message = text(&refused.stdout) + &text(&refused.stderr);
    assert!(
        message.contains("The clock of third is off by more than 1 s"),
        "{message}"
    );
    assert!(!message.contains("The clock of first"), "{message}");
    assert!(!fleet.home("first").join("wbench").exists());
}
