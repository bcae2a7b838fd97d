//! Properties of the request stream.

use super::*;
use crate::plan::{FileMode, FsyncMode, IoMode, OpenFlags};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

const BLOCK: u64 = 4096;

fn files(count: u32, blocks_each: u64) -> FileSet {
    let count = NonZeroU32::new(count).unwrap();
    FileSet::new(u64::from(count.get()) * blocks_each * BLOCK, count, BLOCK).unwrap()
}

fn params(mode: FileMode, set: FileSet) -> FileioParams {
    FileioParams {
        mode,
        io_mode: IoMode::Sync,
        depth: NonZeroU32::MIN,
        block_size_bytes: set.block_size,
        total_size_bytes: set.total_size(),
        files: set.files,
        flags: OpenFlags::None,
        fsync_freq: 0,
        fsync_all: false,
        fsync_end: false,
        fsync_mode: FsyncMode::Fsync,
        merged_requests: 0,
        rw_ratio: 1.5,
        validate: false,
        drop_cache: false,
        stream: crate::plan::RequestStream::V0_4,
    }
}

fn stream(params: &FileioParams, set: FileSet, max: Option<u64>) -> Requests {
    Requests::new(params, set, Seed(None), max)
}

fn all(requests: &Requests) -> Vec<Request> {
    let mut batch = ReadBatch::default();
    std::iter::from_fn(|| requests.next(&mut batch)).collect()
}

fn extent(request: &Request) -> Option<Extent> {
    match request {
        Request::Read(extent) | Request::Write(extent) => Some(*extent),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sequential_requests_cover_every_byte_once_in_order(
        count in 1u32..6, blocks in 1u64..40, merged in 0u32..12
    ) {
        let set = files(count, blocks);
        let params = FileioParams { merged_requests: merged, ..params(FileMode::Seqrd, set) };
        let mut position = 0;
        for request in all(&stream(&params, set, None)) {
            let extent = extent(&request).unwrap();
            prop_assert_eq!(u64::from(extent.file) * set.file_size + extent.offset, position);
            prop_assert!(extent.offset + extent.len as u64 <= set.file_size);
            prop_assert!(extent.len as u64 <= params.request_size());
            position += extent.len as u64;
        }
        prop_assert_eq!(position, set.total_size());
    }

    #[test]
    fn random_requests_are_whole_blocks_within_a_file(
        count in 1u32..200, blocks in 1u64..5000, seed: Option<u32>
    ) {
        let set = files(count, blocks);
        let requests = Requests::new(&params(FileMode::Rndrd, set), set, Seed(seed), Some(200));
        for request in all(&requests) {
            let extent = extent(&request).unwrap();
            prop_assert!(extent.file < count);
            prop_assert_eq!(extent.len as u64, BLOCK);
            prop_assert_eq!(extent.offset % BLOCK, 0);
            prop_assert!(extent.offset + BLOCK <= set.file_size);
        }
    }

    #[test]
    fn the_read_write_ratio_is_kept(ratio in 0.0f64..20.0) {
        let set = files(2, 10);
        let params = FileioParams { rw_ratio: ratio, ..params(FileMode::Rndrw, set) };
        let requests = all(&stream(&params, set, Some(5000)));
        let reads = requests.iter().filter(|r| matches!(r, Request::Read(_))).count() as f64;
        let writes = requests.len() as f64 - reads;
        prop_assert!((reads - ratio * writes).abs() <= ratio + 1.0, "{} : {}", reads, writes);
    }

    #[test]
    fn periodic_fsyncs_come_in_rounds_of_all_files(freq in 1u32..50, count in 1u32..8, max in 1u64..400) {
        let set = files(count, 4);
        let params = FileioParams { fsync_freq: freq, ..params(FileMode::Rndwr, set) };
        let mut issued = 0;
        let mut round = Vec::new();
        for request in all(&stream(&params, set, Some(max))) {
            match request {
                Request::Fsync(file) => {
                    prop_assert_eq!(issued % u64::from(freq), 0);
                    round.push(file);
                }
                _ => {
                    prop_assert!(round.is_empty() || round == (0..count).collect::<Vec<_>>());
                    round.clear();
                    issued += 1;
                }
            }
        }
        prop_assert_eq!(issued, max);
    }

    #[test]
    fn threads_together_draw_each_request_of_the_stream_once(threads in 1usize..5, reads: bool) {
        let set = files(3, 50);
        let mode = if reads { FileMode::Rndrd } else { FileMode::Rndwr };
        let params = FileioParams { fsync_end: true, fsync_freq: 7, ..params(mode, set) };
        let alone = all(&stream(&params, set, Some(300)));
        let shared = stream(&params, set, Some(300));
        let drawn = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| all(&shared))).collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect::<Vec<_>>()
        });
        let sorted = |mut requests: Vec<Request>| {
            requests.sort_by_key(|request| format!("{request:?}"));
            requests
        };
        prop_assert_eq!(sorted(drawn), sorted(alone));
    }
}

