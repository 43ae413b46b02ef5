//! Results of store and backfill operations.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AnalysisSummary, Cost, SessionId};

/// Result of storing one analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct BridgeResult {
    /// True if everything in the analysis is stored. Sums that are covered by responses are not a failure, because
    /// what counts is stored. See [`covered_by_tokens`](Self::covered_by_tokens).
    pub success: bool,
    /// Rows written: responses that were new or had a lesser version. 0 means that everything was stored already.
    pub records_stored: u64,
    /// Of those, responses that were not in the store before.
    pub new_responses: u64,
    /// The analysis' total tokens.
    pub total_tokens: u64,
    /// Tokens of the replaced rows: lesser snapshots, the sums of an earlier analysis, or
    /// sums that no longer count because the session's first responses arrived.
    pub replaced_tokens: u64,
    /// The stored tokens of the session, if the analysis has only sums and responses of the session are stored.
    /// Then only the responses count, even against a force update, and the sums were not stored.
    pub covered_by_tokens: Option<u64>,
    /// Duration of the operation.
    #[serde(rename = "processing_time_seconds", with = "crate::seconds")]
    pub processing_time: Duration,
    /// Errors, one clause each; empty on success.
    pub errors: Vec<String>,
    /// The session that was stored.
    pub session_id: Option<SessionId>,
}

/// Result of a historical backfill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct BackfillResult {
    /// True if every file was read and everything asked for is stored.
    pub success: bool,
    /// Files that were read to their end.
    pub total_files_processed: u64,
    /// Tokens of all responses that this run stored or that were stored already.
    pub total_tokens_stored: u64,
    /// Cost of those responses, if the store has a price list in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Sessions that those responses belong to.
    pub total_sessions: u64,
    /// Responses that this run stored or that were stored already.
    pub total_responses: u64,
    /// Of those, responses that were not in the store before.
    pub new_responses: u64,
    /// Rows written: new responses and greater versions of known ones.
    pub records_stored: u64,
    /// Duration of the backfill.
    #[serde(rename = "processing_duration_seconds", with = "crate::seconds")]
    pub processing_duration: Duration,
    /// Errors, one clause each, with path or host.
    pub errors: Vec<String>,
    /// Files that could not be read to their end.
    #[serde(serialize_with = "crate::escaped::serialize_paths")]
    pub skipped_files: Vec<PathBuf>,
    /// Totals of the analysis.
    pub analysis: AnalysisSummary,
}
