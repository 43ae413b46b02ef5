//! Watching and stopping an analysis from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The progress of an analysis, to be read from any thread while the analysis runs.
#[derive(Debug, Default)]
pub struct AnalysisProgress {
    files: AtomicU64,
    bytes: AtomicU64,
    tokens: AtomicU64,
    cancelled: AtomicBool,
}

impl AnalysisProgress {
    /// Returns the number of finished files.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of tokens counted, without repeats and copies.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Asks the analysis to stop soon. Unfinished files are left out.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_tokens(&self, tokens: u64) {
        self.tokens.store(tokens, Ordering::Relaxed);
    }

    /// Returns whether the analysis was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
