//! Tests on files in temporary directories.

use super::*;
use crate::plan::FilePlan;
use crate::workload::fileio::prepare::prepare;
use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZeroU32;
use std::os::unix::fs::{FileExt, symlink};

fn set(files: u32, file_size: u64) -> FileSet {
    let files = NonZeroU32::new(files).unwrap();
    FileSet::new(file_size * u64::from(files.get()), files, 512).unwrap()
}

fn test_files(dir: &tempfile::TempDir, ownership: Ownership) -> TestFiles {
    let plan = FilePlan {
        dir: dir.path().to_owned(),
        set: set(3, 5120),
        validate: false,
        recreate: false,
    };
    TestFiles::of(&plan, ownership).unwrap()
}

#[test]
fn prepared_files_have_their_size_and_pass_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    let mut bytes = 0;
    prepare(&files, &mut |n| bytes += n).unwrap();
    files.check().unwrap();
    assert_eq!(bytes, files.set().total_size());
    for file in 0..3 {
        let content = std::fs::read(files.path_of(file)).unwrap();
        assert_eq!(content.len(), 5120);
    }
}

#[test]
fn prepared_data_is_reproducible_and_repeats_no_sector() {
    let contents = || {
        let dir = tempfile::tempdir().unwrap();
        let files = test_files(&dir, Ownership::Mark);
        prepare(&files, &mut |_| {}).unwrap();
        (0..3)
            .flat_map(|f| std::fs::read(files.path_of(f)).unwrap())
            .collect::<Vec<u8>>()
    };
    let (once, again) = (contents(), contents());
    assert_eq!(once, again);
    let sectors: BTreeSet<&[u8]> = once.chunks(512).collect();
    assert_eq!(sectors.len(), 30);
    let mut ends: BTreeSet<&[u8]> = BTreeSet::new();
    assert!(once.chunks(512).all(|sector| ends.insert(&sector[16..])));
}

#[test]
fn missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = test_files(&dir, Ownership::Mark)
        .check()
        .unwrap_err()
        .to_string();
    assert!(error.contains("test_file.0 is missing"), "{error}");
}

#[test]
fn a_file_that_is_too_small_is_reported_with_both_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    File::options()
        .write(true)
        .open(files.path_of(1))
        .unwrap()
        .set_len(100)
        .unwrap();
    let error = files.check().unwrap_err().to_string();
    assert!(
        error.contains("test_file.1") && error.contains("100") && error.contains("5120"),
        "{error}"
    );
}

#[test]
fn a_foreign_file_is_not_used_replaced_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    let foreign = vec![7; 5120];
    std::fs::write(files.path_of(1), &foreign).unwrap();
    assert!(prepare(&files, &mut |_| {}).is_err());
    assert!(files.check().is_err());
    assert!(
        files
            .remove()
            .unwrap_err()
            .to_string()
            .contains("test_file.1")
    );
    assert_eq!(std::fs::read(files.path_of(1)).unwrap(), foreign);
}

#[test]
fn an_empty_file_is_recognized_only_if_wbench_created_it() {
    // In the source directory, because the mark needs a file system with extended attributes.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let killed = test_files(&dir, Ownership::Mark);
    killed.create_one(0).unwrap();
    File::create(killed.path_of(1)).unwrap();
    let files = test_files(&dir, Ownership::Mark);
    let error = files.remove().unwrap_err().to_string();
    assert!(error.contains("test_file.1"), "{error}");
    assert!(!files.path_of(0).exists() && files.path_of(1).exists());
}

#[test]
fn a_marked_file_with_foreign_content_is_not_used_replaced_or_removed() {
    // On the source's file system, because the mark is an extended attribute.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    // Like a shell redirection or an editor: the inode and its attributes stay.
    let precious = vec![7; 5120];
    std::fs::write(files.path_of(1), &precious).unwrap();
    let files = test_files(&dir, Ownership::Mark);
    for failed in [files.check(), prepare(&files, &mut |_| {}), files.remove()] {
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("test_file.1"), "{error}");
        assert!(error.contains("was not written by wbench"), "{error}");
    }
    assert_eq!(std::fs::read(files.path_of(1)).unwrap(), precious);
}

