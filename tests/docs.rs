//! What README and manual show is true: their commands are understood, and the short ones run.

use std::path::Path;
use std::process::Command;

use clap::Parser;
use wbench::cli::native::Cli;
use wbench::cli::{Dialect, sysbench};

const DOCS: [&str; 6] = [
    "README.md",
    "docs/manual.md",
    "packaging/ansible/README.md",
    "packaging/kubernetes/README.md",
    "packaging/rally/README.md",
    "packaging/slurm/README.md",
];

/// The commands that stand in blocks of code, without what surrounds them.
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
                |words| Some(format!("wbench {words}")),
            )
        })
        .collect()
}

#[test]
fn every_command_shown_is_understood() {
    for file in DOCS {
        let commands = commands(file);
        for command in &commands {
            let words = shlex::split(command).expect("quotes that close");
            let words: Vec<_> = words.into_iter().map(Into::into).collect();
            match Dialect::of(&words) {
                Dialect::Native => {
                    let cli =
                        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
                    cli.into_command()
                        .unwrap_or_else(|e| panic!("{command}: {e}"));
                }
                Dialect::Sysbench => {
                    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
                    sysbench::parse(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
                }
            }
        }
    }
    assert!(commands("README.md").len() >= 7);
}

#[test]
fn the_report_in_the_readme_has_the_lines_that_a_run_prints() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_wbench"))
        .args("fileio --mode rndrd --files 4 --total-size 1M --events 200".split(' '))
        .current_dir(&folder)
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
fn the_comparison_in_the_readme_is_what_its_command_prints() {
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

/// The words on the left of a report.
fn names(report: &str) -> Vec<String> {
    let lines = report
        .lines()
        .skip(1)
        .filter(|line| !line.contains("WARNING"));
    lines
        .filter_map(|line| line.get(..14).map(|name| name.trim().to_owned()))
        .collect()
}

#[test]
fn every_option_of_the_command_line_stands_in_the_manual() {
    let manual =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual.md"))
            .unwrap();
    for command in [
        "cpu", "memory", "fileio", "suite", "sweep", "env", "compare", "show",
    ] {
        let help = Command::new(env!("CARGO_BIN_EXE_wbench"))
            .args([command, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let options = help
            .lines()
            .filter(|line| line.trim_start().starts_with("--"));
        let mut seen = 0;
        for option in options.filter_map(|line| line.split_whitespace().next()) {
            let known =
                manual.contains(&format!("`{option}")) || manual.contains(&format!("| `{option} "));
            assert!(known, "{command}: {option} is not in the manual");
            seen += 1;
        }
        assert!(seen > 0, "{command} --help showed no option: {help}");
    }
}
