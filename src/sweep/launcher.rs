//! The command that starts an instance: its words, and the places in them that are filled in.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};

/// The word that the measurement's words take the place of.
const ARGS: &str = "{args}";

/// A command with places to be filled in. Without words it is this program itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    typed: String,
    words: Vec<String>,
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `{env}`
    pub env: &'a str,
    /// `{concurrency}`
    pub concurrency: u32,
    /// `{instance}`
    pub instance: u32,
    /// `{dir}`
    pub dir: &'a str,
}

impl Launcher {
    /// Splits a command into words as a shell would. No shell is involved: `$`, `|` and `*` stand
    /// for themselves.
    pub fn new(typed: &str) -> Result<Self> {
        let words = shlex::split(typed).with_context(|| {
            format!("the launcher '{typed}' ends within quotes, or behind a backslash")
        })?;
        ensure!(
            words.first().is_none_or(|program| !program.is_empty()),
            "the launcher '{typed}' has no program"
        );
        Ok(Self {
            typed: typed.trim().to_owned(),
            words,
        })
    }

    /// As it was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Some word of it names the option, by itself or with a value.
    pub fn names_option(&self, option: &str) -> bool {
        names_option(&self.words, option)
    }

    /// Some word of it has this in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.contains(text))
    }

    /// The whole command that does a measurement, by `program` where the launcher has no words.
    ///
    /// `{args}` as a word of its own becomes the words of the measurement; within a word, those
    /// words quoted for a shell. Where it is missing, they are put at the end.
    pub fn command(
        &self,
        program: &str,
        args: &[String],
        place: &Place<'_>,
    ) -> Result<Vec<String>> {
        if self.words.is_empty() {
            return Ok([program.to_owned()]
                .into_iter()
                .chain(args.iter().cloned())
                .collect());
        }
        let quoted = shlex::try_join(args.iter().map(String::as_str))
            .context("a word of the measurement has a NUL in it")?;
        let mut command = Vec::new();
        for word in &self.words {
            match word.as_str() {
                ARGS => command.extend_from_slice(args),
                word => command.push(place.fill(word, Some(&quoted)).into_owned()),
            }
        }
        if !self.mentions(ARGS) {
            command.extend_from_slice(args);
        }
        Ok(command)
    }
}

/// Some word names the option, by itself or with a value.
pub fn names_option(words: &[String], option: &str) -> bool {
    words.iter().any(|word| {
        let rest = word.strip_prefix(option);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

impl Place<'_> {
    /// Fills in a word, from left to right: what was filled in is not looked at again. What is no
    /// place stays as it is.
    pub fn fill<'w>(&self, word: &'w str, args: Option<&str>) -> Cow<'w, str> {
        let Some((before, rest)) = word.split_once('{') else {
            return word.into();
        };
        let place = rest.split_once('}').and_then(|(name, after)| {
            let value: Cow<'_, str> = match name {
                "args" => args?.into(),
                "dir" => self.dir.into(),
                "env" => self.env.into(),
                "instance" => self.instance.to_string().into(),
                "concurrency" => self.concurrency.to_string().into(),
                _ => return None,
            };
            Some((value, after))
        });
        match place {
            Some((value, after)) => format!("{before}{value}{}", self.fill(after, args)).into(),
            None => format!("{before}{{{}", self.fill(rest, args)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place<'_> = Place {
        env: "kvm",
        concurrency: 8,
        instance: 3,
        dir: "/data/a b",
    };

    fn command(launcher: &str, args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let launcher = Launcher::new(launcher).unwrap();
        launcher.command("/bin/wbench", &args, &PLACE).unwrap()
    }

    #[test]
    fn without_words_it_is_this_program() {
        assert_eq!(
            command(" ", &["cpu", "--json", "-"]),
            ["/bin/wbench", "cpu", "--json", "-"]
        );
    }

    #[test]
    fn places_are_filled_in_and_words_stay_words() {
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
    fn within_a_word_the_measurement_is_quoted_for_a_shell() {
        assert_eq!(
            command("ssh host 'wbench {args}; echo {}'", &["cpu", "a b", "x'y"]),
            ["ssh", "host", "wbench cpu 'a b' \"x'y\"; echo {}"]
        );
    }

    #[test]
    fn without_a_place_for_it_the_measurement_comes_last() {
        assert_eq!(command("nice wbench", &["cpu"]), ["nice", "wbench", "cpu"]);
    }

    #[test]
    fn braces_that_are_no_place_and_what_was_filled_in_are_left_alone() {
        let place = Place {
            dir: "{env}",
            ..PLACE
        };
        assert_eq!(
            place.fill("{{.Names}} {dir} {envy {env}", None),
            "{{.Names}} {env} {envy kvm"
        );
    }

    #[test]
    fn an_open_quote_is_refused() {
        let error = Launcher::new("ssh 'host").unwrap_err().to_string();
        assert!(error.contains("within quotes"), "{error}");
        assert!(Launcher::new("'' cpu").is_err());
    }

    proptest! {
        #[test]
        fn a_shell_gets_the_very_words_back(args in proptest::collection::vec("[ -~]*", 1..5)) {
            let launcher = Launcher::new("sh -c 'printf {args}'").unwrap();
            let command = launcher.command("wbench", &args, &PLACE).unwrap();
            prop_assert_eq!(command.len(), 3);
            let words = shlex::split(&command[2]).unwrap();
            prop_assert_eq!(&words[1..], &args[..]);
        }
    }
}
