//! What container runtimes leave in files and in the environment.

use super::is_whole_root;
use crate::host::mounts::Mount;
use crate::host::root::Root;

/// The runtime by its marks in files and in the environment, the most telling first.
pub(super) fn runtime(
    root: &Root,
    mounts: &[Mount],
    env: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    if env("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("kubernetes".into());
    }
    // Written by the runtime or by systemd as PID 1 (https://systemd.io/CONTAINER_INTERFACE).
    let manager = ["run/host/container-manager", "run/systemd/container"]
        .into_iter()
        .find_map(|path| root.text(path));
    manager
        .and_then(name)
        .or_else(|| of_image(root, mounts))
        .or_else(|| of_init(root).and_then(name))
        .or_else(|| env("container").and_then(name))
}

/// The runtime that left a mark in the image. Docker and podman keep no image as a whole file
/// system: there, the mark is older than the namespace around this process.
fn of_image(root: &Root, mounts: &[Mount]) -> Option<String> {
    if mounts.iter().any(is_whole_root) {
        return None;
    }
    let is_docker = || root.path(".dockerenv").exists();
    of_containerenv(root).or_else(|| is_docker().then(|| "docker".into()))
}

/// The engine that podman and buildah name in /run/.containerenv; podman where it is left
/// blank.
pub(super) fn of_containerenv(root: &Root) -> Option<String> {
    if !root.path("run/.containerenv").exists() {
        return None;
    }
    let Some(text) = root.text("run/.containerenv") else {
        return Some("podman".into());
    };
    let engine = text.lines().find_map(|line| line.strip_prefix("engine="))?;
    let engine = engine.trim_matches('"').split('-').next()?;
    name(engine.into())
}

/// The word that the runtime left in the environment of PID 1.
fn of_init(root: &Root) -> Option<String> {
    let environ = root.text("proc/1/environ")?;
    let word = environ
        .split('\0')
        .find_map(|variable| variable.strip_prefix("container="))?;
    Some(word.to_owned())
}

/// A word that can be a runtime's name.
fn name(word: String) -> Option<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!word.is_empty() && word.chars().all(is_part)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn found(fake: &FakeRoot) -> Option<String> {
        runtime(fake.root(), &[], |_| None)
    }

    #[test]
    fn podman_and_buildah_name_themselves_in_their_file() {
        let engine = |text: &str| found(&FakeRoot::new().file("run/.containerenv", text));
        assert_eq!(engine("").unwrap(), "podman");
        assert_eq!(
            engine("engine=\"podman-4.9.4\"\nname=\"x\"\nrootless=1").unwrap(),
            "podman"
        );
        assert_eq!(engine("engine=\"buildah-1.33.7\"").unwrap(), "buildah");
        assert_eq!(engine("unlike it"), None);
    }

    #[test]
    fn systemds_word_is_taken_from_whoever_wrote_it() {
        let nspawn = FakeRoot::new().file("run/host/container-manager", "systemd-nspawn");
        assert_eq!(found(&nspawn).unwrap(), "systemd-nspawn");
        let lxc = FakeRoot::new().file("run/systemd/container", "lxc");
        assert_eq!(found(&lxc).unwrap(), "lxc");
        let init = FakeRoot::new().file("proc/1/environ", "PATH=/bin\0container=lxc\0TERM=linux");
        assert_eq!(found(&init).unwrap(), "lxc");
    }

    #[test]
    fn kubernetes_is_known_by_the_environment_it_gives() {
        let docker = FakeRoot::new().file(".dockerenv", "");
        let env = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.96.0.1".into());
        assert_eq!(runtime(docker.root(), &[], env).unwrap(), "kubernetes");
    }

    #[test]
    fn a_word_of_the_image_counts_after_all_other_marks() {
        let env = |name: &str| (name == "container").then(|| "oci".into());
        assert_eq!(runtime(FakeRoot::new().root(), &[], env).unwrap(), "oci");
        let docker = FakeRoot::new().file(".dockerenv", "");
        assert_eq!(runtime(docker.root(), &[], env).unwrap(), "docker");
    }

    #[test]
    fn what_can_not_be_a_name_is_none() {
        for word in ["Two Words", "/path", "x=y"] {
            let fake = FakeRoot::new().file("run/systemd/container", word);
            assert_eq!(found(&fake), None, "{word}");
        }
        assert_eq!(found(&FakeRoot::new()), None);
    }
}
