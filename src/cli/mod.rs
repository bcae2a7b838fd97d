//! Command-line parsing: arguments of each syntax become a plan.

pub mod compare;
pub mod native;
pub mod profile;
pub mod show;
pub mod sysbench;
pub mod sysbench_1_0;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Result, bail};

/// Longest time an option accepts: 100 years, well within the range of every clock.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86400.0;

/// Environment variable that selects a version of sysbench.
pub const DIALECT_VARIABLE: &str = "WBENCH_SYSBENCH";

/// Commands of 0.4.12, whose test is given by `--test`.
const COMMANDS_0_4: [&str; 5] = ["prepare", "run", "cleanup", "help", "version"];

/// Syntax of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// wbench's own.
    Native,
    /// That of sysbench 0.4.12.
    Sysbench0_4,
    /// That of sysbench 1.0.
    Sysbench1_0,
}

impl Dialect {
    /// Determines the dialect from the name of the program and the arguments, and between the
    /// versions of sysbench also from the value of [`DIALECT_VARIABLE`].
    ///
    /// Under the name wbench, a command line is one of 0.4.12 if the first argument is an option or
    /// command of that version. `--help`, `--version` and `help` get wbench's own answer, unless a
    /// `--test` option follows.
    ///
    /// Fails if the variable has another value.
    pub fn of(arguments: &[OsString], variable: Option<&OsStr>) -> Result<Self> {
        let program = arguments.first().map(Path::new).and_then(Path::file_name);
        let arguments = arguments.get(1..).unwrap_or_default();
        let by_syntax = match program.and_then(OsStr::to_str) {
            Some("sysbench-0.4.12") => return Ok(Self::Sysbench0_4),
            Some("sysbench-1.0") => return Ok(Self::Sysbench1_0),
            Some("sysbench") => Self::of_sysbench(arguments),
            _ => {
                let first = arguments.first().and_then(|it| it.to_str()).unwrap_or("");
                let is_shared = ["--help", "--version", "help"].contains(&first);
                if !sysbench::is_known_argument(first) || is_shared && !has_test(arguments) {
                    return Ok(Self::Native);
                }
                Self::Sysbench0_4
            }
        };
        match variable.map(OsStr::to_string_lossy).as_deref() {
            None | Some("") => Ok(by_syntax),
            Some("0.4.12") => Ok(Self::Sysbench0_4),
            Some("1.0") => Ok(Self::Sysbench1_0),
            Some(value) => bail!("invalid {DIALECT_VARIABLE} '{value}': expected 0.4.12 or 1.0"),
        }
    }

    /// Returns 0.4.12 if there is a `--test` option, or a command where 1.0 has the name of a test.
    fn of_sysbench(arguments: &[OsString]) -> Self {
        if has_test(arguments) {
            return Self::Sysbench0_4;
        }
        let mut texts = arguments.iter().map(|argument| argument.to_string_lossy());
        match texts.find(|text| !text.starts_with("--")) {
            Some(first) if COMMANDS_0_4.contains(&&*first) => Self::Sysbench0_4,
            _ => Self::Sysbench1_0,
        }
    }
}

/// Whether there is a `--test` option.
fn has_test(arguments: &[OsString]) -> bool {
    let mut texts = arguments.iter().map(|argument| argument.to_string_lossy());
    texts.any(|text| text == "--test" || text.starts_with("--test="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect_with(line: &str, variable: &str) -> Result<Dialect> {
        let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
        Dialect::of(&arguments, Some(OsStr::new(variable)))
    }

    fn dialect(line: &str) -> Dialect {
        dialect_with(line, "").unwrap()
    }

    #[test]
    fn the_first_argument_determines_the_dialect_of_wbench() {
        for line in [
            "wbench --test=cpu run",
            "wbench --test",
            "wbench --num-threads=2 --test=cpu run",
            "wbench run --test=cpu",
            "wbench cleanup",
            "wbench version",
            "wbench --num-threads=2 --help",
            "wbench help --test=cpu",
        ] {
            assert_eq!(dialect(line), Dialect::Sysbench0_4, "{line}");
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
            assert_eq!(
                dialect_with(line, "1.0").unwrap(),
                Dialect::Native,
                "{line}"
            );
        }
    }

    #[test]
    fn the_test_option_distinguishes_the_versions_of_sysbench() {
        for line in [
            "sysbench --test=cpu run",
            "/usr/bin/sysbench --num-threads=2 run --test=memory",
            "sysbench --test cpu run",
            "sysbench version",
            "sysbench help",
        ] {
            assert_eq!(dialect(line), Dialect::Sysbench0_4, "{line}");
        }
        for line in [
            "sysbench",
            "sysbench cpu run",
            "sysbench --threads=2 memory --time=1 run",
            "sysbench --num-threads=2 cpu run",
            "sysbench --version",
            "sysbench --help",
            "sysbench oltp_read_only run",
        ] {
            assert_eq!(dialect(line), Dialect::Sysbench1_0, "{line}");
        }
    }

    #[test]
    fn the_variable_overrides_the_syntax_and_the_name_of_the_link_overrides_both() {
        let of = |line, variable| dialect_with(line, variable).unwrap();
        assert_eq!(of("sysbench --version", "0.4.12"), Dialect::Sysbench0_4);
        assert_eq!(of("sysbench --test=cpu run", "1.0"), Dialect::Sysbench1_0);
        assert_eq!(of("wbench --test=cpu run", "1.0"), Dialect::Sysbench1_0);
        assert_eq!(of("./sysbench-0.4.12 cpu run", "1.0"), Dialect::Sysbench0_4);
        assert_eq!(
            of("sysbench-1.0 --test=cpu run", "0.4.12"),
            Dialect::Sysbench1_0
        );
        let error = dialect_with("sysbench cpu run", "2")
            .unwrap_err()
            .to_string();
        assert!(error.contains("WBENCH_SYSBENCH '2'"), "{error}");
    }
}
