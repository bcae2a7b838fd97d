//! The largest difference that does not matter.

use std::fmt;

use anyhow::{Context, Result, ensure};

/// A relative difference, above 0 and at most 100 %.
///
/// Its limits are symmetric on the logarithmic scale, so that a decision does not depend on which of
/// two environments is the baseline: the ratios 1 + margin and 1 / (1 + margin).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    percent: f64,
}

impl Margin {
    /// Returns a margin in percent.
    pub fn of_percent(percent: f64) -> Result<Self> {
        ensure!(
            percent > 0.0 && percent <= 100.0,
            "expected more than 0% and at most 100%, such as 2%"
        );
        Ok(Self { percent })
    }

    /// Parses a percentage, with or without its sign.
    pub fn parse(text: &str) -> Result<Self> {
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        let percent = number.parse().ok();
        Self::of_percent(percent.context("expected a percentage, such as 2%")?)
    }

    /// Returns the natural logarithm of the upper limit; that of the lower limit is its negative.
    pub fn ln(self) -> f64 {
        (self.percent / 100.0).ln_1p()
    }
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_a_percentage_above_zero() {
        assert_eq!(Margin::parse("2%").unwrap().to_string(), "2 %");
        assert_eq!(Margin::parse("0.5 %").unwrap().ln(), 0.005f64.ln_1p());
        for text in ["0", "-1%", "101%", "NaN", "inf", "two", "", "%"] {
            assert!(Margin::parse(text).is_err(), "{text}");
        }
    }
}
