//! Natural order of values that may be numbers.

use std::cmp::Ordering;

/// Orders numbers by value, before other text in alphabetical order.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let number = |text: &str| text.parse::<f64>().ok();
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_and_come_before_text() {
        let mut values = ["none", "16", "2", "1", "0.5", "kvm"];
        values.sort_by(|a, b| natural_order(a, b));
        assert_eq!(values, ["0.5", "1", "2", "16", "kvm", "none"]);
    }
}
