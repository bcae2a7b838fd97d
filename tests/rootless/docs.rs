//! The commands in README and manual parse, and what they show agrees with the program.

use std::path::Path;
use std::process::Command;

use clap::{CommandFactory, Parser};
use wbench::cli::native::Cli;
use wbench::cli::{Dialect, sysbench};
use wbench::plan::Test;
use wbench::warning::{self, Code};

const DOCS: [&str; 6] = [
    "README.md",
    "docs/manual.md",
    "packaging/ansible/README.md",
    "packaging/kubernetes/README.md",
    "packaging/rally/README.md",
    "packaging/slurm/README.md",
];

/// The commands in code blocks, without their context.
fn commands(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect(file);
    let text = text.replace("\\\n", " ");
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    lines
        .map(|line| line.trim_start_matches("$ "))
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
        .filter_map(|line| {
            let cargo = line.strip_prefix("cargo run --release -- ");
            cargo.map_or_else(
                || line.starts_with("wbench ").then(|| line.to_owned()),
                |args| Some(format!("wbench {args}")),
            )
        })
        .collect()
}

#[test]
fn every_command_shown_parses() {
    for file in DOCS {
        let commands = commands(file);
        for command in &commands {
            let args = shlex::split(command).expect("quotes that close");
            let args: Vec<_> = args.into_iter().map(Into::into).collect();
            match Dialect::of(&args, None).expect("a dialect") {
                Dialect::Native => {
                    let cli =
                        Cli::try_parse_from(&args).unwrap_or_else(|e| panic!("{command}: {e}"));
                    cli.into_action()
                        .unwrap_or_else(|e| panic!("{command}: {e}"));
                }
                Dialect::Sysbench0_4 => {
                    let args: Vec<&str> = command.split_whitespace().skip(1).collect();
                    sysbench::parse(&args).unwrap_or_else(|e| panic!("{command}: {e}"));
                }
                Dialect::Sysbench1_0 => panic!("{command}: a command of sysbench"),
            }
        }
    }
    assert!(commands("README.md").len() >= 7);
}

#[test]
fn the_report_in_the_readme_has_the_lines_of_a_real_report() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_wbench"))
        .args("fileio --mode rndrd --files 4 --total-size 1M --events 200".split(' '))
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(run.status.success());
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let shown = readme
        .split("$ wbench fileio --mode rndrd\n")
        .nth(1)
        .unwrap();
    let shown = shown.split("```").next().unwrap();
    assert_eq!(names(&String::from_utf8_lossy(&run.stdout)), names(shown));
}

#[test]
fn the_comparison_in_the_readme_is_the_output_of_its_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let command = "wbench compare quiet/ busy/";
    let run = Command::new(env!("CARGO_BIN_EXE_wbench"))
        .args(command.split(' ').skip(1))
        .current_dir(root.join("docs/examples"))
        .output()
        .unwrap();
    assert!(run.status.success());
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let shown = readme.split(&format!("$ {command}\n")).nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), shown);
}

/// The labels on the left of a report.
fn names(report: &str) -> Vec<String> {
    let lines = report
        .lines()
        .skip(1)
        .filter(|line| !line.contains("WARNING"));
    lines
        .filter_map(|line| line.get(..14).map(|name| name.trim().to_owned()))
        .collect()
}

/// A row of an option table of the manual.
#[derive(Debug)]
struct OptionRow {
    /// Without dashes.
    name: String,
    short: Option<char>,
    value_name: Option<String>,
    default: String,
    effect: String,
}

/// The table rows of a section of the manual, up to the next heading of its level, whose first cell
/// starts with this text.
fn table_rows(manual: &str, heading: &str, begin: &str) -> Vec<Vec<String>> {
    let section = manual
        .split("\n## ")
        .find_map(|section| section.strip_prefix(heading)?.strip_prefix('\n'))
        .unwrap_or_else(|| panic!("the manual has no section '{heading}'"));
    let cells = |line: &str| -> Vec<String> {
        let line = line.replace("\\|", "\u{1}");
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.map(|cell| cell.replace('\u{1}', "|")).collect()
    };
    section
        .lines()
        .filter(|line| line.starts_with(&format!("| {begin}")))
        .map(cells)
        .collect()
}

