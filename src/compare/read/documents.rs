//! JSON documents in a text: a single one, an array, or a sequence (JSON Lines).

use anyhow::{Error, anyhow};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// A document and its position.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Line of its first character, from 1.
    pub line: usize,
    /// Its JSON.
    pub text: &'a str,
}

/// Why part of a file is not a result.
#[derive(Debug)]
pub struct Fault {
    /// Line number, from 1.
    pub line: usize,
    /// The reason.
    pub reason: Error,
}

impl Fault {
    /// Converts a JSON parser's error; the parsed text begins at `first_line` of the file.
    pub fn of_json(first_line: usize, error: &serde_json::Error) -> Self {
        let line = first_line + error.line().saturating_sub(1);
        // The parser's position is relative to the document, not to the file.
        let told = error.to_string();
        let reason = match told.split_once(" at line ") {
            Some((reason, _)) => reason.to_owned(),
            None => told,
        };
        Self {
            line,
            reason: anyhow!("{reason}"),
        }
    }
}

/// All documents in a text, and the error that ended reading early, if any.
pub fn documents(text: &str) -> (Vec<Document<'_>>, Option<Fault>) {
    let mut found = Vec::new();
    let mut lines = Lines::new(text);
    let mut stream = Deserializer::from_str(text).into_iter::<&RawValue>();
    while let Some(value) = stream.next() {
        let end = stream.byte_offset();
        let value = match value {
            Ok(value) => value.get(),
            Err(error) => return (found, Some(Fault::of_json(1, &error))),
        };
        let line = lines.upto(end - value.len());
        match value.starts_with('[') {
            false => found.push(Document { line, text: value }),
            true => match serde_json::from_str::<Vec<&RawValue>>(value) {
                Ok(members) => found.extend(members.iter().map(|member| {
                    let text = member.get();
                    let start = text.as_ptr() as usize - lines.text.as_ptr() as usize;
                    Document {
                        line: lines.upto(start),
                        text,
                    }
                })),
                Err(error) => return (found, Some(Fault::of_json(line, &error))),
            },
        }
    }
    (found, None)
}

/// Counts the lines of a text incrementally, each only once.
struct Lines<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            counted: 0,
            line: 1,
        }
    }

    /// The line of the character at an offset; offsets must not decrease between calls.
    fn upto(&mut self, offset: usize) -> usize {
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
        let (found, fault) = documents(text);
        assert!(fault.is_none(), "{fault:?}");
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
        let (found, fault) = documents("{}\n{\"a\":\n}\n");
        assert_eq!(found.len(), 1);
        assert_eq!(fault.unwrap().line, 3);
    }
}
