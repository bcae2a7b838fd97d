//! Program execution from arguments to exit status, for each command line.

mod compare;
pub mod env;
mod launched;
mod measure;
mod native;
mod progress;
mod series;
mod show;
mod suite;
mod sweep;
mod sysbench;
mod sysbench_1_0;
mod trial;

use std::env as environment;
use std::ffi::OsString;

use anyhow::Error;

use crate::cli::{DIALECT_VARIABLE, Dialect};
use crate::clock;
use crate::error::describe;
use crate::exit::Exit;
use crate::output::WriteMethod;
use crate::signal::{self, Interrupted};
use crate::terminal::message;

/// Prefix of messages of the native command line.
const PREFIX: &str = "wbench: ";

/// Runs the command given by the arguments.
pub fn run(args: Vec<OsString>) -> Exit {
    if let Err(error) = clock::permit_rdtsc().and_then(|()| signal::survive_size_limit()) {
        return fail(PREFIX, &error);
    }
    match Dialect::of(&args, environment::var_os(DIALECT_VARIABLE).as_deref()) {
        Ok(Dialect::Native) => native::run(args),
        Ok(Dialect::Sysbench0_4) => sysbench::run(&args),
        Ok(Dialect::Sysbench1_0) => sysbench_1_0::run(&args),
        Err(error) => fail(PREFIX, &error),
    }
}

/// Prints a remark on standard error about how a document was written, if there is one.
fn remark(written: &WriteMethod) {
    if let Some(remark) = written.remark() {
        message!("{PREFIX}{remark}");
    }
}

/// Prints an error on standard error and returns its exit status.
fn fail(prefix: &str, error: &Error) -> Exit {
    message!("{prefix}{}", describe(error));
    match error.is::<Interrupted>() {
        true => Exit::interrupted(),
        false => Exit::Failure,
    }
}
