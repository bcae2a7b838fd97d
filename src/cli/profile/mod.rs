//! Suite profiles in TOML.
//!
//! A profile has a name and measurements. A measurement has a name, a test and the options of that
//! test, named as on the command line.

mod read;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::suite::Profile;

/// Default profile.
pub const DEFAULT: &str = "kek-2015";

/// Built-in profiles: name and text.
const BUILT_IN: [(&str, &str); 1] = [(DEFAULT, include_str!("../../../profiles/kek-2015.toml"))];

/// Returns the names of the built-in profiles.
pub fn built_in_names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// Text of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileText {
    /// File name, or name of a built-in profile.
    pub origin: String,
    /// Contents, in TOML.
    pub text: String,
}

impl ProfileText {
    /// Finds a built-in profile by name, else reads the file.
    pub fn find(name: &Path) -> Result<Self> {
        let origin = name.display().to_string();
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == origin) {
            let text = (*text).into();
            return Ok(Self { origin, text });
        }
        if !name.exists() {
            bail!(
                "profile '{origin}' not found: expected a file, or a built-in profile: {}",
                built_in_names()
            );
        }
        let text = std::fs::read_to_string(name)
            .with_context(|| format!("cannot read profile {origin}"))?;
        Ok(Self { origin, text })
    }

    /// Parses the profile.
    ///
    /// Errors start with file and line, and name the key and the accepted values.
    pub fn parse(&self) -> Result<Profile> {
        read::profile(&self.origin, &self.text)
    }
}

#[cfg(test)]
mod tests;
