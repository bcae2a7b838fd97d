//! Suites in a directory of their own.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Running, names_in, result_in, temp_dir, wbench};

/// A small version of the study's measurements.
pub const SMALL: &str = r#"
name = "small"

[defaults.cpu]
max-prime = 100
events = 20

[defaults.memory]
total-size = "1M"

[defaults.fileio]
files = 4
total-size = "1M"
events = 50

[[measurement]]
name = "cpu"
test = "cpu"

[[measurement]]
name = "memory-read"
test = "memory"
oper = "read"

[[measurement]]
name = "seqrd"
test = "fileio"
mode = "seqrd"
events = 0

[[measurement]]
name = "rndrd"
test = "fileio"
mode = "rndrd"

[[measurement]]
name = "seqwr"
test = "fileio"
mode = "seqwr"
events = 0

[[measurement]]
name = "rndwr"
test = "fileio"
mode = "rndwr"
"#;

pub const SMALL_NAMES: [&str; 6] = ["cpu", "memory-read", "seqrd", "rndrd", "seqwr", "rndwr"];

/// A directory with a profile and a directory for test files.
pub struct Place {
    pub directory: TempDir,
}

impl Place {
    pub fn with(profile: &str) -> Self {
        let directory = temp_dir();
        std::fs::write(directory.path().join("p.toml"), profile).unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn args(args: &str) -> String {
        format!("suite --profile p.toml --dir data {args}")
    }

    pub fn suite(&self, args: &str) -> Output {
        let done = wbench(self.path(), &Self::args(args)).output();
        done.expect("the suite ends")
    }

    pub fn start(&self, args: &str) -> Running {
        Running::wbench(self.path(), &Self::args(args))
    }

    pub fn file(&self) -> PathBuf {
        self.path().join("wbench-suite.json")
    }

    pub fn partial(&self) -> PathBuf {
        self.path().join("wbench-suite.json.partial")
    }

    pub fn results(&self) -> Vec<Value> {
        result_in(&self.file())
            .as_array()
            .expect("an array")
            .clone()
    }

    pub fn test_files(&self) -> Vec<String> {
        names_in(&self.path().join("data"))
    }
}

pub fn names(results: &[Value]) -> Vec<&str> {
    let names = results.iter().map(|result| &result["suite"]["measurement"]);
    names.map(|name| name.as_str().expect("a name")).collect()
}

pub fn lines_in(file: &Path) -> usize {
    std::fs::read(file).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
}
