//! The RPM in a guest.

use std::path::Path;
use std::process::Output;

use crate::common::packaged;
use crate::common::{Running, assert_ended, temp_dir, text, tool};
use crate::machine::{GUEST, add_file, add_program, script};

fn rpm(root: &Path, args: &[&str]) -> Output {
    let mut command = tool("rpm");
    // Debian's rpm has its database elsewhere by default.
    command
        .arg("--root")
        .arg(root)
        .args(["--dbpath", "/var/lib/rpm"])
        .args(args);
    Running::start(command).finish()
}

#[test]
fn the_rpm_verifies_in_a_guest_and_works_as_the_manual_says() {
    let root = temp_dir();
    assert!(GUEST.is_dir());
    let package = packaged::package("x86_64.rpm");
    let installed = rpm(
        root.path(),
        &["--install", "--nosignature", package.to_str().unwrap()],
    );
    assert_ended(&installed, 0);
    // The guest's rpm, with the configuration that names its database directory.
    add_program(root.path(), "rpm");
    for file in ["rpmrc", "macros"] {
        let file = Path::new("/usr/lib/rpm").join(file);
        add_file(root.path(), &file, &file);
    }
    let printed = script(
        &["--guest-add", root.path().to_str().unwrap()],
        "/usr/bin/rpm --dbpath /var/lib/rpm -q wbench
         /usr/bin/rpm --dbpath /var/lib/rpm -V wbench
         echo whole
         wbench fileio --mode rndrd --total-size 64M --json r.json --label env=kvm --quiet
         wbench show r.json --format sysbench",
    );
    let mut lines = printed.lines();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with(&format!("wbench-{version}-")),
        "{printed}"
    );
    assert_eq!(lines.next(), Some("whole"), "{printed}");
    assert!(printed.contains("Operations performed:"), "{printed}");
    assert!(text(&installed.stdout).is_empty());
}
