//! Command-line parsing: arguments become a plan, the same for both command-line syntaxes.

pub mod compare;
pub mod native;
pub mod profile;
pub mod show;
pub mod sysbench;

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Longest time an option accepts: 100 years, well within the range of every clock.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86400.0;

/// Syntax of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// wbench's own.
    Native,
    /// That of sysbench 0.4.12.
    Sysbench,
}

impl Dialect {
    /// Returns sysbench's if the program was started under that name, or if the first argument is
    /// one of its options or commands. `--help`, `--version` and `help` mean the same to both;
    /// under the name wbench they get wbench's own answer.
    pub fn of(args: &[OsString]) -> Self {
        let program = args.first().map(Path::new).and_then(Path::file_name);
        if program == Some(OsStr::new("sysbench")) {
            return Self::Sysbench;
        }
        let first = args.get(1).and_then(|word| word.to_str()).unwrap_or("");
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
    fn the_first_argument_determines_the_dialect() {
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
