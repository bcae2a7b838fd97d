//! Launcher: the command that starts an instance, with placeholders.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};

/// Placeholder for the arguments of the measurement.
const ARGS: &str = "{args}";

/// A command with placeholders. An empty command stands for this program itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    typed: String,
    args: Vec<String>,
}

/// Values of the placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    /// `{env}`
    pub env: &'a str,
    /// `{concurrency}`
    pub concurrency: u32,
    /// `{instance}`
    pub instance: u32,
    /// `{dir}`
    pub dir: &'a str,
    /// `{cpus}`; kept as it is if None.
    pub cpus: Option<&'a str>,
}

impl Launcher {
    /// Splits a command into arguments like a shell. No shell is involved: `$`, `|` and `*` are
    /// literal.
    pub fn new(typed: &str) -> Result<Self> {
        let args = shlex::split(typed).with_context(|| {
            format!("invalid launcher '{typed}': it ends within quotes or after a backslash")
        })?;
        ensure!(
            args.first().is_none_or(|program| !program.is_empty()),
            "invalid launcher '{typed}': the name of its program is empty"
        );
        Ok(Self {
            typed: typed.trim().to_owned(),
            args,
        })
    }

    /// Returns the command as typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether it stands for this program.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Returns its arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Whether an argument is this option, with or without a value.
    pub fn names_option(&self, option: &str) -> bool {
        names_option(&self.args, option)
    }

    /// Whether an argument contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.args.iter().any(|arg| arg.contains(text))
    }

    /// Returns the full command of a measurement, run by `program` if the launcher is empty.
    ///
    /// The argument `{args}` expands to the arguments of the measurement, `{args}` within an
    /// argument to the same, quoted for a shell. Without `{args}` they are appended.
    pub fn command(
        &self,
        program: &str,
        args: &[String],
        placeholders: &Placeholders<'_>,
    ) -> Result<Vec<String>> {
        if self.args.is_empty() {
            return Ok([program.to_owned()]
                .into_iter()
                .chain(args.iter().cloned())
                .collect());
        }
        let quoted = shlex::try_join(args.iter().map(String::as_str))
            .context("an argument of the measurement contains a NUL byte")?;
        let mut command = Vec::new();
        for arg in &self.args {
            match arg.as_str() {
                ARGS => command.extend_from_slice(args),
                arg => command.push(placeholders.fill(arg, Some(&quoted)).into_owned()),
            }
        }
        if !self.mentions(ARGS) {
            command.extend_from_slice(args);
        }
        Ok(command)
    }
}

/// Whether an argument is this option, with or without a value.
pub fn names_option(args: &[String], option: &str) -> bool {
    args.iter().any(|arg| {
        let rest = arg.strip_prefix(option);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

impl Placeholders<'_> {
    /// Fills in placeholders from left to right in one pass, without expanding inserted values.
    /// Unknown placeholders are kept.
    pub fn fill<'a>(&self, text: &'a str, args: Option<&str>) -> Cow<'a, str> {
        let Some((before, rest)) = text.split_once('{') else {
            return text.into();
        };
        let placeholder = rest.split_once('}').and_then(|(name, after)| {
            let value: Cow<'_, str> = match name {
                "args" => args?.into(),
                "dir" => self.dir.into(),
                "cpus" => self.cpus?.into(),
                "env" => self.env.into(),
                "instance" => self.instance.to_string().into(),
                "concurrency" => self.concurrency.to_string().into(),
                _ => return None,
            };
            Some((value, after))
        });
        match placeholder {
            Some((value, after)) => format!("{before}{value}{}", self.fill(after, args)).into(),
            None => format!("{before}{{{}", self.fill(rest, args)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACEHOLDERS: Placeholders<'_> = Placeholders {
        env: "kvm",
        concurrency: 8,
        instance: 3,
        dir: "/data/a b",
        cpus: None,
    };

    fn command(launcher: &str, args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let launcher = Launcher::new(launcher).unwrap();
        launcher
            .command("/bin/wbench", &args, &PLACEHOLDERS)
            .unwrap()
    }

    #[test]
    fn an_empty_launcher_runs_this_program() {
        assert_eq!(
            command(" ", &["cpu", "--json", "-"]),
            ["/bin/wbench", "cpu", "--json", "-"]
        );
    }

    #[test]
    fn placeholders_are_filled_in_without_splitting_arguments() {
        assert_eq!(
            command(
                "run -v {dir}:/data --name '{env} {instance}/{concurrency}' {args} --dir /data",
                &["cpu", "a b"]
            ),
            [
                "run",
                "-v",
                "/data/a b:/data",
                "--name",
                "kvm 3/8",
                "cpu",
                "a b",
                "--dir",
                "/data"
            ]
        );
    }

    #[test]
    fn within_an_argument_the_measurement_is_quoted_for_a_shell() {
        assert_eq!(
            command("ssh host 'wbench {args}; echo {}'", &["cpu", "a b", "x'y"]),
            ["ssh", "host", "wbench cpu 'a b' \"x'y\"; echo {}"]
        );
    }

    #[test]
    fn without_a_placeholder_the_measurement_is_appended() {
        assert_eq!(command("nice wbench", &["cpu"]), ["nice", "wbench", "cpu"]);
    }

    #[test]
    fn unknown_placeholders_and_inserted_values_are_not_expanded() {
        let placeholders = Placeholders {
            dir: "{env}",
            ..PLACEHOLDERS
        };
        assert_eq!(
            placeholders.fill("{{.Names}} {dir} {envy {env}", None),
            "{{.Names}} {env} {envy kvm"
        );
        let pinned = Placeholders {
            cpus: Some("0-3"),
            ..PLACEHOLDERS
        };
        assert_eq!(
            pinned.fill("--cpuset-cpus={cpus}", None),
            "--cpuset-cpus=0-3"
        );
        assert_eq!(PLACEHOLDERS.fill("{cpus}", None), "{cpus}");
    }

    #[test]
    fn an_unterminated_quote_is_refused() {
        let error = Launcher::new("ssh 'host").unwrap_err().to_string();
        assert!(error.contains("within quotes"), "{error}");
        assert!(Launcher::new("'' cpu").is_err());
    }

    proptest! {
        #[test]
        fn a_shell_restores_the_exact_arguments(args in proptest::collection::vec("[ -~]*", 1..5)) {
            let launcher = Launcher::new("sh -c 'printf {args}'").unwrap();
            let command = launcher.command("wbench", &args, &PLACEHOLDERS).unwrap();
            prop_assert_eq!(command.len(), 3);
            let printf = shlex::split(&command[2]).unwrap();
            prop_assert_eq!(&printf[1..], &args[..]);
        }
    }
}
