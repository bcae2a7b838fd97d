//! The limit of open file descriptors.

use std::fmt::Display;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Descriptors that a process needs beside those that it counts: standard streams, result files,
/// files of the kernel.
pub const OTHER_DESCRIPTORS: u64 = 64;

/// The soft and the hard limit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimit {
    soft: rlim_t,
    hard: rlim_t,
}

impl DescriptorLimit {
    fn of_this_process() -> Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
            .context("cannot read the limit of file descriptors")?;
        Ok(Self { soft, hard })
    }

    /// Sets the limit of the calling process: a single system call, safe between fork and exec.
    pub fn set(self) -> nix::Result<()> {
        setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard)
    }
}

/// Raises the soft limit to `needed` where it is lower, and returns the limit before.
///
/// Fails if the hard limit is lower: `what` needs the descriptors, `instead` is what the user can
/// do about it.
pub fn raise_limit(needed: u64, what: impl Display, instead: &str) -> Result<DescriptorLimit> {
    let before = DescriptorLimit::of_this_process()?;
    let hard = before.hard;
    if before.soft >= needed {
        return Ok(before);
    }
    ensure!(
        hard >= needed,
        "{what} need {needed} file descriptors, and the hard limit is {hard}: raise it (ulimit \
         -Hn, or LimitNOFILE= of systemd), or {instead}"
    );
    let raised = DescriptorLimit { soft: needed, hard };
    raised
        .set()
        .with_context(|| format!("cannot raise the limit of file descriptors to {needed}"))?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_descriptors_than_the_hard_limit_allows_are_refused_with_both_numbers() {
        let hard = DescriptorLimit::of_this_process().unwrap().hard;
        let error = raise_limit(hard + 1, "9 files", "use fewer files").unwrap_err();
        let error = error.to_string();
        for part in [&*hard.to_string(), "9 files", "ulimit", "use fewer files"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
