//! For any input, nothing panics, uses excessive memory or prints terminal control characters.
//!
//! `WBENCH_FUZZ_CASES=1000000 cargo test --release --test rootless compare_fuzz` tries this many inputs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use wbench::compare::group::Grouping;
use wbench::compare::method::Method;
use wbench::compare::metric::Metric;
use wbench::compare::output::Format;
use wbench::compare::read::{Input, read, read_bytes};
use wbench::compare::{ComparisonOptions, compare};
use wbench::histogram::Merger;
use wbench::report::ReportFormat;
use wbench::result::RunResult;

/// An allocator that counts the bytes this thread holds, and their maximum.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending no longer has a counter and needs none.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: the system's allocator does all the work; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller meets the requirements on the layout, which is passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller meets the requirements on both, which are passed on unchanged.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Maximum memory in bytes per byte of input, in addition to [`AT_LEAST`].
const PER_BYTE: isize = 100;

/// Memory that any input may use, in bytes: a histogram with all buckets and the inflate state.
const AT_LEAST: isize = 2 << 20;

fn read_within_bounds(bytes: &[u8]) {
    HELD.set(0);
    MOST.set(0);
    let reading = read_bytes(bytes, &"fuzz".into());
    for run in &reading.runs {
        for durations in [&run.figures.latency, &run.figures.fsync] {
            if let Some(histogram) = &durations.histogram {
                let _ = Merger::default().add(histogram);
            }
        }
    }
    let limit = AT_LEAST + PER_BYTE * bytes.len() as isize;
    assert!(
        MOST.get() < limit,
        "{} for {} bytes",
        MOST.get(),
        bytes.len()
    );
}

fn run(line: &str) -> Vec<u8> {
    let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
    command.args(line.split(' ')).output().unwrap().stdout
}

/// Valid inputs: a result, an array of two, JSON lines, and a log.
fn seeds() -> Vec<Vec<u8>> {
    let result = run("cpu --max-prime 100 --events 20 --json -");
    let line = {
        let value: serde_json::Value = serde_json::from_slice(&result).unwrap();
        value.to_string().into_bytes()
    };
    let array = [b"[", line.as_slice(), b",\n", &line, b"]"].concat();
    let lines = [line.as_slice(), b"\n", &line].concat();
    let cpu = run("--test=cpu --cpu-max-prime=100 --max-requests=20 run");
    let memory = run("--test=memory --memory-total-size=1M run");
    let logs = [cpu, memory].concat();
    vec![result, array, lines, logs]
}

