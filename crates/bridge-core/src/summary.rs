//! Stored summaries of sessions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ActivityFacts, AnalysisFacts, ContentCategories, Cost, ExtraCounts, HostName, ModelName, ProjectName,
    SessionId, Timestamp, TokenCounts,
};

/// The stored token summary of one session: sums over its stored responses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenSummaryRecord {
    /// The session.
    pub session_id: SessionId,
    /// The projects its responses name, sorted.
    pub projects: Vec<ProjectName>,
    /// The models that answered, sorted.
    pub models: Vec<ModelName>,
    /// The hosts it was read on, sorted.
    pub hosts: Vec<HostName>,
    /// The time of its first response.
    pub first_time: Timestamp,
    /// The time of its last response.
    pub last_time: Timestamp,
    /// The four counters.
    pub counts: TokenCounts,
    /// The sum of the four counters.
    pub total_tokens: u64,
    /// Responses.
    pub responses: u64,
    /// Responses worth tokens.
    pub responses_worth_tokens: u64,
    /// Of those, responses whose last snapshot is stored.
    pub finished_responses: u64,
    /// Source files that hold lines of the session.
    pub files: u64,
    /// Metadata of the analysis, if it was asked for.
    pub metadata: Option<SummaryMetadata>,
    /// Cost of its responses by the price list in use, if it was requested and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Metadata about the sources of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SummaryMetadata {
    /// Lines of the session's files.
    pub lines: u64,
    /// Of those, damaged ones.
    pub bad_lines: u64,
    /// Estimated tokens by category.
    pub content_categories: ContentCategories,
    /// The total divided by the sum over all snapshots that were read; `None` if no source is recorded.
    pub accuracy_ratio: Option<f64>,
    /// The analyzer that last read the sources.
    pub analysis_version: String,
    /// Time at which a source was last stored.
    pub last_sync: Option<Timestamp>,
    /// The session's activity; `None` if it is unknown, because its sources were read by an older version and
    /// are gone.
    #[serde(default)]
    pub activity: Option<ActivityFacts>,
    /// Facts of the session's newest analysis stored by an embedder. Unless older than `last_sync`, it provides the
    /// categories, the ratio, the version and the files of the summary.
    pub analysis: Option<AnalysisFacts>,
    /// The values that the session's responses have, sorted, by dimension (`branch`, `client_version`, `skill`, …);
    /// without the dimensions of which they name nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution: BTreeMap<String, Vec<String>>,
    /// The counts of its responses besides the four counters.
    #[serde(default, skip_serializing_if = "ExtraCounts::is_empty")]
    pub extra: ExtraCounts,
}
