//! What several test binaries at the top level share.

mod canary;
pub mod program;
pub mod workspace;

pub use canary::{CanaryHistory, canary_history};
