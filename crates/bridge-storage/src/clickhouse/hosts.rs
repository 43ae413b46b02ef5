//! Activity of each host in the database.

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, InvalidValue, Timestamp};
use serde::Deserialize;

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use crate::capabilities::{HostActivity, HostStore, SourcesDigest};

const ACTIVITY: &str = "read the activity of hosts";

/// The mark of a record, as [`SourceRecord::mark`](crate::SourceRecord::mark) computes it.
const MARK: &str =
    "bitXor(bitXor(version, fingerprint), toUInt128(toUInt64(toUnixTimestamp64Milli(read_at))))";

#[derive(Debug, Row, Deserialize)]
struct DigestRow {
    records: u64,
    marks: u128,
}

#[derive(Debug, Row, Deserialize)]
struct ActivityRow {
    host: String,
    sources: u64,
    last_read: Option<i64>,
    last_operation: Option<i64>,
}

#[async_trait]
impl HostStore for ClickHouseStore {
    async fn sources_digest(&self, host: &HostName) -> Result<SourcesDigest, BridgeError> {
        let query = &format!(
            "SELECT count() AS records, groupBitXor({MARK}) AS marks FROM source_files FINAL WHERE host = ?"
        );
        let row: DigestRow = self
            .call("read the digest of sources", |tables| async move {
                tables.query(query).bind(host.as_str()).fetch_one().await
            })
            .await?;
        Ok(SourcesDigest { records: row.records, marks: row.marks })
    }

    async fn host_activity(&self, since: Timestamp) -> Result<Vec<HostActivity>, BridgeError> {
        let query = "SELECT host, sum(found) AS sources, max(read) AS last_read, max(operated) AS last_operation FROM (\
                     SELECT toString(host) AS host, uniqExact(path) AS found, \
                     toNullable(max(toUnixTimestamp64Milli(read_at))) AS read, CAST(NULL, 'Nullable(Int64)') AS operated \
                     FROM source_files GROUP BY host \
                     UNION ALL SELECT toString(host) AS host, toUInt64(0) AS found, CAST(NULL, 'Nullable(Int64)') AS read, \
                     toNullable(max(toUnixTimestamp64Milli(time))) AS operated FROM bridge_audit \
                     WHERE time >= fromUnixTimestamp64Milli(toInt64(?), 'UTC') AND host != '' GROUP BY host\
                     ) GROUP BY host ORDER BY host";
        let rows: Vec<ActivityRow> =
            self.call(ACTIVITY, |tables| async move {
                tables.query(query).bind(since.as_millis()).fetch_all().await
            })
            .await?;
        rows.into_iter()
            .map(|row| activity(row).map_err(|error| corrupt(ACTIVITY, error.to_string())))
            .collect()
    }
}

fn activity(row: ActivityRow) -> Result<HostActivity, InvalidValue> {
    Ok(HostActivity {
        host: HostName::new(row.host)?,
        sources: row.sources,
        last_read: row.last_read.map(Timestamp::from_millis).transpose()?,
        last_operation: row.last_operation.map(Timestamp::from_millis).transpose()?,
    })
}
