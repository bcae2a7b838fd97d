//! Fields of a result by their dotted names: `host.kernel`, `workload.params.mode`, `labels.env`.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Prefix of the paths of parameters.
pub const PARAMS: &str = "workload.params.";

/// Prefix of the paths of labels.
pub const LABELS: &str = "labels.";

/// The number of threads, a parameter like those of [`PARAMS`].
pub const THREADS: &str = "workload.threads";

/// Name of encoded histograms. These are no fields: only their figures are.
const HISTOGRAM: &str = "histogram";

/// Maximum number of similar names in an error.
const SIMILAR: usize = 3;

/// Smallest similarity (Jaro-Winkler) of names that are nearly the same.
const SIMILARITY: f64 = 0.9;

/// Fields of a run: the dotted name of each field in the result, and its value as text. A field
/// that is missing in the source is absent; null is present, as "null". An array of scalars is one
/// field; arrays of objects (threads, intervals) are none.
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

/// Describes what exists instead of an unknown label, parameter or field: similar names, the labels
/// and the parameters of all runs.
pub fn alternatives<'a>(unknown: &str, runs: impl Iterator<Item = &'a Fields>) -> String {
    let paths: BTreeSet<&str> = runs.flat_map(Fields::iter).map(|(path, _)| path).collect();
    let below = |prefix| {
        let names = paths
            .iter()
            .filter_map(move |path| path.strip_prefix(prefix));
        names.collect::<Vec<&str>>()
    };
    let mut text = String::new();
    for (what, names) in [
        ("similar", similar(unknown, &paths)),
        ("labels", below(LABELS)),
        ("parameters", below(PARAMS)),
    ] {
        if !names.is_empty() {
            _ = write!(text, "; {what}: {}", names.join(", "));
        }
    }
    text
}

/// The paths that contain the name, or whose last component or whole is nearly the same.
fn similar<'a>(name: &str, paths: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let last = |path: &'a str| path.rsplit('.').next().unwrap_or(path);
    let score = |path: &'a str| match path.to_lowercase().contains(&name) && !name.is_empty() {
        true => 1.0,
        false => strsim::jaro_winkler(&name, path).max(strsim::jaro_winkler(&name, last(path))),
    };
    let scored = paths.iter().map(|path| (score(path), *path));
    let mut near: Vec<_> = scored.filter(|(score, _)| *score > SIMILARITY).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.truncate(SIMILAR);
    near.into_iter().map(|(_, path)| path).collect()
}

/// Adds fields in any order.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    fields: Fields,
    /// Path of the object that is being read, followed by a dot.
    prefix: String,
}

impl FieldsBuilder {
    /// Adds a field by its full path.
    pub fn insert(&mut self, path: &str, value: impl fmt::Display) {
        let prefix = std::mem::take(&mut self.prefix);
        self.add(path, value);
        self.prefix = prefix;
    }

    /// Adds a field below the prefix.
    fn add(&mut self, name: &str, value: impl fmt::Display) {
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
        // The reversed order keeps the last of equal paths.
        spans.reverse();
        spans.sort_by(|a, b| path(a).cmp(path(b)));
        spans.dedup_by(|a, b| path(a) == path(b));
        spans.shrink_to_fit();
        let mut text = text;
        text.shrink_to_fit();
        Fields { text, spans }
    }
}

impl<'de> Deserialize<'de> for Fields {
    /// Reads all fields of a JSON object.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut builder = FieldsBuilder::default();
        deserializer.deserialize_map(Members(&mut builder))?;
        Ok(builder.finish())
    }
}

/// Reads the members of an object.
struct Members<'a>(&'a mut FieldsBuilder);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Box<str>>()? {
            map.next_value_seed(Member {
                name: &name,
                builder: self.0,
            })?;
        }
        Ok(())
    }
}

/// Reads the value of a member.
struct Member<'a> {
    name: &'a str,
    builder: &'a mut FieldsBuilder,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.add(self.name, "null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.builder.add(self.name, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.builder.add(self.name, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.builder.add(self.name, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // As in JSON, with a decimal point or an exponent.
        self.builder.add(self.name, serde_json::json!(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        if self.name != HISTOGRAM {
            self.builder.add(self.name, value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let length = self.builder.prefix.len();
        self.builder.prefix.push_str(self.name);
        self.builder.prefix.push('.');
        Members(self.builder).visit_map(map)?;
        self.builder.prefix.truncate(length);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut scalars = Vec::new();
        let mut nested = false;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            match element.get().starts_with(['{', '[']) {
                true => nested = true,
                false if !nested => scalars.push(element.get()),
                false => {}
            }
        }
        if !nested {
            self.builder
                .add(self.name, format_args!("[{}]", scalars.join(",")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
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
        let labelled = json.replacen('{', r#"{"labels": {"threads": "many"},"#, 1);
        assert_eq!(fields(&labelled).resolve("threads"), Some("labels.threads"));
    }

    #[test]
    fn every_scalar_of_a_result_is_a_field_except_encoded_histograms() {
        let fields = fields(
            r#"{"a": null, "b": {"c": {"d": -1}, "e": 2.0}, "f": true, "g": [1, "x"], "h": [],
                "i": [{"j": 1}], "k": "text", "latency": {"max": 9, "histogram": "HISTF"}, "k": "last"}"#,
        );
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(
            all,
            [
                ("a", "null"),
                ("b.c.d", "-1"),
                ("b.e", "2.0"),
                ("f", "true"),
                ("g", r#"[1,"x"]"#),
                ("h", "[]"),
                ("k", "last"),
                ("latency.max", "9"),
            ]
        );
    }

    #[test]
    fn alternatives_to_an_unknown_name_are_similar_fields_labels_and_parameters() {
        let fields = fields(
            r#"{"labels": {"env": "x"}, "host": {"kernel": "6.1", "cpus": 2},
                "workload": {"params": {"mode": "seqrd"}}}"#,
        );
        let of = |name| alternatives(name, [&fields].into_iter());
        let rest = "; labels: env; parameters: mode";
        for (name, similar) in [
            ("kernel", "; similar: host.kernel"),
            ("kernle", "; similar: host.kernel"),
            ("host.kernle", "; similar: host.kernel"),
            ("zzz", ""),
        ] {
            assert_eq!(of(name), format!("{similar}{rest}"), "{name}");
        }
    }
}
