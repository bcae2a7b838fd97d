//! The RPMs and the Debian packages as installed. Takes about 30 s plus the build of the binary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::common::packaged::{checkout, make, package, released};
use crate::common::{Running, WBENCH, assert_ended, temp_dir, text, tool};

/// The four packages, and the outcome of building them twice.
struct Packages {
    rpm: PathBuf,
    rpm_sysbench: PathBuf,
    deb: PathBuf,
    deb_sysbench: PathBuf,
    differ: Vec<PathBuf>,
}

// Built once for all tests, which run in parallel.
static PACKAGES: LazyLock<Packages> = LazyLock::new(|| {
    let goals = ["rpm", "deb"];
    let endings = ["x86_64.rpm", "noarch.rpm", "amd64.deb", "all.deb"];
    make(&goals);
    let first = endings.map(|ending| fs::read(package(ending)).unwrap());
    make(&goals);
    let files = endings.map(package);
    let pairs = files.iter().zip(&first);
    let differ = pairs
        .filter(|(file, first)| fs::read(file).unwrap() != **first)
        .map(|(file, _)| file.clone())
        .collect();
    let [rpm, rpm_sysbench, deb, deb_sysbench] = files;
    Packages {
        rpm,
        rpm_sysbench,
        deb,
        deb_sysbench,
        differ,
    }
});

/// Output of a command that must succeed.
#[track_caller]
fn stdout_of(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_ended(&output, 0);
    text(&output.stdout)
}

fn rpm(args: &str, packages: &[&Path]) -> Command {
    let mut rpm = tool("rpm");
    rpm.args(args.split(' ')).args(packages);
    rpm
}

/// A root that contains only the two RPMs.
fn root_of_rpms() -> TempDir {
    let root = temp_dir();
    let install = in_root(root.path(), "rpm", "--install")
        .args([&PACKAGES.rpm, &PACKAGES.rpm_sysbench])
        .output();
    assert_ended(&install.unwrap(), 0);
    root
}

/// A root that contains only the two Debian packages.
fn root_of_debs() -> TempDir {
    let root = temp_dir();
    fs::create_dir_all(root.path().join("var/lib/dpkg/updates")).unwrap();
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let install = in_root(root.path(), "dpkg", "--install")
        .args([&PACKAGES.deb, &PACKAGES.deb_sysbench])
        .output();
    assert_ended(&install.unwrap(), 0);
    root
}

/// A package manager that operates on this root.
fn in_root(root: &Path, manager: &str, args: &str) -> Command {
    let mut command = tool(manager);
    command.arg("--root").arg(root).args(args.split(' '));
    command
}

/// Runs a command line in a root with nothing but the packages' files.
fn run_in(root: &Path, line: &str) -> Output {
    let mut chroot = tool("chroot");
    chroot.arg(root).args(line.split(' '));
    Running::start(chroot).finish()
}

/// All files and links below a directory, as relative paths.
fn files_below(root: &Path) -> BTreeSet<String> {
    let mut find = tool("find");
    find.arg(root).args(["!", "-type", "d", "-printf", "%P\n"]);
    stdout_of(find).lines().map(Into::into).collect()
}

/// Both roots, each with the package format.
fn roots() -> [(&'static str, TempDir); 2] {
    [("rpm", root_of_rpms()), ("deb", root_of_debs())]
}

#[test]
fn the_rpms_install_into_an_empty_root_verify_and_leave_nothing_behind() {
    let root = root_of_rpms();
    let installed = stdout_of(in_root(root.path(), "rpm", "--query --all"));
    let mut installed: Vec<&str> = installed.lines().collect();
    installed.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        installed,
        [
            format!("wbench-{version}-1.x86_64"),
            format!("wbench-sysbench-{version}-1.noarch")
        ]
    );
    let verified = stdout_of(in_root(root.path(), "rpm", "--verify --all"));
    assert_eq!(verified, "", "rpm -V found these changed");

    stdout_of(in_root(
        root.path(),
        "rpm",
        "--erase wbench-sysbench wbench",
    ));
    assert_eq!(files_below(&root.path().join("usr")), BTreeSet::new());
}

