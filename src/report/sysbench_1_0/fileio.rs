//! Texts of the fileio test.

use std::fmt::Write as _;

use crate::cli::sysbench_1_0::{FileTest, General};
use crate::plan::{FileMode, FileioParams, IoMode, OpenFlags};
use crate::report::sysbench::number::general5;
use crate::report::sysbench::{Text, Verbosity};

/// State of a test file before `prepare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// There is no such file.
    Missing,
    /// It has less than the required size.
    TooSmall,
    /// It can be used as it is.
    Complete,
}

/// Returns the text printed before test files are created.
pub fn preparing(general: &General, test: &FileTest, states: &[FileState]) -> String {
    let mut text = Text::new(general.verbosity);
    let set = test.files.set;
    let file_size = set.file_size + set.lost;
    text.notice(format!(
        "{} files, {}Kb each, {}Mb total\nCreating files for the test...\nExtra file open flags: {}\n",
        set.files,
        file_size >> 10,
        (file_size * u64::from(set.files.get())) >> 20,
        open_flags(test.params.flags),
    ));
    for (file, state) in states.iter().enumerate() {
        let action = match state {
            FileState::Missing => "Creating file",
            FileState::TooSmall => "Extending existing file",
            FileState::Complete => "Reusing existing file",
        };
        text.notice(format!("{action} test_file.{file}\n"));
    }
    text.text
}

/// Returns the text printed after test files were created.
pub fn prepared(general: &General, bytes: u64, seconds: f64) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice(match bytes {
        0 => "No bytes written.\n".to_owned(),
        _ => {
            let rate = bytes as f64 / f64::from(1 << 20) / seconds.max(1e-9);
            format!("{bytes} bytes written in {seconds:.2} seconds ({rate:.2} MiB/sec).\n")
        }
    });
    text.text
}

/// Returns the text printed before test files are removed.
pub fn removing(general: &General) -> String {
    let mut text = Text::new(general.verbosity);
    text.notice("Removing test files...\n");
    text.text
}

/// Returns the lines printed when this many files are opened.
pub fn opening(general: &General, files: usize) -> String {
    let mut text = Text::new(general.verbosity);
    for file in 0..files {
        text.push(
            Verbosity::DEBUG,
            format!("DEBUG: Opening file: test_file.{file}\n"),
        );
    }
    text.text
}

/// Returns the message about a file without the required size.
pub fn unusable(general: &General, file: usize, size: Option<u64>, required: u64) -> String {
    let mut text = Text::new(general.verbosity);
    let (problem, hint) = match size {
        None => (
            format!("Cannot open file 'test_file.{file}' errno = 2 (No such file or directory)"),
            "Did you forget to run the prepare step?",
        ),
        Some(bytes) => (
            format!(
                "Size of file 'test_file.{file}' is {}, but at least {} is expected.",
                size_of(bytes),
                size_of(required)
            ),
            "Did you run 'prepare' with different --file-total-size or --file-num values?",
        ),
    };
    text.push(Verbosity::FATAL, format!("FATAL: {problem}\n"));
    text.push(Verbosity::WARNING, format!("WARNING: {hint}\n"));
    text.text
}

/// Returns the options of a run.
pub(super) fn options(params: &FileioParams, max_events: Option<u64>, validate: bool) -> String {
    let files = u64::from(params.files.get());
    let mut text = format!(
        "Extra file open flags: {}\n{files} files, {} each\n{} total file size\nBlock size {}\n",
        open_flags(params.flags),
        size_of(params.total_size_bytes / files),
        size_of(params.total_size_bytes),
        size_of(params.block_size_bytes)
    );
    let mut line = |line: String| _ = writeln!(text, "{line}");
    if params.merged_requests > 0 {
        let size = size_of(params.block_size_bytes * u64::from(params.merged_requests));
        line(format!("Merging requests up to {size} for sequential IO."));
    }
    if !params.mode.is_sequential() {
        line(format!(
            "Number of IO requests: {}",
            max_events.unwrap_or(0)
        ));
        let ratio = params.rw_ratio;
        line(format!(
            "Read/Write ratio for combined random IO test: {ratio:.2}"
        ));
    }
    if params.fsync_freq > 0 {
        let freq = params.fsync_freq;
        line(format!(
            "Periodic FSYNC enabled, calling fsync() each {freq} requests."
        ));
    }
    if params.fsync_end {
        line("Calling fsync() at the end of test, Enabled.".to_owned());
    }
    if params.fsync_all {
        line("Calling fsync() after each write operation.".to_owned());
    }
    let io_mode = match params.io_mode {
        IoMode::Sync => "synchronous",
        IoMode::Aio => "asynchronous",
        IoMode::Uring => "io_uring",
        IoMode::Mmap => "fast mmaped",
    };
    line(format!("Using {io_mode} I/O mode"));
    if validate {
        line("Using checksums validation.".to_owned());
    }
    let mode = match params.mode {
        FileMode::Seqwr => "sequential write (creation)",
        FileMode::Seqrewr => "sequential rewrite",
        FileMode::Seqrd => "sequential read",
        FileMode::Rndrd => "random read",
        FileMode::Rndwr => "random write",
        FileMode::Rndrw => "random r/w",
    };
    line(format!("Doing {mode} test"));
    text
}

fn open_flags(flags: OpenFlags) -> &'static str {
    match flags {
        OpenFlags::None => "(none)",
        OpenFlags::Sync => "sync ",
        OpenFlags::Dsync => "dsync ",
        OpenFlags::Direct => "directio",
    }
}

/// Formats a size as 1.0 does: 5 significant digits, then B, KiB, MiB, GiB or TiB.
fn size_of(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = next;
    }
    format!("{}{unit}", general5(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_5_digits_and_a_binary_unit() {
        for (bytes, text) in [
            (512, "512B"),
            (3000, "2.9297KiB"),
            (349_525, "341.33KiB"),
            (512_001_536, "488.28MiB"),
            (1 << 31, "2GiB"),
        ] {
            assert_eq!(size_of(bytes), text);
        }
    }
}
