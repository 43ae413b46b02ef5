//! Watching and stopping an analysis from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far an analysis has come. Read it from any thread while the analysis runs.
#[derive(Debug, Default)]
pub struct AnalysisProgress {
    pub(crate) files: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) tokens: AtomicU64,
    cancelled: AtomicBool,
}

impl AnalysisProgress {
    /// Files that are finished.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Bytes that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Tokens that were counted in finished files, copies taken once.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Asks the analysis to stop soon; files that are not finished are left out.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
