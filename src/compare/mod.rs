//! Result files become a statement: how much slower, is that real, and what else was different?
//!
//! The way of the data is one line: inputs are [`read`] into [`run`]s; runs are divided into
//! [`group`]s and [`matching`] rows; each group of a row becomes a sample of a [`metric`], which
//! [`stats`] holds against the baseline's; the whole [`comparison`] becomes text ([`output`]) or a
//! [`gate`]'s word. Nothing here runs a workload.

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

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// What makes a group.
    pub grouping: Grouping,
    /// The group that the others are held against; None = the first.
    pub baseline: Option<String>,
    /// A label, parameter or field that makes a second axis.
    pub vary: Option<String>,
    /// What is compared; none = the natural metric of each test.
    pub metrics: Vec<Metric>,
    /// How a difference is told from chance.
    pub test: stats::Test,
    /// Runs that were interrupted or failed count too.
    pub include_incomplete: bool,
}

/// Answers a question from the runs of some inputs.
///
/// Fails where the grouping or the baseline has no meaning for these runs.
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