/// A change of an input.
#[derive(Debug, Clone)]
enum Change {
    Put(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Double(prop::sample::Index, usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        match self {
            Self::Put(at, new) => {
                let at = place(at);
                let end = (at + new.len()).min(bytes.len());
                bytes.splice(at..end, new.iter().copied());
            }
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Drop(at, n) => {
                let at = place(at);
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Self::Double(at, n) => {
                let at = place(at);
                let piece = bytes[at..(at + n).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop::sample::select(vec![
        "null",
        "-1",
        "1e308",
        "1e999",
        "\"",
        "{",
        "}",
        "[[[[",
        "]",
        "\n",
        "\\u0000",
        "99999999999999999999",
        "sysbench 1.0.20 ",
        "total time:",
        "percentile:",
        "0.0000s",
        "Gb",
        " files, ",
        "each ",
        "(",
        "wbench.result/1",
    ]);
    let new = prop_oneof![
        word.prop_map(|word| word.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 1..4),
    ];
    prop_oneof![
        4 => (any::<prop::sample::Index>(), new).prop_map(|(at, new)| Change::Put(at, new)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
        2 => (any::<prop::sample::Index>(), 1usize..200).prop_map(|(at, n)| Change::Drop(at, n)),
        2 => (any::<prop::sample::Index>(), 1usize..200).prop_map(|(at, n)| Change::Double(at, n)),
    ]
}

#[test]
fn no_input_makes_the_readers_panic_or_use_excessive_memory() {
    let seeds = seeds();
    seeds.iter().for_each(|seed| read_within_bounds(seed));
    let changed = (
        prop::sample::select(seeds),
        proptest::collection::vec(change(), 1..6),
    )
        .prop_map(|(mut bytes, changes)| {
            changes.iter().for_each(|change| change.apply(&mut bytes));
            bytes
        });
    let arbitrary = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[\\[{\":,0-9a-z\\]} \n]{0,80}".prop_map(String::into_bytes),
    ];
    let inputs = prop_oneof![4 => changed, 1 => arbitrary];
    check(1500, &inputs, |bytes| read_within_bounds(&bytes));
}

/// Tests a property with this many inputs, or as many as the environment variable specifies.
fn check<S: Strategy>(cases: u32, inputs: &S, property: impl Fn(S::Value)) {
    let cases = std::env::var("WBENCH_FUZZ_CASES").map_or(cases, |n| n.parse().unwrap());
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let property = |input| {
        property(input);
        Ok(())
    };
    TestRunner::new(config).run(inputs, property).unwrap();
}

/// The paths of all values in a document that are neither objects nor arrays.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut below = |name: &str, value| leaves(value, &format!("{path}/{name}"), found);
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name, value)),
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(i, value)| below(&i.to_string(), value));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Numbers at the limits of their types, words, and text with terminal control characters.
fn hostile() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec![
        "0",
        "-0.0",
        "-1",
        "1e308",
        "-1e308",
        "5e-324",
        "1e999",
        "NaN",
        "18446744073709551615",
        "9223372036854775808",
        "null",
        "true",
        "[]",
        "{}",
    ]);
    let pieces = prop::sample::select(vec![
        "\u{1b}[2J",
        "\u{9b}1m",
        "\n",
        "\r",
        "\t",
        "\u{202e}",
        "\u{2066}",
        "=",
        "+1",
        "@",
        "|",
        "*",
        "<b>",
        "&",
        "\"",
        ",",
        "\\",
        "x",
        "\u{7f}",
        "\0",
    ]);
    let text = proptest::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat());
    let long = (0usize..5000).prop_map(|n| "\u{1b}ö".repeat(n));
    prop_oneof![
        3 => number.prop_map(str::to_owned),
        3 => text.prop_map(|text| Value::from(text).to_string()),
        1 => long.prop_map(|text| Value::from(text).to_string()),
    ]
}

/// A result with hostile values in some places, as JSON.
fn hostile_result(pattern: Value) -> impl Strategy<Value = String> {
    const MARK: &str = "a value to be replaced";
    let mut paths = Vec::new();
    leaves(&pattern, "", &mut paths);
    let labels = ["/labels/env", "/host/hostname", "/rates/events_per_s"].map(str::to_owned);
    let paths = prop_oneof![
        1 => prop::sample::select(labels.to_vec()),
        2 => prop::sample::select(paths),
    ];
    proptest::collection::vec((paths, hostile()), 1..4).prop_map(move |changes| {
        let mut result = pattern.clone();
        for (place, (path, _)) in changes.iter().enumerate() {
            if let Some(value) = result.pointer_mut(path) {
                *value = format!("{MARK} {place}").into();
            }
        }
        let mut text = result.to_string();
        for (place, (_, value)) in changes.iter().enumerate() {
            text = text.replace(&format!("\"{MARK} {place}\""), value);
        }
        text
    })
}

fn assert_harmless(what: &str, text: &str) {
    let is_active = |c: char| c != '\n' && c.is_control() || "\u{202e}\u{2066}".contains(c);
    assert!(!text.contains(is_active), "{what}: {text:?}");
}

#[test]
fn no_result_makes_a_report_panic_or_control_the_terminal() {
    let mut pattern: Value = serde_json::from_slice(&run(
        "memory --total-size 64K --threads 2 --report-interval 0.001 --label env=x --json -",
    ))
    .unwrap();
    pattern["warnings"] = serde_json::json!([{ "code": "x", "message": "y" }]);
    let good = pattern.to_string();
    let metrics = ["rate", "time", "p99", "latency-max", "fsync-p50"];
    let metrics: Vec<Metric> = metrics.map(|name| name.parse().unwrap()).into();
    let groupings = ["env", "host.hostname", "workload.threads"];
    let options = (
        prop::option::of(prop::sample::select(groupings.to_vec())),
        prop::option::of(prop::sample::select(groupings.to_vec())),
        any::<bool>(),
    );
    let inputs = (
        proptest::collection::vec(hostile_result(pattern), 1..4),
        options,
    );
    check(300, &inputs, |(documents, (by, vary, welch))| {
        let named: Vec<Input> = ["good", "hostile\u{1b}[2J\n"]
            .map(|name| Path::new(name).into())
            .into();
        let mut reading = read_bytes(good.as_bytes(), &"good".into());
        let mut runs: Vec<_> = reading.runs.drain(..).map(|run| (0, run)).collect();
        for document in &documents {
            let reading = read_bytes(document.as_bytes(), &"hostile\u{1b}[2J\n".into());
            runs.extend(reading.runs.into_iter().map(|run| (1, run)));
            if let Ok(result) = serde_json::from_str::<RunResult>(document) {
                for format in [
                    ReportFormat::Text,
                    ReportFormat::Sysbench,
                    ReportFormat::Rally,
                ] {
                    if let Ok(text) = format.of(std::slice::from_ref(&result)) {
                        assert_harmless("show", &text);
                    }
                }
            }
        }
        let options = ComparisonOptions {
            grouping: by.map_or(Grouping::Input, |name| Grouping::By(name.into())),
            baseline: None,
            vary: vary.map(Into::into),
            metrics: metrics.clone(),
            method: welch.then_some(Method::Welch),
            include_incomplete: true,
        };
        let Ok(comparison) = compare(&named, runs, &options) else {
            return;
        };
        let formats = [
            Format::Table,
            Format::Markdown,
            Format::Csv,
            Format::Json,
            Format::Html,
        ];
        for format in formats {
            let text = format.text(&comparison, false).unwrap();
            assert_harmless("compare", &text);
        }
    });
}

#[test]
fn no_histogram_uses_more_memory_than_one_with_all_buckets() {
    let pattern: RunResult =
        serde_json::from_slice(&run("cpu --max-prime 100 --events 20 --json -")).unwrap();
    let field = || {
        prop_oneof![
            Just(0u32),
            Just(1),
            Just(3),
            Just(u32::MAX),
            Just(0x1c84_9313),
            any::<u32>(),
        ]
    };
    let header = (
        prop_oneof![9 => Just(0x1c84_9313u32), 1 => any::<u32>()],
        field(),
        prop_oneof![9 => Just(0u32), 1 => any::<u32>()],
        prop_oneof![9 => Just(3u32), 1 => field()],
        prop_oneof![9 => Just(1u64), 1 => any::<u64>()],
        any::<u64>(),
        prop_oneof![9 => Just(1f64.to_bits()), 1 => any::<u64>()],
    );
    // A run of one byte compresses a thousandfold: a deflate bomb.
    let payload = (any::<u8>(), 0usize..(8 << 20), any::<bool>());
    check(
        100,
        &(header, payload),
        |(header, (byte, length, honest))| {
            let (cookie, claimed, offset, digits, lowest, highest, ratio) = header;
            let claimed = if honest { length as u32 } else { claimed };
            let mut inflated = Vec::new();
            for field in [cookie, claimed, offset, digits] {
                inflated.extend(field.to_be_bytes());
            }
            for field in [lowest, highest, ratio] {
                inflated.extend(field.to_be_bytes());
            }
            inflated.resize(inflated.len() + length, byte);
            let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
            deflated.write_all(&inflated).unwrap();
            let deflated = deflated.finish().unwrap();
            let length = deflated.len() as u32;
            let whole = [
                &0x1c84_9314u32.to_be_bytes(),
                &length.to_be_bytes(),
                &deflated[..],
            ]
            .concat();
            let mut latency = pattern.latency_ns.clone().unwrap();
            latency.histogram = BASE64.encode(whole);
            HELD.set(0);
            MOST.set(0);
            let _ = Merger::default().add(&latency.histogram);
            let _ = latency.percentile(99.0);
            let limit = AT_LEAST + PER_BYTE * latency.histogram.len() as isize;
            assert!(MOST.get() < limit, "{} of {limit}", MOST.get());
        },
    );
}

/// An entry of a directory.
#[derive(Debug, Clone)]
enum Entry {
    Result,
    NoResult,
    Fifo,
    Dangling,
    /// A symbolic link to one of the directories, possibly a parent.
    LinkToDirectory(prop::sample::Index),
    /// A subdirectory of one of the preceding directories.
    Directory,
}

#[test]
fn every_result_in_a_directory_tree_is_read_once_whatever_else_the_tree_contains() {
    let result = run("cpu --max-prime 100 --events 20 --json -");
    let entry = prop_oneof![
        3 => Just(Entry::Result),
        1 => Just(Entry::NoResult),
        1 => Just(Entry::Fifo),
        1 => Just(Entry::Dangling),
        2 => any::<prop::sample::Index>().prop_map(Entry::LinkToDirectory),
        3 => Just(Entry::Directory),
    ];
    let name = "[a-z\u{1b}\n=ö ]{1,8}";
    let tree = proptest::collection::vec((any::<prop::sample::Index>(), name, entry), 0..40);
    check(100, &tree, |entries| {
        let root = tempfile::tempdir().unwrap();
        let mut directories = vec![root.path().to_owned()];
        let (mut results, mut errors, mut skipped) = (0, 0, 0);
        for (parent, name, entry) in entries {
            let path: PathBuf = parent.get(&directories).join(name);
            if path.symlink_metadata().is_ok() {
                continue;
            }
            match entry {
                Entry::Result => {
                    fs::write(&path, &result).unwrap();
                    results += 1;
                }
                Entry::NoResult => {
                    fs::write(&path, "no result").unwrap();
                    errors += 1;
                }
                Entry::Fifo => {
                    mkfifo(&path, Mode::S_IRWXU).unwrap();
                    skipped += 1;
                }
                Entry::Dangling => {
                    symlink("/no/such/file", &path).unwrap();
                    errors += 1;
                }
                Entry::LinkToDirectory(target) => {
                    symlink(target.get(&directories), &path).unwrap();
                    skipped += 1;
                }
                Entry::Directory => {
                    fs::create_dir(&path).unwrap();
                    directories.push(path);
                }
            }
        }
        let reading = read(&root.path().into());
        if results + errors == 0 {
            errors = 1;
        }
        assert_eq!(reading.runs.len(), results);
        assert_eq!(reading.errors.len(), errors);
        assert_eq!(reading.skipped.len(), skipped);
    });
}
