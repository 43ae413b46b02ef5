//! Sums of sessions in rows that an older version wrote.

use std::collections::HashSet;

use bridge_core::{BridgeError, Epoch, ResponseKey, ResponseUsage, RuleRevision, SessionId};

use super::tables::Tables;
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::checkpoint::catalog::DataTable;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::usage::native;
use crate::clickhouse::usage::rows::{COUNTED, StoredUsage, USAGE_COLUMNS, UsageRow};

/// The maximum number of rows of one insert.
const INSERTED_ROWS_MAX: usize = 100_000;

/// Adds the marker of every session with responses in this `token_usage`, and rewrites sums of older versions under the
/// key of their session. May be repeated, and run by several programs at once.
///
/// One pass over rows of an older version (after a migration or an import) is exact, and saves look-ups when storing.
/// Sums that the bridge did not write are not changed; the integrity check reports them.
pub(crate) async fn upgrade_sums(tables: &Tables, table: &str, epoch: Epoch) -> Result<(), TableError> {
    let mut rows: Vec<ResponseUsage> = old_sums(tables, table).await?.iter().flat_map(upgraded).collect();
    rows.extend(missing_markers(tables, table).await?);
    for rows in rows.chunks(INSERTED_ROWS_MAX) {
        let writes: Vec<_> = rows
            .iter()
            .map(|record| UsageRow { record, version: record.version(), run_id: 0, epoch })
            .collect();
        native::insert_rows(|sql| tables.insert_formatted(sql, writes.len()), table, &writes).await?;
    }
    Ok(())
}

async fn old_sums(tables: &Tables, table: &str) -> Result<Vec<ResponseUsage>, TableError> {
    let query =
        format!("SELECT {USAGE_COLUMNS} FROM {table} FINAL WHERE origin = 'summed' AND rule_revision = 1");
    let rows: Vec<StoredUsage> = tables.query(&query).fetch_all().await?;
    let stored = rows.into_iter().map(StoredUsage::into_stored);
    Ok(stored.filter(|row| row.is_intact()).filter_map(|row| row.usage).collect())
}

/// Returns the replacement of a row that revision 1 stored for an analysis without responses: the same sums under the
/// session's key, where those of the newest analysis win, and a marker over the old key.
fn upgraded(old: &ResponseUsage) -> [ResponseUsage; 2] {
    let marker = ResponseUsage::covered(old.key, old.session.clone());
    let sums = ResponseUsage {
        key: ResponseKey::of_session_sums(&old.session),
        rule_revision: RuleRevision::CURRENT,
        forced: 0,
        ..old.clone()
    };
    [sums, marker]
}

/// Includes superseded versions: every response that was ever offered has a marker.
async fn missing_markers(tables: &Tables, table: &str) -> Result<Vec<ResponseUsage>, TableError> {
    let query = format!("SELECT key FROM {table} WHERE origin = 'covered'");
    let covered: Vec<u128> = tables.query(&query).fetch_all().await?;
    let covered: HashSet<u128> = covered.into_iter().collect();
    let query = format!("SELECT DISTINCT session_id FROM {table} WHERE {COUNTED} AND origin != 'summed'");
    let sessions: Vec<String> = tables.query(&query).fetch_all().await?;
    let markers = sessions.into_iter().filter_map(|session| SessionId::new(session).ok());
    let markers = markers.map(ResponseUsage::covered_sums);
    Ok(markers.filter(|marker| !covered.contains(&marker.key.0)).collect())
}

impl ClickHouseStore {
    /// The same after rows came in that an older version may have given out.
    pub(crate) async fn upgrade_imported_sums(&self, epoch: Epoch) -> Result<(), BridgeError> {
        self.call("import rows", |tables| async move {
            upgrade_sums(&tables, DataTable::Usage.live(), epoch).await
        })
        .await
    }
}