/// The option rows of a section of the manual.
fn option_rows(manual: &str, heading: &str) -> Vec<OptionRow> {
    table_rows(manual, heading, "`--")
        .into_iter()
        .map(|cells| {
            let (long, short) = match cells[0].split_once("`, `-") {
                Some((long, short)) => (long, short.chars().next()),
                None => (cells[0].as_str(), None),
            };
            let mut option = long.trim_matches('`').splitn(2, ' ');
            OptionRow {
                name: option.next().unwrap().trim_start_matches('-').to_owned(),
                short,
                value_name: option.next().map(str::to_owned),
                default: cells[1].replace('`', ""),
                effect: cells[2].clone(),
            }
        })
        .collect()
}

/// The commands that have options, and the manual sections that describe them.
fn documented_commands() -> Vec<(clap::Command, Vec<String>)> {
    let cli = Cli::command();
    let mut commands = Vec::new();
    for command in cli.get_subcommands().filter(|it| it.get_name() != "help") {
        let mut sections = vec![format!("wbench {}", command.get_name())];
        if Test::NAMES.contains(&command.get_name()) {
            sections.push("Options of every test".to_owned());
        }
        for step in command
            .get_subcommands()
            .filter(|it| it.get_name() != "help")
        {
            commands.push((step.clone(), sections.clone()));
        }
        commands.push((command.clone(), sections));
    }
    commands
}

#[test]
fn the_option_tables_of_the_manual_agree_with_the_command_line() {
    let manual = manual();
    let mut faults = Vec::new();
    let mut checked = 0;
    for (command, sections) in documented_commands() {
        let rows: Vec<OptionRow> = sections
            .iter()
            .flat_map(|section| option_rows(&manual, section))
            .collect();
        for arg in command.get_arguments() {
            let Some(name) = arg.get_long().filter(|name| *name != "help") else {
                continue;
            };
            if name == "mode" && ["prepare", "cleanup"].contains(&command.get_name()) {
                // These steps accept and ignore it.
                continue;
            }
            let place = format!("{} --{name}", command.get_name());
            let Some(row) = rows.iter().find(|row| row.name == name) else {
                faults.push(format!("{place}: no row in {sections:?}"));
                continue;
            };
            checked += 1;
            faults.extend(disagreements(arg, row).map(|fault| format!("{place}: {fault}")));
        }
    }
    assert!(checked > 60, "only {checked} options were compared");
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The differences between a row and the definition of its option.
fn disagreements(arg: &clap::Arg, row: &OptionRow) -> impl Iterator<Item = String> {
    let mut faults = Vec::new();
    let takes_value = arg.get_action().takes_values();
    let value_name = arg
        .get_value_names()
        .filter(|_| takes_value)
        .map(|names| names.join(" "));
    let documented = row.value_name.as_deref();
    let documented = documented.map(|name| name.trim_matches(|c| c == '[' || c == ']').to_owned());
    if documented != value_name {
        faults.push(format!("value {documented:?}, defined as {value_name:?}"));
    }
    if arg.get_short() != row.short {
        let (short, defined) = (row.short, arg.get_short());
        faults.push(format!("short form {short:?}, defined as {defined:?}"));
    }
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let in_help = help.split_once("[default: ").map(|(_, rest)| {
        let default = rest.split_once(']').map_or(rest, |(default, _)| default);
        default.replace('\n', " ")
    });
    let shown = !arg.is_hide_default_value_set();
    let defined: Vec<_> = arg.get_default_values().iter().collect();
    let expected = match (takes_value, defined.first(), in_help) {
        (false, ..) => Some("off".to_owned()),
        (_, Some(value), _) if shown => Some(value.to_string_lossy().into_owned()),
        (_, _, Some(text)) => Some(text),
        (_, _, None) if arg.is_required_set() => Some("required".to_owned()),
        (..) => None,
    };
    let expected = expected.unwrap_or_else(|| "none".to_owned());
    if row.default != expected {
        faults.push(format!(
            "default '{}', defined as '{expected}'",
            row.default
        ));
    }
    if takes_value {
        for value in arg.get_possible_values() {
            if !row.effect.contains(&format!("`{}`", value.get_name()))
                && !documented
                    .iter()
                    .any(|names| names.contains(value.get_name()))
            {
                faults.push(format!("value `{}` is not described", value.get_name()));
            }
        }
    }
    faults.into_iter()
}

#[test]
fn the_manual_describes_no_option_that_does_not_exist() {
    let manual = manual();
    let commands = documented_commands();
    let mut sections: Vec<&String> = commands.iter().flat_map(|(_, sections)| sections).collect();
    sections.sort();
    sections.dedup();
    for section in sections {
        for row in option_rows(&manual, section) {
            let exists = commands.iter().any(|(command, of)| {
                of.contains(section)
                    && command
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some(&row.name))
            });
            assert!(exists, "{section}: --{} does not exist", row.name);
        }
    }
}

