//! Block devices in /sys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::root::{SystemRoot, bracketed, entries, list, text};

/// Limit on the layers of device mapper and md to follow: more than any real stack has.
const MAX_LAYERS: usize = 8;

/// A whole block device: a disk, or a device that a driver builds from several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlockDevice {
    /// Its directory in /sys.
    directory: PathBuf,
}

impl BlockDevice {
    /// Returns the disk below the device `major:minor`.
    pub(super) fn below_number(root: &SystemRoot, number: &str) -> Option<Self> {
        Self::below(&root.path("sys/dev/block").join(number))
    }

    /// Returns the disk below the device with this name in /sys.
    pub(super) fn below_name(root: &SystemRoot, name: &str) -> Option<Self> {
        Self::below(&root.path("sys/class/block").join(name))
    }

    /// Returns the disk below a partition, volume or other device, given its directory in /sys;
    /// if there are several disks, the device that combines them.
    fn below(directory: &Path) -> Option<Self> {
        let device = Self::whole(directory)?;
        let mut disks = BTreeSet::new();
        device.collect_disks(MAX_LAYERS, &mut disks);
        match disks.pop_first() {
            Some(only) if disks.is_empty() => Some(only),
            _ => Some(device),
        }
    }

    /// Returns the device itself, or the one that contains it if it is a partition.
    fn whole(directory: &Path) -> Option<Self> {
        let directory = directory.canonicalize().ok()?;
        let is_partition = directory.join("partition").exists();
        let directory = if is_partition {
            directory.parent()?.into()
        } else {
            directory
        };
        Some(Self { directory })
    }

    fn collect_disks(&self, layers: usize, disks: &mut BTreeSet<Self>) {
        let slaves: Vec<Self> = entries(&self.directory.join("slaves"))
            .iter()
            .filter_map(|slave| Self::whole(slave))
            .collect();
        if slaves.is_empty() || layers == 0 {
            disks.insert(self.clone());
        } else {
            for slave in slaves {
                slave.collect_disks(layers - 1, disks);
            }
        }
    }

    /// Returns the kernel's name of the device.
    pub(super) fn name(&self) -> Option<String> {
        let name = self.directory.file_name()?.to_str()?;
        // /sys replaces the slash of names such as cciss/c0d0.
        Some(name.replace('!', "/"))
    }

    /// Returns the active I/O scheduler.
    pub(super) fn scheduler(&self) -> Option<String> {
        let choices = text(&self.directory.join("queue/scheduler"))?;
        // A driver without a choice shows a single name without brackets.
        let lone = Some(choices.as_str()).filter(|text| !text.contains([' ', '[', ']']));
        bracketed(&choices).or(lone).map(str::to_owned)
    }

    /// Returns the write cache mode as the kernel names it ("write back", "write through").
    pub(super) fn write_cache(&self) -> Option<String> {
        text(&self.directory.join("queue/write_cache"))
            .filter(|mode| matches!(mode.as_str(), "write back" | "write through"))
    }

    /// Returns the driver of the hardware or of the paravirtual device: that of the nearest ancestor
    /// in the device tree, except the one that SCSI has for every disk.
    pub(super) fn driver(&self) -> Option<String> {
        for device in self.directory.ancestors() {
            // An existing link that cannot be read must not lead to the driver of a bus.
            let driver = device.join("driver");
            if !list(device).ok()?.contains(&driver) {
                continue;
            }
            let driver = driver.read_link().ok()?;
            let name = driver.file_name()?.to_str()?;
            if name != "sd" {
                return Some(name.to_owned());
            }
        }
        None
    }

    /// Returns the number of hardware queues; None for a device that has none, such as one of
    /// device mapper.
    pub(super) fn queues(&self) -> Option<u64> {
        let queues = list(&self.directory.join("mq")).ok()?.len() as u64;
        (queues > 0).then_some(queues)
    }

    /// Returns whether the device reports itself as rotational.
    pub(super) fn rotational(&self) -> Option<bool> {
        self.flag("queue/rotational")
    }

