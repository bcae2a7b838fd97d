//! The command line of sysbench 0.4.12 as a clap command, the source of its man page.

use clap::{Arg, Command};
use wbench::cli::sysbench::{GENERAL, Opt, TESTS};

/// The name of the man page.
pub const NAME: &str = "wbench-sysbench";

/// Returns the command line that the man page describes.
pub fn command() -> Command {
    Command::new(NAME)
        .bin_name("sysbench")
        .about("run the tests of sysbench 0.4.12 with wbench")
        .long_about(
            "\
Runs the tests cpu, memory, fileio, threads and mutex of sysbench 0.4.12 with the same options,
report and request stream. wbench accepts this command line when it is started under the name
sysbench, such as by the link in the package wbench-sysbench, with the option --test, or when the
first argument is an option or command of sysbench 0.4.12:

wbench --test=cpu run

Under the name sysbench without the option --test, wbench accepts the command line of sysbench 1.0
(sysbench cpu run), whose options are printed by sysbench --help and sysbench TEST help. The names
sysbench-0.4.12 and sysbench-1.0, or the environment variable WBENCH_SYSBENCH with the value 0.4.12
or 1.0, select a version.

The README lists the differences from sysbench, with reasons. The first line of a report names
wbench.",
        )
        .override_usage("sysbench [options]... --test=<cpu|memory|fileio|threads|mutex> [options]... command\nwbench --test=<cpu|memory|fileio|threads|mutex> [options]... command")
        .after_help(
            "\
Commands: prepare creates the files of the fileio test, run measures, cleanup removes the files,
help prints the options, version prints the version.

Examples:
  sysbench --test=cpu --cpu-max-prime=20000 run
  sysbench --test=memory --memory-oper=read --num-threads=4 run
  sysbench --test=fileio --file-total-size=8G --file-block-size=4096 prepare
  sysbench --test=fileio --file-total-size=8G --file-block-size=4096 \\
           --file-extra-flags=direct --file-test-mode=rndrw run
  sysbench --test=fileio --file-total-size=8G cleanup

Exit status: 0 success; 1 failure, or --help; 2 a run that hung was aborted
(--forced-shutdown); 129, 130, 131 or 143 interrupted by SIGHUP, SIGINT, SIGQUIT or SIGTERM.",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(arguments("General options", GENERAL))
        .args(TESTS.iter().flat_map(|test| {
            arguments(test.heading, test.options)
        }))
}

fn arguments(heading: &'static str, options: &'static [Opt]) -> Vec<Arg> {
    let arguments = options
        .iter()
        .map(|option| argument(option).help_heading(heading));
    arguments.collect()
}

fn argument(option: &Opt) -> Arg {
    let argument = Arg::new(option.name)
        .long(option.name)
        .help(option.about)
        .require_equals(true);
    let takes = option.takes;
    let argument = match takes.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(takes) => argument.num_args(0..=1).value_name(takes),
        None => argument.num_args(1).value_name(takes),
    };
    match option.default {
        "" => argument,
        default => argument.default_value(default),
    }
}
