//! Options of the fileio test.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::general::General;
use super::options::BuiltInTest;
use super::refusal::{Checked, Refusal, Stream};
use super::test_values::TestValues;
use super::values::GivenOptions;
use crate::plan::{
    FileMode, FilePlan, FileSet, FileioParams, FsyncMode, IoMode, OpenFlags, RequestStream,
};
use crate::report::sysbench::Verbosity;

/// A file I/O test.
#[derive(Debug)]
pub struct FileTest {
    /// The test files.
    pub files: FilePlan,
    /// Parameters; without `--file-test-mode`, as for reading.
    pub params: FileioParams,
}

/// Returns the test whose files are to be prepared or removed.
pub(super) fn test(
    test: &BuiltInTest,
    values: &GivenOptions,
    general: &General,
) -> Checked<FileTest> {
    TestValues { test, values }.file_test(FileMode::Rndrd, general)
}

/// Returns the test to run.
pub(super) fn run(
    test: &BuiltInTest,
    values: &GivenOptions,
    general: &General,
) -> Checked<FileTest> {
    let options = TestValues { test, values };
    let set = options.sizes()?;
    let mode = options.mode(general)?;
    options.file_test_of(set, mode, general)
}

/// Number of files, total size, as given.
type Sizes = (NonZeroU32, u64);

