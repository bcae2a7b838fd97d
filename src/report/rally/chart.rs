//! Format of the document that Rally reads.

use std::fmt::Write as _;

use serde::Serialize;

/// Output of one iteration.
#[derive(Default, Serialize)]
pub(super) struct ScenarioOutput {
    pub(super) additive: Vec<RallyChart<Additive>>,
    pub(super) complete: Vec<RallyChart<Complete>>,
}

/// A chart as defined in `rally.task.processing.charts`.
#[derive(Serialize)]
pub(super) struct RallyChart<P> {
    pub(super) title: String,
    pub(super) description: &'static str,
    /// Unit of the y axis.
    pub(super) label: &'static str,
    /// Label of the x axis.
    pub(super) axis_label: &'static str,
    #[serde(flatten)]
    pub(super) plot: P,
}

impl<P> RallyChart<P> {
    pub(super) fn new(title: String, plot: P) -> Self {
        Self {
            title,
            description: "",
            label: "",
            axis_label: "",
            plot,
        }
    }

    pub(super) fn with_axes(self, label: &'static str, axis_label: &'static str) -> Self {
        Self {
            label,
            axis_label,
            ..self
        }
    }
}

/// Chart plugin for many iterations, with the named values of one iteration.
#[derive(Serialize)]
#[serde(tag = "chart_plugin", content = "data")]
pub(super) enum Additive {
    StatsTable(Vec<(String, f64)>),
    Lines(Vec<(String, f64)>),
}

/// Chart plugin for a single iteration.
#[derive(Serialize)]
#[serde(tag = "chart_plugin", content = "data")]
pub(super) enum Complete {
    Table {
        cols: Vec<String>,
        /// A name followed by its values.
        rows: Vec<Vec<Cell>>,
    },
    /// Each name with its points (x, y).
    Lines(Vec<(&'static str, Vec<(f64, f64)>)>),
    TextArea(Vec<String>),
}

/// Table cell.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    Name(&'static str),
    Figure(f64),
}

/// Escapes JSON to ASCII. Other characters occur only in strings.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}
