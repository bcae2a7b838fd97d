//! The packages of this checkout, built by the documented commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{assert_ended, names_in, text};

/// The checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `make` in the checkout as from a shell: without the environment variables that cargo sets
/// for tests.
pub fn make(goals: &[&str]) {
    let mut make = Command::new("make");
    make.arg("--silent").args(goals).current_dir(checkout());
    let kept = ["CARGO_HOME", "CARGO_TARGET_DIR"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && !kept.contains(&&*text) {
            make.env_remove(&name);
        }
    }
    assert_ended(&make.output().expect("make"), 0);
}

/// The built package whose name has this suffix.
pub fn package(ending: &str) -> PathBuf {
    let directory = checkout().join("target/packages");
    let names = names_in(&directory);
    let mut fitting = names.iter().filter(|name| name.ends_with(ending));
    match (fitting.next(), fitting.next()) {
        (Some(name), None) => directory.join(name),
        _ => panic!("one package that ends with {ending} is expected: {names:?}"),
    }
}

/// The binary that the packages contain.
pub fn released() -> PathBuf {
    let target = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output();
    let target = text(&target.expect("rustc").stdout);
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    checkout()
        .join(directory)
        .join(target.trim())
        .join("release/wbench")
}