impl TestValues<'_> {
    fn file_test(&self, mode: FileMode, general: &General) -> Checked<FileTest> {
        self.file_test_of(self.sizes()?, mode, general)
    }

    fn sizes(&self) -> Checked<Sizes> {
        let files = self.number("file-num")?;
        let count = u32::try_from(files).ok().and_then(NonZeroU32::new);
        let count = count.ok_or_else(|| refused("file-num", &files.to_string()))?;
        let total = self.values.size(self.test.option("file-total-size"));
        let total = total.filter(|&total| total > 0);
        Ok((count, total.ok_or_else(|| refused("file-total-size", "0"))?))
    }

    fn mode(&self, general: &General) -> Checked<FileMode> {
        use FileMode::{Rndrd, Rndrw, Rndwr, Seqrd, Seqrewr, Seqwr};
        let text = self.values.text(self.test.option("file-test-mode"));
        let Some(text) = text else {
            let help = self.test.help();
            let is_headed = general.verbosity >= Verbosity::NOTICE;
            let lines = help.split_once('\n').map_or("", |(_, lines)| lines);
            return Err(Refusal {
                text: format!(
                    "FATAL: Missing required argument: --file-test-mode\n\n{}",
                    if is_headed { &help } else { lines }
                ),
                stream: Stream::Stdout,
            });
        };
        let modes = [Seqwr, Seqrewr, Seqrd, Rndrd, Rndwr, Rndrw];
        let mode = modes.into_iter().find(|mode| mode.name() == text);
        mode.ok_or_else(|| Refusal::fatal(format_args!("Invalid IO operations mode: {text}.")))
    }

    /// Checks the other options in the order of 1.0.
    fn file_test_of(
        &self,
        (count, total): Sizes,
        mode: FileMode,
        general: &General,
    ) -> Checked<FileTest> {
        let io_mode = self.io_mode()?;
        let depth = self.number("file-async-backlog")?;
        let depth = u32::try_from(depth).ok().and_then(NonZeroU32::new);
        let depth = match (depth, io_mode) {
            (Some(depth), _) => depth,
            (None, IoMode::Aio) => {
                let given = self.number("file-async-backlog")?;
                return Err(Refusal::fatal(format_args!(
                    "Invalid value of file-async-backlog: {given}"
                )));
            }
            (None, _) => NonZeroU32::MIN,
        };
        let merged_requests = self.not_negative("file-merged-requests")?;
        let block_size = self.values.size(self.test.option("file-block-size"));
        let block_size = block_size.filter(|&size| size > 0);
        let block_size = block_size.ok_or_else(|| refused("file-block-size", "0."))?;
        let flags = self.open_flags()?;
        let fsync_freq = self.not_negative("file-fsync-freq")?;
        let fsync_mode = self.fsync_mode()?;
        let rw_ratio = self.rw_ratio()?;
        let set = FileSet::new(total, count, block_size)?;
        let params = FileioParams {
            mode,
            io_mode,
            depth,
            block_size_bytes: block_size,
            total_size_bytes: total,
            files: count,
            flags,
            fsync_freq,
            fsync_all: self.switch("file-fsync-all"),
            fsync_end: self.switch("file-fsync-end"),
            fsync_mode,
            merged_requests,
            rw_ratio,
            validate: general.validate,
            drop_cache: false,
            stream: RequestStream::V1_0,
        };
        Ok(FileTest {
            files: FilePlan {
                dir: PathBuf::from("."),
                set,
                validate: general.validate,
                recreate: false,
            },
            params: params.validated(set)?,
        })
    }

    fn io_mode(&self) -> Checked<IoMode> {
        let text = self.values.text(self.test.option("file-io-mode"));
        match text.unwrap_or("sync") {
            "sync" => Ok(IoMode::Sync),
            "async" => Ok(IoMode::Aio),
            "mmap" => Ok(IoMode::Mmap),
            text => Err(Refusal::fatal(format_args!("unknown I/O mode: {text}"))),
        }
    }

    /// Returns the flag of `open`. With several, 1.0 opens as with the strictest, or refuses.
    fn open_flags(&self) -> Checked<OpenFlags> {
        let text = self.values.text(self.test.option("file-extra-flags"));
        let mut flags = OpenFlags::None;
        for item in text
            .unwrap_or_default()
            .split(',')
            .filter(|it| !it.is_empty())
        {
            flags = match (item, flags) {
                ("sync", OpenFlags::None | OpenFlags::Sync | OpenFlags::Dsync) => OpenFlags::Sync,
                ("dsync", OpenFlags::None | OpenFlags::Dsync) => OpenFlags::Dsync,
                ("dsync", OpenFlags::Sync) => OpenFlags::Sync,
                ("direct", OpenFlags::None | OpenFlags::Direct) => OpenFlags::Direct,
                ("sync" | "dsync" | "direct", _) => {
                    return Err(Refusal::fatal(format_args!(
                        "invalid --file-extra-flags={}: direct cannot be combined with sync or dsync",
                        text.unwrap_or_default()
                    )));
                }
                _ => return Err(refused("file-extra-flags", item)),
            };
        }
        Ok(flags)
    }

    fn fsync_mode(&self) -> Checked<FsyncMode> {
        let text = self.values.text(self.test.option("file-fsync-mode"));
        match text.unwrap_or_default() {
            "fsync" => Ok(FsyncMode::Fsync),
            "fdatasync" => Ok(FsyncMode::Fdatasync),
            text => Err(Refusal::fatal(format_args!("Invalid fsync mode: {text}."))),
        }
    }

    /// Returns the ratio of reads to writes. 1.0 reads an invalid one as 0.
    fn rw_ratio(&self) -> Checked<f64> {
        let text = self.values.text(self.test.option("file-rw-ratio"));
        let text = text.unwrap_or_default();
        match text.parse::<f64>() {
            Ok(ratio) if ratio < 0.0 => Err(Refusal::fatal(format_args!(
                "Invalid value for --file-rw-ratio: {ratio:.6}."
            ))),
            Ok(ratio) if ratio.is_finite() => Ok(ratio),
            _ => Err(Refusal::fatal(format_args!(
                "Invalid value for --file-rw-ratio: {text}."
            ))),
        }
    }

    fn not_negative(&self, name: &str) -> Checked<u32> {
        let number = self.number(name)?;
        u32::try_from(number).map_err(|_| refused(name, &format!("{number}.")))
    }
}

fn refused(name: &str, value: &str) -> Refusal {
    Refusal::fatal(format_args!("Invalid value for {name}: {value}"))
}
