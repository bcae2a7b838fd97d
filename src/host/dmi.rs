//! DMI: the machine as the firmware describes it.
//!
//! The strings are those of systemd's `detect_vm_dmi_vendor`:
//! <https://github.com/systemd/systemd/blob/main/src/basic/virt.c>. Those of a cloud, or of a
//! machine model that several hypervisors share, do not name a hypervisor here.

use super::root::SystemRoot;

/// DMI strings of the machine.
pub(super) struct Dmi {
    /// System vendor, product name and firmware vendor, as far as known.
    strings: Vec<String>,
}

impl Dmi {
    pub(super) fn read(root: &SystemRoot) -> Self {
        let strings = ["sys_vendor", "product_name", "bios_vendor"]
            .iter()
            .filter_map(|field| root.text(format!("sys/class/dmi/id/{field}")))
            .collect();
        Self { strings }
    }

    fn has(&self, start: &str) -> bool {
        self.strings.iter().any(|string| string.starts_with(start))
    }

    /// Returns the hypervisor that the strings name. QEMU's Arm machine is called "KVM Virtual
    /// Machine" only if it runs on KVM.
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
        // Microsoft also sells hardware: only the product name distinguishes it.
        let is_hyperv = self.has("Microsoft Corporation") && self.has("Virtual Machine");
        NAMES
            .iter()
            .find(|(start, _)| self.has(start))
            .map(|&(_, name)| name)
            .or(is_hyperv.then_some("hyperv"))
    }

    /// Returns whether this is a virtual machine, even if its hypervisor is unknown: QEMU's
    /// machine runs on KVM, on Xen or without either, and a cloud's on whatever the cloud uses.
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
            self.has("Amazon EC2") && !self.strings.iter().any(|string| string.contains(".metal"));
        self.name().is_some() || is_ec2_guest || VIRTUAL.iter().any(|start| self.has(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(strings: [&str; 3]) -> Option<&'static str> {
        machine(strings).name()
    }

    fn machine(strings: [&str; 3]) -> Dmi {
        Dmi {
            strings: strings.map(Into::into).into(),
        }
    }

    #[test]
    fn dmi_strings_name_the_hypervisor() {
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
    fn the_arm_machine_of_qemu_is_kvm_only_if_it_says_so() {
        let firmware = "EDK II";
        assert_eq!(
            named(["QEMU", "KVM Virtual Machine", firmware]),
            Some("kvm")
        );
        assert_eq!(named(["QEMU", "QEMU Virtual Machine", firmware]), None);
    }

    #[test]
    fn physical_machines_are_not_virtual() {
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
    fn a_machine_model_of_several_hypervisors_is_virtual_without_a_name() {
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
