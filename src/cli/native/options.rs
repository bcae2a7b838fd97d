//! The options of a test as data, for profiles.
//!
//! A profile's measurement is parsed as a command line, so that both have the same options,
//! defaults and accepted values.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory};

use super::{Cli, Command};
use crate::plan::RunPlan;

/// The tests.
pub const TESTS: [&str; 3] = ["cpu", "memory", "fileio"];

/// Options of a command that are not part of what is measured, and not accepted in a profile.
const OF_THE_COMMAND: [&str; 7] = ["help", "json", "label", "quiet", "keep", "dir", "recreate"];

/// An option of a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOption {
    /// Its name, without dashes.
    pub name: String,
    /// It has no value.
    pub is_switch: bool,
    /// The accepted values; empty if they cannot be listed.
    pub words: Vec<String>,
}

/// The options of one of [`TESTS`].
pub fn options(test: &str) -> Vec<TestOption> {
    let cli = Cli::command();
    let args = cli.find_subcommand(test).into_iter();
    args.flat_map(clap::Command::get_arguments)
        .filter_map(|arg| {
            let name = arg.get_long()?;
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
            let words = arg.get_possible_values();
            (!OF_THE_COMMAND.contains(&name)).then(|| TestOption {
                name: name.into(),
                is_switch,
                words: match is_switch {
                    true => Vec::new(),
                    false => words.iter().map(|word| word.get_name().into()).collect(),
                },
            })
        })
        .collect()
}

/// Why options were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The option that is wrong, if it is a single one.
    pub option: Option<String>,
    /// What is wrong and what is accepted.
    pub reason: String,
}

/// Returns the plan of a test with these options; an option without a value is a switch.
pub fn plan(test: &str, options: &[(&str, Option<&str>)]) -> Result<RunPlan, Refused> {
    let words = options.iter().map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    });
    let words = ["wbench", test].map(String::from).into_iter().chain(words);
    let words = words.map(Into::into).collect();
    let refused = |reason| Refused {
        option: None,
        reason,
    };
    let cli = Cli::of(words).map_err(|error| Refused::by(&error))?;
    match cli.into_command() {
        Ok(Command::Measure { plan, .. }) => Ok(*plan),
        Ok(_) => Err(refused(format!("unknown test '{test}'"))),
        Err(error) => Err(refused(format!("{error:#}"))),
    }
}

impl Refused {
    fn by(error: &clap::Error) -> Self {
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
            (ErrorKind::MissingRequiredArgument, ..) => "is missing".to_owned(),
            (_, Some(source), _) => source.to_string(),
            (_, None, Some(words)) => format!("invalid value '{value}': expected one of {words}"),
            (..) => format!("invalid value '{value}'"),
        };
        Self { option, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_measurement_exclude_those_of_the_command() {
        for test in TESTS {
            let options = options(test);
            assert!(options.iter().any(|option| option.name == "threads"));
            for not in OF_THE_COMMAND {
                assert!(options.iter().all(|option| option.name != not), "{not}");
            }
        }
        assert_eq!(super::options("dance"), []);
    }

    #[test]
    fn a_refusal_names_the_option_and_what_is_accepted() {
        let refused = |test, options| plan(test, options).unwrap_err();
        assert_eq!(
            refused("memory", &[("oper", Some("stare"))]),
            Refused {
                option: Some("oper".into()),
                reason: "invalid value 'stare': expected one of read, write, none".into()
            }
        );
        let size = refused("memory", &[("block-size", Some("1 K"))]);
        assert_eq!(size.option.as_deref(), Some("block-size"));
        assert!(size.reason.contains("invalid size '1 K'"), "{size:?}");
        let missing = refused("fileio", &[]);
        assert_eq!(missing.option.as_deref(), Some("mode"));
        let together = refused(
            "fileio",
            &[("mode", Some("seqrd")), ("files", Some("9999999"))],
        );
        assert!(
            together.reason.contains("larger than a file"),
            "{together:?}"
        );
    }
}
