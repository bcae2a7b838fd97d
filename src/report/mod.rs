//! Formatting of results as text. Reports never measure.

pub mod environment;
pub mod rally;
pub mod series;
mod statistics;
pub mod suite;
pub mod sweep;
pub mod sysbench;
pub mod sysbench_1_0;
pub mod table;
pub mod text;
pub mod trial;

use anyhow::{Context, Result};
use clap::ValueEnum;

use self::sysbench::{PrintedOptions, Verbosity};
use crate::result::RunResult;
use crate::terminal;

/// Format of a report of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// Human-readable text
    #[default]
    Text,
    /// The report of sysbench 0.4.12
    Sysbench,
    /// The result document
    Json,
    /// Output of a Rally scenario (VMTasks.boot_runcommand_delete)
    Rally,
}

impl ReportFormat {
    /// Whether the format is meant for programs.
    pub fn is_document(self) -> bool {
        matches!(self, Self::Json | Self::Rally)
    }

    /// Formats the report of the results, ending with a newline.
    pub fn of(self, results: &[RunResult]) -> Result<String> {
        if self == Self::Rally {
            return rally::document(results);
        }
        let reports: Result<Vec<String>> = results.iter().map(|it| self.of_one(it)).collect();
        let between = if self == Self::Json { "" } else { "\n" };
        Ok(reports?.join(between))
    }

    fn of_one(self, result: &RunResult) -> Result<String> {
        match self {
            Self::Text => Ok(text::report(result)),
            Self::Sysbench => {
                let verbosity = Verbosity::INFO;
                Ok(
                    sysbench::preamble(verbosity, &result.workload, PrintedOptions::default())
                        + &sysbench::started(verbosity, result.workload.threads)
                        + &sysbench::summary(verbosity, result)?,
                )
            }
            Self::Json => {
                let json = serde_json::to_string_pretty(result);
                Ok(terminal::json(json.context("making JSON of the result")?) + "\n")
            }
            Self::Rally => rally::document(std::slice::from_ref(result)),
        }
    }
}
