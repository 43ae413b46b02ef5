//! Writing: look up what is stored, write what is greater.

use std::collections::{HashMap, HashSet};

use ::clickhouse::query::Query;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage};

use super::rows::{StoredRow, StoredUsage, USAGE_COLUMNS, UsageRow};
use super::source_rows::SourceRow;
use super::{ClickHouseStore, native};
use crate::memory::{Stored, decide, greatest_of_each_key};
use crate::source::SourceRecord;
use crate::store::{UpsertOptions, UpsertOutcome};
use crate::stored::StoredResponse;

const LOOK_UP: &str = "look up responses";

/// The keys of a look-up.
struct Keys {
    sql: String,
    packed: Option<String>,
    is_few: bool,
}

const STORE: &str = "store responses";
const STORE_SOURCES: &str = "store sources";

/// So many keys are listed one by one, which is planned faster than a table of them.
const LISTED_MAX: usize = 32;

/// More travel as one text, which the database parses at the speed of a copy (a list of numbers would be parsed one
/// expression each).
pub(super) const PACKED: &str = "(SELECT arrayJoin(reinterpret(base64Decode(?), 'Array(UInt128)')))";

/// Up to so many keys are found faster by one thread than by several that must be set to it.
const ONE_THREAD_MAX: usize = 4;

/// From so many keys on a look-up is made in two halves at once: the database takes a core for each.
const HALVED_MIN: usize = 20_000;

impl Keys {
    fn of(rows: &[ResponseUsage], places: &[usize]) -> Self {
        if places.len() > LISTED_MAX {
            return Self {
                sql: PACKED.to_owned(),
                packed: Some(packed_keys(places.iter().map(|place| rows[*place].key))),
                is_few: false,
            };
        }
        let listed: Vec<String> = places.iter().map(|place| format!("'{}'", rows[*place].key.0)).collect();
        let is_few = places.len() <= ONE_THREAD_MAX;
        Self { sql: format!("({})", listed.join(", ")), packed: None, is_few }
    }

    fn bind(&self, query: Query) -> Query {
        let query = if self.is_few { query.with_setting("max_threads", "1") } else { query };
        match &self.packed {
            Some(packed) => query.bind(packed),
            None => query,
        }
    }
}

impl ClickHouseStore {
    pub(super) async fn upsert_rows(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        let mut outcomes = vec![UpsertOutcome::Unchanged; rows.len()];
        if rows.is_empty() {
            return Ok(outcomes);
        }
        // Before anything is looked up: what is found must not be of an older epoch than what is written.
        let epoch = self.admit(STORE, options.epoch).await?;
        for places in greatest_of_each_key(rows).chunks(self.options.insert_rows) {
            let mut stored = self.stored_rows(rows, places).await?;
            let same = if options.force { self.same_rows(rows, places).await? } else { HashMap::new() };
            let mut writes = Vec::new();
            for place in places {
                let row = &rows[*place];
                let force = options.force && !same.get(&row.key).is_some_and(|stored| is_same(row, stored));
                let (outcome, version) = decide(row, stored.remove(&row.key), force);
                outcomes[*place] = outcome;
                writes.extend(version.map(|version| UsageRow::new(row, version, options.run_id, epoch)));
            }
            if let Err(error) = self.insert_usage(&writes).await {
                return Err(self.refused(STORE, epoch, error).await);
            }
        }
        Ok(outcomes)
    }

    async fn insert_usage(&self, writes: &[UsageRow<'_>]) -> Result<(), BridgeError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.call(STORE, |tables| async move {
            native::insert_rows(|sql| tables.insert_formatted(sql, writes.len()), "token_usage", writes).await
        })
        .await
    }

    pub(super) async fn insert_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        let Some(epoch) = records.iter().map(|record| record.epoch).min() else { return Ok(()) };
        self.admit(STORE_SOURCES, Some(epoch)).await?;
        let rows: Vec<SourceRow> = records.iter().map(SourceRow::from).collect();
        let rows = &rows;
        let stored = self.call(STORE_SOURCES, |tables| async move {
            let mut insert = tables.insert::<SourceRow>("source_files", rows.len()).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        });
        match stored.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(STORE_SOURCES, epoch, error).await),
        }
    }

    /// What is stored under these keys. Most keys are new, and that none is there is told by the column of the
    /// keys alone.
    async fn stored_rows(
        &self,
        rows: &[ResponseUsage],
        places: &[usize],
    ) -> Result<HashMap<ResponseKey, Stored>, BridgeError> {
        let known = self.known_places(rows, places).await?;
        if known.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = &Keys::of(rows, &known);
        let query = &format!(
            "SELECT key, version, session_id, input_tokens + output_tokens + cache_creation_tokens \
             + cache_read_tokens AS tokens FROM token_usage PREWHERE key IN {}",
            keys.sql
        );
        let found: Vec<StoredRow> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        // Versions that are not merged yet all come; the greatest is what is stored.
        let mut stored: HashMap<ResponseKey, Stored> = HashMap::with_capacity(found.len());
        for row in found {
            let (key, row) = row.into_stored()?;
            if stored.get(&key).is_none_or(|known| known.version < row.version) {
                stored.insert(key, row);
            }
        }
        Ok(stored)
    }

    /// Those of the places whose keys are stored.
    async fn known_places(
        &self,
        rows: &[ResponseUsage],
        places: &[usize],
    ) -> Result<Vec<usize>, BridgeError> {
        let (first, second) = match places.len() {
            HALVED_MIN.. => places.split_at(places.len() / 2),
            _ => (places, &[][..]),
        };
        let (mut found, others) =
            tokio::try_join!(self.known_keys(rows, first), self.known_keys(rows, second))?;
        found.extend(others);
        Ok(places.iter().copied().filter(|place| found.contains(&rows[*place].key.0)).collect())
    }

    async fn known_keys(
        &self,
        rows: &[ResponseUsage],
        places: &[usize],
    ) -> Result<HashSet<u128>, BridgeError> {
        if places.is_empty() {
            return Ok(HashSet::new());
        }
        let keys = &Keys::of(rows, places);
        let query = &format!("SELECT key FROM token_usage PREWHERE key IN {}", keys.sql);
        let found: Vec<u128> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        Ok(found.into_iter().collect())
    }

    /// The stored rows themselves: by force only what differs is replaced.
    async fn same_rows(
        &self,
        rows: &[ResponseUsage],
        places: &[usize],
    ) -> Result<HashMap<ResponseKey, StoredResponse>, BridgeError> {
        let keys = &Keys::of(rows, places);
        let query = &format!("SELECT {USAGE_COLUMNS} FROM token_usage FINAL WHERE key IN {}", keys.sql);
        let stored: Vec<StoredUsage> = self
            .call(LOOK_UP, |tables| async move { keys.bind(tables.query(query)).fetch_all().await })
            .await?;
        Ok(stored.into_iter().map(StoredUsage::into_stored).map(|row| (row.key, row)).collect())
    }
}

/// A row whose version does not vouch for it is not the same, whatever it says.
fn is_same(row: &ResponseUsage, stored: &StoredResponse) -> bool {
    let same = |usage: &ResponseUsage| ResponseUsage { forced: usage.forced, ..row.clone() } == *usage;
    stored.usage.as_ref().is_some_and(same) && stored.is_intact()
}

pub(super) fn packed_keys(keys: impl Iterator<Item = ResponseKey>) -> String {
    // Little-endian, as the database reinterprets bytes.
    let bytes: Vec<u8> = keys.flat_map(|key| key.0.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
