//! Words typed become a plan. Nothing below knows which of the two command lines was typed.

pub mod compare;
pub mod native;
pub mod sysbench;

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The longest time that can be asked for: 100 years, well within every clock's range.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86400.0;

/// Which command line the words are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// This program's own.
    Native,
    /// sysbench 0.4.12's.
    Sysbench,
}

impl Dialect {
    /// sysbench's when the program was started by that name, or when the first word is one of
    /// its options or commands. `--help`, `--version` and `help` mean the same to both; by this
    /// program's own name they get its own answer.
    pub fn of(words: &[OsString]) -> Self {
        let program = words.first().map(Path::new).and_then(Path::file_name);
        if program == Some(OsStr::new("sysbench")) {
            return Self::Sysbench;
        }
        let first = words.get(1).and_then(|word| word.to_str()).unwrap_or("");
        let shared = ["--help", "--version", "help"];
        match sysbench::is_known_word(first) && !shared.contains(&first) {
            true => Self::Sysbench,
            false => Self::Native,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(line: &str) -> Dialect {
        Dialect::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_word_tells_the_dialect() {
        for line in [
            "wbench --test=cpu run",
            "wbench --test",
            "wbench --num-threads=2 --test=cpu run",
            "wbench run --test=cpu",
            "wbench cleanup",
            "wbench version",
            "/usr/bin/sysbench anything",
            "sysbench",
        ] {
            assert_eq!(dialect(line), Dialect::Sysbench, "{line}");
        }
        for line in [
            "wbench",
            "wbench cpu",
            "wbench --help",
            "wbench --version",
            "wbench help",
            "wbench fileio run",
            "wbench --no-such",
            "./sysbench-like cpu",
        ] {
            assert_eq!(dialect(line), Dialect::Native, "{line}");
        }
    }
}
