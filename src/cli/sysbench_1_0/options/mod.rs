//! Options of sysbench 1.0 that wbench accepts.

mod built_in;
mod general;
mod usage;

pub use built_in::TESTS;
pub use usage::usage;

use general::{DATABASE, DATABASE_SWITCHES, GENERAL, LOG, RANDOM, STATISTICS};

/// Kind of an option's value, which also determines its placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A number.
    Number,
    /// A size with an optional K, M, G or T.
    Size,
    /// A name or other text.
    Text,
    /// Names separated by commas.
    List,
    /// A file name.
    File,
    /// A switch: on without a value.
    Switch,
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Name, without the dashes.
    pub name: &'static str,
    /// Kind of its value.
    pub kind: ValueKind,
    /// Default value; `None` if the usage shows none.
    pub default: Option<&'static str>,
    about: &'static str,
}

const fn opt(
    name: &'static str,
    kind: ValueKind,
    default: Option<&'static str>,
    about: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default,
        about,
    }
}

/// A test and its options.
#[derive(Debug)]
pub struct BuiltInTest {
    /// Name of the test.
    pub name: &'static str,
    about: &'static str,
    options: &'static [OptionSpec],
}

impl BuiltInTest {
    /// Returns an option of the test.
    pub fn find(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Returns an option that the test has.
    pub fn option(&self, name: &str) -> &'static OptionSpec {
        self.find(name).expect("the name of an option of the test")
    }
}

/// Returns an option of all tests.
pub fn find_general(name: &str) -> Option<&'static OptionSpec> {
    let groups = [GENERAL, RANDOM, LOG, STATISTICS];
    groups
        .into_iter()
        .flatten()
        .find(|option| option.name == name)
}

/// Kind of an option that is accepted and has no effect.
pub fn ignored_kind(name: &str) -> Option<ValueKind> {
    match name {
        _ if DATABASE.contains(&name) => Some(ValueKind::Text),
        _ if DATABASE_SWITCHES.contains(&name) => Some(ValueKind::Switch),
        _ => None,
    }
}
