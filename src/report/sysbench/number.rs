//! Numbers as sysbench 0.4.12 prints them.

/// Formats a number like C's `%.5g`: 5 significant digits, no trailing zeros.
pub(in crate::report) fn general5(value: f64) -> String {
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

/// Formats a size: `%.5g`, then K, M, G or T for powers of 1024, then b.
pub(super) fn size(bytes: f64) -> String {
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
            assert_eq!(size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn five_digits_are_accurate_to_half_a_unit_of_the_fifth_digit(value in 1e-9f64..1e15) {
            let printed: f64 = general5(value).parse().unwrap();
            prop_assert!((printed - value).abs() <= value * 5.0001e-5);
        }
    }
}
