//! Shared helpers for storage tests: the program in a directory, injected system call failures, and
//! dedicated file systems.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Running, WBENCH};

/// Every mode of the file test.
pub const MODES: [&str; 6] = ["seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"];

/// Every I/O engine.
pub const BACKENDS: [&str; 4] = ["sync", "aio", "uring", "mmap"];

/// A directory for test files, and a place for the result beside it.
pub struct Bench {
    root: TempDir,
    /// The directory of the test files.
    pub dir: PathBuf,
}

impl Bench {
    /// On the file system of the source, which supports O_DIRECT and extended attributes.
    pub fn new() -> Self {
        Self::on(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Like [`Bench::new`], with the test files that these options describe.
    pub fn prepared(set: &str) -> Self {
        let bench = Self::new();
        bench
            .fileio(&format!("prepare {set} --quiet"))
            .succeeded("prepare");
        bench
    }

    /// On the file system of a directory.
    pub fn on(directory: &Path) -> Self {
        let root = tempfile::tempdir_in(directory).expect("a directory to work in");
        let dir = root.path().join("files");
        std::fs::create_dir(&dir).expect("a directory for test files");
        Self { root, dir }
    }

    /// Where a run writes its result.
    pub fn json(&self) -> PathBuf {
        self.root.path().join("result.json")
    }

    /// The result of the last run.
    pub fn result(&self) -> Value {
        let text = std::fs::read_to_string(self.json()).expect("a result file");
        serde_json::from_str(&text).expect("JSON in the result file")
    }

    /// `wbench fileio ARGS --dir DIR`.
    pub fn fileio(&self, args: &str) -> End {
        self.with_dir(Command::new(WBENCH), args).into()
    }

    /// Like [`Bench::fileio`], with these strace(1) injections.
    pub fn fileio_under(&self, injections: &[String], args: &str) -> End {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]);
        command.arg(self.root.path().join("trace"));
        command.args(injections);
        command.arg(WBENCH);
        self.with_dir(command, args).into()
    }

    /// Like [`Bench::fileio`], but does not wait.
    pub fn start(&self, args: &str) -> Running {
        Running::start(self.command(Command::new(WBENCH), args))
    }

    fn with_dir(&self, command: Command, args: &str) -> Output {
        let mut command = self.command(command, args);
        let program = command.get_program().to_owned();
        command
            .output()
            .unwrap_or_else(|error| panic!("{program:?} is needed for this test: {error}"))
    }

    fn command(&self, mut command: Command, args: &str) -> Command {
        command.arg("fileio").args(args.split_whitespace());
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// `fileio run` with a result file.
    pub fn run(&self, args: &str) -> End {
        self.fileio(&self.run_args(args))
    }

    /// `fileio run` with a result file and injections.
    pub fn run_under(&self, injections: &[String], args: &str) -> End {
        self.fileio_under(injections, &self.run_args(args))
    }

    /// Runs the sysbench dialect on these files.
    pub fn sysbench(&self, args: &str) -> End {
        let mut command = Command::new(WBENCH);
        command.arg("--test=fileio").args(args.split_whitespace());
        command.current_dir(&self.dir);
        command.output().expect("wbench runs").into()
    }

    /// The arguments of a run that writes a result file.
    pub fn run_args(&self, args: &str) -> String {
        format!("run {args} --quiet --json {}", self.json().display())
    }

    /// The names in the directory of the test files.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).expect("the directory of the test files");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into()
            })
            .collect();
        names.sort();
        names
    }

    /// Makes the directories writable for every user.
    pub fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt;
        for directory in [self.root.path(), &self.dir] {
            let all = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(directory, all).expect("permissions set");
        }
    }

    /// The path of a test file.
    pub fn file(&self, number: u32) -> PathBuf {
        self.dir.join(format!("test_file.{number}"))
    }

    /// strace arguments that make a call fail; calls with a path or descriptor fail only on test
    /// files.
    pub fn inject(&self, call: &str, fault: &str, when: u64, files: u32) -> Vec<String> {
        let mut args = Vec::new();
        let of_queue = call.starts_with("io_");
        for file in (0..files).filter(|_| !of_queue) {
            args.push("-P".into());
            args.push(self.file(file).to_string_lossy().into());
            args.push("-P".into());
            args.push(format!("test_file.{file}"));
        }
        args.push("-e".into());
        args.push(format!("trace={call}"));
        args.push("-e".into());
        args.push(format!("inject={call}:{fault}:when={when}"));
        args
    }
}

