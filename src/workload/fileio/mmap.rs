//! Loads from and stores to mappings of the files.
//!
//! Bytes are moved by relaxed atomic loads and stores of 8 bytes: other threads may access the same
//! block, the same code runs on every CPU, and none of it may be optimized away.

use std::hint;
use std::os::fd::OwnedFd;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use memmap2::{MmapOptions, MmapRaw};

use super::Fileio;
use super::files::TestFiles;
use super::one_by_one::Access;
use super::requests::Extent;
use super::sigbus::Guard;

/// The mappings of a set of files.
#[derive(Debug)]
pub struct Mappings {
    /// Declared before the mappings, so that it is dropped first.
    guard: Guard,
    /// In file order.
    files: Vec<MmapRaw>,
}

impl Mappings {
    /// Maps whole files, either writable or for loads only.
    pub(super) fn of(test_files: &TestFiles, files: &[OwnedFd], writable: bool) -> Result<Self> {
        let len = usize::try_from(test_files.set().file_size)?;
        let map = |(number, file): (u32, &OwnedFd)| {
            let mut options = MmapOptions::new();
            options.len(len);
            let mapped = match writable {
                true => options.map_raw(file),
                false => options.map_raw_read_only(file),
            };
            mapped.with_context(|| {
                format!(
                    "mapping {} bytes of {}",
                    len,
                    test_files.path_of(number).display()
                )
            })
        };
        let files: Vec<MmapRaw> = (0..).zip(files).map(map).collect::<Result<_>>()?;
        Ok(Self {
            guard: Guard::over(&files)?,
            files,
        })
    }

    fn bytes(&self, extent: Extent) -> &[AtomicU8] {
        let mapping = &self.files[extent.file as usize];
        let offset = extent.offset as usize;
        assert!(offset + extent.len <= mapping.len());
        // SAFETY: within the mapping, which lives as long as self; other threads and the kernel may
        // change the bytes at any time, which atomics allow for. The SIGBUS handler replaces pages
        // that the kernel cannot provide.
        unsafe { slice::from_raw_parts(mapping.as_mut_ptr().add(offset).cast(), extent.len) }
    }

    /// Fails if the kernel could not provide a page of a mapping.
    fn check(&self, doing: &str, fileio: &Fileio) -> Result<()> {
        let Some(address) = self.guard.fault() else {
            return Ok(());
        };
        for (number, mapping) in (0..).zip(&self.files) {
            let start = mapping.as_mut_ptr() as usize;
            if (start..start + mapping.len()).contains(&address) {
                bail!(
                    "{doing} offset {} of {}: the kernel can't provide the page (SIGBUS): the file \
                     was truncated, the disk is full, or reading it failed",
                    address - start,
                    fileio.test_files.path_of(number).display()
                );
            }
        }
        bail!("{doing} a mapped file: a page could not be had (SIGBUS)")
    }
}

/// Access to files through their mappings.
#[derive(Debug)]
pub struct Mapped(pub Arc<Mappings>);

impl Access for Mapped {
    #[inline(always)]
    fn read(&self, fileio: &Fileio, extent: Extent, target: &mut [u8]) -> Result<()> {
        load(self.0.bytes(extent), target);
        hint::black_box(target);
        self.0.check("loading from", fileio)
    }

    #[inline(always)]
    fn write(&self, fileio: &Fileio, extent: Extent, source: &[u8]) -> Result<()> {
        store(self.0.bytes(extent), source);
        self.0.check("storing to", fileio)
    }

    fn flush(&self, fileio: &Fileio, file: u32) -> Result<()> {
        let path = fileio.test_files.path_of(file);
        self.0.files[file as usize]
            .flush()
            .with_context(|| format!("msync of {}", path.display()))
    }
}

/// Splits mapped bytes into whole 8-byte words and the bytes before and after them.
fn words(bytes: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    // SAFETY: any 8 bytes are a valid AtomicU64, and align_to returns aligned ones.
    unsafe { bytes.align_to::<AtomicU64>() }
}

fn load(mapped: &[AtomicU8], target: &mut [u8]) {
    let (head, body, tail) = words(mapped);
    let (to_head, rest) = target.split_at_mut(head.len());
    let (to_body, to_tail) = rest.split_at_mut(size_of_val(body));
    for (to, word) in to_body.chunks_exact_mut(8).zip(body) {
        to.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    for (to, byte) in to_head
        .iter_mut()
        .chain(to_tail)
        .zip(head.iter().chain(tail))
    {
        *to = byte.load(Ordering::Relaxed);
    }
}

fn store(mapped: &[AtomicU8], source: &[u8]) {
    let (head, body, tail) = words(mapped);
    let (from_head, rest) = source.split_at(head.len());
    let (from_body, from_tail) = rest.split_at(size_of_val(body));
    for (from, word) in from_body.chunks_exact(8).zip(body) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(from);
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
    for (from, byte) in from_head
        .iter()
        .chain(from_tail)
        .zip(head.iter().chain(tail))
    {
        byte.store(*from, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_stored_at_any_offset_are_loaded_again_and_no_others_change(
            data in prop::collection::vec(any::<u8>(), 0..100), at in 0usize..40
        ) {
            let mapped: Vec<AtomicU8> = (0..200).map(|_| AtomicU8::new(0xaa)).collect();
            let place = at..at + data.len();
            store(&mapped[place.clone()], &data);
            let mut loaded = vec![0; data.len()];
            load(&mapped[place.clone()], &mut loaded);
            prop_assert_eq!(&loaded, &data);
            let beside = mapped.iter().enumerate().filter(|(i, _)| !place.contains(i));
            prop_assert!(beside.into_iter().all(|(_, byte)| byte.load(Ordering::Relaxed) == 0xaa));
        }
    }
}
