//! How the examples tell why they failed.

use std::error::Error;
use std::process::ExitCode;

/// The error and what caused it, a line each.
pub(crate) fn tell(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
