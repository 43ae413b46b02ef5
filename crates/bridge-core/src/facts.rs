//! Facts of an analysis besides its counters, and their stored form.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AnalysisId, ContentCategories, ContentCategory, Timestamp};

/// Facts of a session's newest stored analysis besides session and counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisFacts {
    /// Identifies the analysis.
    pub analysis_id: AnalysisId,
    /// Time of the analysis, UTC.
    pub timestamp: Timestamp,
    /// See [`EnhancedTokenAnalysis::accuracy_ratio`](crate::EnhancedTokenAnalysis::accuracy_ratio).
    pub accuracy_ratio: f64,
    /// See [`EnhancedTokenAnalysis::undercount_percentage`](crate::EnhancedTokenAnalysis::undercount_percentage).
    pub undercount_percentage: f64,
    /// Files that hold responses of the session.
    pub files_processed: u64,
    /// Estimated tokens by category.
    pub content_categories: ContentCategories,
    /// Duration of the analysis.
    #[serde(rename = "processing_duration_seconds", with = "crate::seconds")]
    pub processing_duration: Duration,
    /// Peak memory of the process in MiB.
    pub memory_usage_mb: f64,
    /// The version of the analyzer.
    pub analysis_version: String,
}

/// The stored form of [`AnalysisFacts`] without their time, which is their row's: one JSON object.
///
/// The text is kept as written, because a row's version is a hash over it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnalysisNote(Arc<str>);

/// Fields of a note, by their names in the database.
#[derive(Serialize, Deserialize)]
struct Fields {
    analysis_id: AnalysisId,
    accuracy_ratio: f64,
    undercount_percentage: f64,
    files_processed: u64,
    content_categories: BTreeMap<String, u64>,
    processing_nanos: u64,
    memory_usage_mb: f64,
    analysis_version: String,
}

impl AnalysisNote {
    /// Returns the note of a stored text.
    #[must_use]
    pub fn from_stored(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// Returns the stored text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the facts of an analysis of this time; `None` if the bridge did not write the text.
    #[must_use]
    pub fn facts(&self, timestamp: Timestamp) -> Option<AnalysisFacts> {
        let fields: Fields = serde_json::from_str(&self.0).ok()?;
        // A newer version may have written categories that this one does not know.
        let categories = fields.content_categories.into_iter();
        let known = categories
            .filter_map(|(name, tokens): (String, u64)| Some((ContentCategory::from_name(&name)?, tokens)));
        Some(AnalysisFacts {
            analysis_id: fields.analysis_id,
            timestamp,
            accuracy_ratio: fields.accuracy_ratio,
            undercount_percentage: fields.undercount_percentage,
            files_processed: fields.files_processed,
            content_categories: known.collect(),
            processing_duration: Duration::from_nanos(fields.processing_nanos),
            memory_usage_mb: fields.memory_usage_mb,
            analysis_version: fields.analysis_version,
        })
    }
}

impl From<&AnalysisFacts> for AnalysisNote {
    fn from(facts: &AnalysisFacts) -> Self {
        let categories = facts.content_categories.iter();
        let fields = Fields {
            analysis_id: facts.analysis_id.clone(),
            accuracy_ratio: facts.accuracy_ratio,
            undercount_percentage: facts.undercount_percentage,
            files_processed: facts.files_processed,
            content_categories: categories.map(|(name, tokens)| (name.to_string(), *tokens)).collect(),
            processing_nanos: u64::try_from(facts.processing_duration.as_nanos()).unwrap_or(u64::MAX),
            memory_usage_mb: facts.memory_usage_mb,
            analysis_version: facts.analysis_version.clone(),
        };
        let text = serde_json::to_string(&fields).expect("names and numbers are JSON");
        Self(text.into())
    }
}

impl fmt::Debug for AnalysisNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn facts_round_trip_through_a_note(
            numbers in (0.0..2.0_f64, 0.0..100.0_f64, 0.0..1e6_f64), files in any::<u64>(),
            nanos in any::<u64>(), tokens in any::<u64>(), text in "\\PC{1,30}",
        ) {
            let facts = AnalysisFacts {
                analysis_id: AnalysisId::new(&text).unwrap(),
                timestamp: Timestamp::from_millis(1_750_000_000_000).unwrap(),
                accuracy_ratio: numbers.0,
                undercount_percentage: numbers.1,
                files_processed: files,
                content_categories: [(ContentCategory::Thinking, tokens)].into(),
                processing_duration: Duration::from_nanos(nanos),
                memory_usage_mb: numbers.2,
                analysis_version: text,
            };
            let note = AnalysisNote::from(&facts);
            prop_assert_eq!(AnalysisNote::from_stored(note.as_str()).facts(facts.timestamp), Some(facts));
        }
    }

    #[test]
    fn other_text_is_not_a_note() {
        assert_eq!(AnalysisNote::from_stored("{}").facts(Timestamp::MIN), None);
    }
}
