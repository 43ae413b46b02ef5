//! Sessions, the limits that they hit, and transcripts that expire.

use std::collections::BTreeMap;

use bridge_core::{
    ActivityFacts, ContentCategory, HostName, LimitEvent, LimitKind, ModelName, ProjectName, SessionId,
    TimeRange, Timestamp, TokenSummaryRecord, saturating_sum,
};
use bridge_storage::BreakdownRow;
use serde::Serialize;

use super::sums::{CostAnswer, Count, Extra, Tokens};
use crate::operations::expiring::ExpiringTranscripts;
use crate::operations::sessions::{SessionDetails, SessionFile};

/// The summary of a session.
#[derive(Serialize)]
pub(in crate::web) struct Session {
    session_id: SessionId,
    projects: Vec<ProjectName>,
    models: Vec<ModelName>,
    hosts: Vec<HostName>,
    first_time: Timestamp,
    last_time: Timestamp,
    tokens: Tokens,
    responses: Count,
    responses_worth_tokens: Count,
    finished_responses: Count,
    files: Count,
    lines: Count,
    bad_lines: Count,
    content_categories: BTreeMap<ContentCategory, Count>,
    accuracy_ratio: Option<f64>,
    last_sync: Option<Timestamp>,
    /// The values that its responses have, by dimension.
    attribution: BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    extra: Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostAnswer>,
    activity: Option<Activity>,
    models_by_tokens: Vec<ModelSums>,
    limits: Vec<Limit>,
    children: Vec<SessionId>,
    sources: Vec<Source>,
}

/// The activity of a session.
#[derive(Serialize)]
struct Activity {
    turns: Count,
    tool_calls: BTreeMap<String, Count>,
    other_tool_calls: Count,
    api_errors: Count,
    api_retries: Count,
    limits_hit: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    active_seconds: f64,
    kind: Option<String>,
    entrypoint: Option<String>,
    parent: Option<SessionId>,
    subagents: Count,
}

impl From<ActivityFacts> for Activity {
    fn from(facts: ActivityFacts) -> Self {
        let calls = facts.tool_calls.by_name();
        Self {
            turns: Count(facts.turns),
            tool_calls: calls.map(|(name, calls)| (name.to_string(), Count(calls))).collect(),
            other_tool_calls: Count(facts.tool_calls.other()),
            api_errors: Count(facts.api_errors),
            api_retries: Count(facts.api_retries),
            limits_hit: Count(facts.limits_hit),
            first_time: facts.first_time,
            last_time: facts.last_time,
            active_seconds: facts.active_time.as_secs_f64(),
            kind: facts.kind.map(|kind| kind.to_string()),
            entrypoint: facts.entrypoint.map(|entrypoint| entrypoint.to_string()),
            parent: facts.parent,
            subagents: Count(facts.subagents),
        }
    }
}

/// The sums of a model within a session.
#[derive(Serialize)]
struct ModelSums {
    model: String,
    tokens: Tokens,
    responses: Count,
}

/// A limit that was hit.
#[derive(Serialize)]
pub(in crate::web) struct Limit {
    session_id: SessionId,
    time: Timestamp,
    kind: LimitKind,
    resets_at: Option<Timestamp>,
}

impl Limit {
    pub(in crate::web) fn of(session_id: SessionId, limit: LimitEvent) -> Self {
        Self { session_id, time: limit.time, kind: limit.kind, resets_at: limit.resets_at }
    }
}

/// The limits of a time range.
#[derive(Serialize)]
pub(in crate::web) struct Limits {
    pub(in crate::web) range: TimeRange,
    pub(in crate::web) limits: Vec<Limit>,
}

/// The transcripts that the client will delete. Their paths stay on the machine.
#[derive(Serialize)]
pub(in crate::web) struct Expiring {
    unstored: Count,
    unstored_bytes: Count,
    stored: Count,
    next_expiry: Option<Timestamp>,
    unreadable: Count,
    unreadable_settings: Count,
}

impl From<ExpiringTranscripts> for Expiring {
    fn from(expiring: ExpiringTranscripts) -> Self {
        let bytes = expiring.unstored.iter().map(|transcript| transcript.unstored_bytes);
        let unread = expiring.retention.iter().map(|retention| retention.errors.len() as u64);
        Self {
            unstored: Count(expiring.unstored.len() as u64),
            unstored_bytes: Count(saturating_sum(bytes)),
            stored: Count(expiring.stored),
            next_expiry: expiring.unstored.first().map(|transcript| transcript.expires_at),
            unreadable: Count(expiring.errors.len() as u64),
            unreadable_settings: Count(saturating_sum(unread)),
        }
    }
}

/// A source with lines of a session.
#[derive(Serialize)]
struct Source {
    host: HostName,
    name: String,
    subagent_depth: Option<u8>,
    bytes: Count,
    lines: Count,
    damaged_lines: Count,
    snapshots: Count,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    read_at: Timestamp,
}

impl From<SessionFile> for Source {
    fn from(file: SessionFile) -> Self {
        Self {
            host: file.host,
            name: file.name,
            subagent_depth: file.subagent_depth,
            bytes: Count(file.bytes),
            lines: Count(file.lines),
            damaged_lines: Count(file.damaged_lines),
            snapshots: Count(file.snapshots),
            first_time: file.first_time,
            last_time: file.last_time,
            read_at: file.read_at,
        }
    }
}

impl Session {
    /// Returns the answer about a session; `None` if no response of it is stored.
    pub(in crate::web) fn of(details: SessionDetails) -> Option<Self> {
        let session = &details.session_id;
        let model = |row: BreakdownRow| ModelSums {
            model: row.name,
            tokens: row.totals.counts.into(),
            responses: Count(row.totals.responses),
        };
        Some(Self {
            activity: details.activity.map(Activity::from),
            models_by_tokens: details.models.into_iter().map(model).collect(),
            limits: details.limits.into_iter().map(|limit| Limit::of(session.clone(), limit)).collect(),
            children: details.children,
            sources: details.files.into_iter().map(Source::from).collect(),
            ..Self::from(details.summary?)
        })
    }
}

impl From<TokenSummaryRecord> for Session {
    fn from(summary: TokenSummaryRecord) -> Self {
        let metadata = summary.metadata.unwrap_or_default();
        let categories = metadata.content_categories.iter();
        Self {
            session_id: summary.session_id,
            projects: summary.projects,
            models: summary.models,
            hosts: summary.hosts,
            first_time: summary.first_time,
            last_time: summary.last_time,
            tokens: summary.counts.into(),
            responses: Count(summary.responses),
            responses_worth_tokens: Count(summary.responses_worth_tokens),
            finished_responses: Count(summary.finished_responses),
            files: Count(summary.files),
            lines: Count(metadata.lines),
            bad_lines: Count(metadata.bad_lines),
            content_categories: categories.map(|(category, tokens)| (*category, Count(*tokens))).collect(),
            accuracy_ratio: metadata.accuracy_ratio,
            last_sync: metadata.last_sync,
            attribution: metadata.attribution,
            extra: metadata.extra.into(),
            cost: summary.cost.map(CostAnswer::from),
            activity: metadata.activity.map(Activity::from),
            models_by_tokens: Vec::new(),
            limits: Vec::new(),
            children: Vec::new(),
            sources: Vec::new(),
        }
    }
}
