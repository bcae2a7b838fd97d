//! The command line of sysbench 1.0.

mod fileio;
mod general;
mod options;
mod plan;
mod refusal;
mod test_values;
mod values;

pub use fileio::FileTest;
pub use general::General;
pub use options::usage;
pub use plan::TestRun;
pub use refusal::{Checked, Refusal, Stream};

use options::{BuiltInTest, TESTS, find_general, ignored_kind};
use values::GivenOptions;

const TEST_IS_DEPRECATED: &str = "WARNING: the --test option is deprecated. You can pass a script \
                                  name or path on the command line without any options.";

/// Lua scripts that are installed with 1.0.
const SCRIPTS: [&str; 11] = [
    "bulk_insert",
    "oltp_delete",
    "oltp_insert",
    "oltp_point_select",
    "oltp_read_only",
    "oltp_read_write",
    "oltp_update_index",
    "oltp_update_non_index",
    "oltp_write_only",
    "select_random_points",
    "select_random_ranges",
];

fn is_script(argument: &str) -> bool {
    SCRIPTS.contains(&argument) || argument.ends_with(".lua")
}

/// What an invocation asks for.
#[derive(Debug)]
pub enum Task {
    /// Print nothing but the banner.
    Banner,
    /// Print the options of a test.
    Help(String),
    /// Create test files.
    Prepare(Box<FileTest>),
    /// Remove test files.
    Cleanup(Box<FileTest>),
    /// Run a test.
    Run(Box<TestRun>),
}

/// A command line, split into its parts.
#[derive(Debug, Default)]
pub struct Arguments {
    test: Option<String>,
    command: Option<String>,
    general: GivenOptions,
    /// Options that are not general, in order, as they were given.
    others: Vec<String>,
}

impl Arguments {
    /// Splits the arguments after the program name. Adds what 1.0 prints on standard error meanwhile.
    pub fn read<S: AsRef<str>>(arguments: &[S], remarks: &mut Vec<String>) -> Checked<Self> {
        let mut read = Self::default();
        for argument in arguments.iter().map(AsRef::as_ref) {
            match argument.strip_prefix("--") {
                Some(option) => read.option(argument, option, remarks),
                None if read.test.is_none() => read.test = Some(argument.to_owned()),
                None if read.command.is_none() => read.command = Some(argument.to_owned()),
                None => {
                    return Err(Refusal::plain(format_args!(
                        "Unrecognized command line argument: {argument}"
                    )));
                }
            }
        }
        Ok(read)
    }

    fn option(&mut self, argument: &str, option: &str, remarks: &mut Vec<String>) {
        let (name, value) = split(option);
        let known = match (name.as_str(), value) {
            ("test", Some(test)) => {
                remarks.push(TEST_IS_DEPRECATED.to_owned());
                self.test = (!test.is_empty()).then(|| test.to_owned());
                true
            }
            ("config-file", Some(path)) if !path.is_empty() => {
                let problem = general::read_config_file(path, &mut self.general);
                remarks.extend(problem.map(|it| format!("WARNING: {it}")));
                true
            }
            (name, value) => match (find_general(name), ignored_kind(name)) {
                (Some(option), _) => self.general.set(option, value),
                (None, Some(options::ValueKind::Switch)) => {
                    matches!(value, None | Some("on" | "off"))
                }
                (None, ignored) => ignored.is_some(),
            },
        };
        if !known {
            self.others.push(argument.to_owned());
        }
    }

    /// Checks the general options. Adds the warnings to print before the banner or the refusal.
    pub fn general(&self, warnings: &mut Vec<String>) -> Checked<General> {
        General::of(&self.general, warnings)
    }

    /// Returns whether `--help` was given.
    pub fn wants_usage(&self) -> bool {
        self.general.switch(general::option("help"))
    }

    /// Returns whether `--version` was given.
    pub fn wants_version(&self) -> bool {
        self.general.switch(general::option("version"))
    }

    /// Returns the command of the test, after the general options were checked.
    pub fn command(&self, general: &General) -> Checked<Task> {
        let Some(name) = &self.test else {
            return Ok(Task::Banner);
        };
        let test = test(name)?;
        let Some(command) = &self.command else {
            return Err(Refusal::plain(format_args!(
                "The '{name}' test requires a command argument. See 'sysbench {name} help'"
            )));
        };
        let values = self.test_values(test)?;
        let plan = || plan::run(test, &values, general).map(Box::new);
        match command.as_str() {
            "help" => Ok(Task::Help(test.help())),
            "run" => Ok(Task::Run(plan()?)),
            "prepare" if test.name == "fileio" => Ok(Task::Prepare(Box::new(fileio::test(
                test, &values, general,
            )?))),
            "cleanup" if test.name == "fileio" => Ok(Task::Cleanup(Box::new(fileio::test(
                test, &values, general,
            )?))),
            "prepare" | "cleanup" => Err(Refusal::plain(format_args!(
                "'{name}' test does not implement the '{command}' command."
            ))),
            _ => Err(Refusal::plain(format_args!("Unknown command: {command}"))),
        }
    }

    fn test_values(&self, test: &BuiltInTest) -> Checked<GivenOptions> {
        let mut values = GivenOptions::default();
        for argument in &self.others {
            let (name, value) = split(argument.trim_start_matches("--"));
            let known = test.find(&name);
            if !known.is_some_and(|option| values.set(option, value)) {
                return Err(Refusal::plain(format_args!("invalid option: {argument}")));
            }
        }
        Ok(values)
    }
}

/// Splits an option into its name, with dashes, and its value.
fn split(option: &str) -> (String, Option<&str>) {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    (name.replace('_', "-"), value)
}

fn test(name: &str) -> Checked<&'static BuiltInTest> {
    let known = TESTS.iter().find(|test| test.name == name);
    known.ok_or_else(|| match is_script(name) {
        true => {
            let names: Vec<&str> = TESTS.iter().map(|test| test.name).collect();
            Refusal::fatal(format_args!(
                "cannot run '{name}': Lua scripts and database tests are not part of this program; \
                 choose one of {}",
                names.join(", ")
            ))
        }
        false => Refusal::fatal(format_args!(
            "Cannot find benchmark '{name}': no such built-in test, file or module"
        )),
    })
}

#[cfg(test)]
mod tests;
