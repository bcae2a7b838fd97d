//! One run as the comparison knows it, whatever wrote it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::metric::Percentile;

/// One run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where it was read.
    pub source: Source,
    /// "cpu", "memory" or "fileio".
    pub test: String,
    /// "complete", "interrupted" or "failed".
    pub status: String,
    /// All that is known of it beside its figures.
    pub facts: Facts,
    /// What it measured.
    pub figures: Figures,
    /// Code and sentence of each reason why a figure may mislead.
    pub warnings: Vec<(String, String)>,
}

impl Run {
    /// It ended by its own limits.
    pub fn is_complete(&self) -> bool {
        self.status == "complete"
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name as it was found, or "standard input".
    pub file: Arc<str>,
    /// The line at which the run begins, from 1.
    pub line: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            1 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What is known of a run: the dotted name of each field in the result file, and its value as
/// text. A field that the source doesn't tell is absent; null is told, and is "null".
///
/// All of it stands in one piece of memory, as there may be many thousands of runs.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    text: String,
    /// By path.
    fields: Vec<Field>,
}

/// Where a fact stands in the text: its path, and behind it its value.
#[derive(Debug, Clone, Copy)]
struct Field {
    path: usize,
    value: usize,
    end: usize,
}

/// Where the parameters of a run stand.
pub const PARAMS: &str = "workload.params.";

/// Where the labels of a run stand.
pub const LABELS: &str = "labels.";

impl Facts {
    /// Adds a value, each member of an object by its own name; arrays are no facts.
    pub fn insert(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.insert(&format!("{path}.{name}"), member);
                }
            }
            Value::Array(_) => {}
            Value::String(text) => self.insert_text(path, text),
            other => self.insert_text(path, &other.to_string()),
        }
    }

    fn insert_text(&mut self, path: &str, value: &str) {
        let place = self.find(path);
        let start = self.text.len();
        self.text.push_str(path);
        self.text.push_str(value);
        let field = Field {
            path: start,
            value: start + path.len(),
            end: self.text.len(),
        };
        match place {
            Ok(place) => self.fields[place] = field,
            Err(place) => self.fields.insert(place, field),
        }
    }

    fn find(&self, path: &str) -> Result<usize, usize> {
        self.fields
            .binary_search_by(|field| self.text[field.path..field.value].cmp(path))
    }

    fn at(&self, place: usize) -> (&str, &str) {
        let Field { path, value, end } = self.fields[place];
        (&self.text[path..value], &self.text[value..end])
    }

    /// The value of a field.
    pub fn get(&self, path: &str) -> Option<&str> {
        Some(self.at(self.find(path).ok()?).1)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.fields.len()).map(|place| self.at(place))
    }

    /// The full name of what a user calls so: a label, else a parameter, else a field.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        [LABELS, PARAMS, "workload.", ""]
            .iter()
            .find_map(|prefix| self.find(&format!("{prefix}{name}")).ok())
            .map(|place| self.at(place).0)
    }
}

/// What a run measured; None for what its source doesn't tell.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The length of the run in seconds.
    pub wall_s: Option<f64>,
    /// Events per second.
    pub events_per_s: Option<f64>,
    /// Units of 2^20 bytes per second; None where nothing moves.
    pub mib_per_s: Option<f64>,
    /// Durations of the events.
    pub latency: Durations,
    /// Durations of the fsyncs.
    pub fsync: Durations,
}

/// A distribution of durations, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// Their mean.
    pub mean: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
    /// The percentiles that are told.
    pub percentiles: Vec<(Percentile, f64)>,
    /// All of it, as the result file has it.
    pub histogram: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_means_a_label_before_a_parameter_before_a_field() {
        let mut facts = Facts::default();
        facts.insert("host", &json!({"kernel": "6.1", "threads": "x"}));
        facts.insert(
            "workload",
            &json!({"threads": 4, "params": {"mode": "seqrd"}}),
        );
        assert_eq!(facts.resolve("threads"), Some("workload.threads"));
        assert_eq!(facts.resolve("mode"), Some("workload.params.mode"));
        assert_eq!(facts.resolve("host.kernel"), Some("host.kernel"));
        assert_eq!(facts.resolve("kernel"), None);
        facts.insert("labels", &json!({"threads": "many"}));
        assert_eq!(facts.resolve("threads"), Some("labels.threads"));
    }
}
