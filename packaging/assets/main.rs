//! Writes what a package holds beside the binary, made from the command line that the binary
//! has: man pages, completions, and the licences of what is linked into it.
//!
//! `cargo run --example assets -- FOLDER`, with SOURCE_DATE_EPOCH for the date in the pages.

mod licences;
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
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder] = words.as_slice() else {
        anyhow::bail!("one argument is expected: the folder to write to");
    };
    let pages = empty(&folder.join("man"))?;
    let manual = man::Manual { date: date()? };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    manual.write_with_subcommands(&command, &pages)?;
    manual.write(&sysbench::command(), &pages)?;

    let completions = empty(&folder.join("completions"))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "wbench", &completions)?;
    }

    fs::write(folder.join(licences::FILE), licences::text()?)?;
    Ok(())
}

/// A folder with nothing in it.
fn empty(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}

/// The day of the source, so that two builds of it are the same bytes.
fn date() -> Result<String> {
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .context("SOURCE_DATE_EPOCH is not set: the time of the source, in seconds since 1970")?;
    let seconds = epoch
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH={epoch}: seconds since 1970 are expected"))?;
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let stamp = humantime::format_rfc3339_seconds(time).to_string();
    Ok(stamp[.."YYYY-MM-DD".len()].to_owned())
}
