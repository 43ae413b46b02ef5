//! End-to-end tests: the service as a process with its settings and transcripts, and requests as others send them.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod access;
mod process;
mod serving;
mod settings;
