//! One file that runs anywhere.

use std::process::Command;

use crate::common::{WBENCH, assert_ended, text, tool};

#[test]
fn the_binary_needs_no_interpreter_and_no_library() {
    let headers = tool("readelf")
        .args(["--program-headers", "--dynamic", "--wide", WBENCH])
        .output()
        .unwrap();
    let headers = text(&headers.stdout);
    assert!(headers.contains("LOAD"), "{headers}");
    assert!(!headers.contains("INTERP"), "{headers}");
    assert!(!headers.contains("(NEEDED)"), "{headers}");
}

#[test]
fn ldd_calls_the_binary_static() {
    let ldd = tool("ldd").arg(WBENCH).output().unwrap();
    let output = text(&ldd.stdout) + &text(&ldd.stderr);
    assert!(
        output.contains("statically linked") || output.contains("not a dynamic executable"),
        "{output}"
    );
}

#[test]
fn the_environment_does_not_change_what_is_printed() {
    let run = |pairs: &[(&str, &str)]| {
        let output = Command::new(WBENCH)
            .args(["memory", "--block-size", "3"])
            .env_clear()
            .envs(pairs.iter().copied())
            .output()
            .unwrap();
        assert_ended(&output, 1);
        text(&output.stderr)
    };
    assert_eq!(run(&[]), run(&[("LC_ALL", "de_DE.UTF-8"), ("HOME", "/")]));
}
