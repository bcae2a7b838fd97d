//! A run in the form in which it is compared, whatever program wrote it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::metric::Percentile;

/// One run.
#[derive(Debug, Clone)]
pub struct Run {
    /// File and line of the run.
    pub source: Source,
    /// "cpu", "memory", "fileio", "threads" or "mutex".
    pub test: String,
    /// "complete", "interrupted" or "failed".
    pub status: String,
    /// Its fields, except the figures.
    pub facts: Facts,
    /// Measured figures.
    pub figures: Figures,
    /// Code and message of each warning.
    pub warnings: Vec<(String, String)>,
}

impl Run {
    /// Whether the run ended by its own limits.
    pub fn is_complete(&self) -> bool {
        self.status == "complete"
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the file as found, or "standard input".
    pub file: Arc<str>,
    /// Line on which the run begins, from 1.
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

/// Fields of a run: the dotted name of each field in the result file, and its value as text. A
/// field that is missing in the source is absent; null is present, as "null".
///
/// All text is in one allocation, as there may be many thousands of runs.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    text: String,
    /// Sorted by path.
    fields: Vec<Field>,
}

/// Position of a field in the text: its path, followed by its value.
#[derive(Debug, Clone, Copy)]
struct Field {
    path: usize,
    value: usize,
    end: usize,
}

/// Prefix of the paths of parameters.
pub const PARAMS: &str = "workload.params.";

/// Prefix of the paths of labels.
pub const LABELS: &str = "labels.";

impl Facts {
    /// Adds a value; members of objects become fields of their own, arrays are ignored.
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

    /// The value of a field by its full path.
    pub fn get(&self, path: &str) -> Option<&str> {
        Some(self.at(self.find(path).ok()?).1)
    }

    /// All fields, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.fields.len()).map(|place| self.at(place))
    }

    /// The full path of a name given by the user: a label, else a parameter, else a field.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        [LABELS, PARAMS, "workload.", ""]
            .iter()
            .find_map(|prefix| self.find(&format!("{prefix}{name}")).ok())
            .map(|place| self.at(place).0)
    }
}

/// Measured figures; `None` if missing in the source.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Duration of the run in seconds.
    pub wall_s: Option<f64>,
    /// Events per second.
    pub events_per_s: Option<f64>,
    /// MiB (2^20 bytes) per second; `None` if the run moves no data.
    pub mib_per_s: Option<f64>,
    /// Durations of the events.
    pub latency: Durations,
    /// Durations of the fsyncs.
    pub fsync: Durations,
}

/// A distribution of durations, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Maximum.
    pub max: Option<f64>,
    /// The percentiles in the source.
    pub percentiles: Vec<(Percentile, f64)>,
    /// The whole distribution, encoded as in the result file.
    pub histogram: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_resolves_to_a_label_then_a_parameter_then_a_field() {
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
