//! Runs `wbench env`: prints the host fingerprint and warnings.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::remark;
use crate::clock::TimeSource;
use crate::exit::Exit;
use crate::host::{self, SystemRoot};
use crate::output::{self, Destination};
use crate::plan::ClockChoice;
use crate::report::text;
use crate::result::{ClockInfo, Host, Storage, Tool, Warning};
use crate::warning;
use crate::workload::fileio::files;

/// Schema of the JSON document.
const SCHEMA: &str = "wbench.env/1";

#[derive(Debug, Serialize)]
struct Environment {
    schema: &'static str,
    tool: Tool,
    host: Host,
    clock: ClockInfo,
    storage: Storage,
    /// Whether O_DIRECT works in the directory; null if that cannot be tested.
    direct_io: Option<bool>,
    warnings: Vec<Warning>,
}

/// Prints the fingerprint and warnings.
pub fn run(dir: &Path, json: Option<&Destination>) -> Result<Exit> {
    std::fs::metadata(dir).map_err(|error| {
        anyhow!(
            "cannot access the directory {}: {error}; choose another with --dir",
            dir.display()
        )
    })?;
    let time = TimeSource::establish(ClockChoice::Auto)?;
    let host = host::fingerprint(&SystemRoot::default());
    let clock = time.info();
    let direct_io = files::direct_io_in(dir);
    let storage = host::storage(&SystemRoot::default(), dir);
    let environment = Environment {
        schema: SCHEMA,
        tool: Tool::this(),
        warnings: warning::of_environment(&host, &clock, &storage, dir, direct_io),
        storage,
        host,
        clock,
        direct_io,
    };
    match json {
        Some(destination) => remark(&destination.write(&environment)?),
        None => output::print(&text::environment(
            &environment.host,
            &environment.clock,
            &environment.storage,
            environment.direct_io,
            &environment.warnings,
        ))?,
    }
    Ok(Exit::Success)
}
