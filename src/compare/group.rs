//! Division of runs into groups.

use anyhow::{Result, bail, ensure};

use super::natural::natural_order;
use super::read::Input;
use super::run::Run;

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
    pub of: Vec<usize>,
}

impl Groups {
    /// Groups runs, each given with the index of its input.
    ///
    /// Fails if no run has the field to group by, or if no group has the baseline's name.
    pub fn of(
        runs: &[(usize, Run)],
        inputs: &[Input],
        grouping: &Grouping,
        baseline: Option<&str>,
    ) -> Result<Self> {
        let mut groups = match grouping {
            Grouping::Input => Self {
                names: names(inputs),
                of: runs.iter().map(|(input, _)| *input).collect(),
            },
            Grouping::By(name) => Self::by(runs, name)?,
        };
        if let Some(baseline) = baseline {
            groups.put_first(baseline)?;
        }
        Ok(groups)
    }

    fn by(runs: &[(usize, Run)], name: &str) -> Result<Self> {
        let of_run: Vec<_> = runs.iter().map(|(_, run)| value(run, name)).collect();
        ensure!(
            runs.is_empty() || of_run.iter().any(Option::is_some),
            "no result has a label, parameter or field '{name}'"
        );
        let told = |value: &Option<String>| match value {
            Some(value) => value.clone(),
            None => format!("(no {name})"),
        };
        let of_run: Vec<_> = of_run.iter().map(told).collect();
        let mut names = of_run.clone();
        names.sort_by(|a, b| natural_order(a, b));
        names.dedup();
        let place = |value: &String| names.iter().position(|name| name == value);
        let of = of_run.iter().filter_map(place).collect();
        Ok(Self { names, of })
    }

    fn put_first(&mut self, baseline: &str) -> Result<()> {
        let Some(place) = self.names.iter().position(|name| name == baseline) else {
            bail!(
                "no group is named '{baseline}'; the groups are {}",
                self.names.join(", ")
            );
        };
        self.names[..=place].rotate_right(1);
        for group in &mut self.of {
            *group = match *group {
                group if group == place => 0,
                group if group < place => group + 1,
                group => group,
            };
        }
        Ok(())
    }
}

/// The value of a label, parameter or field in a run.
pub fn value(run: &Run, name: &str) -> Option<String> {
    let path = run.facts.resolve(name)?;
    run.facts.get(path).map(Into::into)
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
            of: vec![0, 1, 2, 1],
        };
        groups.put_first("b").unwrap();
        assert_eq!(groups.names, ["b", "a", "c"]);
        assert_eq!(groups.of, [1, 0, 2, 0]);
        let error = groups.put_first("d").unwrap_err().to_string();
        assert!(
            error.contains("'d'") && error.contains("b, a, c"),
            "{error}"
        );
    }
}
