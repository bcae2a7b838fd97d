//! Huge pages for the memory test.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

use crate::common::{result_of, wbench};

const POOL: &str = "/proc/sys/vm/nr_hugepages";

/// The machine's pool of huge pages at a given size; drop restores it.
struct Pool {
    before: String,
    /// Excludes other instances of this test, because there is one pool.
    _lock: Flock<File>,
}

impl Pool {
    fn of(pages: u32) -> Self {
        let file = File::open(POOL).expect("a kernel with huge pages");
        let lock = Flock::lock(file, FlockArg::LockExclusive).expect("a lock");
        let before = std::fs::read_to_string(POOL).expect("the size of the pool");
        std::fs::write(POOL, pages.to_string()).expect("root may change the pool");
        let pool = Self {
            before,
            _lock: lock,
        };
        let now = std::fs::read_to_string(POOL).expect("the size of the pool");
        assert_eq!(now.trim(), pages.to_string(), "too little free memory");
        pool
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = std::fs::write(POOL, &self.before);
    }
}

#[test]
fn huge_pages_come_from_the_pool_and_an_empty_one_is_an_error_that_says_what_to_do() {
    let args = "memory --hugetlb --block-size 1M --total-size 16M";
    {
        let _pool = Pool::of(0);
        wbench(Path::new("."), args)
            .assert()
            .code(1)
            .stdout("")
            .stderr(starts_with("wbench: --hugetlb: "))
            .stderr(contains("vm.nr_hugepages").and(contains("panicked").not()));
    }
    let _pool = Pool::of(8);
    let result = result_of(Path::new("."), args);
    assert_eq!(result["totals"]["events"], 16);
    assert_eq!(result["workload"]["params"]["hugetlb"], true);
}
