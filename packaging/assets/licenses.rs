//! The licenses of the crates linked into the binary, from cargo's metadata and the crates' sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The name of the generated file.
pub const FILE: &str = "THIRD-PARTY-LICENSES";

const HEAD: &str = "\
The wbench binary is statically linked. It contains wbench itself, under the terms of
LICENSE-MIT or LICENSE-APACHE, and the following components, each under its own terms:

- the crates below; their license texts follow the list, except for Apache-2.0,
  whose text is in LICENSE-APACHE;
- Rust's standard library, MIT OR Apache-2.0, and its dependencies;
- the GNU C Library, LGPL-2.1-or-later: to relink the binary with a modified
  version, run `make build` in wbench's source;
- GCC's unwinder, GPL-3.0-or-later WITH GCC-exception-3.1.

";

/// Returns the content of the file: the list of crates, then each distinct license text with the
/// crates it applies to.
pub fn text() -> Result<String> {
    let metadata = metadata()?;
    let mut list = String::from(HEAD);
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in linked(&metadata)? {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("see the license text");
        writeln!(list, "{name}: {}", license.replace('/', " OR "))?;
        for text in license_texts(package)? {
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

/// The fields of `cargo metadata` that are used here.
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
    /// `None` for a normal dependency, else "dev" or "build".
    kind: Option<String>,
}

fn metadata() -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = std::env::consts::ARCH.to_owned() + "-unknown-linux-gnu";
    let output = Command::new(cargo)
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
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cannot parse the output of cargo metadata")
}

/// Returns the packages linked into the binary: the transitive normal dependencies of wbench, except
/// procedural macros, which run in the compiler.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let packages: BTreeMap<&str, &Package> = by(&metadata.packages, |package| &package.id);
    let nodes: BTreeMap<&str, &Node> = by(&metadata.resolve.nodes, |node| &node.id);
    let mut seen = BTreeSet::new();
    let mut open = vec![metadata.resolve.root.as_str()];
    while let Some(id) = open.pop() {
        let package = packages
            .get(id)
            .with_context(|| format!("cargo metadata lists no package {id}"))?;
        let is_proc_macro = package
            .targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"));
        if is_proc_macro || !seen.insert(id) {
            continue;
        }
        let node = nodes
            .get(id)
            .with_context(|| format!("cargo metadata lists no dependencies of {id}"))?;
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

/// Returns the license texts in the root directory of a package, found by file name.
fn license_texts(package: &Package) -> Result<Vec<String>> {
    let dir = package.manifest_path.parent().unwrap_or(Path::new("."));
    let mut texts = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let file = entry?.path();
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        let prefixes = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ];
        if file.is_file() && prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            texts.push(text.trim().replace("\r\n", "\n"));
        }
    }
    texts.retain(|text| !is_apache_2_0(text));
    Ok(texts)
}

/// Recognizes the text of Apache-2.0, which packages already contain as LICENSE-APACHE.
fn is_apache_2_0(text: &str) -> bool {
    text.contains("Version 2.0, January 2004") && text.contains("TERMS AND CONDITIONS FOR USE")
}
