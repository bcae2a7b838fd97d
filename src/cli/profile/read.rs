//! Profile parser. Errors name the line and the key.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Error, Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::native::options::{self, OptionError, TestOption};
use crate::plan::{RunPlan, Test};
use crate::suite::{Measurement, Profile};

/// A value with its position in the text.
type Placed<'a> = Spanned<DeValue<'a>>;

/// Options of a test, with the positions of their values.
type Options<'a> = BTreeMap<&'a str, &'a Placed<'a>>;

/// Options that a test with a fixed amount of work does not have.
const LIMITS: [&str; 2] = ["events", "time"];

pub(super) fn profile(origin: &str, text: &str) -> Result<Profile> {
    let reader = Reader { origin, text };
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        reader.error(&at, error.message())
    })?;
    reader.profile(document.get_ref())
}

struct Reader<'a> {
    origin: &'a str,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn profile(&self, document: &'a DeTable<'a>) -> Result<Profile> {
        self.check_keys(document, &["name", "defaults", "measurement"])?;
        let name = self.name(document, "the profile", &(0..0))?;
        let defaults = self.defaults(document)?;
        let missing = || self.error(&(0..0), "missing [[measurement]]: expected at least one");
        let list = document.get("measurement").ok_or_else(missing)?;
        let invalid = || {
            let reason = "invalid measurement: expected [[measurement]] before each one";
            self.error(&list.span(), reason)
        };
        let list = list.get_ref().as_array().ok_or_else(invalid)?;
        let mut measurements: Vec<Measurement> = Vec::new();
        for item in list.iter() {
            let table = item.get_ref().as_table().ok_or_else(invalid)?;
            let measurement = self.measurement(table, &item.span(), &defaults)?;
            let name = &measurement.name;
            if measurements.iter().any(|other| other.name == *name) {
                let at = table.get("name").map_or(item.span(), Spanned::span);
                return Err(self.error(&at, format!("duplicate measurement name '{name}'")));
            }
            measurements.push(measurement);
        }
        if measurements.is_empty() {
            return Err(missing());
        }
        Ok(Profile { name, measurements })
    }

    /// Returns the default options of each test's measurements.
    fn defaults(&self, document: &'a DeTable<'a>) -> Result<BTreeMap<&'static str, Options<'a>>> {
        let mut defaults: BTreeMap<_, _> = Test::NAMES.map(|test| (test, Options::new())).into();
        let Some(given) = document.get("defaults") else {
            return Ok(defaults);
        };
        let table = self.table(given, "defaults")?;
        let of_tests = Test::NAMES.map(|test| (test, options::options(test)));
        let has_or_needs_no = |options: &[TestOption], option: &TestOption| {
            let is_missing = options.iter().all(|other| other.name != option.name);
            options.contains(option) || is_missing && LIMITS.contains(&option.name.as_str())
        };
        let common: Vec<TestOption> = of_tests[0]
            .1
            .iter()
            .filter(|option| {
                of_tests
                    .iter()
                    .all(|(_, options)| has_or_needs_no(options, option))
            })
            .cloned()
            .collect();
        // "threads" is an option and a test: a table is for the test.
        let is_of_a_test = |name: &str, value: &Placed<'_>| {
            let is_common = common.iter().any(|option| option.name == name);
            Test::NAMES.contains(&name) && (value.get_ref().is_table() || !is_common)
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if is_of_a_test(name, value) {
                continue;
            }
            self.check(key, value, &common, "every test")?;
            for (test, options) in &of_tests {
                if options.iter().any(|option| option.name == name) {
                    defaults.entry(test).or_default().insert(name, value);
                }
            }
        }
        for (test, accepted) in &of_tests {
            let Some(given) = table.get(*test).filter(|given| is_of_a_test(test, given)) else {
                continue;
            };
            for (key, value) in self.table(given, &format!("defaults.{test}"))? {
                self.check(key, value, accepted, &format!("the {test} test"))?;
                let options = defaults.entry(test).or_default();
                options.insert(key.get_ref().as_ref(), value);
            }
        }
        Ok(defaults)
    }

    fn measurement(
        &self,
        table: &'a DeTable<'a>,
        at: &Range<usize>,
        defaults: &BTreeMap<&'static str, Options<'a>>,
    ) -> Result<Measurement> {
        let name = self.name(table, "the measurement", at)?;
        let test = self.test(table, at, &name)?;
        let accepted = options::options(test);
        let mut given = defaults[test].clone();
        for (key, value) in table {
            if !["name", "test"].contains(&key.get_ref().as_ref()) {
                self.check(key, value, &accepted, &format!("the {test} test"))?;
                given.insert(key.get_ref().as_ref(), value);
            }
        }
        let plan = plan(test, &given).map_err(|error| {
            let OptionError { option, reason } = error;
            let option = option.unwrap_or_default();
            if let Some(value) = given.get(option.as_str()) {
                return self.error(&value.span(), format!("{option}: {reason}"));
            }
            let values = accepted.iter().find(|known| known.name == option);
            let values = values.map_or(String::new(), |known| list(&known.values));
            let reason = match option.is_empty() {
                true => reason,
                false => format!("{reason} {option}: expected {values}"),
            };
            self.error(at, format!("measurement '{name}': {reason}"))
        })?;
        Ok(Measurement { name, plan })
    }

    /// Returns the test of a measurement.
    fn test(
        &self,
        table: &DeTable<'_>,
        at: &Range<usize>,
        measurement: &str,
    ) -> Result<&'static str> {
        let expected = list(&Test::NAMES);
        let test = table.get("test").ok_or_else(|| {
            let reason = format!("measurement '{measurement}': missing test: expected {expected}");
            self.error(at, reason)
        })?;
        let named = |text: &str| Test::NAMES.into_iter().find(|name| *name == text);
        let name = test.get_ref().as_str().and_then(named);
        name.ok_or_else(|| self.error(&test.span(), format!("invalid test: expected {expected}")))
    }

    /// Fails unless the option is known and its value has the right type.
    fn check(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Placed<'_>,
        accepted: &[TestOption],
        tests: &str,
    ) -> Result<()> {
        let name = key.get_ref().as_ref();
        let Some(option) = accepted.iter().find(|option| option.name == name) else {
            let names: Vec<_> = accepted.iter().map(|option| option.name.as_str()).collect();
            let names = names.join(", ");
            let reason = format!("unknown option '{name}' of {tests}: expected one of {names}");
            return Err(self.error(&key.span(), reason));
        };
        let expected = match (value.get_ref(), option.is_switch) {
            (DeValue::Boolean(_), true) => return Ok(()),
            (_, true) => "true or false".to_owned(),
            (other, false) if argument(other).is_some() => return Ok(()),
            (_, false) if option.values.is_empty() => "a decimal number or a string".to_owned(),
            (_, false) => list(&option.values),
        };
        let found = value.get_ref().type_str();
        let reason = format!("invalid {name}: expected {expected}, found {found}");
        Err(self.error(&value.span(), reason))
    }

    /// Fails if a profile has an unknown key.
    fn check_keys(&self, profile: &DeTable<'_>, accepted: &[&str]) -> Result<()> {
        let is_unknown =
            |key: &&Spanned<_>| !accepted.contains(&AsRef::<str>::as_ref(key.get_ref()));
        match profile.keys().find(is_unknown) {
            None => Ok(()),
            Some(key) => {
                let (key, at) = (key.get_ref(), key.span());
                let accepted = accepted.join(", ");
                Err(self.error(
                    &at,
                    format!("unknown key '{key}': expected one of {accepted}"),
                ))
            }
        }
    }

    fn table(&self, value: &'a Placed<'a>, name: &str) -> Result<&'a DeTable<'a>> {
        let invalid = || {
            let reason = format!("invalid {name}: expected a table, [{name}]");
            self.error(&value.span(), reason)
        };
        value.get_ref().as_table().ok_or_else(invalid)
    }

    /// Returns a name that is valid in a table, a label and a file name.
    fn name(&self, table: &DeTable<'_>, owner: &str, at: &Range<usize>) -> Result<String> {
        let expected = "expected name = \"...\", with letters, digits, '-', '_' and '.'";
        let Some(name) = table.get("name") else {
            return Err(self.error(at, format!("missing name of {owner}: {expected}")));
        };
        let is_valid = |name: &&str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && name.chars().all(is_plain)
        };
        match name.get_ref().as_str().filter(is_valid) {
            Some(name) => Ok(name.into()),
            None => Err(self.error(&name.span(), format!("invalid name of {owner}: {expected}"))),
        }
    }

    fn error(&self, at: &Range<usize>, reason: impl std::fmt::Display) -> Error {
        let before = self.text.as_bytes().iter().take(at.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{}:{line}: {reason}", self.origin)
    }
}

/// Returns the plan of a test with these options.
fn plan(test: &str, given: &Options<'_>) -> Result<RunPlan, OptionError> {
    let arguments = given
        .iter()
        .filter_map(|(name, value)| match value.get_ref() {
            DeValue::Boolean(on) => on.then_some((*name, None)),
            other => Some((*name, argument(other))),
        });
    let arguments: Vec<_> = arguments.collect();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|(name, value)| (*name, value.as_deref()))
        .collect();
    options::plan(test, &arguments)
}

/// Converts a value to a command-line argument; None if no option takes its type.
fn argument(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().into()),
        DeValue::Float(number) => Some(number.as_str().into()),
        _ => None,
    }
}

/// Formats alternatives as TOML strings.
fn list(values: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = values
        .iter()
        .map(|value| format!("\"{}\"", value.as_ref()))
        .collect();
    quoted.join(" or ")
}
