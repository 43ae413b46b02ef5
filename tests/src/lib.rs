//! Fixtures shared by the end-to-end test binaries.

mod canary;
pub mod program;
pub mod workspace;

pub use canary::{CanaryHistory, write_canary_history};
