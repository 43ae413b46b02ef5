//! Covers keys that the current revision of the counting rule no longer uses.

use std::collections::HashMap;

use ::clickhouse::Row;
use ::clickhouse::types::UInt256;
use bridge_core::{
    BridgeError, ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, SessionId, SupersededKey,
    Timestamp,
};
use serde::Deserialize;

use super::rows::{UsageRow, response_version};
use super::saturating::{TOKENS, saturating};
use super::write::{PACKED, packed_keys};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::corrupt;
use crate::store::{ReplacedRow, UpsertOptions};

const COVER: &str = "cover superseded keys";

/// The row under a key, newer revisions included: if there is one, no older one counts.
#[derive(Debug, Row, Deserialize)]
struct OlderRow {
    key: u128,
    version: UInt256,
    session_id: String,
    time: i64,
    tokens: u64,
    rule_revision: u8,
}

impl ClickHouseStore {
    pub(crate) async fn cover_keys(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        let mut replaced = Vec::new();
        if keys.is_empty() {
            return Ok(replaced);
        }
        let epoch = self.admit(COVER, options.epoch).await?;
        for keys in keys.chunks(self.options.insert_rows) {
            let mut stored = self.older_rows(keys).await?;
            let mut whole = match options.replaced_rows {
                true => self.whole_rows(&stored.keys().copied().collect::<Vec<_>>()).await?,
                false => HashMap::new(),
            };
            let mut markers: Vec<(ResponseUsage, ResponseVersion)> = Vec::new();
            for key in keys {
                let Some(row) = stored.remove(&key.key) else { continue };
                let unreadable =
                    |why: &dyn std::fmt::Display| corrupt(COVER, format!("response {}: {why}", key.key));
                let session = SessionId::new(row.session_id).map_err(|error| unreadable(&error))?;
                let time = Timestamp::from_millis(row.time).map_err(|error| unreadable(&error))?;
                if key.supersedes(response_version(row.version), &session, time) {
                    let rule_revision = RuleRevision(row.rule_revision);
                    markers.push(key.marker(session.clone(), time));
                    let usage = whole.remove(&key.key).and_then(|row| row.row.usage);
                    replaced.push(ReplacedRow { session, tokens: row.tokens, rule_revision, usage });
                }
            }
            let writes: Vec<UsageRow<'_>> = markers
                .iter()
                .map(|(record, version)| UsageRow {
                    record,
                    version: *version,
                    run_id: options.run_id,
                    epoch,
                })
                .collect();
            if let Err(error) = self.insert_usage(&writes).await {
                return Err(self.refused(COVER, epoch, error).await);
            }
        }
        Ok(replaced)
    }

    /// Returns those of the keys under which a row of an older revision counts.
    async fn older_rows(
        &self,
        keys: &[SupersededKey],
    ) -> Result<HashMap<ResponseKey, OlderRow>, BridgeError> {
        let packed = &packed_keys(keys.iter().map(|key| key.key));
        let query = &format!(
            "SELECT key, version, session_id, toUnixTimestamp64Milli(time) AS time, \
             {tokens} AS tokens, rule_revision FROM token_usage PREWHERE key IN {PACKED}",
            tokens = saturating(TOKENS),
        );
        let found: Vec<OlderRow> = self
            .call(COVER, |tables| async move { tables.query(query).bind(packed).fetch_all().await })
            .await?;
        // Versions that are not merged yet are all returned; the greatest is the stored one.
        let mut stored: HashMap<ResponseKey, OlderRow> = HashMap::new();
        for row in found {
            let known = stored.get(&ResponseKey(row.key)).map(|known| response_version(known.version));
            if known.is_none_or(|known| known < response_version(row.version)) {
                stored.insert(ResponseKey(row.key), row);
            }
        }
        stored.retain(|_, row| row.rule_revision < RuleRevision::CURRENT.0);
        Ok(stored)
    }
}
