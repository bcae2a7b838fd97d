//! The ownership mark, by which wbench recognizes its own test files.
//!
//! A file is marked before it has a name: by an extended attribute or, on file systems without user
//! attributes, by a stamped first sector. The attribute survives when another program replaces the
//! data, so it never suffices alone. A file is marked if
//!
//! - its data begins with a stamp, or
//! - it has the attribute, and is empty, contains only zeros, or its first non-zero bytes are a
//!   stamp: requests complete out of order, so the beginning of a file that a killed run leaves may
//!   be unwritten.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memmap2::MmapMut;
use rustix::fs::{SeekFrom, XattrFlags, fgetxattr, fsetxattr, seek};

use super::direct::Uncached;
use crate::workload::fileio::data::pattern;

const ATTRIBUTE: &str = "user.wbench";

/// Bytes read at a time: a multiple of every device block size, as O_DIRECT requires.
const CHUNK: usize = 64 << 10;

/// Marks an empty file as test file `number` of a set whose files have `size` bytes.
pub(super) fn mark(file: &File, number: u32, size: u64) -> io::Result<()> {
    if fsetxattr(file, ATTRIBUTE, b"1", XattrFlags::empty()).is_ok() {
        return Ok(());
    }
    let mut sector = [0; pattern::SECTOR];
    let len = pattern::SECTOR.min(usize::try_from(size).unwrap_or(usize::MAX));
    pattern::stamp(&mut sector[..len], number, 0, 0);
    file.write_all_at(&sector[..len], 0)
}

/// Returns whether wbench created the file, and no other program has replaced its data.
pub(super) fn is_marked(file: &File) -> io::Result<bool> {
    let file = Uncached::new(file);
    let mut chunk = MmapMut::map_anon(CHUNK)?;
    if !has_attribute(file.file()) {
        let read = file.read_at(&mut chunk[..pattern::PAGE], 0)?;
        let start = chunk[..read].first_chunk();
        return Ok(start.is_some_and(pattern::is_stamped));
    }
    Ok(match first_nonzero_bytes(&file, &mut chunk)? {
        Some(bytes) => pattern::begins_stamp(&bytes),
        None => true,
    })
}

fn has_attribute(file: &File) -> bool {
    let mut value = [0; 16];
    fgetxattr(file, ATTRIBUTE, &mut value).is_ok_and(|len| len > 0)
}

/// Returns the first non-zero byte of a file and those after it, enough to recognize a stamp;
/// `None` if all bytes are zero.
fn first_nonzero_bytes(file: &Uncached<'_>, chunk: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
    let mut offset = 0;
    while let Some(data) = next_data(file.file(), offset) {
        // From the start of a chunk, as O_DIRECT requires.
        let start = data / CHUNK as u64 * CHUNK as u64;
        let read = file.read_at(chunk, start)?;
        if let Some(first) = chunk[..read].iter().position(|&byte| byte != 0) {
            let mut bytes = chunk[first..read.min(first + pattern::MAGIC_LEN)].to_vec();
            if bytes.len() < pattern::MAGIC_LEN && read == CHUNK {
                let next = file.read_at(chunk, start + CHUNK as u64)?;
                bytes.extend(&chunk[..next.min(pattern::MAGIC_LEN - bytes.len())]);
            }
            return Ok(Some(bytes));
        }
        if read < CHUNK {
            break;
        }
        offset = start + CHUNK as u64;
    }
    Ok(None)
}

/// Returns the next offset with data, the same one without hole support; `None` past the last.
fn next_data(file: &File, offset: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Some(data),
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a file on the source's file system, which has user attributes.
    fn file() -> File {
        tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    fn stamped(offset: u64) -> Vec<u8> {
        let mut block = vec![0; 4096];
        pattern::fill(&mut block, 1);
        pattern::stamp(&mut block, 3, offset, 1);
        block
    }

    #[test]
    fn a_file_with_the_attribute_is_marked_if_it_is_empty_or_its_first_data_is_stamped() {
        let file = file();
        mark(&file, 3, 1 << 20).unwrap();
        assert!(
            has_attribute(&file),
            "the source is on a file system without attributes"
        );
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(is_marked(&file).unwrap());
        file.set_len(1 << 20).unwrap();
        assert!(is_marked(&file).unwrap());
        for offset in [700 << 10, (64 << 10) - 4096, 0] {
            file.write_all_at(&stamped(offset), offset).unwrap();
            assert!(is_marked(&file).unwrap(), "{offset}");
        }
    }

    #[test]
    fn foreign_data_removes_the_mark() {
        for offset in [0, 4096, 300_000, (64 << 10) - 3] {
            let file = file();
            mark(&file, 0, 1 << 20).unwrap();
            file.write_all_at(b"precious", offset).unwrap();
            file.write_all_at(&stamped(400_000), 400_000).unwrap();
            assert!(!is_marked(&file).unwrap(), "{offset}");
        }
    }

    #[test]
    fn a_file_without_the_attribute_is_marked_only_if_it_begins_with_a_stamp() {
        let file = file();
        assert!(!is_marked(&file).unwrap());
        file.write_all_at(&[0; 4096], 0).unwrap();
        assert!(!is_marked(&file).unwrap());
        file.write_all_at(&stamped(4096), 4096).unwrap();
        assert!(!is_marked(&file).unwrap());
        file.write_all_at(&stamped(0), 0).unwrap();
        assert!(is_marked(&file).unwrap());
    }

    #[test]
    fn a_stamp_across_two_chunks_is_recognized() {
        let file = file();
        mark(&file, 0, 1 << 20).unwrap();
        let offset = CHUNK as u64 - 3;
        file.write_all_at(&stamped(offset), offset).unwrap();
        assert!(is_marked(&file).unwrap());
    }
}