    /// Returns whether a loop device opens its backing file with O_DIRECT; None for other devices.
    pub(super) fn loop_direct_io(&self) -> Option<bool> {
        self.flag("loop/dio")
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match text(&self.directory.join(name))?.as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    /// A Dell server with two disks; `sda` has partitions.
    fn dell() -> FakeRoot {
        FakeRoot::new()
            .file(
                "sys/devices/pci/block/sda/queue/scheduler",
                "none [mq-deadline] kyber",
            )
            .file("sys/devices/pci/block/sda/queue/rotational", "1")
            .file("sys/devices/pci/block/sda/queue/write_cache", "write back")
            .file("sys/devices/pci/block/sda/sda2/partition", "2")
            .file("sys/devices/pci/block/sda/sda3/partition", "3")
            .file("sys/devices/pci/block/sdb/queue/scheduler", "none")
            .file("sys/devices/pci/block/sdb/queue/rotational", "0")
            .directory("sys/devices/pci/block/sdb/slaves")
            .link("sys/dev/block/8:2", "../../devices/pci/block/sda/sda2")
            .link("sys/dev/block/8:16", "../../devices/pci/block/sdb")
            .link("sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
            .link("sys/class/block/dm-0", "../../devices/virtual/block/dm-0")
    }

    fn name(fake: &FakeRoot, number: &str) -> Option<String> {
        BlockDevice::below_number(fake.root(), number)?.name()
    }

    #[test]
    fn a_partition_resolves_to_its_disk() {
        assert_eq!(name(&dell(), "8:2").unwrap(), "sda");
        assert_eq!(name(&dell(), "8:16").unwrap(), "sdb");
        assert_eq!(name(&dell(), "8:99"), None);
    }

    #[test]
    fn a_volume_resolves_through_its_layers_to_its_only_disk() {
        let crypt_on_lvm = dell()
            .link("sys/devices/virtual/block/dm-0/slaves/dm-1", "../../dm-1")
            .link(
                "sys/devices/virtual/block/dm-1/slaves/sda2",
                "../../../../pci/block/sda/sda2",
            )
            .link(
                "sys/devices/virtual/block/dm-1/slaves/sda3",
                "../../../../pci/block/sda/sda3",
            );
        assert_eq!(name(&crypt_on_lvm, "253:0").unwrap(), "sda");
        let by_name = BlockDevice::below_name(crypt_on_lvm.root(), "dm-0").unwrap();
        assert_eq!(by_name.name().unwrap(), "sda");
    }

    #[test]
    fn a_volume_on_several_disks_resolves_to_itself() {
        let striped = dell()
            .link(
                "sys/devices/virtual/block/dm-0/slaves/sda2",
                "../../../../pci/block/sda/sda2",
            )
            .link(
                "sys/devices/virtual/block/dm-0/slaves/sdb",
                "../../../../pci/block/sdb",
            );
        assert_eq!(name(&striped, "253:0").unwrap(), "dm-0");
    }

    #[test]
    fn a_cycle_of_layers_terminates() {
        let circle = dell().link("sys/devices/virtual/block/dm-0/slaves/dm-0", "../../dm-0");
        assert_eq!(name(&circle, "253:0").unwrap(), "dm-0");
    }

    #[test]
    fn scheduler_write_cache_and_rotational_are_read_from_the_queue() {
        let fake = dell();
        let device = |number| BlockDevice::below_number(fake.root(), number).unwrap();
        assert_eq!(device("8:2").scheduler().unwrap(), "mq-deadline");
        assert_eq!(device("8:2").rotational(), Some(true));
        assert_eq!(device("8:2").write_cache().unwrap(), "write back");
        assert_eq!(device("8:16").write_cache(), None);
        assert_eq!(device("8:16").scheduler().unwrap(), "none");
        assert_eq!(device("8:16").rotational(), Some(false));
    }

    #[test]
    fn the_driver_is_that_of_the_hardware_below_the_disk() {
        const SCSI: &str = "sys/devices/pci0/0000:00:05.0/virtio3/host2/target2:0:0/2:0:0:0";
        const VIRTIO: &str = "sys/devices/pci0/0000:00:02.0/virtio1";
        const NVME: &str = "sys/devices/pci0/0000:01:00.0";
        let fake = FakeRoot::new()
            .link(&format!("{SCSI}/driver"), "../../../bus/scsi/drivers/sd")
            .link(
                "sys/devices/pci0/0000:00:05.0/virtio3/driver",
                "../../../../bus/virtio/drivers/virtio_scsi",
            )
            .directory(&format!("{SCSI}/block/sda"))
            .link("sys/class/block/sda", &format!("../../../{SCSI}/block/sda"))
            .link(
                &format!("{VIRTIO}/driver"),
                "../../bus/virtio/drivers/virtio_blk",
            )
            .directory(&format!("{VIRTIO}/block/vda/mq/0"))
            .directory(&format!("{VIRTIO}/block/vda/mq/1"))
            .link(
                "sys/class/block/vda",
                &format!("../../../{VIRTIO}/block/vda"),
            )
            .link(&format!("{NVME}/driver"), "../../bus/pci/drivers/nvme")
            .directory(&format!("{NVME}/nvme/nvme0/nvme0n1/mq/0"))
            .link(
                "sys/class/block/nvme0n1",
                &format!("../../../{NVME}/nvme/nvme0/nvme0n1"),
            );
        let found = |name| {
            let device = BlockDevice::below_name(fake.root(), name).unwrap();
            (device.driver().unwrap(), device.queues())
        };
        assert_eq!(found("sda"), ("virtio_scsi".to_owned(), None));
        assert_eq!(found("vda"), ("virtio_blk".to_owned(), Some(2)));
        assert_eq!(found("nvme0n1"), ("nvme".to_owned(), Some(1)));
    }

    #[test]
    fn invalid_queue_attributes_are_unknown() {
        let fake = dell()
            .file("sys/devices/pci/block/sdb/queue/scheduler", "a b")
            .file("sys/devices/pci/block/sdb/queue/rotational", "2")
            .file("sys/devices/pci/block/sdb/queue/write_cache", "sideways");
        let sdb = BlockDevice::below_number(fake.root(), "8:16").unwrap();
        assert_eq!(sdb.scheduler(), None);
        assert_eq!(sdb.rotational(), None);
        assert_eq!(sdb.write_cache(), None);
    }
}
