//! Table of a trial: one row per environment and metric, followed by how far to trust it.

use super::statistics::median;
use super::table::aligned;
use crate::compare::output::numbers::{quantity, with_unit};
use crate::format::count;
use crate::terminal;
use crate::trial::Trial;
use crate::trial::analysis::{Decision, PairedRatio};
use crate::trial::assessment::{Assessment, TrialComparison};
use crate::trial::observations::Observations;

/// Maximum number of failed blocks whose reasons are shown.
const MAX_REASONS: usize = 3;

/// Formats the comparisons of a trial.
pub fn table(trial: &Trial, observations: &Observations, assessment: &Assessment) -> String {
    let mut text = String::new();
    if let Some(problem) = copy_problem(trial, assessment) {
        text.push_str(&format!("{problem}\n\n"));
    }
    text.push_str(&format!(
        "{} · {} · margin {}\n",
        trial.sweep.measurement.plan.test.title(),
        count(assessment.complete as u64, "block"),
        trial.question.margin
    ));
    let baseline = &trial.sweep.environments[trial.baseline].name;
    let change = format!("change from {baseline} [95 %]");
    let head = ["metric", "env", "median", &change, "decision"];
    let rows = (0..trial.question.metrics.len()).flat_map(|metric| {
        let of_baseline = row(
            trial,
            observations,
            trial.baseline,
            metric,
            ["baseline".into(), String::new()],
        );
        let others = assessment
            .comparisons
            .iter()
            .filter(move |it| it.metric == metric);
        let others = others.map(move |it| row(trial, observations, it.env, metric, verdict(it)));
        std::iter::once(of_baseline).chain(others)
    });
    text.push_str(&aligned(&head, rows, 2..4));
    text.push('\n');
    for remark in remarks(trial, observations, assessment) {
        text.push_str(&format!("\n{remark}\n"));
    }
    terminal::lines(&text).into_owned()
}

fn row(
    trial: &Trial,
    observations: &Observations,
    env: usize,
    metric: usize,
    verdict: [String; 2],
) -> Vec<String> {
    let name = trial.question.metrics[metric];
    let values = observations.values(env, metric).collect();
    let median = median(values).map_or("-".to_owned(), |value| quantity(name, value));
    let env = trial.sweep.environments[env].name.clone();
    [with_unit(name), env, median]
        .into_iter()
        .chain(verdict)
        .collect()
}

fn verdict(comparison: &TrialComparison) -> [String; 2] {
    let change = comparison
        .ratio
        .as_ref()
        .map_or("-".to_owned(), PairedRatio::to_string);
    [change, comparison.decision.to_string()]
}

/// Formats a comparison as a line.
pub fn line(trial: &Trial, comparison: &TrialComparison) -> String {
    let [change, decision] = verdict(comparison);
    let metric = trial.question.metrics[comparison.metric];
    let env = &trial.sweep.environments[comparison.env].name;
    format!("{env}, {metric}: {decision}, {change}")
}

/// What is wrong if the copy of the baseline is not equivalent to it.
fn copy_problem(trial: &Trial, assessment: &Assessment) -> Option<String> {
    let mut of_copy = assessment.of_env(trial.copy?);
    let wrong = of_copy.find(|it| it.decision != Decision::Equivalent)?;
    let baseline = &trial.sweep.environments[trial.baseline].name;
    let meaning = match wrong.decision {
        Decision::Undecided => {
            "the margin is too small for this machine's noise, or the trial was too short"
        }
        _ => "this trial reports differences that do not exist; do not trust the others",
    };
    Some(format!(
        "WARNING: {baseline} is not equivalent to its own copy ({}): {meaning}",
        line(trial, wrong)
    ))
}

fn remarks(trial: &Trial, observations: &Observations, assessment: &Assessment) -> Vec<String> {
    let mut remarks = vec![how_to_read(trial, assessment)];
    remarks.extend(correlated(trial, assessment));
    if trial.sessions == 1 {
        remarks.push(
            "All blocks belong to one session: the trial cannot know how much the ratio would change \
             if the environments were restarted (--sessions)."
                .to_owned(),
        );
    }
    remarks.extend(failures(trial, observations));
    remarks
}

fn how_to_read(trial: &Trial, assessment: &Assessment) -> String {
    let family = match assessment.comparisons.len() {
        1 => String::new(),
        n => format!(" together for all {n} comparisons"),
    };
    let decisions = format!(
        "faster, slower: by more than the margin of {}; equivalent: within it; undecided: the interval \
         contains a limit of the margin.",
        trial.question.margin
    );
    if trial.sessions > 1 {
        return format!(
            "change: mean over {} of the ratio within a block; the confidence interval is that of \
             Student's t over the sessions{family}. {decisions}",
            count(sessions(assessment), "session")
        );
    }
    format!(
        "change: {} over the blocks, of the ratio within a block; the confidence interval is valid{family} \
         after any number of blocks. {decisions}",
        PairedRatio::STATISTIC,
    )
}

/// Returns the number of sessions that count.
fn sessions(assessment: &Assessment) -> u64 {
    let ratios = assessment
        .comparisons
        .iter()
        .filter_map(|it| it.ratio.as_ref());
    ratios.map(|ratio| ratio.sessions as u64).min().unwrap_or(0)
}

/// Reports the comparison whose blocks are correlated most.
fn correlated(trial: &Trial, assessment: &Assessment) -> Option<String> {
    let ratios = assessment
        .comparisons
        .iter()
        .filter_map(|it| Some((it, it.ratio.as_ref()?)));
    let fewest =
        ratios.min_by(|(_, a), (_, b)| a.effective_blocks().total_cmp(&b.effective_blocks()))?;
    let (comparison, ratio) = fewest;
    let effective = ratio.effective_blocks();
    (effective < ratio.blocks as f64 - 0.05).then(|| {
        format!(
            "The differences of neighboring blocks are correlated: {} of {} count as {effective:.1}.",
            count(ratio.blocks as u64, "block"),
            trial.sweep.environments[comparison.env].name
        )
    })
}

/// Reports the number of dropped blocks and the first reasons; None if none was dropped.
pub fn failures(trial: &Trial, observations: &Observations) -> Option<String> {
    let failed = observations.failures().count() as u64;
    let mut lines = vec![format!(
        "{} dropped, because a run failed:",
        count(failed, "block")
    )];
    for (block, failure) in observations.failures().take(MAX_REASONS) {
        let env = &trial.sweep.environments[failure.env].name;
        let reason = failure.reason.replace('\n', "\n    ");
        lines.push(format!("  block {block}, {env}: {reason}"));
    }
    if failed > MAX_REASONS as u64 {
        lines.push("  the reasons of the others are in `error` of their results".to_owned());
    }
    (failed > 0).then(|| lines.join("\n"))
}
