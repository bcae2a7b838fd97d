//! Generates the files that packages contain in addition to the binary: man pages and completions,
//! from the definition of the command line, and the licenses of the linked code.
//!
//! `cargo run --example assets -- DIR`; SOURCE_DATE_EPOCH sets the date in the man pages.

mod licenses;
mod man;
mod sysbench;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use wbench::cli::native::Cli;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [dir] = arguments.as_slice() else {
        anyhow::bail!("expected one argument: the output directory");
    };
    let pages = empty(&dir.join("man"))?;
    let manual = man::Manual { date: date()? };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    manual.write_with_subcommands(&command, &pages)?;
    manual.write(&sysbench::command(), &pages)?;

    let completions = empty(&dir.join("completions"))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "wbench", &completions)?;
    }

    fs::write(dir.join(licenses::FILE), licenses::text()?)?;
    Ok(())
}

/// Creates an empty directory, replacing an existing one.
fn empty(dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir.to_owned())
}

/// Returns the date of the source as YYYY-MM-DD, which keeps builds reproducible.
fn date() -> Result<String> {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").context(
        "SOURCE_DATE_EPOCH is not set: expected the time of the source in seconds since 1970",
    )?;
    let seconds = epoch.parse().with_context(|| {
        format!("invalid SOURCE_DATE_EPOCH '{epoch}': expected seconds since 1970")
    })?;
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let stamp = humantime::format_rfc3339_seconds(time).to_string();
    Ok(stamp[.."YYYY-MM-DD".len()].to_owned())
}
