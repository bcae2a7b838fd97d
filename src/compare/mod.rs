//! Compares results: how much they differ, whether the difference is significant, and what else
//! differed.
//!
//! Data flows one way: inputs are [`read`] into [`run`]s; runs are divided into [`group`]s and
//! [`matching`] rows; each group of a row becomes a sample of a [`metric`], which [`stats`]
//! compares with the baseline's; the whole [`comparison`] becomes text ([`output`]) or the result
//! of a [`gate`]. Nothing here runs a workload.

mod cells;
pub mod comparison;
pub mod environment;
pub mod gate;
pub mod group;
pub mod histogram;
pub mod matching;
pub mod metric;
mod natural;
pub mod output;
pub mod read;
pub mod run;
pub mod stats;
pub mod threads;

use anyhow::Result;
use rayon::prelude::*;

use self::cells::Cells;
use self::comparison::{Comparison, LeftOut};
use self::environment::{Environment, Group};
use self::group::{Grouping, Groups};
use self::matching::Work;
use self::metric::Metric;
use self::read::Input;
use self::run::Run;
use crate::result::Warning;

/// What to compare, and how.
#[derive(Debug, Clone)]
pub struct Question {
    /// What defines a group.
    pub grouping: Grouping,
    /// Name of the baseline group; `None` = the first.
    pub baseline: Option<String>,
    /// Label, parameter or field whose values form a second axis.
    pub vary: Option<String>,
    /// Metrics to compare; empty = the natural metric of each test.
    pub metrics: Vec<Metric>,
    /// The significance test.
    pub test: stats::Test,
    /// Whether interrupted and failed runs are included.
    pub include_incomplete: bool,
}

/// Compares the runs of several inputs.
///
/// Fails if the runs cannot be grouped as requested or have no such baseline.
pub fn compare(
    inputs: &[Input],
    runs: Vec<(usize, Run)>,
    question: &Question,
) -> Result<Comparison> {
    let counts = |run: &Run| question.include_incomplete || run.is_complete();
    let (runs, left_out): (Vec<_>, Vec<_>) = runs.into_iter().partition(|(_, run)| counts(run));
    let groups = Groups::of(
        &runs,
        inputs,
        &question.grouping,
        question.baseline.as_deref(),
    )?;
    let axes: Vec<&str> = match &question.grouping {
        Grouping::By(name) => Some(name.as_str()),
        Grouping::Input => None,
    }
    .into_iter()
    .chain(question.vary.as_deref())
    .collect();
    let works = runs
        .par_iter()
        .map(|(_, run)| Work::of(run, &axes))
        .collect();
    let (works, of) = matching::match_up(works);
    let mut cells = Cells::new(works.len(), groups.names.len());
    let mut members: Vec<Vec<&Run>> = vec![Vec::new(); groups.names.len()];
    for (((_, run), &work), &group) in runs.iter().zip(&of).zip(&groups.of) {
        let vary = question.vary.as_deref();
        let value = vary.map(|name| group::value(run, name).unwrap_or_else(|| "-".into()));
        cells.put(work, value, group, run);
        members[group].push(run);
    }
    let unused_labels = environment::unused_labels(cells.iter());
    let (mut sections, mut warnings) = cells.into_sections(works, question);
    let corrected = comparison::correct(&mut sections);
    let members: Vec<_> = groups
        .names
        .iter()
        .zip(&members)
        .map(|(name, runs)| Group { name, runs })
        .collect();
    let mut environment = Environment::of(&members, &axes);
    environment.warnings.append(&mut warnings);
    let doubts = unused_labels
        .into_iter()
        .chain(environment::incomplete(&members));
    environment.warnings.extend(doubts.map(Warning::from));
    Ok(Comparison {
        test: question.test,
        groups: groups.names,
        vary: question.vary.clone(),
        sections,
        corrected,
        left_out: left_out
            .into_iter()
            .map(|(_, run)| LeftOut {
                source: run.source,
                status: run.status,
            })
            .collect(),
        environment,
    })
}
