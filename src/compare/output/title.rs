//! Titles of sections and rows.

use crate::compare::comparison::{ComparisonRow, Section};
use crate::size::Size;

/// Parameters that say what a test does: they come first, without their names.
const MAIN: [&str; 2] = ["mode", "oper"];

/// A section's test, and what distinguishes it from other sections of the test.
pub fn of_section(section: &Section) -> String {
    let params = &section.key.params;
    let main = MAIN.iter().filter_map(|name| params.get(*name)).cloned();
    let distinct = section.distinct.iter();
    let others = distinct.filter(|name| !MAIN.contains(&name.as_str()));
    let others = others.filter_map(|name| Some(param(name, params.get(name)?)));
    let test = std::iter::once(section.key.test.clone());
    test.chain(main).chain(others).collect::<Vec<_>>().join(" ")
}

/// A row's section and its value of the second axis.
pub fn of(row: ComparisonRow<'_>) -> String {
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
