//! Shared helpers for tests of the whole program: starting, observing and tracing it.

// Each test program uses only some of these.
#![allow(dead_code)]

pub mod browser;
pub mod container;
pub mod logs;
pub mod packaged;
pub mod process;
pub mod requests;
pub mod result_file;
pub mod ssh;
pub mod storage;
pub mod suite;
pub mod sweep;

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub const WBENCH: &str = env!("CARGO_BIN_EXE_wbench");

/// How long a test waits before it considers something hung.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// An empty directory on the disk the program was built on; unlike /tmp, never a tmpfs.
pub fn temp_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for the test")
}

/// The program with these arguments, in a directory.
pub fn wbench(directory: &Path, args: &str) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(WBENCH);
    command
        .args(args.split_whitespace())
        .current_dir(directory)
        .timeout(PATIENCE);
    command
}

/// A tool that the test requires.
pub fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| panic!("this test needs the tool '{name}': install it")))
}

/// Runs a campaign of `tests/campaign` with these arguments; fails if a run breaks a rule.
#[track_caller]
pub fn assert_campaign_finds_nothing(script: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/campaign")
        .join(script);
    let output = tool("python3")
        .arg("-B")
        .arg(script)
        .args(["--binary", WBENCH, "--dir", env!("CARGO_TARGET_TMPDIR")])
        .args(arguments)
        .output()
        .expect("python3 runs");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
}

/// Runs the program with `--json -` and returns the result, which must be its entire output.
pub fn result_of(directory: &Path, args: &str) -> Value {
    let done = wbench(directory, args)
        .args(["--json", "-"])
        .assert()
        .success();
    parsed(&done.get_output().stdout)
}

/// Parses a file or an output as JSON.
pub fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("no JSON: {error}: {}", String::from_utf8_lossy(text)))
}

/// The result in a file.
pub fn result_in(file: &Path) -> Value {
    parsed(&std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
}

/// The published schema of a result.
pub fn validator() -> jsonschema::Validator {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/wbench.result-1.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    jsonschema::validator_for(&parsed(&text)).expect("the schema is one")
}

/// Fails unless a result is valid by the published schema.
#[track_caller]
pub fn assert_valid(validator: &jsonschema::Validator, result: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(result)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

/// The names in a directory, sorted.
pub fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the directory exists")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The CPUs that this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap())
        .collect()
}

/// The number at a JSON pointer.
pub fn number(document: &Value, pointer: &str) -> f64 {
    document
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{pointer} is not a number in {document:#}"))
}

/// Output of a process as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Fails unless the process ended with this status and without a panic.
#[track_caller]
pub fn assert_ended(output: &Output, code: i32) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout: {stdout}\nstderr: {stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// What the sysbench dialect printed on standard error, without warnings: those depend on the
/// machine and its load.
pub fn errors(stderr: &[u8]) -> String {
    let text = text(stderr);
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("WARNING: "))
        .collect()
}

/// Waits until the condition holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited in vain for this: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// A running process, killed on drop.
pub struct Running {
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts the program with these arguments in a directory.
    pub fn wbench(directory: &Path, args: &str) -> Self {
        let mut command = Command::new(WBENCH);
        command.args(args.split_whitespace()).current_dir(directory);
        Self::start(command)
    }

    /// Starts a command, which a hangup ends even if the tests run under nohup(1).
    pub fn start(mut command: Command) -> Self {
        // SAFETY: between fork and exec, the closure only calls signal(2), which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                signal(Signal::SIGHUP, SigHandler::SigDfl)?;
                Ok(())
            });
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().expect("piped"), &stdout),
            collect(child.stderr.take().expect("piped"), &stderr),
        ];
        Self {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// The process ID.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).into_owned()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Waits until this has been printed.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        wait_until(&format!("'{text}' on standard output"), || {
            self.stdout().contains(text)
        });
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process takes the signal");
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let mut status: Option<ExitStatus> = None;
        wait_until("the end of the process", || {
            status = self.child.try_wait().expect("the process is ours");
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("reading ends");
        }
        Output {
            status: status.expect("it ended"),
            stdout: self.stdout.lock().unwrap().clone(),
            stderr: self.stderr.lock().unwrap().clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(
    mut from: impl Read + Send + 'static,
    into: &Arc<Mutex<Vec<u8>>>,
) -> thread::JoinHandle<()> {
    let into = into.clone();
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut part) {
            into.lock().unwrap().extend_from_slice(&part[..n]);
        }
    })
}

