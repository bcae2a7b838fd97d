//! Virtio devices of a guest.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::root::{SystemRoot, list, text};
use crate::format::count;

/// Names of the device types (chapter "Device Types" of the virtio specification) that have a
/// driver in Linux.
const TYPES: [(u32, &str); 18] = [
    (1, "network"),
    (2, "block"),
    (3, "console"),
    (4, "entropy"),
    (5, "balloon"),
    (7, "rpmsg"),
    (8, "scsi"),
    (9, "9p"),
    (16, "gpu"),
    (17, "clock"),
    (18, "input"),
    (19, "vsock"),
    (20, "crypto"),
    (23, "iommu"),
    (24, "memory"),
    (25, "sound"),
    (26, "filesystem"),
    (27, "pmem"),
];

/// Returns the type of each device, with the number of its queues if it is a block device, such as
/// `block, 4 queues`; empty without a virtio bus, None if the devices are not visible.
pub(super) fn devices(root: &SystemRoot) -> Option<Vec<String>> {
    // A kernel has several buses: an empty directory is a mask.
    if root.entries("sys/bus").is_empty() {
        return None;
    }
    let directories = existing(&root.path("sys/bus/virtio/devices"))?;
    let devices = directories.iter().map(|directory| device(directory));
    let mut devices: Vec<String> = devices.collect::<Option<_>>()?;
    devices.sort_unstable();
    Some(devices)
}

fn device(directory: &Path) -> Option<String> {
    let id = text(&directory.join("device"))?;
    let id = u32::from_str_radix(id.strip_prefix("0x")?, 16).ok()?;
    let known = TYPES.iter().find(|(number, _)| *number == id);
    let name = known.map_or_else(|| format!("type {id}"), |(_, name)| (*name).to_owned());
    Some(match queues(directory)? {
        0 => name,
        queues => format!("{name}, {}", count(queues, "queue")),
    })
}

/// Returns the number of queues of a block device; 0 for another device, None if it cannot be
/// read. Those of a network interface are visible only in its network namespace.
fn queues(directory: &Path) -> Option<u64> {
    let Some(disk) = existing(&directory.join("block"))?.pop() else {
        return Some(0);
    };
    Some(existing(&disk.join("mq"))?.len() as u64)
}

/// Lists the entries of a directory; empty if it does not exist, None if it cannot be read.
fn existing(directory: &Path) -> Option<Vec<PathBuf>> {
    match list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
        listed => listed.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    const BUS: &str = "sys/bus/virtio/devices";

    #[test]
    fn each_device_has_its_type_and_its_queues() {
        let fake = FakeRoot::new()
            .file("sys/devices/pci/virtio0/device", "0x0005")
            .file("sys/devices/pci/virtio1/device", "0x0002")
            .directory("sys/devices/pci/virtio1/block/vda/mq/0")
            .directory("sys/devices/pci/virtio1/block/vda/mq/1")
            .file("sys/devices/pci/virtio2/device", "0x0001")
            .directory("sys/devices/pci/virtio2/net/eth0")
            .file("sys/devices/pci/virtio3/device", "0x0029")
            .link(&format!("{BUS}/virtio0"), "../../../devices/pci/virtio0")
            .link(&format!("{BUS}/virtio1"), "../../../devices/pci/virtio1")
            .link(&format!("{BUS}/virtio2"), "../../../devices/pci/virtio2")
            .link(&format!("{BUS}/virtio3"), "../../../devices/pci/virtio3");
        fake_has(&fake, &["balloon", "block, 2 queues", "network", "type 41"]);
    }

    #[track_caller]
    fn fake_has(fake: &FakeRoot, expected: &[&str]) {
        assert_eq!(devices(fake.root()).unwrap(), expected);
    }

    #[test]
    fn a_machine_without_the_bus_has_no_devices_and_without_sys_they_are_unknown() {
        fake_has(&FakeRoot::new().directory("sys/bus/pci"), &[]);
        assert_eq!(devices(FakeRoot::new().root()), None);
        let masked = FakeRoot::new().directory("sys/bus");
        assert_eq!(devices(masked.root()), None);
    }

    #[test]
    fn an_invalid_type_makes_the_devices_unknown() {
        let fake = FakeRoot::new()
            .file(&format!("{BUS}/virtio0/device"), "0x0005")
            .file(&format!("{BUS}/virtio1/device"), "five");
        assert_eq!(devices(fake.root()), None);
    }
}
