//! Values of options.

use std::collections::BTreeMap;

use super::options::{OptionSpec, ValueKind};
use super::refusal::{Checked, Refusal};

/// Options that were given; all others have their defaults.
///
/// A value is converted when it is used, as in 1.0: `--threads=x --help` prints the usage.
#[derive(Debug, Clone, Default)]
pub struct GivenOptions(BTreeMap<&'static str, Option<String>>);

impl GivenOptions {
    /// Sets an option. Returns false if it is a switch and the value is neither on nor off.
    pub fn set(&mut self, option: &'static OptionSpec, value: Option<&str>) -> bool {
        if option.kind == ValueKind::Switch && !matches!(value, None | Some("on" | "off")) {
            return false;
        }
        self.0.insert(option.name, value.map(str::to_owned));
        true
    }

    /// Returns the value of an option, or its default; `None` if it was given without a value.
    pub fn text<'a>(&'a self, option: &'a OptionSpec) -> Option<&'a str> {
        match self.0.get(option.name) {
            Some(value) => value.as_deref().filter(|value| !value.is_empty()),
            None => option.default,
        }
    }

    /// Returns whether a switch is on.
    pub fn switch(&self, option: &OptionSpec) -> bool {
        match self.0.get(option.name) {
            Some(value) => value.as_deref() != Some("off"),
            None => option.default == Some("on"),
        }
    }

    /// Returns a whole number; 0 if the option was given without a value.
    ///
    /// 1.0 reads the numbers of strtol(3) within 32 bits.
    pub fn number(&self, option: &OptionSpec) -> Checked<i32> {
        let Some(text) = self.text(option) else {
            return Ok(0);
        };
        let digits = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
        digits.parse().map_err(|_| {
            let name = option.name.replace('-', "_");
            Refusal::plain(format_args!(
                "Invalid value for the '{name}' option: '{text}'"
            ))
        })
    }

    /// Returns a size in bytes; `None` if the value is not one.
    pub fn size(&self, option: &OptionSpec) -> Option<u64> {
        self.text(option)?
            .to_ascii_uppercase()
            .parse()
            .ok()
            .map(|crate::size::Size(bytes)| bytes)
    }

    /// Returns the value of an option that accepts these names.
    pub fn one_of<T: Copy>(&self, option: &OptionSpec, accepted: &[(&str, T)]) -> Checked<T> {
        let text = self.text(option).unwrap_or_default();
        let found = accepted.iter().find(|(name, _)| *name == text);
        found
            .map(|&(_, value)| value)
            .ok_or_else(|| invalid(option, text))
    }
}

/// Returns the refusal of an option of a test.
pub fn invalid(option: &OptionSpec, value: &str) -> Refusal {
    Refusal::fatal(format_args!("Invalid value for {}: {value}", option.name))
}
