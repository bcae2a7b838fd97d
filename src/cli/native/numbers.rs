//! Parsers of whole numbers. Their errors state what is accepted; clap adds option and value.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow};

/// Parses a number of a type without 0, such as `NonZeroU32`.
pub(super) fn positive<T: FromStr>(text: &str) -> Result<T> {
    parse(text, 1)
}

/// Parses a number of an unsigned type.
pub(super) fn whole<T: FromStr>(text: &str) -> Result<T> {
    parse(text, 0)
}

/// Parses a number within a range.
pub(super) fn within<T>(text: &str, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.with_context(|| {
        let (least, most) = range.into_inner();
        format!("expected a whole number from {least} to {most}")
    })
}

fn parse<T: FromStr>(text: &str, least: u64) -> Result<T> {
    let most = u64::MAX >> (u64::BITS - 8 * size_of::<T>() as u32);
    text.parse().map_err(|_| {
        let accepted = match most {
            u64::MAX => format!(", {least} or more"),
            most => format!(" from {least} to {most}"),
        };
        anyhow!("expected a whole number{accepted}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::{NonZeroU32, NonZeroU64};

    #[test]
    fn an_error_states_the_accepted_range() {
        let error = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            error(positive::<NonZeroU64>("0").map(drop)),
            "expected a whole number, 1 or more"
        );
        assert_eq!(
            error(positive::<NonZeroU32>("4294967296").map(drop)),
            "expected a whole number from 1 to 4294967295"
        );
        assert_eq!(
            error(whole::<u64>("-1").map(drop)),
            "expected a whole number, 0 or more"
        );
        assert_eq!(
            error(within::<u8>("0", 1..=100).map(drop)),
            "expected a whole number from 1 to 100"
        );
        assert_eq!(positive::<NonZeroU32>("7").unwrap().get(), 7);
        assert_eq!(within::<u8>("100", 1..=100).unwrap(), 100);
    }
}
