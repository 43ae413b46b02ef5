//! Rows of the view `enhanced_token_summaries`.

use std::collections::HashMap;
use std::str::FromStr;

use ::clickhouse::Row;
use bridge_core::{
    AnalysisNote, BridgeError, InvalidValue, SessionId, SummaryMetadata, Timestamp, TokenCounts,
    TokenSummaryRecord,
};
use serde::Deserialize;

use crate::clickhouse::connection::errors::corrupt;
use crate::clickhouse::row::known_categories;

/// A row of `enhanced_token_summaries`.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct SummaryRow {
    session_id: String,
    projects: Vec<String>,
    models: Vec<String>,
    hosts: Vec<String>,
    first_time: i64,
    last_time: i64,
    reported_input_tokens: u64,
    reported_output_tokens: u64,
    reported_cache_creation_tokens: u64,
    reported_cache_read_tokens: u64,
    responses: u64,
    responses_worth_tokens: u64,
    finished_responses: u64,
    files_processed: u64,
    lines: u64,
    bad_lines: u64,
    content_categories: HashMap<String, u64>,
    accuracy_ratio: Option<f64>,
    analysis_version: String,
    last_sync: i64,
    analysis: String,
    analyzed_at: Option<i64>,
}

/// The columns of [`SummaryRow`].
pub(crate) const SUMMARY_COLUMNS: &str = "session_id, projects, models, hosts, first_time, last_time, \
     reported_input_tokens, reported_output_tokens, reported_cache_creation_tokens, reported_cache_read_tokens, \
     responses, responses_worth_tokens, finished_responses, files_processed, lines, bad_lines, content_categories, \
     accuracy_ratio, analysis_version, last_sync, analysis, analyzed_at";

impl SummaryRow {
    pub(crate) fn into_record(self, include_metadata: bool) -> Result<TokenSummaryRecord, BridgeError> {
        let record = self.into_valid_record(include_metadata);
        record.map_err(|error| corrupt("read summaries", error.to_string()))
    }

    fn into_valid_record(self, include_metadata: bool) -> Result<TokenSummaryRecord, InvalidValue> {
        let time = Timestamp::from_millis;
        let counts = TokenCounts {
            input: self.reported_input_tokens,
            output: self.reported_output_tokens,
            cache_creation: self.reported_cache_creation_tokens,
            cache_read: self.reported_cache_read_tokens,
        };
        let metadata = SummaryMetadata {
            lines: self.lines,
            bad_lines: self.bad_lines,
            content_categories: known_categories(self.content_categories),
            accuracy_ratio: self.accuracy_ratio,
            analysis_version: self.analysis_version,
            // For a session without source files, the join returns the Unix epoch.
            last_sync: if self.last_sync == 0 { None } else { Some(time(self.last_sync)?) },
            activity: None,
            analysis: match self.analyzed_at {
                Some(millis) => AnalysisNote::from_stored(self.analysis).facts(time(millis)?),
                None => None,
            },
        };
        Ok(TokenSummaryRecord {
            session_id: SessionId::new(self.session_id)?,
            projects: names(&self.projects)?,
            models: names(&self.models)?,
            hosts: names(&self.hosts)?,
            first_time: time(self.first_time)?,
            last_time: time(self.last_time)?,
            counts,
            total_tokens: counts.total(),
            responses: self.responses,
            responses_worth_tokens: self.responses_worth_tokens,
            finished_responses: self.finished_responses,
            files: self.files_processed,
            metadata: include_metadata.then_some(metadata),
        })
    }
}

fn names<T: FromStr<Err = InvalidValue>>(texts: &[String]) -> Result<Vec<T>, InvalidValue> {
    texts.iter().map(|text| text.parse()).collect()
}