#[test]
fn an_incomplete_file_fails_the_check_and_prepare_rewrites_it() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let plan = FilePlan {
        dir: dir.path().to_owned(),
        set: set(3, 64 << 10),
        validate: false,
        recreate: false,
    };
    let files = TestFiles::of(&plan, Ownership::Mark).unwrap();
    prepare(&files, &mut |_| {}).unwrap();
    // The first and the last block exist, as after a killed run with requests in flight.
    let whole = std::fs::read(files.path_of(1)).unwrap();
    let sparse = File::options().write(true).open(files.path_of(1)).unwrap();
    sparse.set_len(8192).unwrap();
    sparse.write_all_at(&whole[60 << 10..], 60 << 10).unwrap();
    let error = files.check().unwrap_err().to_string();
    assert!(
        error.contains("test_file.1 was not written in full"),
        "{error}"
    );
    assert!(error.contains("offset 8192"), "{error}");
    let by_name = TestFiles::of(&plan, Ownership::Name).unwrap();
    assert!(by_name.have_holes().unwrap());
    by_name.check().unwrap();
    assert_eq!(files.files_to_complete().unwrap(), [1]);
    prepare(&files, &mut |_| {}).unwrap();
    files.check().unwrap();
    assert!(!by_name.have_holes().unwrap());
    assert_eq!(std::fs::read(files.path_of(1)).unwrap(), whole);
}

#[test]
fn only_temporary_files_of_a_killed_process_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    let path = |name: &str| dir.path().join(name);
    File::create(path(".test_file.0.wbench-17")).unwrap();
    std::fs::rename(files.path_of(2), path(".test_file.2.wbench-17")).unwrap();
    std::fs::write(path(".test_file.1.wbench-17"), "precious").unwrap();
    File::create(path(".test_file.1.other-17")).unwrap();
    files.remove().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, [".test_file.1.other-17", ".test_file.1.wbench-17"]);
}

#[test]
fn a_file_that_replaced_a_created_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    // Both exist at once, so their inode numbers differ.
    let other = dir.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    std::fs::rename(&other, files.path_of(1)).unwrap();
    files.remove_created().unwrap();
    assert_eq!(std::fs::read(files.path_of(1)).unwrap(), b"precious");
    assert!(!files.path_of(0).exists());
}

#[test]
fn a_symbolic_link_is_never_followed() {
    for ownership in [Ownership::Name, Ownership::Mark] {
        let dir = tempfile::tempdir().unwrap();
        let files = test_files(&dir, ownership);
        let target = dir.path().join("precious");
        std::fs::write(&target, vec![1; 5120]).unwrap();
        symlink(&target, files.path_of(0)).unwrap();
        let error = prepare(&files, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read(&target).unwrap(), vec![1; 5120]);
        assert!(files.path_of(0).is_symlink());
    }
}

#[test]
fn complete_files_are_not_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    let before = std::fs::metadata(files.path_of(2))
        .unwrap()
        .modified()
        .unwrap();
    prepare(&test_files(&dir, Ownership::Mark), &mut |_| {}).unwrap();
    let after = std::fs::metadata(files.path_of(2))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

#[test]
fn only_created_files_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    prepare(&test_files(&dir, Ownership::Mark), &mut |_| {}).unwrap();
    std::fs::remove_file(dir.path().join("test_file.1")).unwrap();
    let files = test_files(&dir, Ownership::Mark);
    prepare(&files, &mut |_| {}).unwrap();
    drop(CleanUp(&files));
    assert!(dir.path().join("test_file.0").exists());
    assert!(!dir.path().join("test_file.1").exists());
}
