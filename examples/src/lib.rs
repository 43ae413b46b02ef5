//! Code shared by the example programs.
#![allow(clippy::print_stderr, reason = "programs print their errors")]

pub mod failure;
pub mod interruption;
pub mod number;
pub mod places;
