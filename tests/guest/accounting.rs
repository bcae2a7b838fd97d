//! The time budget with control groups of version 2, which a guest has whatever this machine has.

use serde_json::Value;

use crate::common::number;
use crate::machine::documents;

/// Creates the control groups `slice` and, in it, `job`.
const GROUPS: &str = "cd /sys/fs/cgroup
     echo '+cpu +memory +io' >cgroup.subtree_control
     mkdir -p slice/job
     echo '+cpu +memory +io' >slice/cgroup.subtree_control";

fn has_warning(document: &Value, code: &str) -> bool {
    let warnings = document["warnings"].as_array().expect("warnings");
    warnings.iter().any(|warning| warning["code"] == code)
}

/// A component of the time budget as a share of the time of the threads.
fn share(result: &Value, component: &str) -> f64 {
    let budget = |name: &str| number(result, &format!("/accounting/{name}"));
    budget(component) / budget("thread_s")
}

#[test]
fn a_quota_of_a_parent_group_throttles() {
    let [free, limited] = documents(
        &[],
        &format!(
            "{GROUPS}
             echo '20000 100000' >slice/cpu.max
             wbench cpu --max-prime 100 --events 0 --time 2 --json -
             echo $$ >slice/job/cgroup.procs
             wbench cpu --max-prime 100 --events 0 --time 5 --json -"
        ),
    )
    .try_into()
    .unwrap();
    assert_eq!(share(&free, "throttled_s"), 0.0);
    assert!(!has_warning(&free, "throttled"), "{free:#}");
    let throttled = share(&limited, "throttled_s");
    assert!((throttled - 0.8).abs() < 0.05, "{limited:#}");
    assert!(share(&limited, "unexplained_s").abs() < 0.05, "{limited:#}");
    assert!(has_warning(&limited, "throttled"), "{limited:#}");
    let pressure = "/accounting/pressure/cgroup/cpu_some_s";
    assert!(number(&limited, pressure) > 0.0, "{limited:#}");
}

#[test]
fn a_limit_of_a_parent_group_on_the_device_and_memory_pressure_are_reported() {
    let [slowed, pressed] = documents(
        &[],
        &format!(
            "set='--files 2 --total-size 64M --dir /data'
             wbench fileio prepare $set --quiet
             {GROUPS}
             device=$(wbench env --json --dir /data | sed -n 's/.*\"device\": \"\\(.*\\)\".*/\\1/p')
             echo \"$(cat /sys/class/block/$device/dev) riops=20\" >slice/io.max
             echo $$ >slice/job/cgroup.procs
             wbench fileio run --mode rndrd $set --events 0 --time 5 --json -
             echo $$ >cgroup.procs
             echo \"$(cat /sys/class/block/$device/dev) riops=max\" >slice/io.max
             echo 16M >slice/job/memory.max
             echo $$ >slice/job/cgroup.procs
             wbench fileio run --mode seqrd $set --flags none --events 0 --time 5 --json -"
        ),
    )
    .try_into()
    .unwrap();
    let device = &slowed["accounting"]["device"];
    assert_eq!(device["name"], slowed["storage"]["device"]);
    assert_eq!(device["limits"]["reads_per_s"], 20);
    assert!(share(&slowed, "blocked_s") > 0.5, "{slowed:#}");
    assert!(has_warning(&slowed, "io-limit"), "{slowed:#}");
    let pressure = "/accounting/pressure/cgroup/memory_some_s";
    assert_eq!(number(&slowed, pressure), 0.0);
    assert!(number(&pressed, pressure) > 0.0, "{pressed:#}");
    assert!(!has_warning(&pressed, "io-limit"), "{pressed:#}");
}
