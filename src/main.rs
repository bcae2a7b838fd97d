//! The program: its words go to the library, the library's end becomes the exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    wbench::session::run(std::env::args_os().collect()).into()
}
