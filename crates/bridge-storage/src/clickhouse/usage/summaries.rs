//! Rows of the view `enhanced_token_summaries`.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use ::clickhouse::Row;
use bridge_core::{
    AnalysisNote, BridgeError, ExtraCounts, InvalidValue, SessionId, SummaryMetadata, Timestamp, TokenCounts,
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
    thinking_tokens: Option<u64>,
    web_search_requests: Option<u64>,
    web_fetch_requests: Option<u64>,
    attribution: HashMap<String, Vec<String>>,
    labels: Vec<(String, String)>,
}

/// Returns the columns of [`SummaryRow`]. Those that only the metadata need cost much, and are empty without them.
pub(crate) fn summary_columns(include_metadata: bool) -> String {
    let of_metadata = match include_metadata {
        true => METADATA_COLUMNS,
        false => NO_METADATA_COLUMNS,
    };
    format!("{SUMMARY_COLUMNS}, {of_metadata}")
}

const SUMMARY_COLUMNS: &str = "session_id, projects, models, hosts, first_time, last_time, \
     reported_input_tokens, reported_output_tokens, reported_cache_creation_tokens, reported_cache_read_tokens, \
     responses, responses_worth_tokens, finished_responses, files_processed, lines, bad_lines, content_categories, \
     accuracy_ratio, analysis_version, last_sync, analysis, analyzed_at";

const METADATA_COLUMNS: &str =
    "thinking_tokens, web_search_requests, web_fetch_requests, attribution, labels";

const NO_METADATA_COLUMNS: &str = "CAST(NULL, 'Nullable(UInt64)') AS thinking_tokens, \
     CAST(NULL, 'Nullable(UInt64)') AS web_search_requests, CAST(NULL, 'Nullable(UInt64)') AS web_fetch_requests, \
     CAST(([], []), 'Map(String, Array(String))') AS attribution, \
     CAST([], 'Array(Tuple(String, String))') AS labels";

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
            attribution: attribution(self.attribution, self.labels),
            extra: ExtraCounts {
                thinking_tokens: self.thinking_tokens,
                web_search_requests: self.web_search_requests,
                web_fetch_requests: self.web_fetch_requests,
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
            cost: None,
        })
    }
}

/// Returns the values by dimension. Labels are dimensions, too.
fn attribution(
    values: HashMap<String, Vec<String>>,
    labels: Vec<(String, String)>,
) -> BTreeMap<String, Vec<String>> {
    let mut attribution: BTreeMap<_, _> = values.into_iter().collect();
    for (name, value) in labels {
        attribution.entry(format!("label:{name}")).or_default().push(value);
    }
    attribution
}

fn names<T: FromStr<Err = InvalidValue>>(texts: &[String]) -> Result<Vec<T>, InvalidValue> {
    texts.iter().map(|text| text.parse()).collect()
}
