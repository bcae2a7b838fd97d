//! Numbers, sizes and names as sysbench writes them.

use serde_json::Value;

use crate::compare::figures::LARGEST;

/// The access pattern after "Doing".
pub fn mode(text: &str) -> Option<&'static str> {
    let mode = match text.strip_suffix(" test")? {
        "sequential write (creation)" | "sequential write" => "seqwr",
        "sequential rewrite" => "seqrewr",
        "sequential read" => "seqrd",
        "random read" => "rndrd",
        "random write" => "rndwr",
        "random r/w" => "rndrw",
        _ => return None,
    };
    Some(mode)
}

/// The I/O mode after "Using", as in sysbench's option.
pub fn io_mode(text: &str) -> Option<&'static str> {
    let mode = match text.strip_suffix(" I/O mode")? {
        "synchronous" => "sync",
        "asynchronous" => "aio",
        mapped if mapped.contains("mmap") => "mmap",
        _ => return None,
    };
    Some(mode)
}

/// The flags of open(2): 1.0 prints their names, 0.4.12 their sum on x86.
pub fn flags(text: &str) -> Option<&'static str> {
    let flags = match text {
        "0" | "(none)" => "none",
        "1052672" | "sync" => "sync",
        "4096" | "dsync" => "dsync",
        "16384" | "directio" | "direct" => "direct",
        _ => return None,
    };
    Some(flags)
}

/// The number at the start of a text; `None` if missing or impossible for a run.
pub fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let number = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    number
        .parse()
        .ok()
        .filter(|number: &f64| *number <= LARGEST)
}

/// Parses a size in bytes, such as 4Kb, 64M, 16KiB or 1.5Gb (powers of 1024).
pub fn size(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let unit = text[digits..]
        .trim_end_matches(['b', 'B'])
        .trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    Some(leading_number(&text[..digits])? * 1024f64.powi(power))
}

/// A count as in the result file: an integer.
pub fn whole(number: f64) -> Value {
    // Saturates at `u64::MAX`: no run's files are that large.
    Value::from(number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_in_the_notation_of_both_versions() {
        for (text, bytes) in [
            ("0b", 0.0),
            ("4Kb", 4096.0),
            ("64M", 67108864.0),
            ("16KiB", 16384.0),
            ("8MiB", 8388608.0),
            ("1.5Gb", 1610612736.0),
            (" 20Kb", 20480.0),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "K", "4Q", "4 apples"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_its_digits_end() {
        assert_eq!(leading_number("  0.21ms"), Some(0.21));
        assert_eq!(leading_number("5485017.18 ops/sec)"), Some(5485017.18));
        assert_eq!(leading_number("200"), Some(200.0));
        assert_eq!(leading_number("ms"), None);
        assert_eq!(leading_number("1.2.3"), None);
    }
}
