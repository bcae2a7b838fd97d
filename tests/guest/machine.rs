//! The guest under test, and what tests add to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::common::packaged;
use crate::common::{assert_ended, parsed, text, tool};

/// The source directory.
pub const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// The guest that `make guest` built, once for all tests here.
pub static GUEST: LazyLock<PathBuf> = LazyLock::new(|| {
    packaged::make(&["guest"]);
    Path::new(PROJECT).join("target/guest")
});

/// The launcher with these options and these arguments for the program.
pub fn launcher(options: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(Path::new(PROJECT).join("packaging/guest/run"));
    // Emulation is what is tested, and the same everywhere.
    command
        .env("WBENCH_GUEST", &*GUEST)
        .args(["--guest-accel", "tcg"])
        // Longer than the tests' own limit: a guest is slow on a busy machine.
        .args(["--guest-limit", "120"])
        .stdin(Stdio::null())
        .args(options)
        .arg("--")
        .args(args);
    command
}

/// Runs a guest to completion.
pub fn boot(options: &[&str], args: &[&str]) -> Output {
    launcher(options, args).output().expect("the launcher runs")
}

/// Output of a script in the guest's shell, which must succeed.
#[track_caller]
pub fn script(options: &[&str], script: &str) -> String {
    let options = [options, &["--guest-program", "/bin/sh"]].concat();
    let output = boot(&options, &["-e", "-c", script]);
    assert_ended(&output, 0);
    text(&output.stdout)
}

/// The JSON document that wbench prints in a guest.
#[track_caller]
pub fn document(options: &[&str], args: &[&str]) -> Value {
    let output = boot(options, args);
    assert_ended(&output, 0);
    parsed(&output.stdout)
}

/// The JSON documents that a script prints, in order.
#[track_caller]
pub fn documents(options: &[&str], script: &str) -> Vec<Value> {
    let printed = self::script(options, script);
    serde_json::Deserializer::from_str(&printed)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Adds a program of this machine to a root, with its libraries.
pub fn add_program(root: &Path, name: &str) {
    let program = PathBuf::from(tool(name).get_program())
        .canonicalize()
        .unwrap();
    let listed = tool("ldd").arg(&program).output().unwrap();
    let listed = text(&listed.stdout);
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from);
    for file in libraries {
        add_file(root, &file.canonicalize().unwrap(), &file);
    }
    add_file(root, &program, &Path::new("/usr/bin").join(name));
}

/// Adds kernel modules to a root, in /modules.
pub fn add_modules(root: &Path, names: &[&str]) {
    // The guest uses the most recently used kernel.
    let found = tool("find")
        .arg(GUEST.join("kernels"))
        .args(["-name", "*.ko"])
        .output()
        .unwrap();
    let found = text(&found.stdout);
    for name in names {
        let file = found
            .lines()
            .filter(|line| line.ends_with(&format!("/{name}.ko")))
            .max()
            .unwrap_or_else(|| panic!("the kernel has no module {name}"));
        add_file(
            root,
            Path::new(file),
            &Path::new("/modules").join(format!("{name}.ko")),
        );
    }
}

/// Copies a file to a path in a root.
pub fn add_file(root: &Path, file: &Path, place: &Path) {
    let target = root.join(place.strip_prefix("/").expect("an absolute place"));
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(file, &target).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
}
