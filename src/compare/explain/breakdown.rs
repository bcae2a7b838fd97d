//! The time per event of several groups, divided into the same components.

use super::budget::{MEASURED, TimeBudget};
use super::component::Component;
use crate::compare::stats::PartOfWhole;

/// The time per event of the runs of several groups in nanoseconds, divided into components that all
/// of the runs know. The components of a run add up to its whole time per event.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakdown {
    /// The components.
    pub components: Vec<Component>,
    /// For each group and run, the components.
    groups: Vec<Vec<Vec<f64>>>,
}

impl Breakdown {
    /// Divides the time of these groups; `None` if they have no component in common.
    ///
    /// A component that is unknown in any run is part of `unexplained` in all. If only the part of
    /// waiting that a quota caused is unknown, `waiting` replaces `contended` and `throttled`.
    pub fn of(groups: &[&[TimeBudget]]) -> Option<Self> {
        let runs = || groups.iter().copied().flatten();
        let known = |component| runs().all(|run| run.component(component).is_some());
        let divided = known(Component::Throttled);
        let measured = MEASURED.iter().map(|(component, _)| *component);
        let mut components: Vec<Component> = measured
            .filter(|component| known(*component))
            .map(|component| match component {
                Component::Contended if !divided => Component::Waiting,
                component => component,
            })
            .collect();
        if components.is_empty() {
            return None;
        }
        components.push(Component::Unexplained);
        let split = |run: &TimeBudget| split(run, &components);
        let groups = groups.iter().map(|runs| runs.iter().map(split).collect());
        Some(Self {
            groups: groups.collect(),
            components,
        })
    }

    /// The same with `clock` as a component, after the groups whose time was divided: CPU time is
    /// scaled to the mean clock of the first group, and the difference is `clock`.
    ///
    /// `None` if the clock of a run is unknown, if the mean clocks of the groups do not differ by
    /// more than their errors, or if CPU time is unknown.
    pub fn at_baseline_clock(&self, baseline: &[TimeBudget], other: &[TimeBudget]) -> Option<Self> {
        let (reference, other_mean) = (MeanClock::of(baseline)?, MeanClock::of(other)?);
        let differ = (other_mean.ghz / reference.ghz - 1.0).abs();
        if differ <= reference.error + other_mean.error {
            return None;
        }
        let places = self.on_cpu();
        if places.is_empty() {
            return None;
        }
        let mut scaled = self.clone();
        scaled.components.push(Component::Clock);
        for (runs, budgets) in scaled.groups.iter_mut().zip([baseline, other]) {
            for (run, budget) in runs.iter_mut().zip(budgets) {
                let ratio = budget.clock?.ghz / reference.ghz;
                let before: f64 = places.iter().map(|place| run[*place]).sum();
                places.iter().for_each(|place| run[*place] *= ratio);
                run.push(before * (1.0 - ratio));
            }
        }
        Some(scaled)
    }

    /// The indices of the components of CPU time.
    pub fn on_cpu(&self) -> Vec<usize> {
        let places = 0..self.components.len();
        places
            .filter(|place| self.components[*place].is_on_cpu())
            .collect()
    }

    /// The mean of a component of a group, by their indices.
    pub fn mean(&self, group: usize, component: usize) -> f64 {
        let runs = &self.groups[group];
        runs.iter().map(|run| run[component]).sum::<f64>() / runs.len() as f64
    }

    /// The sum of several components of the runs of a group, with their whole time per event.
    pub fn parts(&self, group: usize, components: &[usize]) -> Vec<PartOfWhole> {
        let runs = self.groups[group].iter();
        runs.map(|run| PartOfWhole {
            part: components.iter().map(|place| run[*place]).sum(),
            whole: run.iter().sum(),
        })
        .collect()
    }

    /// The whole time per event of the runs of a group.
    pub fn wholes(&self, group: usize) -> Vec<f64> {
        self.groups[group]
            .iter()
            .map(|run| run.iter().sum())
            .collect()
    }
}

/// The components of a run, of which the last is the rest.
fn split(run: &TimeBudget, components: &[Component]) -> Vec<f64> {
    let seconds = |component| match component {
        Component::Waiting => {
            let throttled = run.component(Component::Throttled).unwrap_or(0.0);
            run.component(Component::Contended).unwrap_or(0.0) + throttled
        }
        component => run.component(component).unwrap_or(0.0),
    };
    let (_, known) = components.split_last().expect("the rest is a component");
    let mut split: Vec<f64> = known.iter().map(|component| seconds(*component)).collect();
    split.push(run.thread_s - split.iter().sum::<f64>());
    split
        .iter()
        .map(|seconds| run.per_event_ns(*seconds))
        .collect()
}

/// The mean clock of a group and the largest error bound of its runs.
struct MeanClock {
    ghz: f64,
    error: f64,
}

impl MeanClock {
    fn of(runs: &[TimeBudget]) -> Option<Self> {
        let clocks: Vec<_> = runs.iter().map(|run| run.clock).collect::<Option<_>>()?;
        let sum: f64 = clocks.iter().map(|clock| clock.ghz).sum();
        Some(Self {
            ghz: sum / clocks.len() as f64,
            error: clocks.iter().map(|clock| clock.error).fold(0.0, f64::max),
        })
    }
}
