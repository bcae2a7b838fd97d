//! Compares the statistics of a trial with an implementation in Python on SciPy.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use wbench::trial::analysis::{Bets, PairedRatio, Side, autocorrelation_time};

use crate::compare_stats::scipy;

/// Series of many lengths, with and without correlation, outliers and ties, and the size of their
/// family.
fn series() -> Vec<(Vec<f64>, usize)> {
    let mut rng = SmallRng::seed_from_u64(9);
    let mut series = Vec::new();
    for n in [1, 2, 3, 4, 7, 8, 9, 12, 13, 20, 33, 64, 65, 150] {
        for (correlation, outliers, unit) in [(0.0, 0.0, 1e12), (0.6, 0.0, 1e12), (0.0, 0.2, 400.0)]
        {
            let mut state = 0.0;
            let values = (0..n).map(|_| {
                state = correlation * state + rng.random_range(-0.02..0.02);
                let outlier = if rng.random::<f64>() < outliers {
                    -4.6
                } else {
                    0.0
                };
                let value: f64 = state + outlier + 0.004;
                (value * unit).round() / unit
            });
            series.push((values.collect(), 1 + n % 3));
        }
    }
    series
}

#[track_caller]
fn same(ours: f64, scipys: f64, what: &str) {
    let tolerance = 1e-8 * (1.0 + scipys.abs());
    assert!(
        (ours - scipys).abs() <= tolerance,
        "{what}: {ours} and {scipys}"
    );
}

#[test]
fn interval_wealth_and_correlation_equal_those_of_scipy() {
    let series = series();
    let mut intervals = 0;
    for ((values, family), scipy) in series.iter().zip(scipy("trial_reference.py", &series)) {
        let what = format!("{} blocks", values.len());
        let number = |pointer: &str| scipy.pointer(pointer).and_then(|it| it.as_f64()).unwrap();
        same(autocorrelation_time(values), number("/time"), &what);
        let bets = Bets::on(values);
        same(
            bets.log_wealth(0.005, Side::Above),
            number("/log_wealth/0"),
            &what,
        );
        same(
            bets.log_wealth(0.005, Side::Below),
            number("/log_wealth/1"),
            &what,
        );
        let ratio = PairedRatio::of(values, *family).unwrap();
        match ratio.change().interval {
            Some(interval) => {
                same(interval.low, number("/change/0"), &what);
                same(interval.high, number("/change/1"), &what);
                intervals += 1;
            }
            None => assert!(scipy["change"].is_null(), "{what}"),
        }
    }
    assert!(intervals > 10, "only {intervals} intervals");
}
