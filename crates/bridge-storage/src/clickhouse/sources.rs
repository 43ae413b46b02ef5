//! Rows of `source_files` and of the summaries' view as they travel.

use std::collections::HashMap;
use std::path::Path;

use ::clickhouse::Row;
use bridge_core::{
    AnalysisNote, BridgeError, ContentCategories, ContentCategory, DamageCounts, Epoch, HostName,
    InvalidValue, ModelName, ProjectName, RuleRevision, SessionId, SummaryMetadata, Timestamp, TokenCounts,
    TokenSummaryRecord,
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::connection::errors::corrupt;
use crate::source::{SourceCursor, SourceRecord};

/// A row of `source_files`.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(crate) struct SourceRow {
    host: String,
    path: String,
    session_id: String,
    project: String,
    size: u64,
    modified: i64,
    changed_nanos: u64,
    identity: u64,
    fingerprint: u128,
    offset: u64,
    line: u64,
    carried_time: Option<i64>,
    carried_before: u64,
    lines: u64,
    bad_lines: u64,
    bad_usage: u64,
    oversize_lines: u64,
    pending_lines: u64,
    content_categories: HashMap<String, u64>,
    snapshots: u64,
    snapshot_tokens: u64,
    first_time: Option<i64>,
    last_time: Option<i64>,
    analysis_version: String,
    rule_revision: u8,
    read_at: i64,
    version: u128,
    epoch: u32,
}

impl From<&SourceRecord> for SourceRow {
    fn from(record: &SourceRecord) -> Self {
        let categories = record.content_categories.iter();
        Self {
            host: record.host.to_string(),
            path: stored_path(&record.path),
            session_id: record.session.to_string(),
            project: record.project.as_ref().map(ToString::to_string).unwrap_or_default(),
            size: record.cursor.size,
            modified: record.cursor.modified.as_millis(),
            changed_nanos: record.cursor.changed_nanos,
            identity: record.cursor.identity,
            fingerprint: record.cursor.fingerprint,
            offset: record.cursor.offset,
            line: record.cursor.line,
            carried_time: record.cursor.carried_time.map(Timestamp::as_millis),
            carried_before: record.cursor.carried_before,
            lines: record.lines,
            bad_lines: record.damage.bad_lines,
            bad_usage: record.damage.bad_usage,
            oversize_lines: record.damage.oversize_lines,
            pending_lines: record.damage.pending_lines,
            content_categories: categories.map(|(name, tokens)| (name.to_string(), *tokens)).collect(),
            snapshots: record.snapshots,
            snapshot_tokens: record.snapshot_tokens,
            first_time: record.first_time.map(Timestamp::as_millis),
            last_time: record.last_time.map(Timestamp::as_millis),
            analysis_version: record.analysis_version.clone(),
            rule_revision: record.rule_revision.0,
            read_at: record.read_at.as_millis(),
            version: record.version(),
            epoch: record.epoch.0,
        }
    }
}

/// A path as it is stored. One that is no UTF-8 gets a mark, so that two of them stay two.
pub(crate) fn stored_path(path: &Path) -> String {
    match path.to_str() {
        Some(path) => path.to_owned(),
        None => format!("{}#{:016x}", path.to_string_lossy(), xxh3_64(path.as_os_str().as_encoded_bytes())),
    }
}

/// The columns of [`SourceRow`].
pub(crate) const SOURCE_COLUMNS: &str = "host, path, session_id, project, size, modified, changed_nanos, identity, fingerprint, \
     offset, line, carried_time, carried_before, lines, bad_lines, bad_usage, oversize_lines, pending_lines, content_categories, \
     snapshots, snapshot_tokens, first_time, last_time, analysis_version, rule_revision, read_at, version, epoch";

impl SourceRow {
    pub(crate) fn into_record(self) -> Result<SourceRecord, BridgeError> {
        let unreadable = |why: &dyn std::fmt::Display| corrupt("read sources", why.to_string());
        let text = |error: InvalidValue| unreadable(&error);
        let time = |millis| Timestamp::from_millis(millis).map_err(|error| unreadable(&error));
        let mut damage = DamageCounts::default();
        damage.bad_lines = self.bad_lines;
        damage.bad_usage = self.bad_usage;
        damage.oversize_lines = self.oversize_lines;
        damage.pending_lines = self.pending_lines;
        Ok(SourceRecord {
            host: HostName::new(self.host).map_err(text)?,
            path: self.path.into(),
            session: SessionId::new(self.session_id).map_err(text)?,
            cursor: SourceCursor {
                size: self.size,
                modified: time(self.modified)?,
                changed_nanos: self.changed_nanos,
                identity: self.identity,
                fingerprint: self.fingerprint,
                offset: self.offset,
                line: self.line,
                carried_time: self.carried_time.map(time).transpose()?,
                carried_before: self.carried_before,
            },
            project: Some(self.project)
                .filter(|name| !name.is_empty())
                .map(ProjectName::new)
                .transpose()
                .map_err(text)?,
            lines: self.lines,
            damage,
            content_categories: categories(self.content_categories),
            snapshots: self.snapshots,
            snapshot_tokens: self.snapshot_tokens,
            first_time: self.first_time.map(time).transpose()?,
            last_time: self.last_time.map(time).transpose()?,
            analysis_version: self.analysis_version,
            rule_revision: RuleRevision(self.rule_revision),
            read_at: time(self.read_at)?,
            epoch: Epoch(self.epoch),
        })
    }
}

/// The categories that this version knows; a newer one may have written others.
fn categories(stored: HashMap<String, u64>) -> ContentCategories {
    let known = |(name, tokens): (String, u64)| Some((ContentCategory::from_name(&name)?, tokens));
    stored.into_iter().filter_map(known).collect()
}

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
        let unreadable = |why: &dyn std::fmt::Display| corrupt("read summaries", why.to_string());
        let text = |error: InvalidValue| unreadable(&error);
        let time = |millis| Timestamp::from_millis(millis).map_err(|error| unreadable(&error));
        let counts = TokenCounts {
            input: self.reported_input_tokens,
            output: self.reported_output_tokens,
            cache_creation: self.reported_cache_creation_tokens,
            cache_read: self.reported_cache_read_tokens,
        };
        let metadata = SummaryMetadata {
            lines: self.lines,
            bad_lines: self.bad_lines,
            content_categories: categories(self.content_categories),
            accuracy_ratio: self.accuracy_ratio,
            analysis_version: self.analysis_version,
            last_sync: if self.last_sync == 0 { None } else { Some(time(self.last_sync)?) },
            analysis: match self.analyzed_at {
                Some(millis) => AnalysisNote::from_stored(self.analysis).facts(time(millis)?),
                None => None,
            },
        };
        Ok(TokenSummaryRecord {
            session_id: SessionId::new(self.session_id).map_err(text)?,
            projects: self
                .projects
                .into_iter()
                .map(ProjectName::new)
                .collect::<Result<_, _>>()
                .map_err(text)?,
            models: self.models.into_iter().map(ModelName::new).collect::<Result<_, _>>().map_err(text)?,
            hosts: self.hosts.into_iter().map(HostName::new).collect::<Result<_, _>>().map_err(text)?,
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
