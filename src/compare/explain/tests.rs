use super::budget::{CpuClock, MEASURED};
use super::*;
use crate::compare::stats::SignificanceTest;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A budget of 1000 events with these milliseconds per event, in the order of [`MEASURED`].
fn budget(ms: [f64; MEASURED.len()], unexplained_ms: f64) -> TimeBudget {
    TimeBudget {
        events: 1000.0,
        thread_s: ms.iter().sum::<f64>() + unexplained_ms,
        components: ms.map(Some),
        clock: None,
    }
}

/// Draws budgets of a noisy machine: each component varies independently from run to run, waiting and
/// steal time with a long tail.
struct Machine {
    rng: SmallRng,
}

/// Milliseconds per event that are added to a component.
type Injected = (Component, f64);

impl Machine {
    fn seeded(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Near normal, with this standard deviation.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.rng.random::<f64>()).sum();
        mean + deviation * (sum - 6.0)
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.rng.random::<f64>()).ln()
    }

    fn run(&mut self, injected: Option<Injected>) -> TimeBudget {
        let stolen = match self.rng.random_bool(0.1) {
            true => self.exponential(0.02),
            false => 0.0,
        };
        let mut ms = [
            self.normal(1.0, 0.01),
            self.normal(0.02, 0.004).max(0.0),
            self.exponential(0.05),
            0.0,
            self.exponential(0.01),
            stolen,
        ];
        if let Some((component, mean)) = injected {
            let place = MEASURED.iter().position(|(it, _)| *it == component);
            ms[place.unwrap()] += self.normal(mean, 0.1 * mean).max(0.0);
        }
        let unexplained = self.normal(0.0, 0.002);
        budget(ms, unexplained)
    }

    fn runs(&mut self, n: usize, injected: Option<Injected>) -> Vec<TimeBudget> {
        (0..n).map(|_| self.run(injected)).collect()
    }

    /// The causes that a comparison names: none unless the row differs significantly.
    fn causes(&mut self, n: usize, injected: Option<Injected>) -> Vec<Component> {
        let (baseline, candidate) = (self.runs(n, None), self.runs(n, injected));
        let rates = |runs: &[TimeBudget]| {
            Sample::new(runs.iter().map(|run| run.events / run.thread_s).collect()).unwrap()
        };
        let outcome = SignificanceTest::MannWhitney.compare(&rates(&baseline), &rates(&candidate));
        if outcome.p.unwrap().p >= ALPHA {
            return Vec::new();
        }
        causes(&baseline, &candidate, outcome.direction.is_lt())
    }
}

fn causes(baseline: &[TimeBudget], candidate: &[TimeBudget], slower: bool) -> Vec<Component> {
    let why = of_budgets(baseline, candidate, slower).unwrap();
    why.causes().iter().map(|part| part.component).collect()
}

#[test]
fn equal_groups_name_a_cause_in_at_most_5_percent_of_the_comparisons() {
    let mut machine = Machine::seeded(1);
    for n in [4, 6, 10] {
        let named = (0..2000).filter(|_| !machine.causes(n, None).is_empty());
        let named = named.count();
        assert!(named <= 100, "n = {n}: {named} of 2000");
    }
}

#[test]
fn an_injected_cause_is_named_in_95_percent_of_the_comparisons_and_another_in_2_percent() {
    let mut machine = Machine::seeded(2);
    for injected in [
        (Component::User, 0.3),
        (Component::System, 0.3),
        (Component::Contended, 1.0),
        (Component::Throttled, 4.0),
        (Component::Blocked, 0.5),
        (Component::Stolen, 0.3),
    ] {
        let comparisons: Vec<_> = (0..500)
            .map(|_| machine.causes(6, Some(injected)))
            .collect();
        let count = |is: &dyn Fn(&Component) -> bool| {
            let with = comparisons.iter().filter(|causes| causes.iter().any(is));
            with.count()
        };
        let right = count(&|component| *component == injected.0);
        let wrong = count(&|component| *component != injected.0);
        assert!(
            right >= 475 && wrong <= 10,
            "{injected:?}: {right} right, {wrong} wrong"
        );
    }
}

#[test]
fn a_faster_candidate_is_explained_by_what_it_no_longer_waits_for() {
    let mut machine = Machine::seeded(3);
    let waiting = machine.runs(6, Some((Component::Blocked, 1.0)));
    let quiet = machine.runs(6, None);
    assert_eq!(causes(&waiting, &quiet, false), [Component::Blocked]);
    // The row of a run with more threads can be better although each event takes longer.
    assert_eq!(causes(&waiting, &quiet, true), []);
}

