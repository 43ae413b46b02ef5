//! What several test binaries at the top level share.

mod canary;

pub use canary::{CanaryHistory, canary_history};
