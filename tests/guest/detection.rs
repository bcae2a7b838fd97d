//! The hypervisor as a guest sees it: the CPU's signature and the firmware's words.
//!
//! QEMU shows the signatures of others (`-cpu kvm=on`, `hv-*`, `vmware-cpuid-freq`) with KVM alone;
//! under emulation it always signs with its own. So this is a copy of it that signs otherwise. The
//! guest's kernel takes what it sees for that hypervisor, too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Running, assert_ended, folder, parsed, tool};
use crate::machine::launcher;

/// The signature of QEMU's emulation, in the words in which CPUID gives it.
const OWN: [&[u8; 4]; 3] = [b"TCGT", b"CGTC", b"GTCG"];

/// A folder with a QEMU that signs with these twelve characters.
fn qemu_signing(signature: &[u8; 12]) -> TempDir {
    let name = "qemu-system-x86_64";
    let mut code = fs::read(PathBuf::from(tool(name).get_program())).unwrap();
    for (own, other) in OWN.iter().zip(signature.chunks(4)) {
        let found: Vec<usize> = memchr_all(&code, *own);
        let [at] = found[..] else {
            panic!("this QEMU has {own:?} {} times in its code", found.len());
        };
        code[at..at + 4].copy_from_slice(other);
    }
    let folder = folder();
    let program = folder.path().join(name);
    fs::write(&program, code).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn memchr_all(code: &[u8], word: &[u8]) -> Vec<usize> {
    let places = code.windows(word.len()).enumerate();
    places.filter(|(_, found)| *found == word).map(|(at, _)| at).collect()
}

/// What stands in `host.virtualization` in a guest with these words for QEMU, on a QEMU that may
/// sign as another.
fn found(signature: Option<&[u8; 12]>, cpu: &str, smbios: &[&str]) -> Value {
    let words = smbios.iter().flat_map(|words| ["-smbios", words]);
    // A copy does not find its firmware by itself.
    let firmware = ["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"];
    let mut options = vec!["--guest-cpu", cpu];
    for word in firmware.into_iter().chain(words) {
        options.extend(["--guest-qemu", word]);
    }
    let mut command = launcher(&options, &["env", "--json"]);
    let qemu = signature.map(qemu_signing);
    if let Some(qemu) = &qemu {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", qemu.path().display()));
    }
    let output = Running::start(command).finish();
    assert_ended(&output, 0);
    let env = parsed(&output.stdout);
    assert_eq!(env["host"]["container"], "none");
    env["host"]["virtualization"].clone()
}

#[test]
fn kvm_and_xen_are_known_by_their_signatures() {
    assert_eq!(found(Some(b"KVMKVMKVM\0\0\0"), "max", &[]), "kvm");
    assert_eq!(found(Some(b"XenVMMXenVMM"), "max", &[]), "xen");
}

#[test]
fn vmware_and_hyper_v_are_known_by_their_signatures() {
    assert_eq!(found(Some(b"VMwareVMware"), "max", &[]), "vmware");
    assert_eq!(found(Some(b"Microsoft Hv"), "max", &[]), "hyperv");
}

#[test]
fn where_the_cpu_denies_a_hypervisor_the_firmware_may_name_it() {
    let vmware = "type=1,manufacturer=VMware,, Inc.,product=VMware Virtual Platform";
    assert_eq!(found(None, "max,-hypervisor", &[vmware]), "vmware");
    let azure = "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine";
    assert_eq!(found(None, "max,-hypervisor", &[azure]), "hyperv");
}

#[test]
fn a_hypervisor_that_hides_its_name_is_unknown_and_not_bare_metal() {
    assert_eq!(found(None, "max,-hypervisor", &[]), Value::Null);
    assert_eq!(found(None, "max,tcg-cpuid=off", &[]), Value::Null);
}
