use super::*;
use crate::plan::{CpuBound, MemoryScope, Seed, Test};

fn read(line: &str) -> Checked<(Task, Vec<String>)> {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut messages = Vec::new();
    let arguments = Arguments::read(&arguments, &mut messages)?;
    let general = arguments.general(&mut messages)?;
    Ok((arguments.command(&general)?, messages))
}

fn run(line: &str) -> TestRun {
    match read(line) {
        Ok((Task::Run(run), _)) => *run,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> (String, Stream) {
    let refusal = read(line).expect_err(line);
    (refusal.text, refusal.stream)
}

#[test]
fn test_command_and_options_come_in_any_order_with_dashes_or_underscores() {
    for line in [
        "cpu run --cpu-max-prime=7 --events=3 --threads=2",
        "--threads=2 --events=3 cpu --cpu_max_prime=7 run",
        "--cpu-max_prime=9 cpu run --num_threads=2 --max-requests=3 --cpu_max_prime=7",
    ] {
        let TestRun { plan, general } = run(line);
        let Test::Cpu(cpu) = plan.test else {
            panic!("{line}")
        };
        assert_eq!((cpu.max_prime.get(), cpu.bound), (7, CpuBound::Double));
        assert_eq!((plan.threads.get(), plan.limits.max_requests), (2, Some(3)));
        assert_eq!((plan.limits.max_time_s, general.threads), (Some(10.0), 2));
    }
}

#[test]
fn a_value_in_an_argument_of_its_own_is_a_test_or_command() {
    let unrecognized = "Unrecognized command line argument: run\n".to_owned();
    assert_eq!(
        refusal("--events 5 cpu run"),
        (unrecognized, Stream::Stderr)
    );
}

#[test]
fn a_number_without_a_value_is_0() {
    let TestRun { plan, general } = run("memory --time --percentile= run");
    assert_eq!((plan.limits.max_time_s, general.percentile), (None, None));
}

#[test]
fn the_seed_of_a_run_is_known_even_if_it_is_the_time() {
    assert_eq!(
        run("cpu --rand-seed=-7 run").plan.seed,
        Seed(Some(-7i32 as u32))
    );
    let TestRun { plan, general } = run("cpu run");
    assert!(plan.seed.0.is_some() && general.seed.is_none());
}

#[test]
fn the_memory_test_ends_after_its_total_size_and_not_after_events() {
    let plan = run("memory --events=3 --memory-block-size=4k --memory-scope=local run").plan;
    let Test::Memory(memory) = plan.test else {
        panic!()
    };
    assert_eq!(
        (plan.limits.max_requests, memory.scope),
        (None, MemoryScope::Local)
    );
    assert_eq!(memory.events(3), Some((100 << 30) / 4096 / 3 * 3));
    let unlimited = run("memory --memory-total-size=0 run").plan;
    let Test::Memory(memory) = unlimited.test else {
        panic!()
    };
    assert_eq!(memory.events(1), None);
}

#[test]
fn refusals_are_those_of_1_0_and_name_option_and_value() {
    for (line, text) in [
        (
            "cpu --threads=0 run",
            "FATAL: Invalid value for --threads: 0.\n\n",
        ),
        (
            "cpu --percentile=101 run",
            "FATAL: Invalid value for --percentile: 101\n",
        ),
        ("cpu --verbosity=6 run", "Invalid value for verbosity: 6\n"),
        (
            "cpu --cpu-max-prime=0 run",
            "FATAL: Invalid value of cpu-max-prime: 0.\n",
        ),
        (
            "memory --memory-block-size=1000 run",
            "FATAL: Invalid value for memory-block-size: 1000\n",
        ),
        (
            "memory --memory-total-size=10X run",
            "FATAL: Invalid value for memory-total-size: 10X\n",
        ),
        (
            "nosuch run",
            "FATAL: Cannot find benchmark 'nosuch': no such built-in test, file or module\n",
        ),
    ] {
        assert_eq!(refusal(line), (text.to_owned(), Stream::Stdout), "{line}");
    }
    for (line, text) in [
        (
            "cpu --events=5K run",
            "Invalid value for the 'events' option: '5K'\n",
        ),
        ("cpu --no-such=1 run", "invalid option: --no-such=1\n"),
        ("cpu --debug=yes run", "invalid option: --debug=yes\n"),
        (
            "cpu prepare",
            "'cpu' test does not implement the 'prepare' command.\n",
        ),
        (
            "cpu",
            "The 'cpu' test requires a command argument. See 'sysbench cpu help'\n",
        ),
        ("cpu x", "Unknown command: x\n"),
    ] {
        assert_eq!(refusal(line), (text.to_owned(), Stream::Stderr), "{line}");
    }
}

#[test]
fn lua_scripts_and_database_tests_are_refused_with_the_tests_there_are() {
    for name in ["oltp_read_only", "./mine.lua"] {
        let (text, _) = refusal(&format!("{name} --threads=4 run"));
        assert!(
            text.contains(name) && text.contains("fileio, cpu, memory"),
            "{text}"
        );
    }
}

#[test]
fn old_names_are_accepted_with_a_warning() {
    let line = "cpu --num-threads=2 --max-requests=3 --max-time=4 run";
    let (_, messages) = read(line).unwrap();
    assert_eq!(
        messages,
        [
            "--num-threads is deprecated, use --threads instead",
            "--max-requests is deprecated, use --events instead",
            "--max-time is deprecated, use --time instead",
        ]
    );
}

#[test]
fn options_of_a_config_file_count_where_it_is_given() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "# limits\nthreads=2\nevents=9 # few\nno-such=1\n").unwrap();
    let name = file.path().display();
    let line = format!("--threads=3 --config-file={name} cpu --events=5 run");
    let TestRun { plan, .. } = run(&line);
    assert_eq!((plan.threads.get(), plan.limits.max_requests), (2, Some(5)));
    let (_, messages) = read("--config-file=/no/such cpu run").unwrap();
    assert!(messages[0].contains("cannot read /no/such"), "{messages:?}");
}
