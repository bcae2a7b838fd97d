use super::*;
use crate::cli::native::options;
use crate::plan::Test;
use crate::suite::Measurement;

fn parsed(text: &str) -> Result<Profile, String> {
    let profile = ProfileText {
        origin: "mine.toml".into(),
        text: text.into(),
    };
    profile.parse().map_err(|error| format!("{error:#}"))
}

/// Parses a profile with one measurement of these lines.
fn one(lines: &str) -> Result<Profile, String> {
    parsed(&format!(
        "name = \"mine\"\n[[measurement]]\nname = \"m\"\n{lines}\n"
    ))
}

#[test]
fn the_built_in_profile_equals_the_single_commands_of_the_study() {
    let profile = ProfileText::find(Path::new(DEFAULT)).unwrap();
    let profile = profile.parse().unwrap();
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
fn the_study_scales_to_a_hundredth() {
    let profile = ProfileText::find(Path::new(DEFAULT)).unwrap();
    let scaled = |name: &str| {
        let measurements = profile.parse().unwrap().measurements;
        let measurement = measurements.into_iter().find(|it| it.name == name).unwrap();
        (measurement.plan.scaled(0.01).unwrap(), measurement.plan)
    };
    let (cpu, before) = scaled("cpu");
    assert_eq!(
        (cpu.limits.max_requests, cpu.test),
        (Some(100), before.test)
    );
    let (memory, _) = scaled("memory-write");
    let total = memory.test.memory().unwrap().total_size_bytes;
    assert_eq!(total, (100 << 30) / 100 / 1024 * 1024);
    assert_eq!(memory.limits.max_time_s, Some(3.0));
    let (seqrd, before) = scaled("seqrd");
    let set = seqrd.files.unwrap().set;
    assert_eq!((set.files.get(), set.file_size), (128, 163 * 4096));
    let Test::Fileio(params) = seqrd.test else {
        panic!()
    };
    assert_eq!(params.total_size_bytes, 128 * 163 * 4096);
    assert_eq!(before.scaled(1.0).unwrap(), before);
}

#[test]
fn options_of_a_measurement_override_defaults_of_its_test_and_of_all_tests() {
    let profile = parsed(
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
fn defaults_of_every_test_include_limits_that_the_mutex_test_does_not_have() {
    let profile = parsed(
        "name = \"mine\"\n\
         defaults = { time = 3, events = 5 }\n\
         [[measurement]]\nname = \"a\"\ntest = \"cpu\"\n\
         [[measurement]]\nname = \"b\"\ntest = \"mutex\"\n",
    )
    .unwrap();
    let limits = profile.measurements.iter().map(|m| m.plan.limits);
    let limits: Vec<_> = limits.map(|l| (l.max_time_s, l.max_requests)).collect();
    assert_eq!(limits, [(Some(3.0), Some(5)), (None, None)]);
}

#[test]
fn threads_in_the_defaults_is_the_test_if_it_is_a_table_and_else_the_option() {
    for (defaults, threads) in [
        ("threads = 2", [2, 2]),
        ("threads = { threads = 2, locks = 3 }", [1, 2]),
    ] {
        let profile = parsed(&format!(
            "name = \"mine\"\n\
             defaults = {{ {defaults} }}\n\
             [[measurement]]\nname = \"a\"\ntest = \"cpu\"\n\
             [[measurement]]\nname = \"b\"\ntest = \"threads\"\n",
        ))
        .unwrap();
        let plans = profile.measurements.iter().map(|m| m.plan.threads.get());
        assert_eq!(plans.collect::<Vec<_>>(), threads, "{defaults}");
    }
}

#[test]
fn an_invalid_profile_is_reported_with_line_key_and_accepted_values() {
    for (lines, parts) in [
        (
            "",
            &[
                "mine.toml:2: ",
                "measurement 'm': missing test: expected ",
                "\"cpu\" or \"memory\" or \"fileio\"",
            ][..],
        ),
        (
            "test = \"gpu\"",
            &[":4: ", "invalid test: expected \"cpu\" or"],
        ),
        ("test = 1", &[":4: ", "invalid test: expected \"cpu\" or"]),
        (
            "test = \"cpu\"\nblock-sise = 1",
            &[
                ":5: ",
                "unknown option 'block-sise' of the cpu test",
                "max-prime",
            ],
        ),
        (
            "test = \"cpu\"\njson = \"x\"",
            &[":5: ", "unknown option 'json'"],
        ),
        (
            "test = \"cpu\"\nformat = \"text\"",
            &[":5: ", "unknown option 'format'"],
        ),
        (
            "test = \"cpu\"\nmax-prime = \"many\"",
            &[
                ":5: ",
                "max-prime: invalid value 'many': expected a whole number, 1 or more",
            ],
        ),
        ("test = \"cpu\"\nmax-prime = 0", &[":5: ", "max-prime: "]),
        (
            "test = \"cpu\"\nmax-prime = true",
            &[
                ":5: ",
                "invalid max-prime: expected a decimal number or a string, found boolean",
            ],
        ),
        (
            "test = \"cpu\"\nmax-prime = [1]",
            &[":5: ", "invalid max-prime: ", "found array"],
        ),
        (
            "test = \"cpu\"\nmax-prime = 0x10",
            &[":5: ", "invalid max-prime: expected a decimal number"],
        ),
        (
            "test = \"cpu\"\npin = \"yes\"",
            &[":5: ", "invalid pin: expected true or false, found string"],
        ),
        (
            "test = \"cpu\"\ntime = \"long\"",
            &[":5: ", "time: invalid value 'long'"],
        ),
        (
            "test = \"memory\"\noper = \"stare\"",
            &[
                ":5: ",
                "oper: invalid value 'stare': expected one of read, write, chase, none",
            ],
        ),
        (
            "test = \"memory\"\nblock-size = \"1KB\"",
            &[":5: ", "block-size: invalid value '1KB'", "8G"],
        ),
        (
            "test = \"memory\"\nblock-size = 6",
            &[":2: ", "'m': ", "multiple of 4"],
        ),
        (
            "test = \"fileio\"",
            &[
                ":2: ",
                "'m': missing mode: expected \"seqwr\" or \"seqrewr\"",
            ],
        ),
        (
            "test = \"fileio\"\nmode = \"seqrd\"\nfsync-end = false",
            &[
                ":6: ",
                "invalid fsync-end: expected \"on\" or \"off\", found boolean",
            ],
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
            &[":6: ", "duplicate measurement name 'm'"],
        ),
        (
            "test = \"cpu\"\n[[measurement]]\ntest = \"cpu\"",
            &[":5: ", "missing name of the measurement"],
        ),
        (
            "test = \"cpu\"\n[[measurement]]\nname = \"a b\"\ntest = \"cpu\"",
            &[":6: ", "letters, digits"],
        ),
        (
            "test = \"cpu\"\n[defaults]\nmode = \"seqrd\"",
            &[":6: ", "unknown option 'mode' of every test", "threads"],
        ),
        (
            "test = \"cpu\"\n[defaults.gpu]\ncores = 1",
            &[":5: ", "unknown option 'gpu' of every test"],
        ),
        (
            "test = \"cpu\"\n[defaults.memory]\nmode = \"seqrd\"",
            &[":6: ", "unknown option 'mode' of the memory test", "oper"],
        ),
        (
            "test = \"cpu\"\n[default]\nthreads = 1",
            &[
                ":5: ",
                "unknown key 'default': expected one of name, defaults",
            ],
        ),
    ] {
        let error = one(lines).expect_err(lines);
        for part in parts {
            assert!(error.contains(part), "{lines}\n{error}\nlacks {part}");
        }
    }
    for (text, part) in [
        ("", "mine.toml:1: missing name of the profile"),
        ("name = \"mine\"", "mine.toml:1: missing [[measurement]]"),
        (
            "name = \"mine\"\nmeasurement = []",
            "mine.toml:1: missing [[measurement]]",
        ),
        (
            "name = \"mine\"\nmeasurement = 3",
            "mine.toml:2: invalid measurement: expected [[measurement]]",
        ),
        (
            "name = \"mine\"\ndefaults = 3",
            "mine.toml:2: invalid defaults: expected a table",
        ),
        ("name = ", "mine.toml:1: "),
    ] {
        let error = parsed(text).expect_err(text);
        assert!(error.starts_with(part), "{text}: {error}");
    }
}

#[test]
fn an_unknown_profile_is_reported_with_the_built_in_ones() {
    let error = ProfileText::find(Path::new("/no/such.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/no/such.toml") && error.contains(DEFAULT),
        "{error}"
    );
}
