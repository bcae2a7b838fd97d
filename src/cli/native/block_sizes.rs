//! Block sizes of the memory test: one, a list, or a range.

use std::str::FromStr;

use anyhow::{Error, Result, ensure};

use crate::size::Size;

/// At least one block size. Parses from sizes and ranges, separated by commas; the range `A..B` is A, 2A,
/// 4A and so on, and ends with B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockSizes(pub(super) Vec<Size>);

impl FromStr for BlockSizes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut sizes = Vec::new();
        for part in text.split(',') {
            match part.split_once("..") {
                Some((first, last)) => add_range(&mut sizes, first.parse()?, last.parse()?)?,
                None => sizes.push(part.parse()?),
            }
        }
        Ok(Self(sizes))
    }
}

fn add_range(sizes: &mut Vec<Size>, first: Size, last: Size) -> Result<()> {
    ensure!(
        first.0 > 0 && first < last,
        "expected a range from a smaller size, more than 0, to a larger one, such as 4K..256M"
    );
    let doubled = |size: &Size| size.0.checked_mul(2).map(Size);
    sizes.extend(std::iter::successors(Some(first), doubled).take_while(|&size| size < last));
    sizes.push(last);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        let sizes = text.parse::<BlockSizes>().unwrap().0;
        sizes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_range_doubles_from_its_first_size_and_ends_with_its_last() {
        assert_eq!(parsed("4K"), ["4K"]);
        assert_eq!(parsed("4K..32K"), ["4K", "8K", "16K", "32K"]);
        assert_eq!(parsed("3K..16K"), ["3K", "6K", "12K", "16K"]);
        assert_eq!(parsed("1K,4K..8K,64M"), ["1K", "4K", "8K", "64M"]);
        assert_eq!(parsed("8388608T..16777215T").len(), 2);
    }

    #[test]
    fn an_invalid_list_or_range_is_refused() {
        for text in [
            "", ",", "4K,", "4K..", "..4K", "4K..4K", "8K..4K", "0..4K", "4K...8K", "4k",
        ] {
            let error = text.parse::<BlockSizes>().unwrap_err().to_string();
            assert!(error.starts_with("expected "), "{text}: {error}");
        }
    }
}
