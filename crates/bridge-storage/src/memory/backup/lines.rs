//! Rows as JSON, by the names and in the forms that the database gives them.

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use bridge_core::{
    AnalysisNote, AuditId, AuditOutcome, AuditRecord, ContentCategory, DamageCounts, Epoch, HostName,
    InvalidValue, OperationName, Origin, ProjectName, ResponseKey, ResponseUsage, ResponseVersion,
    RuleRevision, SessionId, Timestamp, TokenCounts,
};
use clickhouse::types::UInt256;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::Versioned;
use crate::source::{SourceCursor, SourceRecord};

/// Whatever makes a line none of the bridge's.
type Unreadable = Box<dyn Error + Send + Sync>;

/// A row of `token_usage`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UsageLine {
    key: u128,
    session_id: SessionId,
    time: Timestamp,
    model: String,
    project: String,
    host: String,
    agent: String,
    service_tier: String,
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_tokens: u64,
    cache_read_tokens: u64,
    cache_creation_5m_tokens: u64,
    cache_creation_1h_tokens: u64,
    finished: bool,
    sidechain: bool,
    nested: bool,
    forked: bool,
    origin: Origin,
    #[serde(default)]
    weak_key: bool,
    #[serde(default = "first_revision")]
    rule_revision: RuleRevision,
    #[serde(default)]
    analysis: String,
    /// 256 bits, for which there is no type: the digits as they stand there.
    version: Box<RawValue>,
}

impl From<&Versioned> for UsageLine {
    fn from(stored: &Versioned) -> Self {
        let row = &stored.row;
        let digits = UInt256::from_le_bytes(stored.version.to_le_bytes()).to_string();
        Self {
            key: row.key.0,
            session_id: row.session.clone(),
            time: row.time,
            model: text(row.model.as_ref()),
            project: text(row.project.as_ref()),
            host: text(row.host.as_ref()),
            agent: text(row.agent.as_ref()),
            service_tier: text(row.service_tier.as_ref()),
            input_tokens: row.counts.input,
            output_tokens: row.counts.output,
            cache_creation_tokens: row.counts.cache_creation,
            cache_read_tokens: row.counts.cache_read,
            cache_creation_5m_tokens: row.cache_creation_5m,
            cache_creation_1h_tokens: row.cache_creation_1h,
            finished: row.finished,
            sidechain: row.sidechain,
            nested: row.nested,
            forked: row.forked,
            origin: row.origin,
            weak_key: row.weak_key,
            rule_revision: row.rule_revision,
            analysis: row.note.as_ref().map_or("", AnalysisNote::as_str).to_owned(),
            version: RawValue::from_string(digits).expect("digits are a number"),
        }
    }
}

/// Backups from before revisions were recorded hold rows of the first.
fn first_revision() -> RuleRevision {
    RuleRevision::FIRST
}

impl TryFrom<UsageLine> for Versioned {
    type Error = Unreadable;

    fn try_from(line: UsageLine) -> Result<Self, Unreadable> {
        let version = version(line.version.get()).ok_or("a version is no number of 256 bits")?;
        let row = ResponseUsage {
            key: ResponseKey(line.key),
            session: line.session_id,
            time: line.time,
            model: name(&line.model)?,
            project: name(&line.project)?,
            host: name(&line.host)?,
            agent: name(&line.agent)?,
            service_tier: name(&line.service_tier)?,
            counts: TokenCounts {
                input: line.input_tokens,
                output: line.output_tokens,
                cache_creation: line.cache_creation_tokens,
                cache_read: line.cache_read_tokens,
            },
            cache_creation_5m: line.cache_creation_5m_tokens,
            cache_creation_1h: line.cache_creation_1h_tokens,
            finished: line.finished,
            sidechain: line.sidechain,
            nested: line.nested,
            forked: line.forked,
            origin: line.origin,
            weak_key: line.weak_key,
            rule_revision: line.rule_revision,
            note: Some(line.analysis).filter(|text| !text.is_empty()).map(AnalysisNote::from_stored),
            forced: version.forced(),
        };
        Ok(Self { row, version })
    }
}

/// A row of `source_files`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SourceLine {
    host: HostName,
    path: String,
    session_id: SessionId,
    project: String,
    size: u64,
    modified: Timestamp,
    changed_nanos: u64,
    identity: u64,
    fingerprint: u128,
    offset: u64,
    line: u64,
    carried_time: Option<Timestamp>,
    carried_before: u64,
    lines: u64,
    bad_lines: u64,
    bad_usage: u64,
    oversize_lines: u64,
    pending_lines: u64,
    content_categories: BTreeMap<String, u64>,
    snapshots: u64,
    snapshot_tokens: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    analysis_version: String,
    #[serde(default = "first_revision")]
    rule_revision: RuleRevision,
    read_at: Timestamp,
    version: u128,
    #[serde(default)]
    epoch: Epoch,
}

