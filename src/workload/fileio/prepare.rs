//! Filling the test files at the speed of the disk.
//!
//! One thread makes the data while another writes it, in large pieces and past the page cache
//! where the file system allows that.

use std::fs::File;
use std::sync::mpsc;

use anyhow::{Context, Result};
use memmap2::MmapMut;
use nix::errno::Errno;
use nix::sys::uio::pwrite;

use super::files::TestFiles;
use super::seal::{self, Generation};
use super::transfer::{TransferError, retry};
use super::{direct, pattern, source};
use crate::signal;

/// Bytes of one write.
const PIECE: usize = 1 << 20;

/// Pieces that are made ahead of the writer.
const AHEAD: usize = 3;

/// O_DIRECT is taken for whole multiples of this only; the end of a file may have less.
const DIRECT_UNIT: usize = 4096;

/// A part of a file with the data for it.
struct Piece {
    file: u32,
    offset: u64,
    len: usize,
    /// Page-aligned, as O_DIRECT demands.
    data: MmapMut,
}

/// Creates these files and writes them from start to end.
pub(super) fn write_files(
    files: &TestFiles,
    numbers: &[u32],
    written: &mut dyn FnMut(u64),
) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let plan = Content::of(files);
    std::thread::scope(|scope| {
        let (spent, reused) = mpsc::channel();
        let (made, pieces) = mpsc::sync_channel(AHEAD);
        for _ in 0..=AHEAD {
            spent.send(source::map(plan.piece)?)?;
        }
        scope.spawn(move || make_pieces(numbers, plan, &reused, &made));
        // Both ends of the channels go with this closure, so that the other thread ends with it.
        let mut pieces = pieces.into_iter();
        for &number in numbers {
            let (file, direct) = files.create_to_fill(number)?;
            let mut sink = Sink {
                files,
                number,
                file,
                direct,
            };
            let mut left = plan.file_size;
            while left > 0 {
                signal::go_on()?;
                let piece = pieces
                    .next()
                    .context("the thread that makes data has ended")?;
                debug_assert_eq!(piece.file, number);
                sink.write(&piece)?;
                left -= piece.len as u64;
                written(piece.len as u64);
                // The maker may have finished already.
                let _ = spent.send(piece.data);
            }
            sink.file
                .sync_all()
                .with_context(|| format!("syncing {}", files.path_of(number).display()))?;
        }
        Ok(())
    })
}

/// What the files are to hold.
#[derive(Debug, Clone, Copy)]
struct Content {
    file_size: u64,
    /// Bytes of a piece.
    piece: usize,
    /// The size of the blocks that are sealed, under `--validate`.
    sealed: Option<usize>,
}

impl Content {
    fn of(files: &TestFiles) -> Self {
        let set = files.set();
        let block = set.block_size as usize;
        Self {
            file_size: set.file_size,
            piece: match files.validate() {
                // Whole blocks, as each is sealed as one.
                true => block * (PIECE / block).max(1),
                false => PIECE,
            },
            sealed: files.validate().then_some(block),
        }
    }

    fn fill(self, data: &mut [u8], file: u32, offset: u64) {
        let stream = (u64::from(file) << 32) | (offset / self.piece as u64);
        pattern::fill(data, stream);
        pattern::stamp(data, file, offset, 0);
        if let Some(block) = self.sealed {
            seal::seal_all(data, file, offset, block, Generation::PREPARED);
        }
    }
}

fn make_pieces(
    numbers: &[u32],
    content: Content,
    reused: &mpsc::Receiver<MmapMut>,
    made: &mpsc::SyncSender<Piece>,
) {
    for &file in numbers {
        for offset in (0..content.file_size).step_by(content.piece) {
            let Ok(mut data) = reused.recv() else { return };
            let len = (content.file_size - offset).min(content.piece as u64) as usize;
            content.fill(&mut data[..len], file, offset);
            let piece = Piece {
                file,
                offset,
                len,
                data,
            };
            if made.send(piece).is_err() {
                return;
            }
        }
    }
}

/// A file that is being filled.
struct Sink<'a> {
    files: &'a TestFiles,
    number: u32,
    file: File,
    direct: bool,
}

impl Sink<'_> {
    fn write(&mut self, piece: &Piece) -> Result<()> {
        let mut done = 0;
        while done < piece.len {
            let rest = &piece.data[done..piece.len];
            let part = match rest.len() / DIRECT_UNIT * DIRECT_UNIT {
                whole if self.direct && whole > 0 => &rest[..whole],
                _ => {
                    self.leave_direct()?;
                    rest
                }
            };
            let offset = piece.offset + done as u64;
            let moved = retry(|| pwrite(&self.file, part, offset as i64));
            match moved {
                Ok(0) => return Err(self.failed(piece, moved)),
                Ok(n) => done += n,
                Err(Errno::EINVAL) if self.direct => self.leave_direct()?,
                Err(_) => return Err(self.failed(piece, moved)),
            }
        }
        Ok(())
    }

    /// What follows goes through the page cache.
    fn leave_direct(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.direct, false) {
            direct::switch(&self.file, false).context("switching O_DIRECT off")?;
        }
        Ok(())
    }

    fn failed(&self, piece: &Piece, moved: nix::Result<usize>) -> anyhow::Error {
        TransferError {
            doing: "writing",
            path: self.files.path_of(self.number),
            offset: piece.offset,
            len: piece.len,
            moved,
        }
        .into()
    }
}
