//! Hypervisor detection in a guest: the CPUID signature and the firmware's strings.
//!
//! QEMU presents the signatures of other hypervisors (`-cpu kvm=on`, `hv-*`, `vmware-cpuid-freq`)
//! only with KVM; under emulation it always presents its own. These tests therefore use a patched
//! copy of QEMU. The guest's kernel also believes the signature.

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{assert_ended, parsed, temp_dir, tool};
use crate::machine::launcher;

/// Copies the first program to the second and replaces the signature of QEMU's emulation, three
/// words in its code, with the third argument.
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

/// A directory with a QEMU that presents this signature.
fn qemu_signing(signature: &str) -> TempDir {
    let directory = temp_dir();
    let name = "qemu-system-x86_64";
    let signed = tool("python3")
        .args(["-c", SIGN])
        .arg(tool(name).get_program())
        .arg(directory.path().join(name))
        .arg(signature)
        .output()
        .unwrap();
    assert_ended(&signed, 0);
    directory
}

/// The value of `host.virtualization` in a guest with these QEMU options, optionally with another
/// signature.
fn found(signature: Option<&str>, cpu: &str, smbios: &[&str]) -> Value {
    let args = smbios.iter().flat_map(|args| ["-smbios", args]);
    // SeaBIOS would also believe the signature of Xen, and wait for it.
    let firmware = [
        "-bios",
        "/usr/share/qemu/qboot.rom",
        "-L",
        "/usr/share/qemu",
    ];
    let firmware = firmware.into_iter().filter(|_| signature.is_some());
    let mut options = vec!["--guest-cpu", cpu];
    for word in firmware.chain(args) {
        options.extend(["--guest-qemu", word]);
    }
    let mut command = launcher(&options, &["env", "--json"]);
    let qemu = signature.map(qemu_signing);
    if let Some(qemu) = &qemu {
        let path = std::env::var("PATH").unwrap();
        // A copy does not find its modules without help.
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
fn kvm_and_xen_are_recognized_by_their_signatures() {
    assert_eq!(found(Some("KVMKVMKVM"), "max", &[]), "kvm");
    assert_eq!(found(Some("XenVMMXenVMM"), "max", &[]), "xen");
}

#[test]
fn vmware_and_hyper_v_are_recognized_by_their_signatures() {
    assert_eq!(found(Some("VMwareVMware"), "max", &[]), "vmware");
    assert_eq!(found(Some("Microsoft Hv"), "max", &[]), "hyperv");
}

#[test]
fn the_firmware_names_the_hypervisor_if_the_cpu_does_not() {
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
