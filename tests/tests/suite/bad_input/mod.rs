//! What the command line says and does when it gets what it cannot use: it names the path or the host, counts
//! everything else, and its exit code says whether the whole job was done.
//!
//! Only cases that need no database; an engine that refuses or dies stands with the tests that have one.

mod database;
mod lines;
#[cfg(unix)]
mod names;
mod options;
mod sample;
#[allow(dead_code, reason = "the tests with an engine use more of it")]
mod sources;
