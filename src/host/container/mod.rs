//! The container runtime that this process runs under.
//!
//! There are two kinds of traces. Those that the kernel reports in mounts and control groups are
//! always valid. Those in files or in the environment may be left over, as when a container image
//! was booted as a machine: they count only if this process is not known to be in the PID
//! namespace that the machine booted with.

mod files;
mod kernel;

use std::path::Path;

use super::mounts::Mount;
use super::root::SystemRoot;

/// Targets of the links in /proc/self/ns for the initial namespaces, which have fixed inode
/// numbers (`enum init_ns_ino` of uapi/linux/nsfs.h, before that `PROC_PID_INIT_INO`). The mount
/// namespace has had one only recently: another number proves nothing.
const BOOT_PID_NAMESPACE: &str = "pid:[4026531836]";
const BOOT_MOUNT_NAMESPACE: &str = "mnt:[4026531832]";

/// Returns the name of the container runtime; "none" outside a container. `env` looks up a
/// variable in the environment of this process.
pub(super) fn runtime(
    root: &SystemRoot,
    mounts: &[Mount],
    env: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let by_kernel =
        kernel::of_mounts(root, mounts).or_else(|| kernel::of_cgroups(root).map(Into::into));
    by_kernel.or_else(|| {
        if has_machines_pids(root) {
            has_machines_files(root, mounts).then(|| "none".into())
        } else {
            files::runtime(root, mounts, env).or_else(|| kernel::of_masks(mounts))
        }
    })
}

/// Returns whether this process is known to be in the initial PID namespace.
fn has_machines_pids(root: &SystemRoot) -> bool {
    root.link("proc/self/ns/pid")
        .is_some_and(|link| link == Path::new(BOOT_PID_NAMESPACE))
}

/// Returns whether this process sees the machine's files and not a tree made for it: it is in the
/// mount namespace of the boot or of PID 1, or its root directory is a whole file system. The
/// latter holds for a service with its own mount namespace; the former for a live system, whose
/// root directory is an overlay.
fn has_machines_files(root: &SystemRoot, mounts: &[Mount]) -> bool {
    let own = root.link("proc/self/ns/mnt");
    let same_as_init = own.is_some() && own == root.link("proc/1/ns/mnt");
    let booted = own.is_some_and(|link| link == Path::new(BOOT_MOUNT_NAMESPACE));
    booted || same_as_init || mounts.iter().any(is_whole_root)
}

/// Returns whether the mount is a root directory that is the whole file system of a device.
fn is_whole_root(mount: &Mount) -> bool {
    // Distributions on btrfs install into a subvolume.
    let subvolume = mount.option("subvol").unwrap_or("/");
    mount.point == Path::new("/")
        && mount.root == Path::new(subvolume)
        && mount.source.starts_with("/dev/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;
    use crate::host::mounts;

    const DISK: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw";
    const OVERLAY: &str = "500 400 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u";

    fn no_env(_: &str) -> Option<String> {
        None
    }

    fn found(fake: &FakeRoot) -> Option<String> {
        let root = fake.root();
        runtime(root, &mounts::read(root), no_env)
    }

    fn on_the_machine(mountinfo: &str) -> FakeRoot {
        FakeRoot::new()
            .link("proc/self/ns/pid", BOOT_PID_NAMESPACE)
            .link("proc/self/ns/mnt", "mnt:[4026531841]")
            .file("proc/self/mountinfo", mountinfo)
    }

    fn in_its_own_namespace(mountinfo: &str) -> FakeRoot {
        FakeRoot::new()
            .link("proc/self/ns/pid", "pid:[4026532775]")
            .link("proc/self/ns/mnt", "mnt:[4026532772]")
            .file("proc/self/mountinfo", mountinfo)
    }

    #[test]
    fn a_login_session_is_not_in_a_container() {
        let fake = on_the_machine(DISK).file("proc/self/cgroup", "0::/user.slice/session-3.scope");
        assert_eq!(found(&fake).unwrap(), "none");
        let btrfs = "27 1 0:31 /@ / rw - btrfs /dev/nvme0n1p2 rw,subvolid=256,subvol=/@";
        assert_eq!(found(&on_the_machine(btrfs)).unwrap(), "none");
    }

    #[test]
    fn a_live_system_is_not_in_a_container_if_its_mount_namespace_is_known() {
        assert_eq!(found(&on_the_machine(OVERLAY)), None);
        let like_init = on_the_machine(OVERLAY).link("proc/1/ns/mnt", "mnt:[4026531841]");
        assert_eq!(found(&like_init).unwrap(), "none");
        let booted = FakeRoot::new()
            .link("proc/self/ns/pid", BOOT_PID_NAMESPACE)
            .link("proc/self/ns/mnt", BOOT_MOUNT_NAMESPACE);
        assert_eq!(found(&booted).unwrap(), "none");
    }

    #[test]
    fn files_left_over_in_a_booted_image_are_ignored() {
        let fake = on_the_machine(DISK)
            .file(".dockerenv", "")
            .file("run/.containerenv", "");
        assert_eq!(found(&fake).unwrap(), "none");
    }

    #[test]
    fn the_same_files_in_a_separate_namespace_indicate_a_container() {
        let fake = in_its_own_namespace(OVERLAY).file(".dockerenv", "");
        assert_eq!(found(&fake).unwrap(), "docker");
    }

    #[test]
    fn files_left_over_in_a_booted_image_do_not_identify_a_namespace_created_there() {
        let fake = in_its_own_namespace(DISK).file(".dockerenv", "");
        assert_eq!(found(&fake), None);
    }

    #[test]
    fn a_container_in_the_pid_namespace_of_the_host_is_detected_by_its_mounts() {
        let podman = format!(
            "{OVERLAY}\n501 500 0:24 /containers/storage/overlay-containers/\
             3a1c2b3a1c2b3a1c2b3a1c2b3a1c2b3a/userdata/.containerenv /run/.containerenv rw - \
             tmpfs tmpfs rw"
        );
        let fake = on_the_machine(&podman).file("run/.containerenv", "");
        assert_eq!(found(&fake).unwrap(), "podman");
    }

    #[test]
    fn a_directory_as_the_root_is_not_taken_for_the_root_of_the_machine() {
        for root in [
            "27 1 254:1 /srv/rootfs / rw - ext4 /dev/vda1 rw",
            "27 1 0:31 /@/srv/rootfs / rw - btrfs /dev/vda1 rw,subvol=/@",
        ] {
            assert_eq!(found(&on_the_machine(root)), None, "{root}");
        }
    }

    #[test]
    fn a_namespace_without_other_traces_is_unknown() {
        assert_eq!(found(&in_its_own_namespace(DISK)), None);
        assert_eq!(found(&FakeRoot::new()), None);
    }

    #[test]
    fn a_manually_run_bundle_is_detected_by_the_masked_files_of_its_runtime() {
        for hidden in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
            let bundle = format!(
                "600 500 254:1 /bundle/rootfs / rw - ext4 /dev/vda1 rw\n\
                 601 600 0:60 /null {hidden} rw,nosuid - tmpfs tmpfs rw"
            );
            assert_eq!(found(&in_its_own_namespace(&bundle)).unwrap(), "oci");
            assert_eq!(found(&on_the_machine(&bundle)), None);
        }
    }
}
