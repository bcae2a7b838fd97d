//! Escaping of untrusted text: labels, file names, results and messages of other programs.
//!
//! A terminal obeys escape sequences wherever they come from, and bidirectional controls reorder
//! what a reader sees. Every report and message passes such text through one of these functions;
//! only the files and documents for programs contain it unchanged.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

/// Characters of a cell in a table. A longer one would pad every other row to its width.
const CELL: usize = 120;

/// Escapes a text that must stay on one line: `\n`, `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_active)
}

/// Escapes a text that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_active(c))
}

/// Escapes a cell of a table, and truncates it to a width that leaves the table readable.
pub fn cell(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((end, _)) => line(&text[..end]).into_owned() + "…",
        None => line(text).into_owned(),
    }
}

/// Escapes a JSON document without changing its value: only strings can contain such characters.
pub fn json(document: String) -> String {
    let is_active = |c| c != '\n' && is_active(c);
    if !document.contains(is_active) {
        return document;
    }
    let mut text = String::with_capacity(document.len());
    for c in document.chars() {
        match is_active(c) {
            true => _ = write!(text, "\\u{:04x}", u32::from(c)),
            false => text.push(c),
        }
    }
    text
}

/// Prints a message on standard error: [`print_message`] with the arguments of `format!`.
macro_rules! message {
    ($($argument:tt)*) => { $crate::terminal::print_message(format_args!($($argument)*)) };
}
pub(crate) use message;

/// Prints a message and a newline on standard error. Its second and further lines are indented, so
/// that no text from outside looks like a message of its own.
///
/// A message that cannot be written is lost: there is no other place for it.
pub fn print_message(text: std::fmt::Arguments<'_>) {
    let text = text.to_string();
    let text = lines(&text).replace('\n', "\n  ");
    _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a report on standard error, for use when standard output has a document.
///
/// A report that cannot be written is lost, like a message.
pub fn print_report(text: &str) {
    _ = std::io::stderr().write_all(lines(text).as_bytes());
}

/// Returns whether a character controls a terminal (C0, DEL, C1) or the direction or lines of text.
fn is_active(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || reorders || matches!(c, '\u{2028}'..='\u{202e}')
}

fn escaped(text: &str, is_active: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_active) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_active(c) {
            true => escaped.extend(c.escape_debug()),
            false => escaped.push(c),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        for (hostile, shown) in [
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("bell\x07 del\x7f nul\0", "bell\\u{7} del\\u{7f} nul\\0"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            (
                "\u{202e}txt\u{2066}\u{200f}",
                "\\u{202e}txt\\u{2066}\\u{200f}",
            ),
            ("Genève 'x' \"y\" \\n", "Genève 'x' \"y\" \\n"),
        ] {
            assert_eq!(line(hostile), shown);
        }
        assert_eq!(lines("a\nb\x1b"), "a\nb\\u{1b}");
    }

    #[test]
    fn a_long_cell_is_truncated_between_characters() {
        let short = "ö".repeat(CELL);
        assert_eq!(cell(&short), short);
        assert_eq!(cell(&format!("{short}ö")), format!("{short}…"));
    }

    proptest! {
        #[test]
        fn escaped_json_keeps_its_value_and_has_no_active_characters(text: String) {
            let document = json(serde_json::to_string_pretty(&[&text]).unwrap());
            let expected = [text];
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&document).unwrap(), expected);
            prop_assert!(!document.contains(|c: char| c != '\n' && is_active(c)));
        }

        #[test]
        fn no_active_character_remains(text: String) {
            prop_assert!(!line(&text).contains(is_active));
            prop_assert!(!cell(&text).contains(is_active));
        }
    }
}
