//! What exists instead of an unknown field, for errors.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Fields, LABELS, PARAMS};

/// Maximum number of similar names in an error.
const SIMILAR: usize = 3;

/// Smallest similarity (Jaro-Winkler) of names that are nearly the same.
const SIMILARITY: f64 = 0.9;

/// Describes what exists instead of an unknown label, parameter or field: similar names, the labels
/// and the parameters of all runs.
pub fn alternatives<'a>(unknown: &str, runs: impl Iterator<Item = &'a Fields>) -> String {
    let paths: BTreeSet<&str> = runs.flat_map(Fields::iter).map(|(path, _)| path).collect();
    let below = |prefix| {
        let names = paths
            .iter()
            .filter_map(move |path| path.strip_prefix(prefix));
        names.collect::<Vec<&str>>()
    };
    let mut text = String::new();
    for (what, names) in [
        ("similar", similar(unknown, &paths)),
        ("labels", below(LABELS)),
        ("parameters", below(PARAMS)),
    ] {
        if !names.is_empty() {
            _ = write!(text, "; {what}: {}", names.join(", "));
        }
    }
    text
}

/// The paths that contain the name, or whose last component or whole is nearly the same.
fn similar<'a>(name: &str, paths: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let last = |path: &'a str| path.rsplit('.').next().unwrap_or(path);
    let score = |path: &'a str| match path.to_lowercase().contains(&name) && !name.is_empty() {
        true => 1.0,
        false => strsim::jaro_winkler(&name, path).max(strsim::jaro_winkler(&name, last(path))),
    };
    let scored = paths.iter().map(|path| (score(path), *path));
    let mut near: Vec<_> = scored.filter(|(score, _)| *score > SIMILARITY).collect();
    near.sort_unstable_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
    near.truncate(SIMILAR);
    near.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_to_an_unknown_name_are_similar_fields_labels_and_parameters() {
        let fields: Fields = serde_json::from_str(
            r#"{"labels": {"env": "x"}, "host": {"kernel": "6.1", "cpus": 2},
                "workload": {"params": {"mode": "seqrd"}}}"#,
        )
        .unwrap();
        let of = |name| alternatives(name, [&fields].into_iter());
        let rest = "; labels: env; parameters: mode";
        for (name, similar) in [
            ("kernel", "; similar: host.kernel"),
            ("kernle", "; similar: host.kernel"),
            ("host.kernle", "; similar: host.kernel"),
            ("zzz", ""),
        ] {
            assert_eq!(of(name), format!("{similar}{rest}"), "{name}");
        }
    }
}