impl From<&SourceRecord> for SourceLine {
    fn from(record: &SourceRecord) -> Self {
        let categories = record.content_categories.iter();
        Self {
            host: record.host.clone(),
            path: crate::clickhouse::stored_path(&record.path),
            session_id: record.session.clone(),
            project: text(record.project.as_ref()),
            size: record.cursor.size,
            modified: record.cursor.modified,
            changed_nanos: record.cursor.changed_nanos,
            identity: record.cursor.identity,
            fingerprint: record.cursor.fingerprint,
            offset: record.cursor.offset,
            line: record.cursor.line,
            carried_time: record.cursor.carried_time,
            carried_before: record.cursor.carried_before,
            lines: record.lines,
            bad_lines: record.damage.bad_lines,
            bad_usage: record.damage.bad_usage,
            oversize_lines: record.damage.oversize_lines,
            pending_lines: record.damage.pending_lines,
            content_categories: categories.map(|(name, tokens)| (name.to_string(), *tokens)).collect(),
            snapshots: record.snapshots,
            snapshot_tokens: record.snapshot_tokens,
            first_time: record.first_time,
            last_time: record.last_time,
            analysis_version: record.analysis_version.clone(),
            rule_revision: record.rule_revision,
            read_at: record.read_at,
            version: record.version(),
            epoch: record.epoch,
        }
    }
}

impl TryFrom<SourceLine> for SourceRecord {
    type Error = Unreadable;

    fn try_from(line: SourceLine) -> Result<Self, Unreadable> {
        let mut damage = DamageCounts::default();
        damage.bad_lines = line.bad_lines;
        damage.bad_usage = line.bad_usage;
        damage.oversize_lines = line.oversize_lines;
        damage.pending_lines = line.pending_lines;
        let categories = line.content_categories.into_iter();
        let known = |(name, tokens): (String, u64)| Some((ContentCategory::from_name(&name)?, tokens));
        Ok(Self {
            host: line.host,
            path: line.path.into(),
            session: line.session_id,
            cursor: SourceCursor {
                size: line.size,
                modified: line.modified,
                changed_nanos: line.changed_nanos,
                identity: line.identity,
                fingerprint: line.fingerprint,
                offset: line.offset,
                line: line.line,
                carried_time: line.carried_time,
                carried_before: line.carried_before,
            },
            project: name::<ProjectName>(&line.project)?,
            lines: line.lines,
            damage,
            content_categories: categories.filter_map(known).collect(),
            snapshots: line.snapshots,
            snapshot_tokens: line.snapshot_tokens,
            first_time: line.first_time,
            last_time: line.last_time,
            analysis_version: line.analysis_version,
            rule_revision: line.rule_revision,
            read_at: line.read_at,
            epoch: line.epoch,
        })
    }
}

/// A row of `bridge_audit`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AuditLine {
    /// A number, as the database writes it.
    id: u128,
    time: Timestamp,
    correlation_id: String,
    operation: String,
    session_id: String,
    outcome: AuditOutcome,
    forced: bool,
    records_stored: u64,
    new_responses: u64,
    tokens: u64,
    tokens_replaced: u64,
    tokens_written: u64,
    figures: BTreeMap<String, u64>,
    duration_micros: u64,
    error_kind: String,
    error: String,
    host: String,
    version: String,
}

impl From<&AuditRecord> for AuditLine {
    fn from(record: &AuditRecord) -> Self {
        Self {
            id: record.id.0,
            time: record.time,
            correlation_id: record.correlation_id.to_string(),
            operation: record.operation.to_string(),
            session_id: text(record.session.as_ref()),
            outcome: record.outcome,
            forced: record.forced,
            records_stored: record.records_stored,
            new_responses: record.new_responses,
            tokens: record.tokens,
            tokens_replaced: record.tokens_replaced,
            tokens_written: record.tokens_written,
            figures: record.figures.clone(),
            duration_micros: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
            error_kind: record.error_kind.clone(),
            error: record.error.clone(),
            host: text(record.host.as_ref()),
            version: record.version.clone(),
        }
    }
}

impl TryFrom<AuditLine> for AuditRecord {
    type Error = Unreadable;

    fn try_from(line: AuditLine) -> Result<Self, Unreadable> {
        let operation = OperationName::new(line.operation)?;
        let mut record = Self::new(AuditId(line.id), line.time, line.correlation_id.parse()?, operation);
        record.session = name(&line.session_id)?;
        record.outcome = line.outcome;
        record.forced = line.forced;
        record.records_stored = line.records_stored;
        record.new_responses = line.new_responses;
        record.tokens = line.tokens;
        record.tokens_replaced = line.tokens_replaced;
        record.tokens_written = line.tokens_written;
        record.figures = line.figures;
        record.duration = Duration::from_micros(line.duration_micros);
        record.error_kind = line.error_kind;
        record.error = line.error;
        record.host = name(&line.host)?;
        record.version = line.version;
        Ok(record)
    }
}

fn text<T: AsRef<str>>(name: Option<&T>) -> String {
    name.map(AsRef::as_ref).unwrap_or_default().to_owned()
}

fn name<T: FromStr<Err = InvalidValue>>(text: &str) -> Result<Option<T>, InvalidValue> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// The version that these decimal digits stand for.
fn version(digits: &str) -> Option<ResponseVersion> {
    let mut bytes = [0_u8; 32];
    if digits.is_empty() {
        return None;
    }
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10)?;
        for byte in &mut bytes {
            let sum = u32::from(*byte) * 10 + carry;
            [*byte, ..] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(ResponseVersion::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        let half = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        for (high, low) in [(0, 0), (0, 9), (1, 0), (u128::MAX, u128::MAX), (half, !half)] {
            let known = ResponseVersion::from_parts(high, low);
            assert_eq!(version(&UInt256::from_le_bytes(known.to_le_bytes()).to_string()), Some(known));
        }
        let too_large = UInt256::from_le_bytes([0xff; 32]).to_string() + "0";
        assert!(["", "-1", "1.5", "1e3", &too_large].iter().all(|digits| version(digits).is_none()));
    }
}
