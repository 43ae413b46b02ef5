//! Error output of the example programs.

use std::error::Error;
use std::process::ExitCode;

use bridge::Escaped;

use crate::interruption::Interrupted;

/// Prints the error and its causes, one per line, and returns the exit code.
pub fn report(error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("error: {}", Escaped::text(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {}", Escaped::text(&error.to_string()));
        cause = error.source();
    }
    error.downcast_ref::<Interrupted>().map_or(ExitCode::FAILURE, |signal| signal.exit_code())
}
