//! The hypervisor as a guest sees it: the CPU's signature and the firmware's words.
//!
//! QEMU shows the signatures of others (`-cpu kvm=on`, `hv-*`, `vmware-cpuid-freq`) with KVM alone;
//! under emulation it always signs with its own. So this is a copy of it that signs otherwise. The
//! guest's kernel takes what it sees for that hypervisor, too.

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{assert_ended, folder, parsed, tool};
use crate::machine::launcher;

/// Copies the first program to the second, with the signature of QEMU's emulation, which stands in
/// its code in three words, replaced by the third argument.
const SIGN: &str = r#"
import os, sys
source, target, signature = sys.argv[1:]
signature = signature.encode().ljust(12, b"\0")
code = open(source, "rb").read()
for at, own in enumerate([b"TCGT", b"CGTC", b"GTCG"]):
    assert code.count(own) == 1, f"{own} is {code.count(own)} times in {source}"
    code = code.replace(own, signature[4 * at:4 * at + 4])
open(target, "wb").write(code)
os.chmod(target, 0o755)
"#;

/// A folder with a QEMU that signs with these characters.
fn qemu_signing(signature: &str) -> TempDir {
    let folder = folder();
    let name = "qemu-system-x86_64";
    let signed = tool("python3")
        .args(["-c", SIGN])
        .arg(tool(name).get_program())
        .arg(folder.path().join(name))
        .arg(signature)
        .output()
        .unwrap();
    assert_ended(&signed, 0);
    folder
}

/// What stands in `host.virtualization` in a guest with these words for QEMU, on a QEMU that may
/// sign as another.
fn found(signature: Option<&str>, cpu: &str, smbios: &[&str]) -> Value {
    let words = smbios.iter().flat_map(|words| ["-smbios", words]);
    // SeaBIOS would believe the signature of Xen, too, and wait for it.
    let firmware = [
        "-bios",
        "/usr/share/qemu/qboot.rom",
        "-L",
        "/usr/share/qemu",
    ];
    let firmware = firmware.into_iter().filter(|_| signature.is_some());
    let mut options = vec!["--guest-cpu", cpu];
    for word in firmware.chain(words) {
        options.extend(["--guest-qemu", word]);
    }
    let mut command = launcher(&options, &["env", "--json"]);
    let qemu = signature.map(qemu_signing);
    if let Some(qemu) = &qemu {
        let path = std::env::var("PATH").unwrap();
        // A copy does not find its modules by itself.
        command
            .env("PATH", format!("{}:{path}", qemu.path().display()))
            .env("QEMU_MODULE_DIR", "/usr/lib/x86_64-linux-gnu/qemu");
    }
    let output = command.output().unwrap();
    assert_ended(&output, 0);
    let env = parsed(&output.stdout);
    assert_eq!(env["host"]["container"], "none");
    env["host"]["virtualization"].clone()
}

#[test]
fn kvm_and_xen_are_known_by_their_signatures() {
    assert_eq!(found(Some("KVMKVMKVM"), "max", &[]), "kvm");
    assert_eq!(found(Some("XenVMMXenVMM"), "max", &[]), "xen");
}

#[test]
fn vmware_and_hyper_v_are_known_by_their_signatures() {
    assert_eq!(found(Some("VMwareVMware"), "max", &[]), "vmware");
    assert_eq!(found(Some("Microsoft Hv"), "max", &[]), "hyperv");
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
