//! The licences of the crates that are linked into the binary, from cargo and their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The name of the file that holds them.
pub const FILE: &str = "THIRD-PARTY-LICENSES";

const HEAD: &str = "\
The program wbench is linked statically. It holds wbench itself, under the licence that
LICENSE-MIT or LICENSE-APACHE states, and what is listed here with the terms of each:

- the crates below, whose licence texts follow the list, but for that of Apache-2.0,
  which LICENSE-APACHE has;
- Rust's standard library, MIT OR Apache-2.0, and what it is made of;
- the GNU C Library, LGPL-2.1-or-later: wbench's source and `make build` make the
  program anew with another version of it;
- the unwinder of GCC, GPL-3.0-or-later WITH GCC-exception-3.1.

";

/// The whole file: the list of crates, then each text once with the crates that have it.
pub fn text() -> Result<String> {
    let metadata = metadata()?;
    let mut list = String::from(HEAD);
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in linked(&metadata)? {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        writeln!(list, "{name}: {}", licence.replace('/', " OR "))?;
        for text in licence_texts(package)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut by_crates: Vec<(Vec<String>, String)> = texts
        .into_iter()
        .map(|(text, crates)| (crates.into_iter().collect(), text))
        .collect();
    by_crates.sort();
    for (crates, text) in by_crates {
        let rule = "-".repeat(78);
        write!(list, "\n{rule}\n{}\n{rule}\n\n{text}\n", crates.join(", "))?;
    }
    Ok(list)
}

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// None is a dependency of the program, not of its tests or of a build script.
    kind: Option<String>,
}

fn metadata() -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = std::env::consts::ARCH.to_owned() + "-unknown-linux-gnu";
    let said = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
        ])
        .arg(target)
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .context("cargo metadata")?;
    ensure!(
        said.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    serde_json::from_slice(&said.stdout).context("cargo metadata")
}

/// The packages whose code is in the binary, without wbench: what the program depends on, without
/// procedural macros, which run in the compiler.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let packages: BTreeMap<&str, &Package> = by(&metadata.packages, |package| &package.id);
    let nodes: BTreeMap<&str, &Node> = by(&metadata.resolve.nodes, |node| &node.id);
    let mut seen = BTreeSet::new();
    let mut open = vec![metadata.resolve.root.as_str()];
    while let Some(id) = open.pop() {
        let package = packages.get(id).with_context(|| id.to_owned())?;
        let in_the_compiler = package
            .targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"));
        if in_the_compiler || !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).with_context(|| id.to_owned())?;
        let linked = node
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        open.extend(linked.map(|dependency| dependency.pkg.as_str()));
    }
    seen.remove(metadata.resolve.root.as_str());
    let mut linked: Vec<&Package> = seen.iter().map(|id| packages[id]).collect();
    linked.sort_by_key(|package| (&package.name, &package.version));
    Ok(linked)
}

fn by<T>(items: &[T], key: impl Fn(&T) -> &String) -> BTreeMap<&str, &T> {
    items
        .iter()
        .map(|item| (key(item).as_str(), item))
        .collect()
}

/// The texts in a package's folder that are called as licences are.
fn licence_texts(package: &Package) -> Result<Vec<String>> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let file = entry?.path();
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        let begins = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ];
        if file.is_file() && begins.iter().any(|begin| name.starts_with(begin)) {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            texts.push(text.trim().replace("\r\n", "\n"));
        }
    }
    texts.retain(|text| !is_apache_2_0(text));
    Ok(texts)
}

/// The text stands in LICENSE-APACHE once.
fn is_apache_2_0(text: &str) -> bool {
    text.contains("Version 2.0, January 2004") && text.contains("TERMS AND CONDITIONS FOR USE")
}
