//! Reads what is known of single sessions: their files, relatives and limits.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge_core::{
    ActivityFacts, BridgeError, HostName, LimitEvent, SessionId, TimeRange, Timestamp, TokenSummaryRecord,
};
use bridge_storage::{
    BreakdownRow, Dimension, ResponseFilter, SourceFilter, SourceRecord, SummaryFilter, TokenStore,
    activity_facts,
};
use serde::{Deserialize, Serialize};

use crate::ingest::Ingest;

/// The details of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionDetails {
    /// The session.
    pub session_id: SessionId,
    /// Its sums; `None` if no response of it is stored.
    pub summary: Option<TokenSummaryRecord>,
    /// What happened in it, with the configured pause; `None` if that is not known.
    pub activity: Option<ActivityFacts>,
    /// Sums by model, the largest first.
    pub models: Vec<BreakdownRow>,
    /// The limits that it hit, in the order of time.
    pub limits: Vec<LimitEvent>,
    /// Sessions that were forked from it, sorted.
    pub children: Vec<SessionId>,
    /// Its files and streams, copies included.
    pub files: Vec<SessionFile>,
}

/// A source with lines of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionFile {
    /// The machine that it lies, or lay, on.
    pub host: HostName,
    /// The file's name without its folder, or the stream's name.
    pub name: String,
    /// How deep its subagent is nested; 0 for a file that is no subagent's. `None` if that is not known.
    pub subagent_depth: Option<u8>,
    /// Bytes that are stored.
    pub bytes: u64,
    /// Lines, those of other sessions in the file included.
    pub lines: u64,
    /// Of those, the damaged ones.
    pub damaged_lines: u64,
    /// Snapshots of responses in the file.
    pub snapshots: u64,
    /// The earliest time of the session in it.
    pub first_time: Option<Timestamp>,
    /// The latest time of the session in it.
    pub last_time: Option<Timestamp>,
    /// When it was last read.
    pub read_at: Timestamp,
}

impl From<&SourceRecord> for SessionFile {
    fn from(record: &SourceRecord) -> Self {
        let activity = record.activity.as_ref();
        let path = record.path.to_string_lossy();
        let name = match record.is_stream() {
            true => path.as_ref(),
            false => path.rsplit(['/', '\\']).next().unwrap_or_default(),
        };
        Self {
            host: record.host.clone(),
            name: name.to_owned(),
            subagent_depth: activity.map(|activity| activity.depth),
            bytes: record.cursor.offset,
            lines: record.lines,
            damaged_lines: record.damage.damaged_lines(),
            snapshots: record.snapshots,
            first_time: activity.and_then(|activity| activity.first_time).or(record.first_time),
            last_time: activity.and_then(|activity| activity.last_time).or(record.last_time),
            read_at: record.read_at,
        }
    }
}

/// A limit that a session hit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionLimit {
    /// The limit, when it was hit, and when it ends.
    #[serde(flatten)]
    pub limit: LimitEvent,
    /// The session.
    pub session_id: SessionId,
}

/// Returns what is known of a session; `None` if nothing is stored of it.
pub(crate) async fn details(
    ingest: &Ingest,
    pause: Duration,
    session: &SessionId,
    with_cost: bool,
) -> Result<Option<SessionDetails>, BridgeError> {
    let store: &dyn TokenStore = &*ingest.store;
    let only = || vec![session.clone()];
    let (summaries, responses) = (
        SummaryFilter::default().of_sessions(only()).with_metadata(true).with_cost(with_cost),
        ResponseFilter::of_sessions(only()),
    );
    let (own, forks) =
        (SourceFilter::default().of_sessions(only()), SourceFilter::default().forked_from(session.clone()));
    let (summaries, models, records, forks) = tokio::try_join!(
        store.summaries(&summaries),
        store.breakdown(Dimension::Model, &responses, None),
        store.sources(&own),
        store.sources(&forks),
    )?;
    let summary = summaries.into_iter().next();
    if summary.is_none() && records.is_empty() {
        return Ok(None);
    }
    let children: BTreeSet<SessionId> = forks.into_iter().map(|record| record.session).collect();
    Ok(Some(SessionDetails {
        session_id: session.clone(),
        summary,
        activity: activity_facts(&records, pause),
        models,
        limits: limits_of(&records).into_iter().map(|limit| limit.limit).collect(),
        children: children.into_iter().collect(),
        files: records.iter().map(SessionFile::from).collect(),
    }))
}

/// Returns the limits that were hit in a time range, each once though files have copies, in the order of time.
pub(crate) async fn limits(ingest: &Ingest, range: TimeRange) -> Result<Vec<SessionLimit>, BridgeError> {
    range.validated()?;
    let records = ingest.store.sources(&SourceFilter::default().limited()).await?;
    Ok(limits_of(&records).into_iter().filter(|limit| range.contains(limit.limit.time)).collect())
}

pub(crate) fn limits_of(records: &[SourceRecord]) -> BTreeSet<SessionLimit> {
    let of = |record: &SourceRecord| {
        let session = record.session.clone();
        let limits = record.activity.iter().flat_map(|activity| activity.limits.clone());
        limits.map(|limit| SessionLimit { limit, session_id: session.clone() }).collect::<Vec<_>>()
    };
    records.iter().flat_map(of).collect()
}
