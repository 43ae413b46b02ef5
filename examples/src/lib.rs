//! Code shared by the example programs: error output and signal handling.
#![allow(clippy::print_stderr, reason = "programs print their errors")]

pub mod failure;
pub mod interruption;
