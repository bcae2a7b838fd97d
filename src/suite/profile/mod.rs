//! Suite profiles in TOML.
//!
//! A profile has a name and measurements. A measurement has a name, a test and the options of that
//! test, named as on the command line.

mod read;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::plan::RunPlan;

/// Default profile.
pub const DEFAULT: &str = "kek-2015";

/// Built-in profiles: name and text.
const BUILT_IN: [(&str, &str); 1] = [(DEFAULT, include_str!("../../../profiles/kek-2015.toml"))];

/// Returns the names of the built-in profiles.
pub fn built_in_names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// Contents of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name, recorded in each result.
    pub name: String,
    /// Measurements in order of execution.
    pub measurements: Vec<Measurement>,
}

/// One measurement of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name, unique in the profile.
    pub name: String,
    /// Plan of its runs.
    pub plan: RunPlan,
}

/// Source text of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, or name of a built-in profile.
    pub origin: String,
    /// Contents, in TOML.
    pub text: String,
}

impl Source {
    /// Finds a built-in profile by name, else reads the file.
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

    /// Parses the profile.
    ///
    /// Errors start with file and line, and name the key and the accepted values.
    pub fn profile(&self) -> Result<Profile> {
        read::profile(&self.origin, &self.text)
    }
}

#[cfg(test)]
mod tests;
