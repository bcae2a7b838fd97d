//! Typed access to option values.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use anyhow::{Context, Result, ensure};

use super::COMMANDS;
use super::options::find;
use crate::size::Size;

/// Options given on the command line; all others have their defaults.
pub(super) struct Values<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Values<'a> {
    /// Splits the arguments into options and the one command.
    pub fn read<S: AsRef<str>>(arguments: &'a [S]) -> Result<(Self, Option<&'a str>)> {
        let mut values = BTreeMap::new();
        let mut command = None;
        for argument in arguments.iter().map(AsRef::as_ref) {
            let Some(option) = argument.strip_prefix("--") else {
                ensure!(
                    COMMANDS.contains(&argument),
                    "invalid command '{argument}': expected one of {}",
                    COMMANDS.join(", ")
                );
                ensure!(
                    command.is_none(),
                    "more than one command: '{argument}' is the second"
                );
                command = Some(argument);
                continue;
            };
            let (name, value) = option.split_once('=').unwrap_or((option, "on"));
            ensure!(find(name).is_some(), "unknown option --{name} (see 'help')");
            values.insert(name, value);
        }
        Ok((Self(values), command))
    }

    /// Returns these values with another default of an option.
    pub fn with_default(&self, name: &'a str, default: &'a str) -> Self {
        let mut values = self.0.clone();
        values.entry(name).or_insert(default);
        Self(values)
    }

    pub fn text(&self, name: &str) -> &str {
        let default = || find(name).map_or("", |option| option.default);
        self.0.get(name).copied().unwrap_or_else(default)
    }

    /// Returns true for a flag without a value or with `=on`, false otherwise.
    pub fn switch(&self, name: &str) -> bool {
        self.text(name) == "on"
    }

    pub fn number(&self, name: &str, accepted: &str) -> Result<u64> {
        let text = self.text(name);
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .with_context(|| format!("--{name}={text}: expected {accepted}"))
    }

    pub fn whole(&self, name: &str) -> Result<u64> {
        self.number(name, "a whole number, 0 or more")
    }

    /// Returns a limit, which 0.4.12 does not have if it is negative.
    pub fn limit(&self, name: &str) -> Result<Option<u64>> {
        match self.text(name).parse::<i64>() {
            Ok(negative) if negative < 0 => Ok(None),
            _ => self.whole(name).map(Some),
        }
    }

    pub fn positive(&self, name: &str) -> Result<NonZeroU64> {
        let accepted = "a whole number, 1 or more";
        NonZeroU64::new(self.number(name, accepted)?)
            .with_context(|| format!("--{name}={}: expected {accepted}", self.text(name)))
    }

    pub fn positive_count(&self, name: &str) -> Result<NonZeroU32> {
        let number = self.positive(name)?;
        NonZeroU32::try_from(number)
            .with_context(|| format!("--{name}={number}: expected at most {}", u32::MAX))
    }

    pub fn size(&self, name: &str) -> Result<u64> {
        let bytes = self.size_or_zero(name)?;
        ensure!(
            bytes > 0,
            "--{name}={}: expected a size above 0",
            self.text(name)
        );
        Ok(bytes)
    }

    pub fn size_or_zero(&self, name: &str) -> Result<u64> {
        let text = self.text(name);
        let Size(bytes) = text.parse().with_context(|| format!("--{name}={text}"))?;
        Ok(bytes)
    }

    pub fn one_of<T: Copy>(&self, name: &str, accepted: &[(&str, T)]) -> Result<T> {
        let text = self.text(name);
        let found = accepted.iter().find(|(name, _)| *name == text);
        found.map(|&(_, value)| value).with_context(|| {
            let names: Vec<&str> = accepted.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            match text {
                "" => format!(
                    "--{name} is required: expected one of {}",
                    names.trim_start_matches(", ")
                ),
                _ => format!(
                    "--{name}={text}: expected one of {}",
                    names.trim_start_matches(", ")
                ),
            }
        })
    }

    pub fn count(&self, name: &str) -> Result<u32> {
        let number = self.whole(name)?;
        u32::try_from(number)
            .with_context(|| format!("--{name}={number}: expected at most {}", u32::MAX))
    }
}
