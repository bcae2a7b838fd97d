//! Names of test files.

/// Prefix of a test file's name, before its number.
const TEST_FILE: &str = "test_file.";

/// Parts of a temporary name, `.test_file.N.wbench-PID`, before the test file's name and after it.
const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_INFIX: &str = ".wbench-";

/// Returns the name of a test file.
pub(super) fn of(file: u32) -> String {
    format!("{TEST_FILE}{file}")
}

/// Returns the name that this process gives a test file while it creates it.
pub(super) fn temporary(name: &str) -> String {
    let pid = std::process::id();
    format!("{TEMPORARY_PREFIX}{name}{TEMPORARY_INFIX}{pid}")
}

/// Returns whether this is the name of a test file.
pub(super) fn is_test_file(name: &str) -> bool {
    let number = name.strip_prefix(TEST_FILE).and_then(|n| n.parse().ok());
    number.is_some_and(|number| of(number) == name)
}

/// Returns whether this is the temporary name that some process gave a test file.
pub(super) fn is_temporary(name: &str) -> bool {
    let parts = name
        .strip_prefix(TEMPORARY_PREFIX)
        .and_then(|name| name.rsplit_once(TEMPORARY_INFIX));
    parts.is_some_and(|(file, pid)| is_test_file(file) && pid.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_file_has_a_decimal_number_without_leading_zeros() {
        for number in [0, 7, 10, u32::MAX] {
            assert!(is_test_file(&of(number)), "{number}");
        }
        for other in [
            "test_file",
            "test_file.",
            "test_file.x",
            "test_file.01",
            "test_file.+1",
            "test_file.4294967296",
            "a_test_file.0",
        ] {
            assert!(!is_test_file(other), "{other}");
        }
    }

    #[test]
    fn only_temporary_names_of_test_files_are_recognized() {
        assert!(is_temporary(&temporary("test_file.3")));
        assert!(is_temporary(".test_file.3.wbench-17"));
        for other in [
            "test_file.3.wbench-17",
            ".test_file.3.wbench-",
            ".test_file.3.wbench-x",
            ".other.3.wbench-17",
            ".test_file.3",
        ] {
            assert!(!is_temporary(other), "{other}");
        }
    }
}