/// A run of the program under strace.
pub struct Traced {
    /// How it ended.
    pub output: Output,
    /// The system calls of each thread.
    threads: Vec<String>,
}

/// Runs the program under strace with additional strace options, such as `inject=...`.
pub fn traced(directory: &Path, args: &str, options: &[&str]) -> Traced {
    let traces = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = tool("strace");
    command
        .args(["-ff", "-qq", "-y", "-s", "0", "-o"])
        .arg(traces.path().join("trace"))
        .args([
            "-e",
            "trace=openat,linkat,pread64,pwrite64,fsync,fdatasync,write,/^rename",
        ])
        .args(options.iter().flat_map(|option| ["-e", option]))
        .arg(WBENCH)
        .args(args.split_whitespace())
        .current_dir(directory);
    let output = Running::start(command).finish();
    Traced::read(output, traces.path())
}

fn thread_number(trace: &Path) -> u32 {
    let extension = trace.extension().and_then(OsStr::to_str);
    extension
        .and_then(|tid| tid.parse().ok())
        .expect("strace names its files by the thread")
}

impl Traced {
    /// Reads what `strace -ff -o DIRECTORY/trace` left in a directory.
    pub fn read(output: Output, directory: &Path) -> Self {
        let mut files: Vec<(u32, PathBuf)> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_stem() == Some(OsStr::new("trace")))
            .map(|path| (thread_number(&path), path))
            .collect();
        files.sort();
        let threads = files
            .iter()
            .map(|(_, path)| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect();
        Self { output, threads }
    }

    /// The data calls of the worker threads on test files, one thread after the other, as
    /// `read FILE OFFSET LENGTH`, `write FILE OFFSET LENGTH`, `fsync FILE`, `fdatasync FILE`.
    pub fn data_calls(&self) -> Vec<String> {
        // The first is the main thread, which prepares and checks the files.
        let workers = self.threads.iter().skip(1);
        let lines = workers.flat_map(|thread| thread.lines());
        lines.filter_map(data_call).collect()
    }

    /// All traced calls of the main thread, in order.
    pub fn calls_of_the_main_thread(&self) -> Vec<&str> {
        self.threads[0].lines().collect()
    }

    /// The traced calls of this name on test files.
    pub fn of_test_files(&self, call: &str) -> Vec<&str> {
        let begin = format!("{call}(");
        self.lines()
            .filter(|line| line.starts_with(&begin) && line.contains("test_file."))
            .collect()
    }

    /// How often all threads together made a system call.
    pub fn calls(&self, call: &str) -> usize {
        let begin = format!("{call}(");
        self.lines().filter(|line| line.starts_with(&begin)).count()
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.threads.iter().flat_map(|thread| thread.lines())
    }
}

/// Parses a data call, in the form of [`Traced::data_calls`], from a line such as
/// `pread64(4</directory/test_file.1>, ""..., 4096, 8192) = 4096`.
pub fn data_call(line: &str) -> Option<String> {
    let (call, rest) = line.split_once('(')?;
    let (_, rest) = rest.split_once("test_file.")?;
    let (file, rest) = rest.split_once('>')?;
    let (arguments, _) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let mut from_the_end = arguments.rsplit(", ");
    let mut next = || from_the_end.next();
    match call {
        "pread64" => {
            let (offset, length) = (next()?, next()?);
            Some(format!("read {file} {offset} {length}"))
        }
        "pwrite64" => {
            let (offset, length) = (next()?, next()?);
            Some(format!("write {file} {offset} {length}"))
        }
        "fsync" | "fdatasync" => Some(format!("{call} {file}")),
        _ => None,
    }
}
