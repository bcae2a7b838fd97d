//! Runs the memory test with several block sizes.

use anyhow::Result;

use super::measure::measure;
use super::native::progress;
use super::remark;
use crate::cli::native::{Output, SeriesJob, SeriesPoint};
use crate::exit::Exit;
use crate::output::{Destination, print};
use crate::plan::{FileHandling, RunPlan};
use crate::report::ReportFormat;
use crate::report::series::table;
use crate::result::RunResult;
use crate::signal;

/// Runs all points until a signal arrives; a failed one does not stop the others. Writes all results,
/// then prints the table.
pub fn run(job: &SeriesJob) -> Result<Exit> {
    let output = &job.output;
    let outlet = output.json.as_ref().map(Destination::reserve).transpose()?;
    signal::watch()?;
    let mut results = Vec::new();
    for point in &job.points {
        measure_point(point, output, &mut results)?;
    }
    let written = outlet.map(|mut outlet| outlet.write(&results)).transpose();
    match output.report {
        Some(ReportFormat::Text) => print(&table(&results))?,
        Some(format) => print(&format.of(&results)?)?,
        None => {}
    }
    if let Some(method) = written? {
        remark(&method);
    }
    let exits = results.iter().map(Exit::of);
    let worst = exits.reduce(|worst, exit| if worst == Exit::Success { exit } else { worst });
    Ok(match signal::is_caught() {
        true => Exit::interrupted(),
        false => worst.unwrap_or(Exit::Success),
    })
}

fn measure_point(point: &SeriesPoint, output: &Output, results: &mut Vec<RunResult>) -> Result<()> {
    let one = |plan: &RunPlan| -> Result<Option<RunResult>> {
        if signal::is_caught() {
            return Ok(None);
        }
        let observer = &mut progress(plan, output);
        let measured = measure(plan, FileHandling::AsTheyAre, output.quiet, observer)?;
        Ok(Some(measured.result))
    };
    let packed = point.packed.as_ref().map(one).transpose()?.flatten();
    let mut result = one(&point.plan)?;
    if let (Some(packed), Some(result)) = (&packed, &mut result) {
        result.record_walk_cost(packed);
    }
    results.extend(packed.into_iter().chain(result));
    Ok(())
}
