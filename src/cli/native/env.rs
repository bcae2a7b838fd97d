//! `wbench env`: its options.

use clap::Args;

use super::Action;
use super::common::{DirArgs, JsonArgs};

#[derive(Debug, Args)]
#[command(
    mut_arg("dir", |arg| arg.help("Directory whose storage to describe")),
    mut_arg("json", |arg| arg
        .help("Write JSON to this file; - or no value is standard output")
        .num_args(0..=1)
        .default_missing_value("-")),
)]
pub(super) struct EnvArgs {
    #[command(flatten)]
    dir: DirArgs,

    #[command(flatten)]
    json: JsonArgs,
}

impl EnvArgs {
    pub(super) fn into_action(self) -> Action {
        Action::Env {
            dir: self.dir.dir,
            json: self.json.json,
        }
    }
}
