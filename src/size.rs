//! Sizes: digits with an optional K, M, G or T.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// A number of bytes.
///
/// Parses from decimal digits with an optional suffix `K`, `M`, `G` or `T` (powers of 1024);
/// prints as the shortest such form that gives the same number back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (digits, shift) = UNITS
            .iter()
            .find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
            .unwrap_or((text, 0));
        ensure!(
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
            "expected digits with an optional K, M, G or T (4096, 16K, 8G)"
        );
        digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(1 << shift))
            .map(Size)
            .context("expected less than 16777216T (2^64 bytes)")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |&&(_, shift): &&(char, u32)| self.0 > 0 && self.0.is_multiple_of(1 << shift);
        match UNITS.iter().find(whole) {
            Some(&(unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_size_printed_and_parsed_is_the_same_size(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>().unwrap(), Size(bytes));
        }

        #[test]
        fn any_text_is_a_size_or_an_error_that_states_what_is_expected(text in "\\PC{0,12}") {
            if let Err(error) = text.parse::<Size>() {
                prop_assert!(error.to_string().starts_with("expected "));
            }
        }
    }

    #[test]
    fn suffixes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("7", 7),
            ("1K", 1 << 10),
            ("3M", 3 << 20),
            ("8G", 8 << 30),
            ("2T", 2 << 40),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes));
        }
    }

    #[test]
    fn an_invalid_size_is_refused() {
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1k",
            "10m",
            "1.5G",
            "1KB",
            " 1",
            "1 K",
            "0x10",
            "16777216T",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?} was accepted");
        }
    }
}