#[test]
fn the_debian_packages_install_into_an_empty_root_and_leave_nothing_behind() {
    let root = root_of_debs();
    assert_eq!(stdout_of(in_root(root.path(), "dpkg", "--verify")), "");
    stdout_of(in_root(
        root.path(),
        "dpkg",
        "--purge wbench-sysbench wbench",
    ));
    assert!(!root.path().join("usr").exists());
}

#[test]
fn the_program_needs_no_other_package() {
    let needed = stdout_of(rpm("--query --requires --package", &[&PACKAGES.rpm]));
    for capability in needed.lines() {
        assert!(capability.starts_with("rpmlib("), "{capability}");
    }
    let mut field = tool("dpkg-deb");
    field.arg("--field").arg(&PACKAGES.deb).arg("Depends");
    assert_eq!(stdout_of(field).trim(), "");
}

#[test]
fn the_rpm_of_el_7_can_read_the_rpms() {
    // The capabilities that its rpm 4.11 provides, from `rpm --showrc`.
    let known = [
        "CompressedFileNames",
        "FileDigests",
        "PayloadFilesHavePrefix",
        "PayloadIsXz",
    ];
    for package in [&PACKAGES.rpm, &PACKAGES.rpm_sysbench] {
        let needed = stdout_of(rpm("--query --requires --package", &[package]));
        for feature in needed
            .lines()
            .filter_map(|line| line.strip_prefix("rpmlib("))
        {
            let feature = feature.split(')').next().unwrap();
            assert!(known.contains(&feature), "{feature}");
        }
    }
}

#[test]
fn the_installed_program_runs_under_either_name() {
    for (kind, root) in roots() {
        let whole = fs::read(root.path().join("usr/bin/wbench")).unwrap();
        assert!(
            whole == fs::read(released()).unwrap(),
            "{kind}: another binary"
        );
        fs::create_dir(root.path().join("data")).unwrap();
        let job = "/usr/bin/wbench fileio --mode rndrw --dir /data --files 2 --total-size 1M --events 100";
        assert_ended(&run_in(root.path(), job), 0);
        let line = "/usr/bin/sysbench --test=cpu --cpu-max-prime=100 --max-requests=10 run";
        let output = run_in(root.path(), line);
        assert_ended(&output, 0);
        assert!(
            text(&output.stdout).starts_with("sysbench 0.4.12"),
            "{kind}"
        );
    }
}

#[test]
fn the_replacement_package_conflicts_with_sysbench_and_requires_its_own_build() {
    let query = |what| {
        let args = format!("--query --{what} --package");
        stdout_of(rpm(&args, &[&PACKAGES.rpm_sysbench]))
    };
    assert_eq!(query("conflicts").trim(), "sysbench");
    let own = concat!("wbench = ", env!("CARGO_PKG_VERSION"), "-1");
    assert!(query("requires").lines().any(|line| line == own));
    let field = |name| {
        let mut field = tool("dpkg-deb");
        field.arg("--field").arg(&PACKAGES.deb_sysbench).arg(name);
        stdout_of(field).trim().to_owned()
    };
    assert_eq!(field("Conflicts"), "sysbench");
    assert_eq!(
        field("Depends"),
        concat!("wbench (= ", env!("CARGO_PKG_VERSION"), "-1)")
    );
}

#[test]
fn both_packages_contain_documentation_completions_and_data_files() {
    for (kind, root) in roots() {
        let files = files_below(&root.path().join("usr"));
        let zsh = ["site-functions", "vendor-completions"];
        let one_of_zsh =
            zsh.map(|directory| files.contains(&format!("share/zsh/{directory}/_wbench")));
        assert!(one_of_zsh.contains(&true), "{kind}: {files:?}");
        for file in [
            "bin/wbench",
            "bin/sysbench",
            "share/bash-completion/completions/wbench",
            "share/fish/vendor_completions.d/wbench.fish",
            "share/man/man1/wbench.1.gz",
            "share/man/man1/wbench-sysbench.1.gz",
            "share/man/man1/sysbench.1.gz",
            "share/doc/wbench/README.md",
            "share/doc/wbench/manual.md",
            "share/wbench/schema/wbench.compare-2.json",
            "share/wbench/schema/wbench.result-1.json",
        ] {
            assert!(files.contains(file), "{kind}: {file} is not in {files:?}");
        }
        for (source, inside) in [
            ("profiles", "profiles"),
            ("packaging/rally", "rally"),
            ("packaging/ansible", "ansible"),
            ("packaging/kubernetes", "kubernetes"),
            ("packaging/slurm", "slurm"),
        ] {
            let source = checkout().join(source);
            if !source.exists() {
                continue;
            }
            for file in files_below(&source) {
                let file = format!("share/wbench/{inside}/{file}");
                assert!(files.contains(&file), "{kind}: {file} is not in {files:?}");
            }
        }
    }
}

