//! `wbench env`: its options.

use std::path::PathBuf;

use clap::Args;

use super::Command;
use crate::output::Destination;

#[derive(Debug, Args)]
pub(super) struct EnvArgs {
    /// Directory whose storage to describe
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,

    /// Write JSON to this file; - or no value is standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<Destination>,
}

impl EnvArgs {
    pub(super) fn into_command(self) -> Command {
        Command::Env {
            dir: self.dir,
            json: self.json,
        }
    }
}
