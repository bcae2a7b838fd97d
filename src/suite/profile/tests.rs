use super::*;
use crate::cli::native::options;

fn told(text: &str) -> Result<Profile, String> {
    let source = Source {
        origin: "mine.toml".into(),
        text: text.into(),
    };
    source.profile().map_err(|error| format!("{error:#}"))
}

/// Parses a profile with one measurement of these lines.
fn one(lines: &str) -> Result<Profile, String> {
    told(&format!(
        "name = \"mine\"\n[[measurement]]\nname = \"m\"\n{lines}\n"
    ))
}

#[test]
fn the_built_in_profile_equals_the_single_commands_of_the_study() {
    let source = Source::find(Path::new(DEFAULT)).unwrap();
    let profile = source.profile().unwrap();
    assert_eq!(profile.name, DEFAULT);
    let expected: [(&str, &str, &[_]); 7] = [
        ("cpu", "cpu", &[]),
        ("memory-read", "memory", &[("oper", Some("read"))]),
        ("memory-write", "memory", &[]),
        ("seqrd", "fileio", &[("mode", Some("seqrd"))]),
        ("rndrd", "fileio", &[("mode", Some("rndrd"))]),
        ("seqwr", "fileio", &[("mode", Some("seqwr"))]),
        ("rndwr", "fileio", &[("mode", Some("rndwr"))]),
    ];
    let expected = expected.map(|(name, test, options)| Measurement {
        name: name.into(),
        plan: options::plan(test, options).unwrap(),
    });
    assert_eq!(profile.measurements, expected);
}

#[test]
fn options_of_a_measurement_override_defaults_of_its_test_and_of_all_tests() {
    let profile = told(
        "name = \"mine\"\n\
         defaults = { threads = 2, pin = true, fileio = { threads = 3, total-size = \"1G\" } }\n\
         [[measurement]]\nname = \"a\"\ntest = \"fileio\"\nmode = \"seqrd\"\nthreads = 4\npin = false\n\
         [[measurement]]\nname = \"b\"\ntest = \"fileio\"\nmode = \"seqrd\"\n\
         [[measurement]]\nname = \"c\"\ntest = \"cpu\"\ntime = 0.5\n",
    )
    .unwrap();
    let plans: Vec<_> = profile.measurements.iter().map(|m| &m.plan).collect();
    let threads = plans.iter().map(|plan| plan.threads.get());
    assert_eq!(threads.collect::<Vec<_>>(), [4, 3, 2]);
    assert_eq!(
        [plans[0].pin, plans[1].pin, plans[2].pin],
        [false, true, true]
    );
    assert_eq!(plans[2].limits.max_time_s, Some(0.5));
    assert_eq!(plans[1].files.as_ref().unwrap().set.total_size(), 1 << 30);
}

