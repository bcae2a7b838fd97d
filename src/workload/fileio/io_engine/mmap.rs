//! Loads from and stores to mappings of the files.
//!
//! Bytes are moved by relaxed atomic loads and stores of 8 bytes: other threads may access the same
//! block, the same code runs on every CPU, and none of it may be optimized away.

use std::hint;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use memmap2::{MmapOptions, MmapRaw};

use super::sigbus::SigbusGuard;
use super::{EngineSetup, IoEngine, SynchronousEngine};
use crate::workload::fileio::files::OpenFiles;
use crate::workload::fileio::requests::Extent;

/// Access to files through mappings of whole files.
#[derive(Debug)]
pub struct Mmap(Arc<Mappings>);

/// The mappings of a set of files.
#[derive(Debug)]
pub struct Mappings {
    /// Declared before the mappings, so that it is dropped first.
    guard: SigbusGuard,
    /// In file order.
    mappings: Vec<MmapRaw>,
    files: Arc<OpenFiles>,
}

impl IoEngine for Mmap {
    type Shared = Arc<Mappings>;

    fn share(setup: EngineSetup) -> Result<Arc<Mappings>> {
        Mappings::of(setup.files, setup.writes).map(Arc::new)
    }
}

impl SynchronousEngine for Mmap {
    fn new(shared: &Arc<Mappings>) -> Self {
        Self(shared.clone())
    }

    #[inline(always)]
    fn read(&self, extent: Extent, buffer: &mut [u8]) -> Result<()> {
        load(self.0.bytes(extent), buffer);
        hint::black_box(buffer);
        self.0.check("loading from")
    }

    #[inline(always)]
    fn write(&self, extent: Extent, data: &[u8]) -> Result<()> {
        store(self.0.bytes(extent), data);
        self.0.check("storing to")
    }

    fn flush(&self, file: u32) -> Result<()> {
        let mapping = &self.0.mappings[file as usize];
        mapping
            .flush()
            .with_context(|| format!("msync of {}", self.0.files.path_of(file).display()))
    }
}

impl Mappings {
    /// Maps whole files, either writable or for loads only.
    fn of(files: Arc<OpenFiles>, writable: bool) -> Result<Self> {
        let len = usize::try_from(files.file_size())?;
        let map = |(number, file)| {
            let mut options = MmapOptions::new();
            options.len(len);
            let mapped = match writable {
                true => options.map_raw(file),
                false => options.map_raw_read_only(file),
            };
            mapped.with_context(|| {
                let path = files.path_of(number);
                format!("mapping {len} bytes of {}", path.display())
            })
        };
        let mappings: Vec<MmapRaw> = (0..)
            .zip(files.descriptors())
            .map(map)
            .collect::<Result<_>>()?;
        Ok(Self {
            guard: SigbusGuard::over(&mappings)?,
            mappings,
            files,
        })
    }

    fn bytes(&self, extent: Extent) -> &[AtomicU8] {
        let mapping = &self.mappings[extent.file as usize];
        let offset = extent.offset as usize;
        assert!(offset + extent.len <= mapping.len());
        // SAFETY: within the mapping, which lives as long as self; other threads and the kernel may
        // change the bytes at any time, which atomics allow for. The SIGBUS handler replaces pages
        // that the kernel cannot provide.
        unsafe { slice::from_raw_parts(mapping.as_mut_ptr().add(offset).cast(), extent.len) }
    }

    /// Fails if the kernel could not provide a page of a mapping.
    fn check(&self, doing: &str) -> Result<()> {
        let Some(address) = self.guard.fault() else {
            return Ok(());
        };
        for (number, mapping) in (0..).zip(&self.mappings) {
            let start = mapping.as_mut_ptr() as usize;
            if (start..start + mapping.len()).contains(&address) {
                bail!(
                    "{doing} offset {} of {}: the kernel cannot provide the page (SIGBUS): the \
                     file was truncated, the disk is full, or reading it failed",
                    address - start,
                    self.files.path_of(number).display()
                );
            }
        }
        bail!("{doing} a mapped file: the kernel cannot provide a page (SIGBUS)")
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
