//! JSON documents in a text: a single one, an array, or a sequence (JSON Lines).

use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::LineError;

/// A document and its position.
#[derive(Debug, Clone, Copy)]
pub struct JsonDocument<'a> {
    /// Line of its first character, from 1.
    pub line: usize,
    /// Its JSON.
    pub text: &'a str,
}

/// All documents in a text, and the error that ended reading early, if any.
pub fn documents(text: &str) -> (Vec<JsonDocument<'_>>, Option<LineError>) {
    let mut found = Vec::new();
    let mut lines = LineCounter::new(text);
    let mut stream = Deserializer::from_str(text).into_iter::<&RawValue>();
    while let Some(value) = stream.next() {
        let end = stream.byte_offset();
        let value = match value {
            Ok(value) => value.get(),
            Err(error) => return (found, Some(LineError::of_json(1, &error))),
        };
        let line = lines.line_at(end - value.len());
        match value.starts_with('[') {
            false => found.push(JsonDocument { line, text: value }),
            true => match serde_json::from_str::<Vec<&RawValue>>(value) {
                Ok(elements) => found.extend(elements.iter().map(|element| {
                    let text = element.get();
                    let start = text.as_ptr() as usize - lines.text.as_ptr() as usize;
                    JsonDocument {
                        line: lines.line_at(start),
                        text,
                    }
                })),
                Err(error) => return (found, Some(LineError::of_json(line, &error))),
            },
        }
    }
    (found, None)
}

/// Counts the lines of a text incrementally, each only once.
struct LineCounter<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            counted: 0,
            line: 1,
        }
    }

    /// The line of the character at an offset; offsets must not decrease between calls.
    fn line_at(&mut self, offset: usize) -> usize {
        let fresh = &self.text.as_bytes()[self.counted..offset];
        self.line += fresh.iter().filter(|byte| **byte == b'\n').count();
        self.counted = offset;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, &str)> {
        let (found, error) = documents(text);
        assert!(error.is_none(), "{error:?}");
        found.iter().map(|d| (d.line, d.text)).collect()
    }

    #[test]
    fn single_documents_arrays_and_json_lines_are_read_with_line_numbers() {
        assert_eq!(lines("\n {\"a\":\n1}\n"), [(2, "{\"a\":\n1}")]);
        assert_eq!(lines("[\n{},\n\n{}]"), [(2, "{}"), (4, "{}")]);
        assert_eq!(lines("{}\n\n[{}]\n{}"), [(1, "{}"), (3, "{}"), (4, "{}")]);
        assert_eq!(lines("[]"), []);
    }

    #[test]
    fn documents_before_an_error_are_read_and_the_error_has_its_line() {
        let (found, error) = documents("{}\n{\"a\":\n}\n");
        assert_eq!(found.len(), 1);
        assert_eq!(error.unwrap().line, 3);
    }
}
