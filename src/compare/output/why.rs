//! Explanations as text.

use super::numbers;
use crate::compare::explain::{Explanation, Part};
use crate::compare::stats::Estimate;
use crate::format::duration;

/// The line below a row: the difference in time per event, and its causes with their shares.
pub fn line(why: &Explanation) -> String {
    let mut causes: Vec<String> = why.causes().into_iter().map(part).collect();
    if causes.is_empty() {
        causes.push("no cause is certain".into());
    }
    causes.extend(why.unexplained().map(part));
    format!("why: {}: {}", difference(why.difference), causes.join(", "))
}

/// A duration per event with its sign.
fn difference(difference: Estimate) -> String {
    let signed = |ns: f64| {
        let sign = if ns < 0.0 { '-' } else { '+' };
        format!("{sign}{}", duration(ns.abs()))
    };
    let Estimate { value, interval } = difference;
    let text = format!("{}/event", signed(value));
    match interval {
        Some(it) => format!("{text} [{}, {}]", signed(it.low), signed(it.high)),
        None => text,
    }
}

/// The share of a component and its name.
fn part(part: &Part) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let share = part.share.map(|share| numbers::estimate(share, percent));
    format!("{} {}", share.unwrap_or_default(), part.component)
}