#[test]
fn the_packages_contain_the_license_of_every_crate_in_the_binary() {
    let root = root_of_rpms();
    let texts = root.path().join("usr/share/licenses/wbench");
    let texts = fs::read_to_string(texts.join("THIRD-PARTY-LICENSES")).unwrap();
    let tag = stdout_of(rpm(
        "--query --queryformat %{LICENSE} --package",
        &[&PACKAGES.rpm],
    ));
    let stated: BTreeSet<BTreeSet<&str>> = tag.split(" AND ").map(alternatives).collect();
    let mut tree = tool("cargo");
    tree.args("tree --locked --edges normal,no-proc-macro --prefix none --format".split(' '))
        .arg("{p}|{l}")
        .current_dir(checkout());
    let tree = stdout_of(tree);
    for line in tree.lines().filter(|line| !line.starts_with("wbench ")) {
        let (name, license) = line.trim_end_matches(" (*)").split_once('|').unwrap();
        let name = name.replacen(" v", " ", 1);
        assert!(
            texts.contains(&format!("\n{name}: ")),
            "{name} is not listed"
        );
        let license = license.replace('/', " OR ");
        assert!(
            stated.contains(&alternatives(&license)),
            "{name}: {license} is not in {tag}"
        );
    }
}

/// The alternatives of a license expression.
fn alternatives(expression: &str) -> BTreeSet<&str> {
    let inner = expression.trim_matches(['(', ')']);
    inner.split(" OR ").collect()
}

#[test]
fn rpmlint_finds_nothing() {
    let setup = Command::new("sh")
        .arg(checkout().join("tests/setup/rpmlint.sh"))
        .output();
    assert_ended(&setup.unwrap(), 0);
    let mut rpmlint = Command::new(checkout().join("target/rpmlint/bin/rpmlint"));
    rpmlint
        .arg("--config")
        .arg(checkout().join("packaging/rpm/rpmlint.toml"))
        .arg(checkout().join("packaging/rpm/wbench.spec"))
        .args([&PACKAGES.rpm, &PACKAGES.rpm_sysbench]);
    let report = stdout_of(rpmlint);
    assert!(
        report.contains("2 packages and 1 specfiles checked; 0 errors, 0 warnings"),
        "{report}"
    );
}

#[test]
fn lintian_finds_no_error_and_no_warning() {
    let mut lintian = tool("lintian");
    lintian
        .args(["--fail-on", "error,warning", "--allow-root"])
        .args([&PACKAGES.deb, &PACKAGES.deb_sysbench]);
    assert_eq!(stdout_of(lintian), "");
}

#[test]
fn the_packages_have_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let spec = fs::read_to_string(checkout().join("packaging/rpm/wbench.spec")).unwrap();
    let changelog = fs::read_to_string(checkout().join("packaging/deb/changelog")).unwrap();
    assert!(
        spec.lines()
            .any(|line| line == format!("Version:        {version}"))
    );
    assert!(spec.contains(&format!(" - {version}-1\n")), "its changelog");
    assert!(changelog.starts_with(&format!("wbench ({version}-1)")));
}

/// The commands and their subcommands, as `--help` lists them.
fn commands(above: &str) -> Vec<String> {
    let mut help = Command::new(WBENCH);
    help.args(above.split_whitespace().skip(1)).arg("--help");
    let help = stdout_of(help);
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|it| !it.starts_with(' ')));
    let names = names.filter_map(|line| line.split(' ').next());
    names
        .filter(|name| *name != "help")
        .flat_map(|name| {
            let command = format!("{above} {name}");
            let below = commands(&command);
            [command].into_iter().chain(below)
        })
        .collect()
}

