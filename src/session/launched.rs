//! Preparation that `wbench sweep` and `wbench trial` have in common.

use anyhow::{Context, Result};

use super::PREFIX;
use crate::descriptors::{DescriptorLimit, OTHER_DESCRIPTORS, raise_limit};
use crate::error::Advice;
use crate::host::{self, SystemRoot};
use crate::sweep::Sweep;
use crate::sweep::directory::SweepDirectory;
use crate::sweep::directory::abandoned::{OtherSweep, remove_abandoned};
use crate::terminal::message;

/// File descriptors per instance: its directory and two output pipes.
const DESCRIPTORS_EACH: u64 = 3;

/// Returns the sweep with this host and the absolute path of its directory.
pub fn on_this_host(sweep: &Sweep) -> Result<Sweep> {
    let dir = sweep
        .dir
        .canonicalize()
        .context(Advice("choose another with --dir"))
        .with_context(|| format!("cannot use the directory {}", sweep.dir.display()))?;
    Ok(Sweep {
        dir,
        host: host::fingerprint(&SystemRoot::default()),
        ..sweep.clone()
    })
}

/// Raises the descriptor limit for all concurrent instances. Returns the previous limit, which the
/// instances get.
pub fn raise_descriptor_limit(sweep: &Sweep) -> Result<DescriptorLimit> {
    let most = sweep.most_concurrent();
    let needed = u64::from(most) * DESCRIPTORS_EACH + OTHER_DESCRIPTORS;
    let purpose = format_args!("{most} concurrent instances");
    raise_limit(needed, purpose, "lower --concurrency")
}

/// Removes what killed sweeps left, and creates the directory of this one.
pub fn create_directory(sweep: &Sweep, quiet: bool) -> Result<SweepDirectory> {
    if !sweep.needs_directories() {
        return Ok(SweepDirectory::none());
    }
    for other in remove_abandoned(&sweep.dir)? {
        match other {
            OtherSweep::Removed(_) if quiet => {}
            _ => message!("{PREFIX}{other}"),
        }
    }
    SweepDirectory::create_in(&sweep.dir)
}
