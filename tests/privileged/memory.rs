//! Huge pages for the memory test.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use serde_json::Value;

use crate::common::{WBENCH, assert_ended, number, parsed, result_of, tool, wbench};

const POOL: &str = "/proc/sys/vm/nr_hugepages";
const POLICY: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// A changed setting of the machine; drop restores it.
struct Setting {
    file: &'static str,
    before: String,
    /// Excludes other instances of these tests, because there is one setting.
    _lock: Flock<File>,
}

impl Setting {
    fn of(file: &'static str, value: &str) -> Self {
        let lock = File::open(file).expect("a kernel with huge pages");
        let lock = Flock::lock(lock, FlockArg::LockExclusive).expect("a lock");
        let before = current(file);
        std::fs::write(file, value).expect("root may change the setting");
        let setting = Self {
            file,
            before,
            _lock: lock,
        };
        assert_eq!(current(file), value, "too little free memory");
        setting
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::write(self.file, &self.before);
    }
}

/// The content of a file, or the choice in brackets.
fn current(file: &str) -> String {
    let text = std::fs::read_to_string(file).expect("the setting");
    let choice = text.split(['[', ']']).nth(1);
    choice.unwrap_or(text.trim()).to_owned()
}

#[test]
fn huge_pages_come_from_the_pool_and_an_empty_one_is_an_error_that_says_what_to_do() {
    let args = "memory --hugetlb --block-size 1M --total-size 16M";
    {
        let _pool = Setting::of(POOL, "0");
        wbench(Path::new("."), args)
            .assert()
            .code(1)
            .stdout("")
            .stderr(starts_with("wbench: --hugetlb: "))
            .stderr(contains("vm.nr_hugepages").and(contains("panicked").not()));
    }
    let _pool = Setting::of(POOL, "8");
    let result = result_of(Path::new("."), args);
    assert_eq!(result["totals"]["events"], 16);
    assert_eq!(result["workload"]["params"]["hugetlb"], true);
    // Larger than a base page, whatever the size of huge pages is.
    assert!(number(&result, "/memory/page_bytes") > 65536.0);
    assert_eq!(
        result["memory"]["mapped_bytes"],
        result["memory"]["page_bytes"]
    );
    assert!(!has_warning(&result));
}

fn has_warning(result: &Value) -> bool {
    let warnings = result["warnings"].as_array().unwrap();
    warnings.iter().any(|it| it["code"] == "block-pages")
}

/// Executes a program with transparent huge pages disabled (PR_SET_THP_DISABLE).
const DISABLED: &str = "import ctypes, os, sys
assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])";

#[test]
fn transparent_huge_pages_are_counted_and_their_absence_is_a_warning() {
    let args = "memory --block-size 64M --total-size 128M --json -";
    let _policy = Setting::of(POLICY, "always");
    let result = result_of(Path::new("."), "memory --block-size 64M --total-size 128M");
    let possible = number(&result, "/memory/huge_possible_bytes");
    let huge = number(&result, "/memory/huge_bytes");
    assert_eq!(number(&result, "/memory/mapped_bytes"), f64::from(64 << 20));
    assert!(possible >= f64::from(60 << 20), "{possible}");
    assert!(huge > 0.0 && huge <= possible, "{huge} of {possible}");
    // The memory of a busy machine may be fragmented.
    assert_eq!(has_warning(&result), huge < 0.9 * possible);

    let mut disabled = tool("python3");
    disabled
        .args(["-c", DISABLED, WBENCH])
        .args(args.split(' '));
    let output = disabled.output().unwrap();
    assert_ended(&output, 0);
    let result = parsed(&output.stdout);
    assert_eq!(number(&result, "/memory/huge_bytes"), 0.0);
    assert!(has_warning(&result), "{:#}", result["warnings"]);
}

#[test]
fn base_pages_are_no_warning_if_nothing_requests_huge_ones() {
    let _policy = Setting::of(POLICY, "never");
    let result = result_of(Path::new("."), "memory --block-size 64M --total-size 128M");
    assert_eq!(number(&result, "/memory/huge_bytes"), 0.0);
    assert!(!has_warning(&result));
}
