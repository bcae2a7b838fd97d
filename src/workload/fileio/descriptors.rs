//! The limit of file descriptors.

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that a run needs beside those of the test files.
const OTHER_DESCRIPTORS: u64 = 64;

/// Raises the soft limit as far as so many files need, and the hard limit allows.
pub(super) fn raise_limit(files: u64) -> Result<()> {
    let needed = files + OTHER_DESCRIPTORS;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("reading the limit of file descriptors")?;
    if soft >= needed {
        return Ok(());
    }
    ensure!(
        hard >= needed,
        "{files} test files need {needed} file descriptors, and the hard limit is {hard}; raise it \
         (ulimit -Hn, or LimitNOFILE= of systemd), or take fewer files"
    );
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard)
        .with_context(|| format!("raising the limit of file descriptors to {needed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_files_than_descriptors_can_be_had_are_refused_with_both_numbers() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let error = raise_limit(hard).unwrap_err().to_string();
        assert!(
            error.contains(&hard.to_string()) && error.contains("ulimit"),
            "{error}"
        );
    }
}
