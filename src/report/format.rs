//! Number formatting for reports.

/// Formats a number like C's `%.5g`: 5 significant digits, no trailing zeros.
pub fn general5(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.4e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} prints an e");
    let exponent: i32 = exponent.parse().expect("{:e} prints a whole exponent");
    if !(-4..5).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(4 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Formats a size like sysbench 0.4.12: `%.5g`, then K, M, G or T for powers of 1024, then b.
pub fn sysbench_size(bytes: f64) -> String {
    let mut value = bytes;
    let mut units = ["", "K", "M", "G", "T"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = next;
    }
    format!("{}{unit}b", general5(value))
}

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
    use proptest::prelude::*;

    #[test]
    fn general5_prints_five_significant_digits_like_c() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (60.0371, "60.037"),
            (156.25, "156.25"),
            (1000.0, "1000"),
            (1023.96, "1024"),
            (99999.4, "99999"),
            (99999.6, "1e+05"),
            (123456.0, "1.2346e+05"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(general5(value), text);
        }
    }

    #[test]
    fn sizes_use_powers_of_1024_up_to_t() {
        for (bytes, text) in [
            (0.0, "0b"),
            (1023.0, "1023b"),
            (4096.0, "4Kb"),
            (262144.0, "256Kb"),
            (163840000.0, "156.25Mb"),
            ((1u64 << 40) as f64 * 2000.0, "2000Tb"),
        ] {
            assert_eq!(sysbench_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn five_digits_are_accurate_to_half_a_unit_of_the_fifth_digit(value in 1e-9f64..1e15) {
            let printed: f64 = general5(value).parse().unwrap();
            prop_assert!((printed - value).abs() <= value * 5.0001e-5);
        }
    }

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
