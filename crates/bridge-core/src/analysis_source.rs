//! An analysis with where it came from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::EnhancedTokenAnalysis;

/// Who answered a question for an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnalysisSource {
    /// The store.
    Stored,
    /// A live analysis of the sources.
    Live,
    /// The cache, because neither of the others could: an answer that was right when it was given.
    Cached,
}

/// An analysis, who answered with it, and how old it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisWithSource {
    /// The analysis. Its time is when its sources were read.
    pub analysis: EnhancedTokenAnalysis,
    /// Who answered.
    pub source: AnalysisSource,
    /// The time since its sources were read: none for a live analysis; for a stored one the time since a file of
    /// the session was read last or, where that is later, since the analysis that was stored (0 where the store knows of
    /// neither); for a cached one its age then and the time since.
    pub age: Duration,
    /// Why those who are asked first did not answer, and which sources could not be read; one clause each.
    pub fallback_reasons: Vec<String>,
}

impl AnalysisWithSource {
    /// An answer with nobody passed over.
    #[must_use]
    pub fn new(analysis: EnhancedTokenAnalysis, source: AnalysisSource, age: Duration) -> Self {
        Self { analysis, source, age, fallback_reasons: Vec::new() }
    }
}
