//! The result of analyzing one session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AnalysisFacts, AnalysisId, AnalysisNote, ContentCategories, CountOverflow, Origin, ResponseKey,
    ResponseUsage, SessionId, Timestamp, TokenCounts,
};

/// Version of the analyzer, for information; a [`RuleRevision`](crate::RuleRevision) decides what is read again.
pub const ANALYSIS_VERSION: &str = concat!("etb-", env!("CARGO_PKG_VERSION"));

/// Enhanced token analysis of one session: the specification's fields, and the responses that they are the
/// sums of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnhancedTokenAnalysis {
    /// Identifies this analysis.
    pub analysis_id: AnalysisId,
    /// The session that was analyzed.
    pub session_id: SessionId,
    /// Time of the analysis, UTC.
    pub timestamp: Timestamp,

    /// Input tokens, without cache.
    pub reported_input_tokens: u64,
    /// Output tokens, thinking included.
    pub reported_output_tokens: u64,
    /// Tokens written to the cache.
    pub reported_cache_creation_tokens: u64,
    /// Tokens read from the cache.
    pub reported_cache_read_tokens: u64,
    /// The sum of the four.
    pub calculated_total_tokens: u64,

    /// The total divided by the sum over all snapshots of the same responses: 1 if nothing is
    /// repeated, 0.5 if adding up lines gives twice the true total.
    pub accuracy_ratio: f64,
    /// 100 x the share of the responses worth tokens of which only unfinished snapshots exist. Above 0
    /// the total is a floor ("at least").
    pub undercount_percentage: f64,
    /// Files that hold responses of the session.
    pub files_processed: u64,
    /// Estimated tokens by category; empty when categories were not asked for.
    #[serde(default)]
    pub content_categories: ContentCategories,

    /// Duration of the analysis; for an analysis of a whole history, that of the history.
    #[serde(rename = "processing_duration_seconds", with = "crate::seconds", default)]
    pub processing_duration: Duration,
    /// Peak memory of the process in MiB; 0 if unknown.
    #[serde(default)]
    pub memory_usage_mb: f64,
    /// The version of the analyzer, [`ANALYSIS_VERSION`].
    pub analysis_version: String,

    /// The responses whose sums the counters above are. Empty if an embedder knows only the sums;
    /// then the analysis is stored as the one row of the session's sums.
    #[serde(default)]
    pub responses: Vec<ResponseUsage>,
}

impl EnhancedTokenAnalysis {
    /// Returns the analysis of these responses of one session, with their sums, an accuracy ratio of 1 and the
    /// rest zero.
    ///
    /// # Errors
    ///
    /// A sum does not fit 64 bits.
    pub fn from_responses(
        analysis_id: AnalysisId,
        session_id: SessionId,
        timestamp: Timestamp,
        responses: Vec<ResponseUsage>,
    ) -> Result<Self, CountOverflow> {
        let sum = TokenCounts::checked_sum(responses.iter().map(|response| response.counts))?;
        let worth_tokens = responses.iter().filter(|response| !response.counts.is_zero());
        let (all, unfinished) = worth_tokens
            .fold((0_u64, 0_u64), |(all, open), response| (all + 1, open + u64::from(!response.finished)));
        Ok(Self {
            analysis_id,
            session_id,
            timestamp,
            reported_input_tokens: sum.input,
            reported_output_tokens: sum.output,
            reported_cache_creation_tokens: sum.cache_creation,
            reported_cache_read_tokens: sum.cache_read,
            calculated_total_tokens: sum.checked_total()?,
            accuracy_ratio: 1.0,
            undercount_percentage: if all == 0 { 0.0 } else { 100.0 * unfinished as f64 / all as f64 },
            files_processed: 0,
            content_categories: ContentCategories::new(),
            processing_duration: Duration::ZERO,
            memory_usage_mb: 0.0,
            analysis_version: ANALYSIS_VERSION.to_owned(),
            responses,
        })
    }

    /// Returns the four reported counters.
    #[must_use]
    pub fn reported(&self) -> TokenCounts {
        TokenCounts {
            input: self.reported_input_tokens,
            output: self.reported_output_tokens,
            cache_creation: self.reported_cache_creation_tokens,
            cache_read: self.reported_cache_read_tokens,
        }
    }

    /// Returns the rows to store: the responses, or one row with the sums when there are none.
    #[must_use]
    pub fn rows(&self) -> Vec<ResponseUsage> {
        if !self.responses.is_empty() {
            return self.responses.clone();
        }
        let key = ResponseKey::of_session_sums(&self.session_id);
        let mut row = ResponseUsage::new(key, self.session_id.clone(), self.timestamp);
        row.counts = self.reported();
        row.finished = self.undercount_percentage == 0.0;
        row.origin = Origin::Summed;
        vec![row]
    }

    /// Returns everything but session, counters and responses.
    #[must_use]
    pub fn facts(&self) -> AnalysisFacts {
        AnalysisFacts {
            analysis_id: self.analysis_id.clone(),
            timestamp: self.timestamp,
            accuracy_ratio: self.accuracy_ratio,
            undercount_percentage: self.undercount_percentage,
            files_processed: self.files_processed,
            content_categories: self.content_categories.clone(),
            processing_duration: self.processing_duration,
            memory_usage_mb: self.memory_usage_mb,
            analysis_version: self.analysis_version.clone(),
        }
    }

    /// Returns the row of these facts, which is stored along with [`rows`](Self::rows): one per session, the newest
    /// wins.
    #[must_use]
    pub fn note(&self) -> ResponseUsage {
        let key = ResponseKey::of_session_analysis(&self.session_id);
        let row = ResponseUsage::new(key, self.session_id.clone(), self.timestamp);
        ResponseUsage { origin: Origin::Analysis, note: Some(AnalysisNote::from(&self.facts())), ..row }
    }

    /// Replaces everything but session, counters and responses by these facts.
    #[must_use]
    pub fn with_facts(self, facts: AnalysisFacts) -> Self {
        Self {
            analysis_id: facts.analysis_id,
            timestamp: facts.timestamp,
            accuracy_ratio: facts.accuracy_ratio,
            undercount_percentage: facts.undercount_percentage,
            files_processed: facts.files_processed,
            content_categories: facts.content_categories,
            processing_duration: facts.processing_duration,
            memory_usage_mb: facts.memory_usage_mb,
            analysis_version: facts.analysis_version,
            ..self
        }
    }
}
