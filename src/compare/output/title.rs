//! The name of a row.

use crate::compare::comparison::{Row, Section};
use crate::size::Size;

/// A section's test, and what tells it apart from others of the same test.
pub fn of_section(section: &Section) -> String {
    let params = &section.work.params;
    // What a test does comes first and needs no name.
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

/// A row's section, and its place on the second axis.
pub fn of(row: Row<'_>) -> String {
    match &row.point.value {
        Some(value) => format!("{} at {value}", of_section(row.section)),
        None => of_section(row.section),
    }
}

/// A parameter with its value: sizes as they are typed, all else as in the result file.
pub fn param(name: &str, value: &str) -> String {
    match (name.strip_suffix("_bytes"), value.parse()) {
        (Some(name), Ok(bytes)) => format!("{name}={}", Size(bytes)),
        _ => format!("{name}={value}"),
    }
}