#[test]
fn a_writing_run_ends_with_one_fsync_per_file_and_a_final_write_count() {
    for (mode, max) in [(FileMode::Seqwr, None), (FileMode::Rndwr, Some(20))] {
        let set = files(3, 5);
        let params = FileioParams {
            fsync_end: true,
            ..params(mode, set)
        };
        let requests = stream(&params, set, max);
        let issued = all(&requests);
        let (data, fsyncs) = issued.split_at(issued.len() - 3);
        assert!(data.iter().all(|r| matches!(r, Request::Write(_))));
        assert_eq!(fsyncs, [0, 1, 2].map(Request::FinalFsync));
        assert_eq!(requests.writes_issued(), data.len() as u64);
    }
}

#[test]
fn a_reading_run_has_no_fsync() {
    for mode in [FileMode::Seqrd, FileMode::Rndrd] {
        let set = files(2, 4);
        let params = FileioParams {
            fsync_end: true,
            fsync_freq: 1,
            ..params(mode, set)
        };
        assert!(
            all(&stream(&params, set, Some(9)))
                .iter()
                .all(|r| matches!(r, Request::Read(_)))
        );
    }
}

#[test]
fn a_limit_cuts_a_sequential_run_short_with_its_fsyncs() {
    let set = files(2, 4);
    let params = FileioParams {
        fsync_end: true,
        ..params(FileMode::Seqwr, set)
    };
    let issued = all(&stream(&params, set, Some(3)));
    assert_eq!(issued.len(), 3 + 2);
    assert_eq!(issued[3..], [0, 1].map(Request::FinalFsync));
}

#[test]
fn random_positions_reach_all_blocks() {
    let set = files(4, 8);
    let requests = stream(&params(FileMode::Rndrd, set), set, Some(2000));
    let places: BTreeSet<_> = all(&requests)
        .iter()
        .filter_map(extent)
        .map(|e| (e.file, e.offset))
        .collect();
    assert_eq!(places.len(), 32);
}

/// What the next request is said to be.
fn kind(request: Option<&Request>) -> Upcoming {
    match request {
        None => Upcoming::Exhausted,
        Some(Request::Fsync(_) | Request::FinalFsync(_)) => Upcoming::Flush,
        Some(_) => Upcoming::Event,
    }
}

#[test]
fn a_request_that_was_announced_is_the_next_one_and_the_stream_is_unchanged() {
    use crate::plan::RequestStream;
    let set = files(3, 40);
    for mode in [
        FileMode::Seqwr,
        FileMode::Seqrd,
        FileMode::Rndrd,
        FileMode::Rndwr,
        FileMode::Rndrw,
    ] {
        for stream_of in [RequestStream::V0_4, RequestStream::V1_0] {
            let params = FileioParams {
                fsync_freq: 7,
                fsync_end: true,
                stream: stream_of,
                ..params(mode, set)
            };
            let expected = all(&stream(&params, set, Some(100)));
            let requests = stream(&params, set, Some(100));
            let mut batch = requests.batch(0);
            let announced = std::iter::from_fn(|| {
                let kinds = [0; 2].map(|_| requests.upcoming(&mut batch));
                let next = requests.next(&mut batch);
                assert_eq!(kinds, [0; 2].map(|_| kind(next.as_ref())), "{mode:?}");
                next
            });
            let announced: Vec<Request> = announced.collect();
            if stream_of == RequestStream::V0_4 {
                assert_eq!(announced, expected, "{mode:?}");
            }
            assert!(announced.len() >= 100, "{mode:?}");
        }
    }
}

#[test]
fn the_requests_of_a_warm_up_do_not_end_and_all_requests_follow_it() {
    let set = files(3, 40);
    for mode in [
        FileMode::Seqwr,
        FileMode::Seqrd,
        FileMode::Rndrd,
        FileMode::Rndwr,
    ] {
        let params = params(mode, set);
        let requests = stream(&params, set, Some(100));
        let count = all(&stream(&params, set, Some(100))).len();
        requests.begin(Phase::WarmUp);
        let mut batch = requests.batch(0);
        assert!(
            (0..1000).all(|_| requests.next(&mut batch).is_some()),
            "{mode:?}"
        );
        batch.clear();
        requests.begin(Phase::Measured);
        let measured = all(&requests);
        assert_eq!(measured.len(), count, "{mode:?}");
        if mode.is_sequential() {
            let first = extent(&measured[0]).unwrap();
            assert_eq!((first.file, first.offset), (0, 0), "{mode:?}");
        }
    }
}
