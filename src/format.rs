//! Numbers with units, as in reports and messages.

/// Formats a duration in the unit that leaves 1 to 4 digits before the decimal point.
pub fn duration(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "us"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    match unit {
        "ns" => format!("{value:.0} ns"),
        unit => format!("{} {unit}", significant(value)),
    }
}

/// Formats with at least 4 significant digits and at most 3 decimals.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 10.0 => 3,
        v if v < 100.0 => 2,
        v if v < 1000.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// Formats a whole number with thousands separators.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count with its noun, singular for 1.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number))
}

/// Formats bytes in MiB, or in GiB from 1 GiB on.
pub fn mib_or_gib(bytes: f64) -> String {
    match bytes < f64::from(1 << 30) {
        true => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
        false => gib(bytes),
    }
}

/// Formats bytes in GiB.
pub fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_use_the_most_readable_unit() {
        for (ns, text) in [
            (9.0, "9 ns"),
            (1500.0, "1.500 us"),
            (76_400.0, "76.40 us"),
            (2.5e8, "250.0 ms"),
            (3e9, "3.000 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1234567), "1,234,567");
        assert_eq!(count(1, "thread"), "1 thread");
        assert_eq!(count(2048, "file"), "2,048 files");
    }
}
