//! Division of the CPUs among environments that run at the same time.

use anyhow::{Result, ensure};

use crate::host::CpuList;
use crate::result::Topology;

/// Disjoint sets of CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSets {
    /// One set per environment, all of the same size.
    pub sets: Vec<CpuList>,
    /// Whether sets share a core: there are fewer cores than sets.
    pub share_cores: bool,
}

impl CpuSets {
    /// Divides the CPUs that this process may use into this many sets of whole cores. CPUs that
    /// remain are not used.
    pub fn of(topology: &Topology, count: usize) -> Result<Self> {
        let allowed = parse(topology.cpus.as_deref().unwrap_or_default());
        let known = topology.smt_siblings.iter().flatten();
        let mut cores: Vec<CpuList> = known
            .map(|core| {
                parse(core)
                    .iter()
                    .filter(|cpu| allowed.contains(*cpu))
                    .collect()
            })
            .collect();
        if cores.is_empty() {
            cores = allowed
                .iter()
                .map(|cpu| CpuList::from_iter([cpu]))
                .collect();
        }
        // Sets of the same size need cores of the same size.
        let most = cores
            .iter()
            .map(|core| core.iter().count())
            .max()
            .unwrap_or(0);
        cores.retain(|core| core.iter().count() == most);
        let share_cores = cores.len() < count;
        if share_cores {
            cores = allowed
                .iter()
                .map(|cpu| CpuList::from_iter([cpu]))
                .collect();
        }
        ensure!(
            cores.len() >= count,
            "--duet runs {count} environments at the same time on disjoint CPUs, and there are {}; \
             compare fewer environments, or without --duet",
            cores.len()
        );
        let each = cores.len() / count;
        let sets = cores.chunks_exact(each).take(count);
        Ok(Self {
            sets: sets
                .map(|cores| cores.iter().flat_map(CpuList::iter).collect())
                .collect(),
            share_cores,
        })
    }
}

/// Parses a list of the kernel; one that it did not write is empty.
fn parse(list: &str) -> CpuList {
    list.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(cpus: &str, siblings: &[&str], count: usize) -> Result<(Vec<String>, bool)> {
        let topology = Topology {
            cpus: Some(cpus.to_owned()),
            smt_siblings: Some(siblings.iter().map(ToString::to_string).collect()),
            ..Topology::default()
        };
        let sets = CpuSets::of(&topology, count)?;
        Ok((
            sets.sets.iter().map(CpuList::to_string).collect(),
            sets.share_cores,
        ))
    }

    #[test]
    fn sets_consist_of_whole_cores_of_the_same_size() {
        let cores = ["0,4", "1,5", "2,6", "3,7"];
        let (two, shared) = sets("0-7", &cores, 2).unwrap();
        assert_eq!(
            (two, shared),
            (vec!["0-1,4-5".into(), "2-3,6-7".into()], false)
        );
        let (three, _) = sets("0-7", &cores, 3).unwrap();
        assert_eq!(three, ["0,4", "1,5", "2,6"]);
        // CPU 7 may not be used, so that its core has one CPU.
        let (two, _) = sets("0-6", &cores, 2).unwrap();
        assert_eq!(two, ["0,4", "1,5"]);
    }

    #[test]
    fn with_too_few_cores_sets_share_them() {
        let (two, shared) = sets("0-1", &["0-1"], 2).unwrap();
        assert_eq!((two, shared), (vec!["0".into(), "1".into()], true));
        let error = sets("0-1", &["0", "1"], 3).unwrap_err().to_string();
        assert!(error.contains("there are 2"), "{error}");
    }

    #[test]
    fn without_known_cores_each_cpu_is_one() {
        let (two, shared) = sets("0,2,4,6", &[], 2).unwrap();
        assert_eq!((two, shared), (vec!["0,2".into(), "4,6".into()], false));
    }
}
