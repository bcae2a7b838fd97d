//! A man page for each command, from what its `--help` is made of.

use std::fs;
use std::path::Path;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The pages of one version of the program.
pub struct Manual {
    /// The day that stands in their footers.
    pub date: String,
}

impl Manual {
    /// The page of a command and those of all commands below it.
    pub fn write_with_subcommands(&self, command: &Command, folder: &Path) -> Result<()> {
        self.write(command, folder)?;
        for subcommand in shown(command) {
            self.write_with_subcommands(subcommand, folder)?;
        }
        Ok(())
    }

    /// The page of a command.
    pub fn write(&self, command: &Command, folder: &Path) -> Result<()> {
        let command = with_short_synopsis(command);
        let name = display_name(&command).to_owned();
        let man = Man::new(command.clone())
            .title(&name)
            .date(&self.date)
            .source(concat!("wbench ", env!("CARGO_PKG_VERSION")))
            .manual("User Commands");
        let mut page = Vec::new();
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        if command.get_arguments().next().is_some() {
            man.render_options_section(&mut page)?;
        }
        if command.has_subcommands() {
            man.render_subcommands_section(&mut page)?;
        }
        let mut rest = Roff::new();
        after_help(&command, &mut rest);
        see_also(&command, &mut rest);
        rest.to_writer(&mut page)?;
        fs::write(folder.join(man.get_filename()), page)?;
        Ok(())
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn display_name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// The usage of `--help` instead of a list of every option, which stand below it anyhow.
fn with_short_synopsis(command: &Command) -> Command {
    let mut command = command.clone().subcommand_help_heading("COMMANDS");
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command.override_usage(usage)
}

/// The paragraphs behind the options, each under the heading that its first words are.
fn after_help(command: &Command, roff: &mut Roff) {
    let text = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let mut last = "";
    for paragraph in text.split("\n\n") {
        let (heading, body) = match paragraph.split_once(':') {
            Some(("Example" | "Examples", body)) => ("EXAMPLES", body),
            Some(("Exit status", body)) => ("EXIT STATUS", body),
            _ => ("NOTES", paragraph),
        };
        if body.trim().is_empty() {
            continue;
        }
        if heading == last {
            roff.control("PP", []);
        } else {
            roff.control("SH", [heading]);
        }
        last = heading;
        paragraph_lines(body, roff);
    }
}

/// Lines that are indented stand as they are, the others are filled.
fn paragraph_lines(body: &str, roff: &mut Roff) {
    let mut verbatim = false;
    for line in body.trim_matches('\n').lines() {
        if line.starts_with("  ") != verbatim {
            verbatim = !verbatim;
            let control = if verbatim { "nf" } else { "fi" };
            roff.control(control, []);
        }
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    if verbatim {
        roff.control("fi", []);
    }
}

/// The page above this one and those below it.
fn see_also(command: &Command, roff: &mut Roff) {
    let name = display_name(command);
    let above = name.rsplit_once('-').map(|(above, _)| above.to_owned());
    let below = shown(command).map(|sub| display_name(sub).to_owned());
    let sysbench = (name == "wbench").then(|| crate::sysbench::NAME.to_owned());
    let mut pages: Vec<String> = above.into_iter().chain(below).chain(sysbench).collect();
    pages.sort();
    roff.control("SH", ["SEE ALSO"]);
    for (i, page) in pages.iter().enumerate() {
        let comma = if i + 1 < pages.len() { ", " } else { "" };
        roff.text([bold(page.as_str()), roman(format!("(1){comma}"))]);
    }
    roff.control("PP", []);
    roff.text([roman(
        "The manual, with every option and field of the result, is in the package's folder of documentation.",
    )]);
}
