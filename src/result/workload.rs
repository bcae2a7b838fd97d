//! Test and parameters of a run.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::format::count;
use crate::plan::{
    Arrival, ClockChoice, CpuParams, FileioParams, Limits, MemoryParams, MutexParams, RunPlan,
    Test, ThreadsParams,
};

/// Test and parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Workload {
    /// "cpu", "memory", "fileio", "threads" or "mutex".
    pub test: String,
    /// Worker threads.
    pub threads: u64,
    /// All parameters, with the values in force.
    pub params: Params,
}

impl Workload {
    /// Describes the workload in one line.
    pub fn title(&self) -> String {
        let threads = count(self.threads, "thread");
        format!("{}, {threads}", self.params.test.title())
    }

    /// Returns the workload of a plan.
    pub fn of(plan: &RunPlan) -> Self {
        Self {
            test: plan.test.name().into(),
            threads: plan.threads.get() as u64,
            params: Params {
                test: plan.test.clone(),
                limits: plan.limits,
                percentile: plan.percentile,
                seed: plan.seed.0,
                pin: plan.pin,
                clock: plan.clock,
                report_interval_s: plan.report_interval.map(|i| i.as_secs_f64()),
                rate_per_s: plan.arrivals.map(|arrivals| arrivals.rate_per_s),
                arrival: plan.arrivals.map(|arrivals| arrivals.distribution),
                warmup_s: plan.warmup.map(|warmup| warmup.as_secs_f64()),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Workload {
    /// Fails if the parameters are not those of the named test, with the parameter that is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Unchecked {
            test: String,
            threads: u64,
            params: Value,
        }
        let Unchecked {
            test,
            threads,
            params,
        } = Unchecked::deserialize(deserializer)?;
        let wrong = |reason: String| D::Error::custom(format_args!("workload.params: {reason}"));
        let read = Params::deserialize(&params).map_err(|error| {
            wrong(wrong_param(&test, &params).unwrap_or_else(|| error.to_string()))
        })?;
        match read.test.name() == test {
            true => Ok(Self {
                test,
                threads,
                params: read,
            }),
            false => Err(wrong(format!(
                "the parameters are those of the {} test, but workload.test is '{test}'",
                read.test.name()
            ))),
        }
    }
}

/// What is wrong with the parameters of a test, if one of them is to blame.
fn wrong_param(test: &str, params: &Value) -> Option<String> {
    let error_of = |params: &Value| match test {
        "cpu" => CpuParams::deserialize(params).err(),
        "memory" => MemoryParams::deserialize(params).err(),
        "fileio" => FileioParams::deserialize(params).err(),
        "threads" => ThreadsParams::deserialize(params).err(),
        "mutex" => MutexParams::deserialize(params).err(),
        _ => None,
    };
    let error = error_of(params)?;
    let zeros = params.as_object()?.iter().filter(|(_, value)| **value == 0);
    for (name, _) in zeros {
        let mut corrected = params.clone();
        corrected[name] = 1.into();
        let next = error_of(&corrected);
        if next.is_none_or(|next| next.to_string() != error.to_string()) {
            return Some(format!("{name} is 0: expected a whole number, 1 or more"));
        }
    }
    Some(error.to_string())
}

/// Parameters of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Params {
    /// Parameters of the test.
    #[serde(flatten)]
    pub test: Test,
    /// Limits that end the run.
    #[serde(flatten)]
    pub limits: Limits,
    /// Percentile shown in reports that show a single one.
    pub percentile: u8,
    /// Seed of the random number streams; null = the fixed stream of sysbench 0.4.12.
    pub seed: Option<u32>,
    /// Whether worker i was pinned to the i-th allowed CPU.
    pub pin: bool,
    /// Requested clock.
    pub clock: ClockChoice,
    /// Length of a report interval in seconds; null = no intervals.
    pub report_interval_s: Option<f64>,
    /// Rate at which events arrived, per second for all threads together; null = closed loop, in which
    /// a thread starts its next event when the last one ends.
    #[serde(default)]
    pub rate_per_s: Option<f64>,
    /// Distribution of the times between arrivals; null = closed loop.
    #[serde(default)]
    pub arrival: Option<Arrival>,
    /// Time before the run in which nothing was recorded, in seconds; null = none.
    #[serde(default)]
    pub warmup_s: Option<f64>,
}
