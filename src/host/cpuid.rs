//! What the CPU says of itself and of a hypervisor above it.

/// What CPUID tells of a hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hypervisor {
    /// The hypervisor bit is clear.
    Absent,
    /// The hypervisor bit is set; the signatures of the interfaces offered, the first first.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "only x86-64 has CPUID")
    )]
    Present(Vec<String>),
}

impl Hypervisor {
    /// The hypervisor's name by its signatures. That of Hyper-V counts only where it stands
    /// alone: others offer it to please Windows.
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

    /// Where the hypervisor's first interface begins, and its second: Xen and KVM put their own
    /// there when they also offer the interface of Hyper-V.
    const INTERFACES: [u32; 2] = [0x4000_0000, 0x4000_0100];

    /// What CPUID tells of a hypervisor; None where this architecture or CPU has no way to.
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

    /// The brand string.
    pub(in crate::host) fn brand() -> Option<String> {
        let brand = CpuId::new().get_processor_brand_string()?;
        let brand = brand.as_str().trim();
        (!brand.is_empty()).then(|| brand.to_owned())
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{brand, hypervisor};

/// What CPUID tells of a hypervisor; None where this architecture or CPU has no way to.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn hypervisor() -> Option<Hypervisor> {
    None
}

/// The brand string.
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
    fn a_signature_names_its_hypervisor() {
        assert_eq!(signed(&["KVMKVMKVM", ""]), Some("kvm"));
        assert_eq!(signed(&["TCGTCGTCGTCG", ""]), Some("qemu"));
        assert_eq!(signed(&["VMwareVMware", ""]), Some("vmware"));
        assert_eq!(signed(&["bhyve bhyve ", ""]), Some("bhyve"));
        assert_eq!(signed(&["ACRNACRNACRN", ""]), Some("acrn"));
    }

    #[test]
    fn the_interface_of_hyper_v_yields_to_the_one_behind_it() {
        assert_eq!(signed(&["Microsoft Hv", "KVMKVMKVM"]), Some("kvm"));
        assert_eq!(signed(&["Microsoft Hv", "XenVMMXenVMM"]), Some("xen"));
        assert_eq!(signed(&["Microsoft Hv", ""]), Some("hyperv"));
    }

    #[test]
    fn an_unknown_signature_names_nothing() {
        assert_eq!(signed(&["SRESRESRESRE", ""]), None);
        assert_eq!(Hypervisor::Absent.name(), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_64_bit_x86_cpu_tells_whether_there_is_a_hypervisor() {
        assert!(hypervisor().is_some());
    }
}
