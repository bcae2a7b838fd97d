//! The requests of a fileio run, specified independently of the program.

use predicates::str::is_empty;
use tempfile::TempDir;

use crate::common::{temp_dir, wbench};

/// Options of a run, and the sequence of data calls they must produce.
///
/// This specifies the behavior a second time, in another way than the program: as a list of all
/// calls, generated at once.
#[derive(Clone, Copy)]
pub struct Model {
    pub mode: &'static str,
    pub files: u64,
    pub file_size: u64,
    pub block: u64,
    pub requests: u64,
    pub fsync_freq: u64,
    pub fsync_all: bool,
    pub fsync_end: bool,
    pub fsync_mode: &'static str,
    pub merged: u64,
    pub ratio: f64,
    pub seed: Option<u64>,
}

pub const MODEL: Model = Model {
    mode: "rndrd",
    files: 3,
    file_size: 32 << 10,
    block: 4096,
    requests: 60,
    fsync_freq: 0,
    fsync_all: false,
    fsync_end: false,
    fsync_mode: "fsync",
    merged: 0,
    ratio: 1.5,
    seed: None,
};

impl Model {
    pub fn args(&self) -> String {
        let Self {
            files,
            block,
            fsync_freq,
            fsync_mode,
            merged,
            ratio,
            ..
        } = self;
        let total = self.files * self.file_size;
        let mut args = format!(
            "--files {files} --total-size {total} --block-size {block} --flags none --fsync-freq \
             {fsync_freq} --fsync-mode {fsync_mode} --merged-requests {merged} --rw-ratio {ratio} \
             --fsync-end {}",
            if self.fsync_end { "on" } else { "off" }
        );
        if self.fsync_all {
            args.push_str(" --fsync-all");
        }
        if let Some(seed) = self.seed {
            args.push_str(&format!(" --seed {seed}"));
        }
        if self.mode.starts_with("rnd") {
            args.push_str(&format!(" --events {}", self.requests));
        }
        args
    }

    pub fn calls(&self) -> Vec<String> {
        let mut calls = match self.mode.starts_with("seq") {
            true => self.sequential(),
            false => self.random(),
        };
        if self.fsync_end && !self.fsync_all && self.writes() {
            calls.extend((0..self.files).map(|file| self.flush(file)));
        }
        calls
    }

    pub fn writes(&self) -> bool {
        !self.mode.ends_with("rd")
    }

    pub fn flush(&self, file: u64) -> String {
        format!("{} {file}", self.fsync_mode)
    }

    pub fn data(
        &self,
        calls: &mut Vec<String>,
        is_read: bool,
        file: u64,
        offset: u64,
        length: u64,
    ) {
        let verb = if is_read { "read" } else { "write" };
        calls.push(format!("{verb} {file} {offset} {length}"));
        if self.fsync_all && !is_read {
            calls.push(self.flush(file));
        }
    }

    pub fn sequential(&self) -> Vec<String> {
        let mut calls = Vec::new();
        let step = self.block * self.merged.max(1);
        for file in 0..self.files {
            let mut offset = 0;
            while offset < self.file_size {
                let length = step.min(self.file_size - offset);
                self.data(&mut calls, !self.writes(), file, offset, length);
                offset += step;
            }
        }
        calls
    }

    pub fn random(&self) -> Vec<String> {
        let mut calls = Vec::new();
        let mut x: u128 = self
            .seed
            .map_or(0, |seed| u128::from(seed) * 65536 + 0x330E);
        let (mut reads, mut writes) = (0, 0);
        let mut written_since_round = false;
        for n in 0..self.requests {
            if self.fsync_freq > 0
                && !self.fsync_all
                && n % self.fsync_freq == 0
                && written_since_round
            {
                calls.extend((0..self.files).map(|file| self.flush(file)));
                written_since_round = false;
            }
            let is_read = match self.mode {
                "rndrd" => true,
                "rndwr" => false,
                _ => f64::from(reads + 1) / f64::from(writes + 1) < self.ratio,
            };
            if is_read {
                reads += 1;
            } else {
                writes += 1;
                written_since_round = true;
            }
            x = (x * 0x5DEECE66D + 11) % (1 << 48);
            let draw = ((x >> 17) % 0x3fffffff) as f64;
            let position =
                (draw / f64::from(0x3fffffff) * (self.files * self.file_size) as f64) as u64;
            let position = position / self.block * self.block;
            let (file, offset) = (position / self.file_size, position % self.file_size);
            self.data(&mut calls, is_read, file, offset, self.block);
        }
        calls
    }
}

/// A directory with the files of a model.
pub fn prepared(model: &Model) -> TempDir {
    let directory = temp_dir();
    wbench(
        directory.path(),
        &format!("fileio prepare {}", model.args()),
    )
    .assert()
    .success()
    .stdout(is_empty());
    directory
}
