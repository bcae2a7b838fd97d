//! Division of runs into groups.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::natural::natural_order;
use super::read::Input;
use super::run::ComparedRun;

/// What defines a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// Each command-line argument.
    Input,
    /// Each value of a label, parameter or field.
    By(String),
}

/// The groups, baseline first, and the group of each run.
#[derive(Debug)]
pub struct Groups {
    /// Names of the groups.
    pub names: Vec<String>,
    /// For each run, in order, the index of its group in `names`.
    pub of_run: Vec<usize>,
}

/// A group with its runs.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// Name of the group.
    pub name: &'a str,
    /// Runs of the group.
    pub runs: Vec<&'a ComparedRun>,
}

impl Groups {
    /// Groups runs, each given with the index of its input.
    ///
    /// Fails if no run has the field to group by, or if no group has the baseline's name.
    pub fn of(
        runs: &[(usize, ComparedRun)],
        inputs: &[Input],
        grouping: &Grouping,
        baseline: Option<&str>,
    ) -> Result<Self> {
        let mut groups = match grouping {
            Grouping::Input => Self {
                names: names(inputs),
                of_run: runs.iter().map(|(input, _)| *input).collect(),
            },
            Grouping::By(name) => Self::by(runs, name),
        };
        if let Some(baseline) = baseline {
            groups.put_first(baseline)?;
        }
        Ok(groups)
    }

    fn by(runs: &[(usize, ComparedRun)], name: &str) -> Self {
        let value = |run: &ComparedRun| match run.value(name) {
            Some(value) => value.to_owned(),
            None => format!("(no {name})"),
        };
        let values: Vec<_> = runs.iter().map(|(_, run)| value(run)).collect();
        let mut names = values.clone();
        names.sort_unstable_by(|a, b| natural_order(a, b));
        names.dedup();
        let place: BTreeMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let of_run = values.iter().map(|value| place[value.as_str()]).collect();
        Self { names, of_run }
    }

    fn put_first(&mut self, baseline: &str) -> Result<()> {
        let Some(place) = self.names.iter().position(|name| name == baseline) else {
            bail!(
                "no group is named '{baseline}'; the groups are {}",
                self.names.join(", ")
            );
        };
        self.names[..=place].rotate_right(1);
        for group in &mut self.of_run {
            *group = match *group {
                group if group == place => 0,
                group if group < place => group + 1,
                group => group,
            };
        }
        Ok(())
    }

    /// The groups with their runs, given in the order in which they were grouped.
    pub fn with_runs<'a>(&'a self, runs: &'a [(usize, ComparedRun)]) -> Vec<Group<'a>> {
        let mut groups: Vec<_> = self
            .names
            .iter()
            .map(|name| Group {
                name,
                runs: Vec::new(),
            })
            .collect();
        for ((_, run), &group) in runs.iter().zip(&self.of_run) {
            groups[group].runs.push(run);
        }
        groups
    }
}

/// Short, distinct names of the inputs: the last path component, else the whole path, else a number
/// is added.
fn names(inputs: &[Input]) -> Vec<String> {
    let long: Vec<String> = inputs.iter().map(ToString::to_string).collect();
    let short: Vec<String> = inputs.iter().map(short_name).collect();
    let once = |names: &[String], name: &String| names.iter().filter(|n| *n == name).count() == 1;
    (0..inputs.len())
        .map(|i| {
            if once(&short, &short[i]) {
                short[i].clone()
            } else if once(&long, &long[i]) {
                long[i].clone()
            } else {
                format!("{} #{}", long[i], i + 1)
            }
        })
        .collect()
}

fn short_name(input: &Input) -> String {
    match input {
        Input::Path(path) if path.is_dir() => path.file_name(),
        Input::Path(path) => path.file_stem(),
        Input::Stdin => None,
    }
    .map_or_else(|| input.to_string(), |name| name.to_string_lossy().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn names_of(paths: &[&str]) -> Vec<String> {
        let inputs: Vec<_> = paths.iter().map(|path| Path::new(path).into()).collect();
        names(&inputs)
    }

    #[test]
    fn a_group_is_named_by_as_much_of_its_path_as_makes_it_unique() {
        assert_eq!(
            names_of(&["runs/native/", "runs/kvm.json"]),
            ["native", "kvm"]
        );
        assert_eq!(names_of(&["a/kvm", "b/kvm", "c"]), ["a/kvm", "b/kvm", "c"]);
        assert_eq!(
            names_of(&["a", "a", "-"]),
            ["a #1", "a #2", "standard input"]
        );
    }

    #[test]
    fn the_baseline_comes_first_and_the_others_keep_their_order() {
        let mut groups = Groups {
            names: ["a", "b", "c"].map(String::from).into(),
            of_run: vec![0, 1, 2, 1],
        };
        groups.put_first("b").unwrap();
        assert_eq!(groups.names, ["b", "a", "c"]);
        assert_eq!(groups.of_run, [1, 0, 2, 0]);
        let error = groups.put_first("d").unwrap_err().to_string();
        assert!(
            error.contains("'d'") && error.contains("b, a, c"),
            "{error}"
        );
    }
}
