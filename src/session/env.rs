//! Runs `wbench env`: prints the host fingerprint and warnings.

use std::path::Path;

use anyhow::{Context, Result};

use super::remark;
use crate::clock::{EffectiveClock, TimeSource};
use crate::error::Advice;
use crate::exit::Exit;
use crate::host::{self, SystemRoot};
use crate::output::{self, Destination};
use crate::plan::ClockChoice;
use crate::report::environment::{Environment, environment};
use crate::result::Tool;
use crate::warning;
use crate::with_clock;
use crate::workload::fileio::files;

/// Schema of the JSON document.
const SCHEMA: &str = "wbench.env/1";

/// Prints the fingerprint and warnings.
pub fn run(dir: &Path, json: Option<&Destination>) -> Result<Exit> {
    std::fs::metadata(dir)
        .context(Advice("choose another with --dir"))
        .with_context(|| format!("cannot access the directory {}", dir.display()))?;
    let time = TimeSource::establish(ClockChoice::Auto)?;
    let core = with_clock!(time.clock, clock => EffectiveClock::measure(clock, None));
    let root = SystemRoot::default();
    let host = host::fingerprint(&root);
    let clock = time.info();
    let direct_io = files::direct_io_in(dir);
    let storage = host::storage(&root, dir);
    let found = Environment {
        schema: SCHEMA,
        tool: Tool::this(),
        warnings: warning::of_environment(&host, &clock, &storage, dir, direct_io),
        not_visible: host::not_visible(&root, &host, &storage),
        storage,
        host,
        clock,
        cpu_ghz: core.map(|core| core.ghz),
        cpu_ghz_error: core.map(|core| core.error),
        direct_io,
    };
    match json {
        Some(destination) => remark(&destination.write(&found)?),
        None => output::print(&environment(&found))?,
    }
    Ok(Exit::Success)
}
