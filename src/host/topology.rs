//! Cores and NUMA nodes of the CPUs that this process may run on.

use super::cpu_list::CpuList;
use super::machine::field;
use super::root::{self, SystemRoot};
use crate::result::Topology;

/// Directory of the CPUs in /sys.
const CPUS: &str = "sys/devices/system/cpu";

/// Directory of the NUMA nodes in /sys.
const NODES: &str = "sys/devices/system/node";

/// Describes the CPUs and NUMA nodes that this process may use.
pub(super) fn topology(root: &SystemRoot) -> Topology {
    let status = root.text("proc/self/status").unwrap_or_default();
    let list = |name| field(&status, name).and_then(|text| text.parse::<CpuList>().ok());
    let cpus = list("Cpus_allowed_list");
    let cores = cpus.as_ref().and_then(|cpus| cores(root, cpus));
    let nodes = cpus.as_ref().and_then(|cpus| nodes(root, cpus));
    Topology {
        cpus: cpus.map(|cpus| cpus.to_string()),
        smt_siblings: cores.map(|cores| cores.iter().map(CpuList::to_string).collect()),
        numa_nodes: nodes.map(|nodes| nodes.to_string()),
        memory_nodes: list("Mems_allowed_list").map(|nodes| nodes.to_string()),
    }
}

/// Returns the hardware threads of each core that has one of these CPUs, in order; None if they
/// are unknown for a CPU.
fn cores(root: &SystemRoot, cpus: &CpuList) -> Option<Vec<CpuList>> {
    let mut cores: Vec<CpuList> = Vec::new();
    for cpu in cpus.iter() {
        if cores.iter().any(|core| core.contains(cpu)) {
            continue;
        }
        // Kernels before 5.3 have only the second name.
        let siblings: CpuList = ["core_cpus_list", "thread_siblings_list"]
            .into_iter()
            .find_map(|name| root.text(format!("{CPUS}/cpu{cpu}/topology/{name}")))?
            .parse()
            .ok()?;
        if !siblings.contains(cpu) {
            return None;
        }
        cores.push(siblings);
    }
    Some(cores).filter(|cores| !cores.is_empty())
}

/// Returns the NUMA nodes of these CPUs; None if the nodes of some are unknown.
fn nodes(root: &SystemRoot, cpus: &CpuList) -> Option<CpuList> {
    let mut nodes = Vec::new();
    let mut found = 0;
    for directory in root.entries(NODES) {
        let name = directory.file_name()?.to_str()?;
        let Some(node) = name.strip_prefix("node").and_then(|id| id.parse().ok()) else {
            continue;
        };
        // The list of a node without CPUs is blank.
        let Some(list) = root::text(&directory.join("cpulist")) else {
            continue;
        };
        let of_node: CpuList = list.parse().ok()?;
        let used = cpus.iter().filter(|&cpu| of_node.contains(cpu)).count();
        if used > 0 {
            nodes.push(node);
            found += used;
        }
    }
    (found > 0 && found == cpus.len()).then(|| CpuList::from_iter(nodes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    /// A machine with this status of the process, and these lists of siblings and of nodes.
    fn machine(status: &str, siblings: &[&str], nodes: &[&str]) -> FakeRoot {
        let mut fake = FakeRoot::new().file("proc/self/status", status);
        for (cpu, list) in siblings.iter().enumerate() {
            fake = fake.file(&format!("{CPUS}/cpu{cpu}/topology/core_cpus_list"), list);
        }
        for (node, list) in nodes.iter().enumerate() {
            fake = fake.file(&format!("{NODES}/node{node}/cpulist"), list);
        }
        fake.file(&format!("{NODES}/has_cpu"), "0")
    }

    fn status(cpus: &str, nodes: &str) -> String {
        format!(
            "Name:\twbench\nCpus_allowed:\t3\nCpus_allowed_list:\t{cpus}\nMems_allowed:\t1\n\
             Mems_allowed_list:\t{nodes}"
        )
    }

    #[test]
    fn a_guest_without_smt_has_one_cpu_per_core() {
        let fake = machine(&status("0-1", "0"), &["0", "1"], &["0-1"]);
        let expected = Topology {
            cpus: Some("0-1".into()),
            smt_siblings: Some(vec!["0".into(), "1".into()]),
            numa_nodes: Some("0".into()),
            memory_nodes: Some("0".into()),
        };
        assert_eq!(topology(fake.root()), expected);
    }

    #[test]
    fn siblings_and_nodes_are_those_of_the_allowed_cpus_only() {
        // Two nodes of two cores with two threads each.
        let siblings = ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"];
        let nodes = ["0-1,4-5", "2-3,6-7"];
        let found = |cpus| topology(machine(&status(cpus, "0-1"), &siblings, &nodes).root());
        let all = found("0-7");
        assert_eq!(all.smt_siblings.unwrap(), ["0,4", "1,5", "2,6", "3,7"]);
        assert_eq!(all.numa_nodes.unwrap(), "0-1");
        let some = found("1,2,5");
        assert_eq!(some.cpus.unwrap(), "1-2,5");
        assert_eq!(some.smt_siblings.unwrap(), ["1,5", "2,6"]);
        assert_eq!(some.numa_nodes.unwrap(), "0-1");
        assert_eq!(found("3,7").numa_nodes.unwrap(), "1");
        assert_eq!(some.memory_nodes.unwrap(), "0-1");
    }

    #[test]
    fn older_kernels_list_siblings_under_another_name() {
        let fake = FakeRoot::new()
            .file("proc/self/status", &status("0", "0"))
            .file(&format!("{CPUS}/cpu0/topology/thread_siblings_list"), "0-1");
        assert_eq!(topology(fake.root()).smt_siblings.unwrap(), ["0-1"]);
    }

    #[test]
    fn a_list_that_lacks_a_cpu_is_unknown_and_not_shortened() {
        let fake = machine(&status("0-2", "0"), &["0-1", "0-1"], &["0-1"]);
        let found = topology(fake.root());
        assert_eq!(found.cpus.unwrap(), "0-2");
        assert_eq!(found.smt_siblings, None);
        assert_eq!(found.numa_nodes, None);
        let wrong = machine(&status("0", "0"), &["7"], &["x"]);
        assert_eq!(topology(wrong.root()).smt_siblings, None);
        assert_eq!(topology(wrong.root()).numa_nodes, None);
    }

    #[test]
    fn nothing_is_known_without_proc() {
        assert_eq!(topology(FakeRoot::new().root()), Topology::default());
    }
}
