//! CPUID: the brand of the CPU and the signature of a hypervisor.

/// What CPUID reports about a hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hypervisor {
    /// The hypervisor bit is clear.
    Absent,
    /// The hypervisor bit is set; the signatures of the interfaces, in order of their leaves.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "only x86-64 has CPUID")
    )]
    Present(Vec<String>),
}

impl Hypervisor {
    /// Returns the hypervisor's name by its signatures. That of Hyper-V counts only if it is the
    /// only one: others offer its interface for Windows guests.
    pub(super) fn name(&self) -> Option<&'static str> {
        let Self::Present(signatures) = self else {
            return None;
        };
        let names = || signatures.iter().filter_map(|signature| name(signature));
        names()
            .find(|&name| name != "hyperv")
            .or_else(|| names().next())
    }
}

fn name(signature: &str) -> Option<&'static str> {
    Some(match signature {
        "KVMKVMKVM" | "LKVMLKVMLKVM" | "Linux KVM Hv" => "kvm",
        "TCGTCGTCGTCG" => "qemu",
        "VMwareVMware" => "vmware",
        "Microsoft Hv" => "hyperv",
        "XenVMMXenVMM" => "xen",
        "VBoxVBoxVBox" => "virtualbox",
        "bhyve bhyve " | "BHyVE BHyVE " => "bhyve",
        " lrpepyh vr" | " lrpepyh  vr" | "prl hyperv  " => "parallels",
        "ACRNACRNACRN" => "acrn",
        "QNXQVMBSQG" => "qnx",
        "Jailhouse" => "jailhouse",
        "OpenBSDVMM58" => "openbsd-vmm",
        "___ NVMM ___" => "nvmm",
        "HAXMHAXMHAXM" => "haxm",
        _ => return None,
    })
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use raw_cpuid::{CpuId, CpuIdReader, CpuIdReaderNative};

    use super::Hypervisor;

    /// Base leaves of a hypervisor's first and second interface: Xen and KVM move their own to the
    /// second if they also offer the interface of Hyper-V.
    const INTERFACES: [u32; 2] = [0x4000_0000, 0x4000_0100];

    /// Returns what CPUID reports about a hypervisor; None if this CPU cannot report one.
    pub(in crate::host) fn hypervisor() -> Option<Hypervisor> {
        if !CpuId::new().get_feature_info()?.has_hypervisor() {
            return Some(Hypervisor::Absent);
        }
        Some(Hypervisor::Present(INTERFACES.map(signature).into()))
    }

    fn signature(leaf: u32) -> String {
        let found = CpuIdReaderNative.cpuid1(leaf);
        let bytes = [found.ebx, found.ecx, found.edx]
            .map(u32::to_le_bytes)
            .concat();
        String::from_utf8_lossy(&bytes)
            .trim_end_matches('\0')
            .to_owned()
    }

    /// Returns whether the CPU can run guests (VMX or SVM).
    pub(in crate::host) fn virtualization_extensions() -> Option<bool> {
        let cpuid = CpuId::new();
        let vmx = cpuid.get_feature_info()?.has_vmx();
        let extended = cpuid.get_extended_processor_and_feature_identifiers();
        Some(vmx || extended.is_some_and(|features| features.has_svm()))
    }

    /// Returns the brand string.
    pub(in crate::host) fn brand() -> Option<String> {
        let brand = CpuId::new().get_processor_brand_string()?;
        let brand = brand.as_str().trim();
        (!brand.is_empty()).then(|| brand.to_owned())
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{brand, hypervisor, virtualization_extensions};

/// Returns None: this architecture cannot report a hypervisor.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn hypervisor() -> Option<Hypervisor> {
    None
}

/// Returns None: this architecture does not report them to programs.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn virtualization_extensions() -> Option<bool> {
    None
}

/// Returns None: this architecture has no brand string.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn brand() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signatures: &[&str]) -> Option<&'static str> {
        Hypervisor::Present(signatures.iter().map(|&s| s.into()).collect()).name()
    }

    #[test]
    fn a_signature_identifies_its_hypervisor() {
        assert_eq!(signed(&["KVMKVMKVM", ""]), Some("kvm"));
        assert_eq!(signed(&["TCGTCGTCGTCG", ""]), Some("qemu"));
        assert_eq!(signed(&["VMwareVMware", ""]), Some("vmware"));
        assert_eq!(signed(&["bhyve bhyve ", ""]), Some("bhyve"));
        assert_eq!(signed(&["ACRNACRNACRN", ""]), Some("acrn"));
    }

    #[test]
    fn a_second_interface_takes_precedence_over_that_of_hyper_v() {
        assert_eq!(signed(&["Microsoft Hv", "KVMKVMKVM"]), Some("kvm"));
        assert_eq!(signed(&["Microsoft Hv", "XenVMMXenVMM"]), Some("xen"));
        assert_eq!(signed(&["Microsoft Hv", ""]), Some("hyperv"));
    }

    #[test]
    fn an_unknown_signature_has_no_name() {
        assert_eq!(signed(&["SRESRESRESRE", ""]), None);
        assert_eq!(Hypervisor::Absent.name(), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_x86_64_cpu_reports_whether_a_hypervisor_is_present() {
        assert!(hypervisor().is_some());
    }
}