#[test]
fn an_invalid_profile_is_reported_with_line_key_and_accepted_values() {
    for (lines, parts) in [
        (
            "",
            &[
                "mine.toml:2: ",
                "'m' has no test",
                "\"cpu\" or \"memory\" or \"fileio\"",
            ][..],
        ),
        ("test = \"gpu\"", &[":4: ", "test is \"cpu\" or"]),
        ("test = 1", &[":4: ", "test is \"cpu\" or"]),
        (
            "test = \"cpu\"\nblock-sise = 1",
            &[
                ":5: ",
                "block-sise is no option of the cpu test",
                "max-prime",
            ],
        ),
        (
            "test = \"cpu\"\njson = \"x\"",
            &[":5: ", "json is no option"],
        ),
        (
            "test = \"cpu\"\nmax-prime = \"many\"",
            &[
                ":5: ",
                "max-prime: invalid number 'many': expected a whole number, 1 or more",
            ],
        ),
        ("test = \"cpu\"\nmax-prime = 0", &[":5: ", "max-prime: "]),
        (
            "test = \"cpu\"\nmax-prime = true",
            &[":5: ", "max-prime is a number or a \"text\"", "boolean"],
        ),
        (
            "test = \"cpu\"\nmax-prime = [1]",
            &[":5: ", "max-prime is a number", "array"],
        ),
        (
            "test = \"cpu\"\nmax-prime = 0x10",
            &[":5: ", "max-prime is a number"],
        ),
        (
            "test = \"cpu\"\npin = \"yes\"",
            &[":5: ", "pin is true or false", "string"],
        ),
        (
            "test = \"cpu\"\ntime = \"long\"",
            &[":5: ", "time: invalid time 'long'"],
        ),
        (
            "test = \"memory\"\noper = \"stare\"",
            &[
                ":5: ",
                "oper: invalid value 'stare': expected one of read, write, none",
            ],
        ),
        (
            "test = \"memory\"\nblock-size = \"1KB\"",
            &[":5: ", "block-size: invalid size '1KB'", "8G"],
        ),
        (
            "test = \"memory\"\nblock-size = 6",
            &[":2: ", "'m': ", "multiple of 4"],
        ),
        (
            "test = \"fileio\"",
            &[":2: ", "'m': mode is missing", "\"seqwr\" or \"seqrewr\""],
        ),
        (
            "test = \"fileio\"\nmode = \"seqrd\"\nfsync-end = false",
            &[":6: ", "fsync-end is \"on\" or \"off\"", "boolean"],
        ),
        (
            "test = \"fileio\"\nmode = \"seqrd\"\nfiles = 9999999",
            &[":2: ", "'m': ", "larger than a file"],
        ),
        (
            "test = \"cpu\"\nmax-prime = 3\nmax-prime = 4",
            &[":6: ", "duplicate key"],
        ),
        ("test = cpu", &[":4: "]),
        (
            "test = \"cpu\"\n[[measurement]]\nname = \"m\"\ntest = \"cpu\"",
            &[":6: ", "another measurement is called 'm'"],
        ),
        (
            "test = \"cpu\"\n[[measurement]]\ntest = \"cpu\"",
            &[":5: ", "the measurement has no name"],
        ),
        (
            "test = \"cpu\"\n[[measurement]]\nname = \"a b\"\ntest = \"cpu\"",
            &[":6: ", "letters, digits"],
        ),
        (
            "test = \"cpu\"\n[defaults]\nmode = \"seqrd\"",
            &[":6: ", "mode is no option of every test", "threads"],
        ),
        (
            "test = \"cpu\"\n[defaults.gpu]\ncores = 1",
            &[":5: ", "gpu is no option of every test"],
        ),
        (
            "test = \"cpu\"\n[defaults.memory]\nmode = \"seqrd\"",
            &[":6: ", "mode is no option of the memory test", "oper"],
        ),
        (
            "test = \"cpu\"\n[default]\nthreads = 1",
            &[":5: ", "default is no key of a profile", "defaults"],
        ),
    ] {
        let error = one(lines).expect_err(lines);
        for part in parts {
            assert!(error.contains(part), "{lines}\n{error}\nlacks {part}");
        }
    }
    for (text, part) in [
        ("", "mine.toml:1: the profile has no name"),
        ("name = \"mine\"", "mine.toml:1: there is no measurement"),
        (
            "name = \"mine\"\nmeasurement = []",
            "mine.toml:1: there is no measurement",
        ),
        (
            "name = \"mine\"\nmeasurement = 3",
            "mine.toml:2: measurement is a list",
        ),
        (
            "name = \"mine\"\ndefaults = 3",
            "mine.toml:2: defaults is a table",
        ),
        ("name = ", "mine.toml:1: "),
    ] {
        let error = told(text).expect_err(text);
        assert!(error.starts_with(part), "{text}: {error}");
    }
}

#[test]
fn an_unknown_profile_is_reported_with_the_built_in_ones() {
    let error = Source::find(Path::new("/no/such.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/no/such.toml") && error.contains(DEFAULT),
        "{error}"
    );
}
