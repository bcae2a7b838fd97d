//! Sets of CPUs or NUMA nodes in the kernel's list format, such as `0-3,8`.

use std::fmt;
use std::str::FromStr;

/// Largest number in a list: more than NR_CPUS and MAX_NUMNODES of any kernel.
const LARGEST: u32 = 1 << 20;

/// A set of CPUs or of NUMA nodes, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuList(Vec<u32>);

impl CpuList {
    /// Iterates over the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// Returns the size of the set.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the set contains a CPU.
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.binary_search(&cpu).is_ok()
    }
}

impl FromIterator<u32> for CpuList {
    fn from_iter<T: IntoIterator<Item = u32>>(cpus: T) -> Self {
        let mut cpus: Vec<u32> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        Self(cpus)
    }
}

/// The text is not a list.
#[derive(Debug, PartialEq, Eq)]
pub struct NoList;

impl FromStr for CpuList {
    type Err = NoList;

    fn from_str(text: &str) -> Result<Self, NoList> {
        let mut cpus = Vec::new();
        for range in text.trim().split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse::<u32>().map_err(|_| NoList);
            let (first, last) = (number(first)?, number(last)?);
            if first > last || last > LARGEST {
                return Err(NoList);
            }
            cpus.extend(first..=last);
        }
        Ok(cpus.into_iter().collect())
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for range in self.0.chunk_by(|cpu, next| cpu + 1 == *next) {
            let (first, last) = (range[0], range[range.len() - 1]);
            match first == last {
                true => write!(f, "{separator}{first}")?,
                false => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_list_is_read_back_as_written(cpus in proptest::collection::btree_set(0u32..300, 0..40)) {
            let list = CpuList::from_iter(cpus);
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }
    }

    #[test]
    fn a_list_is_written_as_the_kernel_writes_it() {
        for text in ["", "0", "0-1", "0-3,8,10-11"] {
            assert_eq!(text.parse::<CpuList>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_list_is_refused() {
        for text in ["x", "3-1", "1-", "-1", "0-4294967295", "0 1"] {
            assert_eq!(text.parse::<CpuList>(), Err(NoList), "{text}");
        }
    }
}