#[test]
fn every_command_has_a_man_page_with_all_of_its_options() {
    LazyLock::force(&PACKAGES);
    let commands = commands("wbench");
    assert!(
        commands.contains(&"wbench fileio prepare".to_owned()),
        "{commands:?}"
    );
    for command in &commands {
        let page = page(&command.replace(' ', "-"));
        let mut help = Command::new(WBENCH);
        help.args(command.split(' ').skip(1)).arg("--help");
        let help = stdout_of(help);
        let args = help
            .split_whitespace()
            .map(|word| word.trim_end_matches(','));
        for option in args.filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.trim_end_matches(['.', ':', ';', ')']);
            assert!(
                page.contains(option),
                "{command}: {option} is not in {page}"
            );
        }
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            assert!(
                page.lines().any(|line| line == heading),
                "{heading}: {page}"
            );
        }
    }
    let whole = page("wbench");
    for command in commands
        .iter()
        .filter(|command| command.matches(' ').count() == 1)
    {
        assert!(
            whole.contains(&format!("{}(1)", command.replace(' ', "-"))),
            "{whole}"
        );
    }
    assert!(page("wbench-sysbench").contains("--cpu-max-prime=<N> [default: 10000]"));
}

/// A man page as rendered; any warning from man is a failure.
fn page(name: &str) -> String {
    let file = checkout()
        .join("target/assets/man")
        .join(format!("{name}.1"));
    let mut man = tool("man");
    man.args(["--warnings", "--local-file"])
        .arg(&file)
        .env("MANWIDTH", "400")
        .env("LC_ALL", "C");
    let output = man.output().unwrap();
    assert_ended(&output, 0);
    assert_eq!(text(&output.stderr), "", "{}", file.display());
    text(&output.stdout)
}

/// Output of a shell for this script, with the directory of completions as `$1`.
fn shell(name: &str, options: &[&str], script: &str) -> String {
    LazyLock::force(&PACKAGES);
    let completions = checkout().join("target/assets/completions");
    let mut shell = tool(name);
    shell
        .args(options)
        .arg(script.replace("$1", &completions.display().to_string()));
    stdout_of(shell)
}

#[test]
fn bash_completes_commands_and_options() {
    let completed = |line: &str| {
        let args: Vec<&str> = line.split(' ').collect();
        let (word, before) = (args[args.len() - 1], args[args.len() - 2]);
        let ask = format!(
            "source '$1/wbench.bash'; COMP_WORDS=({line}); COMP_CWORD={}; \
             _wbench wbench '{word}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            args.len() - 1,
        );
        shell("bash", &["--norc", "-c"], &ask)
    };
    assert_eq!(completed("wbench file"), "fileio\n");
    assert_eq!(completed("wbench fileio --mod"), "--mode\n");
    assert!(completed("wbench fileio --mode rnd").contains("rndrw"));
}

#[test]
fn fish_completes_commands_and_options() {
    let completed = |line: &str| {
        let ask = format!("source '$1/wbench.fish'; complete -C '{line}'");
        shell("fish", &["--no-config", "-c"], &ask)
    };
    assert!(completed("wbench file").starts_with("fileio\t"));
    assert!(completed("wbench fileio --mod").starts_with("--mode\t"));
    assert!(completed("wbench fileio --mode rnd").contains("rndrw"));
}

#[test]
fn zsh_finds_and_loads_the_completion() {
    let ask = "fpath=('$1' $fpath); autoload -Uz compinit; compinit -D -u; \
               echo $_comps[wbench]; autoload +X _wbench";
    assert_eq!(shell("zsh", &["-fc"], ask), "_wbench\n");
}

#[test]
fn packages_are_reproducible() {
    assert_eq!(PACKAGES.differ, Vec::<PathBuf>::new());
}

#[test]
fn the_binary_contains_no_path_of_the_build_machine() {
    LazyLock::force(&PACKAGES);
    let binary = fs::read(released()).unwrap();
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or_else(|_| ".cargo".into());
    let registry = format!("{cargo_home}/registry");
    for path in [
        env!("CARGO_MANIFEST_DIR"),
        &registry,
        ".rustup/",
        "/home/",
        "/root/",
    ] {
        let held = binary
            .windows(path.len())
            .any(|window| window == path.as_bytes());
        assert!(!held, "{path}");
    }
}
