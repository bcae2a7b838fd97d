//! What a suite measures: profiles, as TOML.
//!
//! A profile has a name and measurements; each of them has a name, a test, and that test's options
//! under the names that they have on the command line.

mod read;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::plan::RunPlan;

/// The profile that is taken where none is named.
pub const DEFAULT: &str = "kek-2015";

/// The profiles that the program brings along: name and text.
const BUILT_IN: [(&str, &str); 1] = [(DEFAULT, include_str!("../../../profiles/kek-2015.toml"))];

/// The names of the profiles that the program brings along.
pub fn built_in_names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// What a suite measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name, which stands in each result.
    pub name: String,
    /// Its measurements, in the order in which they are made.
    pub measurements: Vec<Measurement>,
}

/// One measurement of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Its name, which no other of the profile has.
    pub name: String,
    /// What it runs.
    pub plan: RunPlan,
}

/// A profile as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where: a file's name, or that of a profile that the program brings along.
    pub origin: String,
    /// The TOML.
    pub text: String,
}

impl Source {
    /// The profile that the program brings along under a name, else that in a file.
    pub fn find(name: &Path) -> Result<Self> {
        let origin = name.display().to_string();
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == origin) {
            let text = (*text).into();
            return Ok(Self { origin, text });
        }
        if !name.exists() {
            bail!(
                "no profile is called {origin}, and no file: built in are {}",
                built_in_names()
            );
        }
        let text = std::fs::read_to_string(name)
            .with_context(|| format!("reading the profile {origin}"))?;
        Ok(Self { origin, text })
    }

    /// The profile that the text says.
    ///
    /// An error begins with the file and the line, and tells the key and what is accepted.
    pub fn profile(&self) -> Result<Profile> {
        read::profile(&self.origin, &self.text)
    }
}

#[cfg(test)]
mod tests;
