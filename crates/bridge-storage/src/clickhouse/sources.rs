//! The table `source_files`: how far each file was read, and what was found in it.

use std::path::PathBuf;

use bridge_core::{
    BridgeError, ContentCategories, Epoch, HostName, ProjectName, RuleRevision, SessionId, Timestamp,
};

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::row::{stored_path, table_row};
use crate::source::{STREAM_PREFIXES, SourceFilter, SourcePaths, SourceRecord};

const STORE: &str = "store sources";

table_row! {
    /// A row of `source_files`.
    row SourceRow of SourceRecord, columns SOURCE_COLUMNS;
    new(host: HostName = host, path: PathBuf = path, session_id: SessionId = session,)
    fields {
        project: Option<ProjectName> = project,
        size: u64 = cursor.size,
        modified: Timestamp = cursor.modified,
        changed_nanos: u64 = cursor.changed_nanos,
        identity: u64 = cursor.identity,
        fingerprint: u128 = cursor.fingerprint,
        offset: u64 = cursor.offset,
        line: u64 = cursor.line,
        carried_time: Option<Timestamp> = cursor.carried_time,
        carried_before: u64 = cursor.carried_before,
        lines: u64 = lines,
        bad_lines: u64 = damage.bad_lines,
        bad_usage: u64 = damage.bad_usage,
        oversize_lines: u64 = damage.oversize_lines,
        pending_lines: u64 = damage.pending_lines,
        content_categories: ContentCategories = content_categories,
        snapshots: u64 = snapshots,
        snapshot_tokens: u64 = snapshot_tokens,
        first_time: Option<Timestamp> = first_time,
        last_time: Option<Timestamp> = last_time,
        analysis_version: String = analysis_version,
        rule_revision: RuleRevision = rule_revision,
        read_at: Timestamp = read_at,
        epoch: Epoch = epoch,
    }
    extra { version: u128, }
}

impl ClickHouseStore {
    pub(crate) async fn insert_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        let Some(epoch) = records.iter().map(|record| record.epoch).min() else { return Ok(()) };
        self.admit(STORE, Some(epoch)).await?;
        let rows: Vec<SourceRow> =
            records.iter().map(|record| SourceRow::store(record, record.version())).collect();
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
                if let Some((path, session)) = after {
                    let path = stored_path(path);
                    query = query.bind(&path).bind(&path).bind(session.as_str());
                }
                query.fetch_all().await
            })
            .await?;
        rows.into_iter().map(|row| row.into_record().map_err(|why| corrupt("read sources", why))).collect()
    }
}
