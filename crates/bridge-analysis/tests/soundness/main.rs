//! The analyzer says what the reference says, of every history and of lines that try to mislead it.
//!
//! - [`comparison`]: every figure of both, side by side. `fuzz/` uses it too.
//! - [`histories`]: generated histories in the client's shapes.
//! - [`adversarial`]: misleading lines, with blocks and parts so small that every byte is once a border, in
//!   any order of files, on one to four threads. `ten_million` does it for ten million lines; it is ignored
//!   because it takes minutes.
//! - [`hostile`]: single cases: giant lines, files without times, bytes that are no text.
//! - [`real`]: transcripts of real sessions, which are not in the repository; ignored without them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adversarial;
mod comparison;
mod histories;
mod hostile;
mod real;
