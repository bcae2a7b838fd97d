//! The parameters in a log, by their names in the result file.

use serde_json::{Value, json};

use super::notation::{self, leading_number, size, whole};
use super::{Log, LoggedTest};

/// A parameter; `None` if the log does not contain it.
type Param = (&'static str, Option<Value>);

impl Log<'_> {
    /// The known parameters with their values as text.
    pub(super) fn params(
        &self,
        test: LoggedTest,
    ) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let params = match test {
            LoggedTest::Cpu => self.cpu_params(),
            LoggedTest::Memory => self.memory_params(),
            LoggedTest::Fileio => self.fileio_params(),
            LoggedTest::Threads => self.threads_params(),
            // A log has none of them.
            LoggedTest::Mutex => Vec::new(),
        };
        params.into_iter().filter_map(|(name, value)| match value? {
            Value::String(text) => Some((name, text)),
            other => Some((name, other.to_string())),
        })
    }

    fn cpu_params(&self) -> Vec<Param> {
        let old = self.number("Maximum prime number checked in CPU test:");
        let new = self.number("Prime numbers limit:");
        let bound = old.map(|_| "integer").or(new.map(|_| "double"));
        vec![
            ("max_prime", old.or(new).map(whole)),
            ("bound", bound.map(Value::from)),
        ]
    }

    fn memory_params(&self) -> Vec<Param> {
        let either = |old, new| self.after(old).or_else(|| self.after(new));
        let bytes = |old, new| either(old, new).and_then(size).map(whole);
        let name = |old, new| either(old, new).map(Value::from);
        vec![
            (
                "block_size_bytes",
                bytes("Memory block size:", "block size:"),
            ),
            (
                "total_size_bytes",
                bytes("Memory transfer size:", "total size:"),
            ),
            ("oper", name("Memory operations type:", "operation:")),
            ("scope", name("Memory scope type:", "scope:")),
        ]
    }

    fn threads_params(&self) -> Vec<Param> {
        let line = self.after("Thread yields per test:");
        let locks = line.and_then(|line| line.split_once("Locks used:"));
        vec![
            ("yields", line.and_then(leading_number).map(whole)),
            (
                "locks",
                locks
                    .and_then(|(_, locks)| leading_number(locks))
                    .map(whole),
            ),
        ]
    }

    fn fileio_params(&self) -> Vec<Param> {
        let name = |prefix, value: fn(&str) -> Option<&'static str>| {
            self.after(prefix).and_then(value).map(Value::from)
        };
        let files = self.find(|line| {
            let (count, _) = line.split_once(" files, ")?;
            count.parse::<u32>().ok()
        });
        let total = self.find(|line| size(line.strip_suffix(" total file size")?));
        let mut params = vec![
            ("mode", name("Doing ", notation::mode)),
            ("io_mode", name("Using ", notation::io_mode)),
            ("block_size_bytes", self.block_size().map(whole)),
            ("total_size_bytes", total.map(whole)),
            ("files", files.map(Value::from)),
            ("flags", name("Extra file open flags:", notation::flags)),
        ];
        params.extend(self.fsync_params());
        params.extend(self.request_params());
        params
    }

    fn block_size(&self) -> Option<f64> {
        self.after("Block size").and_then(size)
    }

    fn fsync_params(&self) -> Vec<Param> {
        // At low verbosity a log has no parameters at all.
        if self.after("Extra file open flags:").is_none() {
            return Vec::new();
        }
        let periodic = self.after("Periodic FSYNC enabled, calling");
        let frequency = periodic.and_then(|line| leading_number(line.split_once("each ")?.1));
        let called = |call: &str, when: &str| self.contains(&format!("Calling {call}() {when}"));
        let either = |when| called("fsync", when) || called("fdatasync", when);
        let data_only = periodic.is_some_and(|line| line.starts_with("fdatasync"))
            || self.after("Calling fdatasync()").is_some();
        let call = if data_only { "fdatasync" } else { "fsync" };
        vec![
            ("fsync_freq", Some(whole(frequency.unwrap_or(0.0)))),
            ("fsync_all", Some(either("after each write").into())),
            (
                "fsync_end",
                Some(either("at the end of test, Enabled").into()),
            ),
            ("fsync_mode", Some(call.into())),
        ]
    }

    /// Parameters of either sequential or random requests.
    fn request_params(&self) -> Vec<Param> {
        let mode = self.after("Doing ").and_then(notation::mode);
        if mode.is_some_and(|mode| mode.starts_with("seq")) {
            return vec![("merged_requests", Some(self.merged_requests()))];
        }
        let ratio = self.number("Read/Write ratio for combined random IO test:");
        let requests = self
            .number("Number of random requests for random IO:")
            .or_else(|| self.number("Number of IO requests:"))
            .map(|n| if n > 0.0 { whole(n) } else { Value::Null });
        vec![
            ("rw_ratio", ratio.map(Value::from)),
            ("max_requests", requests),
        ]
    }

    fn merged_requests(&self) -> Value {
        let merged = self
            .after("Merging requests  up to")
            .and_then(|line| size(line.split(' ').next()?));
        match (merged, self.block_size()) {
            (Some(merged), Some(block)) if block > 0.0 => whole(merged / block),
            _ => json!(0),
        }
    }
}
