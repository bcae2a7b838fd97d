//! Names of 64-bit Arm CPUs: the kernel reports only the numbers of their register MIDR_EL1.

/// Names by implementer and part number, from the technical reference manuals of the cores: those of
/// servers, and of boards that are in common use.
const NAMES: [(u32, u32, &str); 32] = [
    (0x41, 0xd03, "Cortex-A53"),
    (0x41, 0xd04, "Cortex-A35"),
    (0x41, 0xd05, "Cortex-A55"),
    (0x41, 0xd07, "Cortex-A57"),
    (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd09, "Cortex-A73"),
    (0x41, 0xd0a, "Cortex-A75"),
    (0x41, 0xd0b, "Cortex-A76"),
    (0x41, 0xd0c, "Neoverse-N1"),
    (0x41, 0xd0d, "Cortex-A77"),
    (0x41, 0xd40, "Neoverse-V1"),
    (0x41, 0xd41, "Cortex-A78"),
    (0x41, 0xd42, "Cortex-A78AE"),
    (0x41, 0xd44, "Cortex-X1"),
    (0x41, 0xd46, "Cortex-A510"),
    (0x41, 0xd47, "Cortex-A710"),
    (0x41, 0xd48, "Cortex-X2"),
    (0x41, 0xd49, "Neoverse-N2"),
    (0x41, 0xd4a, "Neoverse-E1"),
    (0x41, 0xd4b, "Cortex-A78C"),
    (0x41, 0xd4d, "Cortex-A715"),
    (0x41, 0xd4e, "Cortex-X3"),
    (0x41, 0xd4f, "Neoverse-V2"),
    (0x41, 0xd84, "Neoverse-V3"),
    (0x41, 0xd8e, "Neoverse-N3"),
    (0x42, 0x516, "ThunderX2"),
    (0x43, 0x0a1, "ThunderX"),
    (0x43, 0x0af, "ThunderX2"),
    (0x46, 0x001, "A64FX"),
    (0x48, 0xd01, "Kunpeng-920"),
    (0xc0, 0xac3, "Ampere-1"),
    (0xc0, 0xac4, "Ampere-1A"),
];

/// Returns the name of a core by the fields `CPU implementer` and `CPU part` of /proc/cpuinfo; the
/// numbers themselves if it is not known.
pub(super) fn name(implementer: &str, part: &str) -> String {
    let number = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let numbers = number(implementer).zip(number(part));
    let known = NAMES
        .iter()
        .find(|(implementer, part, _)| numbers == Some((*implementer, *part)));
    match known {
        Some((.., name)) => (*name).to_owned(),
        None => format!("CPU implementer {implementer} part {part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_of_servers_have_their_names() {
        assert_eq!(name("0x41", "0xd0c"), "Neoverse-N1");
        assert_eq!(name("0xc0", "0xac3"), "Ampere-1");
    }

    #[test]
    fn an_unknown_core_has_its_numbers() {
        for (implementer, part) in [("0x41", "0xfff"), ("0x99", "0xd0c"), ("ARM", "0xd0c")] {
            let expected = format!("CPU implementer {implementer} part {part}");
            assert_eq!(name(implementer, part), expected);
        }
    }
}
