//! Whatever is read, the readers neither panic nor take much memory.
//!
//! `WBENCH_FUZZ_CASES=1000000 cargo test --release --test compare_fuzz` reads so many inputs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wbench::compare::histogram::Merger;
use wbench::compare::read::read_bytes;

/// Counts what this thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counter any more, and needs none.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: all is done by the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise about pointer and layout is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory for each byte of input, beside [`AT_LEAST`].
const PER_BYTE: isize = 100;

/// Memory that any input may take: a histogram of all buckets, and the state to inflate it.
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

/// Inputs that are read: a result, two in an array, lines of them, and a log.
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
fn no_input_makes_the_readers_panic_or_take_much_memory() {
    let cases = std::env::var("WBENCH_FUZZ_CASES").map_or(1500, |n| n.parse().unwrap());
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
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&inputs, |bytes| {
            read_within_bounds(&bytes);
            Ok(())
        })
        .unwrap();
}
