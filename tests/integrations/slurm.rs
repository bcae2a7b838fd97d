//! The job array of packaging/slurm on a cluster of Slurm's own daemons on this machine.
//!
//! Takes about 15 s.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::{
    Running, WBENCH, assert_ended, names_in, result_in, temp_dir, text, tool, wait_until,
};
use tempfile::TempDir;

/// A controller and a node with two CPUs, stopped on drop.
struct Cluster {
    directory: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    fn start() -> Self {
        let directory = temp_dir();
        let name = directory.path().display();
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        let user = nix::unistd::User::from_uid(nix::unistd::getuid())
            .unwrap()
            .unwrap()
            .name;
        let (controller, node) = (free_port(), free_port());
        for sub in ["state", "spool", "scratch"] {
            fs::create_dir(directory.path().join(sub)).unwrap();
        }
        let config = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser={user}\n\
             SlurmdUser={user}\nSlurmctldPort={controller}\nAuthType=auth/none\n\
             CredType=cred/none\nStateSaveLocation={name}/state\n\
             SlurmctldPidFile={name}/slurmctld.pid\nSlurmctldLogFile={name}/slurmctld.log\n\
             SlurmdSpoolDir={name}/spool\nSlurmdPidFile={name}/slurmd.pid\n\
             SlurmdLogFile={name}/slurmd.log\nProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             SchedulerParameters=sched_interval=1,sched_min_interval=10000\n\
             SwitchType=switch/none\nMpiDefault=none\nReturnToService=2\n\
             NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs=2\n\
             PartitionName=all Nodes=ALL Default=YES State=UP\n"
        );
        fs::write(directory.path().join("slurm.conf"), config).unwrap();
        let mut cluster = Self {
            directory,
            daemons: Vec::new(),
        };
        cluster.daemon("slurmctld", &["-D", "-i"]);
        cluster.daemon("slurmd", &["-D", "-N", "node1"]);
        wait_until("an idle node", || {
            let listed = cluster
                .command("sinfo")
                .args(["--noheader", "--format=%t"])
                .output();
            listed.unwrap().stdout == b"idle\n"
        });
        cluster
    }

    fn daemon(&mut self, name: &str, args: &[&str]) {
        let mut command = self.command(name);
        let daemon = command
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.daemons.push(daemon.spawn().unwrap());
    }

    /// A command of Slurm, or one that runs some.
    fn command(&self, name: &str) -> Command {
        let mut command = tool(name);
        command
            .env("SLURM_CONF", self.directory.path().join("slurm.conf"))
            .env("WBENCH", WBENCH)
            .env("WBENCH_DIR", self.directory.path().join("scratch"))
            .current_dir(self.directory.path());
        command
    }

    fn submit(&self, args: &str) -> Running {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/slurm/wbench.sbatch");
        let (options, args) = args.split_once(" : ").unwrap();
        let mut sbatch = self.command("sbatch");
        sbatch
            .arg("--parsable")
            .args(options.split_whitespace())
            .arg(script)
            .args(args.split_whitespace());
        Running::start(sbatch)
    }

    /// Submits a job, waits for its end, and returns its ID and output.
    fn run(&self, args: &str) -> (String, Output) {
        let output = self.submit(&format!("--wait {args}")).finish();
        (text(&output.stdout).trim().to_owned(), output)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn assert_nothing_is_left_of_test_files(&self) {
        assert_eq!(names_in(&self.path("scratch")), [""; 0]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address").port()
}

#[test]
fn each_task_of_an_array_leaves_one_result_labeled_with_its_index() {
    let cluster = Cluster::start();
    let args = "--array=0-3%2 : suite --scale 0.0005 --label concurrency=2";
    let (job, output) = cluster.run(args);
    assert_ended(&output, 0);
    let results = cluster.path(&format!("wbench-{job}"));
    assert_eq!(names_in(&results), ["0.json", "1.json", "2.json", "3.json"]);
    for instance in 0..4 {
        let suite = result_in(&results.join(format!("{instance}.json")));
        let suite = suite.as_array().unwrap();
        assert_eq!(suite.len(), 7);
        let labels = serde_json::json!({
            "instance": instance.to_string(), "node": "node1", "job": job, "concurrency": "2",
        });
        for result in suite {
            assert_eq!(result["status"], "complete");
            assert_eq!(result["labels"], labels);
        }
    }
    cluster.assert_nothing_is_left_of_test_files();
}

#[test]
fn a_canceled_job_keeps_its_results_so_far() {
    let cluster = Cluster::start();
    let submitted = cluster
        .submit("--array=0-1 : cpu --events 0 --time 600 --report-interval 0.1")
        .finish();
    assert_ended(&submitted, 0);
    let job = text(&submitted.stdout).trim().to_owned();
    wait_until("both tasks at work", || {
        (0..2).all(|task| {
            let log = cluster.path(&format!("wbench-{job}_{task}.log"));
            fs::read_to_string(log).is_ok_and(|log| log.contains("events/s"))
        })
    });
    assert!(
        cluster
            .command("scancel")
            .arg(&job)
            .status()
            .unwrap()
            .success()
    );
    let results = cluster.path(&format!("wbench-{job}"));
    wait_until("both results", || {
        results.join("0.json").exists() && results.join("1.json").exists()
    });
    for name in names_in(&results) {
        let result = result_in(&results.join(name));
        assert_eq!(result["status"], "interrupted");
        assert!(crate::common::number(&result, "/totals/events") > 0.0);
    }
    wait_until("the end of the job", || {
        let listed = cluster
            .command("squeue")
            .arg("--noheader")
            .output()
            .unwrap();
        listed.stdout.is_empty()
    });
    wait_until("clean directories", || {
        names_in(&cluster.path("scratch")).is_empty()
    });
}

#[test]
fn a_job_that_cannot_measure_fails_and_its_log_says_why() {
    let cluster = Cluster::start();
    let (job, output) = cluster.run("--array=7 : fileio run --mode rndrd");
    assert_ended(&output, 1);
    let log = fs::read_to_string(cluster.path(&format!("wbench-{job}_7.log"))).unwrap();
    assert!(log.contains("test_file.0 is missing"), "{log}");

    let (job, output) = cluster.run("--export=ALL,WBENCH=/no/such/wbench --array=7 : cpu");
    assert_ended(&output, 1);
    let log = fs::read_to_string(cluster.path(&format!("wbench-{job}_7.log"))).unwrap();
    assert!(log.contains("WBENCH"), "{log}");
    cluster.assert_nothing_is_left_of_test_files();
}
