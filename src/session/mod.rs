//! The program's run from the words typed to its exit status, for each command line.

mod compare;
pub mod env;
mod measure;
mod native;
mod progress;
mod suite;
mod sweep;
mod sysbench;

use std::ffi::OsString;

use anyhow::Error;

use crate::cli::Dialect;
use crate::clock;
use crate::exit::Exit;
use crate::output::Written;
use crate::signal::{self, Interrupted};
use crate::terminal::message;

/// What stands before a message of the native command line.
const PREFIX: &str = "wbench: ";

/// Does what the words say.
pub fn run(words: Vec<OsString>) -> Exit {
    if let Err(error) = clock::permit_rdtsc().and_then(|()| signal::survive_size_limit()) {
        return fail(PREFIX, &error);
    }
    match Dialect::of(&words) {
        Dialect::Native => native::run(words),
        Dialect::Sysbench => sysbench::run(&words),
    }
}

/// Says on standard error what the user should know of how a document was written.
fn remark(written: &Written) {
    if let Some(remark) = written.remark() {
        message!("{PREFIX}{remark}");
    }
}

/// The end that an error makes, with its message on standard error.
fn fail(prefix: &str, error: &Error) -> Exit {
    message!("{prefix}{error:#}");
    match error.is::<Interrupted>() {
        true => Exit::interrupted(),
        false => Exit::Failure,
    }
}
