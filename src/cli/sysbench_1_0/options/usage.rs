//! Texts that list options.

use std::fmt::Write as _;

use super::general::{GENERAL, LOG, RANDOM, STATISTICS};
use super::{BuiltInTest, OptionSpec, TESTS, ValueKind};

impl ValueKind {
    fn placeholder(self) -> &'static str {
        match self {
            Self::Number => "=N",
            Self::Size => "=SIZE",
            Self::Text => "=STRING",
            Self::List => "=[LIST,...]",
            Self::File => "=FILENAME",
            Self::Switch => "[=on|off]",
        }
    }
}

impl BuiltInTest {
    /// Returns the text of the test's `help` command.
    pub fn help(&self) -> String {
        format!("{} options:\n{}\n", self.name, list(self.options))
    }
}

/// Returns the text of `--help`.
pub fn usage() -> String {
    let mut text = "Usage:\n  sysbench [options]... [testname] [command]\n\n\
                    Commands implemented by most tests: prepare run cleanup help\n\n"
        .to_owned();
    _ = write!(
        text,
        "General options:\n{}\n\
         Pseudo-Random Numbers Generator options:\n{}\n\
         Log options:\n{}\n{}\n\
         Compiled-in tests:\n",
        list(GENERAL),
        list(RANDOM),
        list(LOG),
        list(STATISTICS)
    );
    for test in TESTS {
        _ = writeln!(text, "  {} - {}", test.name, test.about);
    }
    text.push_str("\nSee 'sysbench <testname> help' for a list of options for each test.\n\n");
    text
}

/// Returns one line per option, the descriptions aligned.
fn list(options: &[OptionSpec]) -> String {
    let heads = options
        .iter()
        .map(|it| format!("{}{}", it.name, it.kind.placeholder()));
    let heads: Vec<String> = heads.collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (head, option) in heads.iter().zip(options) {
        _ = write!(text, "  --{head:width$} {}", option.about);
        match option.default {
            Some(default) => _ = writeln!(text, " [{default}]"),
            None => text.push('\n'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_test_is_that_of_1_0() {
        assert_eq!(
            TESTS[1].help(),
            "cpu options:\n  --cpu-max-prime=N upper limit for primes generator [10000]\n\n"
        );
        let memory = TESTS[2].help();
        assert!(
            memory.contains(
                "  --memory-hugetlb[=on|off]   allocate memory from HugeTLB pool [off]\n"
            )
        );
    }

    #[test]
    fn the_usage_lists_every_test() {
        let usage = usage();
        for test in TESTS {
            assert!(usage.contains(&format!("  {} - ", test.name)), "{usage}");
        }
    }
}
