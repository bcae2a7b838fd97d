//! Profile parser. Errors name the line and the key.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Error, Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Measurement, Profile};
use crate::cli::native::options::{self, TESTS, TestOption};

/// A value with its position in the text.
type Placed<'a> = Spanned<DeValue<'a>>;

/// Options of a test, with the positions of their values.
type Options<'a> = BTreeMap<&'a str, &'a Placed<'a>>;

pub(super) fn profile(origin: &str, text: &str) -> Result<Profile> {
    let reader = Reader { origin, text };
    let document = DeTable::parse(text).map_err(|error| {
        let place = error.span().unwrap_or(0..0);
        reader.fault(&place, error.message())
    })?;
    reader.profile(document.get_ref())
}

struct Reader<'a> {
    origin: &'a str,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn profile(&self, document: &'a DeTable<'a>) -> Result<Profile> {
        self.only(document, "a profile", &["name", "defaults", "measurement"])?;
        let name = self.name(document, "the profile", &(0..0))?;
        let defaults = self.defaults(document)?;
        let Some(list) = document.get("measurement") else {
            return Err(self.fault(
                &(0..0),
                "there is no measurement: [[measurement]] begins one",
            ));
        };
        let wrong = || {
            self.fault(
                &list.span(),
                "measurement is a list: [[measurement]] begins each",
            )
        };
        let list = list.get_ref().as_array().ok_or_else(wrong)?;
        let mut measurements: Vec<Measurement> = Vec::new();
        for item in list.iter() {
            let table = item.get_ref().as_table().ok_or_else(wrong)?;
            let measurement = self.measurement(table, &item.span(), &defaults)?;
            if measurements
                .iter()
                .any(|other| other.name == measurement.name)
            {
                let place = table.get("name").map_or(item.span(), Spanned::span);
                let name = &measurement.name;
                return Err(self.fault(&place, format!("another measurement is called '{name}'")));
            }
            measurements.push(measurement);
        }
        if measurements.is_empty() {
            return Err(self.fault(
                &(0..0),
                "there is no measurement: [[measurement]] begins one",
            ));
        }
        Ok(Profile { name, measurements })
    }

    /// Returns the default options of each test's measurements.
    fn defaults(&self, document: &'a DeTable<'a>) -> Result<BTreeMap<&'static str, Options<'a>>> {
        let mut defaults: BTreeMap<_, _> = TESTS.map(|test| (test, Options::new())).into();
        let Some(given) = document.get("defaults") else {
            return Ok(defaults);
        };
        let table = self.table(given, "defaults")?;
        let of_tests = TESTS.map(|test| (test, options::options(test)));
        let common: Vec<TestOption> = of_tests[0]
            .1
            .iter()
            .filter(|option| of_tests.iter().all(|(_, options)| options.contains(option)))
            .cloned()
            .collect();
        for (key, value) in table {
            if TESTS.contains(&key.get_ref().as_ref()) {
                continue;
            }
            self.check(key, value, &common, "every test")?;
            for options in defaults.values_mut() {
                options.insert(key.get_ref().as_ref(), value);
            }
        }
        for (test, accepted) in &of_tests {
            let Some(given) = table.get(*test) else {
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
        place: &Range<usize>,
        defaults: &BTreeMap<&'static str, Options<'a>>,
    ) -> Result<Measurement> {
        let name = self.name(table, "the measurement", place)?;
        let test = table.get("test").ok_or_else(|| {
            self.fault(place, format!("'{name}' has no test: {}", one_of_tests()))
        })?;
        let known = |word: &str| TESTS.into_iter().find(|test| *test == word);
        let test = test
            .get_ref()
            .as_str()
            .and_then(known)
            .ok_or_else(|| self.fault(&test.span(), format!("test is {}", one_of_tests())))?;
        let accepted = options::options(test);
        let mut given = defaults[test].clone();
        for (key, value) in table {
            if !["name", "test"].contains(&key.get_ref().as_ref()) {
                self.check(key, value, &accepted, &format!("the {test} test"))?;
                given.insert(key.get_ref().as_ref(), value);
            }
        }
        let words: Vec<(&str, Option<String>)> = given
            .iter()
            .filter_map(|(name, value)| match value.get_ref() {
                DeValue::Boolean(on) => on.then_some((*name, None)),
                other => Some((*name, word(other))),
            })
            .collect();
        let words: Vec<_> = words
            .iter()
            .map(|(name, word)| (*name, word.as_deref()))
            .collect();
        let plan = options::plan(test, &words).map_err(|refused| {
            let option = refused.option.as_deref().unwrap_or_default();
            match (
                refused
                    .option
                    .as_deref()
                    .and_then(|option| given.get(option)),
                option,
            ) {
                (Some(value), _) => {
                    self.fault(&value.span(), format!("{option}: {}", refused.reason))
                }
                (None, "") => self.fault(place, format!("'{name}': {}", refused.reason)),
                (None, _) => {
                    let words = accepted.iter().find(|known| known.name == option);
                    let words = words.map_or(String::new(), |known| list(&known.words));
                    self.fault(
                        place,
                        format!("'{name}': {option} {}: {words}", refused.reason),
                    )
                }
            }
        })?;
        Ok(Measurement { name, plan })
    }

    /// Fails unless the option is known and its value has the right type.
    fn check(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Placed<'_>,
        accepted: &[TestOption],
        whose: &str,
    ) -> Result<()> {
        let name = key.get_ref().as_ref();
        let Some(option) = accepted.iter().find(|option| option.name == name) else {
            let names: Vec<_> = accepted.iter().map(|option| option.name.as_str()).collect();
            return Err(self.fault(
                &key.span(),
                format!(
                    "{name} is no option of {whose}, which are {}",
                    names.join(", ")
                ),
            ));
        };
        let wanted = match (value.get_ref(), option.is_switch) {
            (DeValue::Boolean(_), true) => return Ok(()),
            (_, true) => "true or false".to_owned(),
            (other, false) if word(other).is_some() => return Ok(()),
            (_, false) if option.words.is_empty() => "a number or a \"text\"".to_owned(),
            (_, false) => list(&option.words),
        };
        let found = value.get_ref().type_str();
        Err(self.fault(
            &value.span(),
            format!("{name} is {wanted}, not of type {found}"),
        ))
    }

    /// Fails if a table has an unknown key.
    fn only(&self, table: &DeTable<'_>, what: &str, accepted: &[&str]) -> Result<()> {
        match table
            .keys()
            .find(|key| !accepted.contains(&key.get_ref().as_ref()))
        {
            None => Ok(()),
            Some(key) => Err(self.fault(
                &key.span(),
                format!(
                    "{} is no key of {what}, which are {}",
                    key.get_ref(),
                    accepted.join(", ")
                ),
            )),
        }
    }

    fn table(&self, value: &'a Placed<'a>, name: &str) -> Result<&'a DeTable<'a>> {
        let wrong = || self.fault(&value.span(), format!("{name} is a table: [{name}]"));
        value.get_ref().as_table().ok_or_else(wrong)
    }

    /// Returns a name that is valid in a table, a label and a file name.
    fn name(&self, table: &DeTable<'_>, whose: &str, place: &Range<usize>) -> Result<String> {
        let accepted = "name = \"...\", of letters, digits, - _ and .";
        let Some(name) = table.get("name") else {
            return Err(self.fault(place, format!("{whose} has no name: {accepted}")));
        };
        let is_good = |name: &&str| {
            let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && name.chars().all(good)
        };
        match name.get_ref().as_str().filter(is_good) {
            Some(name) => Ok(name.into()),
            None => Err(self.fault(
                &name.span(),
                format!("{whose} has an invalid name: {accepted}"),
            )),
        }
    }

    fn fault(&self, place: &Range<usize>, reason: impl std::fmt::Display) -> Error {
        let before = self.text.as_bytes().iter().take(place.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{}:{line}: {reason}", self.origin)
    }
}

/// Converts a value to a command-line argument; None if no option takes its type.
fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().into()),
        DeValue::Float(number) => Some(number.as_str().into()),
        _ => None,
    }
}

fn one_of_tests() -> String {
    list(&TESTS)
}

/// Formats strings as in a TOML list.
fn list(words: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = words
        .iter()
        .map(|word| format!("\"{}\"", word.as_ref()))
        .collect();
    quoted.join(" or ")
}