/// How the program ended.
#[derive(Debug)]
pub struct End {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it, if any.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for End {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into(),
            stderr: String::from_utf8_lossy(&output.stderr).into(),
        }
    }
}

impl End {
    /// Fails the test unless the program succeeded.
    #[track_caller]
    pub fn succeeded(self, what: &str) -> Self {
        assert_eq!(self.status, Some(0), "{what}: {self:?}");
        self
    }

    /// Fails the test unless the program failed with a message that contains these strings.
    #[track_caller]
    pub fn failed_with(self, parts: &[&str], what: &str) -> Self {
        assert_eq!(self.status, Some(1), "{what}: {self:?}");
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "{what}: no '{part}' in {self:?}"
            );
        }
        self
    }
}

/// A file system in a file, mounted until drop.
pub struct Mounted {
    directory: TempDir,
    mounted: bool,
}

impl Mounted {
    /// Creates one with `mkfs.KIND` in an image of this size in bytes. Needs root.
    pub fn made(kind: &str, size: u64, options: &str) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let image = directory.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(size).expect("room for the image");
        // Without -F, mkfs.ext4 would ask for confirmation because the target is a file.
        let args = if kind == "xfs" { "-q" } else { "-qF" };
        must(
            &format!("mkfs.{kind}"),
            [OsStr::new(args), image.as_os_str()],
        );
        std::fs::create_dir(directory.path().join("mount")).expect("a mount point");
        let mut mounted = Self {
            directory,
            mounted: false,
        };
        let options = format!("loop,{options}");
        let args = [
            OsStr::new("-o"),
            options.as_ref(),
            image.as_ref(),
            mounted.path().as_os_str(),
        ]
        .map(OsStr::to_owned);
        must("mount", args);
        mounted.mounted = true;
        mounted
    }

    /// A tmpfs of this size in bytes. Needs root.
    pub fn tmpfs(size: u64) -> Self {
        Self::in_memory("tmpfs", &format!("size={size}"))
    }

    /// A ramfs: no extended attributes, no hole detection. Needs root.
    pub fn ramfs() -> Self {
        Self::in_memory("ramfs", "rw")
    }

    fn in_memory(kind: &str, options: &str) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        std::fs::create_dir(directory.path().join("mount")).expect("a mount point");
        let mut mounted = Self {
            directory,
            mounted: false,
        };
        let path = mounted.path();
        let args = ["-t", kind, "-o", options, kind].map(OsStr::new);
        must("mount", args.into_iter().chain([path.as_os_str()]));
        mounted.mounted = true;
        mounted
    }

    /// The mount point.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("mount")
    }

    /// Makes the loop device open its image with O_DIRECT.
    pub fn bypass_the_page_cache(&self) {
        let path = self.path();
        let found = Command::new("findmnt")
            .args(["-n", "-o", "SOURCE"])
            .arg(&path)
            .output()
            .expect("findmnt is needed for this test");
        let device = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        must("losetup", ["--direct-io=on", &device]);
    }

    /// Remounts it with these options.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let path = self.path();
        must(
            "mount",
            [OsStr::new("-o"), options.as_ref(), path.as_os_str()],
        );
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily, so that nothing stays mounted even if a test left a process behind.
            let _ = Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }
}

/// A file mounted on itself until drop, as containers mount files. Needs root.
pub struct Bound(PathBuf);

impl Bound {
    /// Mounts a file.
    pub fn on(file: &Path) -> Self {
        must(
            "mount",
            ["--bind".as_ref(), file.as_os_str(), file.as_os_str()],
        );
        Self(file.to_owned())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn must<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) {
    let done = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let message = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{program} (as root) is needed for this test: {message}"
    );
}
