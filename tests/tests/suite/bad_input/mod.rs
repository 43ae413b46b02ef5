//! The command line with unusable input: it reports the path or host, counts everything else, and returns an exit code
//! for partial success.
//!
//! These cases need no database; failures of a running engine are tested in `engine`.

mod database;
mod expiring;
mod lines;
#[cfg(unix)]
mod names;
mod options;
mod sample;
#[allow(dead_code, reason = "the tests with an engine use more of it")]
mod sources;
