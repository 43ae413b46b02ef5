//! The launcher: supervises the embedded ClickHouse engine and hosts it, in two processes.
//!
//! ```text
//! launcher supervisor <data folder> <keep | remove> <libchdb.so> -- <engine arguments>
//! launcher engine     <libchdb.so> <listener> <port> <engine arguments>
//! ```
//!
//! `build.rs` compiles it with std alone and the library carries it, so embedding the library needs no second
//! executable. It logs to standard error, which is `engine.log`.
//!
//! Architecture invariant: in both processes standard output *is* the locked `engine.lock`. The program that starts
//! the supervisor locks the file, and the lock belongs to the open file description, so it is held without a gap until
//! the last of the two processes is gone, even when it is killed.
#![forbid(unsafe_op_in_unsafe_fn)]
#![deny(unsafe_code)]

mod engine;
mod files;
mod landlock;
mod relay;
mod sandbox;
mod sha256;
mod sockets;
mod supervisor;
mod sys;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The data folder is private to its owner.
    sys::make_files_private();
    let mut arguments = std::env::args_os().skip(1);
    let outcome = match arguments.next().as_deref().and_then(|part| part.to_str()) {
        Some("supervisor") => supervisor::run(arguments.collect()),
        Some("engine") => engine::run(arguments.collect()),
        _ => Err("usage: launcher (supervisor | engine) …".into()),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            eprintln!("launcher: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Reason for a failure, for the log.
pub(crate) type Reason = Box<dyn std::error::Error + Send + Sync>;

/// Returns the next argument, or an error that names the missing one.
pub(crate) fn expect(arguments: &mut impl Iterator<Item = OsString>, name: &str) -> Result<OsString, Reason> {
    arguments.next().ok_or_else(|| format!("argument missing: {name}").into())
}
