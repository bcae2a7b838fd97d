//! A man page per command, generated from the definition of its `--help`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The man pages of one version of the program.
pub struct Manual {
    /// The date in the footer of each page.
    pub date: String,
}

impl Manual {
    /// Writes the pages of a command and of all its subcommands.
    pub fn write_with_subcommands(&self, command: &Command, dir: &Path) -> Result<()> {
        self.write(command, dir)?;
        for subcommand in visible_subcommands(command) {
            self.write_with_subcommands(subcommand, dir)?;
        }
        Ok(())
    }

    /// Writes the page of a command.
    pub fn write(&self, command: &Command, dir: &Path) -> Result<()> {
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
        fs::write(dir.join(man.get_filename()), page)?;
        Ok(())
    }
}

fn visible_subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn display_name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// Replaces the synopsis, a list of every option, by the usage line of `--help`: the page describes
/// the options below it.
fn with_short_synopsis(command: &Command) -> Command {
    let mut command = command.clone().subcommand_help_heading("COMMANDS");
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command.override_usage(usage)
}

/// Renders the paragraphs after the options, each under the heading that its first words select.
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

/// Renders indented lines verbatim and fills the others.
fn paragraph_lines(body: &str, roff: &mut Roff) {
    let mut verbatim = false;
    for line in body.trim_matches('\n').lines() {
        if line.starts_with("  ") != verbatim {
            verbatim = !verbatim;
            let control = if verbatim { "nf" } else { "fi" };
            roff.control(control, []);
        }
        let text = line.strip_prefix("  ").unwrap_or(line.trim_start());
        roff.text([roman(text)]);
    }
    if verbatim {
        roff.control("fi", []);
    }
}

/// Renders references to the pages of the parent command and of the subcommands.
fn see_also(command: &Command, roff: &mut Roff) {
    let name = display_name(command);
    let parent = name.rsplit_once('-').map(|(parent, _)| parent.to_owned());
    let children = visible_subcommands(command).map(|sub| display_name(sub).to_owned());
    let sysbench = (name == "wbench").then(|| crate::sysbench::NAME.to_owned());
    let mut pages: Vec<String> = parent.into_iter().chain(children).chain(sysbench).collect();
    pages.sort();
    roff.control("SH", ["SEE ALSO"]);
    for (i, page) in pages.iter().enumerate() {
        let comma = if i + 1 < pages.len() { ", " } else { "" };
        roff.text([bold(page.as_str()), roman(format!("(1){comma}"))]);
    }
    roff.control("PP", []);
    roff.text([roman(
        "The full manual, manual.md, is in the documentation directory of the package.",
    )]);
}
