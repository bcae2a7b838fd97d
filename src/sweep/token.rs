//! Tokens: unique parts of the names of directories, and nonces.

use std::hash::{BuildHasher, RandomState};

/// Number of hexadecimal digits of a token.
const DIGITS: usize = 16;

/// Returns 16 hexadecimal digits that are not repeated: a hash whose keys come from the kernel's
/// random number generator and change with each call.
pub(super) fn token() -> String {
    let hash = RandomState::new().hash_one(std::process::id());
    format!("{hash:0width$x}", width = DIGITS)
}

/// Whether a text may be a token.
pub(super) fn is_token(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == DIGITS && text.chars().all(is_digit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tokens_are_unique_and_recognized() {
        let tokens: BTreeSet<_> = (0..10_000).map(|_| token()).collect();
        assert_eq!(tokens.len(), 10_000);
        assert!(tokens.iter().all(|token| is_token(token)));
        assert!(!is_token("results") && !is_token("0123456789ABCDEF"));
    }
}
