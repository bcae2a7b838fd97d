//! What the firmware says of the machine.
//!
//! The words are those of systemd's `detect_vm_dmi_vendor`:
//! <https://github.com/systemd/systemd/blob/main/src/basic/virt.c>. Here only those name a
//! hypervisor that do not stand for a cloud or for a machine that several hypervisors have.

use super::root::Root;

/// What the firmware says of the machine.
pub(super) struct Dmi {
    /// Its vendor, its name and the vendor of the firmware, where known.
    words: Vec<String>,
}

impl Dmi {
    pub(super) fn read(root: &Root) -> Self {
        let words = ["sys_vendor", "product_name", "bios_vendor"]
            .iter()
            .filter_map(|field| root.text(format!("sys/class/dmi/id/{field}")))
            .collect();
        Self { words }
    }

    fn has(&self, start: &str) -> bool {
        self.words.iter().any(|word| word.starts_with(start))
    }

    /// The hypervisor that the machine is named after. QEMU calls its machine for Arm "KVM
    /// Virtual Machine" only where that is so.
    pub(super) fn name(&self) -> Option<&'static str> {
        const NAMES: [(&str, &str); 11] = [
            ("innotek GmbH", "virtualbox"),
            ("VirtualBox", "virtualbox"),
            ("Oracle VirtualBox", "virtualbox"),
            ("VMware", "vmware"),
            ("Xen", "xen"),
            ("HVM domU", "xen"),
            ("KVM", "kvm"),
            ("BHYVE", "bhyve"),
            ("Parallels", "parallels"),
            ("Apple Virtualization", "apple"),
            ("Hyper-V", "hyperv"),
        ];
        // Microsoft also sells machines: only the product's name tells them apart.
        let is_hyperv = self.has("Microsoft Corporation") && self.has("Virtual Machine");
        NAMES
            .iter()
            .find(|(start, _)| self.has(start))
            .map(|&(_, name)| name)
            .or(is_hyperv.then_some("hyperv"))
    }

    /// Tells whether this is a virtual machine, be its hypervisor known or not: QEMU's machine
    /// runs on KVM, on Xen and on none, and a cloud's on what the cloud has.
    pub(super) fn is_virtual(&self) -> bool {
        const VIRTUAL: [&str; 7] = [
            "QEMU",
            "Bochs",
            "SeaBIOS",
            "OpenStack",
            "KubeVirt",
            "Cloud Hypervisor",
            "Google Compute Engine",
        ];
        let is_ec2_guest =
            self.has("Amazon EC2") && !self.words.iter().any(|word| word.contains(".metal"));
        self.name().is_some() || is_ec2_guest || VIRTUAL.iter().any(|start| self.has(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: [&str; 3]) -> Option<&'static str> {
        machine(words).name()
    }

    fn machine(words: [&str; 3]) -> Dmi {
        Dmi {
            words: words.map(Into::into).into(),
        }
    }

    #[test]
    fn virtual_machines_are_named_after_their_hypervisors() {
        let virtualbox = ["innotek GmbH", "VirtualBox", "innotek GmbH"];
        assert_eq!(named(virtualbox), Some("virtualbox"));
        let vmware = ["VMware, Inc.", "VMware20,1", "VMware, Inc."];
        assert_eq!(named(vmware), Some("vmware"));
        let rhel = ["Red Hat", "KVM", "SeaBIOS"];
        assert_eq!(named(rhel), Some("kvm"));
        let xen = ["Xen", "HVM domU", "Xen"];
        assert_eq!(named(xen), Some("xen"));
        let azure = [
            "Microsoft Corporation",
            "Virtual Machine",
            "American Megatrends Inc.",
        ];
        assert_eq!(named(azure), Some("hyperv"));
    }

    #[test]
    fn qemus_arm_machine_is_kvm_only_where_it_says_so() {
        let firmware = "EDK II";
        assert_eq!(
            named(["QEMU", "KVM Virtual Machine", firmware]),
            Some("kvm")
        );
        assert_eq!(named(["QEMU", "QEMU Virtual Machine", firmware]), None);
    }

    #[test]
    fn real_machines_are_not_virtual() {
        for real in [
            ["Dell Inc.", "PowerEdge R730", "Dell Inc."],
            [
                "Microsoft Corporation",
                "Surface Laptop 4",
                "Microsoft Corporation",
            ],
            [
                "Oracle Corporation",
                "ORACLE SERVER X8-2",
                "Oracle Corporation",
            ],
            ["Amazon EC2", "c5.metal", "Amazon EC2"],
        ] {
            assert!(!machine(real).is_virtual(), "{real:?}");
        }
    }

    #[test]
    fn a_virtual_machine_of_many_hypervisors_is_virtual_and_has_no_name() {
        for many in [
            ["QEMU", "Standard PC (Q35 + ICH9, 2009)", "SeaBIOS"],
            ["Amazon EC2", "c6g.large", "Amazon EC2"],
            ["Google", "Google Compute Engine", "Google"],
            ["OpenStack Foundation", "OpenStack Nova", "SeaBIOS"],
        ] {
            assert_eq!(named(many), None, "{many:?}");
            assert!(machine(many).is_virtual(), "{many:?}");
        }
    }
}
