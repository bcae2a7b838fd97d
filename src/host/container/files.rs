//! Traces that container runtimes leave in files and in the environment.

use super::is_whole_root;
use crate::host::mounts::Mount;
use crate::host::root::SystemRoot;

/// Returns the runtime by its traces in files and in the environment, the most specific first.
pub(super) fn runtime(
    root: &SystemRoot,
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

/// Returns the runtime that left a trace in the image. Docker and podman never mount an image as a
/// whole file system: the trace is then older than the namespace of this process.
fn of_image(root: &SystemRoot, mounts: &[Mount]) -> Option<String> {
    if mounts.iter().any(is_whole_root) {
        return None;
    }
    let is_docker = || root.path(".dockerenv").exists();
    of_containerenv(root).or_else(|| is_docker().then(|| "docker".into()))
}

/// Returns the engine that podman or buildah names in /run/.containerenv; podman if it is blank.
pub(super) fn of_containerenv(root: &SystemRoot) -> Option<String> {
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

/// Returns the name that the runtime left in the environment of PID 1.
fn of_init(root: &SystemRoot) -> Option<String> {
    let environ = root.text("proc/1/environ")?;
    let text = environ
        .split('\0')
        .find_map(|variable| variable.strip_prefix("container="))?;
    Some(text.to_owned())
}

/// Returns the text if it is a valid runtime name.
fn name(text: String) -> Option<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!text.is_empty() && text.chars().all(is_part)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn found(fake: &FakeRoot) -> Option<String> {
        runtime(fake.root(), &[], |_| None)
    }

    #[test]
    fn podman_and_buildah_are_detected_by_containerenv() {
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
    fn the_container_interface_of_systemd_is_read_from_files_and_from_pid_1() {
        let nspawn = FakeRoot::new().file("run/host/container-manager", "systemd-nspawn");
        assert_eq!(found(&nspawn).unwrap(), "systemd-nspawn");
        let lxc = FakeRoot::new().file("run/systemd/container", "lxc");
        assert_eq!(found(&lxc).unwrap(), "lxc");
        let init = FakeRoot::new().file("proc/1/environ", "PATH=/bin\0container=lxc\0TERM=linux");
        assert_eq!(found(&init).unwrap(), "lxc");
    }

    #[test]
    fn kubernetes_is_detected_by_its_environment() {
        let docker = FakeRoot::new().file(".dockerenv", "");
        let env = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.96.0.1".into());
        assert_eq!(runtime(docker.root(), &[], env).unwrap(), "kubernetes");
    }

    #[test]
    fn the_environment_of_the_image_counts_last() {
        let env = |name: &str| (name == "container").then(|| "oci".into());
        assert_eq!(runtime(FakeRoot::new().root(), &[], env).unwrap(), "oci");
        let docker = FakeRoot::new().file(".dockerenv", "");
        assert_eq!(runtime(docker.root(), &[], env).unwrap(), "docker");
    }

    #[test]
    fn an_invalid_runtime_name_is_ignored() {
        for text in ["Two Words", "/path", "x=y"] {
            let fake = FakeRoot::new().file("run/systemd/container", text);
            assert_eq!(found(&fake), None, "{text}");
        }
        assert_eq!(found(&FakeRoot::new()), None);
    }
}
