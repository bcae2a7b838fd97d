//! The options of a test as data, for profiles.
//!
//! A profile's measurement is parsed as a command line, so that both have the same options,
//! defaults and accepted values.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory};

use super::{Action, Cli};
use crate::error::describe;
use crate::plan::RunPlan;

/// Options of a command that are not part of what is measured, and not accepted in a profile.
const COMMAND_OPTIONS: [&str; 9] = [
    "help", "start-at", "json", "label", "format", "quiet", "keep", "dir", "recreate",
];

/// Why a series is refused where a single run is expected.
pub(super) const ONE_RUN: &str = "several block sizes and --walk-cost give several runs: expected one block size, without --walk-cost";

/// An option of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOption {
    /// Its name, without dashes.
    pub name: String,
    /// Whether it takes no value.
    pub is_switch: bool,
    /// Accepted values; empty if they cannot be listed.
    pub values: Vec<String>,
}

/// Returns the options of a test; none if it does not exist.
pub fn options(test: &str) -> Vec<TestOption> {
    let cli = Cli::command();
    let args = cli.find_subcommand(test).into_iter();
    args.flat_map(clap::Command::get_arguments)
        .filter_map(|arg| {
            let name = arg.get_long()?;
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
            let values = arg.get_possible_values();
            (!COMMAND_OPTIONS.contains(&name)).then(|| TestOption {
                name: name.into(),
                is_switch,
                values: match is_switch {
                    true => Vec::new(),
                    false => values.iter().map(|value| value.get_name().into()).collect(),
                },
            })
        })
        .collect()
}

/// Why options are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError {
    /// The invalid or missing option, if it is a single one.
    pub option: Option<String>,
    /// What is wrong and what is accepted.
    pub reason: String,
}

/// Returns the plan of a test with these options; an option without a value is a switch.
pub fn plan(test: &str, options: &[(&str, Option<&str>)]) -> Result<RunPlan, OptionError> {
    let arguments = options.iter().map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    });
    let command = ["wbench", test].map(String::from);
    let arguments = command.into_iter().chain(arguments);
    let arguments = arguments.map(Into::into).collect();
    let invalid = |reason| OptionError {
        option: None,
        reason,
    };
    let cli = Cli::of(arguments).map_err(|error| OptionError::from(&error))?;
    match cli.into_action() {
        Ok(Action::Measure { plan, .. }) => Ok(*plan),
        Ok(Action::Series(_)) => Err(invalid(ONE_RUN.to_owned())),
        Ok(_) => Err(invalid(format!("unknown test '{test}'"))),
        Err(error) => Err(invalid(describe(&error))),
    }
}

impl From<&clap::Error> for OptionError {
    fn from(error: &clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
            _ => None,
        };
        let name = |option: String| {
            let name = option.trim_start_matches('-').split(' ').next();
            name.unwrap_or_default().to_owned()
        };
        let option = text(ContextKind::InvalidArg).map(name);
        let value = text(ContextKind::InvalidValue).unwrap_or_default();
        let accepted = text(ContextKind::ValidValue);
        let reason = match (error.kind(), error.source(), accepted) {
            (ErrorKind::MissingRequiredArgument, ..) => "missing".to_owned(),
            (_, Some(source), _) => format!("invalid value '{value}': {source}"),
            (_, None, Some(values)) => {
                format!("invalid value '{value}': expected one of {values}")
            }
            (..) => format!("invalid value '{value}'"),
        };
        Self { option, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Test;

    #[test]
    fn options_of_a_test_exclude_those_of_the_command() {
        for test in Test::NAMES {
            let options = options(test);
            assert!(options.iter().any(|option| option.name == "threads"));
            for not in COMMAND_OPTIONS {
                assert!(options.iter().all(|option| option.name != not), "{not}");
            }
        }
        assert_eq!(super::options("dance"), []);
    }

    #[test]
    fn an_error_names_the_option_and_the_accepted_values() {
        let error = |test, options| plan(test, options).unwrap_err();
        assert_eq!(
            error("memory", &[("oper", Some("stare"))]),
            OptionError {
                option: Some("oper".into()),
                reason: "invalid value 'stare': expected one of read, write, chase, none".into()
            }
        );
        let size = error("memory", &[("block-size", Some("1 K"))]);
        assert_eq!(size.option.as_deref(), Some("block-size"));
        assert!(
            size.reason.contains("invalid value '1 K': expected digits"),
            "{size:?}"
        );
        let missing = error("fileio", &[]);
        assert_eq!(missing.option.as_deref(), Some("mode"));
        let together = error(
            "fileio",
            &[("mode", Some("seqrd")), ("files", Some("9999999"))],
        );
        assert!(
            together.reason.contains("larger than a file"),
            "{together:?}"
        );
    }
}
