//! Detection of the hypervisor.

use super::cpuid::Hypervisor;
use super::dmi::Dmi;
use super::root::SystemRoot;

/// Returns the name of the hypervisor; "none" on bare metal.
///
/// "none" requires that the CPU denies a hypervisor and that nothing else indicates one.
pub(super) fn hypervisor(root: &SystemRoot, cpuid: Option<Hypervisor>) -> Option<&'static str> {
    let dmi = Dmi::read(root);
    let bare_metal = || {
        let denied = cpuid == Some(Hypervisor::Absent);
        (denied && !dmi.is_virtual() && !has_hypervisor_files(root)).then_some("none")
    };
    // VirtualBox also shows its guests the interface of KVM or Hyper-V, and a kernel that runs as
    // a process shows the CPU unchanged.
    dmi.name()
        .filter(|&name| name == "virtualbox")
        .or_else(|| user_mode_linux(root))
        .or_else(|| xen(root))
        .or_else(|| cpuid.as_ref().and_then(Hypervisor::name))
        .or_else(|| dmi.name())
        .or_else(|| of_device_tree(root))
        .or_else(bare_metal)
}

/// Returns "xen" in a Xen guest and "xen-dom0" in the privileged domain, which has access to all
/// hardware but does not run on bare metal.
fn xen(root: &SystemRoot) -> Option<&'static str> {
    let is_xen = root.text("sys/hypervisor/type").as_deref() == Some("xen");
    if is_xen && is_xen_dom0(root) {
        Some("xen-dom0")
    } else {
        is_xen.then_some("xen")
    }
}

fn is_xen_dom0(root: &SystemRoot) -> bool {
    /// XENFEAT_dom0 of Xen's public/features.h.
    const DOM0: u32 = 11;
    let features = root
        .text("sys/hypervisor/properties/features")
        .and_then(|text| u64::from_str_radix(&text, 16).ok());
    match features {
        Some(features) => features >> DOM0 & 1 == 1,
        None => root
            .text("proc/xen/capabilities")
            .is_some_and(|capabilities| capabilities.contains("control_d")),
    }
}

fn of_device_tree(root: &SystemRoot) -> Option<&'static str> {
    let compatible = root.text("proc/device-tree/hypervisor/compatible")?;
    // A list of NUL-terminated entries.
    compatible.split('\0').find_map(|entry| match entry {
        "linux,kvm" => Some("kvm"),
        "vmware" => Some("vmware"),
        _ if entry.starts_with("xen,") => Some("xen"),
        _ => None,
    })
}

fn user_mode_linux(root: &SystemRoot) -> Option<&'static str> {
    let cpuinfo = root.text("proc/cpuinfo")?;
    cpuinfo
        .lines()
        .any(|line| line.starts_with("vendor_id") && line.ends_with(": User Mode Linux"))
        .then_some("uml")
}

fn has_hypervisor_files(root: &SystemRoot) -> bool {
    root.text("sys/hypervisor/type").is_some() || root.path("proc/device-tree/hypervisor").exists()
}

