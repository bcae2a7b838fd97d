//! What results state of the machine, in a guest whose CPUs have hardware threads and NUMA nodes.

use serde_json::{Value, json};

use crate::machine::documents;

/// Options of the launcher for two nodes with a core of two threads each. QEMU reports threads only
/// for a CPU model of Intel.
const OPTIONS: [&str; 20] = [
    "--guest-cpus",
    "4",
    "--guest-cpu",
    "Skylake-Client",
    "--guest-qemu",
    "-smp",
    "--guest-qemu",
    "cpus=4,sockets=2,cores=1,threads=2",
    "--guest-qemu",
    "-object",
    "--guest-qemu",
    "memory-backend-ram,size=512M,id=m0",
    "--guest-qemu",
    "-object",
    "--guest-qemu",
    "memory-backend-ram,size=512M,id=m1",
    "--guest-qemu",
    "-numa",
    "--guest-qemu",
    "node,cpus=0-1,memdev=m0",
];

#[test]
fn hardware_threads_nodes_virtio_devices_and_the_cpuset_are_those_of_the_guest() {
    let node = [
        "--guest-qemu",
        "-numa",
        "--guest-qemu",
        "node,cpus=2-3,memdev=m1",
    ];
    let options = [&OPTIONS[..], &node].concat();
    let [all, bound, limited] = documents(
        &options,
        "wbench env --json
         taskset 8 wbench env --json
         mount -t securityfs securityfs /sys/kernel/security
         cd /sys/fs/cgroup
         echo +cpuset >cgroup.subtree_control
         mkdir set
         echo 1-2 >set/cpuset.cpus
         echo 1 >set/cpuset.mems
         echo $$ >set/cgroup.procs
         wbench memory --total-size 1M --json - --quiet",
    )
    .try_into()
    .unwrap();
    let topology = |document: &Value| document["host"]["topology"].clone();
    let expected = json!({
        "cpus": "0-3", "smt_siblings": ["0-1", "2-3"], "numa_nodes": "0-1", "memory_nodes": "0-1",
    });
    assert_eq!(topology(&all), expected);
    let expected = json!({
        "cpus": "3", "smt_siblings": ["2-3"], "numa_nodes": "1", "memory_nodes": "0-1",
    });
    assert_eq!(topology(&bound), expected);
    let expected = json!({
        "cpus": "1-2", "smt_siblings": ["0-1", "2-3"], "numa_nodes": "0-1", "memory_nodes": "1",
    });
    assert_eq!(topology(&limited), expected);

    let host = &all["host"];
    assert_eq!(host["cgroup"]["cpuset_cpus"], "0-3");
    let cgroup = &limited["host"]["cgroup"];
    assert_eq!(cgroup["cpuset_cpus"], "1-2");
    assert_eq!(cgroup["cpuset_mems"], "1");

    assert_eq!(host["virtio"], json!(["block, 4 queues", "console"]));
    assert_eq!(all["storage"]["driver"], "virtio_blk");
    assert_eq!(all["storage"]["queues"], 4);
    assert_eq!(host["swap_bytes"], 0);
    assert_eq!(host["confinement"]["seccomp"], "none");
    assert_eq!(host["confinement"]["lsms"], Value::Null);
    let modules = limited["host"]["confinement"]["lsms"].as_str().unwrap();
    assert!(modules.contains("capability"), "{modules}");
    assert!(host["mitigations"]["meltdown"].is_string(), "{host:#}");
    assert_eq!(limited["memory"]["page_bytes"], 4096);
}
