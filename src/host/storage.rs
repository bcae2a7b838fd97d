//! The storage below a directory: the file system, the device and its scheduler.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::block::BlockDevice;
use super::mounts::{self, Mount};
use super::root::{SystemRoot, entries};
use crate::result::Storage;

/// Describes the storage below a directory.
pub fn storage(root: &SystemRoot, dir: &Path) -> Storage {
    let path = dir
        .canonicalize()
        .or_else(|_| std::path::absolute(dir))
        .unwrap_or_else(|_| dir.into());
    let mount_id = |path: &Path| mount_id(root, path);
    StorageLookup {
        root,
        mounts: &mounts::read(root),
        mount_id: &mount_id,
    }
    .below(&path)
}

/// Returns the bytes available to this process on a directory's file system; None if unknown.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let file_system = statvfs(dir).ok()?;
    let blocks = file_system.blocks_available();
    blocks.checked_mul(file_system.fragment_size())
}

/// Returns the kernel's ID of the mount that a path is on.
fn mount_id(root: &SystemRoot, path: &Path) -> Option<u64> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)
        .ok()?;
    let info = root.text(format!("proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// Lookup of the layers from a directory down to a device.
struct StorageLookup<'a> {
    root: &'a SystemRoot,
    mounts: &'a [Mount],
    /// Returns the ID of the mount that a path is on.
    mount_id: &'a dyn Fn(&Path) -> Option<u64>,
}

impl StorageLookup<'_> {
    fn below(&self, path: &Path) -> Storage {
        let mount = self.mount(path);
        let device = mount.and_then(|mount| self.device(mount));
        Storage {
            path: path.to_string_lossy().into_owned(),
            filesystem: mount.map(|mount| mount.filesystem.clone()),
            device: device.as_ref().and_then(BlockDevice::name),
            driver: device.as_ref().and_then(BlockDevice::driver),
            queues: device.as_ref().and_then(BlockDevice::queues),
            scheduler: device.as_ref().and_then(BlockDevice::scheduler),
            rotational: device.as_ref().and_then(BlockDevice::rotational),
            write_cache: device.as_ref().and_then(BlockDevice::write_cache),
            loop_direct_io: device.as_ref().and_then(BlockDevice::loop_direct_io),
            unwritten: None,
            page_cache: None,
        }
    }

    fn mount(&self, path: &Path) -> Option<&Mount> {
        let id = (self.mount_id)(path)?;
        self.mounts.iter().find(|mount| mount.id == id)
    }

    fn device(&self, mount: &Mount) -> Option<BlockDevice> {
        match mount.filesystem.as_str() {
            "overlay" => {
                // Files are written to the upper directory. In a container it is a path on the
                // host, which does not exist here.
                let upper = self.mount(Path::new(mount.option("upperdir")?))?;
                self.device_of_disk_file_system(upper)
            }
            _ => self.device_of_disk_file_system(mount),
        }
    }

    fn device_of_disk_file_system(&self, mount: &Mount) -> Option<BlockDevice> {
        match mount.filesystem.as_str() {
            // Its files have an anonymous device number.
            "btrfs" => self.only_device_of_btrfs(&mount.source),
            _ => BlockDevice::below_number(self.root, &mount.device),
        }
    }

    /// Returns the device of a btrfs file system if it has only one.
    fn only_device_of_btrfs(&self, source: &str) -> Option<BlockDevice> {
        let name = self.device_name(source)?;
        let is_only = self.root.entries("sys/fs/btrfs").iter().any(|file_system| {
            let devices = entries(&file_system.join("devices"));
            devices.len() == 1 && devices[0].file_name() == name.file_name()
        });
        let name = name.file_name()?.to_str()?;
        is_only.then(|| BlockDevice::below_name(self.root, name))?
    }

    /// Resolves links in a path of /dev, such as those of /dev/mapper; returns it unchanged if the
    /// file is missing in /dev, as in a container.
    fn device_name(&self, source: &str) -> Option<PathBuf> {
        let below_dev = Path::new(source).strip_prefix("/dev").ok()?;
        let path = self.root.path("dev").join(below_dev);
        Some(path.canonicalize().unwrap_or(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    const MOUNTS: &str = "\
27 1 252:1 / / rw - ext4 /dev/vda1 rw
40 27 253:0 / /data rw - xfs /dev/mapper/vg-data rw,attr2
41 27 0:40 /@home /home rw - btrfs /dev/mapper/vg-data rw,subvol=/@home
42 27 0:41 / /merged rw - overlay overlay rw,lowerdir=/l,upperdir=/data/upper,workdir=/data/work
43 27 0:42 / /inside rw - overlay overlay rw,lowerdir=/l,upperdir=/not/here,workdir=/not/w
44 27 0:43 / /tmp rw - tmpfs tmpfs rw";

    fn machine() -> FakeRoot {
        FakeRoot::new()
            .file("proc/self/mountinfo", MOUNTS)
            .file(
                "sys/devices/virtio0/block/vda/queue/scheduler",
                "[none] mq-deadline",
            )
            .file("sys/devices/virtio0/block/vda/queue/rotational", "1")
            .file(
                "sys/devices/virtio0/block/vda/queue/write_cache",
                "write through",
            )
            .file("sys/devices/virtio0/block/vda/vda1/partition", "1")
            .link(
                "sys/dev/block/252:1",
                "../../devices/virtio0/block/vda/vda1",
            )
            .file("sys/devices/virtual/block/dm-0/queue/rotational", "0")
            .link("sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
            .link("sys/class/block/dm-0", "../../devices/virtual/block/dm-0")
            .file("dev/dm-0", "")
            .link("dev/mapper/vg-data", "../dm-0")
    }

    /// Returns the storage of a path, whose mount is the one with the longest matching mount point.
    fn below(fake: &FakeRoot, path: &str) -> Storage {
        let root = fake.root();
        let mounts = mounts::read(root);
        let mount_id = |path: &Path| {
            let fitting = mounts.iter().filter(|mount| path.starts_with(&mount.point));
            fitting
                .max_by_key(|mount| mount.point.as_os_str().len())
                .filter(|_| !path.starts_with("/not"))
                .map(|mount| mount.id)
        };
        StorageLookup {
            root,
            mounts: &mounts,
            mount_id: &mount_id,
        }
        .below(Path::new(path))
    }

    #[test]
    fn a_disk_file_system_resolves_to_its_disk() {
        let root = below(&machine(), "/srv/test");
        assert_eq!(root.path, "/srv/test");
        assert_eq!(root.filesystem.unwrap(), "ext4");
        assert_eq!(root.device.unwrap(), "vda");
        assert_eq!(root.scheduler.unwrap(), "none");
        assert_eq!(root.rotational, Some(true));
        assert_eq!(root.write_cache.unwrap(), "write through");
        let data = below(&machine(), "/data/test");
        assert_eq!(data.filesystem.unwrap(), "xfs");
        assert_eq!(data.device.unwrap(), "dm-0");
        assert_eq!(data.scheduler, None);
        assert_eq!(data.rotational, Some(false));
    }

    #[test]
    fn a_loop_device_reports_whether_it_bypasses_the_page_cache() {
        let direct_io = |dio: &str| {
            let machine = machine().file("sys/devices/virtual/block/dm-0/loop/dio", dio);
            below(&machine, "/data/test").loop_direct_io
        };
        assert_eq!(direct_io("0"), Some(false));
        assert_eq!(direct_io("1"), Some(true));
        assert_eq!(below(&machine(), "/data/test").loop_direct_io, None);
    }

    #[test]
    fn an_overlay_resolves_to_the_device_of_its_upper_directory() {
        let merged = below(&machine(), "/merged/test");
        assert_eq!(merged.filesystem.unwrap(), "overlay");
        assert_eq!(merged.device.unwrap(), "dm-0");
    }

    #[test]
    fn the_device_of_an_overlay_is_unknown_if_its_upper_directory_is_not_visible() {
        let inside = below(&machine(), "/inside/test");
        assert_eq!(inside.filesystem.unwrap(), "overlay");
        assert_eq!(inside.device, None);
    }

    #[test]
    fn an_in_memory_file_system_has_no_device() {
        let tmp = below(&machine(), "/tmp/test");
        assert_eq!(tmp.filesystem.unwrap(), "tmpfs");
        assert_eq!(tmp.device, None);
        assert_eq!(tmp.rotational, None);
    }

    #[test]
    fn btrfs_resolves_to_a_device_only_if_it_has_a_single_one() {
        let one = || {
            machine()
                .directory("sys/fs/btrfs/features")
                .directory("sys/fs/btrfs/1c2d/devices/dm-0")
        };
        assert_eq!(below(&one(), "/home/u").device.unwrap(), "dm-0");
        let two = one().directory("sys/fs/btrfs/1c2d/devices/sdb");
        assert_eq!(below(&two, "/home/u").device, None);
        assert_eq!(below(&machine(), "/home/u").device, None);
    }

    #[test]
    fn an_existing_directory_is_reported_by_its_absolute_path() {
        let directory = tempfile::tempdir().unwrap();
        let found = storage(&SystemRoot::default(), &directory.path().join("."));
        assert_eq!(
            Path::new(&found.path),
            directory.path().canonicalize().unwrap()
        );
        assert!(found.filesystem.is_some());
    }

    #[test]
    fn the_storage_of_a_missing_directory_is_unknown() {
        let found = storage(&SystemRoot::default(), Path::new("/no/such/directory"));
        assert_eq!(found.path, "/no/such/directory");
        assert_eq!(found.filesystem, None);
        assert_eq!(found.device, None);
    }
}
