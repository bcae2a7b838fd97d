//! What filters the system calls of this process: seccomp and Linux security modules.

use std::io;

use super::machine::field;
use super::root::SystemRoot;
use crate::result::Confinement;

/// Describes the confinement of this process.
pub(super) fn confinement(root: &SystemRoot) -> Confinement {
    let status = root.text("proc/self/status").unwrap_or_default();
    let seccomp = field(&status, "Seccomp").and_then(|mode| match mode {
        "0" => Some("none"),
        "1" => Some("strict"),
        "2" => Some("filter"),
        _ => None,
    });
    Confinement {
        seccomp: seccomp.map(Into::into),
        seccomp_filters: field(&status, "Seccomp_filters").and_then(|count| count.parse().ok()),
        lsm_context: context(root.read("proc/self/attr/current")),
        lsms: root.text("sys/kernel/security/lsm"),
    }
}

/// Returns the security context from what reading /proc/self/attr/current gives; "none" if no
/// security module has contexts: the kernel then fails with EINVAL.
fn context(read: io::Result<String>) -> Option<String> {
    match read {
        Ok(text) => {
            let text = text.trim_end_matches(['\0', '\n']).trim();
            (!text.is_empty()).then(|| without_level(text).to_owned())
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Some("none".into()),
        Err(_) => None,
    }
}

/// Removes the level of a context of SELinux, `user:role:type:level`: its categories differ between
/// containers, but have no effect on speed. A profile of AppArmor, `name (mode)`, stays as it is.
fn without_level(context: &str) -> &str {
    let is_selinux = !context.contains([' ', '/']);
    match context.match_indices(':').nth(2) {
        Some((third, _)) if is_selinux => &context[..third],
        _ => context,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeRoot;

    fn of_status(status: &str) -> Confinement {
        confinement(FakeRoot::new().file("proc/self/status", status).root())
    }

    #[test]
    fn the_mode_and_the_filters_of_seccomp_are_read_from_the_status() {
        let docker = of_status("NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n");
        assert_eq!(docker.seccomp.unwrap(), "filter");
        assert_eq!(docker.seccomp_filters, Some(1));
        let host = of_status("NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n");
        assert_eq!(host.seccomp.unwrap(), "none");
        assert_eq!(host.seccomp_filters, Some(0));
        // Before Linux 5.9.
        let old = of_status("Seccomp:\t1\nSpeculation_Store_Bypass:\tvulnerable");
        assert_eq!(old.seccomp.unwrap(), "strict");
        assert_eq!(old.seccomp_filters, None);
    }

    #[test]
    fn seccomp_is_unknown_without_its_line() {
        for status in ["Name:\twbench", "Seccomp:\t7", "Seccomp:"] {
            assert_eq!(of_status(status), Confinement::default(), "{status}");
        }
    }

    #[test]
    fn the_context_is_a_profile_of_apparmor_or_a_context_of_selinux_without_its_level() {
        for (text, expected) in [
            ("docker-default (enforce)\n", "docker-default (enforce)"),
            ("a:b:c:d (complain)\n", "a:b:c:d (complain)"),
            ("unconfined\n", "unconfined"),
            (
                "system_u:system_r:container_t:s0:c12,c993\0",
                "system_u:system_r:container_t",
            ),
            (
                "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0",
                "unconfined_u:unconfined_r:unconfined_t",
            ),
        ] {
            assert_eq!(context(Ok(text.into())).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_module_that_has_contexts_there_is_none_and_without_the_file_it_is_unknown() {
        let error = |errno| Err(io::Error::from_raw_os_error(errno));
        assert_eq!(context(error(libc::EINVAL)).unwrap(), "none");
        assert_eq!(context(error(libc::ENOENT)), None);
        assert_eq!(context(error(libc::EACCES)), None);
        assert_eq!(context(Ok("\0".into())), None);
    }

    #[test]
    fn the_active_modules_are_those_of_securityfs() {
        let fake = FakeRoot::new().file("sys/kernel/security/lsm", "capability,yama,apparmor");
        assert_eq!(
            confinement(fake.root()).lsms.unwrap(),
            "capability,yama,apparmor"
        );
    }
}
