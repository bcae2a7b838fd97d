//! What the kernel tells of a container: its mounts and its control groups.

use std::path::Path;

use super::files;
use crate::host::mounts::Mount;
use crate::host::root::Root;

/// The runtime by what it mounts over the image's own files. Only these places count: a
/// machine that runs containers has the mounts of all of them elsewhere.
pub(super) fn of_mounts(root: &Root, mounts: &[Mount]) -> Option<String> {
    let at = |point: &'static str| mounts.iter().find(move |m| m.point == Path::new(point));
    if at("/run/secrets/kubernetes.io/serviceaccount").is_some()
        || at("/etc/hosts").is_some_and(|hosts| hosts.root.ends_with("etc-hosts"))
    {
        return Some("kubernetes".into());
    }
    if at("/run/.containerenv").is_some() {
        return files::of_containerenv(root);
    }
    ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]
        .into_iter()
        .filter_map(at)
        .find_map(|mount| owner(&mount.root))
        .map(Into::into)
}

/// The runtime that keeps a container's files in such a place: docker in
/// `.../containers/ID/FILE`, podman in `.../overlay-containers/ID/userdata/FILE`.
fn owner(file: &Path) -> Option<&'static str> {
    let mut upwards = file.ancestors().skip(1).map(|folder| folder.file_name());
    let mut next = || upwards.next().flatten()?.to_str();
    match next()? {
        "userdata" => {
            let is_podmans = is_id(next()?) && next()?.ends_with("-containers");
            is_podmans.then_some("podman")
        }
        id => (is_id(id) && next()? == "containers").then_some("docker"),
    }
}

/// The runtime by the name it gives to control groups.
pub(super) fn of_cgroups(root: &Root) -> Option<&'static str> {
    let memberships = root.text("proc/self/cgroup")?;
    memberships
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(of_cgroup)
}

fn of_cgroup(path: &str) -> Option<&'static str> {
    let groups: Vec<&str> = path.split('/').collect();
    if groups.iter().any(|group| group.starts_with("kubepods")) {
        return Some("kubernetes");
    }
    let pairs = groups.iter().zip(groups.iter().skip(1));
    let nested = pairs.filter_map(|(&parent, &group)| match parent {
        "docker" if is_id(group) => Some("docker"),
        "lxc" | "lxc.payload" if !group.is_empty() => Some("lxc"),
        _ => None,
    });
    let named = groups.iter().filter_map(|group| {
        if group.starts_with("lxc.payload.") {
            return Some("lxc");
        }
        let (prefix, id) = group
            .strip_suffix(".scope")
            .unwrap_or(group)
            .split_once('-')?;
        match prefix {
            "docker" if is_id(id) => Some("docker"),
            "libpod" if is_id(id) => Some("podman"),
            "runc" if group.ends_with(".scope") => Some("runc"),
            "crun" if group.ends_with(".scope") => Some("crun"),
            _ => None,
        }
    });
    nested.chain(named).last()
}

/// An identity that a runtime made up for a container.
fn is_id(word: &str) -> bool {
    word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// "oci" where a file of /proc is hidden by /dev/null, as runc and crun do by the default
/// configuration with those of these that the kernel has; systemd hides by a file of its own.
pub(super) fn of_masks(mounts: &[Mount]) -> Option<String> {
    const HIDDEN: [&str; 4] = [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
    ];
    let is_mask = |mount: &Mount| {
        let point = mount.point.to_str();
        mount.root == Path::new("/null") && point.is_some_and(|point| HIDDEN.contains(&point))
    };
    mounts.iter().any(is_mask).then(|| "oci".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const ID: &str = "3a1c2bd29f0c4c5e8b7a6d5e4f3c2b1a3a1c2bd29f0c4c5e8b7a6d5e4f3c2b1a";

    fn mounted(root: &str, point: &str) -> Option<String> {
        let line = format!("501 500 253:0 {root} {point} rw,relatime - ext4 /dev/dm-0 rw");
        let fake = FakeRoot::new()
            .file("proc/self/mountinfo", &line)
            .file("run/.containerenv", "");
        of_mounts(fake.root(), &mounts::read(fake.root()))
    }

    #[test]
    fn docker_is_known_by_the_files_it_mounts_wherever_it_keeps_them() {
        for place in ["/var/lib/docker", "/home/u/.local/share/docker", ""] {
            let file = format!("{place}/containers/{ID}/resolv.conf");
            assert_eq!(mounted(&file, "/etc/resolv.conf").unwrap(), "docker");
        }
    }

    #[test]
    fn podman_is_known_by_the_files_it_mounts() {
        let file = format!("/containers/storage/overlay-containers/{ID}/userdata/hostname");
        assert_eq!(mounted(&file, "/etc/hostname").unwrap(), "podman");
        assert_eq!(mounted("/any", "/run/.containerenv").unwrap(), "podman");
    }

    #[test]
    fn kubernetes_is_known_by_the_files_it_mounts() {
        let hosts = "/var/lib/kubelet/pods/8f9b2d1c-11aa/etc-hosts";
        assert_eq!(mounted(hosts, "/etc/hosts").unwrap(), "kubernetes");
        let account = "/run/secrets/kubernetes.io/serviceaccount";
        assert_eq!(mounted("/", account).unwrap(), "kubernetes");
    }

    #[test]
    fn a_containers_files_mounted_elsewhere_say_nothing_of_this_process() {
        let file = format!("/var/lib/docker/containers/{ID}/hostname");
        assert_eq!(mounted(&file, "/mnt/hostname"), None);
        assert_eq!(
            mounted("/var/lib/kubelet/pods/1/etc-hosts", "/mnt/hosts"),
            None
        );
    }

    #[test]
    fn a_file_mounted_by_hand_names_no_runtime() {
        for file in [
            "/",
            "/hosts",
            "/containers/web/hosts",
            "/srv/userdata/hosts",
        ] {
            assert_eq!(mounted(file, "/etc/hosts"), None, "{file}");
        }
    }

    #[test]
    fn control_groups_carry_the_names_of_their_runtimes() {
        let names = [
            (format!("/docker/{ID}"), "docker"),
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                "podman",
            ),
            (format!("/kubepods/burstable/pod8f9b/{ID}"), "kubernetes"),
            (
                format!("/kubepods.slice/kubepods-pod8f.slice/docker-{ID}.scope"),
                "kubernetes",
            ),
            ("/lxc.payload.web/init.scope".into(), "lxc"),
            ("/lxc/web".into(), "lxc"),
            (format!("/lxc/web/docker/{ID}"), "docker"),
            ("/system.slice/runc-bench.scope".into(), "runc"),
        ];
        for (path, name) in names {
            assert_eq!(of_cgroup(&path), Some(name), "{path}");
        }
    }

    #[test]
    fn control_groups_of_the_machine_and_of_the_daemons_are_no_containers() {
        for path in [
            "/",
            "/user.slice/user-1000.slice/session-3.scope",
            "/system.slice/docker.service",
            "/system.slice/docker-registry.service",
            "/machine.slice/libpod-conmon-3a1c.scope",
            "/lxc.monitor.web",
            "/lxc/",
        ] {
            assert_eq!(of_cgroup(path), None, "{path}");
        }
    }

    #[test]
    fn every_hierarchy_of_version_1_is_asked() {
        let lines = format!("3:cpu:/\n2:memory:/docker/{ID}\n0::/");
        let fake = FakeRoot::new().file("proc/self/cgroup", &lines);
        assert_eq!(of_cgroups(fake.root()), Some("docker"));
    }
}
