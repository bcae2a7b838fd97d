//! Titles of sections and rows.

use crate::compare::comparison::{Row, Section};
use crate::size::Size;

/// A section's test, and what distinguishes it from other sections of the test.
pub fn of_section(section: &Section) -> String {
    let params = &section.work.params;
    // These say what a test does: they come first, without their names.
    let main = ["mode", "oper"];
    let leading = main
        .iter()
        .filter_map(|name| params.get(*name).map(String::as_str));
    let mut words: Vec<String> = [section.work.test.as_str()]
        .into_iter()
        .chain(leading)
        .map(Into::into)
        .collect();
    let others = section
        .distinct
        .iter()
        .filter(|name| !main.contains(&name.as_str()));
    words.extend(others.filter_map(|name| Some(param(name, params.get(name)?))));
    words.join(" ")
}

/// A row's section and its value of the second axis.
pub fn of(row: Row<'_>) -> String {
    match &row.point.value {
        Some(value) => format!("{} at {value}", of_section(row.section)),
        None => of_section(row.section),
    }
}

/// A parameter with its value: sizes as in options, all else as in the result file.
pub fn param(name: &str, value: &str) -> String {
    match (name.strip_suffix("_bytes"), value.parse()) {
        (Some(name), Ok(bytes)) => format!("{name}={}", Size(bytes)),
        _ => format!("{name}={value}"),
    }
}
