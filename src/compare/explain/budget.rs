//! The time budget of a run, as its result has it.

use anyhow::Result;

use super::component::Component;

/// Where the worker threads of a run spent their time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeBudget {
    /// Number of events, at least 1.
    pub events: f64,
    /// Time of all threads together, in seconds.
    pub thread_s: f64,
    /// The components in seconds, in the order of [`MEASURED`]; `None` if unknown.
    pub components: [Option<f64>; MEASURED.len()],
    /// The CPU's clock; `None` if unknown.
    pub clock: Option<CpuClock>,
}

/// The clock of the CPU during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuClock {
    /// Mean of the clocks before and after the run, in GHz.
    pub ghz: f64,
    /// Bound of its relative error.
    pub error: f64,
}

/// The components that a result contains, with their fields.
pub const MEASURED: [(Component, &str); 6] = [
    (Component::User, "accounting.user_s"),
    (Component::System, "accounting.system_s"),
    (Component::Contended, "accounting.contended_s"),
    (Component::Throttled, "accounting.throttled_s"),
    (Component::Blocked, "accounting.blocked_s"),
    (Component::Stolen, "accounting.stolen_s"),
];

impl TimeBudget {
    /// Reads the budget of a result from its numbers by path; `None` without one, or without events.
    pub fn of(number: impl Fn(&str) -> Result<Option<f64>>) -> Result<Option<Self>> {
        let positive = |path| Ok::<_, anyhow::Error>(number(path)?.filter(|value| *value > 0.0));
        let Some(thread_s) = positive("accounting.thread_s")? else {
            return Ok(None);
        };
        let Some(events) = positive("totals.events")? else {
            return Ok(None);
        };
        let mut components = [None; MEASURED.len()];
        for (component, (_, path)) in components.iter_mut().zip(MEASURED) {
            *component = number(path)?;
        }
        let before = positive("accounting.cpu_ghz_before")?;
        let after = positive("accounting.cpu_ghz_after")?;
        let error = number("accounting.cpu_ghz_error")?;
        let clock = before.zip(after).zip(error);
        Ok(Some(Self {
            events,
            thread_s,
            components,
            clock: clock.map(|((before, after), error)| CpuClock {
                ghz: f64::midpoint(before, after),
                error,
            }),
        }))
    }

    /// A time of the run in nanoseconds per event.
    pub fn per_event_ns(&self, seconds: f64) -> f64 {
        seconds * 1e9 / self.events
    }

    /// A measured component in seconds; `None` if unknown.
    pub fn component(&self, wanted: Component) -> Option<f64> {
        let components = MEASURED.iter().zip(self.components);
        let mut of_wanted = components.filter(|((component, _), _)| *component == wanted);
        of_wanted.next()?.1
    }
}
