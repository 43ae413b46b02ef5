//! An analysis with its source.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::EnhancedTokenAnalysis;

/// Source of an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnalysisSource {
    /// The store.
    Stored,
    /// A live analysis of the sources.
    Live,
    /// The cache, because neither store nor sources answered: correct at the time it was cached.
    Cached,
}

/// An analysis with its source and age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisWithSource {
    /// The analysis. Its time is when its sources were read.
    pub analysis: EnhancedTokenAnalysis,
    /// Source of the analysis.
    pub source: AnalysisSource,
    /// The time since its sources were read. Zero for a live analysis. For a stored one, the time since a file of
    /// the session was last read or, if that is later, since the stored analysis was made (0 if the store knows
    /// neither). For a cached one, its age when it was cached plus the time since.
    #[serde(rename = "age_seconds", with = "crate::seconds")]
    pub age: Duration,
    /// Reasons why preferred sources did not answer, and unreadable source files, one clause each.
    #[serde(rename = "passed_over")]
    pub fallback_reasons: Vec<String>,
}

impl AnalysisWithSource {
    /// Returns an answer without fallback.
    #[must_use]
    pub fn new(analysis: EnhancedTokenAnalysis, source: AnalysisSource, age: Duration) -> Self {
        Self { analysis, source, age, fallback_reasons: Vec::new() }
    }
}
