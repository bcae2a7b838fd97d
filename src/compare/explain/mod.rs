//! Why two groups differ: the difference in time per event, divided into the components of the runs'
//! time budgets.
//!
//! A component is a cause only if its share of the difference is certain: its simultaneous 95 %
//! confidence interval excludes zero, it has the direction of the difference, and it is not
//! negligible.

mod breakdown;
mod budget;
mod component;

use super::comparison::{AxisPoint, Section};
use super::differences::DifferingField;
use super::metric::{Metric, Statistic, Timed};
use super::stats::{ALPHA, Estimate, Sample, Welch, share};
use super::verdict::Verdict;

pub use breakdown::Breakdown;
pub use budget::TimeBudget;
pub use component::Component;

/// The smallest share of a difference that is named as a cause. Smaller ones, although significant,
/// are of no use to a reader.
const SMALLEST_SHARE: f64 = 0.01;

/// What explains the difference of a group from the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Difference in thread time per event in nanoseconds, candidate less baseline.
    pub difference: Estimate,
    /// All components.
    pub parts: Vec<Part>,
    /// Conditions that differ between the two groups, as paths of fields: possible reasons, but
    /// never causes.
    pub candidates: Vec<String>,
}

/// A component of a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The component.
    pub component: Component,
    /// Mean of the baseline in nanoseconds per event.
    pub baseline_ns: f64,
    /// Mean of the candidate in nanoseconds per event.
    pub candidate_ns: f64,
    /// Share of the difference. Its confidence interval holds for all components together; it is
    /// absent if the whole difference is too uncertain.
    pub share: Option<Estimate>,
    /// Whether the share is certain and in the direction of the difference.
    pub certain: bool,
}

/// Explains the differences that are significant.
pub(super) fn explain(sections: &mut [Section], differences: &[DifferingField]) {
    for section in sections {
        let test = &section.key.test;
        let of_test = |it: &&DifferingField| it.test.as_ref().is_none_or(|it| it == test);
        let differences: Vec<_> = differences.iter().filter(of_test).collect();
        for table in &mut section.tables {
            if !is_time_per_event(table.metric) {
                continue;
            }
            for (point, entries) in section.points.iter().zip(&mut table.rows) {
                for (group, entry) in entries.iter_mut().enumerate() {
                    let Some(entry) = entry else { continue };
                    let verdict = entry.comparison.as_ref().map(|it| it.verdict());
                    entry.why = verdict
                        .and_then(|it| of_groups(point, group, it))
                        .map(|why| Explanation {
                            candidates: candidates(&differences, group),
                            ..why
                        });
                }
            }
        }
    }
}

/// Whether a metric is a function of the mean time per event. A percentile, a maximum or the duration
/// of an fsync is not, so that its difference may have another cause.
fn is_time_per_event(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Rate
            | Metric::Bandwidth
            | Metric::Time
            | Metric::Latency(Timed::Event, Statistic::Mean)
    )
}

/// The fields whose values in a group are not those in the baseline.
fn candidates(differences: &[&DifferingField], group: usize) -> Vec<String> {
    let differ = |it: &&&DifferingField| it.values[group] != it.values[0];
    let differences = differences.iter().filter(differ);
    differences.map(|it| it.field.clone()).collect()
}

/// Explains the difference of a group from the baseline; `None` if it is not significant or a time
/// budget is missing.
fn of_groups(point: &AxisPoint, group: usize, verdict: Verdict) -> Option<Explanation> {
    let slower = match verdict {
        Verdict::Worse => true,
        Verdict::Better => false,
        Verdict::Undecided | Verdict::TooFew => return None,
    };
    let budgets = |group: usize| point.budgets.get(group)?.as_deref();
    of_budgets(budgets(0)?, budgets(group)?, slower)
}

/// Explains why a candidate is slower, or faster, than the baseline.
fn of_budgets(
    baseline: &[TimeBudget],
    candidate: &[TimeBudget],
    slower: bool,
) -> Option<Explanation> {
    let breakdown = Breakdown::of(&[baseline, candidate])?;
    let with_clock = breakdown.at_baseline_clock(baseline, candidate);
    let with_clock = with_clock.and_then(|it| Explanation::of(&it, slower));
    match with_clock.filter(Explanation::scales_with_clock) {
        Some(explanation) => Some(explanation),
        None => Explanation::of(&breakdown, slower),
    }
}

impl Explanation {
    /// Divides the difference of the second group from the first.
    fn of(breakdown: &Breakdown, slower: bool) -> Option<Self> {
        let whole = |group| Sample::new(breakdown.wholes(group));
        let difference = Welch::of(&whole(0)?, &whole(1)?)?.difference(ALPHA);
        // The time per event of a run with more threads may be longer although the rate is higher.
        let agrees = (difference.value > 0.0) == slower;
        // Constant components cannot be a cause and need no correction.
        let varies = |component| {
            let parts = [0, 1].map(|group| breakdown.parts(group, &[component]));
            let first = parts[0][0].part;
            parts.iter().flatten().any(|it| it.part != first)
        };
        let components = 0..breakdown.components.len();
        let tested = components.clone().filter(|it| varies(*it)).count();
        let alpha = ALPHA / tested.max(1) as f64;
        let share = |places: &[usize]| {
            let part = |group| breakdown.parts(group, places);
            share(&part(0), &part(1), alpha)
        };
        // What only moved between user and system is no cause.
        let more_on_cpu = share(&breakdown.on_cpu()).is_some_and(is_certain);
        let parts = components.map(|place| {
            let (component, share) = (breakdown.components[place], share(&[place]));
            Part {
                component,
                baseline_ns: breakdown.mean(0, place),
                candidate_ns: breakdown.mean(1, place),
                share,
                certain: agrees
                    && share.is_some_and(is_certain)
                    && (more_on_cpu || !component.is_on_cpu()),
            }
        });
        Some(Self {
            parts: parts.collect(),
            difference,
            candidates: Vec::new(),
        })
    }

    /// The components that are causes, largest share first.
    pub fn causes(&self) -> Vec<&Part> {
        let share = |part: &Part| part.share.map_or(0.0, |share| share.value);
        let mut causes: Vec<&Part> = Vec::new();
        for part in self.certain().filter(|part| part.component.can_be_cause()) {
            let place = causes.partition_point(|other| share(other) >= share(part));
            causes.insert(place, part);
        }
        causes
    }

    /// The components with a certain share.
    fn certain(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.certain)
    }

    /// The certain share that no component explains.
    pub fn unexplained(&self) -> Option<&Part> {
        self.certain().find(|part| !part.component.can_be_cause())
    }

    /// Whether the CPU time is in accordance with the clocks: work that waits for memory takes the
    /// same time at any clock, so that its CPU time at an equal clock would appear to differ the other
    /// way.
    fn scales_with_clock(&self) -> bool {
        let mut on_cpu = self.parts.iter().filter(|part| part.component.is_on_cpu());
        on_cpu.all(|part| {
            let interval = part.share.and_then(|share| share.interval);
            interval.is_none_or(|interval| interval.high >= 0.0)
        })
    }
}

/// Whether a share is positive beyond chance, and not negligible.
fn is_certain(share: Estimate) -> bool {
    let above_zero = share.interval.is_some_and(|interval| interval.low > 0.0);
    above_zero && share.value >= SMALLEST_SHARE
}

#[cfg(test)]
mod tests;