#[test]
fn causes_are_named_by_their_share() {
    let mut machine = Machine::seeded(4);
    let mut both = machine.runs(6, Some((Component::Contended, 2.0)));
    for run in &mut both {
        run.components[1] = run.components[1].map(|seconds| seconds + 0.2);
        run.thread_s += 0.2;
    }
    let quiet = machine.runs(6, None);
    let why = of_budgets(&quiet, &both, true).unwrap();
    let causes: Vec<_> = why.causes().iter().map(|part| part.component).collect();
    assert_eq!(causes, [Component::Contended, Component::System]);
    let shares = why.parts.iter().filter_map(|part| part.share);
    let sum: f64 = shares.map(|share| share.value).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

#[test]
fn time_that_moves_between_user_and_system_is_not_a_cause() {
    let mut machine = Machine::seeded(10);
    let quiet = machine.runs(6, None);
    let mut busy = machine.runs(6, Some((Component::Contended, 1.0)));
    assert_eq!(causes(&quiet, &busy, true), [Component::Contended]);
    for run in &mut busy {
        run.components[0] = run.components[0].map(|seconds| seconds - 0.2);
        run.components[1] = run.components[1].map(|seconds| seconds + 0.2);
    }
    assert_eq!(causes(&quiet, &busy, true), [Component::Contended]);
}

#[test]
fn one_run_has_no_spread_and_so_no_explanation() {
    let mut machine = Machine::seeded(5);
    let (one, many) = (
        machine.runs(1, None),
        machine.runs(6, Some((Component::User, 1.0))),
    );
    assert_eq!(of_budgets(&one, &many, true), None);
    assert_eq!(of_budgets(&many, &one, false), None);
}

#[test]
fn a_component_unknown_in_one_run_is_unexplained_in_all() {
    let mut machine = Machine::seeded(6);
    let quiet = machine.runs(6, None);
    let mut slow = machine.runs(6, Some((Component::Blocked, 1.0)));
    slow[2].components[4] = None;
    let why = of_budgets(&quiet, &slow, true).unwrap();
    assert_eq!(why.causes(), [] as [&Part; 0]);
    let unexplained = why.unexplained().unwrap().share.unwrap();
    assert!((0.9..1.1).contains(&unexplained.value), "{unexplained:?}");
    let has_blocked = |part: &Part| part.component == Component::Blocked;
    assert!(!why.parts.iter().any(has_blocked));
}

#[test]
fn waiting_is_one_component_if_a_run_does_not_say_what_a_quota_caused() {
    let mut machine = Machine::seeded(7);
    let mut quiet = machine.runs(6, None);
    let throttled = machine.runs(6, Some((Component::Throttled, 1.0)));
    assert_eq!(causes(&quiet, &throttled, true), [Component::Throttled]);
    quiet[0].components[3] = None;
    assert_eq!(causes(&quiet, &throttled, true), [Component::Waiting]);
}

#[test]
fn without_a_known_component_there_is_no_explanation() {
    let mut machine = Machine::seeded(8);
    let mut unknown = machine.runs(6, None);
    unknown
        .iter_mut()
        .for_each(|run| run.components = [None; 6]);
    assert_eq!(of_budgets(&unknown, &machine.runs(6, None), true), None);
}

/// Runs whose CPU time is multiplied, at this clock.
fn at_clock(machine: &mut Machine, ghz: f64, cpu_time: f64) -> Vec<TimeBudget> {
    let mut runs = machine.runs(6, None);
    for run in &mut runs {
        for component in &mut run.components[..2] {
            let before = component.unwrap();
            *component = Some(before * cpu_time);
            run.thread_s += before * (cpu_time - 1.0);
        }
        run.clock = Some(CpuClock { ghz, error: 0.01 });
    }
    runs
}

#[test]
fn a_slower_clock_is_the_cause_only_if_the_work_scales_with_it() {
    let mut machine = Machine::seeded(9);
    let fast = at_clock(&mut machine, 4.0, 1.0);
    let slow = at_clock(&mut machine, 3.2, 1.25);
    assert_eq!(causes(&fast, &slow, true), [Component::Clock]);
    assert_eq!(causes(&slow, &fast, false), [Component::Clock]);
    // Work that waits for memory: the clock differs by 20 %, CPU time by 10 %.
    let memory = at_clock(&mut machine, 3.2, 1.1);
    assert_eq!(causes(&fast, &memory, true), [Component::User]);
    // Clocks within their errors are equal.
    let same = at_clock(&mut machine, 3.95, 1.25);
    assert_eq!(causes(&fast, &same, true), [Component::User]);
}

#[test]
fn only_metrics_that_follow_from_the_time_per_event_are_explained() {
    let explained: Vec<_> = Metric::all().filter(|it| is_time_per_event(*it)).collect();
    let names: Vec<_> = explained.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["rate", "bandwidth", "time", "latency-mean"]);
}

#[test]
fn every_field_that_a_budget_is_read_from_is_a_number_of_a_result() {
    let written = crate::result::Accounting {
        thread_s: 2.0,
        user_s: Some(2.0),
        system_s: Some(2.0),
        contended_s: Some(2.0),
        throttled_s: Some(2.0),
        blocked_s: Some(2.0),
        stolen_s: Some(2.0),
        cpu_ghz_before: Some(2.0),
        cpu_ghz_after: Some(2.0),
        cpu_ghz_error: Some(2.0),
        ..Default::default()
    };
    let written = serde_json::to_value(written).unwrap();
    let read = TimeBudget::of(|path| match path.strip_prefix("accounting.") {
        Some(field) => Ok(written[field].as_f64()),
        None => Ok(Some(2.0)),
    });
    let expected = TimeBudget {
        events: 2.0,
        thread_s: 2.0,
        components: [Some(2.0); MEASURED.len()],
        clock: Some(CpuClock {
            ghz: 2.0,
            error: 2.0,
        }),
    };
    assert_eq!(read.unwrap(), Some(expected));
}
