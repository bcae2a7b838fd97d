//! Arguments of `wbench show`.

use std::path::PathBuf;

use clap::Args;

use crate::compare::read::Input;
use crate::report::ReportFormat;

/// Arguments of `wbench show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Result files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Format of the report
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,
}

/// Results to print again.
#[derive(Debug)]
pub struct ShowJob {
    /// Where the results are.
    pub inputs: Vec<Input>,
    /// Format of the report.
    pub format: ReportFormat,
}

impl ShowArgs {
    /// Returns the job with all defaults filled in.
    pub fn into_job(self) -> ShowJob {
        ShowJob {
            inputs: self
                .files
                .iter()
                .map(|path| path.as_path().into())
                .collect(),
            format: self.format,
        }
    }
}