/// Returns whether KVM lets the guests of this machine run guests of their own; None if its module
/// for this CPU is not loaded.
pub(super) fn kvm_nested(root: &SystemRoot) -> Option<bool> {
    let parameter = ["kvm_intel", "kvm_amd"]
        .into_iter()
        .find_map(|module| root.text(format!("sys/module/{module}/parameters/nested")))?;
    match parameter.as_str() {
        "Y" | "1" => Some(true),
        "N" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    const ABSENT: Option<Hypervisor> = Some(Hypervisor::Absent);

    fn signed(signature: &str) -> Option<Hypervisor> {
        Some(Hypervisor::Present(vec![signature.into(), String::new()]))
    }

    fn machine(sys_vendor: &str, product_name: &str, bios_vendor: &str) -> FakeRoot {
        FakeRoot::new()
            .file("sys/class/dmi/id/sys_vendor", sys_vendor)
            .file("sys/class/dmi/id/product_name", product_name)
            .file("sys/class/dmi/id/bios_vendor", bios_vendor)
    }

    fn dell() -> FakeRoot {
        machine("Dell Inc.", "PowerEdge R730", "Dell Inc.")
    }

    fn qemu() -> FakeRoot {
        machine("QEMU", "Standard PC (Q35 + ICH9, 2009)", "SeaBIOS")
    }

    fn vmware() -> FakeRoot {
        machine(
            "VMware, Inc.",
            "VMware Virtual Platform",
            "Phoenix Technologies LTD",
        )
    }

    #[test]
    fn a_physical_machine_whose_cpu_denies_a_hypervisor_is_bare_metal() {
        assert_eq!(hypervisor(dell().root(), ABSENT), Some("none"));
    }

    #[test]
    fn a_cpu_that_cannot_report_a_hypervisor_is_not_taken_for_bare_metal() {
        assert_eq!(hypervisor(dell().root(), None), None);
    }

    #[test]
    fn a_hidden_hypervisor_is_not_taken_for_bare_metal() {
        assert_eq!(hypervisor(qemu().root(), ABSENT), None);
        assert_eq!(hypervisor(vmware().root(), ABSENT), Some("vmware"));
        let other = FakeRoot::new().file("sys/hypervisor/type", "z/VM");
        assert_eq!(hypervisor(other.root(), ABSENT), None);
    }

    #[test]
    fn an_unknown_signature_on_an_unknown_machine_is_unknown() {
        assert_eq!(hypervisor(dell().root(), signed("SRESRESRESRE")), None);
    }

    #[test]
    fn the_signature_distinguishes_kvm_from_emulation_on_qemu() {
        assert_eq!(hypervisor(qemu().root(), signed("KVMKVMKVM")), Some("kvm"));
        assert_eq!(
            hypervisor(qemu().root(), signed("TCGTCGTCGTCG")),
            Some("qemu")
        );
        assert_eq!(hypervisor(qemu().root(), None), None);
    }

    #[test]
    fn a_microvm_without_firmware_is_detected_by_its_signature() {
        assert_eq!(
            hypervisor(FakeRoot::new().root(), signed("KVMKVMKVM")),
            Some("kvm")
        );
    }

    #[test]
    fn hyper_v_is_detected_by_its_signature_and_by_dmi() {
        let azure = machine(
            "Microsoft Corporation",
            "Virtual Machine",
            "American Megatrends Inc.",
        );
        assert_eq!(
            hypervisor(azure.root(), signed("Microsoft Hv")),
            Some("hyperv")
        );
        assert_eq!(hypervisor(azure.root(), None), Some("hyperv"));
    }

    #[test]
    fn virtualbox_is_detected_by_dmi_with_any_signature() {
        let virtualbox = machine("innotek GmbH", "VirtualBox", "innotek GmbH");
        for signature in ["KVMKVMKVM", "Microsoft Hv", "VBoxVBoxVBox"] {
            let found = hypervisor(virtualbox.root(), signed(signature));
            assert_eq!(found, Some("virtualbox"), "{signature}");
        }
    }

    #[test]
    fn a_paravirtual_xen_guest_is_detected_even_if_its_cpu_denies_it() {
        let guest = FakeRoot::new()
            .file("sys/hypervisor/type", "xen")
            .file("sys/hypervisor/properties/features", "000022d1");
        assert_eq!(hypervisor(guest.root(), ABSENT), Some("xen"));
    }

    #[test]
    fn the_privileged_domain_of_xen_is_distinguished_from_its_guests() {
        let by_features = dell()
            .file("sys/hypervisor/type", "xen")
            .file("sys/hypervisor/properties/features", "00002fd5");
        let by_capabilities = dell()
            .file("sys/hypervisor/type", "xen")
            .file("proc/xen/capabilities", "control_d");
        for fake in [by_features, by_capabilities] {
            assert_eq!(hypervisor(fake.root(), ABSENT), Some("xen-dom0"));
        }
    }

    #[test]
    fn a_device_tree_identifies_its_hypervisor() {
        let named = |text| {
            let fake = FakeRoot::new().file("proc/device-tree/hypervisor/compatible", text);
            hypervisor(fake.root(), None)
        };
        assert_eq!(named("xen,xen-4.16\0xen,xen\0"), Some("xen"));
        assert_eq!(named("linux,kvm\0"), Some("kvm"));
        assert_eq!(named("acme,visor\0"), None);
    }

    #[test]
    fn a_kernel_that_runs_as_a_process_says_so() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: User Mode Linux";
        let fake = FakeRoot::new().file("proc/cpuinfo", cpuinfo);
        assert_eq!(hypervisor(fake.root(), ABSENT), Some("uml"));
        assert_eq!(hypervisor(fake.root(), signed("KVMKVMKVM")), Some("uml"));
    }

    #[test]
    fn nested_guests_are_a_parameter_of_the_kvm_module() {
        let of = |module: &str, value: &str| {
            let path = format!("sys/module/{module}/parameters/nested");
            kvm_nested(FakeRoot::new().file(&path, value).root())
        };
        assert_eq!(of("kvm_intel", "Y"), Some(true));
        assert_eq!(of("kvm_amd", "1"), Some(true));
        assert_eq!(of("kvm_intel", "N"), Some(false));
        assert_eq!(of("kvm_amd", "0"), Some(false));
        assert_eq!(of("kvm_intel", "maybe"), None);
        assert_eq!(of("kvm_pvm", "Y"), None);
    }
}
