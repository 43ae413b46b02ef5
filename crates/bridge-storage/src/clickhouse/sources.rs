//! The table `source_files`: how far each file was read, and what was found in it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bridge_core::{
    ActiveTime, AttributionValue, BridgeError, ContentCategories, Epoch, HostName, LimitEvent, ProjectName,
    RuleRevision, SessionActivity, SessionId, Timestamp, ToolCalls,
};

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::row::{stored_path, table_row};
use crate::source::{STREAM_PREFIXES, SourceFilter, SourcePaths, SourceRecord};

const STORE: &str = "store sources";

/// A record with the facts of its activity, which are columns of their own.
#[derive(Debug)]
pub(crate) struct StoredSource {
    source: SourceRecord,
    /// `NULL` if nothing is known about the activity.
    turns: Option<u64>,
    activity: SessionActivity,
}

impl StoredSource {
    fn new(host: HostName, path: PathBuf, session: SessionId) -> Self {
        Self {
            source: SourceRecord::new(host, path, session),
            turns: None,
            activity: SessionActivity::default(),
        }
    }

    fn from_source(record: &SourceRecord) -> Self {
        let activity = record.activity.as_deref();
        Self {
            source: record.clone(),
            turns: activity.map(|activity| activity.turns),
            activity: activity.cloned().unwrap_or_default(),
        }
    }

    fn into_source(self) -> SourceRecord {
        let activity = self.turns.map(|turns| Box::new(SessionActivity { turns, ..self.activity }));
        SourceRecord { activity, ..self.source }
    }
}

table_row! {
    /// A row of `source_files`.
    row SourceRow of StoredSource, columns SOURCE_COLUMNS;
    new(host: HostName = source.host, path: PathBuf = source.path, session_id: SessionId = source.session,)
    fields {
        project: Option<ProjectName> = source.project,
        size: u64 = source.cursor.size,
        modified: Timestamp = source.cursor.modified,
        changed_nanos: u64 = source.cursor.changed_nanos,
        identity: u64 = source.cursor.identity,
        fingerprint: u128 = source.cursor.fingerprint,
        offset: u64 = source.cursor.offset,
        line: u64 = source.cursor.line,
        carried_time: Option<Timestamp> = source.cursor.carried_time,
        carried_before: u64 = source.cursor.carried_before,
        lines: u64 = source.lines,
        bad_lines: u64 = source.damage.bad_lines,
        bad_usage: u64 = source.damage.bad_usage,
        oversize_lines: u64 = source.damage.oversize_lines,
        pending_lines: u64 = source.damage.pending_lines,
        content_categories: ContentCategories = source.content_categories,
        snapshots: u64 = source.snapshots,
        snapshot_tokens: u64 = source.snapshot_tokens,
        first_time: Option<Timestamp> = source.first_time,
        last_time: Option<Timestamp> = source.last_time,
        analysis_version: String = source.analysis_version,
        rule_revision: RuleRevision = source.rule_revision,
        read_at: Timestamp = source.read_at,
        epoch: Epoch = source.epoch,
        turns: Option<u64> = turns,
        tool_calls: ToolCalls = activity.tool_calls,
        api_errors: u64 = activity.api_errors,
        api_retries: u64 = activity.api_retries,
        limits_hit: u64 = activity.limits_hit,
        limits: BTreeSet<LimitEvent> = activity.limits,
        activity_first: Option<Timestamp> = activity.first_time,
        activity_last: Option<Timestamp> = activity.last_time,
        active_runs: ActiveTime = activity.active,
        session_kind: Option<AttributionValue> = activity.kind,
        entrypoint: Option<AttributionValue> = activity.entrypoint,
        parent_session: Option<SessionId> = activity.parent,
        subagent_depth: u8 = activity.depth,
    }
    extra { version: u128, }
}

impl ClickHouseStore {
    pub(crate) async fn insert_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        let Some(epoch) = records.iter().map(|record| record.epoch).min() else { return Ok(()) };
        self.admit(STORE, Some(epoch)).await?;
        let rows: Vec<SourceRow> = records
            .iter()
            .map(|record| SourceRow::store(&StoredSource::from_source(record), record.version()))
            .collect();
        let rows = &rows;
        let stored = self.call(STORE, |tables| async move {
            let mut insert = tables.insert::<SourceRow>("source_files", rows.len()).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        });
        match stored.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(STORE, epoch, error).await),
        }
    }

    pub(crate) async fn read_sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        if filter.sessions.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut conditions = Vec::new();
        conditions.extend(filter.host.as_ref().map(|_| "host = ?"));
        conditions.extend(match filter.paths {
            SourcePaths::All => None,
            SourcePaths::Only(_) => Some("path = ?"),
            SourcePaths::Streams => Some("arrayExists(prefix -> startsWith(path, prefix), ?)"),
        });
        conditions.extend(filter.sessions.as_ref().map(|_| "session_id IN ?"));
        conditions.extend(filter.parent.as_ref().map(|_| "parent_session = ?"));
        conditions.extend(filter.limited.then_some("limits_hit > 0"));
        let after = filter.page.as_ref().and_then(|page| page.after.as_ref());
        // The first condition finds the place in the table's order, the second one is exact.
        conditions.extend(after.map(|_| "path >= ? AND (path, session_id) > (?, ?)"));
        let limit = filter.page.as_ref().map(|page| format!(" LIMIT {}", page.records_max));
        let limit = limit.unwrap_or_default();
        let conditions =
            if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let query = &format!(
            "SELECT {SOURCE_COLUMNS} FROM source_files FINAL {conditions} ORDER BY host, path, session_id{limit}"
        );
        let rows: Vec<SourceRow> = self
            .call("read sources", |tables| async move {
                let mut query = tables.query(query);
                if let Some(host) = &filter.host {
                    query = query.bind(host.as_str());
                }
                query = match &filter.paths {
                    SourcePaths::All => query,
                    SourcePaths::Only(path) => query.bind(stored_path(path)),
                    SourcePaths::Streams => query.bind(&STREAM_PREFIXES[..]),
                };
                if let Some(sessions) = &filter.sessions {
                    query = query.bind(sessions.iter().map(SessionId::as_str).collect::<Vec<_>>());
                }
                if let Some(parent) = &filter.parent {
                    query = query.bind(parent.as_str());
                }
                if let Some((path, session)) = after {
                    let path = stored_path(path);
                    query = query.bind(&path).bind(&path).bind(session.as_str());
                }
                query.fetch_all().await
            })
            .await?;
        let unreadable = |why| corrupt("read sources", why);
        rows.into_iter()
            .map(|row| row.into_record().map(StoredSource::into_source).map_err(unreadable))
            .collect()
    }
}
