//! The program that carries the embedded ClickHouse engine, in two parts that never share a process:
//!
//! ```text
//! launcher supervisor <data folder> <keep | remove> <libchdb.so> -- <engine arguments>
//! launcher engine     <libchdb.so> <listener> <port> <engine arguments>
//! ```
//!
//! It is compiled by `build.rs` with nothing but std and is carried in the library, so whoever embeds
//! the library needs no second executable. It tells its story on standard error, which is the engine's log.
//!
//! Architecture invariant: in both parts standard output *is* the lock of `engine.lock`. The file is
//! locked by the program that starts the supervisor, and the lock belongs to the open file, so it is
//! held without a gap until the last of the two processes is gone, however it goes.
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
    // The data and all that is beside them are for nobody else on this machine.
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

/// Why a part of the launcher could not do its work, in words for the log.
pub(crate) type Reason = Box<dyn std::error::Error + Send + Sync>;

/// The next argument, or the words that say which one is missing.
pub(crate) fn expect(arguments: &mut impl Iterator<Item = OsString>, name: &str) -> Result<OsString, Reason> {
    arguments.next().ok_or_else(|| format!("argument missing: {name}").into())
}