#[test]
fn the_manual_describes_every_warning_and_no_other() {
    let rows = table_rows(&manual(), "Warnings", "`");
    let documented: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, codes, "rows have the order of the codes");
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn the_manual_states_the_threshold_of_each_warning() {
    let percent = |share: f64| format!("{} %", share * 100.0);
    let thresholds = [
        (Code::Steal, percent(warning::STEAL_SHARE)),
        (Code::RunqueueWait, percent(warning::RUNQUEUE_WAIT_SHARE)),
        (Code::Throttled, percent(warning::THROTTLED_SHARE)),
        (Code::Blocked, percent(warning::BLOCKED_SHARE)),
        (Code::DeviceExcess, percent(warning::DEVICE_EXCESS_SHARE)),
        (
            Code::DeviceExcess,
            format!("{} MiB", warning::DEVICE_EXCESS_BYTES >> 20),
        ),
        (Code::IoLimit, percent(warning::IO_LIMIT_SHARE)),
        (Code::CpuClock, percent(warning::CPU_CLOCK_CHANGE)),
        (Code::BlockPages, percent(warning::HUGE_SHARE)),
        (Code::ClockDrift, format!("{} ppm", warning::DRIFT_PPM)),
        (Code::PageCache, percent(warning::RESIDENT_SHARE)),
        (Code::UnflushedWrites, percent(warning::UNFLUSHED_SHARE)),
        (Code::HarnessShare, percent(warning::HARNESS_SHARE)),
        (Code::RateNotHeld, percent(warning::RATE_SHARE)),
        (Code::LateStart, format!("{} ms", warning::LATE_S * 1e3)),
    ];
    let rows = table_rows(&manual(), "Warnings", "`");
    for (code, threshold) in thresholds {
        let name = format!("`{}`", code.as_str());
        let row = rows.iter().find(|row| row[0] == name).expect("a row");
        let stated = row[2].split(&threshold).collect::<Vec<_>>();
        let digit = stated[0].ends_with(|c: char| c.is_ascii_digit() || c == '.');
        assert!(
            stated.len() == 2 && !digit,
            "{name}: {threshold} != {}",
            row[2]
        );
    }
}

fn manual() -> String {
    document("docs/manual.md")
}

fn document(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The words of a document that follow this text, without the punctuation around them.
fn words_after(text: &str, before: &str) -> Vec<String> {
    let inner = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    text.split(before)
        .skip(1)
        .map(|rest| rest.split(|c| !inner(c)).next().unwrap_or_default())
        .map(|word| word.trim_end_matches('.').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn the_documents_name_existing_make_targets_and_test_programs_and_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = document("Makefile");
    let targets: Vec<&str> = makefile
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY: "))
        .expect("a list of targets")
        .split(' ')
        .collect();
    let files = [
        "README.md",
        "docs/manual.md",
        "CONTRIBUTING.md",
        "RELEASE.md",
    ];
    let mut checked = 0;
    for file in files {
        let text = document(file);
        let in_code = ["`make ", "\nmake "];
        for target in in_code.iter().flat_map(|begin| words_after(&text, begin)) {
            assert!(targets.contains(&target.as_str()), "{file}: make {target}");
            checked += 1;
        }
        for program in words_after(&text.replace('\n', " "), "--test ") {
            let main = format!("tests/{program}/main.rs");
            // The manual's `--test TEST` is an option of `wbench compare`.
            let is_option = file == "docs/manual.md";
            assert!(is_option || root.join(&main).exists(), "{file}: {main}");
            checked += 1;
        }
        for path in ["tests/", "src/", "packaging/", "benches/", ".ci/"] {
            for word in words_after(&text, &format!("`{path}")) {
                let path = format!("{path}{word}");
                assert!(root.join(&path).exists(), "{file}: {path}");
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} names were found");
}

#[test]
fn the_declared_rust_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    for (file, statement) in [
        ("CONTRIBUTING.md", format!("Rust {version} or newer")),
        ("packaging/rpm/wbench.spec", format!("cargo >= {version}\n")),
        ("packaging/rpm/wbench.spec", format!("rust >= {version}\n")),
    ] {
        let text = document(file);
        assert!(text.contains(&statement), "{file}: no '{statement}'");
    }
}
