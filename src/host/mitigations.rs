//! Vulnerabilities of the CPU, and the kernel's mitigations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::root::{SystemRoot, text};

/// Returns the state of each vulnerability that the kernel knows, as the kernel describes it; None if
/// one of them cannot be read.
pub(super) fn mitigations(root: &SystemRoot) -> Option<BTreeMap<String, String>> {
    let state = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, text(&path)?))
    };
    let found = root.entries("sys/devices/system/cpu/vulnerabilities");
    let states: BTreeMap<_, _> = found.into_iter().map(state).collect::<Option<_>>()?;
    (!states.is_empty()).then_some(states)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    const DIRECTORY: &str = "sys/devices/system/cpu/vulnerabilities";

    #[test]
    fn each_vulnerability_has_the_state_that_the_kernel_states() {
        let fake = FakeRoot::new()
            .file(&format!("{DIRECTORY}/mds"), "Not affected")
            .file(&format!("{DIRECTORY}/spec_store_bypass"), "Vulnerable");
        let found = mitigations(fake.root()).unwrap();
        assert_eq!(found["mds"], "Not affected");
        assert_eq!(found["spec_store_bypass"], "Vulnerable");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn they_are_unknown_if_one_cannot_be_read_or_the_kernel_lists_none() {
        let fake = FakeRoot::new()
            .file(&format!("{DIRECTORY}/mds"), "Not affected")
            .file(&format!("{DIRECTORY}/meltdown"), "");
        assert_eq!(mitigations(fake.root()), None);
        assert_eq!(mitigations(FakeRoot::new().root()), None);
    }
}
