//! Runs `wbench show`.

use anyhow::{Context, Result, anyhow};

use crate::cli::show::ShowJob;
use crate::compare::read::documents::documents;
use crate::compare::read::result_file::check_schema;
use crate::compare::read::{Input, text_of};
use crate::exit::Exit;
use crate::output::print;
use crate::result::RunResult;

/// Prints the report of each stored result.
pub fn run(job: &ShowJob) -> Result<Exit> {
    let mut all = Vec::new();
    for input in &job.inputs {
        all.extend(results(input).with_context(|| input.to_string())?);
    }
    print(&job.format.of(&all)?)?;
    Ok(Exit::Success)
}

fn results(input: &Input) -> Result<Vec<RunResult>> {
    let bytes = input.bytes()?;
    let text = text_of(&bytes).map_err(|error| error.reason)?;
    let (documents, stopped) = documents(text);
    if let Some(error) = stopped {
        return Err(error.reason.context(format!("line {}", error.line)));
    }
    if documents.is_empty() {
        return Err(anyhow!("it contains no result"));
    }
    documents
        .into_iter()
        .map(|document| {
            check_schema(document)?;
            Ok(serde_json::from_str(document.text)?)
        })
        .collect()
}
