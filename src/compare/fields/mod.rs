//! Fields of a result by their dotted names: `host.kernel`, `workload.params.mode`, `labels.env`.

mod alternatives;
mod deserialize;

use std::fmt::{self, Write as _};

pub use alternatives::alternatives;

/// Prefix of the paths of parameters.
pub const PARAMS: &str = "workload.params.";

/// Prefix of the paths of labels.
pub const LABELS: &str = "labels.";

/// The number of threads, a parameter like those of [`PARAMS`].
pub const THREADS: &str = "workload.threads";

/// Fields of a run: the dotted name of each field in the result, and its value as text. A field
/// that is missing in the source is absent; null is present, as "null". An array of scalars is one
/// field; arrays of objects (threads, intervals) are not fields.
///
/// All text is in one allocation, as there may be many thousands of runs.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    text: String,
    /// Sorted by path.
    spans: Vec<Span>,
}

/// Position of a field in the text: its path, followed by its value.
#[derive(Debug, Clone, Copy)]
struct Span {
    path: usize,
    value: usize,
    end: usize,
}

impl Fields {
    fn at(&self, span: Span) -> (&str, &str) {
        let Span { path, value, end } = span;
        (&self.text[path..value], &self.text[value..end])
    }

    fn find(&self, path: &str) -> Option<(&str, &str)> {
        let by_path = |span: &Span| self.at(*span).0.cmp(path);
        let found = self.spans.binary_search_by(by_path).ok()?;
        Some(self.at(self.spans[found]))
    }

    /// Adds a field, by its full path, unless there is one.
    pub fn insert_missing(&mut self, path: &str, value: &str) {
        let by_path = |span: &Span| self.at(*span).0.cmp(path);
        if let Err(at) = self.spans.binary_search_by(by_path) {
            let start = self.text.len();
            self.text.extend([path, value]);
            let span = Span {
                path: start,
                value: start + path.len(),
                end: self.text.len(),
            };
            self.spans.insert(at, span);
        }
    }

    /// The value of a field by its full path.
    pub fn get(&self, path: &str) -> Option<&str> {
        Some(self.find(path)?.1)
    }

    /// All fields, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().map(|span| self.at(*span))
    }

    /// The fields below a prefix, by the rest of their path.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let start = self.spans.partition_point(|span| self.at(*span).0 < prefix);
        let from_start = self.spans[start..].iter().map(|span| self.at(*span));
        from_start.map_while(move |(path, value)| Some((path.strip_prefix(prefix)?, value)))
    }

    /// The full path of a name given by the user: a label, else a parameter, else a field.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        let mut prefixes = [LABELS, PARAMS, "workload.", ""].iter();
        prefixes.find_map(|prefix| Some(self.find(&format!("{prefix}{name}"))?.0))
    }
}

/// Adds fields in any order.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    fields: Fields,
    /// Path of the object that is being read, followed by a dot.
    prefix: String,
}

impl FieldsBuilder {
    /// Adds a field of the object that is being read; before any, of the whole result.
    pub fn insert(&mut self, name: &str, value: impl fmt::Display) {
        let text = &mut self.fields.text;
        let path = text.len();
        text.push_str(&self.prefix);
        text.push_str(name);
        let start = text.len();
        _ = write!(text, "{value}");
        self.fields.spans.push(Span {
            path,
            value: start,
            end: text.len(),
        });
    }

    /// The fields; of several with the same path, the last.
    pub fn finish(self) -> Fields {
        let Fields { text, mut spans } = self.fields;
        let path = |span: &Span| &text[span.path..span.value];
        // The last of equal paths comes first and is kept.
        spans.sort_unstable_by(|a, b| path(a).cmp(path(b)).then_with(|| b.path.cmp(&a.path)));
        spans.dedup_by(|a, b| path(a) == path(b));
        spans.shrink_to_fit();
        let mut text = text;
        text.shrink_to_fit();
        Fields { text, spans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_missing_field_is_added_in_order_and_an_existing_one_is_kept() {
        let mut fields = fields(r#"{"a": 1, "c": 3}"#);
        fields.insert_missing("b", "2");
        fields.insert_missing("c", "4");
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("a", "1"), ("b", "2"), ("c", "3")]);
    }

    #[test]
    fn a_name_resolves_to_a_label_then_a_parameter_then_a_field() {
        let json = r#"{"host": {"kernel": "6.1", "threads": "x"},
                       "workload": {"threads": 4, "params": {"mode": "seqrd"}}}"#;
        let without_label = fields(json);
        assert_eq!(without_label.resolve("threads"), Some("workload.threads"));
        assert_eq!(without_label.resolve("mode"), Some("workload.params.mode"));
        assert_eq!(without_label.resolve("host.kernel"), Some("host.kernel"));
        assert_eq!(without_label.resolve("kernel"), None);
        let labeled = json.replacen('{', r#"{"labels": {"threads": "many"},"#, 1);
        assert_eq!(fields(&labeled).resolve("threads"), Some("labels.threads"));
    }
}
